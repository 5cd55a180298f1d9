-- What the application says, a partition for each month. There is no default partition: partitions are made
-- ahead, and who writes a line of another month makes its partition.

create type log_level as enum ('debug', 'info', 'warning', 'error', 'critical');

create table logs (
    log_id bigint not null generated always as identity,
    level log_level not null,
    logger text not null,
    message text not null,
    context jsonb not null default '{}',
    created_at timestamptz not null default now(),
    constraint logs_pkey primary key (log_id, created_at),
    constraint logs_logger_check check (logger <> ''),
    constraint logs_context_check check (jsonb_typeof(context) = 'object')
) partition by range (created_at);

create index logs_created_at_idx on logs (created_at);
create index logs_level_created_at_idx on logs (level, created_at);
create index logs_logger_created_at_idx on logs (logger, created_at);
