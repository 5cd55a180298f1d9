"""Who is logged in: by a token for 24 hours, and what a client keeps for a user for one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from pydantic import BaseModel, JsonValue

from sqlkit.caching import AsyncCache, invalidate
from sqlkit.database import AsyncDatabase
from sqlkit.errors import SqlkitError
from sqlkit.execution.lending import AsyncExecutor
from sqlkit.security import NewToken, digest_of, new_token

__all__ = ["LoginNotKept", "LoginSession", "Logins", "OpenedSession"]

TOKEN_LIVES = timedelta(hours=24)
DATA_LIVES = timedelta(hours=1)


class LoginNotKept(SqlkitError):
    """Neither Redis nor the database took a login: its token would be worth nothing."""


class LoginSession(BaseModel):
    """A login: whose it is, since when and until when."""

    user_id: UUID
    created_at: datetime
    expires_at: datetime


class OpenedSession(NamedTuple):
    """A new login, and its token, which is shown this once."""

    token: NewToken
    session: LoginSession


class Logins:
    """Logins on a cache whose tiers all processes share. The token itself is nowhere but with its owner."""

    def __init__(self, db: AsyncDatabase, cache: AsyncCache) -> None:
        self._db = db
        self.cache = cache

    async def create_session(self, user_id: UUID) -> OpenedSession:
        """Log a user in for 24 hours. Raises LoginNotKept where nothing keeps it."""
        token, now = new_token("sol"), datetime.now(UTC)
        session = LoginSession(user_id=user_id, created_at=now, expires_at=now + TOKEN_LIVES)
        key = _key(token.digest)
        tags = [key, _all_of(user_id)]
        await self.cache.set(key, session, ttl=TOKEN_LIVES, jitter=0, tags=tags)
        if await self.cache.get(key, LoginSession) != session:
            raise LoginNotKept("create_session: neither Redis nor the database keeps the login: see the cache's health")
        return OpenedSession(token, session)

    async def validate_session(self, token: str) -> LoginSession | None:
        """Return the login of a token; None where there is none or its time is over."""
        found = await self.cache.get(_key(digest_of(token)), LoginSession)
        return found if found is not None and found.expires_at > datetime.now(UTC) else None

    async def end_session(self, token: str) -> bool:
        """Log a token out, in every process; tell whether it was logged in."""
        key = _key(digest_of(token))
        found = await self.cache.get(key, LoginSession)
        await self.cache.invalidate(key)
        await self.cache.delete(key)  # which would be found no more as it is
        return found is not None

    async def end_sessions(self, user_id: UUID, db: AsyncExecutor | None = None) -> None:
        """Log a user out everywhere; on a connection, when its transaction commits."""
        await invalidate(db or self._db, _all_of(user_id))

    async def cache_user_session(self, user_id: UUID, session_data: dict[str, JsonValue]) -> None:
        """Keep for an hour what a client wants to find again, in place of what there was."""
        tag = f"session_data:{user_id}"
        await self.cache.invalidate(tag)  # a tier that is away would come back with what there was
        key, kind = f"session:{user_id}", dict[str, JsonValue]
        await self.cache.set(key, session_data, kind=kind, ttl=DATA_LIVES, jitter=0, tags=[tag, _all_of(user_id)])

    async def get_user_session(self, user_id: UUID) -> dict[str, JsonValue] | None:
        """Return what is kept for a user; None where there is nothing or its time is over."""
        return await self.cache.get(f"session:{user_id}", dict[str, JsonValue])


def _key(digest: bytes) -> str:
    return f"session:{digest.hex()}"


def _all_of(user_id: UUID) -> str:
    return f"sessions:{user_id}"
