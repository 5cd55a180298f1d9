-- name: lift_timeouts
-- Takes this connection's bounds on the time of statements and transactions away: a backup of much takes
-- long. Which of them there are depends on the server's version.
select set_config(name, '0', false) as value
from pg_settings
where
    name in (
        'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout',
        'idle_session_timeout'
    );

-- name: see_all_rows
-- From now on a table whose rows this role sees in part is an error, and not a part of them.
select set_config('row_security', 'off', false) as value;

-- name: export_snapshot
-- The name of this transaction's snapshot, under which other connections see the same rows.
select pg_export_snapshot() as snapshot;

-- name: read_database
-- The database that this is, and what it was made with.
select
    databases.datname::text as name,
    databases.datcollate::text as collation,
    databases.datctype::text as character_type,
    current_setting('server_version_num')::integer as server_version,
    now() as taken_at,
    pg_encoding_to_char(databases.encoding)::text as encoding,
    to_jsonb(databases) ->> 'datlocprovider' as provider,
    coalesce(to_jsonb(databases) ->> 'datlocale', to_jsonb(databases) ->> 'daticulocale') as locale
from pg_database as databases
where databases.datname = current_database();

-- name: list_settings
-- What `alter database ... set` has said of this database, each as name=value.
select unnest(settings.setconfig) as setting
from pg_db_role_setting as settings
inner join pg_database as databases
    on settings.setdatabase = databases.oid
where databases.datname = current_database() and settings.setrole = 0
order by setting;

-- name: list_stored_tables
-- The tables that have rows of their own, partitions too, of some schemas or of all that are the users'; not
-- those of extensions, and not temporary ones. The size is in bytes, and an estimate of the work.
select
    schemas.nspname::text as schema_name,
    tables.relname::text as table_name,
    pg_table_size(tables.oid) as size
from pg_class as tables
inner join pg_namespace as schemas
    on tables.relnamespace = schemas.oid
where
    tables.relkind = 'r'
    and tables.relpersistence <> 't'
    and schemas.nspname not like 'pg\_%'
    and schemas.nspname <> 'information_schema'
    and schemas.nspname = any(:schemas)   --? optional
    and not exists (
        select from pg_depend as members
        where
            members.classid = 'pg_class'::regclass
            and members.objid = tables.oid
            and members.deptype = 'e'
    )
order by schemas.nspname, tables.relname;

-- name: bound_locks
-- From now on this connection gives up on a lock after so many milliseconds.
select set_config('lock_timeout', cast(cast(:milliseconds as integer) as text), false) as value;

-- name: list_blockers
-- Who keeps others from reading tables of some schemas or of all, the longest transaction first: who holds a
-- table's ACCESS EXCLUSIVE lock, or waits for it in front of all that come later.
select
    schemas.nspname::text as schema_name,
    tables.relname::text as table_name,
    locks.pid,
    activity.application_name,
    locks.granted as holds,
    extract(epoch from clock_timestamp() - activity.xact_start)::double precision as seconds
from pg_locks as locks
inner join pg_class as tables
    on locks.relation = tables.oid
inner join pg_namespace as schemas
    on tables.relnamespace = schemas.oid
left join pg_stat_activity as activity
    on locks.pid = activity.pid
where
    locks.mode = 'AccessExclusiveLock'
    and locks.database = (
        select databases.oid from pg_database as databases
        where databases.datname = current_database()
    )
    and tables.relkind = 'r'
    and schemas.nspname not like 'pg\_%'
    and schemas.nspname = any(:schemas)   --? optional
order by not locks.granted, activity.xact_start, schemas.nspname, tables.relname;

-- name: list_waits
-- At which relations the connections of an application wait for a lock, be it of a sequence or a view, and
-- for whom; in a circle where that one waits for this connection or for one of those. In a transaction
-- `forget_activity` goes before it.
select
    schemas.nspname::text as schema_name,
    relations.relname::text as table_name,
    blockers.pid,
    activity.application_name,
    exists(
        select from pg_locks as held
        where held.pid = blockers.pid and held.relation = waits.relation and held.granted
    ) as holds,
    extract(epoch from clock_timestamp() - activity.xact_start)::double precision as seconds,
    coalesce(
        pg_blocking_pids(blockers.pid) && (
            select array_agg(own.pid) from pg_stat_activity as own
            where own.application_name = :application or own.pid = pg_backend_pid()
        ),
        false
    ) as in_circle
