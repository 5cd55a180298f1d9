"""Many items at once: ``copy ... from stdin`` in binary, and any other statement as a pipelined batch.

Both are all or nothing: in a transaction of their own where none is open, behind a savepoint where one is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult

from sqlkit.annotations import Affected
from sqlkit.connection import memory_of
from sqlkit.contracts.contract import Cardinality
from sqlkit.errors import ArgumentError, RowError
from sqlkit.execution.arguments import dump
from sqlkit.execution.careful import enter
from sqlkit.execution.collecting import load, make_rows
from sqlkit.execution.counting import Counting
from sqlkit.execution.lending import AsyncExecutor, Executor, Local, borrow, borrow_async
from sqlkit.execution.prepared import (
    FAILED,
    Connection,
    Prepared,
    command,
    forget,
    prepare,
    search_path,
    settle,
    until_sync,
)
from sqlkit.execution.query import Query
from sqlkit.execution.staleness import may_be_stale
from sqlkit.execution.transactions import begin, roll_back
from sqlkit.statements import Variant

__all__ = ["Batch", "chunks_of", "lacks", "note", "run_batch", "run_batch_async", "slices_of"]

T = TypeVar("T")

#: Items that are sent before their results are read: one round trip each.
CHUNK_ITEMS = 1000

SAVEPOINT = b"sqlkit_batch"


@dataclass(slots=True)
class Batch:
    """A statement that runs once for each item; ``values`` reads an item's values in the order of the parameters."""

    query: Query
    variant: Variant
    values: Callable[[Any], Sequence[Any]]


