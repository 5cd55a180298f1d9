-- depends: 0003.create-bands
-- transactional: false

-- Pages of bands by name.
-- With "if not exists" a broken index of an earlier try would pass for a whole one.
-- squawk-ignore prefer-robust-stmts
create index concurrently bands_name_band_id_idx on bands (name, band_id);
