-- name: create_user
-- The new user. A taken email or Google id is a UniqueViolation.
insert into users (email, google_id, display_name, profile_data)
values (:user.email, :user.google_id, :user.display_name, :user.profile_data)
returning user_id, email, google_id, display_name, profile_data, is_active, created_at, updated_at;

-- name: get_user
-- One user, by their id.
select user_id, email, google_id, display_name, profile_data, is_active, created_at, updated_at
from users
where user_id = :user_id;

-- name: get_user_by_email
-- One user, by their address, written as they gave it.
select user_id, email, google_id, display_name, profile_data, is_active, created_at, updated_at
from users
where email = :email;

-- name: get_user_by_google_id
-- One user, by their account at Google.
select user_id, email, google_id, display_name, profile_data, is_active, created_at, updated_at
from users
where google_id = :google_id;

-- name: update_user
-- The user as they are after the changes that are given.
update users
set
    email = :changes.email,                 --? optional
    display_name = :changes.display_name,   --? optional
    profile_data = :changes.profile_data,   --? optional
    is_active = :changes.is_active,         --? optional
    updated_at = now()
where user_id = :user_id
returning user_id, email, google_id, display_name, profile_data, is_active, created_at, updated_at;

-- name: update_user_profile
-- The user with their new profile; the old one is replaced whole.
update users
set
    profile_data = :profile_data,
    updated_at = now()
where user_id = :user_id
returning user_id, email, google_id, display_name, profile_data, is_active, created_at, updated_at;

-- name: delete_user
-- Takes the user out of their bands, too. Who has songs is refused (ForeignKeyViolation): delete_repertoire
-- first.
delete from users
where user_id = :user_id;

-- name: get_user_with_repertoire
-- One user with all their songs by title, in one round trip.
select
    users.user_id,
    users.email,
    users.google_id,
    users.display_name,
    users.profile_data,
    users.is_active,
    users.created_at,
    users.updated_at,
    coalesce(
        (
            select
                jsonb_agg(
                    jsonb_build_object(
                        'song_id', songs.song_id,
                        'user_id', songs.user_id,
                        'title', songs.title,
                        'artist', songs.artist,
                        'key', songs.key,
                        'tempo', songs.tempo,
                        'genre', songs.genre,
                        'rhythm', songs.rhythm,
                        'time_signature', songs.time_signature,
                        'chart_types', songs.chart_types,
                        'drive_file_id', songs.drive_file_id,
                        'created_at', songs.created_at,
                        'updated_at', songs.updated_at
                    )
                    order by songs.title, songs.song_id
                )
            from songs
            where songs.user_id = users.user_id
        ),
        '[]'
    ) as repertoire
from users
where users.user_id = :user_id;
