-- depends: 0004.index-songs-by-trigram 0005.grant-to-soleil-app

-- Lets slow queries be read (sql/soleil/monitoring.sql) where the server has pg_stat_statements and this
-- role may create it; nothing else depends on it. Statements are counted only by a server that loads it:
-- shared_preload_libraries = 'pg_stat_statements'.

do $$
begin
    -- As for pg_trgm: one lock for all who create extensions, and the schema that applications share.
    perform pg_advisory_xact_lock(hashtext('sqlkit.extensions'));
    if exists (select from pg_extension where extname = 'pg_stat_statements') then
        return;
    end if;
    if not exists (select from pg_available_extensions where name = 'pg_stat_statements') then
        raise notice 'pg_stat_statements is not available: slow queries cannot be read';
        return;
    end if;
    begin
        if to_regnamespace('extensions') is null then
            create schema extensions;
        end if;
        create extension pg_stat_statements with schema extensions;
        if to_regrole('soleil_app') is not null then
            grant usage on schema extensions to soleil_app;
        end if;
    exception
        when insufficient_privilege then
            raise notice 'pg_stat_statements may not be created by this role: slow queries cannot be read';
    end;
end
$$;
