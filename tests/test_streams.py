"""Streams: flat memory, a connection that comes back clean however the loop ends, and the error for misuse."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from psycopg.pq import TransactionStatus

import sqlkit
from sqlkit import AsyncDatabase, AsyncExecutor, AsyncRows, ConnectionBusy, Database, Executor, RowError, Rows
from tests import songbook
from tests.songbook import AsyncSongs, Song, Songs, eventually, fill, open_transactions, run, write_sql

book, book_dsn, module_database, db = songbook.book, songbook.book_dsn, songbook.module_database, songbook.db
book_path, songs, async_songs = songbook.book_path, songbook.songs, songbook.async_songs

Connection = psycopg.Connection[Any]
IDLE, INTRANS = TransactionStatus.IDLE, TransactionStatus.INTRANS
BUSY = r"stream_songs: its stream is open on this connection: close it \(or leave its with block\) before another"

#: Executors for a stream in a sync test, made of a connection in autocommit and a Database.
EXECUTORS: dict[str, Callable[[Connection, Database], Any]] = {
    "connection": lambda conn, _: conn,
    "database": lambda _, db: db,
    "bound": lambda _, db: db.bound(schema="public"),
}


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest, book: Connection, db: Database) -> Iterator[Any]:
    """Give each kind of executor, on 3,000 songs; afterwards everything is back and clean."""
    fill(book, 3000)
    yield EXECUTORS[request.param](book, db)
    assert book.info.transaction_status == IDLE
    assert book.execute("select 1").fetchone() == (1,)


@pytest.fixture
def anyone(book_dsn: str) -> Callable[[], bool]:
    """Give a function that tells whether any other connection runs a statement or holds a transaction."""
    return lambda: bool(open_transactions(book_dsn))


# How a loop may end.


def test_stream_gives_every_row_in_order(executor: Any, songs: Songs) -> None:
    """All rows come, chunk by chunk, as models."""
    found = list(songs.stream_songs(executor))
    assert [song.song_id for song in found] == list(range(1, 3001))
    assert isinstance(found[0], Song)


def test_stream_without_rows_ends_at_once(book: Connection, songs: Songs) -> None:
    """An empty stream is an empty loop, and a second look says so too."""
    rows = songs.stream_songs(book)
    assert list(rows) == []
    assert next(rows, None) is None


def test_break_frees_the_connection(executor: Any, songs: Songs) -> None:
    """After a break out of the loop the next statement runs."""
    for _ in range(3):
        for song in songs.stream_songs(executor):
            assert song.song_id == 1
            break
        assert songs.count_songs(executor) == 3000


def test_exception_in_the_loop_frees_the_connection(executor: Any, songs: Songs) -> None:
    """An exception passes through, and the next statement runs while it is handled and after."""
    try:
        for _ in songs.stream_songs(executor):
            raise ZeroDivisionError
    except ZeroDivisionError:
        assert songs.count_songs(executor) == 3000
    assert songs.count_songs(executor) == 3000


def test_close_frees_the_connection(executor: Any, songs: Songs) -> None:
    """close() ends the stream, a second time too, and there are no more rows."""
    rows = songs.stream_songs(executor)
    assert next(rows).song_id == 1
    rows.close()
    rows.close()
    assert songs.count_songs(executor) == 3000
    assert list(rows) == []


def test_leaving_the_with_block_frees_the_connection(executor: Any, songs: Songs) -> None:
    """A stream is a context manager that closes it, whether its block ends well or not."""
    with songs.stream_songs(executor) as rows:
        next(rows)
    assert songs.count_songs(executor) == 3000
    with contextlib.suppress(ZeroDivisionError), songs.stream_songs(executor) as rows:
        next(rows)
        raise ZeroDivisionError
    assert songs.count_songs(executor) == 3000


def test_stream_that_is_never_iterated_takes_no_connection(db: Database, songs: Songs) -> None:
    """A stream begins with its first row."""
    rows = songs.stream_songs(db)
    assert db.status().checked_out == 0
    del rows
    with songs.stream_songs(db):
        assert db.status().checked_out == 0


def test_stream_of_a_database_holds_one_connection(db: Database, book: Connection, songs: Songs) -> None:
    """While it is open others use other connections of the pool."""
    fill(book, 3000)
    with songs.stream_songs(db) as rows:
        next(rows)
        assert db.status().checked_out == 1
        assert songs.count_songs(db) == 3000
        assert next(rows).song_id == 2
    assert db.status().checked_out == 0


def test_dropped_stream_is_closed(db: Database, book: Connection, songs: Songs) -> None:
    """A stream that nobody holds any more gives its connection back."""
    fill(book, 3000)
    rows = songs.stream_songs(db)
    next(rows)
    assert db.status().checked_out == 1
    del rows
    assert db.status().checked_out == 0


def first_of(rows: Iterator[Any]) -> Any:
    """Read one row and leave the rest."""
    return next(rows)


def first_song(songs: Songs, db: Database) -> Any:
    """Leave a stream, which has a name here, where it is."""
    rows = songs.stream_songs(db)
    return next(rows)


def each_song(songs: Songs, db: Database) -> Iterator[Any]:
    """Read a stream within its block."""
    with songs.stream_songs(db) as rows:
        yield from rows


def each_in_a_block(songs: Songs, db: Database) -> Iterator[Any]:
    """Read a stream within a transaction."""
    with db.transaction() as conn:
        yield from songs.stream_songs(conn)


@pytest.mark.parametrize(
    "leave",
    [
        first_song,
        lambda songs, db: first_of(songs.stream_songs(db)),
        lambda songs, db: first_of(each_song(songs, db)),
        lambda songs, db: first_of(each_in_a_block(songs, db)),
    ],
    ids=["in a variable", "of a caller", "in a generator", "in a block in a generator"],
)
def test_stream_that_a_call_has_left_is_closed(
    db: Database, book: Connection, songs: Songs, leave: Callable[[Songs, Database], Any]
) -> None:
    """The call that read the first row is not remembered with its variables, so the stream goes with it."""
    fill(book, 3000)
    assert leave(songs, db).song_id == 1
    assert db.status().checked_out == 0


def test_stream_in_a_cycle_is_closed_when_it_is_collected(db: Database, book: Connection, songs: Songs) -> None:
    """Where the garbage collector finds it, it gives its connection back too."""
    fill(book, 3000)
    cycle: list[Any] = [songs.stream_songs(db)]
    cycle.append(cycle)
    next(cycle[0])
    del cycle
    gc.collect()
    assert db.status().checked_out == 0


# Misuse.


@pytest.mark.parametrize(
    "other",
    [
        lambda conn, songs: songs.count_songs(conn),
        lambda conn, songs: next(songs.stream_songs(conn)),
        lambda conn, songs: conn.execute("select 1"),
        lambda conn, songs: conn.commit(),
        lambda conn, songs: songs.copy_songs(conn, [{"title": "x", "mood": None, "tempo": None}]),
        lambda conn, songs: songs.add_songs(conn, [songbook.NewSong(title="x")]),
        lambda conn, songs: conn.cursor().copy("copy songs to stdout").__enter__(),
        lambda conn, songs: conn.transaction().__enter__(),
        lambda conn, songs: conn.pipeline().__enter__(),
    ],
    ids=["query", "stream", "raw", "commit", "copy", "batch", "raw copy", "transaction", "pipeline"],
)
def test_second_statement_is_refused_and_the_stream_goes_on(other: Any, book: Connection, songs: Songs) -> None:
    """Another statement on the connection is ConnectionBusy instead of a hang, and the stream is none the worse."""
    fill(book, 3000)
    rows = songs.stream_songs(book)
    assert next(rows).song_id == 1
    with pytest.raises(ConnectionBusy, match=BUSY):
        other(book, songs)
    assert [song.song_id for song in rows] == list(range(2, 3001))
    assert songs.count_songs(book) == 3000


def test_statement_of_another_thread_is_refused_too(book: Connection, songs: Songs) -> None:
    """A thread that shares the connection is told at once."""
    fill(book, 3000)
    said: list[str] = []

    def use() -> None:
        try:
            songs.count_songs(book)
        except ConnectionBusy as error:
            said.append(str(error))

    with songs.stream_songs(book) as rows:
        next(rows)
        thread = threading.Thread(target=use)
        thread.start()
        thread.join(10)
        assert len(said) == 1
        assert len(list(rows)) == 2999


def test_two_threads_share_a_stream(executor: Any, songs: Songs) -> None:
    """Each row goes to one of them, and none is lost."""
    rows = songs.stream_songs(executor)
    found: list[list[int]] = [[], []]

    def read(mine: list[int]) -> None:
        mine.extend(song.song_id for song in rows)

    threads = [threading.Thread(target=read, args=[mine]) for mine in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found[0] + found[1]) == list(range(1, 3001))


def test_next_goes_on_where_a_loop_stands(executor: Any, songs: Songs) -> None:
    """Loops and ``next`` take turns, also at the edge of a chunk, and another loop goes on behind one that was left."""
    with songs.stream_songs(executor) as rows:
        found = [next(rows).song_id]
        for row in rows:
            found.append(row.song_id)
            if len(found) % 200 in (0, 199):
                found.append(next(rows).song_id)
            if len(found) > 1000:
                break
        found.extend(row.song_id for row in rows)
        with pytest.raises(StopIteration):
            next(rows)
        assert list(rows) == []
    assert found == list(range(1, 3001))


def test_stream_in_a_pipeline_is_refused(book: Connection, songs: Songs) -> None:
    """A pipeline cannot stream, and says so."""
    with book.pipeline(), pytest.raises(ConnectionBusy, match="a stream cannot run in a pipeline"):
        next(songs.stream_songs(book))
    assert songs.count_songs(book) == 0


def test_reading_on_after_the_connection_was_taken_is_an_error(book: Connection, songs: Songs) -> None:
    """A stream whose rows were cut off does not end as if there were no more."""
    fill(book, 3000)
    rows = songs.stream_songs(book)
    try:
        next(rows)
        raise ZeroDivisionError
    except ZeroDivisionError:
        assert songs.count_songs(book) == 3000
    with pytest.raises(ConnectionBusy, match="stream_songs: this stream was closed, with rows unread"):
        list(rows)


# Errors in the middle.


class Failing(Protocol):
    """Streams that fail on their way."""

    def divide(self, db: Executor) -> Rows[int]: ...
    def refuse(self, db: Executor) -> Rows[int]: ...
    def missing(self, db: Executor) -> Rows[int]: ...


FAILING = """
-- name: divide
select 1 / (2500 - i) from generate_series(1, 5000) as i;
-- name: refuse
select nullif(i, 2500) from generate_series(1, 5000) as i;
-- name: missing
select x from nowhere;
"""


class AsyncFailing(Protocol):
    """The same on asyncio."""

    def divide(self, db: AsyncExecutor) -> AsyncRows[int]: ...
    def refuse(self, db: AsyncExecutor) -> AsyncRows[int]: ...
    def missing(self, db: AsyncExecutor) -> AsyncRows[int]: ...


ERRORS: list[tuple[str, type[Exception]]] = [
    ("divide", psycopg.errors.DivisionByZero),
    ("refuse", RowError),
    ("missing", psycopg.errors.UndefinedTable),
]


@pytest.mark.parametrize(("name", "error"), ERRORS)
def test_error_in_the_middle_frees_the_connection(
    name: str, error: type[Exception], executor: Any, songs: Songs, tmp_path: Path
) -> None:
    """The server's error, or a row that does not fit, ends the stream; the connection is free and clean."""
    queries: Failing = sqlkit.load(Failing, write_sql(tmp_path, FAILING))
    for _ in range(2):
        rows = getattr(queries, name)(executor)
        with pytest.raises(error) as caught:
            list(rows)
        assert f": {name}" in "".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
        assert songs.count_songs(executor) == 3000


