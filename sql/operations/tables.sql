-- name: list_tables
-- The tables of this database without those of the system, the largest first, partitions together with the
-- table that they are of. Sizes take a lock that an alter table keeps from others: of a table that is
-- locked so, or about to be, they are those of its last vacuum. Counts are since the statistics were last
-- reset. What live rows would not need of a table is an estimate from the average widths of its columns,
-- unknown for a table that was never analyzed or that this role may not read.
with
locked as (
    select coalesce(indexes.indrelid, owners.oid, locks.relation) as table_id
    from pg_locks as locks
    left join pg_index as indexes
        on locks.relation = indexes.indexrelid
    left join pg_class as owners
        on locks.relation = owners.reltoastrelid
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
        columns.attrelid as table_id,
        count(*) = count(statistics.avg_width) as is_known,
        23 + case when bool_or(statistics.null_frac > 0) then (count(*) + 7) / 8 else 0 end as header,
        sum((1 - statistics.null_frac) * statistics.avg_width) as body
    from pg_attribute as columns
    inner join pg_class as relations
        on columns.attrelid = relations.oid
    inner join pg_namespace as schemas
        on relations.relnamespace = schemas.oid
    left join pg_stats as statistics
        on
            schemas.nspname = statistics.schemaname
            and relations.relname = statistics.tablename
            and columns.attname = statistics.attname
            and not statistics.inherited
    where
        columns.attnum > 0
        and not columns.attisdropped
        and relations.relkind in ('r', 'm')
        and schemas.nspname !~ '^pg_'
        and schemas.nspname <> 'information_schema'
    group by columns.attrelid
),

tables as (
    select
        relations.oid,
        relations.relispartition,
        relations.relkind,
        relations.reltoastrelid,
        coalesce(pg_partition_root(relations.oid), relations.oid) as root_id,
        current_setting('block_size')::bigint as block,
        case
            when statistics.last_analyze is null and statistics.last_autoanalyze is null
                then greatest(relations.reltuples::bigint, statistics.n_live_tup, 0)
            else statistics.n_live_tup
        end as live_rows,
        case when relations.oid in (select locked.table_id from locked) then relations.relpages end
            as locked_pages,
        coalesce(substring(array_to_string(relations.reloptions, ' '), 'fillfactor=(\d+)')::integer, 100)
            as fill,
        case when relations.relfrozenxid <> '0'::xid then age(relations.relfrozenxid) end as transaction_age,
        has_table_privilege(relations.oid, 'select') as is_readable,
        coalesce(statistics.n_dead_tup, 0) as dead_rows,
        coalesce(statistics.n_mod_since_analyze, 0) as changed_rows,
        coalesce(statistics.seq_scan, 0) as seq_scans,
        coalesce(statistics.seq_tup_read, 0) as seq_rows,
        coalesce(statistics.idx_scan, 0) as index_scans,
        coalesce(statistics.n_tup_ins + statistics.n_tup_upd + statistics.n_tup_del, 0) as written_rows,
        greatest(statistics.last_vacuum, statistics.last_autovacuum) as vacuumed_at,
        greatest(statistics.last_analyze, statistics.last_autoanalyze) as analyzed_at,
        blocks.heap_blks_hit + coalesce(blocks.idx_blks_hit, 0) as hits,
        blocks.heap_blks_read + coalesce(blocks.idx_blks_read, 0) as reads
    from pg_class as relations
    inner join pg_namespace as schemas
        on relations.relnamespace = schemas.oid
    left join pg_stat_all_tables as statistics
        on relations.oid = statistics.relid
    left join pg_statio_all_tables as blocks
        on relations.oid = blocks.relid
    where
        relations.relkind in ('r', 'p', 'm')
        and schemas.nspname !~ '^pg_'
        and schemas.nspname <> 'information_schema'
),

