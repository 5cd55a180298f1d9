"""Soleil's logins over HTTP: ``POST /users/{user_id}/sessions`` gives a token, which goes with each request.

Who may log a user in is for what stands before the application to say: their account is Google's.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from sqlkit.fastapi import database_of

# Before FastAPI itself: it says which extra to install.
# isort: split

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from sqlkit.apps.soleil.caches import SoleilCache
from sqlkit.apps.soleil.logins import LoginSession
from sqlkit.apps.soleil.models import Profile
from sqlkit.apps.soleil.queries import users
from sqlkit.caching import CacheStatistics
from sqlkit.database import AsyncDatabase

__all__ = ["Kept", "refuse_login", "visits"]

BEARER = HTTPBearer(auto_error=False)


def cache_of(request: Request) -> SoleilCache:
    """Return the application's cache."""
    found: SoleilCache = request.app.state.cache
    return found


def token_of(given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]) -> str:
    """Return the token that a request brings; 401 without."""
    if given is None:
        raise unknown()
    return given.credentials


def unknown() -> HTTPException:
    """Return the answer for a request without a good token."""
    return HTTPException(401, "log in first", headers={"WWW-Authenticate": "Bearer"})


Kept = Annotated[SoleilCache, Depends(cache_of)]
Token = Annotated[str, Depends(token_of)]
Db = Annotated[AsyncDatabase, database_of()]


class GivenToken(BaseModel):
    """The token of a login, shown this once, and until when it is good."""

    token: str
    user_id: UUID
    created_at: datetime
    expires_at: datetime


visits = APIRouter(tags=["logins"])


@visits.post("/users/{user_id}/sessions", status_code=201)
async def create_session(user_id: UUID, db: Db, kept: Kept) -> GivenToken:
    """Log a user in for 24 hours; 404 where there is no such user, or they are not active."""
    user = await users.get_user(db, user_id=user_id)
    if user is None or not user.is_active:
        raise HTTPException(404, "not found")
    opened = await kept.logins.create_session(user_id)
    return GivenToken(token=opened.token.reveal(), **opened.session.model_dump())


@visits.delete("/users/{user_id}/sessions", status_code=204)
async def end_sessions(user_id: UUID, kept: Kept) -> None:
    """Log a user out everywhere."""
    await kept.logins.end_sessions(user_id)


@visits.get("/session")
async def read_session(token: Token, kept: Kept) -> LoginSession:
    """Return the login whose token the request brings; 401 where its time is over."""
    found = await kept.logins.validate_session(token)
    if found is None:
        raise unknown()
    return found


@visits.delete("/session", status_code=204)
async def end_session(token: Token, kept: Kept) -> None:
    """Log out."""
    if not await kept.logins.end_session(token):
        raise unknown()


@visits.get("/users/{user_id}/session")
async def read_user_session(user_id: UUID, kept: Kept) -> Profile:
    """Return what a client keeps for a user; 404 where there is nothing or its hour is over."""
    found = await kept.logins.get_user_session(user_id)
    if found is None:
        raise HTTPException(404, "not found")
    return found


@visits.put("/users/{user_id}/session", status_code=204)
async def replace_user_session(user_id: UUID, data: Profile, kept: Kept) -> None:
    """Keep something for a user for an hour, in place of what there was."""
    await kept.logins.cache_user_session(user_id, data)


@visits.get("/cache")
async def read_cache(kept: Kept) -> list[CacheStatistics]:
    """Return what the caches counted: hits, misses and failures of each tier, and whether its circuit is open."""
    return kept.statistics()


async def refuse_login(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer a login that nothing keeps."""
    return JSONResponse({"detail": "nobody can log in at the moment"}, 503, {"Retry-After": "1"})
