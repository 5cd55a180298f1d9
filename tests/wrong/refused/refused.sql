-- name: get_song
-- One song.
select song_id, titel
from songs
where song_id = :song_id;

-- name: search_songs
--@ replica: yes
--@ alow: SK012
-- Songs, narrowed.
    select song_id, title
    from songs
    where
        title like:pattern
        and tempos > :tempo --? optional
    order by title --| order: title
    -- order by tempos --| order: tempo
    ;

-- name: list_songs
select song_id, title
from songs
where artist = :artist --? optional
order by title;

-- name: find_songs
-- Songs whose artist is given, else all.
select song_id, title
from songs
where
    song_id > :after
    and (:artist is null or artist = :artist);

-- name: is_null
select :value is null as answer;
