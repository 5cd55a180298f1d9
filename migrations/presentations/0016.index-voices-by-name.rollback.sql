-- transactional: false

drop index concurrently if exists voice_clones_name_idx;
