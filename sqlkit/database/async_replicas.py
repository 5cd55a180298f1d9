"""The pools of an AsyncDatabase that has replicas: its own, which is the primary's, and one for each replica."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING
from weakref import finalize, ref

import psycopg

from sqlkit.connection import AsyncPooledConnection
from sqlkit.database.async_pool import AsyncPool
from sqlkit.database.following import is_followed
from sqlkit.database.options import PoolStatus, for_replica
from sqlkit.database.positions import BEGIN
from sqlkit.database.replicas import (
    FIRST_LOOK,
    FIRST_PAUSE,
    LAST_LOOK,
    LONGEST_PAUSE,
    Needs,
    Replica,
    ReplicaLeft,
    Replicas,
    may_write,
    verdict_on,
)
from sqlkit.database.unreachable import reason_of
from sqlkit.database.watching import ANSWER_WITHIN, answer
from sqlkit.execution.query import Query

if TYPE_CHECKING:
    from sqlkit.execution.lending import AsyncLender, Local
    from sqlkit.settings import Settings

__all__ = ["AsyncPoolWithReplicas"]


class AsyncReplicaPool(AsyncPool):
    """The pool of one replica; whoever waits is sent on as soon as the replica is left."""

    def __init__(self, settings: Settings, replica: Replica, primary: AsyncPoolWithReplicas) -> None:
        super().__init__(settings)
        self.replica = replica
        self.primary = ref(primary)  # for the threads that watch keep this pool
        self.tally = primary.tally
        self.loop: asyncio.AbstractEventLoop | None = None
        replica.pool = self

    @property
    def in_use(self) -> int:
        """How many callers hold a connection or wait for one."""
        return len(self.holders.lent) + len(self._waiting)

    def refused(self, error: Exception) -> None:
        """No connection can be opened: the replica is left until its watcher can."""
        super().refused(error)
        self.replica.leave(reason_of(error))

    def send_on(self) -> None:
        """Tell whoever waits that the replica is left; from whatever thread."""
        if self.loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                self.loop.call_soon_threadsafe(self._send_on)

    def _send_on(self) -> None:
        waiting = list(self._waiting)
        self._waiting.clear()
        for waiter in waiting:
            waiter.refuse(ReplicaLeft())

    def go_on(
        self, db: AsyncLender, conn: AsyncPooledConnection, query: Query, error: psycopg.Error
    ) -> AsyncLender | None:
        """Return where a read that failed here may run instead, once; None where the error is its answer."""
        if isinstance(db, AsyncElsewhere):
            return None
        goes_on, replicas_too = verdict_on(self.replica, conn, query, error)
        primary = self.primary()
        if not goes_on or primary is None:
            return None
        return AsyncElsewhere(primary, db.local, [self.replica] if replicas_too else primary.replicas.all)


class AsyncElsewhere:
    """Lends connections of other servers than those that a read has tried."""

    def __init__(self, pool: AsyncPoolWithReplicas, local: Local | None, without: Collection[Replica]) -> None:
        self._pool = pool
        self._without = without
        self.local = local

    async def lend(self, holder: object) -> psycopg.AsyncConnection[object]:
        """Lend a connection of another replica, or of the primary."""
        return await self._pool.lend(holder, without=self._without)

    async def take_back(self, conn: psycopg.AsyncConnection[object]) -> None:
        """Take a lent connection back."""
        await self._pool.take_back(conn)  # type: ignore[arg-type]


class AsyncPoolWithReplicas(AsyncPool):
    """The primary's pool, which lends connections of a replica to queries that may run there."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.replicas = Replicas(settings)
        self.pools = [AsyncReplicaPool(for_replica(one.settings), one, self) for one in self.replicas.all]
        finalize(self, self.replicas.watchers.stop)

    async def lend(
        self, holder: object, within: float | None = None, without: Collection[Replica] = ()
    ) -> AsyncPooledConnection:
        """Lend an idle connection that lives, of a replica if the holder is a query that may run there."""
        if type(holder) is Query and holder.statement.replica is not None:
            conn = await self._lend_replica(holder, holder.statement.replica, list(without))
            if conn is not None:
                return conn
        return await super().lend(holder, within)

    async def _lend_replica(self, holder: Query, lag: float, without: list[Replica]) -> AsyncPooledConnection | None:
        needs = self.replicas.needs(lag, self)
        while needs is not None and (replica := self.replicas.pick(needs, without)) is not None:
            try:
                conn: AsyncPooledConnection = await replica.pool.lend(holder)
            except ReplicaLeft:
                without.append(replica)
                continue
            if self._knows(conn, replica, needs) or await self._reaches(conn, replica, needs):
                return conn
            await replica.pool.take_back(conn)
            without.append(replica)
            needs = needs._replace(until=0.0)
        return None

    def _knows(self, conn: AsyncPooledConnection, replica: Replica, needs: Needs) -> bool:
        """Whether a connection is known to see what is needed; behind a pooler it may outlive its server's restart."""
        return replica.has(needs, conn) and (self.resets or needs.mark == BEGIN)

    async def _reaches(self, conn: AsyncPooledConnection, replica: Replica, needs: Needs) -> bool:
        """Ask a replica on the lent connection until it has what is needed, or until it is not worth it any more."""
        pause = FIRST_PAUSE
        try:
            while True:
                asked = monotonic()
                replica.hears(asked, await conn.wait(answer(conn, replica.question), timeout=ANSWER_WITHIN))
                if replica.has(needs, conn):
                    return True
                if monotonic() + pause > needs.until or not replica.serves(asked):
                    return False
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        except psycopg.Error as error:
            replica.leave(reason_of(error))
            return False
        except BaseException:
            await replica.pool.take_back(conn)
            raise

    async def take_back(self, conn: AsyncPooledConnection) -> None:
        """Take a lent connection back, and note that it may have written."""
        pool = conn._pool
        if isinstance(pool, AsyncReplicaPool):
            await pool.take_back(conn)
        elif not is_followed():
            await super().take_back(conn)
        else:
            writes = may_write(self.holders.lent.get(id(conn)))
            try:
                await super().take_back(conn)
            finally:
                if writes:
                    self.replicas.wrote(self)

    def status(self) -> PoolStatus:
        """Return the figures of the primary's pool and of each replica's at this moment."""
        return replace(super().status(), replicas=self.replicas.statuses())

    async def start(self, within: float) -> bool:
        """Open the pools and wait for the primary's first connection, and a moment for a look at the replicas."""
        if not await super().start(within):
            return False
        for pool in self.pools:
            pool.loop = asyncio.get_running_loop()
            await pool.open()
        await asyncio.to_thread(self.replicas.watchers.start, FIRST_LOOK)
        return True

    async def close(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """Close all pools as one, and watch no more."""
        self.replicas.watchers.stop()
        deadline = monotonic() + timeout
        for pool in self.pools:
            await pool.close(max(0.0, deadline - monotonic()))
        await super().close(max(0.0, deadline - monotonic()))
        await asyncio.to_thread(self.replicas.watchers.end, LAST_LOOK)

    async def resize(self, min_size: int, max_size: int | None = None) -> None:
        """Change the sizes of each pool."""
        for pool in self.pools:
            await pool.resize(min_size, max_size)
        await super().resize(min_size, max_size)

    def retime(self, timeout: float, max_lifetime: float) -> None:
        """Take new times for each pool."""
        for pool in self.pools:
            pool.retime(timeout, max_lifetime)
        super().retime(timeout, max_lifetime)
