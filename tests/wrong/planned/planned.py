"""A query that reads a large table from end to end."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import sqlkit
from sqlkit import Executor


class Title(NamedTuple):
    """A song's title."""

    song_id: int
    title: str


class SongQueries(Protocol):
    """Songs."""

    def list_by(self, db: Executor, *, artist: str, tempo: int | None = None) -> list[Title]:
        """Return an artist's songs."""
        ...

    def get_title(self, db: Executor, *, song_id: int) -> str | None:
        """Return one title."""
        ...


songs: SongQueries = sqlkit.load(SongQueries, Path(__file__).with_name("planned.sql"))
