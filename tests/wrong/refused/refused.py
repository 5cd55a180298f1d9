"""Queries whose statements PostgreSQL refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import sqlkit
from sqlkit import Executor


class Song(NamedTuple):
    """A song."""

    song_id: int
    title: str


class SongQueries(Protocol):
    """Songs."""

    def get_song(self, db: Executor, *, song_id: int) -> Song | None:
        """Return a song."""
        ...

    def search_songs(
        self,
        db: Executor,
        *,
        pattern: str,
        tempo: int | None = None,
        order: Literal["title", "tempo"] = "title",
    ) -> list[Song]:
        """Return songs like a pattern."""
        ...

    def find_songs(self, db: Executor, *, after: int, artist: str | None) -> list[Song]:
        """Return songs of an artist."""
        ...

    def is_null(self, db: Executor, *, value: str | None) -> bool:
        """Tell whether a value is NULL."""
        ...


songs: SongQueries = sqlkit.load(SongQueries, Path(__file__).with_name("refused.sql"))
