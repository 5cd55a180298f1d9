-- depends: 0003.create-presentation-jobs
-- transactional: false

-- The next job to claim.
-- With "if not exists" a broken index of an earlier try would pass for a whole one.
-- squawk-ignore prefer-robust-stmts
create index concurrently presentation_jobs_created_at_job_id_idx
on presentation_jobs (created_at, job_id)
where status = 'pending';
