-- name: read_server
-- The server and this database, at this moment: counts are since the statistics were last reset.
with
sessions as (
    select
        count(*) as connections,
        count(*) filter (where activity.state = 'active') as active,
        count(*) filter (where activity.state = 'idle') as idle,
        count(*) filter (where activity.state like 'idle in transaction%') as idle_in_transaction,
        count(*) filter (where activity.query = '<insufficient privilege>') as hidden
    from pg_stat_activity as activity
    where
        activity.backend_type = 'client backend'
        or (activity.backend_type is null and activity.usename is not null)
)

select
    sessions.connections,
    sessions.active,
    sessions.idle,
    sessions.idle_in_transaction,
    sessions.hidden,
    statistics.stats_reset as counted_since,
    current_database()::text as database_name,
    current_user::text as user_name,
    current_setting('server_version') as version,
    current_setting('server_version_num')::integer as version_number,
    pg_is_in_recovery() as is_standby,
    clock_timestamp() as moment,
    pg_postmaster_start_time() as started_at,
    extract(epoch from clock_timestamp() - pg_postmaster_start_time())::float8 as uptime_seconds,
    pg_has_role('pg_read_all_stats', 'usage') as reads_all,
    current_setting('max_connections')::integer as max_connections,
    coalesce(statistics.xact_commit, 0) as commits,
    coalesce(statistics.xact_rollback, 0) as rollbacks,
    coalesce(statistics.blks_hit, 0) as hits,
    coalesce(statistics.blks_read, 0) as reads,
    statistics.blks_hit / nullif(statistics.blks_hit + statistics.blks_read, 0)::float8 as hit_ratio,
    coalesce(statistics.tup_returned, 0) as rows_read,
    coalesce(statistics.tup_inserted + statistics.tup_updated + statistics.tup_deleted, 0) as rows_written,
    coalesce(statistics.deadlocks, 0) as deadlocks,
    coalesce(statistics.temp_files, 0) as temporary_files,
    coalesce(statistics.temp_bytes, 0) as temporary_bytes,
    coalesce(statistics.conflicts, 0) as conflicts,
    current_setting('track_counts')::boolean as counts,
    current_setting('track_activities')::boolean as shows_activity,
    current_setting('autovacuum')::boolean as vacuums
from sessions
left join pg_stat_database as statistics
    on statistics.datname = current_database()
order by statistics.datid
limit 1;

-- name: list_databases
-- The databases of the server, that with the oldest transaction id first. The size of one that this role
-- may not connect to is not known without pg_read_all_stats.
select
    databases.datname as database_name,
    case
        when
            has_database_privilege(databases.oid, 'connect') or pg_has_role('pg_read_all_stats', 'usage')
            then pg_database_size(databases.oid)
    end as bytes,
    age(databases.datfrozenxid) as transaction_age,
    mxid_age(databases.datminmxid) as multixact_age,
    current_setting('autovacuum_freeze_max_age')::integer as freezes_at,
    coalesce(statistics.numbackends, 0) as connections,
    statistics.blks_hit / nullif(statistics.blks_hit + statistics.blks_read, 0)::float8 as hit_ratio,
    databases.datname = current_database() as is_current
from pg_database as databases
left join pg_stat_database as statistics
    on databases.oid = statistics.datid
order by age(databases.datfrozenxid) desc, databases.datname asc;
