-- name: find_statistics
-- Where pg_stat_statements is, and whether the server loads it: only then has it a setting of that name.
select
    (
        select schemas.nspname
        from pg_extension as extensions
        inner join pg_namespace as schemas
            on extensions.extnamespace = schemas.oid
        where extensions.extname = 'pg_stat_statements'
    ) as schema_name,
    current_setting('pg_stat_statements.max', true) is not null as is_loaded,
    coalesce(current_setting('pg_stat_statements.track', true) = 'none', false) as is_off;

-- name: list_statements
-- The statements of this database that took most time altogether, or on average, or ran most often, with $1
-- for their values; those of several roles together. The statements that are hidden from this role, which
-- has not pg_read_all_stats, are one row without a query_id. The name is a hint: statements that differ in
-- nothing but their comments are one.
with
statements as (
    select
        all_statements.queryid as query_id,
        min(all_statements.query) as query,
        sum(all_statements.calls)::bigint as calls,
        sum(all_statements.rows)::bigint as rows,
        sum(all_statements.total_exec_time) as total_ms,
        max(all_statements.max_exec_time) as max_ms,
        sum(all_statements.shared_blks_hit)::bigint as hits,
        sum(all_statements.shared_blks_read)::bigint as reads,
        sum(all_statements.temp_blks_written)::bigint as temporary_blocks,
        sum(all_statements.wal_bytes)::bigint as wal_bytes
    from pg_stat_statements as all_statements
    inner join pg_database as databases
        on all_statements.dbid = databases.oid
    where
        databases.datname = current_database()
        and all_statements.calls > 0
    group by all_statements.queryid
)

select
    query_id,
    substring(query, '^(?:[\s(]|--[^\n]*\n)*\w+\s*/\*\s*([\w.:-]+)\s*\*/') as name,
    left(coalesce(query, ''), 4000) as query,
    query_id is null as is_hidden,
    coalesce(calls, 0) as calls,
    coalesce(rows, 0) as rows,
    coalesce(total_ms, 0.0) as total_ms,
    coalesce(total_ms / nullif(calls, 0), 0.0) as mean_ms,
    coalesce(max_ms, 0.0) as max_ms,
    coalesce(total_ms / nullif(sum(total_ms) over (), 0), 0.0) as share,
    hits / nullif(hits + reads, 0)::float8 as hit_ratio,
    coalesce(temporary_blocks, 0) as temporary_blocks,
    coalesce(wal_bytes, 0) as wal_bytes
from statements
order by total_ms desc, query_id asc                                  --| order: total
-- order by total_ms / nullif(calls, 0) desc, query_id asc            --| order: mean
-- order by calls desc, query_id asc                                  --| order: calls
limit :limit;
