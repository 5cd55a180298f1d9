alter table cache_entries drop column updated_at;
alter table cache_entries drop column created_at;

alter index cache_tags_updated_at_idx rename to cache_tags_changed_at_idx;
alter table cache_tags rename column updated_at to changed_at;
alter table cache_tags drop column created_at;

delete from cache_tags
where tag = '(others)';

create sequence cache_tag_versions as bigint owned by cache_tags.version;
alter table cache_tags alter column version set default nextval('cache_tag_versions');
