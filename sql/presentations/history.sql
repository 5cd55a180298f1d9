-- name: list_status_changes
-- What happened to a job, in order. Without a time all partitions are looked at.
select change_id, job_id, owner_id, old_status, new_status, changed_at, created_at
from job_status_changes
where
    job_id = :job_id
    and created_at >= :since   --? optional
order by created_at, change_id;

-- name: import_status_changes
-- Changes of the past, from elsewhere, into the partitions of their months.
copy job_status_changes (job_id, owner_id, old_status, new_status, changed_at, created_at) from stdin;

-- name: list_audit_lines
-- Who did what, the newest first, narrowed by whichever filters are given; `after` is the last line of the
-- page before. The times choose the partitions that are looked at.
select audit_id, actor, action, table_name, row_id, owner_id, before, after, created_at
from audit_log
where
    true
    and table_name = :table_name                                        --? optional
    and row_id = :row_id                                                --? optional
    and owner_id = :owner_id                                            --? optional
    and actor = :actor                                                  --? optional
    and created_at >= :since                                            --? optional
    and created_at < :until                                             --? optional
    and (created_at, audit_id) < (:after.created_at, :after.audit_id)   --? optional
order by created_at desc, audit_id desc
limit :limit;

-- name: archive_jobs
-- Moves completed jobs into the archive, the oldest first, and says how many: out of their table, into a
-- bundle of their owner's and into the list of what is archived, or nothing of it. Two at once take
-- different jobs.
with expired as (
    select job_id
    from presentation_jobs
    where
        status = 'completed'
        and completed_at < :completed_before
    order by completed_at, job_id
    limit :limit
    for update skip locked
),

moved as (
    delete from presentation_jobs
    using expired
    where presentation_jobs.job_id = expired.job_id
    returning
        presentation_jobs.job_id, presentation_jobs.owner_id, presentation_jobs.voice_clone_id,
        presentation_jobs.status, presentation_jobs.s3_pptx_path, presentation_jobs.s3_video_path,
        presentation_jobs.slides_count, presentation_jobs.video_duration_seconds,
        presentation_jobs.file_size_bytes, presentation_jobs.processing_time_seconds,
        presentation_jobs.error_message, presentation_jobs.created_at, presentation_jobs.updated_at,
        presentation_jobs.started_at, presentation_jobs.completed_at
),

bundled as (
    insert into job_archives (owner_id, jobs)
    select owner_id, jsonb_agg(to_jsonb(moved) order by job_id) as jobs
    from moved
    group by owner_id
    returning archive_id, owner_id
)

insert into archived_jobs (job_id, owner_id, archive_id, completed_at)
select moved.job_id, moved.owner_id, bundled.archive_id, moved.completed_at
from moved
inner join bundled
    on moved.owner_id = bundled.owner_id;

-- name: get_archived_job
-- One archived job, out of its bundle.
select
    archived_jobs.job_id,
    archived_jobs.owner_id,
    archived_jobs.created_at as archived_at,
    archived_jobs.completed_at,
    bundled.job
from archived_jobs
inner join job_archives
    on archived_jobs.archive_id = job_archives.archive_id
cross join jsonb_array_elements(job_archives.jobs) as bundled (job)
where
    archived_jobs.job_id = :job_id
    and (bundled.job ->> 'job_id')::bigint = archived_jobs.job_id
order by archived_jobs.job_id
limit 1;

-- name: list_archived_jobs
-- A page of an owner's archived jobs, the latest completed first; `after` is the last of the page before.
select
    archived_jobs.job_id,
    archived_jobs.owner_id,
    archived_jobs.created_at as archived_at,
    archived_jobs.completed_at,
    bundled.job
from archived_jobs
inner join job_archives
    on archived_jobs.archive_id = job_archives.archive_id
cross join jsonb_array_elements(job_archives.jobs) as bundled (job)
where
    archived_jobs.owner_id = :owner_id
    and (bundled.job ->> 'job_id')::bigint = archived_jobs.job_id
    --? optional {
    and (archived_jobs.completed_at, archived_jobs.job_id) < (:after.completed_at, :after.job_id)
    --? }
order by archived_jobs.completed_at desc, archived_jobs.job_id desc
limit :limit;
