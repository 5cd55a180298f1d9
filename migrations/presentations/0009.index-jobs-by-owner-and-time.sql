-- depends: 0003.create-presentation-jobs
-- transactional: false

-- Pages of an owner's jobs by keyset.
-- With "if not exists" a broken index of an earlier try would pass for a whole one.
-- squawk-ignore prefer-robust-stmts
create index concurrently presentation_jobs_owner_id_created_at_job_id_idx
on presentation_jobs (owner_id, created_at desc, job_id desc);
