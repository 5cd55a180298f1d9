"""The statements of ``sql/caching/cache.sql``, in both colours, and the tables that they need."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, overload

import psycopg

import sqlkit
from sqlkit.caching.entries import LONGEST, checked_tags
from sqlkit.caching.listener import unsettle
from sqlkit.execution.lending import AsyncExecutor, Executor
from sqlkit.folders import MIGRATIONS, SQL

__all__ = [
    "UNINSTALLED",
    "AsyncEntryQueries",
    "EntryQueries",
    "FoundEntry",
    "async_cache",
    "cache",
    "install",
    "invalidate",
    "invalidate_all",
    "sweep",
]

#: What mends it where a table of the cache is not found.
UNINSTALLED = "the tables of the cache are not there: run sqlkit.caching.install(dsn, schema)"


class FoundEntry(NamedTuple):
    """An entry as the table keeps it."""

    cache_key: str
    body: str


class FoundVersion(NamedTuple):
    """A tag's version."""

    tag: str
    version: int


class EntryQueries(Protocol):
    """What a tier asks of its table."""

    def find_entries(self, db: Executor, *, keys: Sequence[str]) -> list[FoundEntry]:
        """Return the entries of keys that have not expired."""
        ...

    def keep_entry(self, db: Executor, *, key: str, body: str, seconds: float) -> None:
        """Keep an entry for some seconds, in place of the one before."""
        ...

    def delete_entry(self, db: Executor, *, key: str) -> None:
        """Delete an entry."""
        ...


class CacheQueries(EntryQueries, Protocol):
    """What the tables of the cache hold."""

    def find_versions(self, db: Executor, *, tags: Sequence[str]) -> list[FoundVersion]:
        """Return the versions of tags."""
        ...

    def bump_tags(self, db: Executor, *, tags: Sequence[str]) -> int:
        """Give tags new versions."""
        ...

    def bump_all(self, db: Executor) -> int:
        """Give all tags a new version."""
        ...

    def sweep_entries(self, db: Executor) -> sqlkit.Affected:
        """Delete what has expired."""
        ...

    def sweep_tags(self, db: Executor, *, seconds: float) -> sqlkit.Affected:
        """Delete old versions."""
        ...


class AsyncEntryQueries(Protocol):
    """What a tier asks of its table, on asyncio."""

    async def find_entries(self, db: AsyncExecutor, *, keys: Sequence[str]) -> list[FoundEntry]:
        """Return the entries of keys that have not expired."""
        ...

    async def keep_entry(self, db: AsyncExecutor, *, key: str, body: str, seconds: float) -> None:
        """Keep an entry for some seconds, in place of the one before."""
        ...

    async def delete_entry(self, db: AsyncExecutor, *, key: str) -> None:
        """Delete an entry."""
        ...


class AsyncCacheQueries(AsyncEntryQueries, Protocol):
    """What the tables of the cache hold, on asyncio."""

    async def find_versions(self, db: AsyncExecutor, *, tags: Sequence[str]) -> list[FoundVersion]:
        """Return the versions of tags."""
        ...

    async def bump_tags(self, db: AsyncExecutor, *, tags: Sequence[str]) -> int:
        """Give tags new versions."""
        ...

    async def bump_all(self, db: AsyncExecutor) -> int:
        """Give all tags a new version."""
        ...

    async def sweep_entries(self, db: AsyncExecutor) -> sqlkit.Affected:
        """Delete what has expired."""
        ...

    async def sweep_tags(self, db: AsyncExecutor, *, seconds: float) -> sqlkit.Affected:
        """Delete old versions."""
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
    invalidates nothing. Two transactions with one tag wait for each other from here on. This process sees its own
    commit at once, others when the notification arrives. Given an asynchronous connection or database it returns an
    awaitable.
    """
    from sqlkit.adhoc import _is_async

    named = sorted(checked_tags(tags))
    return _bump_async(db, named) if _is_async(db) else _bump(db, named)


def _pid(db: object) -> int | None:
    """Return the server's process in whose transaction a statement runs; None where it is committed with it."""
    if isinstance(db, psycopg.Connection | psycopg.AsyncConnection):
        return db.pgconn.backend_pid
    return None


@contextmanager
def _explained() -> Iterator[None]:
    """Let an error on tables that are not there say what makes them."""
    try:
        yield
    except psycopg.errors.UndefinedTable as error:
        error.add_note(UNINSTALLED)
        raise


def _bump(db: Executor, tags: list[str]) -> None:
    with _explained():
        cache.bump_tags(db, tags=tags)
    unsettle(tags, _pid(db))


async def _bump_async(db: AsyncExecutor, tags: list[str]) -> None:
    with _explained():
        await async_cache.bump_tags(db, tags=tags)
    unsettle(tags, _pid(db))


@overload
def invalidate_all(db: Executor) -> None: ...
@overload
def invalidate_all(db: AsyncExecutor) -> Coroutine[Any, Any, None]: ...
def invalidate_all(db: Any) -> Any:
    """Make every entry that has tags invalid, in all processes, when the transaction commits: after a restore.

    Given an asynchronous connection or database it returns an awaitable.
    """
    from sqlkit.adhoc import _is_async

    return _bump_all_async(db) if _is_async(db) else _bump_all(db)


def _bump_all(db: Executor) -> None:
    with _explained():
        cache.bump_all(db)
    unsettle([""], _pid(db))


async def _bump_all_async(db: AsyncExecutor) -> None:
    with _explained():
        await async_cache.bump_all(db)
    unsettle([""], _pid(db))


@overload
def sweep(db: Executor) -> int: ...
@overload
def sweep(db: AsyncExecutor) -> Coroutine[Any, Any, int]: ...
def sweep(db: Any) -> Any:
    """Delete the entries that have expired and the versions that none can ask for; return how many entries.

    Given an asynchronous connection or database it returns an awaitable.
    """
    from sqlkit.adhoc import _is_async

    return _sweep_async(db) if _is_async(db) else _sweep(db)


def _sweep(db: Executor) -> int:
    with _explained():
        cache.sweep_tags(db, seconds=2 * LONGEST)
        return int(cache.sweep_entries(db))


async def _sweep_async(db: AsyncExecutor) -> int:
    with _explained():
        await async_cache.sweep_tags(db, seconds=2 * LONGEST)
        return int(await async_cache.sweep_entries(db))
