-- name: get_song
-- One song, by its id.
select song_id, title, tempo, rating, is_standard, note
from songs
where song_id = :song_id;

-- name: all_songs
-- Every song.
select song_id, title, tempo, rating, is_standard, note
from songs
order by song_id;

-- name: checked_songs
-- Every song, into a model with constraints and a validator.
select song_id, title, tempo, rating, is_standard, note
from songs
order by song_id;

-- name: all_concerts
-- Every concert: eleven columns of many types.
select
    concert_id,
    public_id,
    name,
    starts_at,
    ends_at,
    city,
    seats,
    fee,
    is_public,
    details,
    remark
from concerts
order by concert_id;

-- name: import_songs
copy imported (song_id, title, tempo, rating, is_standard, note) from stdin;

-- name: add_songs
-- Songs one by one in a batch; their ids come back in order.
insert into imported (song_id, title, tempo, rating, is_standard, note)
values (:song_id, :title, :tempo, :rating, :is_standard, :note)
returning song_id;
