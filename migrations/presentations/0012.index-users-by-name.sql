-- depends: 0003.create-presentation-jobs
-- transactional: false

-- Users by name.
-- With "if not exists" a broken index of an earlier try would pass for a whole one.
-- squawk-ignore prefer-robust-stmts
create index concurrently users_name_idx
on users (name);
