drop table audit_log;

drop table job_status_changes;
