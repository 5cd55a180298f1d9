-- name: find_entries
-- The entries that the cache's tiers keep here, of some keys, unless they have expired. What put_entry wrote
-- under such a key is none of them.
select
    key as cache_key,
    value ->> 'entry' as body
from cache_entries
where
    key = any(:keys)
    and expires_at > now()
    and value ->> 'entry' is not null;

-- name: keep_entry
-- Keeps an entry of the tiers for some seconds, in place of whatever was there. It is text within jsonb,
-- which would change numbers and the order of keys.
insert into cache_entries (key, value, expires_at)
values (:key, jsonb_build_object('entry', cast(:body as text)), now() + make_interval(secs => :seconds))
on conflict (key) do update
    set
        value = excluded.value,
        expires_at = excluded.expires_at,
        updated_at = now();

-- name: delete_entry
-- Forgets one entry.
delete from cache_entries
where key = :key;
