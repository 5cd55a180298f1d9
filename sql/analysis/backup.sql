-- name: dump_users
-- Every row as JSON, as PostgreSQL writes it, in the order of its key.
select to_jsonb(users)::text as line
from users
order by user_id;

-- name: dump_data_analyses
-- Every row as JSON, as PostgreSQL writes it, in the order of its key.
select to_jsonb(data_analyses)::text as line
from data_analyses
order by analysis_id;

-- name: dump_analysis_files
-- Every row as JSON, as PostgreSQL writes it, in the order of its key.
select to_jsonb(analysis_files)::text as line
from analysis_files
order by file_id;

-- name: dump_tool_generations
-- Every row as JSON, as PostgreSQL writes it, in the order of its key.
select to_jsonb(tool_generations)::text as line
from tool_generations
order by tool_id;

-- name: dump_system_logs
-- Every row as JSON, as PostgreSQL writes it, in the order of its key.
select to_jsonb(system_logs)::text as line
from system_logs
order by created_at, log_id;

-- name: fill_users
-- Rows of a backup, as they were.
insert into users (
    user_id, username, email, hashed_password, is_active, created_at, updated_at
)
select user_id, username, email, hashed_password, is_active, created_at, updated_at
from jsonb_populate_recordset(null::users, :rows);

-- name: fill_data_analyses
-- Rows of a backup, as they were.
insert into data_analyses (
    analysis_id, user_id, title, status, parameters, result, created_at, updated_at
)
select analysis_id, user_id, title, status, parameters, result, created_at, updated_at
from jsonb_populate_recordset(null::data_analyses, :rows);

-- name: fill_analysis_files
-- Rows of a backup, as they were.
insert into analysis_files (
    file_id, analysis_id, file_name, file_type, size_bytes, storage_path, created_at, updated_at
)
select file_id, analysis_id, file_name, file_type, size_bytes, storage_path, created_at, updated_at
from jsonb_populate_recordset(null::analysis_files, :rows);

-- name: fill_tool_generations
-- Rows of a backup, as they were.
insert into tool_generations (
    tool_id, user_id, tool_type, status, prompt, output, created_at, updated_at
)
select tool_id, user_id, tool_type, status, prompt, output, created_at, updated_at
from jsonb_populate_recordset(null::tool_generations, :rows);

-- name: fill_system_logs
-- Rows of a backup, as they were.
insert into system_logs (
    log_id, service, level, message, details, created_at, updated_at
)
overriding system value
select log_id, service, level, message, details, created_at, updated_at
from jsonb_populate_recordset(null::system_logs, :rows);

-- name: continue_log_ids
-- The next line gets an id behind those that are there.
select
    setval(
        pg_get_serial_sequence('system_logs', 'log_id'),
        coalesce(max(log_id), 0) + 1,
        false
    ) as next_id
from system_logs;

-- name: has_rows
-- Whether there is anything that a backup would be mixed with.
select
    exists (select from users)
    or exists (select from data_analyses)
    or exists (select from analysis_files)
    or exists (select from tool_generations)
    or exists (select from system_logs) as has_rows;

-- name: get_database_name
-- Which database this is.
select current_database()::text as name;
