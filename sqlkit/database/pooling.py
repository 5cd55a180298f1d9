"""What sqlkit adds to psycopg's pools, as far as it waits for nothing: both colours share it.

- The idle connection that came back last is lent first: it has the most statements prepared.
- Whether a connection lives is seen from its socket, which is silent while all is well; only one that idled for
  long, or whose socket says something, is asked. A dead one is replaced at once and the next one tried.
- Who holds what is known, and a waiter that could wait for ever is told so at once.
- While the server is away a new connection is tried every half second as long as somebody waits; psycopg's own
  backoff (1, 2, 4, ... s) would sleep through the server's return.

The names with an underscore are psycopg_pool's; ``tests/test_database.py`` looks whether they are still there.
"""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from psycopg.pq import ConnStatus, PipelineStatus, TransactionStatus
from psycopg_pool import PoolClosed
from psycopg_pool.base import BasePool

from sqlkit.connection import Memory, memory_of
from sqlkit.database.borrowing import Pooled, log
from sqlkit.database.holders import Holders
from sqlkit.database.options import PoolStatus, connect_keywords
from sqlkit.database.unreachable import is_refusal, reason_of
from sqlkit.errors import PoolExhausted
from sqlkit.tally import Tally

if TYPE_CHECKING:
    from sqlkit.settings import Settings

__all__ = ["ANSWER_WITHIN", "PoolCore"]

RECONNECT_EVERY = 0.5  # seconds, while somebody waits and the server is away
JUST_NOW = 0.001  # seconds after its return in which not even a connection's socket is looked at
ANSWER_WITHIN = 5.0  # seconds for a question of the pool's own: are you there, forget what the borrower set
IDLE = TransactionStatus.IDLE
OK = ConnStatus.OK
OFF = PipelineStatus.OFF


