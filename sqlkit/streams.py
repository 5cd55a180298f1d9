"""Rows as a stream: in chunks, with flat memory, on a connection that belongs to the stream while it is open.

A stream begins with its first row, not with the call. While it is open the connection's lock is the stream's: any
other statement on that connection, sqlkit's or raw psycopg's, raises ``ConnectionBusy`` instead of waiting for ever.
Closed early it cancels what the server still sends; inside a transaction a savepoint keeps the rest of the
transaction alive through that. A writing statement is never cancelled: its rows are read to the end.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import psycopg
from psycopg import generators
from psycopg.abc import PQGen
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from sqlkit.connection import memory_of
from sqlkit.errors import ConnectionBusy, RowError
from sqlkit.execution import (
    AsyncExecutor,
    AsyncLender,
    Executor,
    Lender,
    Local,
    Query,
    begin,
    borrow,
    borrow_async,
    dump,
    enter,
    is_stale,
    make,
    roll_back,
)
from sqlkit.prepared import FAILED, Connection, Prepared, command, prepare, search_path
from sqlkit.statements import Variant

__all__ = ["AsyncRows", "Rows"]

T = TypeVar("T")

#: Rows that the server sends at a time, and that are in memory at once.
CHUNK_ROWS = 1000

SAVEPOINT = b"sqlkit_stream"

#: How long the server may take to hear that the rest is not wanted.
CANCEL_SECONDS = 5.0


class Course:
    """What a stream does on its connection, without colour: begin, the next chunk, the end."""

    def __init__(self, query: Query, variant: Variant, values: Sequence[Any]) -> None:
        self.query = query
        self.variant = variant
        self.values = values
        self.prepared: Prepared | None = None
        self.transaction = False
        self.savepoint = False
        self.running = False
        self.came = False
        self.key: tuple[object, str] = ("", "")

    def start(self, conn: Connection, local: Local | None) -> PQGen[None]:
        """Send the statement, in a transaction of its own where a bound view's settings ask for one."""
        memory = memory_of(conn)
        idle = yield from enter(conn)
        pgconn = conn.pgconn
        if conn._pipeline:
            raise ConnectionBusy(f"{self.query.label}: a stream cannot run in a pipeline: leave its block first")
        if local is not None and idle and conn.autocommit:
            yield from begin(pgconn, local)
            self.transaction = True
        elif pgconn.transaction_status == TransactionStatus.INTRANS and not self.query.statement.writes:
            yield from command(pgconn, b"SAVEPOINT " + SAVEPOINT)
            self.savepoint = True
        path: object = local.path if local is not None and local.path is not None else None
        if path is None:
            path = yield from search_path(conn, memory)
        prepared = memory.prepared.get((path, self.variant.text))
        if prepared is None:
            prepared = yield from prepare(conn, memory, path, self.variant.text)
        self.prepared = prepared
        self.key = (path, self.variant.text)
        yield from self._send(conn)

    def _send(self, conn: Connection) -> PQGen[None]:
        prepared = self.prepared
        assert prepared is not None  # noqa: S101 - start has just set it
        dumped = dump(self.query.label, self.variant.references, prepared.tables, self.values)
        pgconn = conn.pgconn
        pgconn.send_query_prepared(prepared.name, dumped, prepared.formats, prepared.result_format)
        self.running = True
        if hasattr(pgconn, "set_chunked_rows_mode") and psycopg.capabilities.has_stream_chunked():
            pgconn.set_chunked_rows_mode(CHUNK_ROWS)
        else:
            pgconn.set_single_row_mode()
        yield from generators.send(pgconn)

    def next_chunk(self, conn: Connection) -> PQGen[list[Any] | None]:
        """Return the objects of the next chunk, or None behind the last."""
        while True:
            result = yield from generators.fetch(conn.pgconn)
            if result is None:
                self.running = False
                return None
            if result.status in FAILED:
                yield from self._drain(conn)
                error = psycopg.errors.error_from_result(result, encoding=conn.pgconn._encoding)
                if (yield from self._again(conn, error)):
                    continue
                error.add_note(self.query.label)
                raise error
            if result.status == ExecStatus.COMMAND_OK:
                yield from self._drain(conn)
                row = self.query.row
                raise RowError(f"{self.query.label}: the statement returns no rows, {row} is promised")
            if result.ntuples:
                self.came = True
                return self._make(result)

    def _again(self, conn: Connection, error: psycopg.Error) -> PQGen[bool]:
        """Prepare and send once more where the schema changed under the statement and nothing has come yet."""
        path, text = self.key
        if not is_stale(error) or memory_of(conn).prepared.pop(self.key, None) is None:
            return False
        if self.came or conn.pgconn.transaction_status != TransactionStatus.IDLE:
            return False
        self.came = True
        self.prepared = yield from prepare(conn, memory_of(conn), path, text)
        yield from self._send(conn)
        return True

    def _make(self, result: PGresult) -> list[Any]:
        assert self.prepared is not None  # noqa: S101 - a chunk comes after start
        return make(self.query, self.prepared, result)

    def _drain(self, conn: Connection) -> PQGen[None]:
        while (yield from generators.fetch(conn.pgconn)) is not None:
            pass
        self.running = False

    def finish(self, conn: Connection, failed: bool) -> PQGen[None]:
        """Read what still comes and end what ``start`` began."""
        pgconn = conn.pgconn
        if pgconn.status != ConnStatus.OK:
            return
        cancelled = self.running
        if self.running:
            yield from self._drain(conn)
        status = pgconn.transaction_status
        if self.transaction:
            if failed or cancelled or status == TransactionStatus.INERROR:
                yield from self._end_own(conn, failed or status == TransactionStatus.INERROR)
            else:
                yield from command(pgconn, b"COMMIT")
        elif self.savepoint:
            if status == TransactionStatus.INERROR and cancelled:
                yield from command(pgconn, b"ROLLBACK TO SAVEPOINT " + SAVEPOINT)
            if pgconn.transaction_status == TransactionStatus.INTRANS:
                yield from command(pgconn, b"RELEASE SAVEPOINT " + SAVEPOINT)

    def _end_own(self, conn: Connection, failed: bool) -> PQGen[None]:
        if failed or not self.query.statement.writes:
            yield from roll_back(conn.pgconn)
        else:
            yield from command(conn.pgconn, b"COMMIT")

    @property
    def cancels(self) -> bool:
        """Tell whether the server should be told to stop: not while it writes."""
        return self.running and not self.query.statement.writes


