"""Analysis' tables: their columns, names, constraints and indexes, the way up and down, the role of the services."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ValidationError

from sqlkit import Database
from sqlkit.apps import MIGRATIONS
from sqlkit.apps.analysis import models, queries, system
from sqlkit.apps.analysis.events import log_system_event
from sqlkit.migrate import migrate, rollback

FOLDER = MIGRATIONS / "analysis"
Connection = psycopg.Connection[Any]
TIMES = {"created_at": "timestamp with time zone not null", "updated_at": "timestamp with time zone not null"}

COLUMNS = {
    "users": {
        "user_id": "uuid not null",
        "username": "text not null",
        "email": "text not null",
        "hashed_password": "text not null",
        "is_active": "boolean not null",
        **TIMES,
    },
    "data_analyses": {
        "analysis_id": "uuid not null",
        "user_id": "uuid not null",
        "title": "text not null",
        "status": "work_status not null",
        "parameters": "jsonb not null",
        "result": "jsonb",
        **TIMES,
    },
    "analysis_files": {
        "file_id": "uuid not null",
        "analysis_id": "uuid not null",
        "file_name": "text not null",
        "file_type": "text not null",
        "size_bytes": "bigint not null",
        "storage_path": "text not null",
        **TIMES,
    },
    "tool_generations": {
        "tool_id": "uuid not null",
        "user_id": "uuid not null",
        "tool_type": "text not null",
        "status": "work_status not null",
        "prompt": "text not null",
        "output": "jsonb",
        **TIMES,
    },
    "system_logs": {
        "log_id": "bigint not null",
        "service": "text not null",
        "level": "text not null",
        "message": "text not null",
        "details": "jsonb not null",
        **TIMES,
    },
    "cache_entries": {
        "key": "text not null",
        "value": "jsonb not null",
        "expires_at": "timestamp with time zone not null",
        **TIMES,
    },
    "cache_tags": {
        "tag": "text not null",
        "version": "bigint not null",
        **TIMES,
    },
}


def owned(conn: Connection, schema: str = "analysis") -> set[str]:
    """Return the names of all relations and types of a schema but those that keep its history."""
    rows = conn.execute(
        "select relname from pg_class where relnamespace = %(schema)s::regnamespace "
        "union select typname from pg_type where typnamespace = %(schema)s::regnamespace and typtype = 'e'",
        {"schema": schema},
    ).fetchall()
    return {name for (name,) in rows if not name.lstrip("_").startswith(("yoyo", "sqlkit"))}


@pytest.mark.parametrize("table", COLUMNS)
def test_columns(analysis_conn: Connection, table: str) -> None:
    """Each table has exactly the columns, types and NOT NULLs that the system's page gives it."""
    found = analysis_conn.execute(
        "select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute "
        "where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum",
        [table],
    )
    assert {name: type_ + " not null" * not_null for name, type_, not_null in found} == COLUMNS[table]


def test_the_log_is_partitioned_and_the_cache_unlogged(analysis_conn: Connection) -> None:
    """The log is partitioned by created_at without a default partition, and the cache is not in the log of writes."""
    row = analysis_conn.execute(
        "select pg_get_partkeydef('system_logs'::regclass), partdefid, "
        "(select relpersistence::text from pg_class where oid = 'cache_entries'::regclass) "
        "from pg_partitioned_table where partrelid = 'system_logs'::regclass"
    ).fetchone()
    assert row == ("RANGE (created_at)", 0, "u")


def test_names_of_constraints_and_indexes(analysis_conn: Connection) -> None:
    """Every constraint and index is named for its table, its columns and its kind."""
    kinds = {"p": "pkey", "u": "key", "f": "fkey", "c": "check", "x": "excl"}
    constraints = analysis_conn.execute(
        "select conrelid::regclass::text, conname, contype, conkey from pg_constraint "
        "where connamespace = 'analysis'::regnamespace and contype <> 'n' and conrelid::regclass::text = any(%s)",
        [list(COLUMNS)],
    ).fetchall()
    assert len(constraints) == 31
    for table, name, kind, numbers in constraints:
        columns = [list(COLUMNS[table])[number - 1] for number in numbers]
        wanted = f"{table}_pkey" if kind == "p" else f"{table}_{'_'.join(columns)}_{kinds[kind]}"
        assert name == wanted
    indexes = analysis_conn.execute(
        "select indexrelid::regclass::text from pg_index where indrelid::regclass::text = any(%s)", [list(COLUMNS)]
    ).fetchall()
    assert {name for (name,) in indexes} - {name for _, name, _, _ in constraints} == {
        "data_analyses_user_id_status_created_at_idx",
        "data_analyses_created_at_idx",
        "analysis_files_analysis_id_file_type_idx",
        "tool_generations_user_id_status_tool_type_idx",
        "tool_generations_created_at_idx",
        "system_logs_service_level_created_at_idx",
        "system_logs_created_at_log_id_idx",
        "cache_entries_expires_at_idx",
        "cache_tags_updated_at_idx",
    }


