-- depends: 0001.create-cache

-- Versions by chance instead of by a sequence. A sequence that goes back, since a standby was promoted
-- that lacked the last commits or since a backup was restored, gives a number twice, and an entry in Redis
-- from the time that is lost would fit again.
alter table cache_tags
alter column version set default hashtextextended(gen_random_uuid()::text, 0);

-- Nothing but that default used it.
-- squawk-ignore ban-drop-sequence
drop sequence cache_tag_versions;

-- The version of all tags that have no row. Were it the same everywhere, entries of a database that was
-- emptied would fit those of the new one.
insert into cache_tags (tag)
values ('(others)');

-- When rows came and changed, by the names that all tables have.
alter table cache_tags add column created_at timestamptz not null default now();
-- No release has the old names.
-- squawk-ignore renaming-column
alter table cache_tags rename column changed_at to updated_at;
-- squawk-ignore renaming-object
alter index cache_tags_changed_at_idx rename to cache_tags_updated_at_idx;

alter table cache_entries add column created_at timestamptz not null default now();
alter table cache_entries add column updated_at timestamptz not null default now();
