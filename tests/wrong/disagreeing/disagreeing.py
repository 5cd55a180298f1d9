"""A Protocol that load refuses: it gives another parameter than its statement asks for."""

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

    def get_song(self, db: Executor, *, song: int) -> Song | None:
        """Return a song."""
        ...

    def count_songs(self, db: Executor) -> int:
        """Return how many songs there are."""
        ...


songs: SongQueries = sqlkit.load(SongQueries, Path(__file__).with_name("disagreeing.sql"))
