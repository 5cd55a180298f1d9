-- name: create_user
-- The new user. A taken name or address is a UniqueViolation.
insert into users (username, email, hashed_password)
values (:user.username, :user.email, :user.hashed_password)
returning user_id, username, email, is_active, created_at, updated_at;

-- name: import_users
-- Many at once, all or nothing; says how many, not which ids they got.
copy users (username, email, hashed_password) from stdin;

-- name: get_user
-- One user, by their id.
select user_id, username, email, is_active, created_at, updated_at
from users
where user_id = :user_id;

-- name: get_user_by_username
-- One user, by their name, written as they gave it.
select user_id, username, email, is_active, created_at, updated_at
from users
where username = :username;

-- name: get_user_by_email
-- One user, by their address, written as they gave it.
select user_id, username, email, is_active, created_at, updated_at
from users
where email = :email;

-- name: get_credentials
-- What the password of an active user is checked with, by their name or address: no name has an @.
select user_id, hashed_password
from users
where (username = :login or email = :login) and is_active
order by user_id
limit 1;

-- name: update_user
-- The user after the changes that are given; no row where there is none.
update users
set
    username = :changes.username,                 --? optional
    email = :changes.email,                       --? optional
    hashed_password = :changes.hashed_password,   --? optional
    is_active = :changes.is_active,               --? optional
    updated_at = now()
where user_id = :user_id
returning user_id, username, email, is_active, created_at, updated_at;

-- name: replace_password
-- Keeps the new hash of a password, unless another login was first with it.
update users
set
    hashed_password = :new,
    updated_at = now()
where user_id = :user_id and hashed_password = :old;

-- name: delete_user
-- Deletes one user. Who has analyses or tools is refused (ForeignKeyViolation).
delete from users
where user_id = :user_id;

-- name: list_users
-- A page of users, narrowed by whichever filters are given: behind the last one of the page before, which
-- costs the same wherever it is, or behind the first :skip ones, which are read.
select user_id, username, email, is_active, created_at, updated_at
from users
where
    true
    and is_active = :is_active   --? optional
    --? optional {
    and (username, user_id) > (:after.username, :after.user_id)          --| order: username
    -- and (created_at, user_id) < (:after.created_at, :after.user_id)   --| order: newest
    --? }
order by username, user_id                                               --| order: username
-- order by created_at desc, user_id desc                                --| order: newest
limit :limit offset :skip;

-- name: count_users
-- How many there are, narrowed as in list_users.
with found as (
    select user_id
    from users
    where
        true
        and is_active = :is_active   --? optional
)

select count(*) as users
from found;
