-- name: get_song
--@ replica: ok
-- One song, by its id, from a replica if there is one.
select song_id, title, tempo, rating, is_standard, note
from songs
where song_id = :song_id;
