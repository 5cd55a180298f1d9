"""What the tests of the query layer share: a small song book, its statements, its Protocols and its fixtures.

A test module takes the fixtures over by name (``book = songbook.book``). ``book_dsn`` is a database of the module's
own with the tables as new; ``book`` is a plain psycopg connection to it in autocommit, ``db`` a Database on it.
"""

from __future__ import annotations

import asyncio
import textwrap
import time
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import psycopg
import pytest
from pydantic import BaseModel

import sqlkit
from sqlkit import UNSET, Affected, AsyncExecutor, AsyncRows, Executor, Rows, Unset
from sqlkit.testing import TestServer, dropped_afterwards
from tests import pooled

T = TypeVar("T")

TABLES = """
drop table if exists songs cascade;
drop type if exists mood cascade;
create type mood as enum ('calm', 'wild');
create table songs (
    song_id int generated always as identity primary key,
    title text not null unique,
    mood mood not null default 'calm',
    tempo int check (tempo > 0),
    doc jsonb not null default '{}',
    price numeric
);
"""

STATEMENTS = """
-- name: get_song
-- One song, by its id.
select song_id, title, mood, tempo from songs where song_id = :song_id;

-- name: find_song
select song_id, title, mood, tempo from songs where title like :pattern order by song_id;

-- name: list_songs
select song_id, title, mood, tempo from songs order by song_id;

-- name: stream_songs
select song_id, title, mood, tempo from songs order by song_id;

-- name: count_songs
select count(*) from songs;

-- name: get_title
select title from songs where song_id = :song_id;

-- name: search_songs
-- The songs that fit whichever filters are given.
select song_id, title, mood, tempo
from songs
where
    true
    and title = :title                        --? optional
    and tempo between :slowest and :fastest   --? optional
order by title, song_id                       --| order: title
-- order by song_id desc                      --| order: newest
limit :limit;

-- name: update_song
update songs
set
    title = :changes.title,  --? optional
    tempo = :changes.tempo,  --? optional
    doc = doc
where song_id = :song_id;

-- name: set_tempo
update songs
set
    tempo = :tempo,  --? optional
    doc = doc
where song_id = :song_id;

-- name: add_song
insert into songs (title, mood, tempo) values (:song.title, :song.mood, :song.tempo)
returning song_id, title, mood, tempo;

-- name: add_title
insert into songs (title) values (:title) returning song_id;

-- name: add_songs
insert into songs (title, mood, tempo) values (:title, :mood, :tempo) returning song_id;

-- name: add_titles
insert into songs (title, mood) values (:title, :mood);

-- name: copy_songs
copy songs (title, mood, tempo) from stdin;

-- name: double_songs
insert into songs (title) select title || '!' from songs returning song_id, title, mood, tempo;

-- name: stream_doubled
insert into songs (title) select title || '!' from songs returning song_id, title, mood, tempo;

-- name: slow_down
update songs set tempo = :tempo;

-- name: delete_songs
delete from songs where song_id = any(:song_ids);

-- name: nap
select pg_sleep(:seconds)::text;
"""


class Mood(Enum):
    """How a song feels; PostgreSQL's ``mood``."""

    CALM = "calm"
    WILD = "wild"


class Song(BaseModel):
    """A song as it is read."""

    song_id: int
    title: str
    mood: Mood
    tempo: int | None


class NewSong(BaseModel):
    """A song to be inserted."""

    title: str
    mood: Mood = Mood.CALM
    tempo: int | None = None


class Changes(BaseModel):
    """What may change of a song; what is not set stays."""

    title: str | None = None
    tempo: int | None = None


class Songs(Protocol):
    """The song book's queries."""

    def get_song(self, db: Executor, *, song_id: int) -> Song | None: ...
    def find_song(self, db: Executor, pattern: str) -> Song: ...
    def list_songs(self, db: Executor) -> list[Song]: ...
    def stream_songs(self, db: Executor) -> Rows[Song]: ...
    def count_songs(self, db: Executor) -> int: ...
    def get_title(self, db: Executor, song_id: int) -> str | None: ...
    def search_songs(
        self,
        db: Executor,
        *,
        title: str | None = None,
        slowest: int | None = None,
        fastest: int | None = None,
        order: Literal["title", "newest"] = "title",
        limit: int = 50,
    ) -> list[Song]: ...
    def update_song(self, db: Executor, song_id: int, changes: Changes) -> Affected: ...
    def set_tempo(self, db: Executor, song_id: int, tempo: int | Unset | None = UNSET) -> Affected: ...
    def add_song(self, db: Executor, song: NewSong) -> Song: ...
    def add_title(self, db: Executor, title: str) -> int: ...
    def add_songs(self, db: Executor, songs: Iterable[NewSong]) -> list[int]: ...
    def add_titles(self, db: Executor, titles: Iterable[Any], mood: Mood) -> Affected: ...
    def copy_songs(self, db: Executor, songs: Iterable[Any]) -> Affected: ...
    def double_songs(self, db: Executor) -> Song | None: ...
    def stream_doubled(self, db: Executor) -> Rows[Song]: ...
    def slow_down(self, db: Executor, tempo: int) -> None: ...
    def delete_songs(self, db: Executor, song_ids: list[int]) -> Affected: ...
    def nap(self, db: Executor, seconds: float) -> str: ...


