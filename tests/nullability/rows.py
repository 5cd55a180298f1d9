"""Random rows for the scratch schema, as far as its constraints let them in, and what else may befall it."""

from __future__ import annotations

from random import Random
from typing import Any

import psycopg

#: The tables to be filled, each behind those that it points to.
ORDER = [
    "authors", "publishers", "books", "customers", "orders", "order_items", "parcels", "shipments", "reviews",
    "employees", "contacts", "events", "vehicles", "trucks", "drafts", "readings", "marks", "late_marks",
    "accounts", "tokens", "shelves", "boxes",
    "audited", "plain", "secrets", "secret_uses",
]  # fmt: skip

#: What a value of a type may be, as PostgreSQL reads it; small numbers, so that keys meet.
VALUES = {
    "bigint": ["1", "2", "3"],
    "integer": ["0", "1", "2", "5"],
    "numeric": ["1", "2.5", "7"],
    "double precision": ["1", "0", "NaN", "Infinity"],
    "text": ["", "a", "Ann", "north", "south", "Ann", "a,b", "Bob", "x"],
    "date": ["2020-01-01", "1999-12-31", "infinity"],
    "timestamp with time zone": ["2020-01-01", "infinity"],
    "boolean": ["t", "f"],
    "jsonb": ["{}", '{"a": null}', '{"a": {"b": 1}, "list": [null]}', "[]", "null"],
    "text[]": ["{}", "{NULL}", "{a,b}", "{{a},{NULL}}"],
    "integer[]": ["{}", "{NULL}", "{1,2}"],
    "bigint[]": ["{}", "{NULL}", "{1,2}"],
    "genre": ["novel", "poetry"],
    "order_status": ["new", "sent"],
    "email_address": ["a@b", "c@d"],
    "short_text": ["", "x"],
    "address": ["(,)", "(a,)", "(a,b)"],
}

#: What may happen to a database while it runs, and leaves a looked-for proof without ground.
EVENTS = [
    "delete from accounts",
    "delete from shelves",
    "set constraints all deferred; insert into drafts values (70, 70, 1, 1)",
    "update trucks set plate = null",
    "alter foreign table ledger options (set program 'printf \",\\n,\\n\"')",
    "truncate books cascade",
    "truncate customers cascade",
    "truncate authors cascade",
    "truncate publishers cascade",
    "update authors set tags = '{}'",
    "insert into trucks values (70, 'EF', 70, 1)",
    "update orders set placed_at = 'infinity'",
]

COLUMNS = """
select attrelid::regclass::text, attname, format_type(atttypid, null), attnotnull
from pg_attribute
where attrelid = any(%s::regclass[]) and attnum > 0 and not attisdropped and attgenerated = ''
order by attrelid, attnum
"""


def fill(conn: psycopg.Connection[Any], random: Random, most: int = 6) -> None:
    """Insert up to ``most`` rows into each table; those that a constraint refuses are left out."""
    columns: dict[str, list[tuple[str, str, bool]]] = {}
    for table, *column in conn.execute(COLUMNS, [ORDER]):
        columns.setdefault(table, []).append(tuple(column))
    for table in ORDER:
        number = 0 if random.random() < 0.1 else random.randint(2, most)
        statements = [insert(random, table, columns[table], str(key)) for key in range(1, number + 1)]
        conn.execute("".join(map(tolerant, statements)).encode() or b"select 1")
    conn.execute(tolerant("refresh materialized view author_names").encode())
    for event in random.sample(EVENTS, random.choice([0, 0, 0, 1, 2])):
        conn.execute(tolerant(event).encode())


def insert(random: Random, table: str, columns: list[tuple[str, str, bool]], key: str) -> str:
    """Return an insert of one random row; a column that may be NULL often is. The first column is the key mostly."""
    names, values = [columns[0][0]], [key if table != "order_items" else value(random, "bigint", 0)]
    for name, type_, not_null in columns[1:]:
        if not not_null and random.random() < 0.1:
            continue
        names.append(name)
        values.append(value(random, type_, 0 if not_null else 0.4))
    return f"insert into {table} ({', '.join(names)}) overriding system value values ({', '.join(values)})"


def value(random: Random, type_: str, nulls: float) -> str:
    """Return a literal of a type."""
    if random.random() < nulls:
        return "null"
    return f"'{random.choice(VALUES.get(type_, ['1']))}'"


def parameter(random: Random, type_: str) -> str | None:
    """Return a parameter of a type as PostgreSQL reads it, or None for NULL."""
    return None if random.random() < 0.3 else random.choice(VALUES.get(type_, ["1", "0", "5"]))


def tolerant(statement: str) -> str:
    """Return a statement that does nothing where it would fail."""
    return f"do $do$ begin {statement}; exception when others then null; end $do$;"
