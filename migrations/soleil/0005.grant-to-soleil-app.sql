-- depends: 0002.create-songs 0003.create-bands

-- The role that the application runs under: it reads and writes rows, owns nothing and cannot change a
-- table. It has no login of its own: grant it to one (grant soleil_app to ...). Roles belong to the
-- cluster, so it is created only if it is missing, and where this role may not create it, the
-- administrator does and grants as below.

do $$
begin
    perform pg_advisory_xact_lock(hashtext('sqlkit.roles'));
    if to_regrole('soleil_app') is null then
        begin
            create role soleil_app nologin;
        exception
            -- Another database of the cluster was first.
            when duplicate_object or unique_violation then null;
            when insufficient_privilege then
                raise notice 'the role soleil_app may not be created by this role: nothing is granted';
                return;
        end;
    end if;
    execute format('grant usage on schema %I to soleil_app', current_schema());
    grant select, insert, update, delete on users, songs, bands, band_members to soleil_app;
    if to_regnamespace('extensions') is not null
        and not has_schema_privilege('soleil_app', 'extensions', 'usage')
        and has_schema_privilege('extensions', 'usage with grant option')
    then
        grant usage on schema extensions to soleil_app;
    end if;
end
$$;
