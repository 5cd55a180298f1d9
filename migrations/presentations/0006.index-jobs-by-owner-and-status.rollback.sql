-- transactional: false

drop index concurrently if exists presentation_jobs_owner_id_status_idx;
