"""Voxstitch's tables: their columns, names, constraints, and the way up and down."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ValidationError

from sqlkit.apps import MIGRATIONS
from sqlkit.apps.voxstitch import models
from sqlkit.migrate import migrate, rollback
from sqlkit.testing import rolled_back

FOLDER = MIGRATIONS / "voxstitch"
Connection = psycopg.Connection[Any]

COLUMNS = {
    "users": {
        "user_id": "bigint not null",
        "email": "text",
        "hashed_password": "text",
        "is_active": "boolean not null",
        "is_guest": "boolean not null",
        "remaining_imports": "integer not null",
        "created_at": "timestamp with time zone not null",
        "updated_at": "timestamp with time zone not null",
    },
    "chats": {
        "chat_id": "bigint not null",
        "user_id": "bigint not null",
        "title": "text not null",
        "platform": "text not null",
        "content": "jsonb not null",
        "created_at": "timestamp with time zone not null",
        "updated_at": "timestamp with time zone not null",
    },
    "login_sessions": {
        "session_id": "bigint not null",
        "user_id": "bigint not null",
        "token_hash": "bytea not null",
        "created_at": "timestamp with time zone not null",
        "expires_at": "timestamp with time zone not null",
    },
    "cache_tags": {
        "tag": "text not null",
        "version": "bigint not null",
        "created_at": "timestamp with time zone not null",
        "updated_at": "timestamp with time zone not null",
    },
}
INDEXES = {
    "users_email_key",  # of an expression, so it is no constraint
    "chats_user_id_chat_id_idx",
    "chats_platform_chat_id_idx",
    "chats_title_content_idx",
    "login_sessions_user_id_idx",
    "login_sessions_expires_at_idx",
    "cache_tags_updated_at_idx",
}


@pytest.fixture
def conn(voxstitch_shared_dsn: str) -> Iterator[Connection]:
    """Give a connection to voxstitch's tables, in a transaction that is rolled back."""
    with rolled_back(voxstitch_shared_dsn) as connection:
        yield connection


def owned(conn: Connection) -> set[str]:
    """Return the names of all relations of the schema but those that keep its history."""
    rows = conn.execute("select relname from pg_class where relnamespace = 'voxstitch'::regnamespace").fetchall()
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
        "where connamespace = 'voxstitch'::regnamespace and contype <> 'n' and conrelid::regclass::text = any(%s)",
        [list(COLUMNS)],
    ).fetchall()
    assert len(constraints) > 12
    for table, name, kind, numbers in constraints:
        columns = [list(COLUMNS[table])[number - 1] for number in numbers]
        assert name == (f"{table}_pkey" if kind == "p" else f"{table}_{'_'.join(columns)}_{kinds[kind]}")
    sequences = {"users_user_id_seq", "chats_chat_id_seq", "login_sessions_session_id_seq"}
    assert owned(conn) - set(COLUMNS) - sequences - {name for _, name, _, _ in constraints} == INDEXES


def test_every_foreign_key_has_an_index(conn: Connection) -> None:
    """The columns of each foreign key are the first ones of some index."""
    bare = conn.execute(
        "select conname from pg_constraint where contype = 'f' and connamespace = 'voxstitch'::regnamespace "
        "and not exists (select from pg_index where indrelid = conrelid "
        "and (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey)"
    ).fetchall()
    assert bare == []


def test_up_down_and_up_again(dsn: str) -> None:
    """All migrations go up, down to an empty schema, and up again to the same tables, indexes and function."""
    applied = migrate(dsn, FOLDER, schema="voxstitch")
    functions = "select count(*) from pg_proc where pronamespace = 'voxstitch'::regnamespace"
    with psycopg.connect(dsn, autocommit=True) as conn:
        before = owned(conn)
        assert set(COLUMNS) | INDEXES <= before
        assert rollback(dsn, FOLDER, schema="voxstitch", count=None) == applied[::-1]
        assert owned(conn) == set()
        assert conn.execute(functions).fetchone() == (0,)
        assert migrate(dsn, FOLDER, schema="voxstitch") == applied
        assert owned(conn) == before


