drop table system_logs;