from pg_stat_activity as waiters
inner join pg_locks as waits
    on waiters.pid = waits.pid and not waits.granted
inner join pg_class as relations
    on waits.relation = relations.oid
inner join pg_namespace as schemas
    on relations.relnamespace = schemas.oid
cross join lateral unnest(pg_blocking_pids(waits.pid)) as blockers (pid)
left join pg_stat_activity as activity
    on blockers.pid = activity.pid
where waiters.application_name = :application
order by activity.xact_start, schemas.nspname, relations.relname;

-- name: forget_activity
-- Lets this transaction see who is at what now, and not when it first asked.
select count(pg_stat_clear_snapshot()::text) as forgotten;

-- name: has_lost
-- Whether a relation or a function that this transaction's snapshot has is gone: names are looked up as they
-- are now, and what has none is written as its number. Temporary tables come and go, and nobody dumps them.
select
    exists (
        select from pg_class
        where oid::regclass::text ~ '^[0-9]+$' and relpersistence <> 't'
    )
    or exists (
        select from pg_proc
        where oid::regproc::text ~ '^[0-9]+$'
    ) as has_lost;

-- name: list_schemas
-- The schemas of this database that are not the server's own.
select nspname::text as schema_name
from pg_namespace
where nspname not like 'pg\_%' and nspname <> 'information_schema'
order by nspname;

-- name: list_used_extensions
-- The extensions of this database, and whether something that is in one of the schemas refers to what they
-- brought: an index by its operators, a column by its type or its default, a function.
with
brought as (
    select
        refobjid as extension_id,
        classid,
        objid
    from pg_depend
    where refclassid = 'pg_extension'::regclass and deptype = 'e'
),

uses as (
    select
        brought.extension_id,
        coalesce(
            (pg_identify_object(uses.classid, uses.objid, uses.objsubid)).schema,
            schemas.nspname::text
        ) as schema_name
    from pg_depend as uses
    inner join brought
        on uses.refclassid = brought.classid and uses.refobjid = brought.objid
    left join pg_attrdef as defaults
        on uses.classid = 'pg_attrdef'::regclass and uses.objid = defaults.oid
    left join pg_class as tables
        on defaults.adrelid = tables.oid
    left join pg_namespace as schemas
        on tables.relnamespace = schemas.oid
    where
        uses.deptype in ('n', 'a')
        and not exists (
            select from brought as own
            where own.classid = uses.classid and own.objid = uses.objid
        )
)

select
    extensions.extname::text as name,
    extensions.extversion as version,
    homes.nspname::text as schema_name,
    exists(
        select from uses
        where
            uses.extension_id = extensions.oid
            and uses.schema_name = any(:schemas)   --? optional
    ) as is_used
from pg_extension as extensions
inner join pg_namespace as homes
    on extensions.extnamespace = homes.oid
where extensions.extname <> 'plpgsql'
order by extensions.extname;

-- name: list_named_roles
-- The roles that rights, policies and default rights name in some schemas or in all, and those that own
-- something there. PostgreSQL notes no dependency on the cluster's first role, so owners of tables and
-- schemas are looked up beside.
with
named as (
    select
        depends.refobjid as role_id,
        depends.deptype = 'o' and depends.classid <> 'pg_default_acl'::regclass as is_owner,
        coalesce(
            (pg_identify_object(depends.classid, depends.objid, depends.objsubid)).schema,
            case when depends.classid = 'pg_namespace'::regclass then own.nspname::text end,
            schemas.nspname::text
        ) as schema_name
    from pg_shdepend as depends
    inner join pg_database as databases
        on depends.dbid = databases.oid and databases.datname = current_database()
    left join pg_namespace as own
        on depends.classid = 'pg_namespace'::regclass and depends.objid = own.oid
    left join pg_policy as policies
        on depends.classid = 'pg_policy'::regclass and depends.objid = policies.oid
    left join pg_class as tables
        on policies.polrelid = tables.oid
    left join pg_default_acl as defaults
        on depends.classid = 'pg_default_acl'::regclass and depends.objid = defaults.oid
    left join pg_namespace as schemas
        on coalesce(tables.relnamespace, defaults.defaclnamespace) = schemas.oid
    where depends.refclassid = 'pg_authid'::regclass and depends.deptype in ('o', 'a', 'r')
    union all
    select
        tables.relowner as role_id,
        true as is_owner,
        schemas.nspname::text as schema_name
    from pg_class as tables
    inner join pg_namespace as schemas
        on tables.relnamespace = schemas.oid
    where schemas.nspname not like 'pg\_%' and schemas.nspname <> 'information_schema'
    union all
    select
        nspowner as role_id,
        true as is_owner,
        nspname::text as schema_name
    from pg_namespace
    where nspname not in ('information_schema', 'public') and nspname not like 'pg\_%'
)

