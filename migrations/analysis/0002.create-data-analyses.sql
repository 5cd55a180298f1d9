-- depends: 0001.create-users

-- Analyses and their files. A user who has analyses cannot be deleted, so that results are not lost with an
-- account; files go with their analysis.

create type work_status as enum ('pending', 'running', 'completed', 'failed', 'cancelled');

create table data_analyses (
    analysis_id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    title text not null,
    status work_status not null default 'pending',
    parameters jsonb not null default '{}',
    -- Null: there is none yet.
    result jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint data_analyses_pkey primary key (analysis_id),
    constraint data_analyses_user_id_fkey foreign key (user_id) references users (user_id),
    constraint data_analyses_title_check check (title <> ''),
    constraint data_analyses_parameters_check check (jsonb_typeof(parameters) = 'object'),
    constraint data_analyses_result_check check (jsonb_typeof(result) in ('object', 'array'))
);

-- Serves the foreign key too: user_id comes first.
create index data_analyses_user_id_status_created_at_idx on data_analyses (user_id, status, created_at);
create index data_analyses_created_at_idx on data_analyses (created_at);

create table analysis_files (
    file_id uuid not null default gen_random_uuid(),
    analysis_id uuid not null,
    file_name text not null,
    file_type text not null,
    size_bytes bigint not null,
    storage_path text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint analysis_files_pkey primary key (file_id),
    constraint analysis_files_analysis_id_fkey foreign key (analysis_id)
    references data_analyses (analysis_id) on delete cascade,
    constraint analysis_files_file_name_check check (file_name <> ''),
    constraint analysis_files_file_type_check check (file_type <> ''),
    constraint analysis_files_size_bytes_check check (size_bytes > 0),
    constraint analysis_files_storage_path_check check (storage_path <> '')
);

create index analysis_files_analysis_id_file_type_idx on analysis_files (analysis_id, file_type);
