"""The tables that works share, and their rows as pydantic, SQLAlchemy and SQLModel have them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import psycopg
from pydantic import BaseModel, Field, field_validator

import sqlkit
from sqlkit import Affected, Executor

COLUMNS = "song_id, title, tempo, rating, is_standard, note"
POINT = f"select {COLUMNS} from songs where song_id = %s"
ALL = f"select {COLUMNS} from songs order by song_id"
CONCERT_COLUMNS = (
    "concert_id, public_id, name, starts_at, ends_at, city, seats, fee, is_public, details, remark"  # eleven
)
CONCERTS = f"select {CONCERT_COLUMNS} from concerts order by concert_id"

SETUP = """
drop table if exists songs, imported, concerts;
create table songs (
    song_id integer primary key, title text not null, tempo integer not null, rating float8 not null,
    is_standard boolean not null, note text
);
insert into songs
select n, 'Song ' || n, 60 + n % 200, n / 7.0, n % 3 = 0, case when n % 4 = 0 then 'note ' || n end
from generate_series(1, {rows}) as n;
create unlogged table imported (like songs);
create table concerts (
    concert_id bigint primary key, public_id uuid not null, name text not null, starts_at timestamptz not null,
    ends_at timestamptz, city text, seats integer, fee float8, is_public boolean not null, details jsonb not null,
    remark text
);
insert into concerts
select
    n, md5(n::text)::uuid, 'Concert ' || n, '2026-01-01Z'::timestamptz + n * interval '1 hour',
    case when n % 2 = 0 then '2026-01-01Z'::timestamptz + n * interval '1 hour 1 second' end,
    case when n % 3 = 0 then 'Berlin' end, case when n % 5 <> 0 then n % 900 end, n / 8.0, n % 2 = 0,
    jsonb_build_object('stage', n % 4, 'bands', jsonb_build_array('Trio', 'Quartet ' || n)), null
from generate_series(1, {rows}) as n;
analyze songs, concerts;
"""


class Song(BaseModel):
    """A song, as every contender returns it."""

    song_id: int
    title: str
    tempo: int
    rating: float
    is_standard: bool
    note: str | None


class CheckedSong(BaseModel):
    """A song that pydantic must look at."""

    song_id: int = Field(gt=0)
    title: str = Field(min_length=1, max_length=200)
    tempo: int = Field(ge=20, le=400)
    rating: float = Field(ge=0)
    is_standard: bool
    note: str | None = Field(max_length=200)

    @field_validator("title")
    @classmethod
    def trimmed(cls, title: str) -> str:
        """Refuse what begins with a space."""
        if title[0] == " ":
            raise ValueError("a title begins with a space")
        return title


class Details(BaseModel):
    """What a concert's jsonb holds."""

    stage: int
    bands: list[str]


class Concert(BaseModel):
    """Eleven columns with UUID, timestamps, jsonb and NULLs."""

    concert_id: int
    public_id: UUID
    name: str
    starts_at: datetime
    ends_at: datetime | None
    city: str | None
    seats: int | None
    fee: float | None
    is_public: bool
    details: Details
    remark: str | None


class SongQueries(Protocol):
    """The statements of ``songs.sql``."""

    def get_song(self, db: Executor, *, song_id: int) -> Song | None: ...
    def all_songs(self, db: Executor) -> list[Song]: ...
    def checked_songs(self, db: Executor) -> list[CheckedSong]: ...
    def all_concerts(self, db: Executor) -> list[Concert]: ...
    def import_songs(self, db: Executor, songs: Iterable[Song]) -> Affected: ...
    def add_songs(self, db: Executor, songs: Iterable[Song]) -> list[int]: ...


songs: SongQueries = sqlkit.load(SongQueries, Path(__file__).parent / "songs.sql")


def create_tables(conn: psycopg.Connection[Any], rows: int) -> None:
    """Make the tables anew, with so many songs and concerts."""
    conn.execute(SETUP.format(rows=rows).encode())


def some_songs(count: int) -> list[Song]:
    """Make songs that stand in no table yet."""
    return [
        Song(
            song_id=n,
            title=f"Song {n}",
            tempo=60 + n % 200,
            rating=n / 7,
            is_standard=n % 3 == 0,
            note=f"note {n}" if n % 4 == 0 else None,
        )
        for n in range(1, count + 1)
    ]
