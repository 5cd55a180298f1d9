"""A statement on a connection: one row, one or none, all, how many, nothing (``streams`` and ``bulk`` are apart).

A call is one generator, from arguments to objects, in three forms: plain (one round trip, in whatever transaction
there is), framed (BEGIN, a bound view's settings, the statement and COMMIT in one pipeline) and promised (a writing
statement that returns rows on a connection in autocommit: its rows are counted and made before the COMMIT). The two
shells at the end, one for each colour, do nothing but lend a connection and drive the generator.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from sqlkit.annotations import Affected
from sqlkit.connection import Memory, memory_of
from sqlkit.contracts.contract import Cardinality
from sqlkit.errors import ArgumentError, ConnectionBusy, NoRow, RowError, TooManyRows
from sqlkit.execution.prepared import (
    Connection,
    Prepared,
    check,
    command,
    execute,
    forget,
    prepare,
    search_path,
    settle,
    until_sync,
)
from sqlkit.execution.staleness import STALE_NOTE, is_stale, may_be_stale
from sqlkit.rows.maker import row_maker
from sqlkit.rows.shapes import Mismatch, RowType
from sqlkit.statements import Reference, Statement, Variant
from sqlkit.values.parameters import DumpTable, Unfit

__all__ = [
    "AsyncExecutor",
    "AsyncLender",
    "Executor",
    "Lender",
    "Local",
    "Query",
    "call",
    "call_async",
    "not_an_executor",
]

IDLE = TransactionStatus.IDLE

#: Each statement by its name and place, on connections of a Database with ``debug``; never a value.
log = logging.getLogger("sqlkit.queries")


@dataclass(frozen=True, slots=True)
class Local:
    """What a bound view sets in the transaction of each call, by ``set_config(name, value, true)``.

    ``settings`` are (name, value) pairs, in order; ``path`` is the value given to ``search_path``, or None where the
    connection's own stands: prepared statements and row makers are remembered by it.
    """

    settings: tuple[tuple[str, str], ...]
    path: str | None = None


class Lender(Protocol):
    """Lends connections: what a query needs of a Database, or of a bound view of one."""

    @property
    def local(self) -> Local | None:
        """What to set in the transaction of each call; None for a call without a transaction around it."""
        ...

    def lend(self, holder: object) -> psycopg.Connection[Any]:
        """Lend an idle connection in autocommit; ``str(holder)`` says who holds it, if anyone asks."""
        ...

    def take_back(self, conn: psycopg.Connection[Any]) -> None:
        """Take a lent connection back."""
        ...


class AsyncLender(Protocol):
    """Lends connections on asyncio: what a query needs of an AsyncDatabase, or of a bound view of one."""

    @property
    def local(self) -> Local | None:
        """What to set in the transaction of each call; None for a call without a transaction around it."""
        ...

    async def lend(self, holder: object) -> psycopg.AsyncConnection[Any]:
        """Lend an idle connection in autocommit; ``str(holder)`` says who holds it, if anyone asks."""
        ...

    async def take_back(self, conn: psycopg.AsyncConnection[Any]) -> None:
        """Take a lent connection back."""
        ...


Executor: TypeAlias = psycopg.Connection[Any] | Lender
AsyncExecutor: TypeAlias = psycopg.AsyncConnection[Any] | AsyncLender


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A statement with what its contract promises; ``str()`` names it with its place, as a holder of a connection."""

    statement: Statement
    cardinality: Cardinality
    row: RowType | None

    @property
    def label(self) -> str:
        """Return ``file:line: name``, with which every error begins."""
        return self.statement.label

    @property
    def promises(self) -> bool:
        """Tell whether rows must be counted and made before a COMMIT: a writing statement that returns them."""
        return self.statement.writes and self.row is not None

    def __str__(self) -> str:
        return self.statement.label


# One call, from arguments to objects.


def perform(conn: Connection, query: Query, variant: Variant, values: Sequence[Any], local: Local | None) -> PQGen[Any]:
    """Run a query in the form that the connection's state and the query's promise ask for."""
    memory = memory_of(conn)
    began = yield from enter(conn, query)
    try:
        if (local is not None or query.promises) and began and conn.autocommit:
            return (yield from _framed(conn, memory, query, variant, values, local))
        return (yield from _plain(conn, memory, query, variant, values, began))
    except psycopg.Error as error:
        error.add_note(query.label)
        raise
    finally:
        leave_pipeline(conn)


