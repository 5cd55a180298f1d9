"""Rows that their models do not take."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Protocol

from pydantic import AwareDatetime, BaseModel

import sqlkit
from sqlkit import Executor


class Mood(Enum):
    """What a song is like."""

    HAPPY = "happy"
    SAD = "sad"


class Genre(Enum):
    """What a song is."""

    JAZZ = "jazz"


class Song(BaseModel):
    """A song."""

    song_id: str
    title: str
    artist: str
    mood: Mood
    genre: Genre | None
    price: float
    recorded_at: AwareDatetime


class Owner(BaseModel):
    """An owner."""

    name: str
    mail: str | None


class OwnedSong(BaseModel):
    """A song with its owner."""

    song_id: int
    owner: Owner


class Contact(BaseModel):
    """How to reach an owner."""

    mail: str | None


class SongWithContact(BaseModel):
    """A song, and whom to ask."""

    song_id: int
    contact: Contact | None


class ListedSong(BaseModel):
    """A song in an owner's list."""

    song_id: int
    title: str


class OwnerWithSongs(BaseModel):
    """An owner with the songs."""

    owner_id: int
    songs: list[ListedSong]


class SongQueries(Protocol):
    """Songs."""

    def list_songs(self, db: Executor) -> list[Song]:
        """Return all songs."""
        ...

    def list_owned_songs(self, db: Executor) -> list[OwnedSong]:
        """Return all songs with their owners."""
        ...

    def list_contacts(self, db: Executor) -> list[SongWithContact]:
        """Return all songs with whom to ask."""
        ...

    def get_owner(self, db: Executor, *, owner_id: int) -> OwnerWithSongs | None:
        """Return an owner with the songs."""
        ...


songs: SongQueries = sqlkit.load(SongQueries, Path(__file__).with_name("verify_columns.sql"))
