-- Who imports chats. A guest tries the service without an account: they may be without an address and a
-- password, nobody else may.

create table users (
    user_id bigint not null generated always as identity,
    email text,
    hashed_password text,
    is_active boolean not null default true,
    is_guest boolean not null default false,
    -- How many chats may still be imported: a small number.
    -- squawk-ignore prefer-bigint-over-int
    remaining_imports integer not null default 2,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint users_pkey primary key (user_id),
    constraint users_email_check check (email ~ '^[^@ ]+@[^@ ]+$'),
    -- A hash says by $ which algorithm made it; what begins otherwise is a password as it was typed.
    constraint users_hashed_password_check check (hashed_password ~ '^\$.'),
    constraint users_is_guest_email_hashed_password_check check (
        is_guest or (email is not null and hashed_password is not null)
    ),
    constraint users_remaining_imports_check check (remaining_imports >= 0)
);

-- One account for each address, however it is capitalised.
create unique index users_email_key on users (lower(email));
