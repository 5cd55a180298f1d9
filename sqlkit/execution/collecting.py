"""From a result to what the contract promises: so many rows, as objects."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import capabilities
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from sqlkit.annotations import Affected
from sqlkit.contracts.contract import Cardinality
from sqlkit.errors import NoRow, RowError, TooManyRows
from sqlkit.execution.prepared import Prepared
from sqlkit.execution.query import Query
from sqlkit.rows.maker import row_maker
from sqlkit.rows.shapes import Mismatch

__all__ = ["LARGE_ROWS", "collect", "load", "make", "make_rows", "row_error"]

#: From how many rows on a statement is read in chunks the next time (see ``chunked``).
LARGE_ROWS = 1000

OPTIONAL, AFFECTED = Cardinality.OPTIONAL, Cardinality.AFFECTED
TUPLES_OK = ExecStatus.TUPLES_OK


def collect(query: Query, prepared: Prepared, result: PGresult) -> Any:
    """Return what the contract promises of a result, or raise what says why not."""
    row = query.row
    if row is None:
        return Affected(result.command_tuples or 0) if query.cardinality is AFFECTED else None
    if result.status != TUPLES_OK:
        raise RowError(f"{query.label}: the statement returns no rows, {row} is promised", query=query.label)
    if query.single and result.ntuples != 1:
        return _not_one(query, result.ntuples)
    try:
        rows = prepared.load(result)
    except UNLOADABLE as error:
        raise row_error(query, _blame(query, prepared, result, error)) from None
    try:
        maker = prepared.makers.get(row)
        if maker is None:
            maker = prepared.makers[row] = row_maker(row, prepared.columns)
        made = maker.many(rows)
    except Mismatch as mismatch:
        raise row_error(query, mismatch) from None
    if query.single:
        return made[0]
    if len(rows) >= LARGE_ROWS:
        prepared.large = not prepared.composite and capabilities.has_stream_chunked()
    return made


def _not_one(query: Query, number: int) -> None:
    """Return None for the row that may be missing; NoRow or TooManyRows."""
    if number > 1:
        raise TooManyRows(f"{query.label}: {number} rows came, one {query.row} is promised")
    if query.cardinality is not OPTIONAL:
        raise NoRow(f"{query.label}: no row came, one {query.row} is promised")


def make(query: Query, prepared: Prepared, result: PGresult) -> list[Any]:
    """Make the objects of a result; RowError names the query and the column."""
    return make_rows(query, prepared, load(query, prepared, result))


def make_rows(query: Query, prepared: Prepared, rows: list[tuple[Any, ...]]) -> list[Any]:
    """Make the objects of rows that are loaded."""
    assert query.row is not None  # noqa: S101 - streams and verbs with rows have a row type
    try:
        maker = prepared.makers.get(query.row)
        if maker is None:
            maker = prepared.makers[query.row] = row_maker(query.row, prepared.columns)
        return maker.many(rows)
    except Mismatch as mismatch:
        raise row_error(query, mismatch) from None


def row_error(query: Query, mismatch: Mismatch) -> RowError:
    """Turn a mismatch into the error that names the query."""
    return RowError(
        f"{query.label}: {mismatch.reason}",
        query=query.label,
        column=mismatch.column,
        expected=mismatch.expected,
        got=mismatch.got,
    )


#: What psycopg's loaders raise of a value that they cannot make: of its range, or of its style (DateStyle and such).
UNLOADABLE = (psycopg.Error, ValueError, OverflowError, NotImplementedError)


def load(query: Query, prepared: Prepared, result: PGresult) -> list[tuple[Any, ...]]:
    """Load the rows of a result as tuples; RowError names the column that Python cannot hold."""
    try:
        return prepared.load(result)
    except UNLOADABLE as error:
        # The text of the error quotes the value, so it is not kept.
        raise row_error(query, _blame(query, prepared, result, error)) from None


def _blame(query: Query, prepared: Prepared, result: PGresult, error: Exception) -> Mismatch:
    """Find the column that psycopg cannot load: infinity, a year BC, 24:00."""
    for index, column in enumerate(prepared.columns):
        loader = prepared.transformer.get_loader(result.ftype(index), prepared.result_format)
        for row in range(result.ntuples):
            data = result.get_value(row, index)
            try:
                if data is not None:
                    loader.load(data)
            except UNLOADABLE:
                reason = f"column {column.name!r}: Python cannot hold this {column.type} ({type(error).__name__})"
                return Mismatch(reason, column.name, str(query.row), str(column.type))
    return Mismatch(f"Python cannot hold a row ({type(error).__name__})")
