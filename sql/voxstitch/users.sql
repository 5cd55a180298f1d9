-- name: create_user
-- The new user. An address that somebody has, however capitalised, is a UniqueViolation.
insert into users (email, hashed_password, is_guest, remaining_imports)
values (:user.email, :user.hashed_password, :user.is_guest, :user.remaining_imports)
returning user_id, email, is_active, is_guest, remaining_imports, created_at, updated_at;

-- name: get_user
-- One user, by their id.
select user_id, email, is_active, is_guest, remaining_imports, created_at, updated_at
from users
where user_id = :user_id;

-- name: get_user_by_email
-- One user, by their address, however it is capitalised.
select user_id, email, is_active, is_guest, remaining_imports, created_at, updated_at
from users
where lower(email) = lower(:email);

-- name: get_credentials
-- What a login is checked with, by the address; no row for a guest without a password.
select user_id, hashed_password, is_active
from users
where lower(email) = lower(:email) and hashed_password is not null;

-- name: get_remaining_imports
-- How many chats a user may still import.
select remaining_imports
from users
where user_id = :user_id;

-- name: list_users
-- A page of the users by id: behind `after`, the last id of the page before, or behind the first `skip`. A
-- page costs the same wherever it is by `after`; by `skip` it costs the rows that are skipped.
select user_id, email, is_active, is_guest, remaining_imports, created_at, updated_at
from users
where
    true
    and user_id > :after            --? optional
    and is_active = :is_active      --? optional
    and is_guest = :is_guest        --? optional
order by user_id
limit :limit offset :skip;

-- name: count_users
-- How many users there are.
select count(*) as users
from users;

-- name: update_user
-- The user as they are after the changes that are given.
update users
set
    email = :changes.email,                             --? optional
    hashed_password = :changes.hashed_password,         --? optional
    is_active = :changes.is_active,                     --? optional
    is_guest = :changes.is_guest,                       --? optional
    remaining_imports = :changes.remaining_imports,     --? optional
    updated_at = now()
where user_id = :user_id
returning user_id, email, is_active, is_guest, remaining_imports, created_at, updated_at;

-- name: change_password
-- The user with another password, all their login sessions gone.
with closed as (
    delete from login_sessions
    where login_sessions.user_id = :user_id
)

update users
set
    hashed_password = :hashed_password,
    updated_at = now()
where user_id = :user_id
returning user_id, email, is_active, is_guest, remaining_imports, created_at, updated_at;

-- name: add_imports
-- Gives a user so many imports more, or less; how many they have now. Less than none is a CheckViolation.
update users
set
    remaining_imports = remaining_imports + :imports,
    updated_at = now()
where user_id = :user_id
returning remaining_imports;

-- name: remove_user
-- The removed user, with their login sessions gone. Who has chats is refused (ForeignKeyViolation).
delete from users
where user_id = :user_id
returning user_id, email, is_active, is_guest, remaining_imports, created_at, updated_at;

-- name: remove_user_with_chats
-- The removed user, with their chats and login sessions gone: one statement, one snapshot. A chat that is
-- imported meanwhile is a ForeignKeyViolation, and nothing is removed.
with removed_chats as (
    delete from chats
    where chats.user_id = :user_id
)

delete from users
where user_id = :user_id
returning user_id, email, is_active, is_guest, remaining_imports, created_at, updated_at;

-- name: get_user_with_chats
-- One user with all their chats, the newest first, in one round trip.
select
    users.user_id,
    users.email,
    users.is_active,
    users.is_guest,
    users.remaining_imports,
    users.created_at,
    users.updated_at,
    coalesce(
        (
            select
                jsonb_agg(
                    jsonb_build_object(
                        'chat_id', chats.chat_id,
                        'user_id', chats.user_id,
                        'title', chats.title,
                        'platform', chats.platform,
                        'content', chats.content,
                        'created_at', chats.created_at,
                        'updated_at', chats.updated_at
                    )
                    order by chats.chat_id desc
                )
            from chats
            where chats.user_id = users.user_id
        ),
        '[]'
    ) as chats
from users
where users.user_id = :user_id;
