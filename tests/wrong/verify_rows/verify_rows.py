"""Numbers of rows and of columns that are not what is promised."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import sqlkit
from sqlkit import Affected, Executor


class Song(NamedTuple):
    """A song."""

    song_id: int
    title: str


class SongQueries(Protocol):
    """Songs."""

    def get_song_by_title(self, db: Executor, *, title: str) -> Song | None:
        """Return the song of a title."""
        ...

    def find_song_id(self, db: Executor, *, song_id: int) -> int | None:
        """Return a song's id."""
        ...

    def create_song(self, db: Executor, *, song_id: int, title: str) -> Song:
        """Write a song."""
        ...

    def delete_song(self, db: Executor, *, song_id: int) -> Affected:
        """Delete a song."""
        ...

    def list_titles(
        self,
        db: Executor,
        *,
        text: Literal["title", "artist"] = "title",
        artist: str | None = None,
        genre: str | None = None,
    ) -> list[tuple[int, str]]:
        """Return titles, or artists."""
        ...


songs: SongQueries = sqlkit.load(SongQueries, Path(__file__).with_name("verify_rows.sql"))
