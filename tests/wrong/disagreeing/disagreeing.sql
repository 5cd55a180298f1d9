-- name: get_song
-- One song.
select song_id, title
from songs
where song_id = :song_id;

-- name: count_songs
select count(*) as songs
from song;
