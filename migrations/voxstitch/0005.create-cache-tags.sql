-- depends: 0001.create-users

-- A tag's version changes with each write under it, in the write's own transaction; see docs/caching.md.
-- Versions are random, so that none comes twice, whatever was restored or failed over. The one of (others)
-- is that of all tags that have no row.
create table cache_tags (
    tag text not null,
    version bigint not null default hashtextextended(gen_random_uuid()::text, 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint cache_tags_pkey primary key (tag),
    constraint cache_tags_tag_check check (length(tag) between 1 and 500)
);

create index cache_tags_updated_at_idx on cache_tags (updated_at);

insert into cache_tags (tag)
values ('(others)');
