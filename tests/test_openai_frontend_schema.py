"""openai_frontend's tables: their columns, names, constraints, and the way up and down of each chain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ValidationError
from typer.testing import CliRunner

from sqlkit.apps import openai_frontend as frontend
from sqlkit.cli.app import app
from sqlkit.operations.partitions import ensure_partitions
from sqlkit.testing import rolled_back
from tests.test_cli import confirmed

SCHEMA = "openai_frontend"
Connection = psycopg.Connection[Any]

TIMES = {"created_at": "timestamp with time zone not null", "updated_at": "timestamp with time zone not null"}
COLUMNS = {
    "users": {
        "user_id": "bigint not null",
        "username": "text not null",
        "email": "text not null",
        "hashed_password": "text not null",
        "role": "text not null",
        "is_active": "boolean not null",
        **TIMES,
    },
    "refresh_tokens": {
        "refresh_token_id": "bigint not null",
        "user_id": "bigint not null",
        "token_hash": "bytea not null",
        "family": "uuid not null",
        "issued_at": "timestamp with time zone not null",
        "expires_at": "timestamp with time zone not null",
        "revoked_at": "timestamp with time zone",
        "replaced_by": "bigint",
        **TIMES,
    },
    "api_keys": {
        "api_key_id": "bigint not null",
        "user_id": "bigint not null",
        "name": "text not null",
        "key_prefix": "text not null",
        "key_hash": "bytea not null",
        "scopes": "text[] not null",
        "is_active": "boolean not null",
        **TIMES,
        "last_used_at": "timestamp with time zone",
        "expires_at": "timestamp with time zone",
        "revoked_at": "timestamp with time zone",
    },
    "logs": {
        "log_id": "bigint not null",
        "level": "log_level not null",
        "logger": "text not null",
        "message": "text not null",
        "context": "jsonb not null",
        "created_at": "timestamp with time zone not null",
    },
    "usage": {
        "usage_id": "bigint not null",
        "user_id": "bigint not null",
        "api_key_id": "bigint",
        "endpoint": "text not null",
        "model": "text not null",
        "prompt_tokens": "bigint not null",
        "completion_tokens": "bigint not null",
        "total_tokens": "bigint not null",
        "cost": "numeric not null",
        "status_code": "integer not null",
        "latency_ms": "integer not null",
        "created_at": "timestamp with time zone not null",
    },
}
INDEXES = {
    "refresh_tokens_user_id_idx",
    "refresh_tokens_family_idx",
    "refresh_tokens_expires_at_idx",
    "api_keys_user_id_idx",
    "logs_created_at_idx",
    "logs_level_created_at_idx",
    "logs_logger_created_at_idx",
    "usage_created_at_idx",
    "usage_user_id_created_at_idx",
    "usage_model_created_at_idx",
    "usage_api_key_id_created_at_idx",
}
SEQUENCES = {
    "users_user_id_seq",
    "refresh_tokens_refresh_token_id_seq",
    "api_keys_api_key_id_seq",
    "logs_log_id_seq",
    "usage_usage_id_seq",
}


@pytest.fixture
def conn(frontend_shared_dsn: str) -> Iterator[Connection]:
    """Give a connection to openai_frontend's tables, in a transaction that is rolled back."""
    with rolled_back(frontend_shared_dsn) as connection:
        yield connection


def owned(conn: Connection) -> set[str]:
    """Return the names of all relations of the schema but partitions and those that keep its history."""
    rows = conn.execute(
        "select relname from pg_class where relnamespace = 'openai_frontend'::regnamespace and not relispartition"
    ).fetchall()
    return {name for (name,) in rows if not name.lstrip("_").startswith(("yoyo", "sqlkit"))}


@pytest.mark.parametrize("table", COLUMNS)
def test_columns(conn: Connection, table: str) -> None:
    """Each table has exactly the columns, types and NOT NULLs that the system's page gives it."""
    found = conn.execute(
        "select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute "
        "where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum",
        [table],
    )
    assert {name: type_ + " not null" * not_null for name, type_, not_null in found} == COLUMNS[table]


