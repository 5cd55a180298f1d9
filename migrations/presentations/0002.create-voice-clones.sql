-- depends: 0001.create-users

-- Voices that a user recorded. Its jobs keep a voice from being deleted; who wants it gone makes it
-- inactive. The foreign key to its owner is added behind that of the jobs, see 0003.

create table voice_clones (
    voice_clone_id bigint generated always as identity,
    owner_id bigint not null,
    -- The limits are the application's own.
    -- squawk-ignore prefer-text-field
    name varchar(255) not null,
    -- squawk-ignore prefer-text-field
    s3_path varchar(1000) not null,
    file_size bigint,
    duration_seconds double precision,
    -- Hertz: at most some hundred thousand.
    -- squawk-ignore prefer-bigint-over-int
    sample_rate integer,
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint voice_clones_pkey primary key (voice_clone_id),
    constraint voice_clones_s3_path_key unique (s3_path),
    constraint voice_clones_s3_path_check check (starts_with(s3_path, '/') and right(s3_path, 4) = '.wav'),
    constraint voice_clones_file_size_check check (file_size > 0),
    constraint voice_clones_duration_seconds_check check (duration_seconds > 0 and duration_seconds <= 300)
);
