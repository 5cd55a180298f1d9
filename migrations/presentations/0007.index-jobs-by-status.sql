-- depends: 0003.create-presentation-jobs
-- transactional: false

-- Metrics, and jobs in a status whoever owns them.
-- With "if not exists" a broken index of an earlier try would pass for a whole one.
-- squawk-ignore prefer-robust-stmts
create index concurrently presentation_jobs_status_idx
on presentation_jobs (status);
