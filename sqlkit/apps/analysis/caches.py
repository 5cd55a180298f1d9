"""What analysis keeps close at hand: in memory, in Redis and in ``cache_entries``, by the keys of its document.

============================== ========================================== ================== ===========================
key                            value                                      lives for          invalid with
============================== ========================================== ================== ===========================
``user:{user_id}``             the user, or what is known of them         1,800 s            their changes
``user_analyses:{user_id}``    their newest analyses                      1,800 s            changes of any of them
``analysis_result:{id}``       the result of an analysis                  3,600 s            its changes
``tool_generation:{tool_id}``  a tool with its output                     3,600 s            its changes
``system_stats``               how much there is of everything            60 s               a clean-up
``api:{endpoint}:{hash}``      the answer of an endpoint, by what was     60 s               a clean-up, and the tags
                               asked                                                         that it is given
============================== ========================================== ================== ===========================

The first and the third time are the document's. A write says what it makes invalid in its own transaction::

    with db.transaction() as conn:
        changed = analyses.update_analysis(conn, analysis_id=analysis_id, changes=changes)
        invalidate(conn, *tags_of(changed))
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias, TypeVar, cast
from uuid import UUID

from pydantic import JsonValue

from sqlkit.apps.analysis import system
from sqlkit.apps.analysis.keeping import CLEANED, RECENT, get_database_stats
from sqlkit.apps.analysis.models import Analysis, DatabaseStats, Tool, User
from sqlkit.apps.analysis.queries import analyses, tools, users
from sqlkit.caching import Cache, CacheHealth, CacheStatistics, cached, opened_cache
from sqlkit.database import Database

__all__ = ["AnalysisCache", "tags_of"]

T = TypeVar("T")
Document: TypeAlias = dict[str, JsonValue] | list[JsonValue]

USER_SECONDS = 1800.0
RESULT_SECONDS = 3600.0
SHORT_SECONDS = 60.0


def tags_of(changed: User | Analysis | Tool | None) -> list[str]:
    """Return what a change of a row makes invalid; nothing for none."""
    match changed:
        case User():
            return [f"user:{changed.user_id}"]
        case Analysis():
            return [f"analysis:{changed.analysis_id}", f"user:{changed.user_id}"]
        case Tool():
            return [f"tool:{changed.tool_id}"]
        case _:
            return []


class AnalysisCache:
    """The cached reads of analysis. With a tier that is away, the next one answers, or the database.

    ``cache`` has the tiers. Open one for a process: ``with AnalysisCache.opened(db, redis_url()) as cache``.
    """

    def __init__(self, db: Database, cache: Cache) -> None:
        self.db = db
        self.cache = cache
        self._get_user = cached(
            users.get_user,
            cache,
            key="user:{user_id}",
            ttl=USER_SECONDS,
            tags=["user:{user_id}"],
        )
        self._get_result = cached(
            analyses.get_analysis_result,
            cache,
            key="analysis_result:{analysis_id}",
            ttl=RESULT_SECONDS,
            tags=["analysis:{analysis_id}", CLEANED],
        )
        self._list_analyses = cached(
            analyses.list_newest_analyses,
            cache,
            key="user_analyses:{user_id}",
            ttl=USER_SECONDS,
            tags=["user:{user_id}", CLEANED],
        )
        self._get_tool = cached(
            tools.get_tool,
            cache,
            key="tool_generation:{tool_id}",
            ttl=RESULT_SECONDS,
            tags=["tool:{tool_id}", CLEANED],
        )

    @classmethod
    @contextmanager
    def opened(cls, db: Database, redis: str | None = None) -> Iterator[AnalysisCache]:
        """Open memory, Redis where there is a URL (see ``redis_url``), and ``cache_entries``; close them at the end."""
        with opened_cache(db, name="analysis", redis=redis, statements=system.cache_tier) as cache:
            yield cls(db, cache)

    # Reads that ask the cache first.

    def get_user(self, *, user_id: UUID) -> User | None:
        """Return one user."""
        return self._get_user(self.db, user_id=user_id)

    def list_user_analyses(self, *, user_id: UUID) -> list[Analysis]:
        """Return the fifty newest analyses of a user."""
        return self._list_analyses(self.db, user_id=user_id)

    def get_analysis_result(self, *, analysis_id: UUID) -> Document | None:
        """Return the result of an analysis, None while it has none; NoRow where there is no such analysis."""
        return self._get_result(self.db, analysis_id=analysis_id)

    def get_tool(self, *, tool_id: UUID) -> Tool | None:
        """Return one tool."""
        return self._get_tool(self.db, tool_id=tool_id)

    def get_stats(self) -> DatabaseStats:
        """Return how much there is of everything, as it was within the last minute."""
        return self._read("system_stats", DatabaseStats, lambda: get_database_stats(self.db, recent=RECENT))

    def get_answer(self, endpoint: str, asked: Mapping[str, JsonValue], kind: type[T], make: Callable[[], T]) -> T:
        """Return an endpoint's answer to what was asked, or make it and keep it for a minute."""
        text = json.dumps(asked, sort_keys=True)
        return self._read(f"api:{endpoint}:{hashlib.sha256(text.encode()).hexdigest()[:32]}", kind, make)

    def _read(self, key: str, kind: type[T], make: Callable[[], T]) -> T:
        return self.cache.fetch(key, kind, make, ttl=SHORT_SECONDS, tags=[CLEANED])

    # What a service keeps by hand.

    def cache_analysis_result(self, analysis_id: UUID, result: Document, ttl: float = RESULT_SECONDS) -> None:
        """Keep the result of an analysis before it is written, for those who ask for it meanwhile."""
        tags = [f"analysis:{analysis_id}", CLEANED]
        self.cache.set(f"analysis_result:{analysis_id}", result, kind=Document | None, ttl=ttl, tags=tags)

    def get_cached_analysis_result(self, analysis_id: UUID) -> Document | None:
        """Return a result that is kept; does not ask the database for one."""
        return self.cache.get(f"analysis_result:{analysis_id}", cast("type[Document]", Document))

    def cache_user_data(self, user_id: UUID, data: dict[str, JsonValue], ttl: float = USER_SECONDS) -> None:
        """Keep what is known of a user."""
        self.cache.set(f"user:{user_id}", data, kind=dict[str, JsonValue], ttl=ttl, tags=[f"user:{user_id}"])

    def get_cached_user_data(self, user_id: UUID) -> dict[str, JsonValue] | None:
        """Return what is kept of a user, by the names of its fields; does not ask the database for it."""
        return self.cache.get(f"user:{user_id}", dict[str, JsonValue])

    def invalidate_user_cache(self, user_id: UUID) -> None:
        """Forget all that is kept of a user, in every process; a write does it in its own transaction."""
        self.cache.invalidate(f"user:{user_id}")

    # How it is.

    def health(self) -> CacheHealth:
        """Say how the tiers are."""
        return self.cache.health()

    def statistics(self) -> CacheStatistics:
        """Return what was counted: hits and misses, of each tier failures and the state of its circuit."""
        return self.cache.statistics()
