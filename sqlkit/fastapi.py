"""FastAPI on sqlkit: connections as dependencies, a lifespan that opens the database, errors as answers.

::

    app = FastAPI(lifespan=lifespan_of(Database, ShopSettings))
    install_errors(app)
    app.include_router(health_router())

    @app.get("/songs/{song_id}")
    def get_song(song_id: int, db: Annotated[Database, database_of()]) -> Song:
        return songs.get_song(db, song_id=song_id)            # NoRow is a 404

    @app.post("/songs")
    def add_song(song: NewSong, conn: Annotated[Connection, transaction_of()]) -> Song:
        return songs.add_song(conn, song=song)                # committed before the response is sent

Needs the extra ``fastapi``. An AsyncDatabase serves ``async def`` in the same way: ``async_connection_of()``.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from inspect import unwrap
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors

from sqlkit.database import AsyncDatabase, Database, Health, Isolation, PoolStatus
from sqlkit.errors import ArgumentError, ConfigurationError, NoRow, PoolExhausted, SqlkitError
from sqlkit.pages import PageTokenError
from sqlkit.places import Place
from sqlkit.settings import Settings

try:
    from fastapi import APIRouter, Depends, FastAPI, Request, Response
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse, PlainTextResponse
except ImportError:
    raise ConfigurationError("fastapi is not installed: pip install 'sqlkit[fastapi]'") from None

from sqlkit.responses import RowsResponse

if TYPE_CHECKING:
    from sqlkit.telemetry.prometheus import Cached

__all__ = [
    "RowsResponse",
    "async_connection_of",
    "async_transaction_of",
    "connection_of",
    "database_of",
    "health_router",
    "install_errors",
    "lifespan_of",
    "metrics_router",
    "transaction_of",
]

log = logging.getLogger("sqlkit.fastapi")

RETRY_AFTER = "1"  # seconds: a pool that is exhausted or a conflict is over soon, or lasts


# The database of an application.


def lifespan_of(
    kind: type[Database] | type[AsyncDatabase],
    settings: Settings | str | Callable[[], Settings | str] | None = None,
    *,
    name: str = "db",
    at_start: Callable[[Any], Any] | None = None,
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Return a lifespan that opens a database, keeps it as ``app.state.<name>``, and closes it at the end.

    ``settings`` may be a DSN or a function, called at the start; None reads the environment. ``at_start`` is called
    with the open database before the first request, and awaited with an AsyncDatabase: migrations, partitions.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        found = settings() if callable(settings) else settings
        opened = _opened_async if issubclass(kind, AsyncDatabase) else _opened
        async with opened(kind, found, at_start) as database:
            setattr(app.state, name, database)
            yield

    return lifespan


@asynccontextmanager
async def _opened(
    kind: Any, settings: Settings | str | None, at_start: Callable[[Any], Any] | None
) -> AsyncIterator[Any]:
    """Open a Database and close it, in threads: both wait."""
    database: Database = await asyncio.to_thread(kind.connect, settings)
    try:
        if at_start is not None:
            await asyncio.to_thread(at_start, database)
        yield database
    finally:
        await asyncio.to_thread(database.close)


@asynccontextmanager
async def _opened_async(
    kind: Any, settings: Settings | str | None, at_start: Callable[[Any], Any] | None
) -> AsyncIterator[Any]:
    async with kind.connect(settings) as database:
        if at_start is not None:
            await at_start(database)
        yield database


def _found(request: Request, name: str, kind: type[Any] | tuple[type[Any], ...]) -> Any:
    """Return the application's database; ConfigurationError where there is none or it is of the other colour."""
    database = getattr(request.app.state, name, None)
    if database is None:
        raise ConfigurationError(
            f"app.state.{name}: there is no database: FastAPI(lifespan=lifespan_of(...)) opens one"
        )
    if not isinstance(database, kind):
        wanted = kind.__name__ if isinstance(kind, type) else "Database"
        raise ConfigurationError(f"app.state.{name}: {wanted} is wanted, not {type(database).__name__}")
    return database


# Dependencies: each commits when the route has returned (scope="function"), before its answer is sent. FastAPI's
# default would commit after it, when a failure can be told to nobody.


def database_of(name: str = "db") -> Any:
    """Depend on the application's Database or AsyncDatabase itself: for single queries and for background tasks."""

    async def database(request: Request) -> Any:
        return _found(request, name, (Database, AsyncDatabase))

    return Depends(database)


