"""The pool of a Database."""

from __future__ import annotations

import sys
import threading
import time
from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING

from psycopg import errors as e
from psycopg_pool import ConnectionPool
from psycopg_pool.pool import AddConnection

from sqlkit.connection import Memory, PooledConnection, memory_of, send
from sqlkit.database.borrowing import RESET, left_unusable, log
from sqlkit.database.holders import of_threads
from sqlkit.database.pooling import ANSWER_WITHIN, IDLE, JUST_NOW, OFF, PoolCore

if TYPE_CHECKING:
    from sqlkit.settings import Settings

__all__ = ["Pool"]


class Waiter:
    """One thread in the queue; unlike psycopg's it never loses a connection to a KeyboardInterrupt."""

    __slots__ = ("_gate", "_mutex", "_settled", "conn", "error")

    def __init__(self) -> None:
        self.conn: PooledConnection | None = None
        self.error: Exception | None = None
        self._settled = False
        self._mutex = threading.Lock()
        self._gate = threading.Lock()
        self._gate.acquire()

    def wait(self, seconds: float) -> PooledConnection | None:
        """Wait for a connection; None when the time is up. Raise what the pool has to say instead."""
        self._gate.acquire(timeout=max(0.0, seconds))
        with self._mutex:
            self._settled = True
        if self.error:
            raise self.error
        return self.conn

    def offer(self, conn: PooledConnection) -> bool:
        """Take a connection, unless the wait is over."""
        return self._settle(conn, None)

    set = offer  # psycopg's name for it

    def fail(self, error: Exception) -> bool:
        """End the wait with an error, unless it is over."""
        return self._settle(None, error)

    def _settle(self, conn: PooledConnection | None, error: Exception | None) -> bool:
        with self._mutex:
            if self._settled:
                return False
            self._settled = True
            self.conn, self.error = conn, error
        self._gate.release()
        return True

    def abandon(self) -> PooledConnection | None:
        """Wait no more; return the connection that came all the same."""
        with self._mutex:
            self._settled = True
        return self.conn


