"""What ``sqlkit check`` takes beside the least that any check must: PREPARE and describe of the same statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from typing import Any

import psycopg

from benchmarks.scoreboard import fresh
from benchmarks.work import Limit, Size, Work
from sqlkit.describing.describe import describe
from sqlkit.describing.description import Described
from sqlkit.statements import Statement
from tests.nullability.cases import create_schema, read_cases


@contextmanager
def checking(dsn: str, size: Size) -> Iterator[list[Work]]:
    """Give the work of checking, on one connection that is closed afterwards."""
    with psycopg.connect(fresh(dsn, "checking", create_schema), autocommit=True) as conn:
        version = conn.info.server_version
        cases = [case for group in ("ordinary", "hard") for case in read_cases(group) if case.stands_on(version)]
        statements = list(islice(cycle(case.statement for case in cases), size.statements))
        yield [
            Work(
                "check",
                f"{size.statements:,} statements described, their columns proved",
                1,
                {
                    "PREPARE and describe": lambda: prepared(conn, statements),
                    "the same, unnamed": lambda: parsed(conn, statements),
                    "sqlkit": lambda: described(conn, statements),
                },
                (Limit("PREPARE and describe", at_most=4.0),),
            )
        ]


def prepared(conn: psycopg.Connection[Any], statements: list[Statement]) -> list[int]:
    """PREPARE and describe each statement; the numbers of their columns."""
    found = []
    for number, statement in enumerate(statements):
        name = f"checked_{number}"
        conn.execute(f"prepare {name} as {statement.variant().text}".encode())
        found.append(conn.pgconn.describe_prepared(name.encode()).nfields)
    conn.execute("deallocate all")
    return found


def parsed(conn: psycopg.Connection[Any], statements: list[Statement]) -> list[int]:
    """Prepare and describe each as the protocol's unnamed statement, the least that can be done one by one."""
    found = []
    for statement in statements:
        conn.pgconn.prepare(b"", statement.variant().text.encode())
        found.append(conn.pgconn.describe_prepared(b"").nfields)
    return found


def described(conn: psycopg.Connection[Any], statements: list[Statement]) -> list[int]:
    """Describe each statement with its proof; the numbers of their columns."""
    return [
        len(description.outcome.columns)
        for description in describe(conn, statements)
        if isinstance(description.outcome, Described)
    ]
