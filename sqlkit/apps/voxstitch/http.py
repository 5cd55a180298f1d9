"""Voxstitch over HTTP: ``uvicorn sqlkit.apps.voxstitch.http:app``.

The database is that of the settings (``DATABASE_URL``, ...). Who logs in gets a token, which goes with each request as
``Authorization: Bearer ...``; everybody sees their own account and chats alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Annotated, Any

from sqlkit.fastapi import connection_of, database_of, health_router, install_errors, lifespan_of, metrics_router

# Before FastAPI itself: it says which extra to install.
# isort: split

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.concurrency import contextmanager_in_threadpool
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from psycopg import Connection
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from sqlkit.apps import voxstitch
from sqlkit.apps.voxstitch.models import (
    Chat,
    ChatChanges,
    ChatHeading,
    Email,
    FoundChat,
    ImportedChat,
    NewChat,
    NewLoginSession,
    NewUser,
    Platform,
    PlatformCount,
    Text,
    User,
)
from sqlkit.apps.voxstitch.settings import VoxstitchSettings
from sqlkit.database import Database
from sqlkit.pages import AfterLimit, Keyset, Page
from sqlkit.security import new_token
from sqlkit.settings import Settings

__all__ = ["app", "create_app"]

GUESTS_LAST = timedelta(days=1)

Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
Password = Annotated[SecretStr, Field(min_length=8, max_length=1024)]
UsedDatabase = Annotated[Database, database_of()]


class AfterChat(BaseModel):
    """Where a page of chats ends."""

    chat_id: int


CHATS = Keyset(AfterChat)


class Registration(BaseModel):
    """An account to open."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    password: Password


class Credentials(BaseModel):
    """An address and its password."""

    model_config = ConfigDict(extra="forbid")

    email: Text
    password: Annotated[SecretStr, Field(max_length=1024)]


class NewPassword(BaseModel):
    """Another password."""

    model_config = ConfigDict(extra="forbid")

    password: Password


class Token(BaseModel):
    """The token of a login, shown this once, and until when it is good."""

    token: str
    user_id: int
    expires_at: datetime


class ChatsAsked(AfterLimit):
    """Which chats, and behind which one."""

    platform: Platform | None = None


class SearchAsked(BaseModel):
    """What to search for, as in a web search."""

    term: Text = Field(max_length=1000)
    platform: Platform | None = None
    limit: int = Field(20, ge=1, le=100)


# Who calls.

BEARER = HTTPBearer(auto_error=False)


def token_of(given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]) -> str:
    """Return the token that a request brings; 401 without."""
    if given is None:
        raise unknown()
    return given.credentials


def caller(db: UsedDatabase, token: Annotated[str, Depends(token_of)]) -> User:
    """Return whose token it is; 401 for one that is not good."""
    found = voxstitch.who_is(db, token)
    if found is None:
        raise unknown()
    return found.user


def unknown() -> HTTPException:
    """Return the answer for a request without a good token."""
    return HTTPException(401, "log in first", headers={"WWW-Authenticate": "Bearer"})


Caller = Annotated[User, Depends(caller)]


def owner(user_id: Id, me: Caller) -> User:
    """Return the caller whose account the path names; 403 for another's."""
    if user_id != me.user_id:
        raise HTTPException(403, "not your account")
    return me


Owner = Annotated[User, Depends(owner)]


def recent_users(request: Request) -> voxstitch.CachedUsers:
    """Return the users that this process looked up of late."""
    found: voxstitch.CachedUsers = request.app.state.users
    return found


Recent = Annotated[voxstitch.CachedUsers, Depends(recent_users)]


def heading(chat_id: Id, db: UsedDatabase, me: Caller) -> ChatHeading:
    """Return the heading of the caller's chat that the path names; 404 for another's too."""
    found = voxstitch.chats.get_chat_heading(db, chat_id=chat_id)
    if found is None or found.user_id != me.user_id:
        raise HTTPException(404, "not found")
    return found


Mine = Annotated[ChatHeading, Depends(heading)]

accounts = APIRouter(tags=["accounts"])
library = APIRouter(prefix="/chats", tags=["chats"])


@accounts.post("/users", status_code=201)
def register(new: Registration, conn: Annotated[Connection[Any], connection_of()]) -> User:
    """Open an account; 409 for an address that somebody has."""
    return voxstitch.register(conn, email=new.email, password=new.password)


@accounts.post("/guests", status_code=201)
def create_guest(conn: Annotated[Connection[Any], connection_of()]) -> Token:
    """Let somebody in for a day who has no account."""
    guest = voxstitch.users.create_user(conn, user=NewUser(is_guest=True))
    token = new_token("vox")
    opening = NewLoginSession(user_id=guest.user_id, token_hash=token.digest, lifetime=GUESTS_LAST)
    session = voxstitch.login_sessions.open_session(conn, opening=opening)
    return Token(token=token.reveal(), user_id=guest.user_id, expires_at=session.expires_at)


@accounts.post("/login")
def login(given: Credentials, db: UsedDatabase, background: BackgroundTasks) -> Token:
    """Log in; 401 for a wrong address or password. What has expired is cleaned up afterwards."""
    made = voxstitch.log_in(db, email=given.email, password=given.password)
    background.add_task(voxstitch.login_sessions.cleanup_expired_sessions, db)
    return Token(token=made.token.get_secret_value(), user_id=made.session.user_id, expires_at=made.session.expires_at)


