-- transactional: false

drop index concurrently if exists presentation_jobs_error_message_idx;
