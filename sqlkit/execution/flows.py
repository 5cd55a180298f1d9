"""The open end of a stream, in both colours: the connection is the stream's until it ends.

A stream begins with its first row, not with the call. While it is open the connection's lock is the stream's: any
other statement on that connection, sqlkit's or raw psycopg's, raises ``ConnectionBusy`` instead of waiting for ever.
Closed early it cancels what the server still sends; inside a transaction a savepoint keeps the rest of the
transaction alive through that. A writing statement is never cancelled: its rows are read to the end.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from types import CodeType
from typing import Any

import psycopg

from sqlkit.connection import memory_of
from sqlkit.errors import ConnectionBusy
from sqlkit.execution.careful import recover
from sqlkit.execution.courses import Course
from sqlkit.execution.lending import AsyncExecutor, AsyncLender, Executor, Lender, borrow, borrow_async, elsewhere
from sqlkit.execution.query import Query

__all__ = ["AsyncFlow", "Flow", "StreamLock"]

#: How long the server may take to hear that the rest is not wanted.
CANCEL_SECONDS = 5.0


#: Where psycopg ends a transaction block: a stream does not outlive the transaction that it reads in.
BLOCK_ENDS = (psycopg.Transaction.__exit__.__code__, psycopg.AsyncTransaction.__aexit__.__code__)


class StreamLock:
    """Stands in for a connection's lock while a stream is open on it.

    Whoever wants the connection is refused, unless the stream is over for its reader: an exception is on its way out
    of the loop, its transaction block ends, it was dropped, or it is being closed.
    """

    def __init__(self, flow: Flow | AsyncFlow, lock: Any) -> None:
        self.flow = flow
        self.lock = lock

    def _refuse(self, wanting: CodeType) -> None:
        flow = self.flow
        if flow.ended or flow.dropped or sys.exc_info()[1] is not None or wanting in BLOCK_ENDS:
            return
        raise ConnectionBusy(
            f"{flow.describe()}: its stream is open on this connection: close it (or leave its with block) "
            "before another statement, or take another connection"
        )

    def acquire(self) -> Any:
        """Refuse, or close the stream and lock the connection: a coroutine on asyncio."""
        return self.__enter__() if isinstance(self.flow, Flow) else self.__aenter__()

    def __enter__(self) -> object:
        self._refuse(sys._getframe(1).f_code)
        assert isinstance(self.flow, Flow)  # noqa: S101 - a connection has streams of its own colour
        self.flow.close()
        return self.lock.__enter__()

    def __exit__(self, *details: Any) -> None:
        self.lock.__exit__(*details)

    async def __aenter__(self) -> object:
        self._refuse(sys._getframe(1).f_code)
        assert isinstance(self.flow, AsyncFlow)  # noqa: S101 - as above
        await self.flow.close()
        return await self.lock.__aenter__()

    async def __aexit__(self, *details: Any) -> None:
        await self.lock.__aexit__(*details)


def own_lock(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> Any:
    """Return a connection's lock itself, also where that of a stream, or of a COPY, stands in for it."""
    return getattr(conn.lock, "lock", conn.lock)


class OpenEnd:
    """What both colours of the open end of a stream have in common.

    ``started`` tells that a connection was asked for, ``given`` that a chunk came, ``taken`` that it ended because its
    connection was wanted, ``dropped`` that nobody holds the rows any more.
    """

    db: Any
    conn: Any = None
    ending: Any = None
    started = given = ended = taken = dropped = False

    def __init__(self, course: Course) -> None:
        self.course = course

    def describe(self) -> str:
        """Name the query with its place."""
        return self.course.query.label

    def elsewhere(self, error: BaseException) -> Any:
        """Return a lender of other connections where the stream failed on a replica before it gave anything."""
        if self.given or self.conn is None or not isinstance(error, psycopg.Error):
            return None
        return elsewhere(self.db, self.conn, self.course.query, error)

    def begin_anew(self, db: Any) -> None:
        """Make it a stream that has not begun, on connections of another lender."""
        self.db = db
        self.course = Course(self.course.query, self.course.variant, self.course.values)
        self.started = self.ended = False
        self.ending = None


