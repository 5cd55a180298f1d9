-- What is read of the slowest statements (sql/operations/statements.sql). They are counted only by a server
-- that loads it: shared_preload_libraries = 'pg_stat_statements'.
create schema if not exists extensions;

create extension if not exists pg_stat_statements with schema extensions;
