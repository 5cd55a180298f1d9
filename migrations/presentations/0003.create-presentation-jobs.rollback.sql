alter table voice_clones drop constraint voice_clones_owner_id_fkey;

drop table presentation_jobs;

drop type job_status;
