-- name: put_entry
-- Keeps a value for some seconds, in place of whatever was there.
insert into cache_entries (key, value, expires_at)
values (:entry.key, :entry.value, now() + make_interval(secs => :entry.seconds))
on conflict (key) do update
    set
        value = excluded.value,
        expires_at = excluded.expires_at,
        updated_at = now()
returning key, value, expires_at, created_at, updated_at;

-- name: get_entry
-- One entry, by its key, unless it has expired.
select key, value, expires_at, created_at, updated_at
from cache_entries
where key = :key and expires_at > now();

-- name: update_entry
-- The entry after the changes that are given; no row where there is none or it has expired.
update cache_entries
set
    value = :changes.value,                                         --? optional
    expires_at = now() + make_interval(secs => :changes.seconds),   --? optional
    updated_at = now()
where key = :key and expires_at > now()
returning key, value, expires_at, created_at, updated_at;

-- name: delete_entry
-- Forgets one entry.
delete from cache_entries
where key = :key;

-- name: delete_entries
-- Forgets the entries of these keys: what is invalidated together.
delete from cache_entries
where key = any(:keys);

-- name: list_entries
-- A page of entries that have not expired, whose keys begin with a text: behind the last one of the page
-- before, or behind the first :skip ones.
select key, value, expires_at, created_at, updated_at
from cache_entries
where
    expires_at > now()
    and starts_with(key, :beginning)                               --? optional
    --? optional {
    and key > :after.key                                           --| order: key
    -- and (expires_at, key) > (:after.expires_at, :after.key)     --| order: expiry
    --? }
order by key                                                       --| order: key
-- order by expires_at, key                                        --| order: expiry
limit :limit offset :skip;

-- name: delete_expired_entries
-- Forgets what has expired.
delete from cache_entries
where expires_at <= now();
