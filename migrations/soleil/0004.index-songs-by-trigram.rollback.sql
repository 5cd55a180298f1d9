-- The extension stays: other schemas may use it.
drop index if exists songs_title_artist_trgm_idx;