def test_one_step_back_and_forth(dsn: str) -> None:
    """Each migration can be rolled back alone and applied again."""
    applied = migrate(dsn, FOLDER, schema="voxstitch")
    for steps in range(1, len(applied) + 1):
        assert rollback(dsn, FOLDER, schema="voxstitch", count=steps) == applied[-steps:][::-1]
        assert migrate(dsn, FOLDER, schema="voxstitch") == applied[-steps:]


NOW = datetime(2026, 1, 1, tzinfo=UTC)
HASH = "$argon2id$v=19$x"
USER: dict[str, Any] = {"email": "a@b", "hashed_password": HASH}
CHAT: dict[str, Any] = {"user_id": 1, "title": "T", "platform": "claude", "content": {"messages": []}}
SESSION: dict[str, Any] = {"user_id": 1, "token_hash": b"x" * 32}
LASTING = {**SESSION, "lifetime": timedelta(hours=1)}
EXPIRING = {**SESSION, "created_at": NOW, "expires_at": NOW + timedelta(hours=1)}

#: Which CHECK; the model, a good one of it, what breaks it and the field that it names; the table, and a row that
#: breaks it there.
BROKEN: list[tuple[str, type[BaseModel], dict[str, Any], dict[str, Any], str, str, dict[str, Any]]] = [
    ("users_email_check", models.NewUser, USER, {"email": "nobody"}, "email", "users", USER | {"email": "nobody"}),
    ("users_email_check", models.UserChanges, {}, {"email": "a b@c"}, "email", "users", USER | {"email": "a b@c"}),
    (
        "users_hashed_password_check",
        models.NewUser,
        USER,
        {"hashed_password": "hunter2"},
        "hashed_password",
        "users",
        USER | {"hashed_password": "hunter2"},
    ),
    (
        "users_is_guest_email_hashed_password_check",
        models.NewUser,
        USER,
        {"email": None},
        "",
        "users",
        USER | {"email": None},
    ),
    (
        "users_is_guest_email_hashed_password_check",
        models.NewUser,
        USER,
        {"hashed_password": None},
        "",
        "users",
        USER | {"hashed_password": None},
    ),
    (
        "users_remaining_imports_check",
        models.NewUser,
        USER,
        {"remaining_imports": -1},
        "remaining_imports",
        "users",
        USER | {"remaining_imports": -1},
    ),
    ("chats_title_check", models.NewChat, CHAT, {"title": ""}, "title", "chats", CHAT | {"title": ""}),
    (
        "chats_platform_check",
        models.ChatChanges,
        {},
        {"platform": "icq"},
        "platform",
        "chats",
        CHAT | {"platform": "icq"},
    ),
    (
        "chats_content_check",
        models.NewChat,
        CHAT,
        {"content": "hello"},
        "content",
        "chats",
        CHAT | {"content": "hello"},
    ),
    ("chats_content_check", models.NewChat, CHAT, {"content": None}, "content", "chats", CHAT | {"content": None}),
    (
        "login_sessions_token_hash_check",
        models.NewLoginSession,
        LASTING,
        {"token_hash": b"short"},
        "token_hash",
        "login_sessions",
        EXPIRING | {"token_hash": b"short"},
    ),
    (
        "login_sessions_expires_at_created_at_check",
        models.NewLoginSession,
        LASTING,
        {"lifetime": timedelta(0)},
        "lifetime",
        "login_sessions",
        EXPIRING | {"expires_at": NOW},
    ),
]


def insert(conn: Connection, table: str, row: dict[str, Any]) -> None:
    """Insert a row as it is, past the models."""
    stored = {name: Jsonb(value) if name == "content" else value for name, value in row.items()}
    statement = sql.SQL("insert into {} ({}) values ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, stored)),
        sql.SQL(", ").join(sql.Placeholder() * len(stored)),
    )
    conn.execute(statement, list(stored.values()))


