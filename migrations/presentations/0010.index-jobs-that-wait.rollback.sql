-- transactional: false

drop index concurrently if exists presentation_jobs_created_at_job_id_idx;
