"""Mistakes of a user, each marked at its line: ``# error``, or ``# error: not mypy``.

mypy takes any str for a LiteralString; pyright and ty do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol

import sqlkit
from sqlkit import Affected, AsyncDatabase, AsyncExecutor, AsyncRows, Database, Executor, One, Rows, Unset
from tests.typing.accepted import NewSong, Song


class SongQueries(Protocol):
    """Queries for threads."""

    def get_song(self, db: Executor, *, song_id: int) -> Song: ...
    def find_song(self, db: Executor, *, title: str) -> Song | None: ...
    def list_songs(self, db: Executor, *, key: str | Unset, order: Literal["title", "newest"]) -> list[Song]: ...
    def every_song(self, db: Executor) -> Rows[Song]: ...
    def tags(self, db: Executor) -> One[list[str]]: ...
    def add_songs(self, db: Executor, songs: Iterable[NewSong]) -> Affected: ...


class AsyncSongQueries(Protocol):
    """Queries for tasks."""

    async def get_song(self, db: AsyncExecutor, *, song_id: int) -> Song: ...
    def every_song(self, db: AsyncExecutor) -> AsyncRows[Song]: ...


class Unlike:
    """A double that is not like the Protocol."""

    async def get_song(self, db: AsyncExecutor, *, song_id: str) -> Song:
        """Want a str."""
        raise NotImplementedError


songs: SongQueries = sqlkit.load(SongQueries, "songs.sql")
async_songs: AsyncSongQueries = sqlkit.load(AsyncSongQueries, "songs.sql")


def calls(db: Database) -> None:
    """Call wrongly."""
    print(songs.find_song(db, title="Solar").title)  # error
    songs.get_song(db, song_id="1")  # error
    songs.get_song(db)  # error
    songs.get_song(db, 1)  # error
    songs.get_song(db, song_id=1, key="F")  # error
    songs.list_songs(db, key="F", order="oldest")  # error
    songs.list_songs(db, key=None, order="title")  # error
    songs.add_songs(db, [1])  # error
    songs.get_songs(db)  # error
    songs.get_song("postgresql://", song_id=1)  # error
    print(songs.get_song(db, song_id=1).name)  # error
    tag: str = songs.tags(db)  # error
    print(tag, songs.every_song(db)[0])  # error


async def colours(db: Database, async_db: AsyncDatabase) -> None:
    """Mix the colours."""
    songs.get_song(async_db, song_id=1)  # error
    await async_songs.get_song(db, song_id=1)  # error
    await songs.get_song(db, song_id=1)  # error
    print((async_songs.get_song(async_db, song_id=1)).title)  # error
    for song in async_songs.every_song(async_db):  # error
        print(song)
    async for song in songs.every_song(db):  # error
        print(song)
    with async_db.transaction():  # error
        pass
    with db.transaction(isolation="strict"):  # error
        pass
    await sqlkit.fetch_one(db, Song, "select ...")  # error


def doubles() -> None:
    """Pass a double that is not like the Protocol."""
    queries: AsyncSongQueries = Unlike()  # error
    print(queries)


def verbs(db: Database, key: str) -> None:
    """Build SQL from a user's input."""
    sqlkit.fetch_all(db, Song, f"select * from songs where key = '{key}'")  # error: not mypy
    sqlkit.execute(db, "delete from songs where key = " + key)  # error: not mypy
    print(sqlkit.fetch_optional(db, Song, "select ...").title)  # error
    songs_found: list[Song] = sqlkit.fetch_all(db, NewSong, "select ...")  # error
    print(songs_found)
    sqlkit.fetch_all(db, "select ...")  # error
    sqlkit.load(SongQueries, "songs.sql", validate="never")  # error
