"""The cases: statements with the truth about each column, and what shows it.

They stand in ``cases/<group>/*.sql`` in the grammar of every other ``.sql`` file. Directives carry the rest:

=========== ==========================================================================================
``truth``   the columns in order, with a question mark those that can be NULL
``given``   the parameters of a witness as a JSON object, or a list of those, values as PostgreSQL reads
            them (``null`` is NULL)
``before``  statements that change the standing rows for a second witness, run after one without them
``version`` the first and last major version that take the case: ``18``, ``15-17``
=========== ==========================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import RawCursor
from psycopg.types.string import StrDumperUnknown

from sqlkit.statements import Statement, parse_statement, read_statements

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
GIVEN = ROOT / "tests" / "data" / "nullability_cases.json"

Parameters = Mapping[str, str | None]


@dataclass(frozen=True)
class Case:
    """A statement and the truth: ``nullable[i]`` says whether column i, called ``columns[i]``, can be NULL."""

    statement: Statement
    columns: tuple[str, ...]
    nullable: tuple[bool, ...]
    given: tuple[Parameters, ...] = ({},)
    before: str | None = None
    versions: tuple[int, int] = (15, 99)

    @property
    def name(self) -> str:
        """The name of the statement."""
        return self.statement.name

    def stands_on(self, server_version: int) -> bool:
        """Whether a server of this version takes the case."""
        return self.versions[0] <= server_version // 10000 <= self.versions[1]


@cache
def read_cases(group: str) -> tuple[Case, ...]:
    """Return the cases of a group: ``ordinary`` or ``hard``."""
    files = sorted((HERE / "cases" / group).glob("*.sql"))
    return tuple(_case(statement) for file in files for statement in read_statements(file))


def _case(statement: Statement) -> Case:
    written = statement.directives
    truth = written["truth"].split()
    given = json.loads(written.get("given", "{}"))
    first, _, last = written.get("version", "15-99").partition("-")
    return Case(
        statement,
        tuple(column.rstrip("?") for column in truth),
        tuple(column.endswith("?") for column in truth),
        tuple(given) if isinstance(given, list) else (given,),
        written.get("before"),
        (int(first), int(last or 99)),
    )


@cache
def given_cases() -> tuple[Case, ...]:
    """Return the cases of ``data/nullability_cases.json``."""
    return tuple(
        Case(
            parse_statement(case["sql"], name=case["name"], path=GIVEN),
            tuple(case["nullable"]),
            tuple(case["nullable"].values()),
            before="delete from orders",
        )
        for case in json.loads(GIVEN.read_text())["cases"]
    )


def create_given(conn: psycopg.Connection[Any]) -> None:
    """Create the schema of the given cases, with their rows."""
    given = json.loads(GIVEN.read_text())
    for statement in [given["schema"], *given["data_sql"]]:
        conn.execute(statement)


def create_schema(conn: psycopg.Connection[Any], *, rows: bool = True) -> None:
    """Create the scratch schema, as far as the server's version has it, and its standing rows."""
    names = ["schema.sql", f"schema_{'18' if conn.info.server_version >= 180000 else '15'}.sql"]
    for name in [*names, *(["data.sql"] if rows else [])]:
        conn.execute((HERE / name).read_bytes())


def run(conn: psycopg.Connection[Any], statement: Statement, parameters: Parameters) -> list[tuple[Any, ...]]:
    """Run a statement's one variant and return its rows, each value as text or None.

    Parameters go as text of no type, so that PostgreSQL finds the same types as when it prepares the statement.
    """
    variant = statement.variant()
    values = [parameters[str(reference)] for reference in variant.references]
    with RawCursor(conn) as cursor:
        cursor.adapters.register_dumper(str, StrDumperUnknown)
        cursor.execute(variant.text.encode(), values)
        result = cursor.pgresult
        if result is None or cursor.description is None:
            return []
        return [
            tuple(result.get_value(row, column) for column in range(result.nfields)) for row in range(result.ntuples)
        ]


def names(conn: psycopg.Connection[Any], statement: Statement) -> list[str]:
    """Return the names of a statement's columns, from PostgreSQL's description of it."""
    with conn.transaction():
        prepared = conn.pgconn.prepare(b"", statement.variant().text.encode())
        described = conn.pgconn.describe_prepared(b"")
        if prepared.error_message:
            raise AssertionError(f"{statement.name}: {prepared.error_message.decode()}")
        return [(described.fname(column) or b"").decode() for column in range(described.nfields)]


def nulls(rows: Iterable[tuple[Any, ...]]) -> set[int]:
    """Return the columns that are NULL in any of the rows."""
    return {column for row in rows for column, value in enumerate(row) if value is None}


def witnessed(conn: psycopg.Connection[Any], case: Case) -> set[int]:
    """Return the columns that the witnesses of a case show as NULL; nothing of what they do is kept."""
    found: set[int] = set()
    for setup in (None, case.before) if case.before else (None,):
        for parameters in case.given:
            with conn.transaction(force_rollback=True):
                if setup:
                    conn.execute(setup.encode())
                found |= nulls(run(conn, case.statement, parameters))
    return found