def recover(conn: Connection, idle: bool) -> PQGen[None]:
    """Bring a connection back from an interruption (Ctrl-C) in the middle of a call; ``idle`` as it was before.

    A pool replaces such a connection; one of the user's own has to go on.
    """
    yield from settle(conn)
    if idle and conn.autocommit:
        yield from roll_back(conn.pgconn)


def leave_pipeline(conn: Connection) -> None:
    """Leave our own pipeline after a fault in the middle of it."""
    if conn.pgconn.pipeline_status and not conn._pipeline:
        with suppress(psycopg.Error):  # a connection that is lost, whose error is on its way
            conn.pgconn.exit_pipeline_mode()


def enter(conn: Connection, query: Query) -> PQGen[bool]:
    """Make a connection ready for a statement; tell whether no transaction was open before."""
    pgconn = conn.pgconn
    if memory_of(conn).logs:
        log.info("%s", query.label)
    if conn._pipeline:
        yield from conn._pipeline._sync_gen()
    status = pgconn.transaction_status
    if status == IDLE:
        if not conn.autocommit:
            yield from conn._start_query()
        return True
    if status == TransactionStatus.UNKNOWN:
        conn._check_connection_ok()
    if status == TransactionStatus.ACTIVE:
        raise ConnectionBusy(
            f"{query.label}: a COPY or another statement is under way on this connection: end it first, or take "
            "another connection"
        )
    return False


def _plain(
    conn: Connection, memory: Memory, query: Query, variant: Variant, values: Sequence[Any], began: bool
) -> PQGen[Any]:
    path = yield from search_path(conn, memory)
    key = (path, variant.text)
    prepared = memory.prepared.get(key)
    fresh = prepared is None
    if prepared is None:
        prepared = yield from prepare(conn, memory, path, variant.text)
    memory.touched = memory.touched or prepared.touches
    try:
        result = yield from _execute(conn.pgconn, query, variant, prepared, values)
    except (psycopg.Error, ArgumentError) as error:
        if fresh or not may_be_stale(error):
            raise
        yield from forget(conn, memory, key)
        if conn.pgconn.transaction_status == TransactionStatus.INERROR:
            if not began:
                error.add_note(STALE_NOTE)
                raise
            yield from conn._rollback_gen()
            yield from conn._start_query()
        former, prepared = prepared, (yield from prepare(conn, memory, path, variant.text))
        if not is_stale(error) and prepared.takes == former.takes:
            raise
        result = yield from _execute(conn.pgconn, query, variant, prepared, values)
    return (yield from _answer(conn, memory, query, prepared, result, key))


def _answer(
    conn: Connection, memory: Memory, query: Query, prepared: Prepared, result: PGresult, key: tuple[bytes, str]
) -> PQGen[Any]:
    """Return what the contract promises of a result; what a composite type consists of may have to be learnt again."""
    try:
        return collect(query, prepared, result)
    except RowError:
        if not prepared.composite:
            raise
        yield from forget(conn, memory, key)
        renewed = yield from prepare(conn, memory, *key)
        if renewed.columns == prepared.columns:
            raise
        return collect(query, renewed, result)


def _execute(
    pgconn: PGconn, query: Query, variant: Variant, prepared: Prepared, values: Sequence[Any]
) -> PQGen[PGresult]:
    return (yield from execute(pgconn, prepared, dump(query.label, variant.references, prepared.tables, values)))


def dump(
    label: str, references: Sequence[Reference], tables: Sequence[DumpTable], values: Sequence[Any]
) -> list[bytes | None]:
    """Turn arguments into what the server wants; ArgumentError names the parameter, never its value."""
    try:
        return [table[type(value)](value) for table, value in zip(tables, values, strict=True)]
    except Exception:
        for reference, table, value in zip(references, tables, values, strict=True):
            _dump_one(label, reference, table, value)
        raise


def _dump_one(label: str, reference: Reference, table: DumpTable, value: Any) -> None:
    try:
        table[type(value)](value)
    except Unfit as unfit:
        raise ArgumentError(f"{label}: parameter {str(reference)!r}: {unfit}") from None
    except UnicodeEncodeError as error:  # which holds the text
        raise ArgumentError(f"{label}: parameter {str(reference)!r}: {not_encodable(error)}") from None
    except psycopg.Error as error:
        error.add_note(f"{label}: parameter {str(reference)!r}, a {type(value).__name__} sent as {table.pgtype}")
        raise


