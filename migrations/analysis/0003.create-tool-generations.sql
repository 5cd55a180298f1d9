-- depends: 0002.create-data-analyses

-- Tools that are generated from a prompt.

create table tool_generations (
    tool_id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    tool_type text not null,
    status work_status not null default 'pending',
    prompt text not null,
    -- Null: there is none yet.
    output jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint tool_generations_pkey primary key (tool_id),
    constraint tool_generations_user_id_fkey foreign key (user_id) references users (user_id),
    constraint tool_generations_tool_type_check check (tool_type <> ''),
    constraint tool_generations_prompt_check check (prompt <> ''),
    constraint tool_generations_output_check check (jsonb_typeof(output) in ('object', 'array'))
);

-- Serves the foreign key too: user_id comes first.
create index tool_generations_user_id_status_tool_type_idx on tool_generations (user_id, status, tool_type);
create index tool_generations_created_at_idx on tool_generations (created_at);
