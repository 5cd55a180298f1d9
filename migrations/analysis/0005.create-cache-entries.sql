-- What can be had again: not in the write-ahead log, so it is fast, empty after a crash and on no standby.

create unlogged table cache_entries (
    key text not null,
    value jsonb not null,
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint cache_entries_pkey primary key (key),
    constraint cache_entries_key_check check (key <> ''),
    constraint cache_entries_value_check check (jsonb_typeof(value) in ('object', 'array'))
);

create index cache_entries_expires_at_idx on cache_entries (expires_at);
