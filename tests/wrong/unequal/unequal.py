"""Two Protocols on one file that do not agree, and queries that nothing calls."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import sqlkit
from sqlkit import Affected, AsyncExecutor, Executor


class Song(NamedTuple):
    """A song."""

    song_id: int
    title: str
    artist: str | None
    tempo: int | None


class Title(NamedTuple):
    """A song's title."""

    song_id: int
    title: str


class SongQueries(Protocol):
    """Songs."""

    def get_song(self, db: Executor, *, song_id: int) -> Song | None:
        """Return a song."""
        ...

    def list_songs(self, db: Executor) -> list[Title]:
        """Return all titles."""
        ...

    def retitle(self, db: Executor, *, title: str) -> Affected:
        """Give all songs one title."""
        ...


class AsyncSongQueries(Protocol):
    """The same, for asyncio."""

    async def get_song(self, db: AsyncExecutor, *, song_id: int) -> Song:
        """Return a song."""
        ...

    async def list_songs(self, db: AsyncExecutor) -> list[Title]:
        """Return all titles."""
        ...


PATH = Path(__file__).with_name("unequal.sql")
songs: SongQueries = sqlkit.load(SongQueries, PATH)
async_songs: AsyncSongQueries = sqlkit.load(AsyncSongQueries, PATH)


def retitle_all(db: Executor) -> Affected:
    """Call a query."""
    return songs.retitle(db, title="Songs")
