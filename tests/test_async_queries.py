"""Queries on asyncio: the same answers, errors and transactions, and tasks that do not disturb each other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from pydantic import BaseModel

import sqlkit
from sqlkit import Affected, ArgumentError, AsyncDatabase, AsyncExecutor, AsyncRows, One, RowError, TooManyRows
from tests import songbook
from tests.songbook import (
    AsyncSongs,
    Changes,
    Mood,
    NewSong,
    Song,
    Songs,
    fill,
    kept,
    open_transactions,
    prepared_statements,
    run,
    write_sql,
)

book_dsn, module_database = songbook.book_dsn, songbook.module_database
book_path, songs, async_songs = songbook.book_path, songbook.songs, songbook.async_songs

Connection = psycopg.AsyncConnection[Any]
IDLE, INTRANS, INERROR = TransactionStatus.IDLE, TransactionStatus.INTRANS, TransactionStatus.INERROR


class Point(BaseModel):
    """Two numbers."""

    x: int
    y: int | None


class Table(Protocol):
    """Every row of the design's table."""

    async def one(self, db: AsyncExecutor, number: int) -> Point: ...
    async def optional(self, db: AsyncExecutor, number: int) -> Point | None: ...
    async def all(self, db: AsyncExecutor, number: int) -> list[Point]: ...
    async def scalar(self, db: AsyncExecutor, number: int) -> int: ...
    async def scalars(self, db: AsyncExecutor, number: int) -> list[int]: ...
    async def scalar_or_none(self, db: AsyncExecutor, number: int) -> int | None: ...
    async def array(self, db: AsyncExecutor, number: int) -> One[list[int]]: ...
    async def pair(self, db: AsyncExecutor, number: int) -> tuple[int, int | None]: ...
    async def mood(self, db: AsyncExecutor, number: int) -> Mood | None: ...
    async def affected(self, db: AsyncExecutor, number: int) -> Affected: ...
    async def nothing(self, db: AsyncExecutor, number: int) -> None: ...
    def stream(self, db: AsyncExecutor, number: int) -> AsyncRows[Point]: ...


ROWS = "select i as x, nullif(i, 3) as y from generate_series(1, :number::int) as i"
NUMBERS = "select nullif(i, 3) from generate_series(1, :number::int) as i"
TABLE = "".join(
    f"-- name: {name}\n{text};\n"
    for name, text in {
        **dict.fromkeys(["one", "optional", "all", "pair", "affected", "nothing", "stream"], ROWS),
        **dict.fromkeys(["scalar", "scalars", "scalar_or_none"], NUMBERS),
        "array": "select array_agg(i) from generate_series(1, :number::int) as i",
        "mood": "select 'wild'::mood from generate_series(1, :number::int)",
    }.items()
)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Give a query for each row of the design's table."""
    loaded: Table = sqlkit.load(Table, write_sql(tmp_path, TABLE))
    return loaded


