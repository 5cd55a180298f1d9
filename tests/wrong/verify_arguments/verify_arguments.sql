-- name: search_songs
select song_id
from songs
where
    mood = :mood
    and recorded_at > :since --? optional
order by song_id
limit :limit;

-- name: create_songs
insert into songs (song_id, title, mood, genre, price, recorded_at)
values (:song_id, :title, :mood, :genre, :price, :recorded_at);

-- name: copy_songs
copy songs (song_id, title, mood, genre, price, recorded_at) from stdin;

-- name: update_song
update songs
set
    title = :changes.title, --? optional
    genre = genre
where song_id = :song_id;

-- name: has_song
select count(*) from songs where song_id = :song_id;