@pytest.mark.parametrize(("name", "error"), ERRORS)
def test_error_in_the_middle_frees_the_async_connection(
    name: str, error: type[Exception], book_dsn: str, tmp_path: Path, async_songs: AsyncSongs
) -> None:
    """On asyncio as well."""
    queries: AsyncFailing = sqlkit.load(AsyncFailing, write_sql(tmp_path, FAILING))

    async def main() -> None:
        async with await AsyncDatabase.connect(book_dsn, pool_max_size=1) as database:
            for _ in range(2):
                rows = getattr(queries, name)(database)
                with pytest.raises(error):
                    _ = [row async for row in rows]
                assert database.status().checked_out == 0
                assert await async_songs.count_songs(database) == 0

    run(main())


def test_backend_that_is_killed_ends_the_stream(db: Database, book: Connection, songs: Songs) -> None:
    """A lost connection is psycopg's error; the pool goes on with another."""
    fill(book, 200_000)
    rows = songs.stream_songs(db)
    next(rows)
    book.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and query like '%order by song_id%' and pid <> pg_backend_pid()"
    )
    with pytest.raises(psycopg.OperationalError):
        list(rows)
    assert db.status().checked_out == 0
    assert songs.count_songs(db) == 200_000


def test_stream_that_is_dropped_after_its_backend_died(db: Database, book: Connection, songs: Songs) -> None:
    """Nobody is there to hear of the lost connection, and nothing is said."""
    fill(book, 200_000)
    rows = songs.stream_songs(db)
    next(rows)
    book.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and query like '%order by song_id%' and pid <> pg_backend_pid()"
    )
    del rows
    assert db.status().checked_out == 0
    assert songs.count_songs(db) == 200_000


