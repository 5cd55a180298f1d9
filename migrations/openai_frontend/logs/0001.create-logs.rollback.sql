drop table logs;

drop type log_level;
