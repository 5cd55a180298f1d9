-- depends: 0001.create-users

-- Bands and who plays in them. A membership is nothing without its band and its user, so it goes with
-- either.

create table bands (
    band_id uuid not null default gen_random_uuid(),
    name text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint bands_pkey primary key (band_id),
    constraint bands_name_check check (name <> '')
);

create table band_members (
    band_id uuid not null,
    user_id uuid not null,
    role text not null default 'member',
    joined_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint band_members_pkey primary key (band_id, user_id),
    constraint band_members_band_id_fkey foreign key (band_id) references bands (band_id) on delete cascade,
    constraint band_members_user_id_fkey foreign key (user_id) references users (user_id) on delete cascade,
    constraint band_members_role_check check (role in ('leader', 'member', 'guest'))
);

create index band_members_user_id_idx on band_members (user_id);
