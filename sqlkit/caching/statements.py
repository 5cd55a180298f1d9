"""The statements of ``sql/caching/cache.sql``, in both colours, and the tables that they need."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple, Protocol, overload

import sqlkit
from sqlkit.caching.entries import LONGEST, checked_tags
from sqlkit.execution.lending import AsyncExecutor, Executor
from sqlkit.folders import MIGRATIONS, SQL

__all__ = ["async_cache", "cache", "install", "invalidate", "sweep"]


class FoundEntry(NamedTuple):
    """An entry as the table keeps it."""

    cache_key: str
    body: str


class FoundVersion(NamedTuple):
    """A tag's version."""

    tag: str
    version: int


class CacheQueries(Protocol):
    """What the tables of the cache hold."""

    def find_entries(self, db: Executor, *, keys: Sequence[str]) -> list[FoundEntry]:
        """Return the entries of keys."""
        ...

    def keep_entry(self, db: Executor, *, key: str, body: str, seconds: float) -> None:
        """Keep an entry."""
        ...

    def delete_entry(self, db: Executor, *, key: str) -> None:
        """Delete an entry."""
        ...

    def find_versions(self, db: Executor, *, tags: Sequence[str]) -> list[FoundVersion]:
        """Return the versions of tags."""
        ...

    def bump_tags(self, db: Executor, *, tags: Sequence[str]) -> int:
        """Give tags new versions."""
        ...

    def sweep_entries(self, db: Executor) -> sqlkit.Affected:
        """Delete what has expired."""
        ...

    def sweep_tags(self, db: Executor, *, seconds: float) -> sqlkit.Affected:
        """Delete old versions."""
        ...


class AsyncCacheQueries(Protocol):
    """What the tables of the cache hold, on asyncio."""

    async def find_entries(self, db: AsyncExecutor, *, keys: Sequence[str]) -> list[FoundEntry]:
        """Return the entries of keys."""
        ...

    async def keep_entry(self, db: AsyncExecutor, *, key: str, body: str, seconds: float) -> None:
        """Keep an entry."""
        ...

    async def delete_entry(self, db: AsyncExecutor, *, key: str) -> None:
        """Delete an entry."""
        ...

    async def find_versions(self, db: AsyncExecutor, *, tags: Sequence[str]) -> list[FoundVersion]:
        """Return the versions of tags."""
        ...

    async def bump_tags(self, db: AsyncExecutor, *, tags: Sequence[str]) -> int:
        """Give tags new versions."""
        ...


cache: CacheQueries = sqlkit.load(CacheQueries, SQL / "caching/cache.sql")
async_cache: AsyncCacheQueries = sqlkit.load(AsyncCacheQueries, SQL / "caching/cache.sql")


def install(dsn: str, schema: str | None = None) -> list[str]:
    """Make the tables of the cache in a schema, where they are missing; return the migrations that were applied."""
    from sqlkit.migrate import migrate

    return migrate(dsn, MIGRATIONS / "caching", schema=schema)


@overload
def invalidate(db: Executor, *tags: str) -> None: ...
@overload
def invalidate(db: AsyncExecutor, *tags: str) -> Coroutine[Any, Any, None]: ...
def invalidate(db: Any, *tags: str) -> Any:
    """Make every entry under these tags invalid, in all processes, when the transaction commits.

    Give it the connection of the write, as the last statement before the commit: a write that is rolled back
    invalidates nothing. Two transactions with one tag wait for each other from here on. Given an asynchronous
    connection or database it returns an awaitable.
    """
    from sqlkit.adhoc import _is_async

    named = sorted(checked_tags(tags))
    return _bump_async(db, named) if _is_async(db) else _bump(db, named)


def _bump(db: Executor, tags: list[str]) -> None:
    cache.bump_tags(db, tags=tags)


async def _bump_async(db: AsyncExecutor, tags: list[str]) -> None:
    await async_cache.bump_tags(db, tags=tags)


def sweep(db: Executor) -> int:
    """Delete the entries that have expired and the versions that none can ask for; return how many entries."""
    cache.sweep_tags(db, seconds=2 * LONGEST)
    return int(cache.sweep_entries(db))