def _held_by_route(block: Any, request: Request) -> Any:
    """Let a connection be held by the route's function: its caller is the framework, of which nobody wants to know."""
    code = getattr(unwrap(request.scope.get("endpoint", block)), "__code__", None)
    if code is not None:
        block.place = Place(code, code.co_firstlineno, None)
    return block


def connection_of(name: str = "db") -> Any:
    """Depend on a connection of a Database; it commits when the route has returned, before the response is sent."""

    def connection(request: Request) -> Iterator[psycopg.Connection[Any]]:
        block = _found(request, name, Database).connection()
        with _held_by_route(block, request) as conn:
            yield conn

    return Depends(connection, scope="function")


def transaction_of(name: str = "db", isolation: Isolation | None = None, read_only: bool | None = None) -> Any:
    """Depend on a connection in a transaction with these options; otherwise as ``connection_of``."""

    def transaction(request: Request) -> Iterator[psycopg.Connection[Any]]:
        block = _found(request, name, Database).transaction(isolation, read_only)
        with _held_by_route(block, request) as conn:
            yield conn

    return Depends(transaction, scope="function")


def async_connection_of(name: str = "db") -> Any:
    """Depend on a connection of an AsyncDatabase; it commits when the route has returned, before the response."""

    async def connection(request: Request) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        block = _found(request, name, AsyncDatabase).connection()
        async with _held_by_route(block, request) as conn:
            yield conn

    return Depends(connection, scope="function")


def async_transaction_of(name: str = "db", isolation: Isolation | None = None, read_only: bool | None = None) -> Any:
    """Depend on an asynchronous connection in a transaction with these options."""

    async def transaction(request: Request) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        block = _found(request, name, AsyncDatabase).transaction(isolation, read_only)
        async with _held_by_route(block, request) as conn:
            yield conn

    return Depends(transaction, scope="function")


# Errors as answers.


@dataclass(frozen=True, slots=True)
class Answer:
    """The status and the text for an error, and whether the same request may succeed soon."""

    status: int
    detail: str
    again: bool = False


#: What is answered for each error: the nearest class in its ancestry counts.
ANSWERS: dict[type[Exception], Answer] = {
    NoRow: Answer(404, "not found"),
    PageTokenError: Answer(400, "the token of the page is not one of this list"),
    ArgumentError: Answer(422, "a value does not fit what it is for, or not the others"),
    PoolExhausted: Answer(503, "the database is busy", again=True),
    errors.UniqueViolation: Answer(409, "it is there already"),
    errors.ExclusionViolation: Answer(409, "it collides with another"),
    errors.ForeignKeyViolation: Answer(409, "it refers to what is not there, or others refer to it"),
    errors.RestrictViolation: Answer(409, "others refer to it"),
    errors.CheckViolation: Answer(422, "a value is not allowed"),
    errors.NotNullViolation: Answer(422, "a value is missing"),
    psycopg.DataError: Answer(422, "a text holds a character that cannot be stored"),
    errors.CharacterNotInRepertoire: Answer(422, "a text holds a character that cannot be stored"),
    errors.UntranslatableCharacter: Answer(422, "a text holds a character that cannot be stored"),
    errors.NumericValueOutOfRange: Answer(422, "a number is too large"),
    errors.StringDataRightTruncation: Answer(422, "a text is too long"),
    errors.ProgramLimitExceeded: Answer(422, "a text is too long for its index"),
    errors.DatetimeFieldOverflow: Answer(422, "a time is beyond the calendar"),
    errors.InvalidTimeZoneDisplacementValue: Answer(422, "a time is beyond the calendar"),
    errors.InsufficientPrivilege: Answer(403, "not allowed"),
    errors.SerializationFailure: Answer(503, "others changed the same at once", again=True),
    errors.DeadlockDetected: Answer(503, "others changed the same at once", again=True),
    errors.LockNotAvailable: Answer(503, "others changed the same at once", again=True),
    errors.QueryCanceled: Answer(503, "the database took too long", again=True),
    errors.OperationalError: Answer(503, "the database cannot be reached", again=True),
}


def install_errors(app: FastAPI) -> None:
    """Answer what the database refuses with a status and a name, never with a value.

    NoRow is 404; a unique, foreign key or exclusion constraint 409 and a CHECK or a missing value 422, with the
    constraint's or column's name; a request that does not fit its models 422, without what it held, and so are
    arguments that do not fit their statement; a page's token that is not ours 400; a right that lacks 403; no
    connection in time, a lost one, and a conflict of transactions 503 with Retry-After.
    """
    for kind, answer in ANSWERS.items():
        app.add_exception_handler(kind, _responder(answer))
    app.add_exception_handler(RequestValidationError, _refuse)


