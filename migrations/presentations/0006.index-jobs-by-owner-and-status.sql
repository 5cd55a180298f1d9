-- depends: 0003.create-presentation-jobs
-- transactional: false

-- An owner's jobs in a status.
-- With "if not exists" a broken index of an earlier try would pass for a whole one.
-- squawk-ignore prefer-robust-stmts
create index concurrently presentation_jobs_owner_id_status_idx
on presentation_jobs (owner_id, status);
