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
-- The version of each tag. Those that were never invalidated have no row, and one version in common, which
-- each database has for itself.
select
    given.tag,
    coalesce(tags.version, others.version, 0) as version
from unnest(cast(:tags as text[])) as given (tag)
left join cache_tags as tags
    on given.tag = tags.tag
left join cache_tags as others
    on others.tag = '(others)'
where given.tag is not null;

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

-- name: bump_all
-- Gives all tags one new version, those that have no row too, and tells all listeners when the transaction
-- commits.
with forgotten as (
    delete from cache_tags
    where tag <> '(others)'
),

renewed as (
    insert into cache_tags (tag)
    values ('(others)')
    on conflict (tag) do update set version = excluded.version, updated_at = now()
    returning tag
)

select count(pg_notify('sqlkit_cache', '')::text) as tags
from renewed;

-- name: sweep_entries
-- Deletes the entries that have expired.
delete from cache_entries
where expires_at <= now();

-- name: sweep_tags
-- Deletes the versions that no entry can still ask for: older than the longest time to live.
delete from cache_tags
where tag <> '(others)' and updated_at < now() - make_interval(secs => :seconds);
