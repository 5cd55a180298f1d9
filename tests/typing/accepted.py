"""A user's module: Protocols, their calls, the verbs, a double. Every type checker takes it without an ignore."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from datetime import date
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, assert_type

import psycopg
from psycopg.types.range import Range
from pydantic import BaseModel, Field

import sqlkit
from sqlkit import UNSET, Affected, AsyncExecutor, AsyncRows, Executor, One, PgRange, Rows, Unset
from sqlkit.settings import Settings


class Song(BaseModel):
    """A row."""

    song_id: int
    title: str
    key: str | None = None


class NewSong(BaseModel):
    """A batch's item."""

    title: str


class Count(NamedTuple):
    """A row that is no model."""

    key: str
    songs: int


class SongQueries(Protocol):
    """Every shape of a method, for threads."""

    def get_song(self, db: Executor, *, song_id: int) -> Song:
        """Return a song."""
        ...

    def find_song(self, db: Executor, *, title: str) -> Song | None:
        """Return a song or None."""
        ...

    def list_songs(
        self, db: Executor, *, key: str | Unset | None = UNSET, order: Literal["title", "newest"] = "title"
    ) -> list[Song]:
        """Return songs."""
        ...

    def every_song(self, db: Executor) -> Rows[Song]:
        """Stream songs."""
        ...

    def tags(self, db: Executor) -> One[list[str]]:
        """Return one array."""
        ...

    def titles(self, db: Executor) -> list[str]:
        """Return a column."""
        ...

    def count_songs(self, db: Executor) -> int:
        """Return a scalar."""
        ...

    def season(self, db: Executor) -> PgRange[date]:
        """Return a range."""
        ...

    def extremes(self, db: Executor) -> tuple[str, int]:
        """Return a tuple."""
        ...

    def counts(self, db: Executor) -> list[Count]:
        """Return named tuples."""
        ...

    def delete_song(self, db: Executor, song_id: int) -> Affected:
        """Return how many."""
        ...

    def touch(self, db: Executor) -> None:
        """Return nothing."""
        ...

    def add_songs(self, db: Executor, songs: Iterable[NewSong]) -> Affected:
        """Run a batch."""
        ...


class AsyncSongQueries(Protocol):
    """Every shape of a method, for tasks."""

    async def get_song(self, db: AsyncExecutor, *, song_id: int) -> Song:
        """Return a song."""
        ...

    async def find_song(self, db: AsyncExecutor, *, title: str) -> Song | None:
        """Return a song or None."""
        ...

    async def list_songs(self, db: AsyncExecutor, *, order: Literal["title", "newest"] = "title") -> list[Song]:
        """Return songs."""
        ...

    def every_song(self, db: AsyncExecutor) -> AsyncRows[Song]:
        """Stream songs."""
        ...

    async def tags(self, db: AsyncExecutor) -> One[list[str]]:
        """Return one array."""
        ...

    async def delete_song(self, db: AsyncExecutor, song_id: int) -> Affected:
        """Return how many."""
        ...

    async def touch(self, db: AsyncExecutor) -> None:
        """Return nothing."""
        ...

    async def add_songs(self, db: AsyncExecutor, songs: Iterable[NewSong] | AsyncIterable[NewSong]) -> Affected:
        """Run a batch."""
        ...


songs: SongQueries = sqlkit.load(SongQueries, "songs.sql")
async_songs: AsyncSongQueries = sqlkit.load(AsyncSongQueries, Path("songs.sql"), validate="always")


class OwnSettings(Settings):
    """Settings with one of the user's own."""

    page_size: int = Field(50, ge=1)


def executors(db: sqlkit.Database, conn: psycopg.Connection[Any], plain: psycopg.Connection) -> None:
    """Give what a query may run on."""
    songs.touch(db)
    songs.touch(conn)
    songs.touch(plain)
    songs.touch(db.bound(schema="blue", role="reader", settings={"app.owner_id": "1"}))
    with db.transaction(isolation="serializable", read_only=True) as inner:
        assert_type(inner, psycopg.Connection[Any])
        songs.touch(inner)
    with db.connection() as inner:
        songs.touch(inner)


async def async_executors(db: sqlkit.AsyncDatabase, conn: psycopg.AsyncConnection[Any]) -> None:
    """Give what an async query may run on."""
    await async_songs.touch(db)
    await async_songs.touch(conn)
    await async_songs.touch(db.bound(schema="blue"))
    async with db.transaction(isolation="serializable") as inner:
        assert_type(inner, psycopg.AsyncConnection[Any])
        await async_songs.touch(inner)
    async with db.connection() as inner:
        await async_songs.touch(inner)


def results(db: Executor) -> None:
    """Take every kind of result."""
    assert_type(songs.get_song(db, song_id=1), Song)
    found = songs.find_song(db, title="Solar")
    assert_type(found, Song | None)
    if found is not None:
        assert_type(found.title, str)
    assert_type(songs.list_songs(db), list[Song])
    songs.list_songs(db, key=None, order="newest")
    songs.list_songs(db, key=UNSET)
    rows = songs.every_song(db)
    assert_type(rows, Rows[Song])
    for song in rows:
        assert_type(song, Song)
    with songs.every_song(db) as entered:
        assert_type(entered, Rows[Song])
        assert_type([song.title for song in entered], list[str])
    rows.close()
    assert_type(songs.tags(db), list[str])
    assert_type(songs.titles(db), list[str])
    assert_type(songs.count_songs(db), int)
    assert_type(songs.season(db), Range[date])
    title, length = songs.extremes(db)
    assert_type(title, str)
    assert_type(length, int)
    assert_type([count.songs for count in songs.counts(db)], list[int])
    affected = songs.delete_song(db, 1)
    assert_type(affected, Affected)
    number: int = affected
    assert_type(affected + number, int)
    songs.touch(db)
    songs.add_songs(db, [NewSong(title="Solar")])
    songs.add_songs(db, (NewSong(title=name) for name in ("Solar", "Misty")))


