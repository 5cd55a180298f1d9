-- transactional: false

drop index concurrently if exists users_name_fts_idx;
