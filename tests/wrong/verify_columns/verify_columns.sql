-- name: list_songs
select
    songs.song_id,
    songs.titel,
    songs.artist,
    songs.mood,
    songs.genre,
    songs.price,
    songs.recorded_at
from (select song_id, title as titel, artist, mood, genre, price, recorded_at from songs) as songs;

-- name: list_owned_songs
select
    songs.song_id,
    owners.name as "owner.name",
    owners.mail as "owner.mail"
from songs
left join owners
    on songs.owner_id = owners.owner_id;

-- name: list_contacts
select
    songs.song_id,
    owners.mail as "contact.mail"
from songs
left join owners
    on songs.owner_id = owners.owner_id;

-- name: get_owner
select
    owners.owner_id,
    coalesce(
        json_agg(json_build_object('song_id', songs.song_id, 'titel', songs.title)),
        '[]'
    ) as songs
from owners
left join songs
    on owners.owner_id = songs.owner_id
where owners.owner_id = :owner_id
group by owners.owner_id;