class Progress:
    """A batch under way on one connection, without colour."""

    def __init__(self, batch: Batch, local: Local | None) -> None:
        self.batch = batch
        self.local = local
        self.prepared: Prepared | None = None
        self.key: tuple[bytes, str] = (b"", "")
        self.fresh = False
        self.began = self.saved = False
        self.own = False
        self.done = 0
        self.affected = 0
        self.rows: list[tuple[Any, ...]] = []

    def start(self, conn: Connection) -> PQGen[None]:
        """Begin a transaction, or set a savepoint in the one that is open, and prepare."""
        idle = yield from enter(conn, self.batch.query)
        self.own = idle and conn.autocommit
        self.began = True
        yield from self._begin(conn)
        yield from self._prepare(conn)

    def _begin(self, conn: Connection) -> PQGen[None]:
        if self.own:
            yield from begin(conn.pgconn, self.local)
        else:
            yield from command(conn.pgconn, b"SAVEPOINT " + SAVEPOINT)
            self.saved = True

    def _prepare(self, conn: Connection) -> PQGen[None]:
        memory = memory_of(conn)
        path = yield from search_path(conn, memory, self.local.path if self.local else None)
        self.key = key = path, self.batch.variant.text
        known: Prepared | None = memory.prepared.get(key)
        self.fresh = known is None
        self.prepared = known or (yield from prepare(conn, memory, *key, self.batch.query.name))
        memory.touched = memory.touched or self.prepared.touches

    def send(self, conn: Connection, items: list[Any]) -> PQGen[None]:
        """Run the statement for a chunk of items, in one round trip."""
        try:
            yield from self._send(conn, items)
        except (psycopg.Error, ArgumentError) as error:
            if self.done or self.fresh or not may_be_stale(error):
                raise
            yield from self.undo(conn, error, to_the_start=True)
            yield from forget(conn, memory_of(conn), self.key)
            yield from self._begin(conn)
            yield from self._prepare(conn)
            yield from self._send(conn, items)
        self.done += len(items)

    def _send(self, conn: Connection, items: list[Any]) -> PQGen[None]:
        """Send each item as soon as it is read: the server works on it meanwhile."""
        prepared = self.prepared
        assert prepared is not None  # noqa: S101 - set by start
        pgconn, tables, values = conn.pgconn, prepared.tables, self.batch.values
        borrowed = conn._pipeline is not None
        if borrowed:  # nobody could take back what is sent
            for number, item in enumerate(items, self.done + 1):
                self._dump(number, item)
        else:
            pgconn.enter_pipeline_mode()
        for number, item in enumerate(items, self.done + 1):
            try:
                dumped = [table[type(value)](value) for table, value in zip(tables, values(item))]  # noqa: B905
            except Exception:
                dumped = self._dump(number, item)  # which says what is wrong
            prepared.send(pgconn, dumped)
        pgconn.pipeline_sync()
        results = yield from until_sync(pgconn)
        if not borrowed:
            pgconn.exit_pipeline_mode()
        self._take(conn, results)

    def _dump(self, number: int, item: Any) -> list[bytes | None]:
        """Read an item's values and turn them into what the server wants; errors name it by number."""
        prepared, batch = self.prepared, self.batch
        assert prepared is not None  # noqa: S101 - set by start
        label, references = batch.query.label, batch.variant.references
        try:
            return dump(label, references, prepared.tables, batch.values(item))
        except Exception as error:
            label = f"{label}: item {number}"
            if (lacking := lacks(item, error)) is not None:
                raise ArgumentError(f"{label}: {lacking}") from None
            return dump(label, references, prepared.tables, batch.values(item))

    def _take(self, conn: Connection, results: list[PGresult]) -> None:
        query, prepared = self.batch.query, self.prepared
        assert prepared is not None  # noqa: S101 - set by start
        affected, rows = 0, []
        for number, result in enumerate(results, self.done + 1):
            if result.status in FAILED:
                error = psycopg.errors.error_from_result(result, encoding=conn.pgconn._encoding)
                error.add_note(f"{query.label}: item {number} of the batch")
                raise error
            affected += result.command_tuples or 0
            if query.row is not None:
                rows += load(query, prepared, prepared.expect(result))
        self.affected += affected
        self.rows.extend(rows)

    def finish(self, conn: Connection) -> PQGen[Any]:
        """Make the rows and commit, or release the savepoint; return what the contract promises."""
        query = self.batch.query
        made: Any = None
        if query.cardinality is Cardinality.AFFECTED:
            made = Affected(self.affected)
        elif query.row is not None:
            assert self.prepared is not None  # noqa: S101 - set by start
            made = make_rows(query, self.prepared, self.rows)
        yield from command(conn.pgconn, b"COMMIT" if self.own else b"RELEASE SAVEPOINT " + SAVEPOINT)
        return made

    def undo(self, conn: Connection, error: BaseException, *, to_the_start: bool = False) -> PQGen[None]:
        """Leave nothing of the batch behind; a transaction that the server aborted stays the caller's to end."""
        yield from settle(conn)
        if self.own:
            yield from roll_back(conn.pgconn)
        elif self.saved and (to_the_start or conn.pgconn.transaction_status == TransactionStatus.INTRANS):
            yield from command(conn.pgconn, b"ROLLBACK TO SAVEPOINT " + SAVEPOINT)
            yield from command(conn.pgconn, b"RELEASE SAVEPOINT " + SAVEPOINT)
        if isinstance(error, RowError) and self.prepared is not None and self.prepared.composite:
            yield from forget(conn, memory_of(conn), self.key)


def lacks(item: Any, error: Exception) -> str | None:
    """Say what an item lacks, if that is what the error means; None for any other, as from within a property."""
    if isinstance(error, AttributeError) and getattr(error, "obj", None) is item:
        return f"a {type(item).__name__} has no {error.name!r}"
    if isinstance(error, KeyError) and isinstance(item, Mapping) and error.args:
        return f"a {type(item).__name__} has no {error.args[0]!r}"
    return None


def _empty(query: Query) -> Any:
    if query.cardinality is Cardinality.AFFECTED:
        return Affected(0)
    return [] if query.row is not None else None


