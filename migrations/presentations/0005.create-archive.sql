-- depends: 0003.create-presentation-jobs

-- Completed jobs past their retention. One row for each says where it is; the jobs themselves lie in
-- bundles, each of one owner, which are large enough for PostgreSQL to compress them.

create table job_archives (
    archive_id bigint generated always as identity,
    owner_id bigint not null,
    jobs jsonb not null,
    created_at timestamptz not null default now(),
    constraint job_archives_pkey primary key (archive_id),
    constraint job_archives_owner_id_fkey foreign key (owner_id)
    references users (user_id) on delete cascade,
    constraint job_archives_jobs_check check (jsonb_typeof(jobs) = 'array')
);

create index job_archives_owner_id_idx on job_archives (owner_id);

create table archived_jobs (
    job_id bigint not null,
    owner_id bigint not null,
    archive_id bigint not null,
    completed_at timestamptz not null,
    created_at timestamptz not null default now(),
    constraint archived_jobs_pkey primary key (job_id),
    constraint archived_jobs_owner_id_fkey foreign key (owner_id)
    references users (user_id) on delete cascade,
    constraint archived_jobs_archive_id_fkey foreign key (archive_id)
    references job_archives (archive_id) on delete cascade
);

create index archived_jobs_owner_id_completed_at_idx on archived_jobs (owner_id, completed_at);
create index archived_jobs_archive_id_idx on archived_jobs (archive_id);
