-- name: find_statistics
-- Whether pg_stat_statements is found from this connection, and whether the server loads it: only then has
-- it a setting of that name.
select
    to_regclass('pg_stat_statements') is not null as is_installed,
    current_setting('pg_stat_statements.max', true) is not null as is_loaded;

-- name: list_slow_queries
-- The statements of this database that took longer than so many milliseconds on average, the slowest first.
-- Of other roles' statements the text is hidden from those without pg_read_all_stats.
select
    statements.query,
    statements.calls,
    statements.rows,
    statements.total_exec_time as total_time,
    statements.mean_exec_time as mean_time,
    statements.max_exec_time as max_time
from pg_stat_statements as statements
inner join pg_database as databases
    on statements.dbid = databases.oid
where
    databases.datname = current_database()
    and statements.mean_exec_time > :slower_than
order by statements.mean_exec_time desc, statements.queryid asc
limit :limit;

-- name: list_active_connections
-- The connections to this database that are not idle, the longest at it first, without this one. Of other
-- roles' connections all but the process and the role is hidden from those without pg_read_all_stats.
select
    pid,
    usename as user_name,
    application_name,
    state,
    wait_event_type,
    wait_event,
    xact_start,
    query_start,
    state_change,
    query,
    host(client_addr) as client_address
from pg_stat_activity
where
    datname = current_database()
    and coalesce(backend_type, 'client backend') = 'client backend'
    and state is distinct from 'idle'
    and pid <> pg_backend_pid()
order by query_start asc nulls last, pid asc;
