-- name: list_reach
-- The tables that are partitioned by ranges of time, with how far their partitions reach: that which ends
-- soonest first. Bounds are read from the text that PostgreSQL makes of them, which wants to be plain, UTC
-- and ISO; those of a partition that is locked against readers cannot be read.
with
locked as (
    select locks.relation
    from pg_locks as locks
    where
        locks.mode = 'AccessExclusiveLock'
        and locks.relation is not null
        and locks.database in (
            select databases.oid
            from pg_database as databases
            where databases.datname = current_database()
        )
        and locks.pid is distinct from pg_backend_pid()
),

partitions as (
    select
        inherits.inhparent as table_id,
        inherits.inhdetachpending as is_leaving,
        case
            when relations.oid not in (select locked.relation from locked)
                then pg_get_expr(relations.relpartbound, relations.oid)
        end as bounds
    from pg_inherits as inherits
    inner join pg_class as relations
        on inherits.inhrelid = relations.oid
    inner join pg_partitioned_table as partitioned
        on inherits.inhparent = partitioned.partrelid
    inner join pg_attribute as columns
        on partitioned.partrelid = columns.attrelid and partitioned.partattrs[0] = columns.attnum
    where
        partitioned.partstrat = 'r'
        and partitioned.partnatts = 1
        and columns.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
),

spans as (
    select
        partitions.table_id,
        (regexp_match(partitions.bounds, 'FROM \(''([^'']+)''\)'))[1]::timestamptz as lower,
        (regexp_match(partitions.bounds, 'TO \(''([^'']+)''\)'))[1]::timestamptz as upper
    from partitions
    where partitions.bounds <> 'DEFAULT' and not partitions.is_leaving
),

ordered as (
    select
        spans.table_id,
        spans.lower,
        coalesce(spans.upper, 'infinity') as upper,
        spans.lower > lag(spans.upper) over by_time as is_after_gap
    from spans
    window by_time as (partition by spans.table_id order by spans.lower asc nulls first)
),

reached as (
    select
        ordered.table_id,
        count(*) as partitions,
        nullif(min(coalesce(ordered.lower, '-infinity')), '-infinity') as reaches_from,
        nullif(max(ordered.upper), 'infinity') as reaches_to,
        bool_or(ordered.upper = 'infinity') as is_endless,
        count(*) filter (where ordered.is_after_gap) as gaps,
        coalesce(bool_or(coalesce(ordered.lower, '-infinity') <= now() and ordered.upper > now()), false)
            as holds_now
    from ordered
    group by ordered.table_id
)

select
    schemas.nspname as schema_name,
    relations.relname as table_name,
    reached.reaches_from,
    reached.reaches_to,
    coalesce(reached.partitions, 0) as partitions,
    case
        when not reached.is_endless then extract(epoch from reached.reaches_to - now())::float8
    end as ahead_seconds,
    coalesce(reached.is_endless, false) as is_endless,
    coalesce(reached.holds_now, false) as holds_now,
    coalesce(reached.gaps, 0) as gaps,
    partitioned.partdefid <> 0 as has_default,
    exists(
        select from partitions
        where partitions.table_id = partitioned.partrelid and partitions.bounds is null
    ) as is_locked
from pg_partitioned_table as partitioned
inner join pg_class as relations
    on partitioned.partrelid = relations.oid
inner join pg_namespace as schemas
    on relations.relnamespace = schemas.oid
inner join pg_attribute as columns
    on partitioned.partrelid = columns.attrelid and partitioned.partattrs[0] = columns.attnum
left join reached
    on partitioned.partrelid = reached.table_id
where
    partitioned.partstrat = 'r'
    and partitioned.partnatts = 1
    and columns.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
order by ahead_seconds asc nulls last, schema_name asc, table_name asc;
