-- depends: 0004.create-logs 0005.create-archive

-- Who acts for an owner (role presentations_app) sees and writes that owner's rows only, whatever a
-- statement says: app.owner_id names the owner, for one transaction at a time. Not set, it is no owner,
-- and no row is seen. Neither role owns a table, and neither has a login of its own: grant it to one.
-- Logs are written and read, never changed. The policies hold for whoever does not own the tables.

alter table users enable row level security;

create policy users_owner_policy on users
using (user_id = nullif(current_setting('app.owner_id', true), '')::bigint);

alter table voice_clones enable row level security;

create policy voice_clones_owner_policy on voice_clones
using (owner_id = nullif(current_setting('app.owner_id', true), '')::bigint);

alter table presentation_jobs enable row level security;

-- A foreign key looks past the policies, so the voice is looked for here: seen are the owner's own.
create policy presentation_jobs_owner_policy on presentation_jobs
using (owner_id = nullif(current_setting('app.owner_id', true), '')::bigint)
with check (
    owner_id = nullif(current_setting('app.owner_id', true), '')::bigint
    and exists (
        select from voice_clones
        where voice_clones.voice_clone_id = presentation_jobs.voice_clone_id
    )
);

alter table job_status_changes enable row level security;

create policy job_status_changes_owner_policy on job_status_changes
using (owner_id = nullif(current_setting('app.owner_id', true), '')::bigint);

alter table audit_log enable row level security;

create policy audit_log_owner_policy on audit_log
using (owner_id = nullif(current_setting('app.owner_id', true), '')::bigint);

alter table job_archives enable row level security;

create policy job_archives_owner_policy on job_archives
using (owner_id = nullif(current_setting('app.owner_id', true), '')::bigint);

alter table archived_jobs enable row level security;

create policy archived_jobs_owner_policy on archived_jobs
using (owner_id = nullif(current_setting('app.owner_id', true), '')::bigint);