@contextlib.asynccontextmanager
async def connected(dsn: str, *, autocommit: bool = True) -> AsyncIterator[Connection]:
    """Give an asynchronous psycopg connection."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=autocommit) as conn:
        yield conn


@pytest.mark.parametrize(
    ("name", "number", "answer"),
    [
        ("one", 1, Point(x=1, y=1)),
        ("optional", 0, None),
        ("optional", 1, Point(x=1, y=1)),
        ("all", 0, []),
        ("all", 3, [Point(x=1, y=1), Point(x=2, y=2), Point(x=3, y=None)]),
        ("scalar", 1, 1),
        ("scalars", 2, [1, 2]),
        ("scalar_or_none", 0, None),
        ("array", 3, [1, 2, 3]),
        ("pair", 1, (1, 1)),
        ("mood", 0, None),
        ("mood", 1, Mood.WILD),
        ("affected", 2, Affected(2)),
        ("nothing", 2, None),
    ],
)
def test_answer_is_what_the_annotation_says(name: str, number: int, answer: Any, table: Table, book_dsn: str) -> None:
    """Each kind of return annotation gives its kind of answer."""

    async def main() -> None:
        async with connected(book_dsn) as conn:
            for _ in range(2):
                came = await getattr(table, name)(conn, number)
                assert (came, type(came)) == (answer, type(answer))

    run(main())


@pytest.mark.parametrize(
    ("name", "number", "error", "message"),
    [
        ("one", 0, sqlkit.NoRow, "one: no row came, one Point is promised"),
        ("one", 2, TooManyRows, "one: 2 rows came, one Point is promised"),
        ("optional", 2, TooManyRows, "optional: 2 rows came"),
        ("scalar_or_none", 2, TooManyRows, "scalar_or_none: 2 rows came"),
        ("scalars", 3, RowError, "scalars: .*NULL"),
        ("array", 0, RowError, "array: .*NULL"),
    ],
)
def test_broken_promise_is_an_error(
    name: str, number: int, error: type[Exception], message: str, table: Table, book_dsn: str
) -> None:
    """Too few rows, too many, or a NULL where none is promised."""

    async def main() -> None:
        async with connected(book_dsn) as conn:
            with pytest.raises(error, match=message):
                await getattr(table, name)(conn, number)

    run(main())


def test_stream_gives_each_row(table: Table, book_dsn: str) -> None:
    """A stream is an asynchronous iterator."""

    async def main() -> list[Point]:
        async with connected(book_dsn) as conn:
            return [row async for row in table.stream(conn, 2)]

    assert run(main()) == [Point(x=1, y=1), Point(x=2, y=2)]


def test_same_file_gives_equal_answers_in_both_colours(songs: Songs, async_songs: AsyncSongs, book_dsn: str) -> None:
    """A sync and an asynchronous Protocol on one file see the same."""
    with psycopg.connect(book_dsn, autocommit=True) as conn:
        fill(conn, 5)
        expected = [songs.list_songs(conn), songs.search_songs(conn, slowest=2, fastest=4, order="newest")]

    async def main() -> list[list[Song]]:
        async with connected(book_dsn) as conn:
            return [
                await async_songs.list_songs(conn),
                await async_songs.search_songs(conn, slowest=2, fastest=4, order="newest"),
            ]

    assert run(main()) == expected


def test_arguments_are_looked_at_as_without_asyncio(async_songs: AsyncSongs, book_dsn: str) -> None:
    """Optional lines, choices, UNSET, partial updates and Python's own TypeError."""

    async def main() -> None:
        async with connected(book_dsn) as conn:
            with pytest.raises(ArgumentError, match="has slowest but not fastest"):
                await async_songs.search_songs(conn, slowest=1)
            with pytest.raises(ArgumentError, match="order is one of: title, newest"):
                await async_songs.search_songs(conn, order="x")  # type: ignore[arg-type]
            with pytest.raises(TypeError, match=r"AsyncSongs\.get_song\(\) takes 1 positional argument but 2"):
                await async_songs.get_song(conn, 1)  # type: ignore[call-arg]
            song = await async_songs.add_song(conn, NewSong(title="a", tempo=5))
            assert await async_songs.set_tempo(conn, song.song_id) == 1
            assert (await async_songs.list_songs(conn))[0].tempo == 5
            assert await async_songs.update_song(conn, song.song_id, Changes(tempo=None)) == 1
            assert (await async_songs.list_songs(conn))[0].tempo is None
            assert len(await async_songs.search_songs(conn, title="a")) == 1

    run(main())


def test_driver_error_keeps_its_class_and_names_the_query(
    async_songs: AsyncSongs, book_dsn: str, book_path: Path
) -> None:
    """The note is there, and the traceback passes the .sql file."""

    async def main() -> None:
        async with connected(book_dsn) as conn:
            await async_songs.add_title(conn, "a")
            with pytest.raises(psycopg.errors.UniqueViolation) as caught:
                await async_songs.add_title(conn, "a")
            assert any("add_title" in note for note in caught.value.__notes__)
            assert str(book_path) in [str(entry.path) for entry in caught.traceback]

    run(main())


@pytest.mark.parametrize("where", ["connection", "database", "bound", "pipeline"])
def test_broken_promise_leaves_nothing_behind(
    where: str, book_dsn: str, tmp_path: Path, async_songs: AsyncSongs
) -> None:
    """A writing statement is counted before its COMMIT."""

    class Promising(Protocol):
        async def two(self, db: AsyncExecutor) -> int | None: ...

    text = "-- name: two\ninsert into songs (title) values ('x'), ('y') returning song_id"
    queries: Promising = sqlkit.load(Promising, write_sql(tmp_path, text))

    async def main() -> None:
        async with connected(book_dsn) as conn, await AsyncDatabase.connect(book_dsn, pool_max_size=1) as db:
            executor: Any = {"database": db, "bound": db.bound(schema="public")}.get(where, conn)
            for _ in range(2):
                async with conn.pipeline() if where == "pipeline" else contextlib.nullcontext():
                    with pytest.raises(TooManyRows):
                        await queries.two(executor)
            assert await async_songs.count_songs(conn) == 0
            assert conn.info.transaction_status == IDLE

    run(main())


@pytest.mark.parametrize("autocommit", [True, False])
def test_query_inside_a_pipeline(autocommit: bool, async_songs: AsyncSongs, book_dsn: str) -> None:
    """Queries and raw statements run in the order of the code."""

    async def main() -> None:
        async with connected(book_dsn, autocommit=autocommit) as conn:
            for number in range(2):
                async with conn.pipeline():
                    await conn.execute("insert into songs (title) values (%s)", [f"raw {number}"])
                    assert await async_songs.count_songs(conn) == 2 * number + 1
                    assert await async_songs.add_title(conn, f"query {number}") > 0
            await conn.commit()
            assert await async_songs.count_songs(conn) == 4

    run(main())


