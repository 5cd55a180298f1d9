-- depends: 0002.create-songs

-- Makes the search forgive typing errors where the server has pg_trgm, and changes nothing where it has
-- not, or where this role may not create it. The extension goes into a schema of its own, shared by all
-- applications in the database; where it stands already, in whatever schema, it is used from there.

do $$
declare
    home text;
begin
    -- Two schemas that are migrated at once would create it twice; the lock ends with the transaction.
    perform pg_advisory_xact_lock(hashtext('sqlkit.extensions'));
    if not exists (select from pg_extension where extname = 'pg_trgm') then
        if not exists (select from pg_available_extensions where name = 'pg_trgm') then
            raise notice 'pg_trgm is not available: songs are searched without tolerance for typing errors';
            return;
        end if;
        begin
            if to_regnamespace('extensions') is null then
                create schema extensions;
            end if;
            create extension pg_trgm with schema extensions;
        exception
            when insufficient_privilege then
                raise notice 'pg_trgm may not be created by this role: songs are searched without it';
                return;
        end;
    end if;
    select pg_namespace.nspname
    into home
    from pg_extension
    inner join pg_namespace
        on pg_namespace.oid = pg_extension.extnamespace
    where pg_extension.extname = 'pg_trgm';
    execute format(
        'create index songs_title_artist_trgm_idx on songs '
        'using gin (title %1$I.gin_trgm_ops, artist %1$I.gin_trgm_ops)',
        home
    );
end
$$;
