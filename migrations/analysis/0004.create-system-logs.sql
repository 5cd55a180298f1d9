-- What services have to tell: one partition a day (of UTC), made ahead (sqlkit partitions) and dropped whole
-- when it is old.

create table system_logs (
    log_id bigint generated always as identity,
    service text not null,
    level text not null,
    message text not null,
    details jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint system_logs_pkey primary key (log_id, created_at),
    constraint system_logs_service_check check (service <> ''),
    constraint system_logs_level_check check (level in ('debug', 'info', 'warning', 'error', 'critical')),
    constraint system_logs_details_check check (jsonb_typeof(details) = 'object')
) partition by range (created_at);

create index system_logs_service_level_created_at_idx on system_logs (service, level, created_at);
create index system_logs_created_at_log_id_idx on system_logs (created_at, log_id);