class Flow(OpenEnd):
    """The open end of a ``Rows``: what the connection knows of it, so that the ``Rows`` itself may be dropped."""

    def __init__(self, db: Executor, course: Course) -> None:
        super().__init__(course)
        self.db = db
        self.conn: psycopg.Connection[Any] | None = None
        self.lender: Lender | None = None
        self.lock: Any = None

    def chunk(self) -> list[Any]:
        """Return the objects of the next chunk; StopIteration behind the last."""
        if self.ended:
            if self.taken:
                raise closed_by_another(self.course.query)
            raise StopIteration
        chunk = other = None
        failed = True
        try:
            if not self.started:
                self._open()
            assert self.conn is not None  # noqa: S101 - open until it has ended
            chunk = self.conn.wait(self.course.next_chunk(self.conn))
            failed = False
        except BaseException as error:
            self.course.blame(error)
            other = self.elsewhere(error)
            if other is None:
                raise
        finally:
            if chunk is None:
                self.end(failed)
        if failed:
            self.begin_anew(other)
            return self.chunk()
        if chunk is None:
            raise StopIteration
        self.given = True
        return chunk

    def _open(self) -> None:
        db, course = self.db, self.course
        self.started = True
        conn, local, self.lender = borrow(db, course.query)
        lock = own_lock(conn)
        conn.lock.acquire()  # until the end
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
                try:
                    conn.cancel_safe(timeout=CANCEL_SECONDS)
                except psycopg.Error:  # the server cannot be told, so what it does is unknown
                    conn.pgconn.finish()
            if not conn.closed:
                conn.wait(self.course.finish(conn, failed))
        except Exception:
            raise
        except BaseException:
            conn.wait(recover(conn, self.course.transaction))
            raise
        finally:
            conn.lock = self.lock
            memory_of(conn).stream = None
            self.course.counted(memory_of(conn))
            self.lock.release()
            if self.lender is not None:
                self.lender.take_back(conn)

    def close(self) -> None:
        """End the stream because its connection is wanted: whoever goes on reading is told."""
        if not self.ended:
            self.taken = True
            self.end(failed=False)


class AsyncFlow(OpenEnd):
    """The open end of an ``AsyncRows``."""

    def __init__(self, db: AsyncExecutor, course: Course) -> None:
        super().__init__(course)
        self.db = db
        self.conn: psycopg.AsyncConnection[Any] | None = None
        self.lender: AsyncLender | None = None
        self.lock: Any = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.ending: asyncio.Task[None] | None = None

    async def chunk(self) -> list[Any]:
        """Return the objects of the next chunk; StopAsyncIteration behind the last."""
        if self.ended:
            if self.taken:
                raise closed_by_another(self.course.query)
            raise StopAsyncIteration
        chunk = other = None
        failed = True
        try:
            if not self.started:
                await self._open()
            assert self.conn is not None  # noqa: S101 - open until it has ended
            chunk = await self.conn.wait(self.course.next_chunk(self.conn))
            failed = False
        except BaseException as error:
            self.course.blame(error)
            other = self.elsewhere(error)
            if other is None:
                raise
        finally:
            if chunk is None:
                await self.end(failed)
        if failed:
            self.begin_anew(other)
            return await self.chunk()
        if chunk is None:
            raise StopAsyncIteration
        self.given = True
        return chunk

    async def _open(self) -> None:
        db, course = self.db, self.course
        self.started = True
        self.loop = asyncio.get_running_loop()
        conn, local, self.lender = await borrow_async(db, course.query)
        lock = own_lock(conn)
        await conn.lock.acquire()  # until the end
        self.conn, self.lock = conn, lock
        conn.lock = StreamLock(self, lock)  # type: ignore[assignment]
        memory_of(conn).stream = self
        await conn.wait(course.start(conn, local))

    async def end(self, failed: bool) -> None:
        """End the stream, or wait for the end that is under way.

        A task of its own does it, for the caller may be cancelled (again) meanwhile and the connection must come
        back all the same.
        """
        if not self.ended:
            self.ended = True
            if self.conn is not None:
                self.ending = asyncio.ensure_future(self._end(self.conn, failed))
                self.ending.add_done_callback(_look_at)
        if self.ending is not None:
            await asyncio.shield(self.ending)

    async def _end(self, conn: psycopg.AsyncConnection[Any], failed: bool) -> None:
        try:
            if self.course.cancels and not conn.closed:
                try:
                    await conn.cancel_safe(timeout=CANCEL_SECONDS)
                except psycopg.Error:  # the server cannot be told, so what it does is unknown
                    conn.pgconn.finish()
            if not conn.closed:
                await conn.wait(self.course.finish(conn, failed))
        finally:
            self.conn = None
            conn.lock = self.lock
            memory_of(conn).stream = None
            self.course.counted(memory_of(conn))
            self.lock.release()
            if self.lender is not None:
                await self.lender.take_back(conn)

    async def close(self) -> None:
        """End the stream because its connection is wanted: whoever goes on reading is told."""
        self.taken = self.taken or not self.ended
        await self.end(failed=False)

    def drop(self) -> None:
        """Close the stream of an AsyncRows that nobody holds any more, in the loop that it was opened in."""
        self.dropped = True
        if self.loop is not None and not self.loop.is_closed():
            with suppress(RuntimeError):  # closed since
                self.loop.call_soon_threadsafe(self._close_soon)

    def _close_soon(self) -> None:
        _closing.add(task := asyncio.ensure_future(self.close()))
        task.add_done_callback(_closing.discard)
        task.add_done_callback(_look_at)


#: Tasks that close dropped streams: the loop itself keeps weak references only.
_closing: set[asyncio.Task[None]] = set()


def _look_at(task: asyncio.Task[None]) -> None:
    """Take a task's error, lest asyncio complains that nobody did: whoever waited for it has it too."""
    if not task.cancelled():
        task.exception()


def closed_by_another(query: Query) -> ConnectionBusy:
    """Return the error for reading on in a stream whose connection was taken for something else."""
    return ConnectionBusy(
        f"{query.label}: this stream was closed, with rows unread, when its connection was used for something else"
    )
