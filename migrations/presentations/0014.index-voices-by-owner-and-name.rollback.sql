-- transactional: false

drop index concurrently if exists voice_clones_owner_id_name_idx;
