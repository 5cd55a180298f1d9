-- name: create_voice
-- The new voice. A taken path is a UniqueViolation, an unknown owner a ForeignKeyViolation.
with created as (
    insert into voice_clones (owner_id, name, s3_path, file_size, duration_seconds, sample_rate)
    values (
        :voice.owner_id, :voice.name, :voice.s3_path, :voice.file_size, :voice.duration_seconds,
        :voice.sample_rate
    )
    returning
        voice_clone_id, owner_id, name, s3_path, file_size, duration_seconds, sample_rate, is_active,
        created_at, updated_at
),

audited as (
    insert into audit_log (action, table_name, row_id, owner_id, after)
    select
        'insert' as action,
        'voice_clones' as table_name,
        created.voice_clone_id as row_id,
        created.owner_id,
        to_jsonb(created) as after
    from created
)

select
    voice_clone_id, owner_id, name, s3_path, file_size, duration_seconds, sample_rate, is_active,
    created_at, updated_at
from created;

-- name: import_voices
-- Many at once; says how many, not which ids they got. Leaves no line in the audit log.
copy voice_clones (owner_id, name, s3_path, file_size, duration_seconds, sample_rate) from stdin;

-- name: get_voice
-- One voice, by its id.
select
    voice_clone_id, owner_id, name, s3_path, file_size, duration_seconds, sample_rate, is_active,
    created_at, updated_at
from voice_clones
where voice_clone_id = :voice_clone_id;

-- name: list_voices
-- A page of an owner's voices by name, narrowed by whichever filters are given; `after` is the last voice of
-- the page before.
select
    voice_clone_id, owner_id, name, s3_path, file_size, duration_seconds, sample_rate, is_active,
    created_at, updated_at
from voice_clones
where
    owner_id = :owner_id
    and is_active = :is_active                                            --? optional
    and (name, voice_clone_id) > (:after.name, :after.voice_clone_id)     --? optional
order by name, voice_clone_id
limit :limit;

-- name: update_voice
-- The voice as it is after the changes that are given; None where there is none.
with earlier as (
    select
        voice_clone_id, owner_id, name, s3_path, file_size, duration_seconds, sample_rate, is_active,
        created_at, updated_at
    from voice_clones
    where voice_clone_id = :voice_clone_id
    for update
),

changed as (
    update voice_clones
    set
        name = :changes.name,                           --? optional
        s3_path = :changes.s3_path,                     --? optional
        file_size = :changes.file_size,                 --? optional
        duration_seconds = :changes.duration_seconds,   --? optional
        sample_rate = :changes.sample_rate,             --? optional
        is_active = :changes.is_active,                 --? optional
        updated_at = now()
    from earlier
    where voice_clones.voice_clone_id = earlier.voice_clone_id
    returning
        voice_clones.voice_clone_id, voice_clones.owner_id, voice_clones.name, voice_clones.s3_path,
        voice_clones.file_size, voice_clones.duration_seconds, voice_clones.sample_rate,
        voice_clones.is_active, voice_clones.created_at, voice_clones.updated_at
),

audited as (
    insert into audit_log (action, table_name, row_id, owner_id, before, after)
    select
        'update' as action,
        'voice_clones' as table_name,
        changed.voice_clone_id as row_id,
        changed.owner_id,
        to_jsonb(earlier) as before,
        to_jsonb(changed) as after
    from changed
    inner join earlier
        on changed.voice_clone_id = earlier.voice_clone_id
)

select
    voice_clone_id, owner_id, name, s3_path, file_size, duration_seconds, sample_rate, is_active,
    created_at, updated_at
from changed;

-- name: deactivate_voice
-- Deletes a voice softly: its jobs keep it, and no new one takes it.
with earlier as (
    select
        voice_clone_id, owner_id, name, s3_path, file_size, duration_seconds, sample_rate, is_active,
        created_at, updated_at
    from voice_clones
    where voice_clone_id = :voice_clone_id
    for update
),

changed as (
    update voice_clones
    set
        is_active = false,
        updated_at = now()
    from earlier
    where voice_clones.voice_clone_id = earlier.voice_clone_id
    returning
        voice_clones.voice_clone_id, voice_clones.owner_id, voice_clones.name, voice_clones.s3_path,
        voice_clones.file_size, voice_clones.duration_seconds, voice_clones.sample_rate,
        voice_clones.is_active, voice_clones.created_at, voice_clones.updated_at
),

audited as (
    insert into audit_log (action, table_name, row_id, owner_id, before, after)
    select
        'update' as action,
        'voice_clones' as table_name,
        changed.voice_clone_id as row_id,
        changed.owner_id,
        to_jsonb(earlier) as before,
        to_jsonb(changed) as after
    from changed
    inner join earlier
        on changed.voice_clone_id = earlier.voice_clone_id
)

select
    voice_clone_id, owner_id, name, s3_path, file_size, duration_seconds, sample_rate, is_active,
    created_at, updated_at
from changed;

-- name: delete_voice
-- Deletes a voice for good; gives it back. One that has jobs is refused (an IntegrityError), see
-- deactivate_voice.
with removed as (
    delete from voice_clones
    where voice_clone_id = :voice_clone_id
    returning
        voice_clone_id, owner_id, name, s3_path, file_size, duration_seconds, sample_rate, is_active,
        created_at, updated_at
),

audited as (
    insert into audit_log (action, table_name, row_id, owner_id, before)
    select
        'delete' as action,
        'voice_clones' as table_name,
        removed.voice_clone_id as row_id,
        removed.owner_id,
        to_jsonb(removed) as before
    from removed
)

select
    voice_clone_id, owner_id, name, s3_path, file_size, duration_seconds, sample_rate, is_active,
    created_at, updated_at
from removed;
