"""The pool of an AsyncDatabase."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

from psycopg import errors as e
from psycopg_pool import AsyncConnectionPool
from psycopg_pool.pool_async import AddConnection

from sqlkit.connection import AsyncPooledConnection, Memory, memory_of, send
from sqlkit.database.borrowing import RESET, left_unusable, log
from sqlkit.database.holders import of_tasks
from sqlkit.database.pooling import ANSWER_WITHIN, IDLE, PoolCore

if TYPE_CHECKING:
    from sqlkit.settings import Settings

__all__ = ["AsyncPool"]


class AsyncWaiter:
    """One task in the queue; only the task itself waits here, so that nothing else can be cancelled."""

    __slots__ = ("future",)

    def __init__(self) -> None:
        self.future: asyncio.Future[AsyncPooledConnection | None] = asyncio.get_running_loop().create_future()

    async def wait(self, seconds: float) -> AsyncPooledConnection | None:
        """Wait for a connection; None when the time is up. Raise what the pool has to say instead."""
        timer = self.future.get_loop().call_later(max(0.0, seconds), self._expire)
        try:
            return await self.future
        finally:
            timer.cancel()

    def offer(self, conn: AsyncPooledConnection) -> bool:
        """Take a connection, unless the wait is over."""
        if self.future.done():
            return False
        self.future.set_result(conn)
        return True

    async def set(self, conn: AsyncPooledConnection) -> bool:
        """Take a connection, as psycopg calls it."""
        return self.offer(conn)

    def refuse(self, error: Exception) -> bool:
        """End the wait with an error, unless it is over."""
        if self.future.done():
            return False
        self.future.set_exception(error)
        return True

    async def fail(self, error: Exception) -> bool:
        """End the wait with an error, as psycopg calls it."""
        return self.refuse(error)

    def _expire(self) -> None:
        if not self.future.done():
            self.future.set_result(None)

    def abandon(self) -> AsyncPooledConnection | None:
        """Wait no more; return the connection that came all the same."""
        if not self.future.done():
            self.future.cancel()
        if self.future.cancelled() or self.future.exception() is not None:
            return None
        return self.future.result()


class AsyncPool(PoolCore, AsyncConnectionPool[AsyncPooledConnection]):
    """psycopg's asynchronous pool, with a short way to lend and take back.

    Giving back waits for nothing once the connection is clean, so that a cancellation cannot lose it.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.dsn, connection_class=AsyncPooledConnection, **self.keywords(settings))
        self.configure(settings)
        self.holders = of_tasks()
        self.tried = asyncio.Event()
        self._connecting: set[asyncio.Task[Any] | None] = set()

    async def lend(self, holder: object, within: float | None = None) -> AsyncPooledConnection:
        """Lend an idle connection that lives; PoolExhausted when none comes in time."""
        deadline = 0.0
        while True:
            conn: AsyncPooledConnection | None = self.pick()
            if conn is None:
                deadline = deadline or monotonic() + (within or self.timeout)
                conn = await self._wait(holder, deadline, within or self.timeout)
            memory: Memory = conn._sqlkit  # type: ignore[attr-defined]
            now = monotonic()
            if self.is_fresh(conn, memory, now) or await self._answers(conn):
                conn._pool = self  # so that the borrower's `async with conn` does not close it
                self.holders.lent[id(conn)] = (holder, asyncio.current_task(), now, conn)
                return conn
            self._replace(conn)

    async def take_back(self, conn: AsyncPooledConnection) -> None:
        """Take a lent connection back, as it was or put back as it was; a broken one is replaced."""
        if self.holders.lent.pop(id(conn), None) is None:
            if self.forked:
                return
            raise ValueError(f"{self.where}: this connection is not lent, or was given back already")
        memory: Memory = conn._sqlkit  # type: ignore[attr-defined]
        if self.is_clean(conn, memory) or await self._tidied(conn, memory):
            self._give(conn, memory)
        else:
            self._replace(conn)

    def _give(self, conn: AsyncPooledConnection, memory: Memory) -> None:
        memory.returned = now = monotonic()
        if conn._expire_at <= now or conn._created_at <= self._drained_at:
            self._replace(conn)
        else:
            conn._pool = None
            if not self.settle(conn):
                self.close_now(conn)

    def _replace(self, conn: AsyncPooledConnection) -> None:
        self.close_now(conn)
        if self.wants_replacement():
            self.run_task(AddConnection(self))

    async def _wait(self, holder: object, deadline: float, within: float) -> AsyncPooledConnection:
        if self._closed or self.closing:
            raise self.closed_error()
        me, waiter = asyncio.current_task(), AsyncWaiter()
        self._waiting.append(waiter)
        self._maybe_grow_pool()
        self.holders.waiting[me] = None
        try:
            if (mine := self.holders.stuck(me, self._max_size)) is not None:
                raise self.entangled(holder, mine)
            if (came := await waiter.wait(deadline - monotonic())) is None:
                raise self.exhausted(holder, within)
            return came
        except BaseException:
            self._abandon(waiter)
            raise
        finally:
            self.holders.waiting.pop(me, None)

    def _abandon(self, waiter: AsyncWaiter) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        if (conn := waiter.abandon()) is not None:
            self._give(conn, memory_of(conn))

    async def _answers(self, conn: AsyncPooledConnection) -> bool:
        """Ask a connection whether it lives: one round trip."""
        if self.is_hopeless(conn):
            return False
        try:
            await conn.wait(send(conn.pgconn, b""), timeout=ANSWER_WITHIN)
        except e._WaitTimeout:
            self.went_silent()
            return False
        except Exception:
            return False
        except BaseException:
            self._replace(conn)
            raise
        return True

    async def _tidied(self, conn: AsyncPooledConnection, memory: Memory) -> bool:
        """Put a connection back as it was before it was lent; False if that cannot be done."""
        try:
            if memory.stream is not None:
                await memory.stream.close()
            if left_unusable(conn):
                return False
            if conn.pgconn.transaction_status != IDLE:
                await conn.rollback()
            if memory.touched and self.resets:
                await conn.wait(send(conn.pgconn, RESET), timeout=ANSWER_WITHIN)
            memory.touched = False
            return conn.pgconn.transaction_status == IDLE
        except Exception as error:
            log.debug("a connection could not be put back as it was: %s", type(error).__name__)
            return False
        except BaseException:
            self._replace(conn)
            raise

    async def _connect(self, timeout: float | None = None) -> AsyncPooledConnection:  # noqa: ASYNC109
        me = asyncio.current_task()
        self._connecting.add(me)
        try:
            conn = await super()._connect(timeout)
        except Exception as error:
            self.refused(error)
            raise
        finally:
            self._connecting.discard(me)
            self.tried.set()
        self.welcome(conn)
        return conn

    async def reconnect_failed(self) -> None:
        """Try again while somebody waits; otherwise the next caller will."""
        if self._waiting:
            self._maybe_grow_pool()

    async def start(self, within: float) -> bool:
        """Open the pool and wait for its first attempt to connect; tell whether it came to a good end."""
        await self.open()
        if self._nconns == 0:
            self._maybe_grow_pool()
        try:
            await asyncio.wait_for(self.tried.wait(), within)
        except TimeoutError:
            return False
        return self.trouble is None

    async def close(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """Lend no more, wait for what others hold, close all; what is still out closes when it comes back."""
        if self._closed:
            return
        deadline = monotonic() + timeout
        idle, waiting = self.refuse()
        for waiter in waiting:
            await waiter.fail(self.closed_error())
        for conn in idle:
            self.close_now(conn)
        while self.has_other_borrowers(asyncio.current_task()) and monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        self.report_borrowers()
        for worker in self._connecting:  # which psycopg takes for a connection that failed
            if worker is not None:
                worker.cancel()
        await super().close(timeout)

    async def resize(self, min_size: int, max_size: int | None = None) -> None:
        """Change the sizes: open what is missing, close what is idle and too much, now or when it is back."""
        grow, extra = self.surplus(*self._check_size(min_size, max_size))
        for _ in range(grow):
            self.run_task(AddConnection(self))
        for conn in extra:
            self.close_now(conn)
