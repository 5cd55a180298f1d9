"""Many items at once: ``copy ... from stdin`` in binary, and any other statement as a pipelined batch.

Both are all or nothing: in a transaction of their own where none is open, behind a savepoint where one is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import psycopg
from psycopg import generators
from psycopg.abc import PQGen
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from sqlkit.annotations import Affected
from sqlkit.connection import memory_of
from sqlkit.contracts import Cardinality
from sqlkit.errors import ArgumentError
from sqlkit.execution import (
    AsyncExecutor,
    Executor,
    Local,
    Query,
    begin,
    borrow,
    borrow_async,
    dump,
    enter,
    leave_pipeline,
    load,
    make_rows,
    roll_back,
)
from sqlkit.prepared import FAILED, Connection, Prepared, command, prepare, search_path
from sqlkit.statements import Variant

__all__ = ["Batch", "run_batch", "run_batch_async"]

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
        self.own = False
        self.done = 0
        self.affected = 0
        self.rows: list[tuple[Any, ...]] = []

    def start(self, conn: Connection) -> PQGen[None]:
        """Begin a transaction, or set a savepoint in the one that is open, and prepare."""
        idle = yield from enter(conn)
        pgconn = conn.pgconn
        self.own = idle and conn.autocommit
        if self.own:
            yield from begin(pgconn, self.local)
        else:
            yield from command(pgconn, b"SAVEPOINT " + SAVEPOINT)
        memory = memory_of(conn)
        path: object = self.local.path if self.local is not None and self.local.path is not None else None
        if path is None:
            path = yield from search_path(conn, memory)
        text = self.batch.variant.text
        self.prepared = memory.prepared.get((path, text)) or (yield from prepare(conn, memory, path, text))

    def send(self, conn: Connection, items: list[Any]) -> PQGen[None]:
        """Run the statement for a chunk of items, in one round trip."""
        prepared, query = self.prepared, self.batch.query
        assert prepared is not None  # noqa: S101 - set by start
        references = self.batch.variant.references
        commands: deque[Callable[[], None]] = deque()
        for number, item in enumerate(items, self.done + 1):
            try:
                dumped = dump(query.label, references, prepared.tables, self.batch.values(item))
            except (ArgumentError, AttributeError, KeyError, psycopg.Error) as error:
                error.add_note(f"{query.label}: item {number} of the batch")
                raise
            commands.append(
                partial(
                    conn.pgconn.send_query_prepared,
                    prepared.name,
                    dumped,
                    prepared.formats,
                    prepared.result_format,
                )
            )
        results = yield from _pipeline(conn, commands)
        self._take(conn, results)
        self.done += len(items)

    def _take(self, conn: Connection, results: list[PGresult]) -> None:
        query, prepared = self.batch.query, self.prepared
        assert prepared is not None  # noqa: S101 - set by start
        for number, result in enumerate(results, self.done + 1):
            if result.status in FAILED:
                error = psycopg.errors.error_from_result(result, encoding=conn.pgconn._encoding)
                error.add_note(f"{query.label}: item {number} of the batch")
                raise error
            self.affected += result.command_tuples or 0
            if query.row is not None:
                self.rows.extend(load(query, prepared, result))

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

    def undo(self, conn: Connection) -> PQGen[None]:
        """Leave nothing of the batch behind; a transaction that the server aborted stays the caller's to end."""
        leave_pipeline(conn)
        if self.own:
            yield from roll_back(conn.pgconn)
        elif conn.pgconn.transaction_status == TransactionStatus.INTRANS:
            yield from command(conn.pgconn, b"ROLLBACK TO SAVEPOINT " + SAVEPOINT)
            yield from command(conn.pgconn, b"RELEASE SAVEPOINT " + SAVEPOINT)


def _pipeline(conn: Connection, commands: deque[Callable[[], None]]) -> PQGen[list[PGresult]]:
    """Send commands and read their results as they come, so that neither side waits for the other's buffers."""
    pgconn = conn.pgconn
    borrowed = conn._pipeline is not None
    if not borrowed:
        pgconn.enter_pipeline_mode()
    commands.append(pgconn.pipeline_sync)
    fetched = yield from generators.pipeline_communicate(pgconn, commands)
    while not fetched or fetched[-1][-1].status != ExecStatus.PIPELINE_SYNC:
        fetched.append((yield from generators.fetch_many(pgconn)))
    if not borrowed:
        pgconn.exit_pipeline_mode()
    return [result for results in fetched[:-1] for result in results]


def _empty(query: Query) -> Any:
    if query.cardinality is Cardinality.AFFECTED:
        return Affected(0)
    return [] if query.row is not None else None


def run_batch(db: Executor, batch: Batch, items: Iterable[Any]) -> Any:
    """Run a statement once for each item, a chunk in each round trip."""
    iterator: Iterator[Any] = iter(items)
    chunk = list(islice(iterator, CHUNK_ITEMS))
    if not chunk:
        return _empty(batch.query)
    conn, local, lender = borrow(db, batch.query)
    progress = Progress(batch, local)
    try:
        with conn.lock:
            try:
                conn.wait(progress.start(conn))
                while chunk:
                    conn.wait(progress.send(conn, chunk))
                    chunk = list(islice(iterator, CHUNK_ITEMS))
                return conn.wait(progress.finish(conn))
            except BaseException:
                if not conn.closed:
                    conn.wait(progress.undo(conn))
                raise
    finally:
        if lender is not None:
            lender.take_back(conn)


async def run_batch_async(db: AsyncExecutor, batch: Batch, items: Iterable[Any] | AsyncIterable[Any]) -> Any:
    """Run a statement once for each item on asyncio, a chunk in each round trip."""
    chunks = chunks_of(items)
    chunk: list[Any] = await anext(chunks, [])
    if not chunk:
        return _empty(batch.query)
    conn, local, lender = await borrow_async(db, batch.query)
    progress = Progress(batch, local)
    try:
        async with conn.lock:
            try:
                await conn.wait(progress.start(conn))
                while chunk:
                    await conn.wait(progress.send(conn, chunk))
                    chunk = await anext(chunks, [])
                return await conn.wait(progress.finish(conn))
            except BaseException:
                if not conn.closed:
                    await conn.wait(progress.undo(conn))
                raise
    finally:
        if lender is not None:
            await lender.take_back(conn)


async def chunks_of(items: Iterable[Any] | AsyncIterable[Any], size: int = CHUNK_ITEMS) -> AsyncIterator[list[Any]]:
    """Yield lists of items, from either kind of iterable."""
    if not isinstance(items, AsyncIterable):
        iterator = iter(items)
        while taken := list(islice(iterator, size)):
            yield taken
        return
    chunk: list[Any] = []
    async for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
