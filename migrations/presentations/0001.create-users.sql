-- Who has videos made. An address may be missing; the ones that are given are each given once.
-- password_hash (argon2id) and phone_encrypted (a Fernet token) are in no list and in no audit line.

create table users (
    user_id bigint generated always as identity,
    -- The limits are the application's own: longer names and addresses are refused, not cut.
    -- squawk-ignore prefer-text-field
    name varchar(255) not null,
    -- squawk-ignore prefer-text-field
    email varchar(255),
    password_hash text,
    phone_encrypted text,
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint users_pkey primary key (user_id),
    constraint users_email_check check (position('@' in email) > 0)
);

create unique index users_email_key on users (email) where email is not null;
