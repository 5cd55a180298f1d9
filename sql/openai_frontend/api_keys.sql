-- name: create_api_key
-- The new key. A user who does not exist is a ForeignKeyViolation.
insert into api_keys (user_id, name, key_prefix, key_hash, scopes, expires_at)
values (:key.user_id, :key.name, :digest.key_prefix, :digest.key_hash, :key.scopes, :key.expires_at)
returning
    api_key_id, user_id, name, key_prefix, scopes, is_active, created_at, updated_at, last_used_at,
    expires_at, revoked_at;

-- name: verify_api_key
-- The key of a hash with its user's role; no row when it is not active, is revoked or has expired, or its
-- user is not active. Notes the use, if the last note is older than a minute: of many calls at once one
-- writes, and none waits for it.
with due as (
    select api_keys.api_key_id
    from api_keys
    inner join users
        on api_keys.user_id = users.user_id
    where
        api_keys.key_hash = :key_hash
        and api_keys.is_active
        and (api_keys.expires_at is null or api_keys.expires_at > now())
        and users.is_active
        and (api_keys.last_used_at is null or api_keys.last_used_at <= now() - interval '1 minute')
    for no key update of api_keys skip locked
),

noted as (
    update api_keys
    set
        last_used_at = now(),
        updated_at = now()
    from due
    where api_keys.api_key_id = due.api_key_id
)

select
    api_keys.api_key_id,
    api_keys.user_id,
    api_keys.name,
    api_keys.scopes,
    users.role
from api_keys
inner join users
    on api_keys.user_id = users.user_id
where
    api_keys.key_hash = :key_hash
    and api_keys.is_active
    and (api_keys.expires_at is null or api_keys.expires_at > now())
    and users.is_active;

-- name: get_api_key
-- One key, by its id.
select
    api_key_id, user_id, name, key_prefix, scopes, is_active, created_at, updated_at, last_used_at,
    expires_at, revoked_at
from api_keys
where api_key_id = :api_key_id;

-- name: list_api_keys
-- A page of the keys by id, of one user or of all: behind `after`, the last id of the page before, or behind
-- the first `skip`.
select
    api_key_id, user_id, name, key_prefix, scopes, is_active, created_at, updated_at, last_used_at,
    expires_at, revoked_at
from api_keys
where
    true
    and user_id = :user_id          --? optional
    and is_active = :is_active      --? optional
    and api_key_id > :after         --? optional
order by api_key_id
limit :limit offset :skip;

-- name: update_api_key
-- The key as it is after the changes that are given. A revoked one stays revoked: to make it active again is
-- a CheckViolation.
update api_keys
set
    name = :changes.name,               --? optional
    scopes = :changes.scopes,           --? optional
    is_active = :changes.is_active,     --? optional
    expires_at = :changes.expires_at,   --? optional
    updated_at = now()
where api_key_id = :api_key_id
returning
    api_key_id, user_id, name, key_prefix, scopes, is_active, created_at, updated_at, last_used_at,
    expires_at, revoked_at;

-- name: revoke_api_key
-- The revoked key. One that was revoked before keeps the time at which it was.
update api_keys
set
    is_active = false,
    revoked_at = coalesce(revoked_at, now()),
    updated_at = now()
where api_key_id = :api_key_id
returning
    api_key_id, user_id, name, key_prefix, scopes, is_active, created_at, updated_at, last_used_at,
    expires_at, revoked_at;

-- name: remove_api_key
-- The removed key.
delete from api_keys
where api_key_id = :api_key_id
returning
    api_key_id, user_id, name, key_prefix, scopes, is_active, created_at, updated_at, last_used_at,
    expires_at, revoked_at;