class StreamLock:
    """Stands in for a connection's lock while a stream is open on it."""

    def __init__(self, flow: Flow | AsyncFlow, lock: Any) -> None:
        self.flow = flow
        self.lock = lock

    def _busy(self) -> ConnectionBusy:
        return ConnectionBusy(
            f"{self.flow.describe()}: its stream is open on this connection: close it (or leave its with block) "
            "before another statement, or take another connection"
        )

    def acquire(self) -> Any:
        """Refuse, or wait as the lock itself would: a coroutine on asyncio."""
        return self.__enter__() if isinstance(self.flow, Flow) else self.__aenter__()

    def __enter__(self) -> object:
        # A transaction block that ends by an exception wants to roll back: the stream's loop is over.
        if sys.exc_info()[1] is None or not isinstance(self.flow, Flow):
            raise self._busy()
        self.flow.close()
        return self.lock.__enter__()

    def __exit__(self, *details: Any) -> None:
        self.lock.__exit__(*details)

    async def __aenter__(self) -> object:
        if not isinstance(self.flow, AsyncFlow) or (sys.exc_info()[1] is None and not self.flow.dropped):
            raise self._busy()
        await self.flow.close()
        return await self.lock.__aenter__()

    async def __aexit__(self, *details: Any) -> None:
        await self.lock.__aexit__(*details)


class Flow:
    """The open end of a ``Rows``: what the connection knows of it, so that the ``Rows`` itself may be dropped."""

    def __init__(self, db: Executor, course: Course) -> None:
        self.db = db
        self.course = course
        self.conn: psycopg.Connection[Any] | None = None
        self.lender: Lender | None = None
        self.lock: Any = None
        self.started = self.ended = self.taken = False

    def describe(self) -> str:
        """Name the query with its place."""
        return self.course.query.label

    def chunk(self) -> list[Any]:
        """Return the objects of the next chunk; StopIteration behind the last."""
        if self.ended:
            if self.taken:
                raise closed_by_another(self.course.query)
            raise StopIteration
        chunk = None
        failed = True
        try:
            if not self.started:
                self._open()
            assert self.conn is not None  # noqa: S101 - open until it has ended
            chunk = self.conn.wait(self.course.next_chunk(self.conn))
            failed = False
        finally:
            if chunk is None:
                self.end(failed)
        if chunk is None:
            raise StopIteration
        return chunk

    def _open(self) -> None:
        db, course = self.db, self.course
        self.started = True
        conn, local, self.lender = borrow(db, course.query)
        lock = conn.lock
        lock.acquire()  # until the end
        self.conn, self.lock = conn, lock
        conn.lock = StreamLock(self, lock)  # type: ignore[assignment]
        memory_of(conn).stream = self
        conn.wait(course.start(conn, local))

    def end(self, failed: bool) -> None:
        """Stop the statement, end what was begun for it and free the connection."""
        self.ended = True
        conn, self.conn = self.conn, None
        if conn is None:
            return
        try:
            if self.course.cancels and not conn.closed:
                conn.cancel_safe(timeout=CANCEL_SECONDS)
            if not conn.closed:
                conn.wait(self.course.finish(conn, failed))
        finally:
            conn.lock = self.lock
            memory_of(conn).stream = None
            self.lock.release()
            if self.lender is not None:
                self.lender.take_back(conn)

    def close(self) -> None:
        """End the stream because its connection is wanted: whoever goes on reading is told."""
        if not self.ended:
            self.taken = True
            self.end(failed=False)


