"""The routes of openai_frontend.

The database is that of the settings (``config.yml``, ``DATABASE_URL``, ...); it is brought to the newest schema when
the application starts. Programs call with an API key, people with the access token that their login or refresh token
gives, both as ``Authorization: Bearer ...``. The model behind the front end is a stand-in that counts words: what a
real one says is no matter of the database's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from sqlkit.fastapi import health_router, install_errors, lifespan_of, transaction_of

# Before FastAPI itself: it says which extra to install.
# isort: split

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from psycopg import Connection
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr

from sqlkit.apps import openai_frontend as frontend
from sqlkit.apps.openai_frontend.http.callers import (
    ACCESS_LASTS,
    Admin,
    AnyCaller,
    Person,
    Sealing,
    UsedDatabase,
    sealed,
)
from sqlkit.apps.openai_frontend.models import (
    AfterLine,
    ApiKey,
    ApiKeyChanges,
    Email,
    LogLevel,
    LogLine,
    NewApiKey,
    NewUsage,
    RequestedKey,
    Text,
    TotalUsage,
    UsageOfDay,
    UsageOfModel,
    UsageOfUser,
    User,
)
from sqlkit.apps.openai_frontend.settings import OpenaiFrontendSettings
from sqlkit.database import Database
from sqlkit.pages import AfterLimit, Keyset, Page
from sqlkit.security import Cipher
from sqlkit.settings import Settings

__all__ = ["app", "create_app"]

log = logging.getLogger("openai_frontend")

#: What a thousand tokens cost of each model.
PRICES = {"small": Decimal("0.0005"), "large": Decimal("0.01")}

T = TypeVar("T")
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
Password = Annotated[SecretStr, Field(min_length=8, max_length=1024)]


class AfterKey(BaseModel):
    """Where a page of keys ends."""

    api_key_id: int


KEYS = Keyset(AfterKey)
LINES = Keyset(AfterLine)


class Input(BaseModel):
    """What a request brings."""

    model_config = ConfigDict(extra="forbid")


class Registration(Input):
    """An account to open."""

    username: Text
    email: Email
    password: Password


class Credentials(Input):
    """A name and its password."""

    username: Text
    password: Annotated[SecretStr, Field(max_length=1024)]


class Refresh(Input):
    """A refresh token, which is good for one use."""

    refresh_token: Annotated[SecretStr, Field(max_length=1024)]


class Tokens(BaseModel):
    """An access token for the next minutes, and the refresh token that gives the next one."""

    access_token: str
    refresh_token: str
    token_type: str = "bearer"  # noqa: S105
    expires_in: int


class IssuedKey(BaseModel):
    """A key, shown this once, and what is known of it."""

    key: str
    api_key: ApiKey


class Message(Input):
    """What somebody said."""

    role: str
    content: str


class Prompt(Input):
    """A chat to complete."""

    model: Text
    messages: list[Message] = Field(min_length=1, max_length=1000)


class Completion(BaseModel):
    """What the model said, and what it took."""

    model: str
    content: str
    prompt_tokens: int
    completion_tokens: int


class Span(BaseModel):
    """A time from ``since`` until before ``until``: the last 30 days where nothing else is said."""

    since: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC) - timedelta(days=30))
    until: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC) + timedelta(minutes=1))


class LinesAsked(AfterLimit, Span):
    """Which lines of the logs, and behind which one."""

    at_least: LogLevel | None = None
    logger: Text | None = None
    containing: Text | None = None


accounts = APIRouter(tags=["accounts"])
keys = APIRouter(prefix="/keys", tags=["keys"])
calls = APIRouter(prefix="/v1", tags=["calls"])
reports = APIRouter(tags=["reports"])


@accounts.post("/users", status_code=201)
def register(new: Registration, conn: Annotated[Connection[Any], transaction_of()]) -> User:
    """Open an account; 409 for a name or an address that somebody has."""
    return frontend.register(conn, username=new.username, email=new.email, password=new.password)


@accounts.post("/login")
def login(given: Credentials, db: UsedDatabase, cipher: Sealing, background: BackgroundTasks) -> Tokens:
    """Log in; 401 for a wrong name or password. Expired tokens are cleaned up afterwards."""
    issued = frontend.log_in(db, username=given.username, password=given.password)
    background.add_task(frontend.refresh_tokens.cleanup_expired_tokens, db)
    return _tokens(issued, cipher)


@accounts.post("/refresh")
def refresh(given: Refresh, db: UsedDatabase, cipher: Sealing) -> Tokens:
    """Give the next tokens; 401 for a refresh token that was used before, and then for all that came of that login."""
    return _tokens(frontend.rotate_refresh_token(db, given.refresh_token), cipher)


@accounts.post("/logout", status_code=204)
def logout(given: Refresh, db: UsedDatabase) -> None:
    """Log out."""
    frontend.log_out(db, given.refresh_token)


def _tokens(issued: frontend.IssuedToken, cipher: Cipher) -> Tokens:
    return Tokens(
        access_token=sealed(cipher, issued.row.user_id),
        refresh_token=issued.token.get_secret_value(),
        expires_in=int(ACCESS_LASTS.total_seconds()),
    )


@accounts.get("/me")
def read_me(me: AnyCaller, db: UsedDatabase) -> User:
    """Return who calls."""
    return there(frontend.users.get_user(db, user_id=me.user_id))


@keys.post("", status_code=201)
def issue_key(new: RequestedKey, me: Person, db: UsedDatabase) -> IssuedKey:
    """Issue a key; it is shown this once."""
    issued = frontend.issue_api_key(db, key=NewApiKey(user_id=me.user_id, **dict(new)))
    return IssuedKey(key=issued.key.get_secret_value(), api_key=issued.row)


@keys.get("")
def list_keys(asked: Annotated[AfterLimit, Query()], me: Person, db: UsedDatabase) -> Page[ApiKey]:
    """Return a page of your keys."""
    after = KEYS.after(asked.after)
    found = frontend.api_keys.list_api_keys(
        db, user_id=me.user_id, after=None if after is None else after.api_key_id, limit=asked.limit + 1
    )
    return KEYS.page(found, asked.limit)


def key_of_mine(api_key_id: Id, me: Person, db: UsedDatabase) -> ApiKey:
    """Return the caller's key that the path names; 404 for another's too."""
    found = frontend.api_keys.get_api_key(db, api_key_id=api_key_id)
    if found is None or found.user_id != me.user_id:
        raise HTTPException(404, "not found")
    return found


Mine = Annotated[ApiKey, Depends(key_of_mine)]


@keys.patch("/{api_key_id}")
def update_key(changes: ApiKeyChanges, mine: Mine, db: UsedDatabase) -> ApiKey:
    """Change what is given of a key of yours."""
    return there(frontend.api_keys.update_api_key(db, api_key_id=mine.api_key_id, changes=changes))


@keys.delete("/{api_key_id}")
def revoke_key(mine: Mine, db: UsedDatabase) -> ApiKey:
    """Revoke a key of yours for good."""
    return there(frontend.api_keys.revoke_api_key(db, api_key_id=mine.api_key_id))


@calls.post("/chat/completions")
def complete(prompt: Prompt, me: AnyCaller, db: UsedDatabase, background: BackgroundTasks) -> Completion:
    """Complete a chat, and note what it took when the answer is sent."""
    if me.api_key_id is not None and me.scopes and "chat" not in me.scopes:
        raise HTTPException(403, "this key may not chat")
    if prompt.model not in PRICES:
        raise HTTPException(404, f"there is no such model; there are {', '.join(PRICES)}")
    started = time.monotonic()
    spoken = sum(len(message.content.split()) for message in prompt.messages)
    said = f"You said {spoken} words."
    done = Completion(model=prompt.model, content=said, prompt_tokens=spoken, completion_tokens=len(said.split()))
    call = NewUsage(
        user_id=me.user_id,
        api_key_id=me.api_key_id,
        endpoint="/v1/chat/completions",
        model=done.model,
        prompt_tokens=done.prompt_tokens,
        completion_tokens=done.completion_tokens,
        cost=PRICES[done.model] * (done.prompt_tokens + done.completion_tokens) / 1000,
        status_code=200,
        latency_ms=round((time.monotonic() - started) * 1000),
    )
    background.add_task(frontend.record_usage, db, call=call)
    log.info("%s: %d tokens", done.model, done.prompt_tokens + done.completion_tokens, extra={"user_id": me.user_id})
    return done


@reports.get("/usage")
def my_usage(span: Annotated[Span, Query()], me: AnyCaller, db: UsedDatabase) -> TotalUsage:
    """Sum up what you used."""
    return frontend.usage.get_total_usage(db, since=span.since, until=span.until, user_id=me.user_id)


@reports.get("/usage/days")
def usage_per_day(span: Annotated[Span, Query()], me: AnyCaller, db: UsedDatabase) -> list[UsageOfDay]:
    """Sum up what you used, by day of UTC and model."""
    return frontend.usage.usage_per_day(db, since=span.since, until=span.until, user_id=me.user_id)


@reports.get("/usage/models")
def usage_per_model(span: Annotated[Span, Query()], me: AnyCaller, db: UsedDatabase) -> list[UsageOfModel]:
    """Sum up what you used, by model."""
    return frontend.usage.usage_per_model(db, since=span.since, until=span.until, user_id=me.user_id)


@reports.get("/usage/users")
def usage_per_user(span: Annotated[Span, Query()], _: Admin, db: UsedDatabase) -> list[UsageOfUser]:
    """Sum up what everybody used; for administrators."""
    return frontend.usage.usage_per_user(db, since=span.since, until=span.until)


@reports.get("/logs")
def list_logs(asked: Annotated[LinesAsked, Query()], _: Admin, db: UsedDatabase) -> Page[LogLine]:
    """Return a page of the logs, the newest first; for administrators."""
    found = frontend.logs.list_logs(
        db,
        since=asked.since,
        until=asked.until,
        at_least=asked.at_least,
        logger=asked.logger,
        containing=asked.containing,
        after=LINES.after(asked.after),
        limit=asked.limit + 1,
    )
    return LINES.page(found, asked.limit)


def there(found: T | None) -> T:
    """Return what was found; 404 where nothing was."""
    if found is None:
        raise HTTPException(404, "not found")
    return found


async def refuse(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer a login or a refresh token that is refused."""
    detail = str(error).removeprefix("openai_frontend: ")
    return JSONResponse({"detail": detail}, 401, {"WWW-Authenticate": "Bearer"})


