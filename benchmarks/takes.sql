-- name: search_takes
-- The first fifty takes that match whichever filters are given.
select take_id, artist, year, tempo, title
from takes
where
    true
    and artist = :artist  --? optional
    and year = :year      --? optional
    and tempo = :tempo    --? optional
    and title = :title    --? optional
order by take_id
limit 50;

-- name: takes_of_artist
-- The same with just two of the filters, written out.
select take_id, artist, year, tempo, title
from takes
where artist = :artist and year = :year
order by take_id
limit 50;

-- name: every_take
-- All takes, as a stream.
select take_id, artist, year, tempo, title
from takes;
