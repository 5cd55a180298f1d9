-- name: create_song
-- The new song. A user who does not exist is a ForeignKeyViolation, a file that has its song already a
-- UniqueViolation.
insert into songs (
    user_id, title, artist, key, tempo, genre, rhythm, time_signature, chart, chart_types, drive_file_id
)
values (
    :song.user_id, :song.title, :song.artist, :song.key, :song.tempo, :song.genre, :song.rhythm,
    :song.time_signature, :song.chart, :song.chart_types, :song.drive_file_id
)
returning
    song_id, user_id, title, artist, key, tempo, genre, rhythm, time_signature, chart_types, drive_file_id,
    created_at, updated_at;

-- name: create_songs
-- The new songs in the order given: one pipelined batch, all or nothing.
insert into songs (
    user_id, title, artist, key, tempo, genre, rhythm, time_signature, chart, chart_types, drive_file_id
)
values (
    :user_id, :title, :artist, :key, :tempo, :genre, :rhythm, :time_signature, :chart, :chart_types,
    :drive_file_id
)
returning
    song_id, user_id, title, artist, key, tempo, genre, rhythm, time_signature, chart_types, drive_file_id,
    created_at, updated_at;

-- name: import_songs
-- The fastest way in for many songs; says how many, not which ids they got. All or nothing.
copy songs (
    user_id, title, artist, key, tempo, genre, rhythm, time_signature, chart, chart_types, drive_file_id
) from stdin;

-- name: get_song
-- One song, without its chart.
select
    song_id, user_id, title, artist, key, tempo, genre, rhythm, time_signature, chart_types, drive_file_id,
    created_at, updated_at
from songs
where song_id = :song_id;

-- name: get_song_by_drive_file_id
-- The song of a file in Google Drive.
select
    song_id, user_id, title, artist, key, tempo, genre, rhythm, time_signature, chart_types, drive_file_id,
    created_at, updated_at
from songs
where drive_file_id = :drive_file_id;

-- name: get_charted_song
-- One song with its chart.
select
    song_id, user_id, title, artist, key, tempo, genre, rhythm, time_signature, chart_types, drive_file_id,
    created_at, updated_at, chart
from songs
where song_id = :song_id;

-- name: update_song
-- The song as it is after the changes that are given.
update songs
set
    title = :changes.title,                     --? optional
    artist = :changes.artist,                   --? optional
    key = :changes.key,                         --? optional
    tempo = :changes.tempo,                     --? optional
    genre = :changes.genre,                     --? optional
    rhythm = :changes.rhythm,                   --? optional
    time_signature = :changes.time_signature,   --? optional
    chart = :changes.chart,                     --? optional
    chart_types = :changes.chart_types,         --? optional
    drive_file_id = :changes.drive_file_id,     --? optional
    updated_at = now()
where song_id = :song_id
returning
    song_id, user_id, title, artist, key, tempo, genre, rhythm, time_signature, chart_types, drive_file_id,
    created_at, updated_at;

-- name: delete_song
-- Deletes one song.
delete from songs
where song_id = :song_id;

-- name: list_songs
-- A page of the user's songs, narrowed by whichever filters are given; `after` is the last song of the page
-- before.
select
    song_id, user_id, title, artist, key, tempo, genre, rhythm, time_signature, chart_types, drive_file_id,
    created_at, updated_at
from songs
where
    user_id = :user_id
    and genre = :genre                          --? optional
    and key = :key                              --? optional
    and rhythm = :rhythm                        --? optional
    and tempo between :slowest and :fastest     --? optional
    and chart_types @> array[:chart_type]       --? optional
    --? optional {
    and (title, song_id) > (:after.title, :after.song_id)                       --| order: title
    -- and (created_at, song_id) < (:after.created_at, :after.song_id)          --| order: newest
    --? }
order by title, song_id                         --| order: title
-- order by created_at desc, song_id desc       --| order: newest
limit :limit;

-- name: has_trigrams
-- Whether the functions of pg_trgm are found from this connection, and search_songs can be used.
select to_regprocedure('word_similarity(text, text)') is not null as has_trigrams;

-- name: search_songs
--@ replica: ok
-- The user's songs whose title or artist is like the term, the likest first: it may be a part of them, or be
-- spelt wrong. Needs pg_trgm (has_trigrams): % compares with the whole, <% with the likest words of it.
select
    song_id, user_id, title, artist, key, tempo, genre, rhythm, time_signature, chart_types, drive_file_id,
    created_at, updated_at
from songs
where
    user_id = :user_id
    and (
        title ilike '%' || regexp_replace(:term, '([\\%_])', '\\\1', 'g') || '%'
        or artist ilike '%' || regexp_replace(:term, '([\\%_])', '\\\1', 'g') || '%'
        or title % :term
        or artist % :term
        or :term <% title
        or :term <% artist
        or to_tsvector('simple', title || ' ' || coalesce(artist, '')) @@ plainto_tsquery('simple', :term)
    )
order by
    greatest(word_similarity(:term, title), word_similarity(:term, artist)) desc,
    greatest(similarity(:term, title), similarity(:term, artist)) desc,
    title asc,
    song_id asc
limit :limit;

-- name: search_songs_plainly
--@ replica: ok
-- The user's songs whose title or artist contains the term, or that have all its words, by title. For a
-- server without pg_trgm: a typing error finds nothing.
select
    song_id, user_id, title, artist, key, tempo, genre, rhythm, time_signature, chart_types, drive_file_id,
    created_at, updated_at
from songs
where
    user_id = :user_id
    and (
        title ilike '%' || regexp_replace(:term, '([\\%_])', '\\\1', 'g') || '%'
        or artist ilike '%' || regexp_replace(:term, '([\\%_])', '\\\1', 'g') || '%'
        or to_tsvector('simple', title || ' ' || coalesce(artist, '')) @@ plainto_tsquery('simple', :term)
    )
order by title, song_id
limit :limit;