def test_foreign_connection_outside_autocommit(async_songs: AsyncSongs, book_dsn: str) -> None:
    """A query is part of the transaction that the connection's owner ends; a failed one aborts it."""

    async def main() -> None:
        async with connected(book_dsn, autocommit=False) as conn:
            await async_songs.add_title(conn, "a")
            assert conn.info.transaction_status == INTRANS
            await conn.execute("select 1", prepare=True)
            await conn.rollback()
            assert await async_songs.count_songs(conn) == 0
            await async_songs.add_title(conn, "b")
            with pytest.raises(psycopg.errors.UniqueViolation):
                await async_songs.add_title(conn, "b")
            assert conn.info.transaction_status == INERROR
            await conn.rollback()
            async with conn.transaction():
                await async_songs.add_title(conn, "c")
            await conn.execute("deallocate all")
            assert await async_songs.count_songs(conn) == 1

    run(main())


def test_tasks_on_one_connection_take_turns(async_songs: AsyncSongs, book_dsn: str) -> None:
    """Tasks that share a connection wait for each other, and each gets its own answer."""
    with psycopg.connect(book_dsn, autocommit=True) as conn:
        fill(conn, 50)

    async def main() -> None:
        async with connected(book_dsn) as conn:
            answers = await asyncio.gather(*(async_songs.get_title(conn, number) for number in range(1, 51)))
            assert answers == [f"song {number}" for number in range(1, 51)]

    run(main())


def test_tasks_on_a_database_share_its_connections(async_songs: AsyncSongs, book_dsn: str) -> None:
    """Two hundred tasks on three connections: every answer is its own, and all is back at the end."""
    with psycopg.connect(book_dsn, autocommit=True) as conn:
        fill(conn, 50)

    async def main() -> None:
        async with await AsyncDatabase.connect(book_dsn, pool_max_size=3) as db:
            view = db.bound(schema="public", settings={"app.x": "1"})
            numbers = [1 + number % 50 for number in range(200)]
            answers = await asyncio.gather(
                *(async_songs.get_title(view if number % 2 else db, number) for number in numbers)
            )
            assert answers == [f"song {number}" for number in numbers]
            assert db.status().checked_out == 0
            async with db.connection() as conn, connected(book_dsn) as other:
                assert conn is not other

    run(main())
    assert open_transactions(book_dsn) == []


@pytest.mark.parametrize("after", [0.0, 0.001, 0.003, 0.01])
def test_cancelled_at_any_moment_a_call_leaves_a_clean_pool(
    after: float, async_songs: AsyncSongs, book_dsn: str
) -> None:
    """Whenever a task is cancelled, its connection is back and the next call gets its own answer."""
    with psycopg.connect(book_dsn, autocommit=True) as conn:
        fill(conn, 50)

    async def main() -> None:
        async with await AsyncDatabase.connect(book_dsn, pool_max_size=2) as db:
            view = db.bound(schema="public")

            async def work(number: int) -> None:
                while True:
                    executor = view if number % 2 else db
                    await async_songs.get_title(executor, number + 1)
                    await async_songs.set_tempo(executor, number + 1, number + 1)
                    await async_songs.copy_songs(executor, [])
                    await async_songs.add_titles(executor, [], Mood.CALM)
                    async for _ in async_songs.stream_songs(executor):
                        break

            for _ in range(10):
                tasks = [asyncio.create_task(work(number)) for number in range(6)]
                await asyncio.sleep(after)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                assert await async_songs.get_title(view, 7) == "song 7"
                assert await async_songs.get_title(db, 8) == "song 8"
            for _ in range(500):
                if db.status().checked_out == 0:
                    break
                await asyncio.sleep(0.01)
            assert db.status().checked_out == 0

    run(main())
    assert open_transactions(book_dsn) == []


def test_one_text_is_one_prepared_statement(async_songs: AsyncSongs, book_dsn: str) -> None:
    """Whatever the values, on asyncio too."""

    async def main() -> int:
        async with await AsyncDatabase.connect(book_dsn, pool_max_size=1) as db:
            for number in (1, 70_000, 2**31 - 1):
                await async_songs.get_title(db, number)
            async with db.connection() as conn:
                rows = await conn.execute("select count(*) from pg_prepared_statements where name like 'sqlkit%'")
                found = await rows.fetchone()
                assert found is not None
                return int(found[0])

    assert run(main()) == kept(1)


def test_adhoc_verbs_are_awaited(book_dsn: str) -> None:
    """fetch_one, fetch_optional, fetch_all, execute and stream on an asynchronous executor."""

    async def main() -> None:
        async with await AsyncDatabase.connect(book_dsn, pool_max_size=1) as db:
            assert await sqlkit.execute(db, "insert into songs (title) values (:title)", title="a") == 1
            assert await sqlkit.fetch_one(db, int, "select count(*) from songs") == 1
            assert await sqlkit.fetch_optional(db, str, "select title from songs where title = :x", x="b") is None
            assert await sqlkit.fetch_all(db, str, "select title from songs") == ["a"]
            assert [row async for row in sqlkit.stream(db, str, "select title from songs")] == ["a"]

    run(main())


def test_nothing_is_prepared_twice_by_both_colours(songs: Songs, book_dsn: str) -> None:
    """Statements are remembered with their connection."""
    with psycopg.connect(book_dsn, autocommit=True) as conn:
        for _ in range(3):
            songs.count_songs(conn)
        assert len(prepared_statements(conn)) == kept(1)
