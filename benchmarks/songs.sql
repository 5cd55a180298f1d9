-- name: get_song
-- One song, by its id.
select song_id, title, tempo, rating, is_standard, note
from songs
where song_id = :song_id;

-- name: all_songs
-- Every song.
select song_id, title, tempo, rating, is_standard, note
from songs;

-- name: import_songs
copy imported (song_id, title, tempo, rating, is_standard, note) from stdin;