async def _refuse(request: Request, error: Exception) -> Response:  # noqa: ARG001  the handler's signature
    """Answer a request that does not fit its models with places and reasons.

    FastAPI's own answer quotes what was sent, and fails on what JSON cannot hold: NaN, half of a surrogate pair.
    """
    assert isinstance(error, RequestValidationError)  # noqa: S101
    wrong = [{key: one[key] for key in ("type", "loc", "msg")} for one in error.errors()]
    return Response(json.dumps({"detail": wrong}), 422, media_type="application/json")


def _responder(answer: Answer) -> Callable[[Request, Exception], Any]:
    async def respond(request: Request, error: Exception) -> Response:
        if not _of_the_request(error):
            raise error
        # Of the error its class and its place only: the text of a constraint's quotes the row.
        place = next(iter(getattr(error, "__notes__", ())), "")
        place = str(error) if isinstance(error, SqlkitError) else place
        # Arguments that do not fit may be the program's own fault.
        level = logging.WARNING if answer.status >= 500 or type(error) is ArgumentError else logging.INFO
        log.log(level, "%s %s: %d: %s %s", request.method, request.url.path, answer.status, type(error).__name__, place)
        headers = {"Retry-After": RETRY_AFTER} if answer.again else None
        return JSONResponse({"detail": answer.detail, **_named(error)}, answer.status, headers)

    return respond


def _of_the_request(error: Exception) -> bool:
    """Whether what was sent may be the cause: it is not where a partition is missing, or a statement is wrong."""
    if isinstance(error, errors.CheckViolation):
        return bool(error.diag.constraint_name)
    if isinstance(error, psycopg.DataError) and type(error) not in ANSWERS:
        return False  # 1/0, a text that is no number: the program's own
    if type(error) is psycopg.DataError:  # psycopg's own of a parameter: NUL in a text; sqlkit's note names it
        return bool(getattr(error, "__notes__", ()))
    return True


def _named(error: Exception) -> dict[str, str]:
    """Return the constraint or column that an error names."""
    if not isinstance(error, psycopg.Error):
        return {}
    names = {"constraint": error.diag.constraint_name, "column": error.diag.column_name}
    return {kind: name for kind, name in names.items() if name}


# Health and status.


def health_router(name: str = "db") -> APIRouter:
    """Return the routes ``/health`` (200 or 503, with reasons) and ``/status`` (the figures of the pool)."""
    router = APIRouter(tags=["operation"])

    @router.get("/health", responses={503: {"model": Health, "description": "The database does not answer."}})
    async def health(request: Request, response: Response) -> Health:
        """Say whether the database answers."""
        database = _found(request, name, (Database, AsyncDatabase))
        if isinstance(database, AsyncDatabase):
            found = await database.health()
        else:
            found = await asyncio.to_thread(database.health)
        response.status_code = 200 if found.healthy else 503
        return found

    @router.get("/status")
    async def status(request: Request) -> PoolStatus:
        """Say how many connections the pool has, and how many of them are lent."""
        database: Database | AsyncDatabase = _found(request, name, (Database, AsyncDatabase))
        return database.status()

    return router


def metrics_router(
    name: str = "db",
    *,
    path: str = "/metrics",
    caches: Iterable[Cached] | Callable[[FastAPI], Iterable[Cached]] = (),
) -> APIRouter:
    """Return the route ``/metrics``: the figures of queries, pool and caches in Prometheus' text format.

    Their label ``database`` is the database's own name. ``caches`` may be a function of the application, for those that
    are opened with it. It shows the names of queries and no value, to whoever may ask it: keep it inside. Needs the
    extra ``prometheus``.
    """
    from sqlkit.telemetry.prometheus import CONTENT_TYPE, metrics_text

    router = APIRouter(tags=["operation"])
    of: Callable[[FastAPI], Iterable[Cached]] = caches if callable(caches) else lambda _: caches

    @router.get(path, response_class=PlainTextResponse, include_in_schema=False)
    def metrics(request: Request) -> Response:
        """Give the figures to Prometheus."""
        database = _found(request, name, (Database, AsyncDatabase))
        label = database.settings.name or name
        return Response(metrics_text({label: database}, of(request.app)), media_type=CONTENT_TYPE)

    return router
