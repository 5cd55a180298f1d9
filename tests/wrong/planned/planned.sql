-- name: list_by
-- Songs of an artist: the table is large, and nothing helps to find them.
select song_id, title
from songs
where
    artist = :artist
    and tempo = :tempo --? optional
order by song_id;

-- name: get_title
select title
from songs
where song_id = :song_id;
