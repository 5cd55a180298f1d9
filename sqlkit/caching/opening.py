"""A cache with all its tiers on a database, opened and closed: what an application would otherwise put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from sqlkit.caching.cache import AsyncCache, Cache
from sqlkit.caching.listener import Listener
from sqlkit.caching.postgres import AsyncPostgresTier, PostgresTier
from sqlkit.caching.redis import AsyncRedisTier, RedisTier
from sqlkit.caching.statements import AsyncEntryQueries, EntryQueries, async_cache, cache
from sqlkit.caching.tags import AsyncDatabaseTags, DatabaseTags
from sqlkit.caching.tiers import MemoryTier

if TYPE_CHECKING:
    from sqlkit.database import AsyncDatabase, Database
    from sqlkit.settings import Settings

__all__ = ["opened_async_cache", "opened_cache"]

SIZE = 10_000  # entries in memory


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
) -> Iterator[Cache]:
    """Open a cache in memory, in Redis where ``redis`` is a URL, and in the database, and close it at the end.

    ``size`` is that of memory in entries, ``statements`` are those of the table in the database (None: no such tier).
    The listener connects to ``direct``, which is needed behind a pooler in transaction mode; without it memory is not
    served there. In Redis, keys begin with the names of the database and its schema.
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
        yield AsyncCache(*tiers, tags=AsyncDatabaseTags(db, listener), name=name)


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
