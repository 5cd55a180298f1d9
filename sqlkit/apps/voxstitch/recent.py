"""Users that were looked up of late, kept for a short while.

``UserCache`` is what a cache has to do; ``RecentUsers`` is one on ``sqlkit.caching``. ``CachedUsers`` reads through a
cache and forgets a user whom it changes, in the transaction of the change. With a cache that hears of other processes
(``CachedUsers.opened``), what they change is seen when they commit; else when the time to live is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import psycopg

from sqlkit import Executor
from sqlkit.apps.voxstitch.models import User, UserChanges
from sqlkit.apps.voxstitch.queries import users
from sqlkit.caching import Cache, CacheStatistics, DatabaseTags, MemoryTier, invalidate, opened_cache
from sqlkit.database import Database, View

__all__ = ["CachedUsers", "RecentUsers", "UserCache"]

SIZE = 1024
SECONDS = 30.0

#: What a user was at when they were read; None where that is not known.
Versions = Mapping[str, int] | None


class UserCache(Protocol):
    """Keeps users for a while."""

    def find(self, user_id: int) -> User | None:
        """Return the user that is kept, None if none is."""
        ...

    def mark(self, user_id: int) -> Versions:
        """Return the version that a user is at, to be given to ``keep``; take it before the user is read."""
        ...

    def keep(self, user: User, version: Versions) -> None:
        """Keep a user, unless they were forgotten since that version: then what was read may be old."""
        ...

    def forget(self, user_id: int) -> None:
        """Keep a user no longer; call it when a change is committed."""
        ...

    def changing(self, db: View, user_id: int) -> AbstractContextManager[psycopg.Connection[Any]]:
        """Lend a connection in a transaction that changes a user; they are forgotten with its commit."""
        ...


class RecentUsers:
    """Up to ``size`` users in this process, each for ``seconds``; or those of a ``cache`` that others share."""

    def __init__(self, size: int = SIZE, seconds: float = SECONDS, *, cache: Cache | None = None) -> None:
        self.cache = cache or Cache(MemoryTier(size), name="voxstitch")
        self._seconds = seconds

    def find(self, user_id: int) -> User | None:
        """Return a copy of the user that is kept, None if none is or the time is over."""
        return self.cache.get(_key(user_id), User)

    def mark(self, user_id: int) -> Versions:
        """Return the version that a user is at."""
        return self.cache.seen(_key(user_id))

    def keep(self, user: User, version: Versions) -> None:
        """Keep a user, unless they were forgotten since that version."""
        if version is not None:
            key = _key(user.user_id)
            self.cache.set(key, user, ttl=self._seconds, tags=[key], versions=version)

    def forget(self, user_id: int) -> None:
        """Keep a user no longer."""
        self.cache.invalidate(_key(user_id))

    @contextmanager
    def changing(self, db: View, user_id: int) -> Iterator[psycopg.Connection[Any]]:
        """Lend a connection in a transaction that changes a user; they are forgotten with its commit."""
        if isinstance(self.cache.tags, DatabaseTags):
            with db.transaction() as conn:
                yield conn
                invalidate(conn, _key(user_id))
            return
        try:
            with db.transaction() as conn:
                yield conn
        finally:
            self.forget(user_id)


def _key(user_id: int) -> str:
    return f"user:{user_id}"


class CachedUsers:
    """User look-ups through a cache. Whoever changes a user by other ways does so within ``changing``."""

    def __init__(self, cache: UserCache | None = None) -> None:
        self.cache: UserCache = RecentUsers() if cache is None else cache

    @classmethod
    @contextmanager
    def opened(cls, db: Database, size: int = SIZE, seconds: float = SECONDS) -> Iterator[CachedUsers]:
        """Open a cache in memory that hears of the changes of other processes, and close it at the end."""
        with opened_cache(db, name="voxstitch", size=size, statements=None) as cache:
            yield cls(RecentUsers(seconds=seconds, cache=cache))

    def get_user(self, db: Executor, *, user_id: int) -> User | None:
        """Return one user, from the cache if they are there."""
        if (found := self.cache.find(user_id)) is not None:
            return found
        version = self.cache.mark(user_id)
        if (user := users.get_user(db, user_id=user_id)) is not None:
            self.cache.keep(user, version)
        return user

    def update_user(self, db: View, *, user_id: int, changes: UserChanges) -> User | None:
        """Write the changes that are given and forget the user."""
        with self.changing(db, user_id) as conn:
            return users.update_user(conn, user_id=user_id, changes=changes)

    def remove_user(self, db: View, *, user_id: int) -> User | None:
        """Remove a user and forget them."""
        with self.changing(db, user_id) as conn:
            return users.remove_user(conn, user_id=user_id)

    def changing(self, db: View, user_id: int) -> AbstractContextManager[psycopg.Connection[Any]]:
        """Lend a connection in a transaction that changes a user; they are forgotten with its commit."""
        return self.cache.changing(db, user_id)

    def forget(self, user_id: int) -> None:
        """Look the user up anew the next time."""
        self.cache.forget(user_id)

    def statistics(self) -> CacheStatistics | None:
        """Return what the cache counted, where it is one that counts."""
        return self.cache.cache.statistics() if isinstance(self.cache, RecentUsers) else None
