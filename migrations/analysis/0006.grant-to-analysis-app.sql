-- depends: 0003.create-tool-generations 0004.create-system-logs 0005.create-cache-entries

-- The role that the services run under: it reads and writes rows, owns nothing and cannot change a table.
-- It has no login of its own: grant it to one. Roles belong to the cluster, so it is created only if it is
-- missing, and where this role may not create it, the administrator does and grants as below.

do $$
begin
    perform pg_advisory_xact_lock(hashtext('sqlkit.roles'));
    if to_regrole('analysis_app') is null then
        begin
            create role analysis_app nologin;
        exception
            -- Another database of the cluster was first.
            when duplicate_object or unique_violation then null;
            when insufficient_privilege then
                raise notice 'the role analysis_app may not be created by this role: nothing is granted';
                return;
        end;
    end if;
    execute format('grant usage on schema %I to analysis_app', current_schema());
    grant select, insert, update, delete
    on users, data_analyses, analysis_files, tool_generations, system_logs, cache_entries
    to analysis_app;
end
$$;
