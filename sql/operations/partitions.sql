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

-- name: list_attached
-- The partitions of a table, those too that are in the middle of being detached, in no order.
-- The text of bounds follows the session's time zone and style of dates: both want to be UTC and ISO.
-- It is NULL where a partition is dropped meanwhile.
select
    relations.relname as name,
    inherits.inhdetachpending as is_pending,
    pg_get_expr(relations.relpartbound, relations.oid) as bounds,
    coalesce(comments.description = :mark, false) as is_marked
from pg_inherits as inherits
inner join pg_class as relations
    on inherits.inhrelid = relations.oid
left join pg_description as comments
    on
        relations.oid = comments.objoid
        and comments.classoid = 'pg_class'::regclass
        and comments.objsubid = 0
where inherits.inhparent = :table_id;

-- name: list_detached
-- The names of a schema's tables that are marked as detached from a partitioned one and not dropped yet.
-- No index knows them: it reads the names of all tables.
select relations.relname as name
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
order by name;

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
