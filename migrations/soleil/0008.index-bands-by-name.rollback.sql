-- transactional: false

drop index concurrently if exists bands_name_band_id_idx;
