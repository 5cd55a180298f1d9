-- Who has data analysed and tools made. hashed_password is argon2id's; bcrypt's of before are verified and
-- replaced at the next login.

create table users (
    user_id uuid not null default gen_random_uuid(),
    username text not null,
    email text not null,
    hashed_password text not null,
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint users_pkey primary key (user_id),
    constraint users_username_key unique (username),
    constraint users_email_key unique (email),
    constraint users_username_check check (username ~ '^[^@ ]{1,100}$'),
    constraint users_email_check check (email ~ '^[^@ ]+@[^@ ]+$'),
    constraint users_hashed_password_check check (hashed_password <> '')
);
