"""Where tables stand that migrations make: under their own name, with a prefix, or in another schema of the path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from sqlkit.migrate.adopt_catalogue import Relation, read_relations

__all__ = ["Place", "find_places", "moves", "quoted"]

ENOUGH = 0.5  # of its columns: a table of the same name in another schema may be another application's


@dataclass(frozen=True, slots=True)
class Place:
    """A table of the database: the schema that it is in, and its name there."""

    schema: str
    name: str


def find_places(
    conn: psycopg.Connection[Any], schema: str, prefix: str, tables: Mapping[str, set[str]]
) -> dict[str, Place]:
    """Return where each of the ``tables`` (names and columns) stands, for those that stand anywhere.

    It is looked for in its schema under its name and with the prefix, then so in the schemas of the search path.
    """
    row = conn.execute("select current_schemas(false)").fetchone()
    path: list[str] = row[0] if row else []
    relations = {name: read_relations(conn, name) for name in dict.fromkeys([schema, *path, "public"])}
    found = {}
    for table, columns in tables.items():
        for home, there in relations.items():
            name = next((name for name in dict.fromkeys((table, f"{prefix}{table}")) if name in there), None)
            if name is not None and (home == schema or is_like(there[name], columns)):
                found[table] = Place(home, name)
                break
    return found


def is_like(relation: Relation, columns: set[str]) -> bool:
    """Say whether a table has enough of the columns to be the one that is looked for."""
    return len(columns.intersection(relation.columns)) >= ENOUGH * len(columns)


def moves(
    conn: psycopg.Connection[Any], schema: str, places: Mapping[str, Place], types: Mapping[str, str]
) -> list[str]:
    """Return the statements that would bring tables, and types by their schemas, to where the migrations make them."""
    statements = []
    home = quoted(conn, schema)
    if types or any(place.schema != schema for place in places.values()):
        statements.append(f"create schema if not exists {home};")
    for name, other in types.items():
        statements.append(f"alter type {quoted(conn, other)}.{quoted(conn, name)} set schema {home};")
    for table, place in places.items():
        name = quoted(conn, place.name)
        if place.schema != schema:
            statements.append(f"alter table {quoted(conn, place.schema)}.{name} set schema {home};")
        if place.name != table:
            statements.append(f"alter table {home}.{name} rename to {quoted(conn, table)};")
    return statements


def quoted(conn: psycopg.Connection[Any], name: str) -> str:
    """Return a name as SQL has it, quoted where it must be."""
    row = conn.execute("select quote_ident(%s)", [name]).fetchone()
    return str(row[0]) if row else name
