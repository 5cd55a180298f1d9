-- name: create_analysis
-- The new analysis. An unknown user is a ForeignKeyViolation.
insert into data_analyses (user_id, title, status, parameters, result)
values (:analysis.user_id, :analysis.title, :analysis.status, :analysis.parameters, :analysis.result)
returning analysis_id, user_id, title, status, parameters, result, created_at, updated_at;

-- name: import_analyses
-- Many at once, all or nothing; says how many, not which ids they got.
copy data_analyses (user_id, title, status, parameters, result) from stdin;

-- name: get_analysis
-- One analysis, by its id.
select analysis_id, user_id, title, status, parameters, result, created_at, updated_at
from data_analyses
where analysis_id = :analysis_id;

-- name: get_analysis_result
-- The result of one analysis, which is null while there is none.
select result
from data_analyses
where analysis_id = :analysis_id;

-- name: update_analysis
-- The analysis after the changes that are given; no row where there is none.
update data_analyses
set
    title = :changes.title,             --? optional
    status = :changes.status,           --? optional
    parameters = :changes.parameters,   --? optional
    result = :changes.result,           --? optional
    updated_at = now()
where analysis_id = :analysis_id
returning analysis_id, user_id, title, status, parameters, result, created_at, updated_at;

-- name: delete_analysis
-- Deletes one analysis. Its files go with it.
delete from data_analyses
where analysis_id = :analysis_id;

-- name: list_analyses
-- A page of analyses, narrowed by whichever filters are given: behind the last one of the page before, which
-- costs the same wherever it is, or behind the first :skip ones, which are read.
select analysis_id, user_id, title, status, parameters, result, created_at, updated_at
from data_analyses
where
    true
    and user_id = :user_id          --? optional
    and status = :status            --? optional
    and created_at >= :since        --? optional
    and created_at < :until         --? optional
    and parameters @> :parameters   --? optional
    --? optional {
    and (created_at, analysis_id) < (:after.created_at, :after.analysis_id)      --| order: newest
    -- and (created_at, analysis_id) > (:after.created_at, :after.analysis_id)   --| order: oldest
    -- and (title, analysis_id) > (:after.title, :after.analysis_id)             --| order: title
    --? }
order by created_at desc, analysis_id desc                                       --| order: newest
-- order by created_at, analysis_id                                              --| order: oldest
-- order by title, analysis_id                                                   --| order: title
limit :limit offset :skip;

-- name: list_newest_analyses
-- The fifty newest analyses of a user: what their first page shows.
select analysis_id, user_id, title, status, parameters, result, created_at, updated_at
from data_analyses
where user_id = :user_id
order by created_at desc, analysis_id desc
limit 50;

-- name: count_analyses
-- How many there are, narrowed as in list_analyses.
with found as (
    select analysis_id
    from data_analyses
    where
        true
        and user_id = :user_id          --? optional
        and status = :status            --? optional
        and created_at >= :since        --? optional
        and created_at < :until         --? optional
        and parameters @> :parameters   --? optional
)

select count(*) as analyses
from found;
