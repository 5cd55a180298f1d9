-- The keys that programs call with. A key itself is nowhere: the row holds its SHA-256, and its first
-- letters for people to tell one from another. Needs the tables of the chain users.

create table api_keys (
    api_key_id bigint not null generated always as identity,
    user_id bigint not null,
    name text not null,
    key_prefix text not null,
    key_hash bytea not null,
    scopes text[] not null default '{}',
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    last_used_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz,
    constraint api_keys_pkey primary key (api_key_id),
    constraint api_keys_user_id_fkey foreign key (user_id) references users (user_id),
    constraint api_keys_key_hash_key unique (key_hash),
    constraint api_keys_name_check check (name <> ''),
    constraint api_keys_key_prefix_check check (key_prefix ~ '^[!-~]{4,16}$'),
    constraint api_keys_key_hash_check check (octet_length(key_hash) = 32),
    constraint api_keys_scopes_check check (
        array_position(scopes, null) is null and array_position(scopes, '') is null
    ),
    constraint api_keys_expires_at_created_at_check check (expires_at > created_at),
    constraint api_keys_revoked_at_is_active_check check (revoked_at is null or not is_active)
);

create index api_keys_user_id_idx on api_keys (user_id);