# In a transaction.


def test_savepoint_keeps_the_transaction_through_a_break(book: Connection, songs: Songs) -> None:
    """A stream that is closed early inside a transaction leaves what was done before, and the transaction alive."""
    fill(book, 3000)
    with book.transaction():
        songs.add_title(book, "before")
        for _ in songs.stream_songs(book):
            break
        assert book.info.transaction_status == INTRANS
        songs.add_title(book, "after")
    assert songs.count_songs(book) == 3002


def test_stream_that_ends_by_itself_leaves_the_transaction_alive(book_dsn: str, songs: Songs) -> None:
    """On a connection outside autocommit too, where the stream begins the transaction."""
    with psycopg.connect(book_dsn) as conn:
        fill(conn, 10)
        conn.commit()
        assert len(list(songs.stream_songs(conn))) == 10
        assert conn.info.transaction_status == INTRANS
        songs.add_title(conn, "after")
    with psycopg.connect(book_dsn) as conn:
        assert songs.count_songs(conn) == 11


def test_exception_rolls_the_transaction_back(book: Connection, songs: Songs) -> None:
    """An exception out of a loop inside a transaction block ends the stream, then the transaction."""
    fill(book, 3000)
    with contextlib.suppress(ZeroDivisionError), book.transaction():
        songs.add_title(book, "undone")
        rows = songs.stream_songs(book)
        for _ in rows:
            raise ZeroDivisionError
    assert book.info.transaction_status == IDLE
    assert songs.count_songs(book) == 3000


