"""A file that does not parse: a marker is misspelt."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import sqlkit
from sqlkit import Executor


class Song(NamedTuple):
    """A song."""

    song_id: int
    title: str


class SongQueries(Protocol):
    """Songs."""

    def list_songs(self, db: Executor, *, artist: str | None = None) -> list[Song]:
        """Return the songs, of an artist if one is given."""
        ...


songs: SongQueries = sqlkit.load(SongQueries, Path(__file__).with_name("unparsed.sql"))
