-- name: open_session
-- The new session, which begins now and lasts as long as is said.
insert into login_sessions (user_id, token_hash, expires_at)
values (:opening.user_id, :opening.token_hash, now() + :opening.lifetime)
returning session_id, user_id, created_at, expires_at;

-- name: get_session
-- The session of a token with its user; no row when it has expired, or its user is not active.
select
    login_sessions.session_id,
    login_sessions.user_id,
    login_sessions.created_at,
    login_sessions.expires_at,
    users.user_id as "user.user_id",
    users.email as "user.email",
    users.is_active as "user.is_active",
    users.is_guest as "user.is_guest",
    users.remaining_imports as "user.remaining_imports",
    users.created_at as "user.created_at",
    users.updated_at as "user.updated_at"
from login_sessions
inner join users
    on login_sessions.user_id = users.user_id
where
    login_sessions.token_hash = :token_hash
    and login_sessions.expires_at > now()
    and users.is_active;

-- name: list_sessions
-- The sessions of a user that have not expired, the newest first.
select session_id, user_id, created_at, expires_at
from login_sessions
where user_id = :user_id and expires_at > now()
order by session_id desc;

-- name: close_session
-- The closed session, by its token; no row when there is none.
delete from login_sessions
where token_hash = :token_hash
returning session_id, user_id, created_at, expires_at;

-- name: close_sessions_of_user
-- Closes all sessions of a user, as after a new password.
delete from login_sessions
where user_id = :user_id;

-- name: cleanup_expired_sessions
-- Deletes what has expired, the oldest first, as many as the limit. Rows that another cleaning holds are left
-- to it, so that none waits.
delete from login_sessions
where session_id in (
    select expired.session_id
    from login_sessions as expired
    where expired.expires_at <= now()
    order by expired.expires_at, expired.session_id
    limit :limit
    for update skip locked
);