def test_transaction_block_that_ends_closes_its_stream(book: Connection, songs: Songs) -> None:
    """A stream does not outlive the transaction in which it reads; reading on is an error."""
    fill(book, 3000)
    with book.transaction():
        songs.add_title(book, "kept")
        rows = songs.stream_songs(book)
        next(rows)
    assert book.info.transaction_status == IDLE
    assert songs.count_songs(book) == 3001
    with pytest.raises(ConnectionBusy, match="this stream was closed, with rows unread"):
        list(rows)


def test_lent_block_that_ends_closes_its_stream(db: Database, book: Connection, songs: Songs) -> None:
    """A stream that is still open when its block ends is closed, and the block commits."""
    fill(book, 3000)
    for block in (db.connection, db.transaction, db.bound(schema="public").transaction):
        with block() as conn:
            songs.add_title(conn, f"kept by {block}")
            rows = songs.stream_songs(conn)
            next(rows)
    assert songs.count_songs(book) == 3003


# Statements that write.


@pytest.mark.parametrize("how", ["break", "close", "end"])
def test_writing_stream_keeps_its_rows(how: str, executor: Any, songs: Songs, book: Connection) -> None:
    """A stream of inserted rows is not cancelled when it is closed early: the statement is done and stays."""
    rows = songs.stream_doubled(executor)
    assert next(rows).title.endswith("!")
    if how == "close":
        rows.close()
    elif how == "end":
        assert len(list(rows)) == 2999
    else:
        del rows
    assert songs.count_songs(book) == 6000


