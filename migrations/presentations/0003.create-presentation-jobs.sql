-- depends: 0002.create-voice-clones

-- Slides on their way to a video. Owners take their jobs with them; a voice stays while it has jobs.

create type job_status as enum (
    'pending',
    'processing_slides',
    'synthesizing_audio',
    'assembling_video',
    'completed',
    'failed',
    'cancelled'
);

create table presentation_jobs (
    job_id bigint generated always as identity,
    owner_id bigint not null,
    voice_clone_id bigint not null,
    status job_status not null default 'pending',
    -- The limits are the application's own.
    -- squawk-ignore prefer-text-field
    s3_pptx_path varchar(1000) not null,
    -- squawk-ignore prefer-text-field
    s3_video_path varchar(1000),
    -- squawk-ignore prefer-bigint-over-int
    slides_count integer,
    video_duration_seconds double precision,
    file_size_bytes bigint,
    processing_time_seconds double precision,
    error_message text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    started_at timestamptz,
    completed_at timestamptz,
    constraint presentation_jobs_pkey primary key (job_id),
    constraint presentation_jobs_owner_id_fkey foreign key (owner_id)
    references users (user_id) on delete cascade,
    constraint presentation_jobs_voice_clone_id_fkey foreign key (voice_clone_id)
    references voice_clones (voice_clone_id) on delete restrict,
    constraint presentation_jobs_slides_count_check check (slides_count > 0),
    -- Below infinity: which NaN is not, for PostgreSQL sorts it above.
    constraint presentation_jobs_video_duration_seconds_check check (
        video_duration_seconds > 0 and video_duration_seconds < 'infinity'
    ),
    constraint presentation_jobs_status_s3_video_path_check check (
        status <> 'completed' or s3_video_path is not null
    ),
    constraint presentation_jobs_completed_at_started_at_check check (completed_at >= started_at)
);

create index presentation_jobs_voice_clone_id_idx on presentation_jobs (voice_clone_id);

-- Behind that of the jobs: foreign keys cascade in the order in which they were made, and a user's voices
-- can go only when their jobs have gone.
alter table voice_clones
add constraint voice_clones_owner_id_fkey foreign key (owner_id)
references users (user_id) on delete cascade not valid;

-- The table was made just now: there is nobody to wait.
-- squawk-ignore constraint-missing-not-valid
alter table voice_clones validate constraint voice_clones_owner_id_fkey;
