"""Arguments that cannot be sent as what their statements want."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Protocol
from uuid import UUID

from pydantic import AwareDatetime, BaseModel

import sqlkit
from sqlkit import Affected, Executor


class Mood(Enum):
    """What a song is like."""

    HAPPY = "happy"
    ANGRY = "angry"


@dataclass
class NewSong:
    """A song to write."""

    song_id: UUID
    title: str | None
    mood: str
    genre: str
    price: Decimal
    recorded_at: AwareDatetime


class SongChanges(BaseModel):
    """What to change of a song."""

    title: str | None = None


class SongQueries(Protocol):
    """Songs."""

    def search_songs(
        self, db: Executor, *, mood: Mood, since: AwareDatetime | None = None, limit: float = 50
    ) -> list[int]:
        """Return the songs of a mood."""
        ...

    def create_songs(self, db: Executor, songs: Iterable[NewSong]) -> Affected:
        """Write songs, one by one."""
        ...

    def copy_songs(self, db: Executor, songs: Iterable[NewSong]) -> Affected:
        """Write songs, all at once."""
        ...

    def update_song(self, db: Executor, *, song_id: int, changes: SongChanges) -> Affected:
        """Change a song."""
        ...

    def has_song(self, db: Executor, *, song_id: str) -> int:
        """Count the songs with an id."""
        ...


songs: SongQueries = sqlkit.load(SongQueries, Path(__file__).with_name("verify_arguments.sql"))
