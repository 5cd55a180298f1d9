"""A cache with all its tiers on a database, opened and closed: what an application would otherwise put together."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from sqlkit.caching.cache import AsyncCache, Cache
from sqlkit.caching.listener import Listener
from sqlkit.caching.postgres import FAILURES, AsyncPostgresTier, PostgresTier
from sqlkit.caching.redis import AsyncRedisTier, RedisTier
from sqlkit.caching.statements import AsyncEntryQueries, EntryQueries, async_cache, cache, sweep
from sqlkit.caching.tags import AsyncDatabaseTags, DatabaseTags
from sqlkit.caching.tiers import MemoryTier

if TYPE_CHECKING:
    from sqlkit.database import AsyncDatabase, Database
    from sqlkit.settings import Settings

__all__ = ["opened_async_cache", "opened_cache"]

SIZE = 10_000  # entries in memory
SWEEP_EVERY = 600.0  # seconds

log = logging.getLogger("sqlkit.caching")


@contextmanager
def opened_cache(
    db: Database,
    *,
    name: str,
    redis: str | None = None,
    size: int = SIZE,
    statements: EntryQueries | None = cache,
    direct: str | None = None,
    patience: float = 2.0,
    redis_timeout: float = 0.25,
    sweep_every: float | None = SWEEP_EVERY,
) -> Iterator[Cache]:
    """Open a cache in memory, in Redis where ``redis`` is a URL, and in the database, and close it at the end.

    ``size`` is that of memory in entries, ``statements`` are those of the table in the database (None: no such tier).
    The listener connects to ``direct``, which is needed behind a pooler in transaction mode; without it memory is not
    served there. In Redis, keys begin with the names of the database and its schema. What has expired in the database
    is deleted every ``sweep_every`` seconds (None: never). Open it in the process that uses it, not before a fork.
    """
    with ExitStack() as stack:
        listener = _listener(db.settings, direct, patience)
        if listener is not None:
            stack.enter_context(listener)
        tiers: list[Any] = [MemoryTier(size)]
        if redis is not None:
            tiers.append(RedisTier(str(redis), prefix=_prefix(db.settings), timeout=redis_timeout))
            stack.callback(tiers[-1].close)
        if statements is not None:
            tiers.append(PostgresTier(db, statements=statements))
        if sweep_every is not None:
            stack.enter_context(_sweeping(db, sweep_every))
        yield Cache(*tiers, tags=DatabaseTags(db, listener), name=name)


@asynccontextmanager
async def opened_async_cache(
    db: AsyncDatabase,
    *,
    name: str,
    redis: str | None = None,
    size: int = SIZE,
    statements: AsyncEntryQueries | None = async_cache,
    direct: str | None = None,
    patience: float = 2.0,
    redis_timeout: float = 0.25,
    sweep_every: float | None = SWEEP_EVERY,
) -> AsyncIterator[AsyncCache]:
    """Open a cache on asyncio; otherwise as ``opened_cache``."""
    async with AsyncExitStack() as stack:
        listener = _listener(db.settings, direct, patience)
        if listener is not None:
            await asyncio.to_thread(listener.start)
            stack.push_async_callback(asyncio.to_thread, listener.close)
        tiers: list[Any] = [MemoryTier(size)]
        if redis is not None:
            tiers.append(AsyncRedisTier(str(redis), prefix=_prefix(db.settings), timeout=redis_timeout))
            stack.push_async_callback(tiers[-1].close)
        if statements is not None:
            tiers.append(AsyncPostgresTier(db, statements=statements))
        if sweep_every is not None:
            await stack.enter_async_context(_sweeping_async(db, sweep_every))
        yield AsyncCache(*tiers, tags=AsyncDatabaseTags(db, listener), name=name)


@contextmanager
def _sweeping(db: Database, every: float) -> Iterator[None]:
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(_soon(every)):
            try:
                sweep(db)
            except FAILURES as error:  # next time, then
                log.warning("cache: sweep: %s", type(error).__name__)

    thread = threading.Thread(target=run, name="sqlkit cache sweep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@asynccontextmanager
async def _sweeping_async(db: AsyncDatabase, every: float) -> AsyncIterator[None]:
    async def run() -> None:
        while True:
            await asyncio.sleep(_soon(every))
            try:
                await sweep(db)
            except FAILURES as error:
                log.warning("cache: sweep: %s", type(error).__name__)

    task = asyncio.create_task(run(), name="sqlkit cache sweep")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _soon(every: float) -> float:
    """Return when to sweep next: processes that began together shall not sweep together."""
    return every * random.uniform(0.5, 1)  # noqa: S311 - chance, not a secret


def _listener(settings: Settings, direct: str | None, patience: float) -> Listener | None:
    """Return a listener; None where LISTEN cannot work."""
    if direct is None and settings.pooler != "none":
        return None
    return Listener(direct or settings.dsn(), heartbeat=patience / 4, patience=patience)


def _prefix(settings: Settings) -> str:
    """Return what the keys of a database's schema begin with in a Redis that others use too."""
    from psycopg.conninfo import conninfo_to_dict

    database = conninfo_to_dict(settings.dsn()).get("dbname", "")
    return f"{database}.{settings.schema or ''}:"
