-- depends: 0003.create-presentation-jobs
-- transactional: false

-- An owner's voices by name; serves the foreign key too.
-- With "if not exists" a broken index of an earlier try would pass for a whole one.
-- squawk-ignore prefer-robust-stmts
create index concurrently voice_clones_owner_id_name_idx
on voice_clones (owner_id, name);