@accounts.post("/logout", status_code=204)
def logout(db: UsedDatabase, token: Annotated[str, Depends(token_of)]) -> None:
    """Log out."""
    if not voxstitch.log_out(db, token):
        raise unknown()


@accounts.get("/users/{user_id}")
def read_user(me: Owner, db: UsedDatabase, recent: Recent) -> User:
    """Return your account."""
    user = recent.get_user(db, user_id=me.user_id)
    if user is None:
        raise HTTPException(404, "not found")
    return user


@accounts.put("/users/{user_id}/password", status_code=204)
def change_password(new: NewPassword, me: Owner, db: UsedDatabase, recent: Recent) -> None:
    """Change your password; all your logins end."""
    with recent.changing(db, me.user_id) as conn:
        voxstitch.change_password(conn, user_id=me.user_id, password=new.password)


@accounts.delete("/users/{user_id}")
def remove_user(me: Owner, db: UsedDatabase, recent: Recent) -> User:
    """Close your account: your chats are removed with it."""
    with recent.changing(db, me.user_id) as conn:
        removed = voxstitch.users.remove_user_with_chats(conn, user_id=me.user_id)
    if removed is None:
        raise HTTPException(404, "not found")
    return removed


@library.post("", status_code=201)
def import_chat(new: ImportedChat, me: Caller, db: UsedDatabase, recent: Recent) -> Chat:
    """Import a chat for one of your remaining imports; 409 when none is left."""
    with recent.changing(db, me.user_id) as conn:
        return voxstitch.import_chat(conn, chat=NewChat(user_id=me.user_id, **dict(new)))


@library.post("/batch", status_code=201)
def import_chats(
    new: Annotated[list[ImportedChat], Field(min_length=1, max_length=100)],
    me: Caller,
    db: UsedDatabase,
    recent: Recent,
) -> list[ChatHeading]:
    """Import chats for as many of your remaining imports, all or none; 409 when fewer are left."""
    with recent.changing(db, me.user_id) as conn:
        return voxstitch.import_chats(conn, user_id=me.user_id, chats=new)


@library.get("")
def list_chats(asked: Annotated[ChatsAsked, Query()], me: Caller, db: UsedDatabase) -> Page[ChatHeading]:
    """Return a page of your chats, the newest first."""
    after = CHATS.after(asked.after)
    found = voxstitch.chats.list_chats(
        db,
        user_id=me.user_id,
        platform=asked.platform,
        after=None if after is None else after.chat_id,
        limit=asked.limit + 1,
    )
    return CHATS.page(found, asked.limit)


@library.get("/platforms")
def count_platforms(me: Caller, db: UsedDatabase) -> list[PlatformCount]:
    """Count your chats by platform."""
    return voxstitch.chats.count_chats_by_platform(db, user_id=me.user_id)


@library.get("/search")
def search_chats(asked: Annotated[SearchAsked, Query()], me: Caller, db: UsedDatabase) -> list[FoundChat]:
    """Return your chats that have the words of the term, the best match first."""
    return voxstitch.chats.search_chats(
        db, term=asked.term, user_id=me.user_id, platform=asked.platform, limit=asked.limit
    )


@library.get("/{chat_id}")
def read_chat(mine: Mine, db: UsedDatabase) -> Chat:
    """Return one of your chats."""
    return found_chat(voxstitch.chats.get_chat(db, chat_id=mine.chat_id))


@library.patch("/{chat_id}")
def update_chat(changes: ChatChanges, mine: Mine, db: UsedDatabase) -> Chat:
    """Change what is given of one of your chats."""
    return found_chat(voxstitch.chats.update_chat(db, chat_id=mine.chat_id, changes=changes))


@library.delete("/{chat_id}")
def remove_chat(mine: Mine, db: UsedDatabase) -> Chat:
    """Remove one of your chats."""
    return found_chat(voxstitch.chats.remove_chat(db, chat_id=mine.chat_id))


def found_chat(chat: Chat | None) -> Chat:
    """Return a chat; 404 where it has just gone."""
    if chat is None:
        raise HTTPException(404, "not found")
    return chat


async def refuse_import(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer an import beyond what is left."""
    return JSONResponse({"detail": "not enough imports left"}, 409)


async def refuse_login(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer a login that is refused."""
    return JSONResponse({"detail": "the email or the password is wrong"}, 401, {"WWW-Authenticate": "Bearer"})


def create_app(settings: Settings | str | None = None, *, metrics: bool = False) -> FastAPI:
    """Return the application on a database; it opens its pool when it starts and closes it at the end.

    With ``metrics`` it tells Prometheus of its queries, its pool and its cache, at ``/metrics``.
    """
    with_database = lifespan_of(Database, settings or VoxstitchSettings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            with_database(app),
            contextmanager_in_threadpool(voxstitch.CachedUsers.opened(app.state.db)) as users,
        ):
            app.state.users = users
            yield

    made = FastAPI(title="Voxstitch", lifespan=lifespan)
    install_errors(made)
    made.add_exception_handler(voxstitch.NoImportsLeft, refuse_import)
    made.add_exception_handler(voxstitch.LoginRefused, refuse_login)
    for router in (health_router(), accounts, library):
        made.include_router(router)
    if metrics:
        made.include_router(metrics_router(caches=lambda app: [app.state.users]))
    return made


app = create_app()
