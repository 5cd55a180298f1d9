-- name: find_schema
-- The schema that is named, else the first of the search path; no row where it is not there.
select schemas.nspname as schema_name
from pg_namespace as schemas
where schemas.nspname = coalesce(:schema_name, current_schema());

-- name: list_columns
-- The columns of a schema's tables, by table and place. Partitions are their table's; what migrations keep of
-- themselves is left away. A column is unique that is so by itself, also in an expression (lower(email)).
with
tables as (
    select
        relations.oid,
        relations.relname
    from pg_class as relations
    inner join pg_namespace as schemas
        on relations.relnamespace = schemas.oid
    where
        schemas.nspname = :schema_name
        and relations.relkind in ('r', 'p', 'f')
        and not relations.relispartition
        and relations.relname !~ '^(_yoyo_|_sqlkit_|yoyo_lock$)'
),

keys as (
    select
        constraints.conrelid as table_id,
        constraints.contype as kind,
        columns.attnum
    from pg_constraint as constraints
    cross join lateral unnest(constraints.conkey) as columns (attnum)
    where
        constraints.contype in ('p', 'f')
        or (constraints.contype = 'u' and cardinality(constraints.conkey) = 1)
    union
    select
        indexes.indrelid as table_id,
        'u' as kind,
        min(depends.refobjsubid) as attnum
    from pg_index as indexes
    inner join pg_depend as depends
        on
            indexes.indexrelid = depends.objid
            and indexes.indrelid = depends.refobjid
            and depends.classid = 'pg_class'::regclass
    where
        indexes.indisunique
        and indexes.indnkeyatts = 1
        and depends.refobjsubid > 0
    group by indexes.indexrelid, indexes.indrelid
    having count(*) = 1
)

select
    tables.relname as table_name,
    columns.attname as name,
    format_type(columns.atttypid, columns.atttypmod) as type,
    not columns.attnotnull as is_nullable,
    col_description(tables.oid, columns.attnum) as comment,
    array(
        select distinct keys.kind::text
        from keys
        where keys.table_id = tables.oid and keys.attnum = columns.attnum
    ) as keys
from tables
inner join pg_attribute as columns
    on tables.oid = columns.attrelid
where columns.attnum > 0 and not columns.attisdropped
order by tables.relname, columns.attnum;

-- name: list_relations
-- The foreign keys of a schema's tables, by the table that is referred to: whether each row must refer to
-- one, and whether only one row may refer to the same.
select
    parents.relname as parent,
    children.relname as child,
    parents.relnamespace <> children.relnamespace as is_elsewhere,
    array(
        select columns.attname::text
        from unnest(constraints.conkey) with ordinality as numbers (attnum, place)
        inner join pg_attribute as columns
            on constraints.conrelid = columns.attrelid and numbers.attnum = columns.attnum
        order by numbers.place
    ) as columns,
    not exists (
        select from pg_attribute as columns
        where
            columns.attrelid = constraints.conrelid
            and columns.attnum = any(constraints.conkey)
            and not columns.attnotnull
    ) as is_required,
    exists(
        select from pg_index as indexes
        where
            indexes.indrelid = constraints.conrelid
            and indexes.indisunique
            and indexes.indpred is null
            and indexes.indexprs is null
            and (indexes.indkey::int2[])[0:indexes.indnkeyatts - 1] <@ constraints.conkey
    ) as is_single
from pg_constraint as constraints
inner join pg_class as children
    on constraints.conrelid = children.oid
inner join pg_namespace as schemas
    on children.relnamespace = schemas.oid
inner join pg_class as parents
    on constraints.confrelid = parents.oid
where
    schemas.nspname = :schema_name
    and constraints.contype = 'f'
    and constraints.conparentid = 0
    and not children.relispartition
order by parents.relname, children.relname, constraints.conname;
