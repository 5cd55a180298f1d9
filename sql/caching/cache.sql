-- name: find_entries
-- The entries of some keys that have not expired.
select cache_key, body
from cache_entries
where cache_key = any(:keys) and expires_at > now();

-- name: keep_entry
-- Keeps an entry for some seconds, in place of the one before.
insert into cache_entries (cache_key, body, expires_at)
values (:key, :body, now() + make_interval(secs => :seconds))
on conflict (cache_key) do update
    set body = excluded.body, expires_at = excluded.expires_at, updated_at = now();

-- name: delete_entry
-- Deletes the entry of a key, if there is one.
delete from cache_entries
where cache_key = :key;

-- name: find_versions
-- The versions of the tags that were ever invalidated; the others have no row.
select tag, version
from cache_tags
where tag = any(:tags);

-- name: bump_tags
-- Gives tags new versions and tells all listeners when the transaction commits. Rows are locked until
-- then, in the order of the tags. Versions are compared for equality alone: they are random numbers.
with bumped as (
    insert into cache_tags (tag)
    select distinct given.tag
    from unnest(cast(:tags as text[])) as given (tag)
    order by given.tag
    on conflict (tag) do update set version = excluded.version, updated_at = now()
    returning tag
)

select count(pg_notify('sqlkit_cache', bumped.tag)::text) as tags
from bumped;

-- name: sweep_entries
-- Deletes the entries that have expired.
delete from cache_entries
where expires_at <= now();

-- name: sweep_tags
-- Deletes the versions that no entry can still ask for: older than the longest time to live.
delete from cache_tags
where updated_at < now() - make_interval(secs => :seconds);
