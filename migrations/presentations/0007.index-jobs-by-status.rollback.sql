-- transactional: false

drop index concurrently if exists presentation_jobs_status_idx;
