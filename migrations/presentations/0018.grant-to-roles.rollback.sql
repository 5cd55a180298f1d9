-- The roles themselves stay: they belong to the cluster, and other databases may use them.
do $$
declare
    wanted text;
begin
    foreach wanted in array array[
        'users', 'voice_clones', 'presentation_jobs', 'job_status_changes', 'audit_log', 'job_archives',
        'archived_jobs'
    ] loop
        execute format('drop policy if exists %I on %I', wanted || '_worker_policy', wanted);
    end loop;
    foreach wanted in array array['presentations_app', 'presentations_worker'] loop
        if to_regrole(wanted) is not null then
            execute format(
                'revoke all on users, voice_clones, presentation_jobs, job_status_changes, audit_log, job_archives, '
                'archived_jobs from %I',
                wanted
            );
            execute format('revoke all on schema %I from %I', current_schema(), wanted);
        end if;
    end loop;
end
$$;
