drop table archived_jobs;

drop table job_archives;
