-- name: get_song
select *
from songs
where song_id = :song_id;

-- name: list_songs
select song_id, title
from songs
order by title;

-- name: retitle
update songs set title = :title;
