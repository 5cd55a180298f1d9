"""What soleil keeps close at hand: repertoires for an hour, logins for a day, by the keys of its document.

========================== ============================================== ========= ===================================
key                        value                                          lives for invalid with
========================== ============================================== ========= ===================================
``repertoire:{user_id}``   a user with all their songs                    1 h       ``user:{user_id}``: any change of
                                                                                    the user or of a song of theirs
``session:{digest}``       who is logged in by a token, of which this is  24 h      ``session:{digest}`` (logging out),
                           the SHA-256 in hexadecimals                              ``sessions:{user_id}`` (all logins)
``session:{user_id}``      what a client keeps for a user                 1 h       ``session_data:{user_id}``,
                                                                                    ``sessions:{user_id}``
========================== ============================================== ========= ===================================

No key is ever looked for: a tag makes invalid what has it. A write says so in its own transaction::

    async with db.transaction() as conn:
        song = await songs.create_song(conn, song=new)
        await invalidate(conn, user_tag(song.user_id))
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from sqlkit.apps.soleil.logins import Logins
from sqlkit.apps.soleil.models import UserWithRepertoire
from sqlkit.apps.soleil.queries import users
from sqlkit.caching import AsyncCache, CacheStatistics, cached, invalidate, opened_async_cache
from sqlkit.database import AsyncDatabase

__all__ = ["SoleilCache", "user_tag"]

REPERTOIRE_SECONDS = 3600.0


def user_tag(user_id: UUID) -> str:
    """Return the tag of what is kept of a user and their songs."""
    return f"user:{user_id}"


class SoleilCache:
    """The cached repertoires of soleil, and its logins.

    Open one for a process: ``async with SoleilCache.opened(db, redis_url()) as cache``. Repertoires are kept in memory,
    in Redis and in the database; logins in the latter two, which outlive the process and each other.
    """

    def __init__(self, db: AsyncDatabase, cache: AsyncCache, logins: AsyncCache) -> None:
        self.db = db
        self.cache = cache
        self.logins = Logins(db, logins)
        self._get_repertoire = cached(
            users.get_user_with_repertoire,
            cache,
            key="repertoire:{user_id}",
            ttl=REPERTOIRE_SECONDS,
            tags=["user:{user_id}"],
        )

    @classmethod
    @asynccontextmanager
    async def opened(cls, db: AsyncDatabase, redis: str | None = None) -> AsyncIterator[SoleilCache]:
        """Open all tiers, Redis where there is a URL (see ``sqlkit.caching.redis_url``), and close them at the end."""
        async with opened_async_cache(db, name="soleil", redis=redis) as cache:
            # A login is to be there after a restart, so that memory alone is no place for it.
            shared = [tier for tier in cache.tiers if not tier.is_local]
            yield cls(db, cache, AsyncCache(*shared, tags=cache.tags, name="soleil.logins"))

    async def get_repertoire(self, *, user_id: UUID) -> UserWithRepertoire | None:
        """Return a user with all their songs, as they are kept or from the database."""
        return await self._get_repertoire(self.db, user_id=user_id)

    async def get_cached_repertoire(self, user_id: UUID) -> UserWithRepertoire | None:
        """Return a user with their songs if they are kept; does not ask the database for them."""
        return await self.cache.get(f"repertoire:{user_id}", UserWithRepertoire)

    async def invalidate_user_cache(self, user_id: UUID) -> None:
        """Forget what is kept of a user, in every process; a write does it in its own transaction."""
        await invalidate(self.db, user_tag(user_id))

    def statistics(self) -> list[CacheStatistics]:
        """Return what was counted: of the repertoires, and of the logins."""
        return [self.cache.statistics(), self.logins.cache.statistics()]
