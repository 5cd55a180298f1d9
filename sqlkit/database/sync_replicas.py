"""The pools of a Database that has replicas: its own, which is the primary's, and one for each replica."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING
from weakref import finalize, ref

import psycopg

from sqlkit.connection import PooledConnection
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
from sqlkit.database.sync_pool import Pool
from sqlkit.database.unreachable import reason_of
from sqlkit.database.watching import ANSWER_WITHIN, answer
from sqlkit.execution.query import Query

if TYPE_CHECKING:
    from sqlkit.execution.lending import Lender, Local
    from sqlkit.settings import Settings

__all__ = ["PoolWithReplicas"]


class ReplicaPool(Pool):
    """The pool of one replica; whoever waits is sent on as soon as the replica is left."""

    def __init__(self, settings: Settings, replica: Replica, primary: PoolWithReplicas) -> None:
        super().__init__(settings)
        self.replica = replica
        self.primary = ref(primary)  # for the threads that watch keep this pool
        self.tally = primary.tally
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
        """Tell whoever waits that the replica is left."""
        with self._lock:
            waiting = list(self._waiting)
            self._waiting.clear()
        for waiter in waiting:
            waiter.fail(ReplicaLeft())

    def go_on(self, db: Lender, conn: PooledConnection, query: Query, error: psycopg.Error) -> Lender | None:
        """Return where a read that failed here may run instead, once; None where the error is its answer."""
        if isinstance(db, Elsewhere):
            return None
        goes_on, replicas_too = verdict_on(self.replica, conn, query, error)
        primary = self.primary()
        if not goes_on or primary is None:
            return None
        return Elsewhere(primary, db.local, [self.replica] if replicas_too else primary.replicas.all)


class Elsewhere:
    """Lends connections of other servers than those that a read has tried."""

    def __init__(self, pool: PoolWithReplicas, local: Local | None, without: Collection[Replica]) -> None:
        self._pool = pool
        self._without = without
        self.local = local

    def lend(self, holder: object) -> psycopg.Connection[object]:
        """Lend a connection of another replica, or of the primary."""
        return self._pool.lend(holder, without=self._without)

    def take_back(self, conn: psycopg.Connection[object]) -> None:
        """Take a lent connection back."""
        self._pool.take_back(conn)  # type: ignore[arg-type]


class PoolWithReplicas(Pool):
    """The primary's pool, which lends connections of a replica to queries that may run there."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.replicas = Replicas(settings)
        self.pools = [ReplicaPool(for_replica(one.settings), one, self) for one in self.replicas.all]
        finalize(self, self.replicas.watchers.stop)

    def lend(self, holder: object, within: float | None = None, without: Collection[Replica] = ()) -> PooledConnection:
        """Lend an idle connection that lives, of a replica if the holder is a query that may run there."""
        if type(holder) is Query and holder.statement.replica is not None:
            conn = self._lend_replica(holder, holder.statement.replica, list(without))
            if conn is not None:
                return conn
        return super().lend(holder, within)

    def _lend_replica(self, holder: Query, lag: float, without: list[Replica]) -> PooledConnection | None:
        needs = self.replicas.needs(lag, self)
        while needs is not None and (replica := self.replicas.pick(needs, without)) is not None:
            try:
                conn: PooledConnection = replica.pool.lend(holder)
            except ReplicaLeft:
                without.append(replica)
                continue
            if self._knows(conn, replica, needs) or self._reaches(conn, replica, needs):
                return conn
            replica.pool.take_back(conn)
            without.append(replica)
            needs = needs._replace(until=0.0)
        return None

    def _knows(self, conn: PooledConnection, replica: Replica, needs: Needs) -> bool:
        """Whether a connection is known to see what is needed; behind a pooler it may outlive its server's restart."""
        return replica.has(needs, conn) and (self.resets or needs.mark == BEGIN)

    def _reaches(self, conn: PooledConnection, replica: Replica, needs: Needs) -> bool:
        """Ask a replica on the lent connection until it has what is needed, or until it is not worth it any more."""
        pause = FIRST_PAUSE
        try:
            while True:
                asked = monotonic()
                replica.hears(asked, conn.wait(answer(conn, replica.question), timeout=ANSWER_WITHIN))
                if replica.has(needs, conn):
                    return True
                if monotonic() + pause > needs.until or not replica.serves(asked):
                    return False
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        except psycopg.Error as error:
            replica.leave(reason_of(error))
            return False
        except BaseException:
            replica.pool.take_back(conn)
            raise

    def take_back(self, conn: PooledConnection) -> None:
        """Take a lent connection back, and note that it may have written."""
        pool = conn._pool
        if isinstance(pool, ReplicaPool):
            pool.take_back(conn)
        elif not is_followed():
            super().take_back(conn)
        else:
            writes = may_write(self.holders.lent.get(id(conn)))
            try:
                super().take_back(conn)
            finally:
                if writes:
                    self.replicas.wrote(self)

    def status(self) -> PoolStatus:
        """Return the figures of the primary's pool and of each replica's at this moment."""
        return replace(super().status(), replicas=self.replicas.statuses())

    def start(self, within: float) -> bool:
        """Open the pools and wait for the primary's first connection, and a moment for a look at the replicas."""
        if not super().start(within):
            return False
        for pool in self.pools:
            pool.open()
        self.replicas.watchers.start(FIRST_LOOK)
        return True

    def close(self, timeout: float = 5.0) -> None:
        """Close all pools as one, and watch no more."""
        self.replicas.watchers.stop()
        deadline = monotonic() + timeout
        for pool in self.pools:
            pool.close(max(0.0, deadline - monotonic()))
        super().close(max(0.0, deadline - monotonic()))
        self.replicas.watchers.end(LAST_LOOK)

    def resize(self, min_size: int, max_size: int | None = None) -> None:
        """Change the sizes of each pool."""
        for pool in self.pools:
            pool.resize(min_size, max_size)
        super().resize(min_size, max_size)

    def retime(self, timeout: float, max_lifetime: float) -> None:
        """Take new times for each pool."""
        for pool in self.pools:
            pool.retime(timeout, max_lifetime)
        super().retime(timeout, max_lifetime)
