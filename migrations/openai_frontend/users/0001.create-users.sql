-- Who may use the front end, and the refresh tokens of those who are logged in. A token itself is nowhere:
-- the row holds its SHA-256. The tokens that replaced each other since one login are a family.

create table users (
    user_id bigint not null generated always as identity,
    username text not null,
    email text not null,
    hashed_password text not null,
    role text not null default 'user',
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint users_pkey primary key (user_id),
    constraint users_username_key unique (username),
    constraint users_email_key unique (email),
    constraint users_username_check check (username <> ''),
    constraint users_email_check check (email ~ '^[^@ ]+@[^@ ]+$'),
    -- A hash says by $ which algorithm made it; what begins otherwise is a password as it was typed.
    constraint users_hashed_password_check check (hashed_password ~ '^\$.'),
    constraint users_role_check check (role in ('user', 'admin', 'service'))
);

create table refresh_tokens (
    refresh_token_id bigint not null generated always as identity,
    user_id bigint not null,
    token_hash bytea not null,
    family uuid not null,
    issued_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz,
    replaced_by bigint,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint refresh_tokens_pkey primary key (refresh_token_id),
    constraint refresh_tokens_user_id_fkey foreign key (user_id) references users (user_id) on delete cascade,
    constraint refresh_tokens_token_hash_key unique (token_hash),
    -- Serves its foreign key too.
    constraint refresh_tokens_replaced_by_key unique (replaced_by),
    constraint refresh_tokens_replaced_by_fkey foreign key (replaced_by)
    references refresh_tokens (refresh_token_id) on delete set null,
    constraint refresh_tokens_token_hash_check check (octet_length(token_hash) = 32),
    constraint refresh_tokens_expires_at_issued_at_check check (expires_at > issued_at),
    -- What is replaced is of no more use.
    constraint refresh_tokens_replaced_by_revoked_at_check check (
        replaced_by is null or revoked_at is not null
    )
);

create index refresh_tokens_user_id_idx on refresh_tokens (user_id);
create index refresh_tokens_family_idx on refresh_tokens (family);
create index refresh_tokens_expires_at_idx on refresh_tokens (expires_at);
