-- name: get_database_stats
-- How much there is of everything, at one moment; the size is in bytes, of all tables with their indexes.
select
    (select count(*) from users) as users,
    (
        select count(*)
        from users
        where users.is_active
    ) as active_users,
    (select count(*) from data_analyses) as data_analyses,
    (
        select count(*)
        from data_analyses
        where data_analyses.created_at >= :recent_since
    ) as recent_analyses,
    (select count(*) from analysis_files) as analysis_files,
    (select count(*) from tool_generations) as tool_generations,
    (select count(*) from system_logs) as system_logs,
    (
        select count(*)
        from cache_entries
        where cache_entries.expires_at > now()
    ) as cache_entries;

-- name: count_analyses_by_status
-- How many analyses there are in each status that has any.
select
    status,
    count(*) as analyses
from data_analyses
group by status
order by status;

-- name: delete_old_analyses
-- Deletes ended analyses that nobody has touched since a time; their files go with them.
delete from data_analyses
where
    updated_at < :before
    and status in ('completed', 'failed', 'cancelled');

-- name: count_files_of_old_analyses
-- How many files delete_old_analyses takes along.
select count(*) as files
from analysis_files
inner join data_analyses
    on analysis_files.analysis_id = data_analyses.analysis_id
where
    data_analyses.updated_at < :before
    and data_analyses.status in ('completed', 'failed', 'cancelled');

-- name: delete_old_tools
-- Deletes ended tool generations that nobody has touched since a time.
delete from tool_generations
where
    updated_at < :before
    and status in ('completed', 'failed', 'cancelled');

-- name: count_old_logs
-- How many lines are older than a time: those whose partitions are dropped with it.
select count(*) as lines
from system_logs
where created_at < :before;

-- name: delete_old_logs
-- Deletes the lines older than a time: what is left in the partition that the time falls into.
delete from system_logs
where created_at < :before;
