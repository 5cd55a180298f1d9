"""The verbs for ad hoc SQL with typed rows: ``fetch_all(conn, Song, "select ... where key = :key", key="F")``.

The text is a ``LiteralString``, so that type checkers refuse SQL that is built from a user's input; values go as
``:name`` parameters. Given an asynchronous connection or database each returns an awaitable.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from functools import lru_cache
from typing import Any, LiteralString, TypeVar, cast, overload

import psycopg

from sqlkit.annotations import Affected
from sqlkit.contracts.contract import Cardinality
from sqlkit.contracts.items import read_path
from sqlkit.errors import ArgumentError
from sqlkit.execution.calls import call, call_async
from sqlkit.execution.lending import AsyncExecutor, Executor
from sqlkit.execution.query import Query
from sqlkit.execution.streams import AsyncRows, Rows
from sqlkit.rows.shapes import RowType
from sqlkit.statements import Statement, Variant, parse_statement

__all__ = ["execute", "fetch_all", "fetch_one", "fetch_optional", "stream"]

T = TypeVar("T")


@lru_cache(maxsize=512)
def _statement(sql: str) -> Statement:
    if not isinstance(sql, str):
        raise TypeError('the SQL is a text, and stands behind the type of a row: fetch_all(db, Song, "select ...")')
    return parse_statement(sql)


@lru_cache(maxsize=512)
def _query(sql: str, cardinality: Cardinality, row: Any) -> Query:
    return Query(_statement(sql), cardinality, None if row is None else RowType.of(row))


def _prepare(
    sql: str, cardinality: Cardinality, row: Any, values: dict[str, Any]
) -> tuple[Query, Variant, Sequence[Any]]:
    query = _query(sql, cardinality, row)
    statement = query.statement
    if statement.regions or statement.choices:
        raise ArgumentError(f"{query.label}: optional lines and choices need a method of a Protocol, see sqlkit.load")
    variant = statement.variant()
    missing = [name for name in statement.parameters if name not in values]
    if missing:
        raise TypeError(f"{query.label}: missing the value of :{missing[0]}")
    unused = [name for name in values if name not in statement.parameters]
    if unused:
        raise TypeError(f"{query.label}: the statement has no :{unused[0]}")
    return query, variant, [read_path(values[part.name], part.path) for part in variant.references]


def _is_async(db: object) -> bool:
    return isinstance(db, psycopg.AsyncConnection) or (
        not isinstance(db, psycopg.Connection) and _lends_async(cast("Any", type(db)))
    )


@lru_cache(maxsize=64)
def _lends_async(cls: type) -> bool:
    from inspect import iscoroutinefunction

    return iscoroutinefunction(getattr(cls, "lend", None))


def _run(db: Any, sql: str, cardinality: Cardinality, row: Any, values: dict[str, Any]) -> Any:
    return (call_async if _is_async(db) else call)(db, *_prepare(sql, cardinality, row, values))


@overload
def fetch_one(db: Executor, row: type[T], sql: LiteralString, /, **values: Any) -> T: ...
@overload
def fetch_one(db: AsyncExecutor, row: type[T], sql: LiteralString, /, **values: Any) -> Coroutine[Any, Any, T]: ...
def fetch_one(db: Any, row: type[T], sql: LiteralString, /, **values: Any) -> Any:
    """Return the one row of a statement; ``NoRow`` or ``TooManyRows`` where there is not exactly one."""
    return _run(db, sql, Cardinality.ONE, row, values)


@overload
def fetch_optional(db: Executor, row: type[T], sql: LiteralString, /, **values: Any) -> T | None: ...
@overload
def fetch_optional(
    db: AsyncExecutor, row: type[T], sql: LiteralString, /, **values: Any
) -> Coroutine[Any, Any, T | None]: ...
def fetch_optional(db: Any, row: type[T], sql: LiteralString, /, **values: Any) -> Any:
    """Return the row of a statement, or None where there is none; ``TooManyRows`` for two."""
    return _run(db, sql, Cardinality.OPTIONAL, row, values)


@overload
def fetch_all(db: Executor, row: type[T], sql: LiteralString, /, **values: Any) -> list[T]: ...
@overload
def fetch_all(
    db: AsyncExecutor, row: type[T], sql: LiteralString, /, **values: Any
) -> Coroutine[Any, Any, list[T]]: ...
def fetch_all(db: Any, row: type[T], sql: LiteralString, /, **values: Any) -> Any:
    """Return all rows of a statement."""
    return _run(db, sql, Cardinality.ALL, row, values)


@overload
def execute(db: Executor, sql: LiteralString, /, **values: Any) -> Affected: ...
@overload
def execute(db: AsyncExecutor, sql: LiteralString, /, **values: Any) -> Coroutine[Any, Any, Affected]: ...
def execute(db: Any, sql: LiteralString, /, **values: Any) -> Any:
    """Run a statement and return the number of rows that it affected."""
    return _run(db, sql, Cardinality.AFFECTED, None, values)


@overload
def stream(db: Executor, row: type[T], sql: LiteralString, /, **values: Any) -> Rows[T]: ...
@overload
def stream(db: AsyncExecutor, row: type[T], sql: LiteralString, /, **values: Any) -> AsyncRows[T]: ...
def stream(db: Any, row: type[T], sql: LiteralString, /, **values: Any) -> Any:
    """Return the rows of a statement as a stream, in chunks, with flat memory."""
    prepared = _prepare(sql, Cardinality.STREAM, row, values)
    if _is_async(db):
        return AsyncRows[T](db, *prepared)
    return Rows[T](db, *prepared)
