drop table analysis_files;

drop table data_analyses;

drop type work_status;
