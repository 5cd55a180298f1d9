-- depends: 0003.create-presentation-jobs
-- transactional: false

-- The newest jobs.
-- With "if not exists" a broken index of an earlier try would pass for a whole one.
-- squawk-ignore prefer-robust-stmts
create index concurrently presentation_jobs_created_at_idx
on presentation_jobs (created_at desc);