async def new_songs() -> AsyncIterator[NewSong]:
    """Give a batch's items as they come."""
    yield NewSong(title="Solar")


async def async_results(db: AsyncExecutor) -> None:
    """Take every kind of result, on asyncio."""
    assert_type(await async_songs.get_song(db, song_id=1), Song)
    assert_type(await async_songs.find_song(db, title="Solar"), Song | None)
    assert_type(await async_songs.list_songs(db, order="newest"), list[Song])
    rows = async_songs.every_song(db)
    assert_type(rows, AsyncRows[Song])
    async for song in rows:
        assert_type(song, Song)
    async with async_songs.every_song(db) as entered:
        assert_type(entered, AsyncRows[Song])
        assert_type([song.title async for song in entered], list[str])
    await rows.close()
    assert_type(await async_songs.tags(db), list[str])
    number: int = await async_songs.delete_song(db, 1)
    assert_type(number + 1, int)
    await async_songs.touch(db)
    await async_songs.add_songs(db, [NewSong(title="Solar")])
    await async_songs.add_songs(db, new_songs())


def verbs(db: sqlkit.Database, conn: psycopg.Connection[Any]) -> None:
    """Run ad hoc SQL."""
    assert_type(sqlkit.fetch_one(conn, Song, "select 1 as song_id, 'Solar' as title"), Song)
    assert_type(sqlkit.fetch_one(db, int, "select 1"), int)
    assert_type(sqlkit.fetch_optional(db, Song, "select ... where title = :title", title="Solar"), Song | None)
    assert_type(sqlkit.fetch_all(db.bound(schema="blue"), Count, "select ..."), list[Count])
    assert_type(sqlkit.execute(db, "delete from songs"), Affected)
    assert_type(sqlkit.stream(db, Song, "select ..."), Rows[Song])
    with sqlkit.stream(conn, str, "select ...") as rows:
        assert_type(list(rows), list[str])
    column = "title"
    sqlkit.fetch_all(db, str, f"select {column} from songs")  # of literals alone, so a literal


async def async_verbs(db: sqlkit.AsyncDatabase, conn: psycopg.AsyncConnection[Any]) -> None:
    """Run ad hoc SQL on asyncio."""
    assert_type(await sqlkit.fetch_one(conn, Song, "select 1 as song_id, 'Solar' as title"), Song)
    assert_type(await sqlkit.fetch_one(db, int, "select 1"), int)
    assert_type(await sqlkit.fetch_optional(db, Song, "select ..."), Song | None)
    assert_type(await sqlkit.fetch_all(db.bound(schema="blue"), Count, "select ..."), list[Count])
    assert_type(await sqlkit.execute(db, "delete from songs"), Affected)
    assert_type(sqlkit.stream(db, Song, "select ..."), AsyncRows[Song])
    async with sqlkit.stream(conn, str, "select ...") as rows:
        assert_type([title async for title in rows], list[str])


def databases() -> None:
    """Open a database, with settings of the user's own."""
    with sqlkit.Database.connect("postgresql://", pool_max_size=4) as db:
        assert_type(db, sqlkit.Database)
        assert_type(db.run(lambda conn: songs.count_songs(conn)), int)
        assert_type(db.run(rename, attempts=3, isolation="serializable"), Song)
        assert_type(db.health().healthy, bool)
    settings = OwnSettings(page_size=20)
    assert_type(settings.page_size, int)
    sqlkit.Database.connect(settings).close()


def rename(conn: psycopg.Connection[Any]) -> Song:
    """Do the work of one transaction."""
    return songs.get_song(conn, song_id=1)


async def async_databases() -> None:
    """Open a database on asyncio, in both ways."""
    async with sqlkit.AsyncDatabase.connect(OwnSettings()) as db:
        assert_type(db, sqlkit.AsyncDatabase)
        assert_type(await db.run(async_rename), Song)
    opened = await sqlkit.AsyncDatabase.connect("postgresql://")
    assert_type(opened, sqlkit.AsyncDatabase)
    await opened.close()


async def async_rename(conn: psycopg.AsyncConnection[Any]) -> Song:
    """Do the work of one transaction."""
    return await async_songs.get_song(conn, song_id=1)


class Titles(Protocol):
    """What one part of a program needs of the queries."""

    def find_song(self, db: Executor, *, title: str) -> Song | None:
        """Return a song or None."""
        ...


class InMemory:
    """A double: a plain class with the Protocol's methods."""

    def find_song(self, db: Executor, *, title: str) -> Song | None:
        """Return a song without a database."""
        return Song(song_id=1, title=title)


def show(queries: Titles, db: Executor) -> str:
    """Depend on the Protocol alone."""
    song = queries.find_song(db, title="Solar")
    return song.title if song else "none"


def doubles(db: Executor) -> None:
    """Pass either."""
    show(songs, db)
    show(InMemory(), db)


def statements() -> None:
    """Read a file's statements."""
    read = sqlkit.read_statements("songs.sql")
    for statement in read:
        assert_type(statement, sqlkit.Statement)
        assert_type(statement.name, str)


def errors(db: Executor) -> None:
    """Handle an error by its class and data."""
    try:
        songs.get_song(db, song_id=1)
    except sqlkit.NoRow as error:
        assert_type(error, sqlkit.NoRow)
    except sqlkit.SqlkitError as error:
        print(error)