class Doubling(Protocol):
    """A writing stream whose rows do not fit."""

    def double(self, db: Executor) -> Rows[tuple[int, int]]: ...


def test_writing_stream_with_a_row_that_does_not_fit_leaves_nothing(
    executor: Any, tmp_path: Path, songs: Songs, book: Connection
) -> None:
    """A promise that is broken in the middle undoes the whole statement."""
    text = (
        "insert into songs (title, tempo) select title || '!', nullif(tempo, 2500) from songs returning song_id, tempo"
    )
    queries: Doubling = sqlkit.load(Doubling, write_sql(tmp_path, f"-- name: double\n{text}"))
    with pytest.raises(RowError, match="NULL"):
        list(queries.double(executor))
    assert songs.count_songs(book) == 3000


def test_writing_stream_inside_a_transaction_is_part_of_it(book: Connection, songs: Songs) -> None:
    """In a transaction what it writes is committed or rolled back with the rest."""
    fill(book, 3000)
    with book.transaction(force_rollback=True):
        for _ in songs.stream_doubled(book):
            break
        assert songs.count_songs(book) == 6000
    assert songs.count_songs(book) == 3000


# asyncio.


@contextlib.asynccontextmanager
async def each_executor(dsn: str) -> AsyncIterator[list[tuple[Any, AsyncDatabase]]]:
    """Give each kind of asynchronous executor on 3,000 songs; afterwards everything is back and clean."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        fill(conn, 3000)
    async with (
        await AsyncDatabase.connect(dsn, pool_max_size=1) as database,
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection,
    ):
        yield [(connection, database), (database, database), (database.bound(schema="public"), database)]
        assert connection.info.transaction_status == IDLE
        assert database.status().checked_out == 0
        assert eventually(lambda: not open_transactions(dsn))  # a pooler passes a cancel on in its own time


async def settled(database: AsyncDatabase) -> bool:
    """Wait until nothing is checked out."""
    for _ in range(500):
        if database.status().checked_out == 0:
            return True
        await asyncio.sleep(0.01)
    return False


def test_async_stream_gives_every_row_in_order(book_dsn: str, async_songs: AsyncSongs) -> None:
    """All rows come on asyncio too."""

    async def main() -> None:
        async with each_executor(book_dsn) as executors:
            for executor, _ in executors:
                found = [song.song_id async for song in async_songs.stream_songs(executor)]
                assert found == list(range(1, 3001))

    run(main())


def test_async_break_frees_the_connection(book_dsn: str, async_songs: AsyncSongs) -> None:
    """After a break the very next statement runs, and the connection comes back."""

    async def main() -> None:
        async with each_executor(book_dsn) as executors:
            for executor, database in executors:
                for _ in range(3):
                    async for _ in async_songs.stream_songs(executor):
                        break
                    assert await async_songs.count_songs(executor) == 3000
                    assert await settled(database)

    run(main())


def test_async_exception_close_and_with_free_the_connection(book_dsn: str, async_songs: AsyncSongs) -> None:
    """However the loop ends, the connection is free."""

    async def main() -> None:
        async with each_executor(book_dsn) as executors:
            for executor, database in executors:
                try:
                    async for _ in async_songs.stream_songs(executor):
                        raise ZeroDivisionError
                except ZeroDivisionError:
                    assert await async_songs.count_songs(executor) == 3000
                rows = async_songs.stream_songs(executor)
                await anext(rows)
                await rows.close()
                await rows.close()
                assert database.status().checked_out == 0
                assert [song async for song in rows] == []
                async with async_songs.stream_songs(executor) as rows:
                    await anext(rows)
                assert database.status().checked_out == 0
                with contextlib.suppress(ZeroDivisionError):
                    async with async_songs.stream_songs(executor) as rows:
                        await anext(rows)
                        raise ZeroDivisionError
                assert await async_songs.count_songs(executor) == 3000

    run(main())


def test_async_second_statement_is_refused(book_dsn: str, async_songs: AsyncSongs) -> None:
    """Another statement on the connection, sqlkit's or raw, is ConnectionBusy; the stream goes on."""

    async def main() -> None:
        async with each_executor(book_dsn) as executors:
            conn = executors[0][0]
            rows = async_songs.stream_songs(conn)
            assert (await anext(rows)).song_id == 1
            for other in (
                lambda: async_songs.count_songs(conn),
                lambda: conn.execute("select 1"),
                lambda: conn.commit(),
                lambda: anext(async_songs.stream_songs(conn)),
            ):
                with pytest.raises(ConnectionBusy, match=BUSY):
                    await other()
            assert len([song async for song in rows]) == 2999

    run(main())