class Pool(PoolCore, ConnectionPool[PooledConnection]):
    """psycopg's pool, with a short way to lend and take back."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.dsn, connection_class=PooledConnection, **self.keywords(settings))
        self.configure(settings)
        self.holders = of_threads()
        self.tried = threading.Event()

    def lend(self, holder: object, within: float | None = None) -> PooledConnection:
        """Lend an idle connection that lives; PoolExhausted when none comes in time."""
        deadline = 0.0
        while True:
            with self._lock:
                idle = self._pool
                conn: PooledConnection | None = idle.pop() if idle else None  # as pick does, without a call
                if len(idle) < self._nconns_min:
                    self._nconns_min = len(idle)
            if conn is None:
                deadline = deadline or monotonic() + (within or self.timeout)
                conn = self._wait(holder, deadline, within or self.timeout)
            memory: Memory = conn._sqlkit  # type: ignore[attr-defined]
            now = monotonic()
            if now - memory.returned < JUST_NOW or self.is_fresh(conn, memory, now) or self._answers(conn):
                conn._pool = self  # so that the borrower's `with conn` does not close it
                self.holders.lent[id(conn)] = (holder, get_ident(), now, conn)
                return conn
            self._replace(conn)

    def take_back(self, conn: PooledConnection) -> None:
        """Take a lent connection back, as it was or put back as it was; a broken one is replaced."""
        if self.holders.lent.pop(id(conn), None) is None:
            if self.forked:
                return
            raise ValueError(f"{self.where}: this connection is not lent, or was given back already")
        memory: Memory = conn._sqlkit  # type: ignore[attr-defined]
        pgconn = conn.pgconn
        clean = (  # as is_clean says it, without a call
            not memory.touched
            and memory._stream is None
            and pgconn.transaction_status == IDLE
            and conn._pipeline is None
            and pgconn.pipeline_status == OFF
        )
        if clean or self._tidied(conn, memory):
            self._give(conn, memory)
        else:
            self._replace(conn)

    def _give(self, conn: PooledConnection, memory: Memory) -> None:
        memory.returned = now = monotonic()
        if conn._expire_at <= now or conn._created_at <= self._drained_at:
            self._replace(conn)
            return
        conn._pool = None
        with self._lock:
            if self._waiting or self.closing or self._closed or self._nconns > self._max_size:
                settled = self.settle(conn)
            else:
                self._pool.append(conn)
                return
        if not settled:
            self.close_now(conn)

    def _replace(self, conn: PooledConnection) -> None:
        self.close_now(conn)
        with self._lock:
            if self.wants_replacement():
                self.run_task(AddConnection(self))

    def _wait(self, holder: object, deadline: float, within: float) -> PooledConnection:
        me, waiter = get_ident(), Waiter()
        try:
            with self._lock:
                if self._closed or self.closing:
                    raise self.closed_error()
                if (conn := self.pick()) is not None:
                    return conn  # type: ignore[no-any-return]
                self._waiting.append(waiter)
                self._maybe_grow_pool()
            self.holders.waiting[me] = sys._getframe()
            if (mine := self.holders.stuck(me, self._max_size)) is not None:
                raise self.entangled(holder, mine)
            if (came := waiter.wait(deadline - monotonic())) is None:
                raise self.exhausted(holder, within)
            return came
        except BaseException:
            self._abandon(waiter)
            raise
        finally:
            self.holders.waiting.pop(me, None)

    def _abandon(self, waiter: Waiter) -> None:
        with self._lock:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
        if (conn := waiter.abandon()) is not None:
            self._give(conn, memory_of(conn))

    def _answers(self, conn: PooledConnection) -> bool:
        """Ask a connection whether it lives: one round trip."""
        if self.is_hopeless(conn):
            return False
        try:
            conn.wait(send(conn.pgconn, b""), timeout=ANSWER_WITHIN)
        except e._WaitTimeout:
            self.went_silent()
            return False
        except Exception:
            return False
        except BaseException:
            self._replace(conn)
            raise
        return True

    def _tidied(self, conn: PooledConnection, memory: Memory) -> bool:
        """Put a connection back as it was before it was lent; False if that cannot be done."""
        try:
            if memory.stream is not None:
                memory.stream.close()
            if left_unusable(conn):
                return False
            if conn.pgconn.transaction_status != IDLE:
                conn.rollback()
            if memory.touched and self.resets:
                conn.wait(send(conn.pgconn, RESET), timeout=ANSWER_WITHIN)
            memory.touched = False
            return conn.pgconn.transaction_status == IDLE
        except Exception as error:
            log.debug("a connection could not be put back as it was: %s", type(error).__name__)
            return False
        except BaseException:
            self._replace(conn)
            raise

    def _connect(self, timeout: float | None = None) -> PooledConnection:
        try:
            conn = super()._connect(timeout)
        except Exception as error:
            self.refused(error)
            raise
        finally:
            self.tried.set()
        self.welcome(conn)
        return conn

    def reconnect_failed(self) -> None:
        """Try again while somebody waits; otherwise the next caller will."""
        with self._lock:
            if self._waiting:
                self._maybe_grow_pool()

    def start(self, within: float) -> bool:
        """Open the pool and wait for its first attempt to connect; tell whether it came to a good end."""
        self.open()
        with self._lock:
            if self._nconns == 0:
                self._maybe_grow_pool()
        return self.tried.wait(within) and self.trouble is None

    def close(self, timeout: float = 5.0) -> None:
        """Lend no more, wait for what others hold, close all; what is still out closes when it comes back."""
        if self._closed:
            return
        deadline = monotonic() + timeout
        with self._lock:
            idle, waiting = self.refuse()
        for waiter in waiting:
            waiter.fail(self.closed_error())
        for conn in idle:
            self.close_now(conn)
        while self.has_other_borrowers(get_ident()) and monotonic() < deadline:
            time.sleep(0.005)
        self.report_borrowers()
        super().close(timeout)

    def resize(self, min_size: int, max_size: int | None = None) -> None:
        """Change the sizes: open what is missing, close what is idle and too much, now or when it is back."""
        smallest, largest = self._check_size(min_size, max_size)
        with self._lock:
            grow, extra = self.surplus(smallest, largest)
        for _ in range(grow):
            self.run_task(AddConnection(self))
        for conn in extra:
            self.close_now(conn)

    def orphan(self) -> None:
        """Forget all connections in a forked child, and a lock that another thread may have held."""
        self._lock = threading.RLock()
        super().orphan()