def test_names_of_constraints_and_indexes(conn: Connection) -> None:
    """Every constraint and index is named for its table, its columns and its kind, and there is no other relation."""
    kinds = {"p": "pkey", "u": "key", "f": "fkey", "c": "check", "x": "excl"}
    constraints = conn.execute(
        "select conrelid::regclass::text, conname, contype, conkey from pg_constraint "
        "where connamespace = 'openai_frontend'::regnamespace and contype <> 'n' "
        "and conrelid::regclass::text = any(%s)",
        [list(COLUMNS)],
    ).fetchall()
    assert len(constraints) > 25
    for table, name, kind, numbers in constraints:
        order = conn.execute(
            "select attnum, attname from pg_attribute where attrelid = %s::regclass and attnum > 0", [table]
        )
        names = dict(order.fetchall())
        columns = "_".join(names[number] for number in numbers)
        assert name == (f"{table}_pkey" if kind == "p" else f"{table}_{columns}_{kinds[kind]}")
    assert owned(conn) - set(COLUMNS) - SEQUENCES - {name for _, name, _, _ in constraints} == INDEXES


def test_every_foreign_key_has_an_index(conn: Connection) -> None:
    """The columns of each foreign key are the first ones of some index."""
    bare = conn.execute(
        "select conname from pg_constraint where contype = 'f' and connamespace = 'openai_frontend'::regnamespace "
        "and not exists (select from pg_index where indrelid = conrelid "
        "and (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey)"
    ).fetchall()
    assert bare == []


def test_logs_and_usage_are_partitioned_by_month(conn: Connection) -> None:
    """Both have a partition for this month and the next three, and none that takes whatever comes."""
    for table in ("logs", "usage"):
        assert conn.execute("select pg_get_partkeydef(%s::regclass)", [table]).fetchone() == ("RANGE (created_at)",)
        bounds = conn.execute(
            "select pg_get_expr(relpartbound, oid) from pg_class "
            "inner join pg_inherits on inhrelid = oid where inhparent = %s::regclass",
            [table],
        ).fetchall()
        assert len(bounds) == 4
        assert not [bound for (bound,) in bounds if "DEFAULT" in bound]


@pytest.mark.parametrize("chain", frontend.CHAINS, ids=lambda chain: chain.name)
def test_each_chain_goes_down_and_up_again(dsn: str, chain: frontend.Chain) -> None:
    """A chain is rolled back to nothing, whatever the others did since, and applied again to the same."""
    assert frontend.init_database(dsn)
    with psycopg.connect(dsn, autocommit=True) as conn:
        before = owned(conn)
        if chain.name == "users":
            frontend.rollback_chain(dsn, frontend.CHAINS[1], schema=SCHEMA, count=None)
        assert len(frontend.rollback_chain(dsn, chain, schema=SCHEMA, count=None)) >= 1
        assert not owned(conn) & set(chain.tables)
        assert frontend.migrate_chain(dsn, chain, schema=SCHEMA) == chain.tables
        assert frontend.init_database(dsn)
        assert owned(conn) == before


def test_all_chains_go_down_to_nothing(dsn: str) -> None:
    """With all chains rolled back, the last one first, nothing is left of any of them."""
    assert frontend.init_database(dsn)
    for chain in reversed(frontend.CHAINS):
        frontend.rollback_chain(dsn, chain, schema=SCHEMA, count=None)
    with psycopg.connect(dsn) as conn:
        assert owned(conn) == set()
        types = "select count(*) from pg_type where typnamespace = 'openai_frontend'::regnamespace and typtype = 'e'"
        assert conn.execute(types).fetchone() == (0,)


