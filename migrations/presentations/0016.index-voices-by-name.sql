-- depends: 0003.create-presentation-jobs
-- transactional: false

-- Voices by name, whoever owns them.
-- With "if not exists" a broken index of an earlier try would pass for a whole one.
-- squawk-ignore prefer-robust-stmts
create index concurrently voice_clones_name_idx
on voice_clones (name);
