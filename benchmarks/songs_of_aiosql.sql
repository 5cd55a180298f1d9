-- name: get_song(song_id)^
-- One song, by its id.
select song_id, title, tempo, rating, is_standard, note
from songs
where song_id = :song_id;
