-- depends: 0003.create-presentation-jobs
-- transactional: false

-- Full-text search over the names of voices.
-- With "if not exists" a broken index of an earlier try would pass for a whole one.
-- squawk-ignore prefer-robust-stmts
create index concurrently voice_clones_name_fts_idx
on voice_clones using gin (to_tsvector('simple', name));
