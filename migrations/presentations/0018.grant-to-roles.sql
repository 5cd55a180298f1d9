-- depends: 0017.protect-rows

-- presentations_app acts for one owner, presentations_worker for all: it claims jobs, archives and
-- measures. Roles belong to the cluster, so they are created only if they are missing, and where this
-- role may not create them, the administrator does and grants as below.

do $$
declare
    wanted text;
begin
    perform pg_advisory_xact_lock(hashtext('sqlkit.roles'));
    foreach wanted in array array['presentations_app', 'presentations_worker'] loop
        if to_regrole(wanted) is null then
            begin
                execute format('create role %I nologin', wanted);
            exception
                -- Another database of the cluster was first.
                when duplicate_object or unique_violation then null;
                when insufficient_privilege then
                    raise notice 'the role % may not be created by this role: nothing is granted', wanted;
                    return;
            end;
        end if;
        execute format('grant usage on schema %I to %I', current_schema(), wanted);
        execute format('grant select, insert, update, delete on users, voice_clones, presentation_jobs to %I', wanted);
        execute format('grant select, insert on job_status_changes, audit_log to %I', wanted);
    end loop;
    grant select on job_archives, archived_jobs to presentations_app;
    grant select, insert, delete on job_archives, archived_jobs to presentations_worker;
    foreach wanted in array array[
        'users', 'voice_clones', 'presentation_jobs', 'job_status_changes', 'audit_log', 'job_archives',
        'archived_jobs'
    ] loop
        execute format(
            'create policy %I on %I to presentations_worker using (true)', wanted || '_worker_policy', wanted
        );
    end loop;
end
$$;
