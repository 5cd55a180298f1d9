-- depends: 0003.create-presentation-jobs
-- transactional: false

-- Full-text search over errors.
-- With "if not exists" a broken index of an earlier try would pass for a whole one.
-- squawk-ignore prefer-robust-stmts
create index concurrently presentation_jobs_error_message_idx
on presentation_jobs using gin (to_tsvector('simple', error_message))
where error_message is not null;
