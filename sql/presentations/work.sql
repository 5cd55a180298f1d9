-- name: claim_jobs
-- The oldest jobs that wait, now the caller's: another caller gets others, and waits for none of them.
with earlier as (
    select
        job_id, owner_id, voice_clone_id, status, s3_pptx_path, s3_video_path, slides_count,
        video_duration_seconds, file_size_bytes, processing_time_seconds, error_message, created_at,
        updated_at, started_at, completed_at
    from presentation_jobs
    where status = 'pending'
    order by created_at, job_id
    limit :limit
    for update skip locked
),

changed as (
    update presentation_jobs
    set
        status = 'processing_slides',
        started_at = now(),
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
order by created_at, job_id;

-- name: advance_job
-- The job in its next step. No row where that step does not follow the one it is in.
with earlier as (
    select
        job_id, owner_id, voice_clone_id, status, s3_pptx_path, s3_video_path, slides_count,
        video_duration_seconds, file_size_bytes, processing_time_seconds, error_message, created_at,
        updated_at, started_at, completed_at
    from presentation_jobs
    where
        job_id = :job_id
        and (status, cast(:status as job_status)) in (
            ('processing_slides', 'synthesizing_audio'),
            ('synthesizing_audio', 'assembling_video')
        )
    for update
),

changed as (
    update presentation_jobs
    set
        status = :status,
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
from changed;

-- name: complete_job
-- The job with its video. No row where it was not at its last step. A clock that runs behind the claimer's
-- makes no job end before it began.
with earlier as (
    select
        job_id, owner_id, voice_clone_id, status, s3_pptx_path, s3_video_path, slides_count,
        video_duration_seconds, file_size_bytes, processing_time_seconds, error_message, created_at,
        updated_at, started_at, completed_at
    from presentation_jobs
    where
        job_id = :job_id
        and status = 'assembling_video'
    for update
),

changed as (
    update presentation_jobs
    set
        status = 'completed',
        s3_video_path = :result.s3_video_path,
        slides_count = coalesce(:result.slides_count, earlier.slides_count),
        video_duration_seconds = :result.video_duration_seconds,
        file_size_bytes = :result.file_size_bytes,
        processing_time_seconds = extract(epoch from greatest(now() - earlier.started_at, '0')),
        completed_at = greatest(now(), earlier.started_at),
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
from changed;

-- name: fail_job
-- The failed job. No row where nobody was working on it.
with earlier as (
    select
        job_id, owner_id, voice_clone_id, status, s3_pptx_path, s3_video_path, slides_count,
        video_duration_seconds, file_size_bytes, processing_time_seconds, error_message, created_at,
        updated_at, started_at, completed_at
    from presentation_jobs
    where
        job_id = :job_id
        and status in ('processing_slides', 'synthesizing_audio', 'assembling_video')
    for update
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
from changed;

-- name: cancel_job
-- The cancelled job. No row where it had ended already.
with earlier as (
    select
        job_id, owner_id, voice_clone_id, status, s3_pptx_path, s3_video_path, slides_count,
        video_duration_seconds, file_size_bytes, processing_time_seconds, error_message, created_at,
        updated_at, started_at, completed_at
    from presentation_jobs
    where
        job_id = :job_id
        and status in ('pending', 'processing_slides', 'synthesizing_audio', 'assembling_video')
    for update
),

changed as (
    update presentation_jobs
    set
        status = 'cancelled',
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
from changed;

-- name: retry_job
-- The failed job, to be claimed once more, with its error forgotten. No row where it had not failed.
with earlier as (
    select
        job_id, owner_id, voice_clone_id, status, s3_pptx_path, s3_video_path, slides_count,
        video_duration_seconds, file_size_bytes, processing_time_seconds, error_message, created_at,
        updated_at, started_at, completed_at
    from presentation_jobs
    where
        job_id = :job_id
        and status = 'failed'
    for update
),

changed as (
    update presentation_jobs
    set
        status = 'pending',
        error_message = null,
        started_at = null,
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
from changed;
