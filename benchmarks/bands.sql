-- name: bands_with_tunes
-- Every band with its tunes, in one round trip.
with tunes_of_bands as (
    select
        band_id,
        json_agg(
            json_build_object('tune_id', tune_id, 'title', title, 'tempo', tempo) order by tune_id
        ) as tunes
    from tunes
    group by band_id
)

select
    bands.band_id,
    bands.name,
    coalesce(tunes_of_bands.tunes, '[]') as tunes
from bands
left join tunes_of_bands
    on bands.band_id = tunes_of_bands.band_id
order by bands.band_id;