class PoolCore(BasePool):
    """The decisions of a pool: what to lend, to keep and to replace, and what to say when there is none."""

    _waiting: deque[Any]
    _max_size: int
    _min_size: int
    _jitter: Any
    timeout: float
    max_lifetime: float
    holders: Holders[Any]

    def configure(self, settings: Settings) -> None:
        """Take over what psycopg's constructor does not know."""
        self.where = settings.safe_dsn
        self.logs = settings.debug
        self.names = settings.name_statements
        self.tally = Tally(settings.slow_after)
        self.counts = settings.statistics or settings.slow_after is not None
        self.ask_after = settings.pool_ask_after
        self.resets = settings.pooler == "none"
        self.trouble: Exception | None = None
        self.forked = False
        self.closing = False
        _POOLS.add(self)

    @staticmethod
    def keywords(settings: Settings) -> dict[str, Any]:
        """Return what psycopg's constructor takes."""
        return {
            "kwargs": connect_keywords(settings),
            "name": settings.safe_dsn,  # for psycopg's log lines, which say pool-1 else
            "min_size": settings.pool_min_size,
            "max_size": settings.pool_max_size,
            "timeout": settings.pool_timeout,
            "max_lifetime": settings.pool_max_lifetime,
            "max_idle": settings.pool_max_idle,
            "reconnect_timeout": RECONNECT_EVERY,
            "open": False,
        }

    def welcome(self, conn: Pooled) -> None:
        """Begin to remember a new connection."""
        memory = memory_of(conn)
        memory.logs = self.logs
        memory.shared = not self.resets
        memory.names = self.names
        if self.counts:
            memory.tally = self.tally
            self.tally.join(conn, memory.counts)
        memory.readable = _readable(conn.pgconn.socket)
        memory.returned = monotonic()
        self.trouble = None

    def refused(self, error: Exception) -> None:
        """Keep the error of the last attempt to connect, without frames: their locals know the password."""
        self.trouble = error.with_traceback(None)

    def pick(self) -> Any:
        """Take the idle connection that came back last; None if there is none."""
        idle = self._pool
        if not idle:
            return None
        conn = idle.pop()
        if len(idle) < self._nconns_min:  # psycopg shrinks the pool by what was never needed
            self._nconns_min = len(idle)
        return conn

    def is_fresh(self, conn: Pooled, memory: Memory, now: float) -> bool:
        """Whether a connection lives, as far as its socket shows; else it wants to be asked."""
        idle = now - memory.returned
        return idle < JUST_NOW or (idle < self.ask_after and not memory.readable() and conn.pgconn.status == OK)

    def is_hopeless(self, conn: Pooled) -> bool:
        """Whether to ask is a waste: it is closed, or another that was as old did not answer."""
        return conn.pgconn.status != OK or conn._created_at <= self._drained_at

    def went_silent(self) -> None:
        """One that idled did not answer in time: the others that idle are not worth the same wait."""
        self._drained_at = monotonic()

    def is_clean(self, conn: Pooled, memory: Memory) -> bool:
        """Whether a connection came back as it went out, so that there is nothing to put back."""
        return (
            not memory.touched
            and memory._stream is None
            and conn.pgconn.transaction_status == IDLE
            and conn._pipeline is None
            and conn.pgconn.pipeline_status == OFF
        )

    def settle(self, conn: Pooled) -> bool:
        """Give a connection to the first who waits, or lay it down; False when the pool has no use for it."""
        if self._closed or self.closing:
            return False
        if self._nconns > self._max_size:  # the pool was made smaller
            self._nconns -= 1
            return False
        while self._waiting:
            if self._waiting.popleft().offer(conn):
                return True
        self._pool.append(conn)
        return True

    def close_now(self, conn: Pooled) -> None:
        """Close a connection without a word to anybody; nothing is waited for."""
        conn._pool = None
        conn._closed = True
        conn.pgconn.finish()

    def wants_replacement(self) -> bool:
        """Whether a connection that was closed leaves a gap to fill."""
        if self._closed or self.closing:
            return False
        if self._nconns > self._max_size:
            self._nconns -= 1
            return False
        return True

    def surplus(self, min_size: int, max_size: int) -> tuple[int, list[Pooled]]:
        """Take new sizes: return how many connections to open, and the idle ones to close."""
        self._min_size, self._max_size = min_size, max_size
        grow = max(0, min_size - self._nconns)
        self._nconns += grow
        extra = min(len(self._pool), max(0, self._nconns - max_size))
        self._nconns -= extra
        return grow, [self._pool.popleft() for _ in range(extra)]

    def retime(self, timeout: float, max_lifetime: float) -> None:
        """Take new times, also for the connections that are open; none lives longer than it was to."""
        self.timeout, self.max_lifetime = timeout, max_lifetime
        for conn in [*self._pool, *(lent[3] for lent in list(self.holders.lent.values()))]:
            conn._expire_at = min(conn._expire_at, conn._created_at + self._jitter(max_lifetime, -0.05, 0.0))

    def refuse(self) -> tuple[list[Pooled], list[Any]]:
        """Lend no more: return the idle connections, to be closed, and who waits, to be told."""
        self.closing = True
        idle, waiting = list(self._pool), list(self._waiting)
        self._pool.clear()
        self._waiting.clear()
        return idle, waiting

    def has_other_borrowers(self, me: object) -> bool:
        """Whether anyone but ``me`` holds a connection, so that it is worth waiting for its return."""
        return any(owner != me for _, owner, *_ in list(self.holders.lent.values()))

    def report_borrowers(self) -> None:
        """Log who still holds a connection of a pool that closes."""
        if holders := self.holders.listed():
            listed = "; ".join(map(str, holders))
            log.warning("%s: closed while connections are out, which close on return: %s", self.where, listed)

    def status(self) -> PoolStatus:
        """Return the pool's figures at this moment."""
        checked_out, available = len(self.holders.lent), len(self._pool)
        size = checked_out + available
        overflow = max(0, size - self._min_size)
        waiting = len(self._waiting)
        return PoolStatus(size, checked_out, overflow, available, waiting, self._min_size, self._max_size)

    def unreachable(self) -> str:
        """Say that the server cannot be reached, and why."""
        reason = reason_of(self.trouble) if self.trouble else "it does not answer"
        state = "refuses" if self.trouble and is_refusal(self.trouble) else "cannot be reached"
        return f"{self.where}: the server {state}: {reason}"

    def exhausted(self, holder: object, waited: float) -> PoolExhausted:
        """Make the error of one who waited in vain."""
        self.tally.timed_out()
        out, size = len(self.holders.lent), self._max_size
        head = f"{holder}: no connection within {waited:g} s"
        if out < size and self.trouble is not None:
            error = PoolExhausted(f"{head}: {self.unreachable()}", self.holders.listed())
            error.__cause__ = self.trouble
            return error
        if out < size:
            return PoolExhausted(f"{head}: no new one was opened in time", self.holders.listed())
        return PoolExhausted(f"{head}: all {size} of the pool are taken", self.holders.listed())

    def entangled(self, holder: object, mine: object) -> PoolExhausted:
        """Make the error of one who waits for what only it, or another who waits, could give back."""
        return PoolExhausted(
            f"{holder}: would wait for ever: it holds a connection already, taken at {mine}; all"
            f" {self._max_size} of the pool are taken, and everyone who holds one waits for another; pass the"
            " first connection on, or enlarge the pool",
            self.holders.listed(),
        )

    def closed_error(self) -> PoolClosed:
        """Make the error of a pool that lends no more."""
        if self.forked:
            return PoolClosed(f"{self.where}: opened before a fork; open a database in each process")
        return PoolClosed(f"{self.where}: the database is closed")

    def orphan(self) -> None:
        """Forget all connections in a forked child: their sockets are the parent's."""
        self.forked = True
        self._closed = self._opened = True
        self._pool = deque()
        self._waiting = deque()
        self.holders.lent.clear()
        self.holders.waiting.clear()


def _readable(descriptor: int) -> Callable[[], object]:
    """Return a function that tells, without waiting, whether a socket has something to say."""
    if not hasattr(select, "poll"):  # Windows
        return lambda: select.select([descriptor], [], [], 0)[0]
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return partial(poll.poll, 0)


_POOLS: WeakSet[PoolCore] = WeakSet()


def _orphan_all() -> None:
    for pool in list(_POOLS):
        pool.orphan()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_orphan_all)