def not_encodable(error: UnicodeEncodeError) -> str:
    """Say why a text cannot be sent, without the text."""
    surrogate = "\ud800" <= error.object[error.start] <= "\udfff"
    what = "a lone surrogate, which is no character" if surrogate else f"a character that {error.encoding} has not"
    return f"the text holds {what}, at index {error.start}"


# A call in a transaction of its own.


def _framed(
    conn: Connection, memory: Memory, query: Query, variant: Variant, values: Sequence[Any], local: Local | None
) -> PQGen[Any]:
    path = yield from search_path(conn, memory, local.path if local else None)
    prepared = memory.prepared.get((path, variant.text))
    try:
        if prepared is None:
            return (yield from _step_by_step(conn, memory, query, variant, values, local, path))
        try:
            if conn._pipeline:
                return (yield from _step_by_step(conn, memory, query, variant, values, local, path))
            return (yield from _pipelined(conn, memory, query, variant, values, local, path, prepared))
        except (psycopg.Error, ArgumentError) as error:
            if not may_be_stale(error):
                raise
            yield from roll_back(conn.pgconn)
            yield from forget(conn, memory, (path, variant.text))
            return (yield from _step_by_step(conn, memory, query, variant, values, local, path))
    except BaseException:
        yield from roll_back(conn.pgconn)
        raise


def roll_back(pgconn: PGconn) -> PQGen[None]:
    """Roll back the transaction that is open, if one is and the connection can still say so."""
    if pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
        yield from command(pgconn, b"ROLLBACK")


def _step_by_step(
    conn: Connection,
    memory: Memory,
    query: Query,
    variant: Variant,
    values: Sequence[Any],
    local: Local | None,
    path: bytes,
) -> PQGen[Any]:
    """Run a framed call whose statement is still to be prepared, which needs answers in between."""
    pgconn = conn.pgconn
    yield from begin(pgconn, local)
    prepared = memory.prepared.get((path, variant.text))
    if prepared is None:
        prepared = yield from prepare(conn, memory, path, variant.text)
    memory.touched = memory.touched or prepared.touches
    result = yield from _execute(pgconn, query, variant, prepared, values)
    made = yield from _answer(conn, memory, query, prepared, result, (path, variant.text))
    yield from command(pgconn, b"COMMIT")
    return made


def begin(pgconn: PGconn, local: Local | None) -> PQGen[None]:
    """Begin a transaction and set what a bound view sets."""
    yield from command(pgconn, b"BEGIN")
    if local is not None and local.settings:
        yield from command(pgconn, *set_configs(local))


def set_configs(local: Local) -> tuple[bytes, list[bytes]]:
    """Return the statement that sets a view's settings for one transaction, and its parameters."""
    calls = [
        b"pg_catalog.set_config($%d, $%d, true)" % (2 * index + 1, 2 * index + 2)
        for index in range(len(local.settings))
    ]
    return b"select " + b", ".join(calls), [part.encode() for pair in local.settings for part in pair]


def _pipelined(
    conn: Connection,
    memory: Memory,
    query: Query,
    variant: Variant,
    values: Sequence[Any],
    local: Local | None,
    path: bytes,
    prepared: Prepared,
) -> PQGen[Any]:
    """Run a framed call in one round trip, or in two where the rows must be seen before the COMMIT."""
    pgconn = conn.pgconn
    memory.touched = memory.touched or prepared.touches
    dumped = dump(query.label, variant.references, prepared.tables, values)
    pgconn.enter_pipeline_mode()
    pgconn.send_query_params(b"BEGIN", None)
    if local is not None and local.settings:
        pgconn.send_query_params(*set_configs(local))
    prepared.send(pgconn, dumped)
    commits = not query.promises
    if commits:
        pgconn.send_query_params(b"COMMIT", None)
    pgconn.pipeline_sync()
    results = yield from until_sync(pgconn)
    pgconn.exit_pipeline_mode()
    for result in results:
        check(result, pgconn)
    result = prepared.expect(results[-2 if commits else -1])
    made = yield from _answer(conn, memory, query, prepared, result, (path, variant.text))
    if not commits:
        yield from command(pgconn, b"COMMIT")
    return made


