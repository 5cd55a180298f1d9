-- name: issue_token
-- The first token of a new family, as after a login.
insert into refresh_tokens (user_id, token_hash, family, expires_at)
values (:token.user_id, :token.token_hash, gen_random_uuid(), now() + :token.lifetime)
returning refresh_token_id, user_id, family, issued_at, expires_at, revoked_at, replaced_by;

-- name: get_token
-- One token, by its hash, whatever has become of it.
select refresh_token_id, user_id, family, issued_at, expires_at, revoked_at, replaced_by
from refresh_tokens
where token_hash = :token_hash;

-- name: lock_family
-- The family of a token, locked until the transaction ends; whoever turns to one of its tokens waits. What
-- is asked next sees what the one before has done. No row when there is no such token.
select refresh_tokens.family
from refresh_tokens
where
    refresh_tokens.family = (
        select given.family
        from refresh_tokens as given
        where given.token_hash = :token_hash
    )
order by refresh_tokens.refresh_token_id
for update of refresh_tokens;

-- name: replace_token
-- The next token of the family, in the place of the given one, which is revoked; no row when that one was
-- used, revoked or has expired, or its user is not active. For the holder of the family's lock.
with used as (
    select
        refresh_tokens.refresh_token_id,
        refresh_tokens.user_id,
        refresh_tokens.family
    from refresh_tokens
    inner join users
        on refresh_tokens.user_id = users.user_id
    where
        refresh_tokens.token_hash = :token_hash
        and refresh_tokens.revoked_at is null
        and refresh_tokens.expires_at > now()
        and users.is_active
),

issued as (
    insert into refresh_tokens (user_id, token_hash, family, expires_at)
    select
        used.user_id,
        :next_hash as token_hash,
        used.family,
        now() + :lifetime as expires_at
    from used
    returning refresh_token_id, user_id, family, issued_at, expires_at, revoked_at, replaced_by
),

replaced as (
    update refresh_tokens
    set
        replaced_by = issued.refresh_token_id,
        revoked_at = now(),
        updated_at = now()
    from used
    cross join issued
    where refresh_tokens.refresh_token_id = used.refresh_token_id
)

select refresh_token_id, user_id, family, issued_at, expires_at, revoked_at, replaced_by
from issued;

-- name: revoke_family
-- Revokes the tokens of a family that are still good.
update refresh_tokens
set
    revoked_at = now(),
    updated_at = now()
where family = :family and revoked_at is null;

-- name: revoke_tokens_of_user
-- Revokes all tokens of a user that are still good, as after a new password.
update refresh_tokens
set
    revoked_at = now(),
    updated_at = now()
where user_id = :user_id and revoked_at is null;

-- name: list_tokens
-- A user's tokens that are still good, the newest first: one for each place where they are logged in.
select refresh_token_id, user_id, family, issued_at, expires_at, revoked_at, replaced_by
from refresh_tokens
where user_id = :user_id and revoked_at is null and expires_at > now()
order by refresh_token_id desc;

-- name: cleanup_expired_tokens
-- Deletes the tokens that have expired, as many as the limit. Rows that somebody holds are left for the next
-- time.
delete from refresh_tokens
where refresh_token_id in (
    select expired.refresh_token_id
    from refresh_tokens as expired
    where expired.expires_at <= now()
    order by expired.expires_at, expired.refresh_token_id
    limit :limit
    for update skip locked
);
