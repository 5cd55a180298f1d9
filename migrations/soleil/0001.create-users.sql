-- Who plays: one row for each person who signs in.

create table users (
    user_id uuid not null default gen_random_uuid(),
    email text not null,
    google_id text not null,
    display_name text not null,
    profile_data jsonb not null default '{}',
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint users_pkey primary key (user_id),
    constraint users_email_key unique (email),
    constraint users_google_id_key unique (google_id),
    constraint users_email_check check (email ~ '^[^@ ]+@[^@ ]+$'),
    constraint users_google_id_check check (google_id <> ''),
    constraint users_display_name_check check (display_name <> ''),
    constraint users_profile_data_check check (jsonb_typeof(profile_data) = 'object')
);