class AsyncFlow:
    """The open end of an ``AsyncRows``."""

    def __init__(self, db: AsyncExecutor, course: Course) -> None:
        self.db = db
        self.course = course
        self.conn: psycopg.AsyncConnection[Any] | None = None
        self.lender: AsyncLender | None = None
        self.lock: Any = None
        self.started = self.ended = self.taken = self.dropped = False

    def describe(self) -> str:
        """Name the query with its place."""
        return self.course.query.label

    async def chunk(self) -> list[Any]:
        """Return the objects of the next chunk; StopAsyncIteration behind the last."""
        if self.ended:
            if self.taken:
                raise closed_by_another(self.course.query)
            raise StopAsyncIteration
        chunk = None
        failed = True
        try:
            if not self.started:
                await self._open()
            assert self.conn is not None  # noqa: S101 - open until it has ended
            chunk = await self.conn.wait(self.course.next_chunk(self.conn))
            failed = False
        finally:
            if chunk is None:
                await self.end(failed)
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def _open(self) -> None:
        db, course = self.db, self.course
        self.started = True
        conn, local, self.lender = await borrow_async(db, course.query)
        lock = conn.lock
        await lock.acquire()  # until the end
        self.conn, self.lock = conn, lock
        conn.lock = StreamLock(self, lock)  # type: ignore[assignment]
        memory_of(conn).stream = self
        await conn.wait(course.start(conn, local))

    async def end(self, failed: bool) -> None:
        """Stop the statement, end what was begun for it and free the connection."""
        self.ended = True
        conn, self.conn = self.conn, None
        if conn is None:
            return
        try:
            if self.course.cancels and not conn.closed:
                await conn.cancel_safe(timeout=CANCEL_SECONDS)
            if not conn.closed:
                await conn.wait(self.course.finish(conn, failed))
        finally:
            conn.lock = self.lock
            memory_of(conn).stream = None
            self.lock.release()
            if self.lender is not None:
                await self.lender.take_back(conn)

    async def close(self) -> None:
        """End the stream because its connection is wanted: whoever goes on reading is told."""
        if not self.ended:
            self.taken = True
            await self.end(failed=False)


def closed_by_another(query: Query) -> ConnectionBusy:
    """Return the error for reading on in a stream whose connection was taken for something else."""
    return ConnectionBusy(
        f"{query.label}: this stream was closed, with rows unread, when its connection was used for something else"
    )


class Rows(Generic[T]):
    """A stream of rows: an iterator, and a context manager that closes it.

    It takes its connection at the first row and frees it when it ends, is closed or leaves its ``with``; dropped
    (a ``break`` out of ``for row in query(...)``) it is closed too. Another statement on the connection while it is
    open raises ``ConnectionBusy``.
    """

    __sqlkit_stream__ = "sync"
    __module__ = "sqlkit"

    def __init__(self, db: Executor, query: Query, variant: Variant, values: Sequence[Any]) -> None:
        self._flow = Flow(db, Course(query, variant, values))
        self._chunk: Iterator[Any] = iter(())

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        for row in self._chunk:
            return row  # type: ignore[no-any-return]
        self._chunk = iter(self._flow.chunk())
        return next(self._chunk)  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the stream and free its connection; nothing happens the second time."""
        self._chunk = iter(())
        if not self._flow.ended:
            self._flow.end(failed=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        flow = self.__dict__.get("_flow")
        if flow is not None and flow.started:
            self.close()


class AsyncRows(Generic[T]):
    """A stream of rows on asyncio: an asynchronous iterator, and an asynchronous context manager that closes it.

    It takes its connection at the first row and frees it when it ends, is closed or leaves its ``async with``. Dropped
    without either (a ``break`` out of ``async for``) it is closed by a task of its own, or by the next statement on
    the connection.
    """

    __sqlkit_stream__ = "async"
    __module__ = "sqlkit"

    def __init__(self, db: AsyncExecutor, query: Query, variant: Variant, values: Sequence[Any]) -> None:
        self._flow = AsyncFlow(db, Course(query, variant, values))
        self._chunk: Iterator[Any] = iter(())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        for row in self._chunk:
            return row  # type: ignore[no-any-return]
        self._chunk = iter(await self._flow.chunk())
        return next(self._chunk)  # type: ignore[no-any-return]

    async def close(self) -> None:
        """End the stream and free its connection; nothing happens the second time."""
        self._chunk = iter(())
        if not self._flow.ended:
            await self._flow.end(failed=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        flow = self.__dict__.get("_flow")
        if flow is None or not flow.started or flow.ended:
            return
        flow.dropped = True
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # the loop is gone, and with it whoever could await the end
        _closing.add(task := loop.create_task(flow.close()))
        task.add_done_callback(_closing.discard)


#: Tasks that close dropped streams: the loop itself keeps weak references only.
_closing: set[asyncio.Task[None]] = set()
