drop policy archived_jobs_owner_policy on archived_jobs;

alter table archived_jobs disable row level security;

drop policy job_archives_owner_policy on job_archives;

alter table job_archives disable row level security;

drop policy audit_log_owner_policy on audit_log;

alter table audit_log disable row level security;

drop policy job_status_changes_owner_policy on job_status_changes;

alter table job_status_changes disable row level security;

drop policy presentation_jobs_owner_policy on presentation_jobs;

alter table presentation_jobs disable row level security;

drop policy voice_clones_owner_policy on voice_clones;

alter table voice_clones disable row level security;

drop policy users_owner_policy on users;

alter table users disable row level security;
