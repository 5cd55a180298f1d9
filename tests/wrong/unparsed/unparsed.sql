-- name: list_songs
select song_id, title
from songs
where artist = :artist --? optionl
order by title;
