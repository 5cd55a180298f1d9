-- The shared cache: entries that may be lost, and the versions of tags, which may not.

create sequence cache_tag_versions as bigint;

-- A tag's version changes with each write under it, in the write's own transaction. It is logged: were
-- versions to begin anew after a crash, an entry from before could fit again.
create table cache_tags (
    tag text not null,
    version bigint not null default nextval('cache_tag_versions'),
    changed_at timestamptz not null default now(),
    constraint cache_tags_pkey primary key (tag),
    constraint cache_tags_tag_check check (length(tag) between 1 and 500)
);

alter sequence cache_tag_versions owned by cache_tags.version;

create index cache_tags_changed_at_idx on cache_tags (changed_at);

-- Entries are unlogged: a crash empties the table, and nothing is lost that the database does not have.
create unlogged table cache_entries (
    cache_key text not null,
    body text not null,
    expires_at timestamptz not null,
    constraint cache_entries_pkey primary key (cache_key),
    constraint cache_entries_cache_key_check check (length(cache_key) between 1 and 500)
);

create index cache_entries_expires_at_idx on cache_entries (expires_at);
