"""What migrations make, found by making it: in a scratch schema, in a transaction that is rolled back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import errors, sql

from sqlkit.errors import MigrationError
from sqlkit.lexer import BLANK, Kind, tokenize
from sqlkit.migrate.adopt_catalogue import Catalogue, read_catalogue, read_relations
from sqlkit.migrate.backend import error_offset, failure
from sqlkit.migrate.files import MigrationFile
from sqlkit.migrate.urls import EXTENSIONS

__all__ = ["Made", "make_all"]

LOCK_TIMEOUT = "30s"  # the transaction holds locks of its own, so it is not to wait for others for long
# What such a statement does may be in rows, or nowhere: the catalogue does not show it.
UNSEEN = {"insert", "update", "delete", "merge", "select", "with", "call", "truncate", "refresh", "values"}
WRITING = re.compile(r"\b(insert|update|delete|merge|truncate|copy|call|setval)\b", re.IGNORECASE)  # in a DO


@dataclass(frozen=True, slots=True)
class Made:
    """What was in the scratch schema after a migration.

    ``unseen``: some of its statements may do what the catalogue does not show.
    """

    migration: MigrationFile
    catalogue: Catalogue
    unseen: bool


def make_all(conn: psycopg.Connection[Any], migrations: Sequence[MigrationFile]) -> tuple[Catalogue, list[Made]]:
    """Make migrations in a new schema, in the transaction of ``conn``; return what was there first, and after each.

    Whoever calls rolls back. What takes no transaction, such as CREATE INDEX CONCURRENTLY, is done in this one.
    MigrationError with the place for what fails.
    """
    schema = f"_sqlkit_adopt_{uuid4().hex[:12]}"
    make_schema(conn, schema)
    begin(conn, schema)
    before = read_catalogue(conn, schema, {})
    made = []
    for migration in migrations:
        if not migration.is_sql:
            raise MigrationError(f"{migration.path}: is written in Python: only .sql files can be adopted")
        unseen = make(conn, migration)
        begin(conn, schema)
        names = {name: name for name in read_relations(conn, schema)}
        made.append(Made(migration, read_catalogue(conn, schema, names), unseen))
    return before, made


def make_schema(conn: psycopg.Connection[Any], schema: str) -> None:
    """Make the scratch schema, and the one for extensions where it is missing."""
    try:
        conn.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
        if conn.execute("select to_regnamespace(%s) is null", [EXTENSIONS]).fetchone() == (True,):
            conn.execute(sql.SQL("create schema {}").format(sql.Identifier(EXTENSIONS)))
    except errors.InsufficientPrivilege:
        raise MigrationError(
            "adopt: the migrations are made in a scratch schema, in a transaction that is rolled back: "
            "connect as a role that may create schemas in this database"
        ) from None


def begin(conn: psycopg.Connection[Any], schema: str) -> None:
    """Take back what a migration has set, and set the path to the scratch schema."""
    conn.execute("set constraints all immediate")
    conn.execute("reset session authorization")
    conn.execute("reset all")
    path = sql.SQL(", ").join([sql.Identifier(schema), sql.Identifier(EXTENSIONS)])
    conn.execute(sql.SQL("set local search_path = {}").format(path))
    conn.execute(sql.SQL("set local lock_timeout = {}").format(LOCK_TIMEOUT))


def make(conn: psycopg.Connection[Any], migration: MigrationFile) -> bool:
    """Execute a migration; say whether it may do what the catalogue does not show."""
    script = migration.script()
    unseen = False
    for statement in script.statements:
        text, first = within_transaction(statement.text)
        unseen = unseen or first in UNSEEN or (first == "do" and WRITING.search(text) is not None)
        try:
            conn.execute(text.encode())
        except psycopg.Error as error:
            raise failure(script.place(statement.start + error_offset(error)), error) from error
    return unseen


def within_transaction(text: str) -> tuple[str, str]:
    """Return a statement as a transaction takes it, without ``concurrently``, and its first word."""
    words = [token for token in tokenize(text) if token.kind not in BLANK]
    first = text[words[0].start : words[0].end].lower() if words else ""
    for token in words if first in ("create", "drop", "alter", "reindex") else ():
        if token.kind is Kind.WORD and text[token.start : token.end].lower() == "concurrently":
            # Blanks of the same length: the places in errors stay true.
            text = text[: token.start] + " " * (token.end - token.start) + text[token.end :]
    return text, first
