-- name: create_user
-- The new user. A taken address is a UniqueViolation.
with created as (
    insert into users (name, email)
    values (:user.name, :user.email)
    returning user_id, name, email, is_active, created_at, updated_at
),

audited as (
    insert into audit_log (action, table_name, row_id, owner_id, after)
    select
        'insert' as action,
        'users' as table_name,
        created.user_id as row_id,
        created.user_id as owner_id,
        to_jsonb(created) as after
    from created
)

select user_id, name, email, is_active, created_at, updated_at
from created;

-- name: import_users
-- Many at once; says how many, not which ids they got. Leaves no line in the audit log.
copy users (name, email) from stdin;

-- name: get_user
-- One user, by their id.
select user_id, name, email, is_active, created_at, updated_at
from users
where user_id = :user_id;

-- name: get_user_by_email
-- One user, by their address, written as they gave it.
select user_id, name, email, is_active, created_at, updated_at
from users
where email = :email;

-- name: update_user
-- The user as they are after the changes that are given; None where there is none.
with earlier as (
    select user_id, name, email, is_active, created_at, updated_at
    from users
    where user_id = :user_id
    for update
),

changed as (
    update users
    set
        name = :changes.name,             --? optional
        email = :changes.email,           --? optional
        is_active = :changes.is_active,   --? optional
        updated_at = now()
    from earlier
    where users.user_id = earlier.user_id
    returning
        users.user_id, users.name, users.email, users.is_active, users.created_at, users.updated_at
),

audited as (
    insert into audit_log (action, table_name, row_id, owner_id, before, after)
    select
        'update' as action,
        'users' as table_name,
        changed.user_id as row_id,
        changed.user_id as owner_id,
        to_jsonb(earlier) as before,
        to_jsonb(changed) as after
    from changed
    inner join earlier
        on changed.user_id = earlier.user_id
)

select user_id, name, email, is_active, created_at, updated_at
from changed;

-- name: deactivate_user
-- Deletes a user softly: their rows stay, and nothing of theirs is begun any more.
with earlier as (
    select user_id, name, email, is_active, created_at, updated_at
    from users
    where user_id = :user_id
    for update
),

changed as (
    update users
    set
        is_active = false,
        updated_at = now()
    from earlier
    where users.user_id = earlier.user_id
    returning
        users.user_id, users.name, users.email, users.is_active, users.created_at, users.updated_at
),

audited as (
    insert into audit_log (action, table_name, row_id, owner_id, before, after)
    select
        'update' as action,
        'users' as table_name,
        changed.user_id as row_id,
        changed.user_id as owner_id,
        to_jsonb(earlier) as before,
        to_jsonb(changed) as after
    from changed
    inner join earlier
        on changed.user_id = earlier.user_id
)

select user_id, name, email, is_active, created_at, updated_at
from changed;

-- name: delete_user
-- Deletes a user with their voices and jobs for good; gives them back. Jobs go with the voices that they
-- hold in one statement, whose foreign keys are looked at when all are gone.
with removed_jobs as (
    delete from presentation_jobs
    where owner_id = :user_id
    returning
        job_id, owner_id, voice_clone_id, status, s3_pptx_path, s3_video_path, slides_count,
        video_duration_seconds, file_size_bytes, processing_time_seconds, error_message, created_at,
        updated_at, started_at, completed_at
),

removed_voices as (
    delete from voice_clones
    where owner_id = :user_id
    returning
        voice_clone_id, owner_id, name, s3_path, file_size, duration_seconds, sample_rate, is_active,
        created_at, updated_at
),

removed as (
    delete from users
    where user_id = :user_id
    returning user_id, name, email, is_active, created_at, updated_at
),

audited as (
    insert into audit_log (action, table_name, row_id, owner_id, before)
    select
        'delete' as action,
        'presentation_jobs' as table_name,
        job_id as row_id,
        owner_id,
        to_jsonb(removed_jobs) as before
    from removed_jobs
    union all
    select
        'delete' as action,
        'voice_clones' as table_name,
        voice_clone_id as row_id,
        owner_id,
        to_jsonb(removed_voices) as before
    from removed_voices
    union all
    select
        'delete' as action,
        'users' as table_name,
        user_id as row_id,
        user_id as owner_id,
        to_jsonb(removed) as before
    from removed
)

