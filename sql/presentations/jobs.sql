-- name: submit_job
-- The new job. No row where the voice is not its owner's, or either is no longer active.
with voice as (
    select voice_clones.voice_clone_id, voice_clones.owner_id
    from voice_clones
    inner join users
        on voice_clones.owner_id = users.user_id
    where
        voice_clones.voice_clone_id = :job.voice_clone_id
        and voice_clones.owner_id = :job.owner_id
        and voice_clones.is_active
        and users.is_active
),

changed as (
    insert into presentation_jobs (owner_id, voice_clone_id, s3_pptx_path, slides_count)
    select owner_id, voice_clone_id, :job.s3_pptx_path as s3_pptx_path, :job.slides_count as slides_count
    from voice
    returning
        job_id, owner_id, voice_clone_id, status, s3_pptx_path, s3_video_path, slides_count,
        video_duration_seconds, file_size_bytes, processing_time_seconds, error_message, created_at,
        updated_at, started_at, completed_at
),

logged as (
    insert into job_status_changes (job_id, owner_id, new_status)
    select job_id, owner_id, status as new_status
    from changed
),

audited as (
    insert into audit_log (action, table_name, row_id, owner_id, after)
    select
        'insert' as action,
        'presentation_jobs' as table_name,
        changed.job_id as row_id,
        changed.owner_id,
        to_jsonb(changed) as after
    from changed
)

select
    job_id, owner_id, voice_clone_id, status, s3_pptx_path, s3_video_path, slides_count,
    video_duration_seconds, file_size_bytes, processing_time_seconds, error_message, created_at,
    updated_at, started_at, completed_at
from changed;

-- name: import_jobs
-- Jobs with their past, from elsewhere; says how many. Leaves no line in the logs.
copy presentation_jobs (
    owner_id, voice_clone_id, status, s3_pptx_path, s3_video_path, slides_count, video_duration_seconds,
    file_size_bytes, processing_time_seconds, error_message, created_at, updated_at, started_at,
    completed_at
) from stdin;

-- name: get_job
-- One job, by its id.
select
    job_id, owner_id, voice_clone_id, status, s3_pptx_path, s3_video_path, slides_count,
    video_duration_seconds, file_size_bytes, processing_time_seconds, error_message, created_at,
    updated_at, started_at, completed_at
from presentation_jobs
where job_id = :job_id;

-- name: list_jobs
-- A page of jobs, narrowed by whichever filters are given; `after` is the last job of the page before.
select
    job_id, owner_id, voice_clone_id, status, s3_pptx_path, s3_video_path, slides_count,
    video_duration_seconds, file_size_bytes, processing_time_seconds, error_message, created_at,
    updated_at, started_at, completed_at
from presentation_jobs
where
    true
    and owner_id = :owner_id                                                    --? optional
    and status = :status                                                        --? optional
    and voice_clone_id = :voice_clone_id                                        --? optional
    and created_at >= :since                                                    --? optional
    and created_at < :until                                                     --? optional
    --? optional {
    and (created_at, job_id) < (:after.created_at, :after.job_id)               --| order: newest
    -- and (created_at, job_id) > (:after.created_at, :after.job_id)            --| order: oldest
    --? }
order by created_at desc, job_id desc                                           --| order: newest
-- order by created_at, job_id                                                  --| order: oldest
limit :limit;

-- name: list_jobs_by_offset
-- A page of jobs with their owners, the newest first, from a number of them onwards. What is skipped is
-- read: for pages far in, or jobs that come meanwhile, list_jobs.
select
    presentation_jobs.job_id, presentation_jobs.owner_id, presentation_jobs.voice_clone_id,
    presentation_jobs.status, presentation_jobs.s3_pptx_path, presentation_jobs.s3_video_path,
    presentation_jobs.slides_count, presentation_jobs.video_duration_seconds,
    presentation_jobs.file_size_bytes, presentation_jobs.processing_time_seconds,
    presentation_jobs.error_message, presentation_jobs.created_at, presentation_jobs.updated_at,
    presentation_jobs.started_at, presentation_jobs.completed_at,
    users.user_id as "owner.user_id",
    users.name as "owner.name",
    users.email as "owner.email",
    users.is_active as "owner.is_active",
    users.created_at as "owner.created_at",
    users.updated_at as "owner.updated_at"