class AsyncSongs(Protocol):
    """The song book's queries on asyncio."""

    async def get_song(self, db: AsyncExecutor, *, song_id: int) -> Song | None: ...
    async def find_song(self, db: AsyncExecutor, pattern: str) -> Song: ...
    async def list_songs(self, db: AsyncExecutor) -> list[Song]: ...
    def stream_songs(self, db: AsyncExecutor) -> AsyncRows[Song]: ...
    async def count_songs(self, db: AsyncExecutor) -> int: ...
    async def get_title(self, db: AsyncExecutor, song_id: int) -> str | None: ...
    async def search_songs(
        self,
        db: AsyncExecutor,
        *,
        title: str | None = None,
        slowest: int | None = None,
        fastest: int | None = None,
        order: Literal["title", "newest"] = "title",
        limit: int = 50,
    ) -> list[Song]: ...
    async def update_song(self, db: AsyncExecutor, song_id: int, changes: Changes) -> Affected: ...
    async def set_tempo(self, db: AsyncExecutor, song_id: int, tempo: int | Unset | None = UNSET) -> Affected: ...
    async def add_song(self, db: AsyncExecutor, song: NewSong) -> Song: ...
    async def add_title(self, db: AsyncExecutor, title: str) -> int: ...
    async def add_songs(self, db: AsyncExecutor, songs: AsyncIterable[NewSong]) -> list[int]: ...
    async def add_titles(self, db: AsyncExecutor, titles: Iterable[Any], mood: Mood) -> Affected: ...
    async def copy_songs(self, db: AsyncExecutor, songs: AsyncIterable[Any] | Iterable[Any]) -> Affected: ...
    async def double_songs(self, db: AsyncExecutor) -> Song | None: ...
    def stream_doubled(self, db: AsyncExecutor) -> AsyncRows[Song]: ...
    async def slow_down(self, db: AsyncExecutor, tempo: int) -> None: ...
    async def delete_songs(self, db: AsyncExecutor, song_ids: list[int]) -> Affected: ...
    async def nap(self, db: AsyncExecutor, seconds: float) -> str: ...


def write_sql(folder: Path, text: str, name: str = "songs.sql") -> Path:
    """Write a .sql file and return its path."""
    path = folder / name
    path.write_text(textwrap.dedent(text))
    return path


def empty_book(dsn: str) -> None:
    """Make the tables as new."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("set client_min_messages = warning")
        conn.execute(TABLES)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in an event loop of its own."""
    return asyncio.run(asyncio.wait_for(main, 60))


def fill(conn: psycopg.Connection[Any], number: int) -> None:
    """Insert songs: ``song 1`` with tempo 1, ``song 2`` with tempo 2 and so on."""
    conn.execute("insert into songs (title, tempo) select 'song ' || i, i from generate_series(1, %s) i", [number])


def prepared_statements(conn: psycopg.Connection[Any]) -> list[str]:
    """Return the texts of the queries that sqlkit has prepared on a connection (not of what sets a view's settings)."""
    rows = conn.execute(
        "select statement from pg_prepared_statements where name like 'sqlkit%' "
        "and statement not like 'select pg_catalog.set_config(%' order by prepare_time"
    )
    return [text for (text,) in rows]


def kept(number: int) -> int:
    """Return how many of some statements stay prepared: all, or behind a pooler none."""
    return 0 if pooled.WANTED else number


@pytest.fixture(scope="module")
def book_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the .sql file of the song book."""
    return write_sql(tmp_path_factory.mktemp("sql"), STATEMENTS)


@pytest.fixture(scope="module")
def songs(book_path: Path) -> Songs:
    """Give the song book's queries."""
    loaded: Songs = sqlkit.load(Songs, book_path)
    return loaded


@pytest.fixture(scope="module")
def async_songs(book_path: Path) -> AsyncSongs:
    """Give the song book's queries on asyncio."""
    loaded: AsyncSongs = sqlkit.load(AsyncSongs, book_path)
    return loaded


@pytest.fixture(scope="module")
def module_database(server: TestServer) -> Iterator[str]:
    """Give the DSN of a database for one module."""
    with dropped_afterwards(server) as name:
        yield server.dsn_for(name)


@pytest.fixture
def book_dsn(module_database: str) -> str:
    """Give the DSN of a database with the song book's tables, empty."""
    empty_book(module_database)
    return module_database


@pytest.fixture
def book(book_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """Give a psycopg connection in autocommit to a new song book."""
    with psycopg.connect(book_dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture
def db(book_dsn: str) -> Iterator[sqlkit.Database]:
    """Give a Database on a new song book; no connection may be out, or in a transaction, at the end."""
    with sqlkit.Database.connect(book_dsn, pool_min_size=1, pool_max_size=4) as database:
        yield database
        assert database.status().checked_out == 0
        assert open_transactions(book_dsn) == []


def open_transactions(dsn: str) -> list[str]:
    """Return the statements of the transactions that stand open in a database, besides one's own."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        rows = conn.execute(
            "select state || ': ' || query from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null"
        )
        return [text for (text,) in rows]


def eventually(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Wait until something holds; tell whether it did in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