select
    roles.rolname::text as name,
    bool_or(named.is_owner) as owns,
    bool_or(not named.is_owner) as is_granted
from named
inner join pg_roles as roles
    on named.role_id = roles.oid
where
    roles.rolname not like 'pg\_%'
    and named.schema_name = any(:schemas)   --? optional
group by roles.rolname
order by roles.rolname;

-- name: list_missing_roles
-- Which of some roles this cluster has not.
select coalesce(wanted.name, '') as name
from unnest(cast(:names as text[])) as wanted (name)
where
    not exists (
        select from pg_roles
        where pg_roles.rolname = wanted.name
    )
order by wanted.name;

-- name: list_missing_extensions
-- Which of some extensions are not among the files of this server.
select coalesce(wanted.name, '') as name
from unnest(cast(:names as text[])) as wanted (name)
where
    not exists (
        select from pg_available_extensions as available
        where available.name = wanted.name
    )
order by wanted.name;

-- name: is_superuser
-- Whether this role may do everything.
select rolsuper
from pg_roles
where rolname = current_user;

-- name: has_database
-- Whether the cluster has a database of a name.
select exists(
    select from pg_database
    where datname = :name
) as is_there;

-- name: is_empty
-- Whether nobody has made anything in this database: no table, view, sequence, type or function that is not
-- the server's own or an extension's.
select not(
    exists (
        select from pg_class as relations
        inner join pg_namespace as schemas
            on relations.relnamespace = schemas.oid
        where
            schemas.nspname not like 'pg\_%'
            and schemas.nspname <> 'information_schema'
            and not exists (
                select from pg_depend as members
                where
                    members.classid = 'pg_class'::regclass
                    and members.objid = relations.oid
                    and members.deptype in ('e', 'i', 'a')
            )
    )
    or exists (
        select from pg_proc as functions
        inner join pg_namespace as schemas
            on functions.pronamespace = schemas.oid
        where
            schemas.nspname not like 'pg\_%'
            and schemas.nspname <> 'information_schema'
            and not exists (
                select from pg_depend as members
                where
                    members.classid = 'pg_proc'::regclass
                    and members.objid = functions.oid
                    and members.deptype = 'e'
            )
    )
    or exists (
        select from pg_type as types
        inner join pg_namespace as schemas
            on types.typnamespace = schemas.oid
        where
            schemas.nspname not like 'pg\_%'
            and schemas.nspname <> 'information_schema'
            and not exists (
                select from pg_depend as members
                where
                    members.classid = 'pg_type'::regclass
                    and members.objid = types.oid
                    and members.deptype in ('e', 'i')
            )
    )
) as is_empty;

-- name: list_unfinished
-- The databases that a restore made and did not finish, by the name that it gave them; nobody is in them. One
-- that was killed early has not given its comment yet; another comment says that somebody wants it.
select databases.datname::text as name
from pg_database as databases
where
    databases.datname ~ '^sqlkit_restoring_[0-9a-f]{12}$'
    and coalesce(shobj_description(databases.oid, 'pg_database') = :mark, true)
    and not exists (
        select from pg_stat_activity as activity
        where activity.datid = databases.oid and activity.backend_type = 'client backend'
    )
order by databases.datname;

-- name: try_restore_lock
-- Whether the restore into a name is ours until this connection ends.
select pg_try_advisory_lock(:key) as is_ours;