def test_the_command_knows_the_chains(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sqlkit migrate goes up all chains, down by one whichever it is of, and says what is missing."""
    monkeypatch.chdir(tmp_path)

    def said(*arguments: str) -> list[str]:
        ran = CliRunner().invoke(app, ["migrate", *arguments, "--app", "openai_frontend", "--dsn", dsn])
        assert ran.exit_code == 0, ran.stderr
        return ran.stdout.splitlines()

    names = ["0001.create-users", "0001.create-api-keys", "0001.create-logs", "0001.create-usage"]
    assert said() == [f"{name}: applied" for name in names]
    assert said("down", "--count", "2", *confirmed(dsn)) == [f"{name}: rolled back" for name in names[:1:-1]]
    assert said("status") == [f"{name}: not applied yet" for name in names[2:]]
    assert said("up") == [f"{name}: applied" for name in names[2:]]
    ran = CliRunner().invoke(app, ["migrate", "new", "add-notes", "--app", "openai_frontend"])
    assert ran.exit_code == 2
    assert "which chain?" in ran.stderr


NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
HASH = b"x" * 32
USER: dict[str, Any] = {"username": "ella", "email": "a@b", "hashed_password": "$argon2id$x"}
TOKEN: dict[str, Any] = {"user_id": 1, "token_hash": HASH, "lifetime": timedelta(hours=1)}
TOKEN_ROW: dict[str, Any] = {"user_id": 1, "token_hash": HASH, "family": uuid4(), "expires_at": LATER, "issued_at": NOW}
KEY: dict[str, Any] = {"user_id": 1, "name": "build"}
DIGEST: dict[str, Any] = {"key_prefix": "sk_abcd", "key_hash": HASH}
KEY_ROW: dict[str, Any] = KEY | DIGEST | {"created_at": NOW}
LINE: dict[str, Any] = {"level": "info", "logger": "app", "message": "hello"}
CALL: dict[str, Any] = {
    "user_id": 1,
    "endpoint": "/v1/chat/completions",
    "model": "small",
    "prompt_tokens": 1,
    "completion_tokens": 2,
    "cost": Decimal("0.01"),
    "status_code": 200,
    "latency_ms": 12,
}

#: Which CHECK; the model, a good one of it, the field and a value that breaks it; the table, a good row of it, and what
#: breaks it there, where that is another thing.
BROKEN: list[tuple[str, type[BaseModel], dict[str, Any], str, Any, str, dict[str, Any], dict[str, Any]]] = [
    ("users_username_check", frontend.NewUser, USER, "username", "", "users", USER, {}),
    ("users_email_check", frontend.NewUser, USER, "email", "nobody", "users", USER, {}),
    ("users_email_check", frontend.UserChanges, {}, "email", "a b@c", "users", USER, {}),
    ("users_hashed_password_check", frontend.NewUser, USER, "hashed_password", "hunter2", "users", USER, {}),
    ("users_role_check", frontend.NewUser, USER, "role", "god", "users", USER, {}),
    (
        "refresh_tokens_token_hash_check",
        frontend.NewRefreshToken,
        TOKEN,
        "token_hash",
        b"x",
        "refresh_tokens",
        TOKEN_ROW,
        {},
    ),
    (
        "refresh_tokens_expires_at_issued_at_check",
        frontend.NewRefreshToken,
        TOKEN,
        "lifetime",
        timedelta(0),
        "refresh_tokens",
        TOKEN_ROW,
        {"expires_at": NOW},
    ),
    ("api_keys_name_check", frontend.NewApiKey, KEY, "name", "", "api_keys", KEY_ROW, {}),
    ("api_keys_scopes_check", frontend.NewApiKey, KEY, "scopes", [""], "api_keys", KEY_ROW, {}),
    ("api_keys_scopes_check", frontend.ApiKeyChanges, {}, "scopes", ["chat", None], "api_keys", KEY_ROW, {}),
    ("api_keys_key_prefix_check", frontend.KeyDigest, DIGEST, "key_prefix", "sk", "api_keys", KEY_ROW, {}),
    ("api_keys_key_hash_check", frontend.KeyDigest, DIGEST, "key_hash", b"x", "api_keys", KEY_ROW, {}),
    ("api_keys_expires_at_created_at_check", frontend.NewApiKey, KEY, "expires_at", NOW, "api_keys", KEY_ROW, {}),
    ("logs_logger_check", frontend.NewLogLine, LINE, "logger", "", "logs", LINE, {}),
    ("logs_context_check", frontend.NewLogLine, LINE, "context", ["a"], "logs", LINE, {}),
    ("usage_endpoint_check", frontend.NewUsage, CALL, "endpoint", "", "usage", CALL, {}),
    ("usage_model_check", frontend.NewUsage, CALL, "model", "", "usage", CALL, {}),
    ("usage_prompt_tokens_check", frontend.NewUsage, CALL, "prompt_tokens", -1, "usage", CALL, {}),
    ("usage_completion_tokens_check", frontend.NewUsage, CALL, "completion_tokens", -1, "usage", CALL, {}),
    ("usage_cost_check", frontend.NewUsage, CALL, "cost", Decimal("-0.01"), "usage", CALL, {}),
    ("usage_cost_check", frontend.NewUsage, CALL, "cost", Decimal("NaN"), "usage", CALL, {}),
    ("usage_cost_check", frontend.NewUsage, CALL, "cost", Decimal("Infinity"), "usage", CALL, {}),
    ("usage_status_code_check", frontend.NewUsage, CALL, "status_code", 99, "usage", CALL, {}),
    ("usage_status_code_check", frontend.NewUsage, CALL, "status_code", 600, "usage", CALL, {}),
    ("usage_latency_ms_check", frontend.NewUsage, CALL, "latency_ms", -1, "usage", CALL, {}),
]
#: What follows from what was done to a row, and no input model has a field for.
OURS: list[tuple[str, str, dict[str, Any]]] = [
    ("refresh_tokens_replaced_by_revoked_at_check", "refresh_tokens", TOKEN_ROW | {"replaced_by": 1}),
    ("api_keys_revoked_at_is_active_check", "api_keys", KEY_ROW | {"revoked_at": NOW, "is_active": True}),
]


def insert(conn: Connection, table: str, row: dict[str, Any]) -> None:
    """Insert a row as it is, past the models."""
    stored = {name: Jsonb(value) if name == "context" else value for name, value in row.items()}
    statement = sql.SQL("insert into {} ({}) values ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, stored)),
        sql.SQL(", ").join(sql.Placeholder() * len(stored)),
    )
    conn.execute(statement, list(stored.values()))


def violated(conn: Connection, table: str, row: dict[str, Any]) -> str | None:
    """Return the constraint that a row violates."""
    with pytest.raises(errors.CheckViolation) as refused:
        insert(conn, table, row)
    return refused.value.diag.constraint_name


@pytest.mark.parametrize(("check", "model", "good", "field", "value", "table", "row", "breaking"), BROKEN)
def test_checks_hold_in_the_model_and_around_it(
    conn: Connection,
    check: str,
    model: type[BaseModel],
    good: dict[str, Any],
    field: str,
    value: Any,
    table: str,
    row: dict[str, Any],
    breaking: dict[str, Any],
) -> None:
    """What a CHECK refuses, the input model refuses too, with the field's name."""
    model(**good)
    with pytest.raises(ValidationError) as refused:
        model(**{**good, field: value})
    assert {error["loc"][0] for error in refused.value.errors()} == {field}
    assert violated(conn, table, row | (breaking or {field: value})) == check


@pytest.mark.parametrize(("check", "table", "row"), OURS)
def test_checks_of_what_no_input_gives(conn: Connection, check: str, table: str, row: dict[str, Any]) -> None:
    """What only statements write is checked all the same."""
    assert violated(conn, table, row) == check


def test_every_check_is_broken_above(conn: Connection) -> None:
    """No CHECK of the schema is without its case."""
    found = conn.execute(
        "select distinct conname from pg_constraint where contype = 'c' "
        "and connamespace = 'openai_frontend'::regnamespace"
    ).fetchall()
    assert {name for (name,) in found} == {case[0] for case in [*BROKEN, *OURS]}


def test_a_new_partition_has_the_checks_and_indexes(conn: Connection) -> None:
    """A partition that is made later keeps the same rules and has the same indexes."""
    ensure_partitions(conn, frontend.USAGE, now=datetime(2031, 2, 3, tzinfo=UTC))
    assert violated(conn, "usage", CALL | {"latency_ms": -1, "created_at": datetime(2031, 2, 3, tzinfo=UTC)}) == (
        "usage_latency_ms_check"
    )


def test_enums_equal_the_database(conn: Connection) -> None:
    """Levels stand in the same order in both, and roles are those that the CHECK lists."""
    labels = conn.execute("select enumlabel from pg_enum where enumtypid = 'log_level'::regtype order by enumsortorder")
    assert [label for (label,) in labels] == [level.value for level in frontend.LogLevel]
    row = conn.execute(
        "select pg_get_constraintdef(oid) from pg_constraint where conname = 'users_role_check'"
    ).fetchone()
    assert row is not None
    assert set(re.findall(r"'(\w+)'::text", row[0])) == {role.value for role in frontend.Role}


def test_total_tokens_are_generated(conn: Connection) -> None:
    """The total is the sum, and nobody can write another."""
    call = frontend.usage.record_usage(conn, call=frontend.NewUsage(**CALL))
    assert call.total_tokens == 3
    with pytest.raises(errors.GeneratedAlways):
        insert(conn, "usage", CALL | {"total_tokens": 4})


@pytest.mark.parametrize(
    "model", [frontend.NewUser, frontend.NewApiKey, frontend.NewUsage, frontend.NewLogLine, frontend.ApiKeyChanges]
)
def test_fields_that_do_not_exist(model: type[BaseModel]) -> None:
    """A field that does not exist is refused, not lost."""
    with pytest.raises(ValidationError, match="Extra inputs"):
        model(nickname="x")


@pytest.mark.parametrize("model", [frontend.NewLogLine, frontend.NewUsage])
def test_times_without_a_zone(model: type[BaseModel]) -> None:
    """A time without a zone belongs to no partition for sure, and is refused."""
    good = LINE if model is frontend.NewLogLine else CALL
    with pytest.raises(ValidationError, match="timezone"):
        model(**good, created_at=datetime(2026, 1, 1))