def test_every_foreign_key_has_an_index(analysis_conn: Connection) -> None:
    """The columns of each foreign key are the first ones of some index."""
    bare = analysis_conn.execute(
        "select conname from pg_constraint where contype = 'f' and connamespace = 'analysis'::regnamespace "
        "and not exists (select from pg_index where indrelid = conrelid "
        "and (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey)"
    ).fetchall()
    assert bare == []


def test_up_down_and_up_again(dsn: str) -> None:
    """All migrations go up, down to an empty schema, and up again to the same tables, types and indexes."""
    applied = migrate(dsn, FOLDER, schema="analysis")
    with psycopg.connect(dsn, autocommit=True) as conn:
        before = owned(conn)
        assert set(COLUMNS) | {"work_status"} <= before
        assert rollback(dsn, FOLDER, schema="analysis", count=None) == applied[::-1]
        assert owned(conn) == set()
        assert migrate(dsn, FOLDER, schema="analysis") == applied
        assert owned(conn) == before


def test_one_step_back_and_forth(dsn: str) -> None:
    """Each migration can be rolled back alone and applied again."""
    applied = migrate(dsn, FOLDER, schema="analysis")
    with psycopg.connect(dsn, autocommit=True) as conn:
        before = owned(conn)
    for steps in range(1, len(applied) + 1):
        assert rollback(dsn, FOLDER, schema="analysis", count=steps) == applied[-steps:][::-1]
        assert migrate(dsn, FOLDER, schema="analysis") == applied[-steps:]
    with psycopg.connect(dsn, autocommit=True) as conn:
        assert owned(conn) == before


def test_two_schemas_side_by_side(dsn: str) -> None:
    """Two schemas of one database each have their tables; one goes and the other stays."""
    for schema in ("north", "south"):
        migrate(dsn, FOLDER, schema=schema)
    rollback(dsn, FOLDER, schema="north", count=None)
    with psycopg.connect(dsn) as conn:
        assert owned(conn, "north") == set()
        assert set(COLUMNS) <= owned(conn, "south")


def test_role_of_the_services(analysis_dsn: str) -> None:
    """analysis_app does all that the services do, on partitions that are there, and cannot change a table."""
    with Database.connect(analysis_dsn) as db:
        app = db.bound(role="analysis_app")
        user = queries.users.create_user(app, user=models.NewUser(**USER))
        new = models.NewAnalysis(user_id=user.user_id, title="T")
        analysis = queries.analyses.create_analysis(app, analysis=new)
        assert queries.analyses.delete_analysis(app, analysis_id=analysis.analysis_id) == 1
        log_system_event(app, "analyzer", "INFO", "done")
        system.cache.put_entry(app, entry=models.NewEntry(key="k", value=[1], seconds=60))
        for statement in (
            "drop table users",
            "alter table users add x int",
            "truncate system_logs",
            "create table t ()",
        ):
            with app.transaction() as conn, pytest.raises(errors.InsufficientPrivilege):
                conn.execute(statement)


USER: dict[str, Any] = {"username": "ada", "email": "ada@example.org", "hashed_password": "$argon2id$"}
ANALYSIS: dict[str, Any] = {"user_id": uuid4(), "title": "T"}
FILE: dict[str, Any] = {"analysis_id": uuid4(), "file_name": "a.csv", "file_type": "csv", "size_bytes": 1}
FILE |= {"storage_path": "/a.csv"}
TOOL: dict[str, Any] = {"user_id": uuid4(), "tool_type": "chart", "prompt": "draw"}
LOG: dict[str, Any] = {"service": "analyzer", "level": "info", "message": "done"}
ENTRY: dict[str, Any] = {"key": "k", "value": [1], "seconds": 60}

JSON = {"parameters", "result", "output", "details", "value"}