def run_batch(db: Executor, batch: Batch, items: Iterable[Any]) -> Any:
    """Run a statement once for each item, a chunk in each round trip.

    The items may themselves come from statements on the connection: its lock is free while they are taken.
    """
    iterator: Iterator[Any] = iter(items)
    chunk = list(islice(iterator, CHUNK_ITEMS))
    if not chunk:
        return _empty(batch.query)
    conn, local, lender = borrow(db, batch.query)
    progress, counting = Progress(batch, local), Counting(conn, batch.query, batch.variant.text)
    try:
        try:
            _step(conn, progress.start(conn))
            while chunk:
                _step(conn, progress.send(conn, chunk))
                chunk = list(islice(iterator, CHUNK_ITEMS))
            made = _step(conn, progress.finish(conn))
            counting.ended(progress.affected, progress.done)
            return made
        except BaseException as error:
            note(error, batch.query)
            counting.failed(error, progress.done)
            if progress.began:
                with suppress(psycopg.Error):  # a connection that is lost, whose error is on its way
                    _step(conn, progress.undo(conn, error))
            raise
    finally:
        if lender is not None:
            lender.take_back(conn)


def _step(conn: psycopg.Connection[Any], step: PQGen[T]) -> T:
    with conn.lock:
        return conn.wait(step)


async def run_batch_async(db: AsyncExecutor, batch: Batch, items: Iterable[Any] | AsyncIterable[Any]) -> Any:
    """Run a statement once for each item on asyncio, a chunk in each round trip."""
    chunks = chunks_of(items)
    chunk: list[Any] = await anext(chunks, [])
    if not chunk:
        return _empty(batch.query)
    conn, local, lender = await borrow_async(db, batch.query)
    progress, counting = Progress(batch, local), Counting(conn, batch.query, batch.variant.text)
    try:
        try:
            await _step_async(conn, progress.start(conn))
            while chunk:
                await _step_async(conn, progress.send(conn, chunk))
                chunk = await anext(chunks, [])
            made = await _step_async(conn, progress.finish(conn))
            counting.ended(progress.affected, progress.done)
            return made
        except BaseException as error:
            note(error, batch.query)
            counting.failed(error, progress.done)
            if progress.began:
                with suppress(psycopg.Error):  # a connection that is lost, whose error is on its way
                    await _step_async(conn, progress.undo(conn, error))
            raise
    finally:
        await chunks.aclose()
        if lender is not None:
            await lender.take_back(conn)


async def _step_async(conn: psycopg.AsyncConnection[Any], step: PQGen[T]) -> T:
    async with conn.lock:
        return await conn.wait(step)


def note(error: BaseException, query: Query) -> None:
    """Name the query on an error of the driver, unless an item of it is named already."""
    if isinstance(error, psycopg.Error) and not any(query.label in said for said in getattr(error, "__notes__", ())):
        error.add_note(query.label)


def slices_of(items: Iterable[Any], size: Callable[[], int]) -> Iterator[list[Any]]:
    """Yield lists of items; ``size`` is asked before each. A list is cut, which spares an iteration over it."""
    if type(items) is list:
        start = 0
        while taken := items[start : start + size()]:
            yield taken
            start += len(taken)
        return
    iterator = iter(items)
    while taken := list(islice(iterator, size())):
        yield taken


async def chunks_of(
    items: Iterable[Any] | AsyncIterable[Any], size: Callable[[], int] = lambda: CHUNK_ITEMS
) -> AsyncGenerator[list[Any], None]:
    """Yield lists of items, from either kind of iterable; ``size`` is asked before each."""
    if not isinstance(items, AsyncIterable):
        for taken in slices_of(items, size):
            yield taken
        return
    chunk: list[Any] = []
    wanted = size()
    async for item in items:
        chunk.append(item)
        if len(chunk) >= wanted:
            yield chunk
            chunk, wanted = [], size()
    if chunk:
        yield chunk
