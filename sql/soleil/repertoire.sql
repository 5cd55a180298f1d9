-- name: get_repertoire_stats
--@ replica: ok
-- How many songs a user has, and of how many artists and genres; zeros for a user without songs.
select
    count(*) as total_songs,
    count(distinct artist) as unique_artists,
    count(distinct genre) as unique_genres
from songs
where user_id = :user_id;

-- name: count_songs_by_key
--@ replica: ok
-- How many songs a user has in each key, the most frequent first; key is null for those whose key is not
-- known.
select
    key,
    count(*) as songs
from songs
where user_id = :user_id
group by key
order by songs desc, key asc nulls last;

-- name: count_songs_by_rhythm
--@ replica: ok
-- How many songs a user has in each rhythm, the most frequent first, and the slowest and fastest of them.
select
    rhythm,
    count(*) as songs,
    min(tempo) as slowest,
    max(tempo) as fastest
from songs
where user_id = :user_id
group by rhythm
order by songs desc, rhythm asc nulls last;

-- name: stream_repertoire
-- All songs of a user with their charts, by title, one after the other.
select
    song_id, user_id, title, artist, key, tempo, genre, rhythm, time_signature, chart_types, drive_file_id,
    created_at, updated_at, chart
from songs
where user_id = :user_id
order by title, song_id;

-- name: delete_repertoire
-- Deletes all songs of a user.
delete from songs
where user_id = :user_id;
