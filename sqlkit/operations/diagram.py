"""A schema as a Mermaid entity-relationship diagram."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple, Protocol

import sqlkit
from sqlkit import Executor
from sqlkit.errors import ConfigurationError
from sqlkit.folders import SQL

__all__ = ["diagram", "diagram_in"]


class Column(NamedTuple):
    """A column, with the kinds of keys that it is part of: p, f, u."""

    table_name: str
    name: str
    type: str
    is_nullable: bool
    comment: str | None
    keys: list[str]


class Relation(NamedTuple):
    """A foreign key of ``child``, which refers to ``parent``."""

    parent: str
    child: str
    is_elsewhere: bool
    columns: list[str]
    is_required: bool
    is_single: bool


class DiagramQueries(Protocol):
    """What a diagram shows of a schema: ``sql/operations/diagram.sql``."""

    def find_schema(self, db: Executor, *, schema_name: str | None) -> str | None:
        """Return the name of the schema that is meant."""
        ...

    def list_columns(self, db: Executor, *, schema_name: str) -> list[Column]:
        """Return the columns of all tables."""
        ...

    def list_relations(self, db: Executor, *, schema_name: str) -> list[Relation]:
        """Return the foreign keys of all tables."""
        ...


queries: DiagramQueries = sqlkit.load(DiagramQueries, SQL / "operations/diagram.sql")

#: PostgreSQL's own short names of types.
SHORT_TYPES = {
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time with time zone": "timetz",
    "time without time zone": "time",
    "character varying": "varchar",
    "character": "char",
    "double precision": "double",
    "bit varying": "varbit",
}
LONG_TYPE = re.compile("|".join(sorted(map(re.escape, SHORT_TYPES), key=len, reverse=True)))
TYPE_SCHEMA = re.compile(r'^(?:"(?:[^"]|"")*"|\w+)\.')  # which is written where the search path does not find the type
WORD = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)

KEYS = {"p": "PK", "f": "FK", "u": "UK"}

BLOCK = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def diagram(db: Executor, schema: str | None = None) -> str:
    """Return the Mermaid ``erDiagram`` of a schema, the first of the search path where none is named.

    Tables by name, with their columns: type, PK, FK and UK, ``null`` where a column may be so, and the column's
    comment. Relations with their cardinality: whether a row must refer to another, and whether several may to the
    same. Partitions belong to their table. The same schema gives the same text. ConfigurationError where the schema is
    not there.
    """
    name = queries.find_schema(db, schema_name=schema)
    if name is None:
        raise ConfigurationError(
            f"schema {schema!r} is not there" if schema else "no schema of the search path is there"
        )
    columns = queries.list_columns(db, schema_name=name)
    lines = ["erDiagram", *map(_relation, queries.list_relations(db, schema_name=name))]
    for table, listed in groupby(columns, key=lambda column: column.table_name):
        lines += [f"    {_entity(table)} {{", *map(_attribute, listed), "    }"]
    return "\n".join(lines) + "\n"


def diagram_in(page: str) -> str:
    """Return the text of the first ``mermaid`` block of a page, for a test that compares it with ``diagram``."""
    found = BLOCK.search(page)
    return found[1] if found else ""


def _entity(name: str) -> str:
    """Return a table's name, quoted if it has to be."""
    return name if WORD.fullmatch(name) else f'"{_plain(name)}"'


def _plain(text: str) -> str:
    """Return a text without what Mermaid reads as the end of it."""
    return " ".join(text.split()).replace('"', "'")


def _attribute(column: Column) -> str:
    name = column.name if WORD.fullmatch(column.name) else re.sub(r"[^\w-]", "_", column.name, flags=re.ASCII)
    marks = ", ".join(mark for kind, mark in KEYS.items() if kind in column.keys)
    notes = _notes(column)
    note = f'"{"; ".join(notes)}"' if notes else ""
    return "        " + " ".join(filter(None, (_type(column.type), name, marks, note)))


def _notes(column: Column) -> Sequence[str]:
    null = ["null"] if column.is_nullable else []
    return [*null, *([_plain(column.comment)] if column.comment else [])]


def _type(name: str) -> str:
    """Return a type as one word that Mermaid takes: letters, digits, ``_``, ``()`` and ``[]``; without its schema."""
    short = LONG_TYPE.sub(lambda found: SHORT_TYPES[found[0]], TYPE_SCHEMA.sub("", name))
    return re.sub(r"[^\w()\[\]]+", "_", short.replace('"', ""), flags=re.ASCII)


def _relation(relation: Relation) -> str:
    """Return a line such as ``users ||--o{ songs : "user_id"``: each song has one user, a user any number of songs."""
    parent = "||" if relation.is_required else "|o"
    child = "o|" if relation.is_single else "o{"
    return f'    {_entity(relation.parent)} {parent}--{child} {_entity(relation.child)} : "{_joined(relation.columns)}"'


def _joined(columns: Iterable[str]) -> str:
    return _plain(", ".join(columns))
