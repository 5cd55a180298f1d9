-- name: find_table
-- The table of a name, as the search path finds it, and how it is partitioned; no row where there is none.
select
    relations.oid as table_id,
    relations.relrowsecurity as is_protected,
    schemas.nspname as schema_name,
    tablespaces.spcname as tablespace,
    pg_get_userbyid(relations.relowner) as owner,
    pg_get_userbyid(relations.relowner) = current_user as is_owner,
    coalesce(
        partitioned.partstrat = 'r'
        and partitioned.partnatts = 1
        and columns.atttypid = 'timestamptz'::regtype,
        false
    ) as is_by_time,
    nullif(partitioned.partdefid, 0)::regclass::text as default_partition
from pg_class as relations
inner join pg_namespace as schemas
    on relations.relnamespace = schemas.oid
left join pg_partitioned_table as partitioned
    on relations.oid = partitioned.partrelid
left join pg_attribute as columns
    on partitioned.partrelid = columns.attrelid and partitioned.partattrs[0] = columns.attnum
left join pg_tablespace as tablespaces
    on relations.reltablespace = tablespaces.oid
where relations.oid = to_regclass(quote_ident(:table_name));

-- name: list_standing
-- The partitions of a table by time, then those that are marked as detached from it and not dropped yet.
-- Bounds are read from the text that PostgreSQL makes of them, in the session's time zone and style of dates:
-- both want to be plain, UTC and ISO.
with
partitions as (
    select
        relations.relname as name,
        pg_get_expr(relations.relpartbound, relations.oid) as bounds,
        case when inherits.inhdetachpending then 'pending' else 'attached' end as state,
        coalesce(comments.description = :mark, false) as is_marked
    from pg_inherits as inherits
    inner join pg_class as relations
        on inherits.inhrelid = relations.oid
    left join pg_description as comments
        on
            relations.oid = comments.objoid
            and comments.classoid = 'pg_class'::regclass
            and comments.objsubid = 0
    where inherits.inhparent = :table_id
)

select
    name,
    nullif((regexp_match(bounds, 'FROM \(''([^'']+)''\)'))[1]::timestamptz, '-infinity') as lower,
    nullif((regexp_match(bounds, 'TO \(''([^'']+)''\)'))[1]::timestamptz, 'infinity') as upper,
    state,
    is_marked
from partitions
where bounds <> 'DEFAULT'
union all
select
    relations.relname as name,
    null as lower,
    null as upper,
    'detached' as state,
    true as is_marked
from pg_class as relations
inner join pg_namespace as schemas
    on relations.relnamespace = schemas.oid
inner join pg_description as comments
    on relations.oid = comments.objoid
where
    schemas.nspname = :schema_name
    and relations.relkind in ('r', 'p')
    and not relations.relispartition
    and comments.classoid = 'pg_class'::regclass
    and comments.objsubid = 0
    and comments.description = :mark
order by lower nulls last, name;

-- name: has_relation
-- Whether a name is taken in a schema.
select to_regclass(quote_ident(:schema_name) || '.' || quote_ident(:name)) is not null as is_taken;

-- name: try_lock
-- Whether the lock of a table's partitions is ours until the transaction ends.
select pg_try_advisory_xact_lock(:key) as is_ours;

-- name: try_session_lock
-- Whether the lock of a table's partitions is ours until it is given back.
select pg_try_advisory_lock(:key) as is_ours;

-- name: unlock_session
-- Gives the lock of a table's partitions back.
select pg_advisory_unlock(:key) as was_ours;

-- name: read_clocks
-- When the transaction began, which is a new row's default time, and the time now.
select
    now() as began,
    clock_timestamp() as clock;
