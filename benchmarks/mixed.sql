-- name: get_song
-- One song, by its id.
select song_id, title, tempo, rating, is_standard, note
from songs
where song_id = :song_id;

-- name: page_of_songs
-- The songs between two ids.
select song_id, title, tempo, rating, is_standard, note
from songs
where song_id between :first and :last
order by song_id;

-- name: touch_song
-- Write a song as it is.
update songs
set tempo = tempo
where song_id = :song_id;