select user_id, name, email, is_active, created_at, updated_at
from removed;

-- name: list_users
-- A page of users, narrowed by whichever filters are given, by name or the newest first; `after` is the
-- last user of the page before.
select user_id, name, email, is_active, created_at, updated_at
from users
where
    true
    and is_active = :is_active                                                  --? optional
    --? optional {
    and (name, user_id) > (:after.name, :after.user_id)                         --| order: name
    -- and (created_at, user_id) < (:after.created_at, :after.user_id)          --| order: newest
    --? }
order by name, user_id                                                          --| order: name
-- order by created_at desc, user_id desc                                       --| order: newest
limit :limit;

-- name: list_users_by_offset
-- A page of users by name, from a number of them onwards. What is skipped is read: for pages far in, or
-- rows that come and go meanwhile, list_users.
select user_id, name, email, is_active, created_at, updated_at
from users
order by name, user_id
limit :limit offset :skip;

-- name: get_user_with_voices_and_jobs
-- One user with all their voices (by name) and jobs (the newest first), in one round trip.
select
    users.user_id, users.name, users.email, users.is_active, users.created_at, users.updated_at,
    coalesce(
        (
            select
                jsonb_agg(
                    jsonb_build_object(
                        'voice_clone_id', voice_clones.voice_clone_id,
                        'owner_id', voice_clones.owner_id,
                        'name', voice_clones.name,
                        's3_path', voice_clones.s3_path,
                        'file_size', voice_clones.file_size,
                        'duration_seconds', voice_clones.duration_seconds,
                        'sample_rate', voice_clones.sample_rate,
                        'is_active', voice_clones.is_active,
                        'created_at', voice_clones.created_at,
                        'updated_at', voice_clones.updated_at
                    )
                    order by voice_clones.name, voice_clones.voice_clone_id
                )
            from voice_clones
            where voice_clones.owner_id = users.user_id
        ),
        '[]'
    ) as voices,
    coalesce(
        (
            select
                jsonb_agg(
                    jsonb_build_object(
                        'job_id', presentation_jobs.job_id,
                        'owner_id', presentation_jobs.owner_id,
                        'voice_clone_id', presentation_jobs.voice_clone_id,
                        'status', presentation_jobs.status,
                        's3_pptx_path', presentation_jobs.s3_pptx_path,
                        's3_video_path', presentation_jobs.s3_video_path,
                        'slides_count', presentation_jobs.slides_count,
                        'video_duration_seconds', presentation_jobs.video_duration_seconds,
                        'file_size_bytes', presentation_jobs.file_size_bytes,
                        'processing_time_seconds', presentation_jobs.processing_time_seconds,
                        'error_message', presentation_jobs.error_message,
                        'created_at', presentation_jobs.created_at,
                        'updated_at', presentation_jobs.updated_at,
                        'started_at', presentation_jobs.started_at,
                        'completed_at', presentation_jobs.completed_at
                    )
                    order by presentation_jobs.created_at desc, presentation_jobs.job_id desc
                )
            from presentation_jobs
            where presentation_jobs.owner_id = users.user_id
        ),
        '[]'
    ) as jobs
from users
where users.user_id = :user_id;

