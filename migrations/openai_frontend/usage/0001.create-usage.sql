-- What was asked of which model, by whom and for how much, a partition for each month. Rows outlive the
-- user and the key that they name, so no foreign key leads there. No default partition: see the logs.

create table usage (
    usage_id bigint not null generated always as identity,
    user_id bigint not null,
    -- Null for a call with a token instead of a key.
    api_key_id bigint,
    endpoint text not null,
    model text not null,
    prompt_tokens bigint not null,
    completion_tokens bigint not null,
    total_tokens bigint not null generated always as (prompt_tokens + completion_tokens) stored,
    cost numeric not null,
    -- HTTP's, and milliseconds: small numbers.
    -- squawk-ignore prefer-bigint-over-int
    status_code integer not null,
    -- squawk-ignore prefer-bigint-over-int
    latency_ms integer not null,
    created_at timestamptz not null default now(),
    constraint usage_pkey primary key (usage_id, created_at),
    constraint usage_endpoint_check check (endpoint <> ''),
    constraint usage_model_check check (model <> ''),
    constraint usage_prompt_tokens_check check (prompt_tokens >= 0),
    constraint usage_completion_tokens_check check (completion_tokens >= 0),
    -- NaN is greater than every number.
    constraint usage_cost_check check (cost >= 0 and cost < 'Infinity'),
    constraint usage_status_code_check check (status_code between 100 and 599),
    constraint usage_latency_ms_check check (latency_ms >= 0)
) partition by range (created_at);

create index usage_created_at_idx on usage (created_at);
create index usage_user_id_created_at_idx on usage (user_id, created_at);
create index usage_model_created_at_idx on usage (model, created_at);
create index usage_api_key_id_created_at_idx on usage (api_key_id, created_at);
