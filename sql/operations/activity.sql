-- name: list_sessions
-- The sessions that are at something or in a transaction, and the idle ones that others wait for, the
-- longest transaction first, without this one. Of other roles' sessions all but process, role and database
-- is hidden from those without pg_read_all_stats; who waits for whom is not, for it is read from pg_locks.
-- The process 0 that may stand in blocked_by is a prepared transaction.
with
waits as (
    select distinct on (locks.pid)
        locks.pid,
        locks.locktype as kind,
        locks.mode,
        locks.waitstart,
        pg_blocking_pids(locks.pid) as blocked_by,
        coalesce(locks.relation, tuples.relation) as relation_id,
        coalesce(locks.database, tuples.database) as database_id
    from pg_locks as locks
    left join pg_locks as tuples
        on locks.pid = tuples.pid and tuples.locktype = 'tuple' and tuples.granted
    where not locks.granted
),

blockers as (
    select distinct unnest(waits.blocked_by) as pid
    from waits
),

encodings as (
    select
        databases.datname,
        databases.encoding = current.encoding as is_ours
    from pg_database as databases
    inner join pg_database as current
        on current.datname = current_database()
),

texts as (
    -- The bytes of a text of a database with another encoding are no text here: they are written as escapes.
    select
        activity.pid,
        case
            when encodings.is_ours then activity.query
            else encode(textsend(activity.query), 'escape')
        end as query
    from pg_stat_activity as activity
    inner join encodings
        on activity.datname = encodings.datname
)

select
    activity.pid,
    activity.datname as database_name,
    activity.usename as user_name,
    activity.application_name,
    activity.backend_type as kind,
    activity.state,
    activity.wait_event_type,
    activity.wait_event,
    waits.kind as lock_kind,
    waits.mode as lock_mode,
    host(activity.client_addr) as client_address,
    (
        select relations.relname
        from pg_class as relations
        where
            relations.oid = waits.relation_id
            and waits.database_id = (
                select databases.oid
                from pg_database as databases
                where databases.datname = current_database()
            )
    ) as lock_table,
    array(
        select distinct blocking.pid
        from unnest(waits.blocked_by) as blocking (pid)
        where blocking.pid is not null
        order by blocking.pid
    ) as blocked_by,
    extract(epoch from clock_timestamp() - activity.xact_start)::float8 as transaction_seconds,
    extract(epoch from clock_timestamp() - activity.query_start)::float8 as query_seconds,
    extract(epoch from clock_timestamp() - activity.state_change)::float8 as state_seconds,
    extract(epoch from clock_timestamp() - waits.waitstart)::float8 as waiting_seconds,
    substring(texts.query, '^(?:begin;|[\s(]|--[^\n]*\n)*\w+\s*/\*\s*([\w.:-]+)\s*\*/') as name,
    left(texts.query, 1000) as query,
    coalesce(activity.query = '<insufficient privilege>', false) as is_hidden
from pg_stat_activity as activity
left join waits
    on activity.pid = waits.pid
left join texts
    on activity.pid = texts.pid
where
    activity.pid <> pg_backend_pid()
    and (activity.usename is not null or activity.backend_type = 'autovacuum worker' or waits.pid is not null)
    and activity.backend_type is distinct from 'walsender'
    and (
        activity.state <> 'idle'
        or (activity.state is null and activity.xact_start is not null)
        or activity.query = '<insufficient privilege>'
        or waits.pid is not null
        or activity.pid in (select blockers.pid from blockers)
    )
order by activity.xact_start asc nulls last, activity.pid asc;