sized as (
    select
        tables.oid,
        coalesce(tables.locked_pages * tables.block, pg_relation_size(tables.oid)) as heap_bytes,
        case
            when tables.locked_pages is null then pg_table_size(tables.oid) - coalesce(toast.bytes, 0)
            else tables.locked_pages * tables.block
        end as table_bytes,
        coalesce(toast.bytes, 0) as toast_bytes,
        case
            when tables.locked_pages is null then pg_indexes_size(tables.oid)
            else (
                select coalesce(sum(relations.relpages::bigint), 0) * tables.block
                from pg_index as indexes
                inner join pg_class as relations
                    on indexes.indexrelid = relations.oid
                where indexes.indrelid = tables.oid
            )
        end as index_bytes
    from tables
    left join
        lateral (
            select
                case
                    when tables.locked_pages is null then pg_total_relation_size(relations.oid)
                    else relations.relpages * tables.block
                end as bytes
            from pg_class as relations
            where relations.oid = tables.reltoastrelid
        ) as toast
        on true
),

bloated as (
    select
        tables.oid,
        case
            when sized.heap_bytes = 0 then 0
            when widths.is_known
                then greatest(
                    0,
                    sized.heap_bytes - tables.block * ceil(
                        tables.live_rows * (4 + 8 * ceil(widths.header / 8.0) + 8 * ceil(widths.body / 8.0))
                        / ((tables.block - 24) * tables.fill / 100.0)
                    )
                )
        end as bloat_bytes
    from tables
    inner join sized
        on tables.oid = sized.oid
    left join widths
        on tables.oid = widths.table_id
    where tables.relkind <> 'p'
),

together as (
    select
        tables.root_id,
        count(*) filter (where tables.relispartition and tables.relkind <> 'p') as partitions,
        sum(tables.live_rows)::bigint as live_rows,
        sum(tables.dead_rows)::bigint as dead_rows,
        sum(tables.changed_rows)::bigint as changed_rows,
        sum(sized.table_bytes)::bigint as table_bytes,
        sum(sized.toast_bytes)::bigint as toast_bytes,
        sum(sized.index_bytes)::bigint as index_bytes,
        case
            when count(*) filter (where tables.relkind <> 'p') = count(bloated.bloat_bytes)
                then sum(coalesce(bloated.bloat_bytes, 0))::bigint
        end as bloat_bytes,
        sum(tables.seq_scans)::bigint as seq_scans,
        sum(tables.seq_rows)::bigint as seq_rows,
        sum(tables.index_scans)::bigint as index_scans,
        sum(tables.written_rows)::bigint as written_rows,
        sum(tables.hits) / nullif(sum(tables.hits) + sum(tables.reads), 0)::float8 as hit_ratio,
        max(tables.vacuumed_at) as vacuumed_at,
        max(tables.analyzed_at) as analyzed_at,
        max(tables.transaction_age) as transaction_age,
        bool_and(tables.is_readable) as is_readable,
        bool_or(tables.locked_pages is not null) as is_locked
    from tables
    inner join sized
        on tables.oid = sized.oid
    left join bloated
        on tables.oid = bloated.oid
    group by tables.root_id
)

select
    schemas.nspname as schema_name,
    relations.relname as table_name,
    together.bloat_bytes,
    together.hit_ratio::float8 as hit_ratio,
    together.vacuumed_at,
    together.analyzed_at,
    together.transaction_age,
    case relations.relkind
        when 'm' then 'materialized view' when 'p' then 'partitioned table' else 'table'
    end as kind,
    coalesce(together.partitions, 0) as partitions,
    coalesce(together.live_rows, 0) as live_rows,
    coalesce(together.dead_rows, 0) as dead_rows,
    coalesce(together.changed_rows, 0) as changed_rows,
    coalesce(together.table_bytes, 0) as table_bytes,
    coalesce(together.toast_bytes, 0) as toast_bytes,
    coalesce(together.index_bytes, 0) as index_bytes,
    coalesce(together.table_bytes + together.toast_bytes + together.index_bytes, 0) as total_bytes,
    coalesce(together.seq_scans, 0) as seq_scans,
    coalesce(together.seq_rows, 0) as seq_rows,
    coalesce(together.index_scans, 0) as index_scans,
    coalesce(together.written_rows, 0) as written_rows,
    coalesce(together.is_readable, false) as is_readable,
    coalesce(together.is_locked, false) as is_locked
from together
inner join pg_class as relations
    on together.root_id = relations.oid
inner join pg_namespace as schemas
    on relations.relnamespace = schemas.oid
order by total_bytes desc, schemas.nspname asc, relations.relname asc
limit :limit;
