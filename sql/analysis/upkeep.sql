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
-- Deletes some ended analyses that nobody has touched since a time, and their files with them; says how many
-- of both, and the last one's key: the next batch begins after it, and reads nothing twice. Rows that
-- somebody holds are left for the next time.
with old as (
    select analysis_id
    from data_analyses
    where
        updated_at < :before
        and status in ('completed', 'failed', 'cancelled')
        and analysis_id > :after   --? optional
    order by analysis_id
    limit :limit
    for update skip locked
),

gone_files as (
    delete from analysis_files
    using old
    where analysis_files.analysis_id = old.analysis_id
    returning analysis_files.file_id
),

gone as (
    delete from data_analyses
    using old
    where data_analyses.analysis_id = old.analysis_id
    returning data_analyses.analysis_id
)

select
    (select count(*) from gone) as analyses,
    (select count(*) from gone_files) as files,
    (
        select old.analysis_id
        from old
        order by old.analysis_id desc
        limit 1
    ) as last_id;

-- name: delete_old_tools
-- Deletes some ended tool generations that nobody has touched since a time; says how many, and the last one's
-- key, after which the next batch begins. Rows that somebody holds are left for the next time.
with old as (
    select tool_id
    from tool_generations
    where
        updated_at < :before
        and status in ('completed', 'failed', 'cancelled')
        and tool_id > :after   --? optional
    order by tool_id
    limit :limit
    for update skip locked
),

gone as (
    delete from tool_generations
    using old
    where tool_generations.tool_id = old.tool_id
    returning tool_generations.tool_id
)

select
    (select count(*) from gone) as tools,
    (
        select old.tool_id
        from old
        order by old.tool_id desc
        limit 1
    ) as last_id;

-- name: count_old_logs
-- How many lines are older than a time: those whose partitions are dropped with it.
select count(*) as lines
from system_logs
where created_at < :before;

-- name: delete_old_logs
-- Deletes some lines older than a time: what is left in the partition that the time falls into.
delete from system_logs
where
    created_at < :before
    and (log_id, created_at) in (
        select
            old.log_id,
            old.created_at
        from system_logs as old
        where old.created_at < :before
        order by old.created_at, old.log_id
        limit :limit
        for update skip locked
    );
