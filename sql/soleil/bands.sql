-- name: create_band
-- The new band, still without members.
insert into bands (name)
values (:band.name)
returning band_id, name, created_at, updated_at;

-- name: get_band
-- One band, without its members.
select band_id, name, created_at, updated_at
from bands
where band_id = :band_id;

-- name: list_bands
-- A page of the bands by name, without their members.
select band_id, name, created_at, updated_at
from bands
where
    true
    and (name, band_id) > (:after.name, :after.band_id)     --? optional
order by name, band_id
limit :limit;

-- name: list_bands_of_user
-- The bands that a user plays in, by name.
select bands.band_id, bands.name, bands.created_at, bands.updated_at
from bands
inner join band_members
    on bands.band_id = band_members.band_id
where band_members.user_id = :user_id
order by bands.name, bands.band_id;

-- name: update_band
-- The band as it is after the changes that are given.
update bands
set
    name = :changes.name,   --? optional
    updated_at = now()
where band_id = :band_id
returning band_id, name, created_at, updated_at;

-- name: delete_band
-- Deletes a band and its memberships; the users stay.
delete from bands
where band_id = :band_id;

-- name: add_member
-- The new membership. Who is in the band already is a UniqueViolation.
insert into band_members (band_id, user_id, role, joined_at)
values (:member.band_id, :member.user_id, :member.role, coalesce(:member.joined_at, now()))
returning band_id, user_id, role, joined_at, created_at, updated_at;

-- name: get_member
-- One membership.
select band_id, user_id, role, joined_at, created_at, updated_at
from band_members
where band_id = :band_id and user_id = :user_id;

-- name: list_members
-- The members of a band, each with their user: leaders first, then by name.
select
    band_members.band_id,
    band_members.user_id,
    band_members.role,
    band_members.joined_at,
    band_members.created_at,
    band_members.updated_at,
    users.user_id as "user.user_id",
    users.email as "user.email",
    users.google_id as "user.google_id",
    users.display_name as "user.display_name",
    users.profile_data as "user.profile_data",
    users.is_active as "user.is_active",
    users.created_at as "user.created_at",
    users.updated_at as "user.updated_at"
from band_members
inner join users
    on band_members.user_id = users.user_id
where band_members.band_id = :band_id
order by band_members.role <> 'leader', users.display_name, users.user_id;

-- name: update_member
-- The membership as it is after the changes that are given.
update band_members
set
    role = :changes.role,               --? optional
    joined_at = :changes.joined_at,     --? optional
    updated_at = now()
where band_id = :band_id and user_id = :user_id
returning band_id, user_id, role, joined_at, created_at, updated_at;

-- name: remove_member
-- Takes a user out of a band.
delete from band_members
where band_id = :band_id and user_id = :user_id;

-- name: get_band_with_members
-- One band with its members and each member's user: two levels in one round trip.
select
    bands.band_id,
    bands.name,
    bands.created_at,
    bands.updated_at,
    coalesce(
        jsonb_agg(
            jsonb_build_object(
                'band_id', band_members.band_id,
                'user_id', band_members.user_id,
                'role', band_members.role,
                'joined_at', band_members.joined_at,
                'created_at', band_members.created_at,
                'updated_at', band_members.updated_at,
                'user', jsonb_build_object(
                    'user_id', users.user_id,
                    'email', users.email,
                    'google_id', users.google_id,
                    'display_name', users.display_name,
                    'profile_data', users.profile_data,
                    'is_active', users.is_active,
                    'created_at', users.created_at,
                    'updated_at', users.updated_at
                )
            )
            order by band_members.role <> 'leader', users.display_name, users.user_id
        ) filter (where users.user_id is not null),
        '[]'
    ) as members
from bands
left join band_members
    on bands.band_id = band_members.band_id
left join users
    on band_members.user_id = users.user_id
where bands.band_id = :band_id
group by bands.band_id;

-- name: list_bands_with_members
-- A page of the bands by name, with their members and each member's user: two levels in one round trip.
select
    bands.band_id,
    bands.name,
    bands.created_at,
    bands.updated_at,
    coalesce(
        (
            select
                jsonb_agg(
                    jsonb_build_object(
                        'band_id', band_members.band_id,
                        'user_id', band_members.user_id,
                        'role', band_members.role,
                        'joined_at', band_members.joined_at,
                        'created_at', band_members.created_at,
                        'updated_at', band_members.updated_at,
                        'user', jsonb_build_object(
                            'user_id', users.user_id,
                            'email', users.email,
                            'google_id', users.google_id,
                            'display_name', users.display_name,
                            'profile_data', users.profile_data,
                            'is_active', users.is_active,
                            'created_at', users.created_at,
                            'updated_at', users.updated_at
                        )
                    )
                    order by band_members.role <> 'leader', users.display_name, users.user_id
                )
            from band_members
            inner join users
                on band_members.user_id = users.user_id
            where band_members.band_id = bands.band_id
        ),
        '[]'
    ) as members
from bands
where
    true
    and (bands.name, bands.band_id) > (:after.name, :after.band_id)     --? optional
order by bands.name, bands.band_id
limit :limit;