def test_async_second_statement_of_another_task_is_refused(book_dsn: str, async_songs: AsyncSongs) -> None:
    """A task that shares the connection is told at once."""

    async def main() -> None:
        async with each_executor(book_dsn) as executors:
            conn = executors[0][0]
            async with async_songs.stream_songs(conn) as rows:
                await anext(rows)
                (said,) = await asyncio.gather(async_songs.count_songs(conn), return_exceptions=True)
                assert isinstance(said, ConnectionBusy)

    run(main())


def test_two_tasks_share_an_async_stream(book_dsn: str, async_songs: AsyncSongs) -> None:
    """Each row goes to one of them, and none is lost."""

    async def main() -> None:
        async with each_executor(book_dsn) as executors:
            rows = async_songs.stream_songs(executors[1][0])

            async def read() -> list[int]:
                found = []
                async for song in rows:
                    found.append(song.song_id)
                    await asyncio.sleep(0)
                return found

            one, other = await asyncio.gather(read(), read())
            assert sorted(one + other) == list(range(1, 3001))

    run(main())


def test_cancelled_task_frees_the_connection(book_dsn: str, async_songs: AsyncSongs) -> None:
    """A task that is cancelled in its loop, or waiting for rows, gives the connection back."""

    async def main() -> None:
        async with each_executor(book_dsn) as executors:
            for executor, database in executors:

                async def read(executor: Any = executor) -> None:
                    async for _ in async_songs.stream_songs(executor):
                        await asyncio.sleep(30)

                task = asyncio.create_task(read())
                await asyncio.sleep(0.05)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await async_songs.count_songs(executor) == 3000
                assert await settled(database)

    run(main())


class Slow(Protocol):
    """A stream that takes its time."""

    def slowly(self, db: AsyncExecutor) -> AsyncRows[int]: ...


@pytest.mark.parametrize("times", [1, 2, 3])
def test_task_that_is_cancelled_again_and_again_frees_the_connection(
    times: int, book_dsn: str, async_songs: AsyncSongs, tmp_path: Path
) -> None:
    """Cancelled while it waits for the server, and again while it cleans up, it still gives the connection back."""
    text = "-- name: slowly\nselect i + length(pg_sleep(0.01)::text) from generate_series(1, 3000) i"
    slow: Slow = sqlkit.load(Slow, write_sql(tmp_path, text))

    async def main() -> None:
        async with each_executor(book_dsn) as executors:
            for executor, database in executors[1:]:  # psycopg closes a connection that is interrupted twice

                async def read(executor: Any = executor) -> None:
                    async for _ in slow.slowly(executor):
                        pass

                task = asyncio.create_task(read())
                await asyncio.sleep(0.1)
                for _ in range(times):
                    task.cancel()
                    await asyncio.sleep(0)
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await settled(database)
                assert await async_songs.count_songs(executor) == 3000

    run(main())


def test_async_stream_that_is_dropped_gives_its_connection_back(book_dsn: str, async_songs: AsyncSongs) -> None:
    """Collected in the loop's thread or in another, a dropped stream is closed by its loop."""

    async def main() -> None:
        async with each_executor(book_dsn) as executors:
            database = executors[1][1]
            held = [async_songs.stream_songs(database)]
            await anext(held[0])
            assert database.status().checked_out == 1
            held.clear()
            assert await settled(database)
            held = [async_songs.stream_songs(database)]
            await anext(held[0])
            await asyncio.to_thread(held.clear)
            assert await settled(database)

    run(main())