#: Which CHECK, the table, the model and a good row of it, the column and a value that breaks it.
BROKEN: list[tuple[str, str, type[BaseModel], dict[str, Any], str, Any]] = [
    ("users_username_check", "users", models.NewUser, USER, "username", ""),
    ("users_username_check", "users", models.NewUser, USER, "username", "ada l"),
    ("users_username_check", "users", models.NewUser, USER, "username", "ada@l"),
    ("users_username_check", "users", models.NewUser, USER, "username", "x" * 101),
    ("users_email_check", "users", models.NewUser, USER, "email", "nobody"),
    ("users_email_check", "users", models.NewUser, USER, "email", "a b@c"),
    ("users_hashed_password_check", "users", models.NewUser, USER, "hashed_password", ""),
    ("data_analyses_title_check", "data_analyses", models.NewAnalysis, ANALYSIS, "title", ""),
    ("data_analyses_parameters_check", "data_analyses", models.NewAnalysis, ANALYSIS, "parameters", [1]),
    ("data_analyses_result_check", "data_analyses", models.NewAnalysis, ANALYSIS, "result", "text"),
    ("analysis_files_file_name_check", "analysis_files", models.NewFile, FILE, "file_name", ""),
    ("analysis_files_file_type_check", "analysis_files", models.NewFile, FILE, "file_type", ""),
    ("analysis_files_size_bytes_check", "analysis_files", models.NewFile, FILE, "size_bytes", 0),
    ("analysis_files_storage_path_check", "analysis_files", models.NewFile, FILE, "storage_path", ""),
    ("tool_generations_tool_type_check", "tool_generations", models.NewTool, TOOL, "tool_type", ""),
    ("tool_generations_prompt_check", "tool_generations", models.NewTool, TOOL, "prompt", ""),
    ("tool_generations_output_check", "tool_generations", models.NewTool, TOOL, "output", 1),
    ("system_logs_service_check", "system_logs", models.NewLog, LOG, "service", ""),
    ("system_logs_level_check", "system_logs", models.NewLog, LOG, "level", "loud"),
    ("system_logs_details_check", "system_logs", models.NewLog, LOG, "details", ["a"]),
    ("cache_entries_key_check", "cache_entries", models.NewEntry, ENTRY, "key", ""),
    ("cache_entries_value_check", "cache_entries", models.NewEntry, ENTRY, "value", "text"),
]


def insert(conn: Connection, table: str, row: dict[str, Any]) -> None:
    """Insert a row as it is, past the models."""
    statement = sql.SQL("insert into {} ({}) values ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
    conn.execute(statement, list(row.values()))


@pytest.mark.parametrize(("check", "table", "model", "row", "column", "value"), BROKEN)
def test_checks_hold_in_the_model_and_around_it(
    analysis_conn: Connection,
    check: str,
    table: str,
    model: type[BaseModel],
    row: dict[str, Any],
    column: str,
    value: Any,
) -> None:
    """What a CHECK refuses, the input model refuses too, with the field's name."""
    model(**row)
    with pytest.raises(ValidationError) as refused:
        model(**{**row, column: value})
    assert {error["loc"][0] for error in refused.value.errors()} == {column}
    stored = {**row, column: value}
    if table == "cache_entries":
        del stored["seconds"]
        stored["expires_at"] = "tomorrow"
    stored |= {name: Jsonb(stored[name]) for name in JSON & stored.keys()}
    with pytest.raises(errors.CheckViolation) as violated:
        insert(analysis_conn, table, stored)
    assert violated.value.diag.constraint_name == check


def test_every_check_is_broken_above(analysis_conn: Connection) -> None:
    """No CHECK of the schema is without its case; those of the cache have theirs in test_caching_tables.py."""
    found = analysis_conn.execute(
        "select conname from pg_constraint where contype = 'c' and connamespace = 'analysis'::regnamespace "
        "and coninhcount = 0 and conname !~ '^cache_tags_'"
    ).fetchall()
    assert {name for (name,) in found} == {case[0] for case in BROKEN}


def test_enums_are_equal(analysis_conn: Connection) -> None:
    """Python's statuses and levels are PostgreSQL's."""
    row = analysis_conn.execute("select enum_range(null::work_status)::text[]").fetchone()
    assert row == ([status.value for status in models.WorkStatus],)
    check = "select pg_get_constraintdef(oid) from pg_constraint where conname = 'system_logs_level_check'"
    definition = analysis_conn.execute(f"{check} and coninhcount = 0").fetchone()
    assert definition is not None
    assert set(re.findall(r"'(\w+)'::text", definition[0])) == {level.value for level in models.LogLevel}
