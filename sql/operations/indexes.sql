-- name: list_indexes
-- The indexes of this database without those of the system, the largest first, those of partitions together
-- with that which they are of. One is unused that no query of this server ever scanned since the statistics
-- were reset, and that neither keeps rows unique nor excludes any: standbys count for themselves. Of tables
-- that are locked the sizes are those of their last vacuum.
with
locked as (
    select coalesce(indexes.indrelid, locks.relation) as table_id
    from pg_locks as locks
    left join pg_index as indexes
        on locks.relation = indexes.indexrelid
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

widths as (
    select
        indexes.indexrelid as index_id,
        count(*) = count(statistics.avg_width) as is_known,
        sum((1 - statistics.null_frac) * statistics.avg_width) as body
    from pg_index as indexes
    inner join pg_class as relations
        on indexes.indrelid = relations.oid
    inner join pg_namespace as schemas
        on relations.relnamespace = schemas.oid
    cross join lateral unnest(indexes.indkey::int2[]) as numbers (attnum)
    left join pg_attribute as columns
        on indexes.indrelid = columns.attrelid and numbers.attnum = columns.attnum
    left join pg_stats as statistics
        on
            schemas.nspname = statistics.schemaname
            and relations.relname = statistics.tablename
            and columns.attname = statistics.attname
            and not statistics.inherited
    where
        schemas.nspname !~ '^pg_'
        and schemas.nspname <> 'information_schema'
        and indexes.indexprs is null
        and indexes.indpred is null
    group by indexes.indexrelid
),

indexes as (
    select
        relations.oid,
        relations.relkind,
        methods.amname as method,
        indexes.indisvalid,
        coalesce(pg_partition_root(relations.oid), relations.oid) as root_id,
        indexes.indrelid in (select locked.table_id from locked) as is_locked,
        current_setting('block_size')::bigint as block,
        case
            when indexes.indrelid in (select locked.table_id from locked)
                then relations.relpages * current_setting('block_size')::bigint
            else pg_relation_size(relations.oid)
        end as bytes,
        case
            when tables.last_analyze is null and tables.last_autoanalyze is null
                then greatest(owners.reltuples::bigint, 0)
            else tables.n_live_tup
        end as live_rows,
        coalesce(statistics.idx_scan, 0) as scans,
        coalesce(statistics.idx_tup_read, 0) as rows_read
    from pg_index as indexes
    inner join pg_class as relations
        on indexes.indexrelid = relations.oid
    inner join pg_class as owners
        on indexes.indrelid = owners.oid
    inner join pg_namespace as schemas
        on relations.relnamespace = schemas.oid
    inner join pg_am as methods
        on relations.relam = methods.oid
    left join pg_stat_all_indexes as statistics
        on relations.oid = statistics.indexrelid
    left join pg_stat_all_tables as tables
        on indexes.indrelid = tables.relid
    where
        schemas.nspname !~ '^pg_'
        and schemas.nspname <> 'information_schema'
),

bloated as (
    select
        indexes.oid,
        case
            when indexes.relkind = 'I' or indexes.bytes <= indexes.block then 0
            when indexes.method = 'btree' and widths.is_known
                then greatest(
                    0,
                    indexes.bytes - indexes.block * (1 + ceil(
                        indexes.live_rows * (12 + 8 * ceil(widths.body / 8.0)) / ((indexes.block - 40) * 0.9)
                    ))
                )
        end as bloat_bytes
    from indexes
    left join widths
        on indexes.oid = widths.index_id
),

together as (
    select
        indexes.root_id,
        sum(indexes.bytes)::bigint as bytes,
        case
            when count(*) = count(bloated.bloat_bytes) then sum(bloated.bloat_bytes)::bigint
        end as bloat_bytes,
        sum(indexes.scans)::bigint as scans,
        sum(indexes.rows_read)::bigint as rows_read,
        bool_and(indexes.indisvalid) as is_valid,
        bool_or(indexes.is_locked) as is_locked
    from indexes
    inner join bloated
        on indexes.oid = bloated.oid
    group by indexes.root_id
)

select
    schemas.nspname as schema_name,
    owners.relname as table_name,
    relations.relname as index_name,
    methods.amname as method,
    together.bloat_bytes,
    indexes.indisprimary as is_primary,
    indexes.indisunique as is_unique,
    case when not together.is_locked then pg_get_indexdef(indexes.indexrelid) end as definition,
    coalesce(together.bytes, 0) as bytes,
    coalesce(together.scans, 0) as scans,
    coalesce(together.rows_read, 0) as rows_read,
    relations.relkind = 'I' as is_partitioned,
    coalesce(together.is_valid, false) as is_valid,
    not coalesce(together.is_valid, false) and exists (
        select from pg_locks as locks
        where
            locks.relation = indexes.indrelid
            and locks.mode = 'ShareUpdateExclusiveLock'
            and locks.granted
            and locks.pid is distinct from pg_backend_pid()
    ) as is_building,
    coalesce(
        together.scans = 0
        and not indexes.indisunique
        and not indexes.indisexclusion
        and not indexes.indisreplident,
        false
    ) as is_unused
from together
inner join pg_index as indexes
    on together.root_id = indexes.indexrelid
inner join pg_class as relations
    on indexes.indexrelid = relations.oid
inner join pg_am as methods
    on relations.relam = methods.oid
inner join pg_class as owners
    on indexes.indrelid = owners.oid
inner join pg_namespace as schemas
    on relations.relnamespace = schemas.oid
order by together.bytes desc, schemas.nspname asc, relations.relname asc
limit :limit;

-- name: list_duplicates
-- The indexes that another one of the same table makes superfluous: an equal one, or one that begins with
-- the same columns. Of two equal ones the other stays: that which keeps rows unique, else the older. One
-- that keeps rows unique is never superfluous beside one that does not, nor one that a foreign key refers
-- to. Tables that are locked against readers are left out.
with
locked as (
    select coalesce(indexes.indrelid, locks.relation) as table_id
    from pg_locks as locks
    left join pg_index as indexes
        on locks.relation = indexes.indexrelid
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

indexes as (
    select
        indexes.indexrelid,
        indexes.indrelid,
        relations.relam,
        schemas.nspname as schema_name,
        relations.relname as index_name,
        indexes.indisunique,
        indexes.indisprimary,
        indexes.indisexclusion,
        indexes.indisreplident,
        indexes.indnkeyatts,
        relations.relkind = 'I' as is_partitioned,
        constraints.oid is not null as is_constraint,
        exists(
            select from pg_constraint as referring
            where referring.contype = 'f' and referring.conindid = indexes.indexrelid
        ) as is_referred_to,
        (indexes.indkey::int2[])[0:indexes.indnkeyatts - 1] as key_columns,
        (indexes.indkey::int2[]) as all_columns,
        (indexes.indclass::oid[])[0:indexes.indnkeyatts - 1] as classes,
        (indexes.indcollation::oid[])[0:indexes.indnkeyatts - 1] as collations,
        (indexes.indoption::int2[])[0:indexes.indnkeyatts - 1] as options,
        coalesce(pg_get_expr(indexes.indexprs, indexes.indrelid), '') as expressions,
        coalesce(pg_get_expr(indexes.indpred, indexes.indrelid), '') as predicate
    from pg_index as indexes
    inner join pg_class as relations
        on indexes.indexrelid = relations.oid
    inner join pg_namespace as schemas
        on relations.relnamespace = schemas.oid
    left join pg_constraint as constraints
        on indexes.indexrelid = constraints.conindid and constraints.contype in ('p', 'u', 'x')
    where
        not relations.relispartition
        and indexes.indrelid not in (select locked.table_id from locked)
        and indexes.indisvalid
        and schemas.nspname !~ '^pg_'
        and schemas.nspname <> 'information_schema'
)

select distinct on (extra.indexrelid)
    extra.schema_name,
    relations.relname as table_name,
    extra.index_name,
    kept.index_name as kept_name,
    extra.is_constraint,
    extra.is_partitioned,
    case when extra.key_columns = kept.key_columns then 'equal' else 'prefix' end as kind,
    pg_get_indexdef(extra.indexrelid) as definition,
    pg_get_indexdef(kept.indexrelid) as kept_definition
from indexes as extra
inner join indexes as kept
    on
        extra.indrelid = kept.indrelid
        and extra.indexrelid <> kept.indexrelid
        and extra.relam = kept.relam
        and extra.predicate = kept.predicate
        and extra.expressions = kept.expressions
        and extra.all_columns <@ kept.all_columns
        and not extra.indisprimary
        and not extra.indisexclusion
        and not extra.indisreplident
        and not extra.is_referred_to
inner join pg_class as relations
    on extra.indrelid = relations.oid
inner join pg_am as methods
    on extra.relam = methods.oid
where
    extra.classes = kept.classes[1:extra.indnkeyatts]
    and extra.collations = kept.collations[1:extra.indnkeyatts]
    and extra.options = kept.options[1:extra.indnkeyatts]
    and extra.key_columns = kept.key_columns[1:extra.indnkeyatts]
    and (
        (
            -- an equal one: the lesser of the two goes
            extra.indnkeyatts = kept.indnkeyatts
            and (
                cardinality(extra.all_columns) < cardinality(kept.all_columns)
                or extra.all_columns = kept.all_columns
            )
            and (not extra.indisunique or kept.indisunique)
            and (
                kept.indisprimary, kept.is_constraint, kept.indisunique, kept.indisreplident,
                cardinality(kept.all_columns), -kept.indexrelid::bigint
            ) > (
                extra.indisprimary, extra.is_constraint, extra.indisunique, extra.indisreplident,
                cardinality(extra.all_columns), -extra.indexrelid::bigint
            )
        )
        or (
            extra.indnkeyatts < kept.indnkeyatts
            and not extra.indisunique
            and extra.expressions = ''
            and methods.amname = 'btree'
        )
    )
order by extra.indexrelid, kept.indnkeyatts, kept.indexrelid;

-- name: list_locked
-- The tables with indexes that somebody locks against readers, or waits to: their definitions are not read.
select distinct relations.relname::text as table_name
from pg_locks as locks
left join pg_index as own
    on locks.relation = own.indexrelid
inner join pg_class as relations
    on coalesce(own.indrelid, locks.relation) = relations.oid
inner join pg_namespace as schemas
    on relations.relnamespace = schemas.oid
where
    locks.mode = 'AccessExclusiveLock'
    and locks.database in (
        select databases.oid
        from pg_database as databases
        where databases.datname = current_database()
    )
    and locks.pid is distinct from pg_backend_pid()
    and relations.relhasindex
    and schemas.nspname !~ '^pg_'
    and schemas.nspname <> 'information_schema'
order by table_name;

-- name: list_unindexed_keys
-- The foreign keys whose columns no index begins with, those of the largest tables first: each row that is
-- deleted from the table that is referred to reads the whole table that refers to it, and so does a join
-- from there.
with
locked as (
    select coalesce(indexes.indrelid, locks.relation) as table_id
    from pg_locks as locks
    left join pg_index as indexes
        on locks.relation = indexes.indexrelid
    where
        locks.mode = 'AccessExclusiveLock'
        and locks.relation is not null
        and locks.database in (
            select databases.oid
            from pg_database as databases
            where databases.datname = current_database()
        )
        and locks.pid is distinct from pg_backend_pid()
)

select
    schemas.nspname as schema_name,
    children.relname as table_name,
    constraints.conname as constraint_name,
    parents.oid::regclass::text as parent,
    array(
        select columns.attname::text
        from unnest(constraints.conkey) with ordinality as numbers (attnum, place)
        inner join pg_attribute as columns
            on constraints.conrelid = columns.attrelid and numbers.attnum = columns.attnum
        order by numbers.place
    ) as columns,
    children.relkind = 'p' as is_partitioned,
    greatest(children.reltuples::bigint, 0) as rows,
    constraints.confdeltype in ('c', 'n', 'd') as changes_on_delete
from pg_constraint as constraints
inner join pg_class as children
    on constraints.conrelid = children.oid
inner join pg_namespace as schemas
    on children.relnamespace = schemas.oid
inner join pg_class as parents
    on constraints.confrelid = parents.oid
where
    constraints.contype = 'f'
    and constraints.conparentid = 0
    and not children.relispartition
    and schemas.nspname !~ '^pg_'
    and schemas.nspname <> 'information_schema'
    and not exists (
        select from pg_index as indexes
        where
            indexes.indrelid = constraints.conrelid
            and indexes.indisvalid
            and (
                indexes.indpred is null
                or case
                    when indexes.indrelid not in (select locked.table_id from locked)
                        then pg_get_expr(indexes.indpred, indexes.indrelid)
                end = (
                    select format('(%I IS NOT NULL)', columns.attname)
                    from pg_attribute as columns
                    where
                        columns.attrelid = constraints.conrelid
                        and cardinality(constraints.conkey) = 1
                        and columns.attnum = constraints.conkey[1]
                )
            )
            and (indexes.indkey::int2[])[0:cardinality(constraints.conkey) - 1] @> constraints.conkey
            and indexes.indnkeyatts >= cardinality(constraints.conkey)
    )
order by children.relpages desc, schemas.nspname asc, children.relname asc, constraints.conname asc;
