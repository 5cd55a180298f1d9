-- The role itself stays: it belongs to the cluster, and other databases may use it.
do $$
begin
    if to_regrole('analysis_app') is not null then
        revoke all
        on users, data_analyses, analysis_files, tool_generations, system_logs, cache_entries
        from analysis_app;
        execute format('revoke all on schema %I from analysis_app', current_schema());
    end if;
end
$$;
