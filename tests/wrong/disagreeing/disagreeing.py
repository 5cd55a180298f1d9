"""Protocols that load refuses: another parameter than the statement asks for, no such statement, no annotation."""

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

    def find_song(self, db: Executor) -> Song | None:
        """Return some song."""
        ...

    def count_songs(self, db: Executor) -> int:
        """Return how many songs there are."""
        ...


class VagueQueries(Protocol):
    """What it returns is anybody's guess."""

    def count_songs(self, db: Executor) -> object:
        """Return how many songs there are."""
        ...


SQL = Path(__file__).with_name("disagreeing.sql")

songs: SongQueries = sqlkit.load(SongQueries, SQL)
vague: VagueQueries = sqlkit.load(VagueQueries, SQL)
