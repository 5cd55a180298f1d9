-- name: get_song_by_title
select song_id, title
from songs
where title = :title;

-- name: find_song_id
select song_id, title
from songs
where song_id = :song_id;

-- name: create_song
insert into songs (song_id, title, mood, genre, price, recorded_at)
values (:song_id, :title, 'calm', 'jazz', 0, '2026-01-01');

-- name: delete_song
delete from songs
where song_id = :song_id
returning title;

-- name: list_titles
select
    song_id,
    title --| text: title
    -- artist --| text: artist
from songs
where
    true
    and artist = :artist --? optional
    and genre = :genre; --? optional
