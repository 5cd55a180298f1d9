drop table cache_entries;
drop table cache_tags;
