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

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import APIRouter, FastAPI

from sqlkit.database import AsyncDatabase, Database, Isolation
from sqlkit.settings import Settings

__all__ = [
    "async_connection_of",
    "async_transaction_of",
    "connection_of",
    "database_of",
    "health_router",
    "install_errors",
    "lifespan_of",
    "transaction_of",
]


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
    raise NotImplementedError


def database_of(name: str = "db") -> Any:
    """Depend on the application's Database or AsyncDatabase itself: for single queries and for background tasks."""
    raise NotImplementedError


def connection_of(name: str = "db") -> Any:
    """Depend on a connection of a Database; it commits when the route has returned, before the response is sent."""
    raise NotImplementedError


def transaction_of(name: str = "db", isolation: Isolation | None = None, read_only: bool | None = None) -> Any:
    """Depend on a connection in a transaction with these options; otherwise as ``connection_of``."""
    raise NotImplementedError


def async_connection_of(name: str = "db") -> Any:
    """Depend on a connection of an AsyncDatabase; it commits when the route has returned, before the response."""
    raise NotImplementedError


def async_transaction_of(name: str = "db", isolation: Isolation | None = None, read_only: bool | None = None) -> Any:
    """Depend on an asynchronous connection in a transaction with these options."""
    raise NotImplementedError


def install_errors(app: FastAPI) -> None:
    """Answer what the database refuses with a status and a name, never with a value.

    NoRow is 404; a unique, foreign key or exclusion constraint 409 and a CHECK or a missing value 422, with the
    constraint's or column's name; a page's token that is not ours 400; a right that lacks 403; no connection in time,
    a lost one, and a conflict of transactions 503 with Retry-After.
    """
    raise NotImplementedError


def health_router(name: str = "db") -> APIRouter:
    """Return the routes ``/health`` (200 or 503, with reasons) and ``/status`` (the figures of the pool)."""
    raise NotImplementedError