@pytest.mark.parametrize(("check", "model", "good", "bad", "field", "table", "row"), BROKEN)
def test_checks_hold_in_the_model_and_around_it(
    conn: Connection,
    check: str,
    model: type[BaseModel],
    good: dict[str, Any],
    bad: dict[str, Any],
    field: str,
    table: str,
    row: dict[str, Any],
) -> None:
    """What a CHECK refuses, the input model refuses too, with the field's name."""
    model(**good)
    with pytest.raises(ValidationError) as refused:
        model(**{**good, **bad})
    assert {str(error["loc"][0]) if error["loc"] else "" for error in refused.value.errors()} == {field}
    with pytest.raises(errors.CheckViolation) as violated:
        insert(conn, table, row)
    assert violated.value.diag.constraint_name == check


def test_every_check_is_broken_above(conn: Connection) -> None:
    """No CHECK of the schema is without its case; those of the cache have theirs in test_caching_tables.py."""
    found = conn.execute(
        "select conname from pg_constraint where contype = 'c' and connamespace = 'voxstitch'::regnamespace "
        "and conname !~ '^cache_'"
    ).fetchall()
    assert {name for (name,) in found} == {case[0] for case in BROKEN}


def test_platforms_equal_their_check(conn: Connection) -> None:
    """The enum has the very values that the CHECK lists."""
    row = conn.execute(
        "select pg_get_constraintdef(oid) from pg_constraint where conname = 'chats_platform_check'"
    ).fetchone()
    assert row is not None
    assert set(re.findall(r"'(\w+)'::text", row[0])) == {platform.value for platform in models.Platform}


def test_defaults(conn: Connection) -> None:
    """A user is active, no guest, and may import twice, when nothing else is said."""
    insert(conn, "users", USER)
    row = conn.execute("select is_active, is_guest, remaining_imports from users").fetchone()
    assert row == (True, False, 2)


@pytest.mark.parametrize("other", ["A@B.example", "a@b.EXAMPLE"])
def test_one_account_for_each_address(conn: Connection, other: str) -> None:
    """An address is taken however it is capitalised."""
    insert(conn, "users", USER | {"email": "a@b.example"})
    with pytest.raises(errors.UniqueViolation) as refused:
        insert(conn, "users", USER | {"email": other})
    assert refused.value.diag.constraint_name == "users_email_key"


def test_guests_may_share_that_they_have_no_address(conn: Connection) -> None:
    """Any number of guests may be without an address."""
    for _ in range(2):
        insert(conn, "users", {"is_guest": True})
    models.NewUser(is_guest=True)


@pytest.mark.parametrize("model", [models.NewUser, models.NewChat, models.ChatChanges, models.NewLoginSession])
def test_fields_that_do_not_exist(model: type[BaseModel]) -> None:
    """A field that does not exist is refused, not lost."""
    with pytest.raises(ValidationError, match="Extra inputs"):
        model(nickname="x")


@pytest.mark.parametrize("content", [{"text": "a\0b"}, {"a\0b": 1}, ["\ud800"]])
def test_content_that_jsonb_cannot_hold(content: Any) -> None:
    """A NUL or half of a surrogate pair, anywhere in the content, is refused before it is sent."""
    with pytest.raises(ValidationError, match="PostgreSQL does not take"):
        models.NewChat(**{**CHAT, "content": content})


def test_content_that_speaks_of_nul() -> None:
    r"""The six letters \u0000 in a text are letters like any other."""
    assert models.NewChat(**{**CHAT, "content": {"text": r"\u0000"}}).content == {"text": r"\u0000"}


def test_errors_and_reprs_show_no_password() -> None:
    """A refused password's hash is in no error, and an accepted one in no repr."""
    with pytest.raises(ValidationError) as refused:
        models.NewUser(email="a@b", hashed_password="hunter2")
    assert "hunter2" not in str(refused.value)
    assert HASH not in repr(models.NewUser(**USER))
