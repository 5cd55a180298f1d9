-- depends: 0001.create-users

-- Who is logged in. The token itself is nowhere: the row holds its SHA-256. It goes with its user.

create table login_sessions (
    session_id bigint not null generated always as identity,
    user_id bigint not null,
    token_hash bytea not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    constraint login_sessions_pkey primary key (session_id),
    constraint login_sessions_user_id_fkey foreign key (user_id) references users (user_id) on delete cascade,
    constraint login_sessions_token_hash_key unique (token_hash),
    constraint login_sessions_token_hash_check check (octet_length(token_hash) = 32),
    constraint login_sessions_expires_at_created_at_check check (expires_at > created_at)
);

create index login_sessions_user_id_idx on login_sessions (user_id);
-- For the cleaning up of those that have expired.
create index login_sessions_expires_at_idx on login_sessions (expires_at);