def test_async_blocks_that_end_close_their_streams(book_dsn: str, async_songs: AsyncSongs) -> None:
    """At the end of a transaction block or a lent block an open stream is closed, and the block commits."""

    async def main() -> None:
        async with each_executor(book_dsn) as executors:
            conn, database = executors[0]
            async with conn.transaction():
                await async_songs.add_title(conn, "kept 1")
                rows = async_songs.stream_songs(conn)
                await anext(rows)
            for _ in range(2):
                async with database.connection() as lent:
                    await async_songs.add_title(lent, f"kept {_ + 2}")
                    async for _ in async_songs.stream_songs(lent):
                        break
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
            assert await async_songs.count_songs(database) == 3003

    run(main())


def test_async_savepoint_keeps_the_transaction(book_dsn: str, async_songs: AsyncSongs) -> None:
    """A break inside a transaction leaves it alive; so does a timeout that is caught there."""

    async def main() -> None:
        async with each_executor(book_dsn) as executors, executors[1][1].transaction() as conn:
            await async_songs.add_title(conn, "before")
            async for _ in async_songs.stream_songs(conn):
                break
            await async_songs.add_title(conn, "after")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    async for _ in async_songs.stream_songs(conn):
                        await asyncio.sleep(30)
            assert await async_songs.count_songs(conn) == 3002

    run(main())


def test_async_writing_stream_keeps_its_rows(book_dsn: str, async_songs: AsyncSongs) -> None:
    """Closed early, a writing stream is read to its end."""

    async def main() -> None:
        async with each_executor(book_dsn) as executors:
            async with async_songs.stream_doubled(executors[1][0]) as rows:
                await anext(rows)
            assert await async_songs.count_songs(executors[1][0]) == 6000

    run(main())


# Memory.


MANY = 200_000

FLAT = """
import resource, sys
import sqlkit
from sqlkit import Database, Rows, Executor
from typing import Protocol
import asyncio

dsn, path, colour = sys.argv[1:]

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def sync():
    from tests.test_streams import Many
    queries: Many = sqlkit.load(Many, path)
    with Database.connect(dsn) as db:
        for row in queries.many(db, 5000):
            pass
        before, number = peak(), 0
        for row in queries.many(db, %(many)d):
            number += 1
    return number, peak() - before

async def main():
    from tests.test_streams import AsyncMany
    queries: AsyncMany = sqlkit.load(AsyncMany, path)
    async with await sqlkit.AsyncDatabase.connect(dsn) as db:
        async for row in queries.many(db, 5000):
            pass
        before, number = peak(), 0
        async for row in queries.many(db, %(many)d):
            number += 1
    return number, peak() - before

number, grown = sync() if colour == "sync" else asyncio.run(main())
print(number, grown < 8_000, grown)
"""


class Many(Protocol):
    """As many rows as one likes, each of 200 bytes."""

    def many(self, db: Executor, number: int) -> Rows[tuple[int, str]]: ...


class AsyncMany(Protocol):
    """The same on asyncio."""

    def many(self, db: AsyncExecutor, number: int) -> AsyncRows[tuple[int, str]]: ...


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_memory_stays_flat_over_200_000_rows(colour: str, book_dsn: str, tmp_path: Path) -> None:
    """A stream of 40 MB takes no more memory than one of 1 MB: less than 8 MB more at its peak."""
    path = write_sql(tmp_path, "-- name: many\nselect i, repeat('x', 200) from generate_series(1, :number::int) as i")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FLAT % {"many": MANY}), book_dsn, str(path), colour],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parent.parent,
    )
    assert done.stdout.startswith(f"{MANY} True"), done.stdout + done.stderr


def test_no_statement_is_left_running(db: Database, book: Connection, songs: Songs, anyone: Any) -> None:
    """A stream that is closed early is stopped on the server too."""
    with songs.stream_songs(db) as rows:
        assert next(rows, None) is None
    with sqlkit.stream(db, int, "select generate_series(1, 1000000000)") as numbers:
        assert next(numbers) == 1
        assert anyone()
    assert eventually(lambda: not anyone())
