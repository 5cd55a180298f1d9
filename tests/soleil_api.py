"""Soleil's queries on a connection of either colour, so that one test body shows both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import psycopg

from sqlkit import AsyncRows, Rows
from sqlkit.apps.soleil import NewSong, NewUser, Song, User, queries, sync

TOPICS = ("users", "songs", "repertoire", "bands")


class Api:
    """The queries by topic (``api.songs.get_song(song_id=...)``) with the connection left out, run to their end.

    ``search_songs`` is the function over two statements, ``execute`` raw SQL that returns all rows.
    """

    users: Any
    songs: Any
    repertoire: Any
    bands: Any

    def __init__(self, module: ModuleType, db: Any, finish: Callable[[Any], Any]) -> None:
        self._db = db
        self._finish = finish
        for topic in TOPICS:
            methods = getattr(module, topic)
            names = [name for name in dir(methods) if not name.startswith("_")]
            bound = {name: self._bind(getattr(methods, name)) for name in names}
            setattr(self, topic, SimpleNamespace(**bound))
        self.search_songs = self._bind(module.search_songs)

    def _bind(self, method: Any) -> Callable[..., Any]:
        return lambda *arguments, **keywords: self._finish(method(self._db, *arguments, **keywords))

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run raw SQL."""
        cursor = self._finish(self._db.execute(statement, values))
        return list(self._finish(cursor.fetchall())) if cursor.description else []

    def user(self, name: str = "ella") -> User:
        """Create a user."""
        new = NewUser(email=f"{name}@example.org", google_id=f"google-{name}", display_name=name.title())
        created: User = self.users.create_user(user=new)
        return created

    def song(self, user: User, title: str, **facts: Any) -> Song:
        """Create a song."""
        created: Song = self.songs.create_song(song=NewSong(user_id=user.user_id, title=title, **facts))
        return created


def sync_api(conn: psycopg.Connection[Any]) -> Api:
    """Return the queries on a connection."""
    return Api(sync, conn, lambda found: list(found) if isinstance(found, Rows) else found)


def async_api(conn: psycopg.AsyncConnection[Any], runner: asyncio.Runner) -> Api:
    """Return the asynchronous queries on a connection of a runner's loop."""

    async def collected(rows: AsyncRows[Any]) -> list[Any]:
        return [row async for row in rows]

    def finish(found: Any) -> Any:
        if isinstance(found, AsyncRows):
            return runner.run(collected(found))
        return runner.run(found) if asyncio.iscoroutine(found) else found

    return Api(queries, conn, finish)