def create_app(settings: Settings | str | None = None, *, secret: str | SecretStr | None = None) -> FastAPI:
    """Return the application on a database, which is brought to the newest schema when it starts.

    ``secret`` seals the access tokens (``Cipher.new_key()``); all processes of one application need the same. Without
    one, tokens are good in this process alone. What ``openai_frontend`` logs goes to ``logs``.
    """
    made = FastAPI(title="openai_frontend", lifespan=_lifespan(settings))
    made.state.cipher = Cipher(secret if secret is not None else Cipher.new_key())
    install_errors(made)
    for kind in (frontend.LoginRefused, frontend.RefreshRefused):
        made.add_exception_handler(kind, refuse)
    for router in (health_router(), accounts, keys, calls, reports):
        made.include_router(router)
    return made


def _lifespan(settings: Settings | str | None) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    def known() -> Settings:
        return (
            OpenaiFrontendSettings(url=settings) if isinstance(settings, str) else settings or OpenaiFrontendSettings()
        )

    def start(db: Database) -> None:
        if not frontend.init_database(db.settings):
            raise RuntimeError("the database could not be prepared; the log says why")

    opened = lifespan_of(Database, known, at_start=start)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened(app):
            level, handler = log.level, frontend.DatabaseLogHandler(app.state.db)
            log.addHandler(handler)
            log.setLevel(logging.INFO)
            try:
                yield
            finally:
                log.removeHandler(handler)
                log.setLevel(level)
                await asyncio.to_thread(handler.close)

    return lifespan


app = create_app()
