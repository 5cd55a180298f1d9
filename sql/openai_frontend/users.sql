-- name: create_user
-- The new user. A taken username or email is a UniqueViolation.
insert into users (username, email, hashed_password, role)
values (:user.username, :user.email, :user.hashed_password, :user.role)
returning user_id, username, email, role, is_active, created_at, updated_at;

-- name: get_user
-- One user, by their id.
select user_id, username, email, role, is_active, created_at, updated_at
from users
where user_id = :user_id;

-- name: get_user_by_username
-- One user, by the name that they log in with.
select user_id, username, email, role, is_active, created_at, updated_at
from users
where username = :username;

-- name: get_user_by_email
-- One user, by their address, written as they gave it.
select user_id, username, email, role, is_active, created_at, updated_at
from users
where email = :email;

-- name: get_credentials
-- What a login is checked with, by the username.
select user_id, hashed_password, is_active
from users
where username = :username;

-- name: list_users
-- A page of the users by id: behind `after`, the last id of the page before, or behind the first `skip`.
select user_id, username, email, role, is_active, created_at, updated_at
from users
where
    true
    and user_id > :after            --? optional
    and role = :role                --? optional
    and is_active = :is_active      --? optional
order by user_id
limit :limit offset :skip;

-- name: update_user
-- The user as they are after the changes that are given.
update users
set
    username = :changes.username,                   --? optional
    email = :changes.email,                         --? optional
    hashed_password = :changes.hashed_password,     --? optional
    role = :changes.role,                           --? optional
    is_active = :changes.is_active,                 --? optional
    updated_at = now()
where user_id = :user_id
returning user_id, username, email, role, is_active, created_at, updated_at;

-- name: remove_user
-- The removed user, with their refresh tokens gone. Who has API keys is refused (ForeignKeyViolation).
delete from users
where user_id = :user_id
returning user_id, username, email, role, is_active, created_at, updated_at;
