-- name: create_file
-- The new file. An unknown analysis is a ForeignKeyViolation.
insert into analysis_files (analysis_id, file_name, file_type, size_bytes, storage_path)
values (:file.analysis_id, :file.file_name, :file.file_type, :file.size_bytes, :file.storage_path)
returning file_id, analysis_id, file_name, file_type, size_bytes, storage_path, created_at, updated_at;

-- name: import_files
-- Many at once, all or nothing; says how many, not which ids they got.
copy analysis_files (analysis_id, file_name, file_type, size_bytes, storage_path) from stdin;

-- name: get_file
-- One file, by its id.
select file_id, analysis_id, file_name, file_type, size_bytes, storage_path, created_at, updated_at
from analysis_files
where file_id = :file_id;

-- name: update_file
-- The file after the changes that are given; no row where there is none.
update analysis_files
set
    file_name = :changes.file_name,         --? optional
    file_type = :changes.file_type,         --? optional
    size_bytes = :changes.size_bytes,       --? optional
    storage_path = :changes.storage_path,   --? optional
    updated_at = now()
where file_id = :file_id
returning file_id, analysis_id, file_name, file_type, size_bytes, storage_path, created_at, updated_at;

-- name: delete_file
-- Deletes one file. What lies at its storage_path is not touched.
delete from analysis_files
where file_id = :file_id;

-- name: list_files
-- A page of files, narrowed by whichever filters are given: behind the last one of the page before, which
-- costs the same wherever it is, or behind the first :skip ones, which are read.
select file_id, analysis_id, file_name, file_type, size_bytes, storage_path, created_at, updated_at
from analysis_files
where
    true
    and analysis_id = :analysis_id   --? optional
    and file_type = :file_type       --? optional
    --? optional {
    and (file_name, file_id) > (:after.file_name, :after.file_id)        --| order: name
    -- and (size_bytes, file_id) < (:after.size_bytes, :after.file_id)   --| order: largest
    -- and (created_at, file_id) < (:after.created_at, :after.file_id)   --| order: newest
    --? }
order by file_name, file_id                                              --| order: name
-- order by size_bytes desc, file_id desc                                --| order: largest
-- order by created_at desc, file_id desc                                --| order: newest
limit :limit offset :skip;

-- name: count_files
-- How many there are, narrowed as in list_files.
with found as (
    select file_id
    from analysis_files
    where
        true
        and analysis_id = :analysis_id   --? optional
        and file_type = :file_type       --? optional
)

select count(*) as files
from found;