# From a result to what the contract promises.


def collect(query: Query, prepared: Prepared, result: PGresult) -> Any:
    """Return what the contract promises of a result, or raise what says why not."""
    cardinality = query.cardinality
    if cardinality is Cardinality.AFFECTED:
        return Affected(result.command_tuples or 0)
    if cardinality is Cardinality.NOTHING:
        return None
    if result.status != ExecStatus.TUPLES_OK:
        raise RowError(f"{query.label}: the statement returns no rows, {query.row} is promised", query=query.label)
    number = result.ntuples
    if cardinality is not Cardinality.ALL:
        if number > 1:
            raise TooManyRows(f"{query.label}: {number} rows came, one {query.row} is promised")
        if number == 0:
            if cardinality is Cardinality.OPTIONAL:
                return None
            raise NoRow(f"{query.label}: no row came, one {query.row} is promised")
    made = make(query, prepared, result)
    return made if cardinality is Cardinality.ALL else made[0]


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


# The two shells.


def not_an_executor(query: Query, db: object, wanted: str) -> TypeError:
    """Return the error for a first argument that is neither a connection nor a lender of this colour."""
    return TypeError(f"{query.label}: takes {wanted}, not {type(db).__name__}")


def call(db: Executor, query: Query, variant: Variant, values: Sequence[Any]) -> Any:
    """Run a query on a connection, or on one that is lent for it."""
    if isinstance(db, psycopg.Connection):
        with db.lock:
            idle = db.pgconn.transaction_status == IDLE
            try:
                return db.wait(perform(db, query, variant, values, None))
            except Exception:
                raise
            except BaseException:
                db.wait(recover(db, idle))
                raise
    conn = lend(db, query)
    try:
        with conn.lock:
            return conn.wait(perform(conn, query, variant, values, db.local))
    finally:
        db.take_back(conn)


def borrow(db: Executor, query: Query) -> tuple[psycopg.Connection[Any], Local | None, Lender | None]:
    """Return a connection, what to set on it in each transaction, and whom to give it back to, if anyone."""
    if isinstance(db, psycopg.Connection):
        return db, None, None
    return lend(db, query), db.local, db


def lend(db: Lender, query: Query) -> psycopg.Connection[Any]:
    """Borrow a connection; TypeError where there is none to borrow."""
    give: Callable[[object], Any] | None = getattr(db, "lend", None)
    conn = give(query) if give is not None else None
    if not isinstance(conn, psycopg.Connection):
        close = getattr(conn, "close", None)  # a coroutine that nobody will await
        if close is not None:
            close()
        raise not_an_executor(query, db, "a psycopg Connection or a Database")
    return conn


async def call_async(db: AsyncExecutor, query: Query, variant: Variant, values: Sequence[Any]) -> Any:
    """Run a query on an asynchronous connection, or on one that is lent for it."""
    if isinstance(db, psycopg.AsyncConnection):
        async with db.lock:
            return await db.wait(perform(db, query, variant, values, None))
    conn = await lend_async(db, query)
    try:
        async with conn.lock:
            return await conn.wait(perform(conn, query, variant, values, db.local))
    finally:
        await db.take_back(conn)


async def borrow_async(
    db: AsyncExecutor, query: Query
) -> tuple[psycopg.AsyncConnection[Any], Local | None, AsyncLender | None]:
    """Return an asynchronous connection, what to set on it, and whom to give it back to, if anyone."""
    if isinstance(db, psycopg.AsyncConnection):
        return db, None, None
    return await lend_async(db, query), db.local, db


async def lend_async(db: AsyncLender, query: Query) -> psycopg.AsyncConnection[Any]:
    """Borrow an asynchronous connection; TypeError where there is none to borrow."""
    give: Callable[[object], Any] | None = getattr(db, "lend", None)
    if give is None or isinstance(db, psycopg.Connection):
        raise not_an_executor(query, db, "a psycopg AsyncConnection or an AsyncDatabase")
    pending = give(query)
    if isinstance(pending, psycopg.Connection):
        cast("Lender", db).take_back(pending)
        raise not_an_executor(query, db, "a psycopg AsyncConnection or an AsyncDatabase")
    conn: psycopg.AsyncConnection[Any] = await pending
    return conn
