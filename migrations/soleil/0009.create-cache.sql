-- depends: 0005.grant-to-soleil-app

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

-- Entries are unlogged: a crash empties the table, and nothing is lost that cannot be had again.
create unlogged table cache_entries (
    cache_key text not null,
    body text not null,
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint cache_entries_pkey primary key (cache_key),
    constraint cache_entries_cache_key_check check (length(cache_key) between 1 and 500)
);

create index cache_entries_expires_at_idx on cache_entries (expires_at);

-- The role exists where an earlier migration could create it.
do $$
begin
    if to_regrole('soleil_app') is not null then
        grant select, insert, update, delete on cache_tags, cache_entries to soleil_app;
    end if;
end
$$;
