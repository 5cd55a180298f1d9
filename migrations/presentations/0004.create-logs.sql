-- depends: 0003.create-presentation-jobs

-- What happened to jobs, and who changed what: one partition a month, made ahead (sqlkit partitions) and
-- dropped whole when it is old. They have no foreign keys: a history outlives what it tells of.

create table job_status_changes (
    change_id bigint generated always as identity,
    job_id bigint not null,
    owner_id bigint not null,
    -- Null: the job was submitted.
    old_status job_status,
    new_status job_status not null,
    changed_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    constraint job_status_changes_pkey primary key (change_id, created_at),
    -- The legal transitions.
    constraint job_status_changes_old_status_new_status_check check (
        case old_status
            when 'pending' then new_status in ('processing_slides', 'cancelled')
            when 'processing_slides' then new_status in ('synthesizing_audio', 'failed', 'cancelled')
            when 'synthesizing_audio' then new_status in ('assembling_video', 'failed', 'cancelled')
            when 'assembling_video' then new_status in ('completed', 'failed', 'cancelled')
            when 'failed' then new_status = 'pending'
            else old_status is null and new_status = 'pending'
        end
    )
) partition by range (created_at);

create index job_status_changes_job_id_created_at_idx on job_status_changes (job_id, created_at);
create index job_status_changes_owner_id_created_at_idx on job_status_changes (owner_id, created_at);

create table audit_log (
    audit_id bigint generated always as identity,
    -- Who: the person that the application names, else the owner it acts for, else the database's role.
    actor text not null default coalesce(
        nullif(current_setting('app.actor', true), ''),
        'user ' || nullif(current_setting('app.owner_id', true), ''),
        'role ' || current_user
    ),
    action text not null,
    table_name text not null,
    row_id bigint not null,
    -- Whose row it is.
    owner_id bigint not null,
    before jsonb,
    after jsonb,
    created_at timestamptz not null default now(),
    constraint audit_log_pkey primary key (audit_id, created_at),
    constraint audit_log_action_check check (action in ('insert', 'update', 'delete')),
    constraint audit_log_action_before_after_check check (
        case action
            when 'insert' then before is null and after is not null
            when 'update' then before is not null and after is not null
            when 'delete' then before is not null and after is null
        end
    )
) partition by range (created_at);

create index audit_log_table_name_row_id_created_at_idx on audit_log (table_name, row_id, created_at);
create index audit_log_owner_id_created_at_idx on audit_log (owner_id, created_at);
