"""Users that were looked up of late, kept for a short while.

``UserCache`` is what a cache has to do; ``RecentUsers`` is the small one of this process. ``CachedUsers`` reads through
a cache and forgets a user whom it changes. What another process changes is seen when the time to live is over.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Protocol

from sqlkit import Executor
from sqlkit.apps.voxstitch.models import User, UserChanges
from sqlkit.apps.voxstitch.queries import users

__all__ = ["CachedUsers", "RecentUsers", "UserCache"]


class UserCache(Protocol):
    """Keeps users for a while; one of several tiers fits here, too."""

    def find(self, user_id: int) -> User | None:
        """Return the user that is kept, None if none is."""
        ...

    def mark(self, user_id: int) -> int:
        """Return the version that a user is at, to be given to ``keep``; take it before the user is read."""
        ...

    def keep(self, user: User, version: int) -> None:
        """Keep a user, unless they were forgotten since that version: then what was read may be old."""
        ...

    def forget(self, user_id: int) -> None:
        """Keep a user no longer; call it when a change is committed."""
        ...


class RecentUsers:
    """Up to ``size`` users, each for ``seconds``; the one that was not asked for the longest goes first."""

    def __init__(self, size: int = 1024, seconds: float = 30.0) -> None:
        self._size = size
        self._seconds = seconds
        self._kept: OrderedDict[int, tuple[float, User]] = OrderedDict()
        self._forgotten: OrderedDict[int, int] = OrderedDict()
        self._clock = 0
        self._oldest = 0  # the version below which it is no longer known who was forgotten
        self._lock = threading.Lock()

    def find(self, user_id: int) -> User | None:
        """Return a copy of the user that is kept, None if none is or the time is over."""
        with self._lock:
            until, user = self._kept.get(user_id, (0.0, None))
            if user is None or until <= time.monotonic():
                self._kept.pop(user_id, None)
                return None
            self._kept.move_to_end(user_id)
            return user.model_copy()

    def mark(self, user_id: int) -> int:  # noqa: ARG002  one clock serves all
        """Return the version that everybody is at."""
        with self._lock:
            return self._clock

    def keep(self, user: User, version: int) -> None:
        """Keep a user, unless they were forgotten since that version."""
        with self._lock:
            if self._forgotten.get(user.user_id, self._oldest) > version:
                return
            self._kept[user.user_id] = (time.monotonic() + self._seconds, user.model_copy())
            self._kept.move_to_end(user.user_id)
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)

    def forget(self, user_id: int) -> None:
        """Keep a user no longer."""
        with self._lock:
            self._clock += 1
            self._kept.pop(user_id, None)
            self._forgotten[user_id] = self._clock
            self._forgotten.move_to_end(user_id)
            if len(self._forgotten) > self._size:
                self._oldest = self._forgotten.popitem(last=False)[1]


class CachedUsers:
    """User look-ups through a cache. Whoever changes a user by other ways calls ``forget`` after the commit."""

    def __init__(self, cache: UserCache | None = None) -> None:
        self.cache: UserCache = RecentUsers() if cache is None else cache

    def get_user(self, db: Executor, *, user_id: int) -> User | None:
        """Return one user, from the cache if they are there."""
        if (found := self.cache.find(user_id)) is not None:
            return found
        version = self.cache.mark(user_id)
        if (user := users.get_user(db, user_id=user_id)) is not None:
            self.cache.keep(user, version)
        return user

    def update_user(self, db: Executor, *, user_id: int, changes: UserChanges) -> User | None:
        """Write the changes that are given and forget the user; give it a Database, which has committed then."""
        try:
            return users.update_user(db, user_id=user_id, changes=changes)
        finally:
            self.forget(user_id)

    def remove_user(self, db: Executor, *, user_id: int) -> User | None:
        """Remove a user and forget them; give it a Database, which has committed then."""
        try:
            return users.remove_user(db, user_id=user_id)
        finally:
            self.forget(user_id)

    def forget(self, user_id: int) -> None:
        """Look the user up anew the next time."""
        self.cache.forget(user_id)