-- name: list_users_with_voices_and_jobs
-- A page of users by name with all their voices and jobs, in one round trip; `after` is the last user of the
-- page before.
select
    users.user_id, users.name, users.email, users.is_active, users.created_at, users.updated_at,
    coalesce(
        (
            select
                jsonb_agg(
                    jsonb_build_object(
                        'voice_clone_id', voice_clones.voice_clone_id,
                        'owner_id', voice_clones.owner_id,
                        'name', voice_clones.name,
                        's3_path', voice_clones.s3_path,
                        'file_size', voice_clones.file_size,
                        'duration_seconds', voice_clones.duration_seconds,
                        'sample_rate', voice_clones.sample_rate,
                        'is_active', voice_clones.is_active,
                        'created_at', voice_clones.created_at,
                        'updated_at', voice_clones.updated_at
                    )
                    order by voice_clones.name, voice_clones.voice_clone_id
                )
            from voice_clones
            where voice_clones.owner_id = users.user_id
        ),
        '[]'
    ) as voices,
    coalesce(
        (
            select
                jsonb_agg(
                    jsonb_build_object(
                        'job_id', presentation_jobs.job_id,
                        'owner_id', presentation_jobs.owner_id,
                        'voice_clone_id', presentation_jobs.voice_clone_id,
                        'status', presentation_jobs.status,
                        's3_pptx_path', presentation_jobs.s3_pptx_path,
                        's3_video_path', presentation_jobs.s3_video_path,
                        'slides_count', presentation_jobs.slides_count,
                        'video_duration_seconds', presentation_jobs.video_duration_seconds,
                        'file_size_bytes', presentation_jobs.file_size_bytes,
                        'processing_time_seconds', presentation_jobs.processing_time_seconds,
                        'error_message', presentation_jobs.error_message,
                        'created_at', presentation_jobs.created_at,
                        'updated_at', presentation_jobs.updated_at,
                        'started_at', presentation_jobs.started_at,
                        'completed_at', presentation_jobs.completed_at
                    )
                    order by presentation_jobs.created_at desc, presentation_jobs.job_id desc
                )
            from presentation_jobs
            where presentation_jobs.owner_id = users.user_id
        ),
        '[]'
    ) as jobs
from users
where
    true
    and (users.name, users.user_id) > (:after.name, :after.user_id)   --? optional
order by users.name, users.user_id
limit :limit;

-- name: get_credentials
-- What a password is checked with: of an active user, by their address.
select user_id, password_hash
from users
where email = :email and is_active;

-- name: set_password_hash
-- Keeps the hash of a new password. The audit log says when, and no hash.
with earlier as (
    select user_id, name, email, is_active, created_at, updated_at
    from users
    where user_id = :user_id
    for update
),

changed as (
    update users
    set
        password_hash = :password_hash,
        updated_at = now()
    from earlier
    where users.user_id = earlier.user_id
    returning
        users.user_id, users.name, users.email, users.is_active, users.created_at, users.updated_at
),

audited as (
    insert into audit_log (action, table_name, row_id, owner_id, before, after)
    select
        'update' as action,
        'users' as table_name,
        changed.user_id as row_id,
        changed.user_id as owner_id,
        to_jsonb(earlier) as before,
        to_jsonb(changed) as after
    from changed
    inner join earlier
        on changed.user_id = earlier.user_id
)

select user_id, name, email, is_active, created_at, updated_at
from changed;

-- name: get_phone
-- The encrypted phone number of a user, if there is one.
select phone_encrypted
from users
where user_id = :user_id;

-- name: set_phone
-- Keeps an encrypted phone number, or none. The audit log says when, and no number.
with earlier as (
    select user_id, name, email, is_active, created_at, updated_at
    from users
    where user_id = :user_id
    for update
),

changed as (
    update users
    set
        phone_encrypted = :phone_encrypted,
        updated_at = now()
    from earlier
    where users.user_id = earlier.user_id
    returning
        users.user_id, users.name, users.email, users.is_active, users.created_at, users.updated_at
),

audited as (
    insert into audit_log (action, table_name, row_id, owner_id, before, after)
    select
        'update' as action,
        'users' as table_name,
        changed.user_id as row_id,
        changed.user_id as owner_id,
        to_jsonb(earlier) as before,
        to_jsonb(changed) as after
    from changed
    inner join earlier
        on changed.user_id = earlier.user_id
)

select user_id, name, email, is_active, created_at, updated_at
from changed;

-- name: list_phones
-- The encrypted phone numbers behind a user's, by id, for keys to be rotated: locked, so that none is
-- written in between.
select user_id, phone_encrypted
from users
where
    phone_encrypted is not null
    and user_id > :after
order by user_id
limit :limit
for update;

-- name: replace_phones
-- The same numbers, encrypted anew: nothing that a user sees changes, so the audit log has no line of it.
update users
set
    phone_encrypted = :phone_encrypted,
    updated_at = now()
where user_id = :user_id;
