"""Old rows moved or deleted a batch at a time, so that nobody waits for long; what was interrupted is gone on with.

A statement that takes a limit does it, of the shape::

    delete from logs
    where log_id in (
        select log_id from logs where created_at < :before order by log_id limit :limit for update skip locked
    );
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, overload

import psycopg
from psycopg import errors

from sqlkit.database import AsyncView, View
from sqlkit.errors import ArgumentError

__all__ = ["in_batches"]

BATCH = 1000
LOCK_SECONDS = 1.0
PATIENCE = 30.0
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between tries for a lock, in which its holder goes on

Work = Callable[[psycopg.Connection[Any], int], int]
AsyncWork = Callable[[psycopg.AsyncConnection[Any], int], Awaitable[int]]


@overload
def in_batches(
    db: View, work: Work, *, batch: int = BATCH, lock_timeout: float = LOCK_SECONDS, patience: float = PATIENCE
) -> int: ...
@overload
def in_batches(
    db: AsyncView,
    work: AsyncWork,
    *,
    batch: int = BATCH,
    lock_timeout: float = LOCK_SECONDS,
    patience: float = PATIENCE,
) -> Coroutine[Any, Any, int]: ...
def in_batches(
    db: Any, work: Any, *, batch: int = BATCH, lock_timeout: float = LOCK_SECONDS, patience: float = PATIENCE
) -> Any:
    """Call ``work(conn, batch)`` until it returns less than ``batch``; return the sum of what it returned.

    Each call is a transaction of its own, so that its locks are short and what it did stays done. It waits for a lock
    ``lock_timeout`` seconds at most; a batch that could not have one is undone and tried again, for ``patience``
    seconds, after which psycopg's LockNotAvailable is raised. A deadlock, or a connection that is lost before COMMIT,
    is tried again, too. With an asynchronous database ``work`` is a coroutine function, and so is this. ArgumentError
    for a batch below 1.
    """
    if batch < 1:
        raise ArgumentError("in_batches: batch is 1 or more")
    course = _Course(batch, lock_timeout, patience)
    return _in_batches_async(db, work, course) if isinstance(db, AsyncView) else _in_batches(db, work, course)


class _Course:
    """How far it has come, and how long a lock has been waited for."""

    def __init__(self, batch: int, lock_timeout: float, patience: float) -> None:
        self.batch, self.patience = batch, patience
        self.bound = f"{max(1, round(lock_timeout * 1000))}ms"
        self.done = 0
        self._refused_since: float | None = None
        self._pause = FIRST_PAUSE

    def add(self, found: int) -> bool:
        """Count a batch; say whether there may be more."""
        self.done += found
        self._refused_since, self._pause = None, FIRST_PAUSE
        return found >= self.batch

    def pause(self, error: errors.LockNotAvailable) -> float:
        """Return how long to wait before the next try for a lock; the error, where it was tried long enough."""
        now = time.monotonic()
        since = self._refused_since = self._refused_since if self._refused_since is not None else now
        if now - since > self.patience:
            error.add_note(f"in_batches: {self.done} rows were done before, and stay so; the next call goes on")
            raise error
        pause, self._pause = self._pause, min(LONGEST_PAUSE, self._pause * 2)
        return pause


BOUND = "select set_config('lock_timeout', %s, true)"


def _in_batches(db: View, work: Work, course: _Course) -> int:
    def one(conn: psycopg.Connection[Any]) -> int:
        conn.execute(BOUND, [course.bound])
        return work(conn, course.batch)

    while True:
        try:
            if not course.add(db.run(one)):
                return course.done
        except errors.LockNotAvailable as error:
            time.sleep(course.pause(error))


async def _in_batches_async(db: AsyncView, work: AsyncWork, course: _Course) -> int:
    async def one(conn: psycopg.AsyncConnection[Any]) -> int:
        await conn.execute(BOUND, [course.bound])
        return await work(conn, course.batch)

    while True:
        try:
            if not course.add(await db.run(one)):
                return course.done
        except errors.LockNotAvailable as error:
            await asyncio.sleep(course.pause(error))
