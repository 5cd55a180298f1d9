-- name: get_metrics
-- How much there is of everything, at one moment; days are UTC's.
select
    (select count(*) from users) as total_users,
    (
        select count(*)
        from users
        where users.is_active
    ) as active_users,
    (select count(*) from voice_clones) as total_voice_clones,
    count(*) as total_jobs,
    count(*) filter (where status = 'pending') as pending_jobs,
    count(*) filter (
        where status in ('processing_slides', 'synthesizing_audio', 'assembling_video')
    ) as active_jobs,
    count(*) filter (where status = 'completed') as completed_jobs,
    count(*) filter (
        where status = 'failed' and updated_at >= date_trunc('day', now(), 'UTC')
    ) as failed_jobs_today
from presentation_jobs;

-- name: count_jobs_by_status
--@ replica: ok
-- How many jobs there are in each status that has any, and how long they took and are, where it is known.
select
    status,
    count(*) as jobs,
    avg(processing_time_seconds) as mean_processing_seconds,
    sum(video_duration_seconds) as video_seconds
from presentation_jobs
group by status
order by status;

-- name: search
--@ replica: ok
-- Users and voices by their names and jobs by their errors, the best first: all words of the term, "a phrase"
-- in quotes, -without. What is no longer active is not found.
select
    'user' as kind,
    user_id as row_id,
    user_id as owner_id,
    name::text as found,
    ts_rank(to_tsvector('simple', name), websearch_to_tsquery('simple', :term)) as rank
from users
where to_tsvector('simple', name) @@ websearch_to_tsquery('simple', :term) and is_active
union all
select
    'voice' as kind,
    voice_clone_id as row_id,
    owner_id,
    name::text as found,
    ts_rank(to_tsvector('simple', name), websearch_to_tsquery('simple', :term)) as rank
from voice_clones
where to_tsvector('simple', name) @@ websearch_to_tsquery('simple', :term) and is_active
union all
select
    'job' as kind,
    job_id as row_id,
    owner_id,
    error_message as found,
    ts_rank(to_tsvector('simple', error_message), websearch_to_tsquery('simple', :term)) as rank
from presentation_jobs
where
    error_message is not null
    and to_tsvector('simple', error_message) @@ websearch_to_tsquery('simple', :term)
order by rank desc, kind asc, row_id asc
limit :limit;
