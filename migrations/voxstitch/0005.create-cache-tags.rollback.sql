drop table cache_tags;
