"""Where the versions of tags come from: the database, through a listener or each time, or this process alone."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Iterable
from typing import Any

import psycopg

from sqlkit.caching.entries import Versions
from sqlkit.caching.listener import Listener
from sqlkit.caching.statements import UNINSTALLED, async_cache, cache, invalidate
from sqlkit.errors import SqlkitError
from sqlkit.execution.lending import AsyncLender, Lender

__all__ = ["AsyncDatabaseTags", "DatabaseTags", "LocalTags"]

log = logging.getLogger("sqlkit.caching")


class LocalTags:
    """Versions that this process alone knows: for a cache that no other process writes behind."""

    hears = True
    listener: Listener | None = None
    reason: str | None = None

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def covers(self, db: object) -> bool:  # noqa: ARG002  whatever it is, who invalidates does it here
        """Tell whether a database's writes are known here: those that ``invalidate`` is called for."""
        return True

    def known(self, tags: Iterable[str]) -> tuple[dict[str, int], int]:
        """Return the versions of all tags."""
        with self._lock:
            return {tag: self._versions.get(tag, 0) for tag in tags}, 0

    def fits(self, versions: Versions) -> bool:
        """Tell whether these are the versions of now."""
        own = self._versions
        return all(own.get(tag, 0) == version for tag, version in versions.items())

    def learn(self, versions: dict[str, int], generation: int) -> None:
        """Learn nothing: all is known."""

    def read(self, tags: list[str]) -> dict[str, int] | None:
        """Return the versions of tags."""
        return self.known(tags)[0]

    def invalidate(self, tags: Iterable[str]) -> None:
        """Give tags new versions."""
        with self._lock:
            for tag in tags:
                self._versions[tag] = next(self._numbers)


def _path(db: object) -> str | None:
    """Return the search path that a view sets; None where the connection's own stands."""
    local = getattr(db, "local", None)
    return None if local is None else local.path


class _Listened:
    """What a listener knows; nothing without one, or while it is cut off."""

    def __init__(self, db: Any, listener: Listener | None = None) -> None:
        self._db = db
        self.listener = listener
        self.reason: str | None = None
        self._scope = listener.new_scope() if listener else 0

    def covers(self, db: object) -> bool:
        """Tell whether a database finds the same tables: a view of another schema has tags of its own."""
        return _path(db) == _path(self._db)

    @property
    def hears(self) -> bool:
        """Whether a tier in memory may be served."""
        return self.listener is not None and self.listener.hears

    def known(self, tags: Iterable[str]) -> tuple[dict[str, int], int]:
        """Return the versions that are known, and the generation for ``learn``."""
        return self.listener.known(self._scope, tags) if self.listener else ({}, -1)

    def fits(self, versions: Versions) -> bool:
        """Tell whether these are known to be the versions of now."""
        return self.listener is not None and self.listener.fits(self._scope, versions)

    def learn(self, versions: dict[str, int], generation: int) -> None:
        """Remember what the database said."""
        if self.listener is not None:
            self.listener.learn(self._scope, versions, generation)

    def _answered(self, found: Iterable[tuple[str, int]]) -> dict[str, int]:
        self.reason = None
        return dict(found)

    def _refused(self, error: Exception) -> None:
        """Remember what does not pass by itself, tables that are not there: a database that is away tells so itself."""
        if isinstance(error, psycopg.ProgrammingError):
            missing = isinstance(error, psycopg.errors.UndefinedTable)
            reason = UNINSTALLED if missing else f"versions of tags cannot be read ({type(error).__name__})"
            if reason != self.reason:
                log.warning("cache: nothing is served: %s", reason)
            self.reason = reason


class DatabaseTags(_Listened):
    """Versions in the table ``cache_tags``, remembered as long as the listener hears of every commit.

    Without a listener they are asked of the database at each read, and no tier in memory is served.
    """

    def __init__(self, db: Lender, listener: Listener | None = None) -> None:
        super().__init__(db, listener)

    def read(self, tags: list[str]) -> dict[str, int] | None:
        """Return the versions of tags; None if the database does not say."""
        try:
            return self._answered(cache.find_versions(self._db, tags=tags))
        except (psycopg.Error, SqlkitError) as error:
            self._refused(error)
            return None

    def invalidate(self, tags: Iterable[str]) -> None:
        """Give tags new versions, in a transaction of its own."""
        invalidate(self._db, *tags)


class AsyncDatabaseTags(_Listened):
    """Versions in the table ``cache_tags``, on asyncio; otherwise as ``DatabaseTags``."""

    def __init__(self, db: AsyncLender, listener: Listener | None = None) -> None:
        super().__init__(db, listener)

    async def read(self, tags: list[str]) -> dict[str, int] | None:
        """Return the versions of tags; None if the database does not say."""
        try:
            return self._answered(await async_cache.find_versions(self._db, tags=tags))
        except (psycopg.Error, SqlkitError) as error:
            self._refused(error)
            return None

    async def invalidate(self, tags: Iterable[str]) -> None:
        """Give tags new versions, in a transaction of its own."""
        pending: Any = invalidate(self._db, *tags)
        await pending