from presentation_jobs
inner join users
    on presentation_jobs.owner_id = users.user_id
where
    true
    and presentation_jobs.owner_id = :owner_id   --? optional
    and presentation_jobs.status = :status       --? optional
order by presentation_jobs.created_at desc, presentation_jobs.job_id desc
limit :limit offset :skip;

-- name: fail_stalled_jobs
-- The jobs that nobody has moved since a time, because their worker died; now failed.
with earlier as (
    select
        job_id, owner_id, voice_clone_id, status, s3_pptx_path, s3_video_path, slides_count,
        video_duration_seconds, file_size_bytes, processing_time_seconds, error_message, created_at,
        updated_at, started_at, completed_at
    from presentation_jobs
    where
        status in ('processing_slides', 'synthesizing_audio', 'assembling_video')
        and updated_at < :untouched_since
    for update skip locked
),

changed as (
    update presentation_jobs
    set
        status = 'failed',
        error_message = :error_message,
        updated_at = now()
    from earlier
    where presentation_jobs.job_id = earlier.job_id
    returning
        presentation_jobs.job_id, presentation_jobs.owner_id, presentation_jobs.voice_clone_id,
        presentation_jobs.status, presentation_jobs.s3_pptx_path, presentation_jobs.s3_video_path,
        presentation_jobs.slides_count, presentation_jobs.video_duration_seconds,
        presentation_jobs.file_size_bytes, presentation_jobs.processing_time_seconds,
        presentation_jobs.error_message, presentation_jobs.created_at, presentation_jobs.updated_at,
        presentation_jobs.started_at, presentation_jobs.completed_at
),

logged as (
    insert into job_status_changes (job_id, owner_id, old_status, new_status)
    select changed.job_id, changed.owner_id, earlier.status as old_status, changed.status as new_status
    from changed
    inner join earlier
        on changed.job_id = earlier.job_id
),

audited as (
    insert into audit_log (action, table_name, row_id, owner_id, before, after)
    select
        'update' as action,
        'presentation_jobs' as table_name,
        changed.job_id as row_id,
        changed.owner_id,
        to_jsonb(earlier) as before,
        to_jsonb(changed) as after
    from changed
    inner join earlier
        on changed.job_id = earlier.job_id
)

select
    job_id, owner_id, voice_clone_id, status, s3_pptx_path, s3_video_path, slides_count,
    video_duration_seconds, file_size_bytes, processing_time_seconds, error_message, created_at,
    updated_at, started_at, completed_at
from changed
order by job_id;

-- name: delete_job
-- Deletes a job for good, in whatever status it is; gives it back.
with removed as (
    delete from presentation_jobs
    where job_id = :job_id
    returning
        job_id, owner_id, voice_clone_id, status, s3_pptx_path, s3_video_path, slides_count,
        video_duration_seconds, file_size_bytes, processing_time_seconds, error_message, created_at,
        updated_at, started_at, completed_at
),

audited as (
    insert into audit_log (action, table_name, row_id, owner_id, before)
    select
        'delete' as action,
        'presentation_jobs' as table_name,
        removed.job_id as row_id,
        removed.owner_id,
        to_jsonb(removed) as before
    from removed
)

select
    job_id, owner_id, voice_clone_id, status, s3_pptx_path, s3_video_path, slides_count,
    video_duration_seconds, file_size_bytes, processing_time_seconds, error_message, created_at,
    updated_at, started_at, completed_at
from removed;
