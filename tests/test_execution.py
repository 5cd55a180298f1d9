"""How a statement runs on a connection: in which round trips, in whose transaction, and what an error leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from pydantic import BaseModel, Field

import sqlkit
from sqlkit import AsyncDatabase, AsyncExecutor, Database, Executor, RowError, TooManyRows
from sqlkit.connection import memory_of
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
from tests.talking import Talk, listening

book, book_dsn, module_database, db = songbook.book, songbook.book_dsn, songbook.module_database, songbook.db
book_path, songs, async_songs = songbook.book_path, songbook.songs, songbook.async_songs

Connection = psycopg.Connection[Any]
IDLE, INTRANS, INERROR = TransactionStatus.IDLE, TransactionStatus.INTRANS, TransactionStatus.INERROR


@pytest.fixture
def one(book_dsn: str) -> Iterator[Database]:
    """Give a Database with a single connection."""
    with Database.connect(book_dsn, pool_min_size=1, pool_max_size=1) as database:
        yield database
        assert database.status().checked_out == 0


def connection_of(database: Database) -> Connection:
    """Return the one connection of a pool, which stays in it."""
    conn = database.lend("the test")
    database.take_back(conn)
    return conn


def rows(conn: Connection, sql: str = "select count(*) from songs") -> Any:
    """Return the first value of a raw statement."""
    return conn.execute(sql).fetchone()[0]  # type: ignore[index]


# Round trips.


@pytest.mark.direct("each call is in a transaction there: test_query_on_a_bound_view_is_one_round_trip is of that")
def test_query_on_a_database_is_one_round_trip(one: Database, songs: Songs) -> None:
    """From its second call on a connection a query is one statement: no BEGIN, no COMMIT, nothing asked."""
    songs.get_song(one, song_id=1)
    with listening(connection_of(one)) as talk:
        for number in range(5):
            songs.get_song(one, song_id=number)
    assert talk().round_trips == 5
    assert set(talk().sent) <= {"Bind", "Describe", "Execute", "Sync"}
    assert talk().sent.count("Sync") == 5


def test_query_on_a_connection_is_one_round_trip(book: Connection, songs: Songs) -> None:
    """On a plain psycopg connection in autocommit too."""
    songs.get_song(book, song_id=1)
    with listening(book) as talk:
        songs.get_song(book, song_id=2)
    assert talk().round_trips == 1


def test_async_query_on_a_database_is_one_round_trip(book_dsn: str, async_songs: AsyncSongs) -> None:
    """On asyncio as well."""

    async def main() -> Talk:
        async with await AsyncDatabase.connect(book_dsn, pool_min_size=1, pool_max_size=1) as database:
            await async_songs.get_song(database, song_id=1)
            conn = await database.lend("the test")
            await database.take_back(conn)
            with listening(conn) as talk:
                for number in range(5):
                    await async_songs.get_song(database, song_id=number)
            return talk()

    assert run(main()).round_trips == 5


SHOWN = "select current_setting('app.number')"


def test_query_on_a_bound_view_is_one_round_trip(one: Database, songs: Songs) -> None:
    """BEGIN, set_config, the statement and COMMIT go together."""
    view = one.bound(schema="public")
    songs.get_song(view, song_id=1)
    with listening(connection_of(one)) as talk:
        for number in range(5):
            songs.get_song(view, song_id=number)
    assert talk().round_trips == 5
    words = ("BEGIN", "'search_path'", "COMMIT")
    said = [word for line in talk().text.splitlines() for word in words if word in line]
    assert said == [*words] * 5


@pytest.mark.direct("nothing is prepared there")
def test_settings_of_a_bound_view_are_prepared(one: Database, songs: Songs) -> None:
    """What sets them is planned once for all views with as many; taken off the server, it is prepared anew."""
    for view in (one.bound(schema="public"), one.bound(settings={"app.number": "7"})):
        songs.get_song(view, song_id=1)
    with listening(connection_of(one)) as talk:
        songs.get_song(one.bound(settings={"app.number": "8"}), song_id=1)
    assert "set_config" not in talk().text
    assert "'app.number'" in talk().text
    with one.connection() as conn:
        conn.execute("/* unseen */ deallocate all")
    for number in range(3):
        assert sqlkit.fetch_one(one.bound(settings={"app.number": str(number)}), str, SHOWN) == str(number)


def test_query_in_a_transaction_begins_it_and_no_more(one: Database, songs: Songs) -> None:
    """In a lent block the first statement begins, later ones are one round trip each."""
    with one.transaction() as conn:
        songs.get_song(conn, song_id=1)
        with listening(conn) as talk:
            songs.get_song(conn, song_id=1)
            songs.get_song(conn, song_id=1)
    assert talk().round_trips == 2
    assert "BEGIN" not in talk().text


def test_writing_query_that_promises_a_row_takes_two_round_trips(one: Database, songs: Songs) -> None:
    """BEGIN and the statement go together, COMMIT when the row is counted and made."""
    songs.add_title(one, "a")
    with listening(connection_of(one)) as talk:
        songs.add_title(one, "b")
    assert talk().round_trips == 2
    assert "COMMIT" in talk().text


@pytest.mark.direct("each call is in a transaction there")
def test_writing_query_that_promises_nothing_is_one_round_trip(one: Database, songs: Songs) -> None:
    """Without rows to look at there is no transaction of sqlkit's own."""
    songs.slow_down(one, 5)
    with listening(connection_of(one)) as talk:
        songs.slow_down(one, 6)
    assert talk().round_trips == 1
    assert "BEGIN" not in talk().text


@pytest.mark.direct("what a transaction sets is one more message")
def test_batch_takes_a_round_trip_for_each_thousand(one: Database, songs: Songs) -> None:
    """A batch is BEGIN, a pipeline for each chunk of items, COMMIT."""
    songs.add_titles(one, [{"title": "x"}], Mood.CALM)
    with listening(connection_of(one)) as talk:
        songs.add_titles(one, ({"title": f"t{i}"} for i in range(900)), Mood.CALM)
    assert talk().sent.count("Sync") + talk().sent.count("Query") <= 3
    assert talk().sent.count("Bind") >= 900


# A writing statement that promises rows.


class Strict(BaseModel):
    """A row that refuses what PostgreSQL takes."""

    song_id: int
    tempo: int = Field(le=100)


class Promising(Protocol):
    """Writing statements whose promise is broken."""

    def exactly_one(self, db: Executor) -> int: ...
    def at_most_one(self, db: Executor) -> int | None: ...
    def valid(self, db: Executor) -> Strict: ...
    def all_valid(self, db: Executor) -> list[Strict]: ...
    def by_cte(self, db: Executor) -> int: ...


TWO = "insert into songs (title, tempo) values ('x', 200), ('y', 300) returning"
PROMISES = f"""
-- name: exactly_one
{TWO} song_id;
-- name: at_most_one
{TWO} song_id;
-- name: valid
insert into songs (title, tempo) values ('x', 200) returning song_id, tempo;
-- name: all_valid
{TWO} song_id, tempo;
-- name: by_cte
with added as ({TWO} song_id) select song_id from added;
"""


@pytest.fixture
def promising(tmp_path: Path) -> Promising:
    """Give writing statements whose promise is broken."""
    loaded: Promising = sqlkit.load(Promising, write_sql(tmp_path, PROMISES))
    return loaded


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("exactly_one", TooManyRows),
        ("at_most_one", TooManyRows),
        ("valid", RowError),
        ("all_valid", RowError),
        ("by_cte", TooManyRows),
    ],
)
@pytest.mark.parametrize("where", ["connection", "database", "bound", "pipeline"])
def test_broken_promise_leaves_nothing_behind(
    where: str, name: str, error: type[Exception], promising: Promising, book: Connection, db: Database
) -> None:
    """Rows are counted and validated before the COMMIT, so that an error leaves nothing behind."""
    for _ in range(2):
        with contextlib.ExitStack() as stack:
            executor = {"database": db, "bound": db.bound(schema="public")}.get(where, book)
            if where == "pipeline":
                stack.enter_context(book.pipeline())
            with pytest.raises(error):
                getattr(promising, name)(executor)
    assert rows(book) == 0
    assert book.info.transaction_status == IDLE


def test_broken_promise_in_a_transaction_is_the_callers_to_roll_back(promising: Promising, book: Connection) -> None:
    """In a transaction that is open the error comes too, and the transaction is alive."""
    with book.transaction(force_rollback=True):
        with pytest.raises(TooManyRows):
            promising.exactly_one(book)
        assert rows(book) == 2
    assert rows(book) == 0


def test_kept_promise_is_committed(songs: Songs, book: Connection, db: Database) -> None:
    """What keeps its promise is there for everyone."""
    for executor in (book, db, db.bound(schema="public")):
        for _ in range(2):
            songs.add_song(executor, NewSong(title=f"{id(executor)} {rows(book)}"))
    assert rows(book) == 6
    assert book.info.transaction_status == IDLE


# On connections of every kind.


def test_foreign_connection_outside_autocommit_begins_and_stays_open(book_dsn: str, songs: Songs) -> None:
    """On a connection as psycopg opens it a query is part of the transaction that its owner ends."""
    with psycopg.connect(book_dsn) as conn:
        songs.add_title(conn, "a")
        assert conn.info.transaction_status == INTRANS
        conn.rollback()
        assert songs.count_songs(conn) == 0
        songs.add_title(conn, "b")
        conn.commit()
        assert songs.count_songs(conn) == 1


def test_query_inside_a_transaction_block_is_part_of_it(book: Connection, songs: Songs) -> None:
    """``conn.transaction()`` commits what ends well, and savepoints undo what does not."""
    with book.transaction():
        songs.add_title(book, "kept")
        with contextlib.suppress(ZeroDivisionError), book.transaction():
            songs.add_title(book, "undone")
            raise ZeroDivisionError
        assert songs.count_songs(book) == 1
    assert [song.title for song in songs.list_songs(book)] == ["kept"]


@pytest.mark.parametrize("autocommit", [True, False])
def test_query_inside_a_pipeline(autocommit: bool, book_dsn: str, songs: Songs) -> None:
    """Inside ``conn.pipeline()`` queries and raw statements run in the order of the code."""
    with psycopg.connect(book_dsn, autocommit=autocommit) as conn:
        for number in range(2):
            with conn.pipeline():
                conn.execute("insert into songs (title) values (%s)", [f"raw {number}"])
                assert songs.count_songs(conn) == 3 * number + 1
                assert songs.add_title(conn, f"query {number}") > 0
                cursor = conn.execute("select count(*) from songs")
                songs.add_title(conn, f"more {number}")
                assert cursor.fetchone() == (3 * number + 2,)
        conn.commit()
        assert songs.count_songs(conn) == 6
    with psycopg.connect(book_dsn, autocommit=True) as other:
        assert songs.count_songs(other) == 6


def test_transaction_inside_a_pipeline(book: Connection, songs: Songs) -> None:
    """A transaction block in a pipeline begins before the query and rolls back after it."""
    songs.count_songs(book)
    with book.pipeline(), contextlib.suppress(ZeroDivisionError), book.transaction():
        songs.add_title(book, "undone")
        raise ZeroDivisionError
    assert songs.count_songs(book) == 0


def test_error_in_a_pipeline_leaves_it_usable(book: Connection, songs: Songs) -> None:
    """A query that fails in a pipeline raises there, and the next one runs."""
    songs.add_title(book, "a")
    with book.pipeline():
        for _ in range(2):
            with pytest.raises(psycopg.errors.UniqueViolation):
                songs.add_title(book, "a")
            assert songs.count_songs(book) == 1
    assert book.info.transaction_status == IDLE


def test_error_of_a_raw_statement_in_a_pipeline_comes_first(book: Connection, songs: Songs) -> None:
    """A raw statement's error that is on its way arrives before the query runs, and is not the query's."""
    with book.pipeline():
        book.execute("select 1/0")
        with pytest.raises(psycopg.errors.DivisionByZero) as caught:
            songs.add_title(book, "a")
    assert getattr(caught.value, "__notes__", []) == []
    assert rows(book) == 0


def test_closed_connection_is_psycopgs_error(book_dsn: str, songs: Songs) -> None:
    """A connection that was closed raises what psycopg says of it."""
    conn = psycopg.connect(book_dsn)
    conn.close()
    with pytest.raises(psycopg.OperationalError, match="closed"):
        songs.count_songs(conn)


def test_error_inside_a_transaction_leaves_it_to_its_owner(book_dsn: str, songs: Songs) -> None:
    """A failed statement aborts its transaction, as everywhere in PostgreSQL; ROLLBACK brings it back."""
    with psycopg.connect(book_dsn) as conn:
        songs.add_title(conn, "a")
        with pytest.raises(psycopg.errors.UniqueViolation):
            songs.add_title(conn, "a")
        assert conn.info.transaction_status == INERROR
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            songs.count_songs(conn)
        conn.rollback()
        assert songs.count_songs(conn) == 0


# What happens to prepared statements behind sqlkit's back.


FORGETTING: dict[str, Callable[[Connection], object]] = {
    "deallocate all": lambda conn: conn.execute("deallocate all"),
    "discard all": lambda conn: conn.execute("DISCARD ALL"),
    "deallocate prepare all": lambda conn: conn.execute(" Deallocate  Prepare  All"),
    "behind a comment": lambda conn: conn.execute("/* now */ deallocate all"),
    "with others": lambda conn: conn.execute("select 1; deallocate all; select 2"),
    "by a client cursor": lambda conn: psycopg.ClientCursor(conn).execute("deallocate all"),
}


@pytest.mark.parametrize("how", FORGETTING)
def test_prepared_statements_that_are_gone_are_prepared_anew(how: str, book: Connection, songs: Songs) -> None:
    """Raw DEALLOCATE ALL and DISCARD ALL do no harm, whoever sends them and however."""
    fill(book, 1)
    for _ in range(3):
        assert songs.get_title(book, 1) == "song 1"
        FORGETTING[how](book)
        assert songs.get_title(book, 1) == "song 1"


def test_deallocate_in_a_pipeline(book: Connection, songs: Songs) -> None:
    """Also when its answer is not there yet."""
    songs.count_songs(book)
    with book.pipeline():
        book.execute("deallocate all")
        assert songs.count_songs(book) == 0


def test_deallocate_inside_a_transaction(book_dsn: str, songs: Songs) -> None:
    """In a transaction, where no error could be healed, it is seen before."""
    with psycopg.connect(book_dsn) as conn:
        songs.count_songs(conn)
        conn.execute("deallocate all")
        assert songs.count_songs(conn) == 0


@pytest.mark.direct("it is about what a session keeps prepared")
def test_psycopgs_own_deallocate_after_a_rollback(book_dsn: str, songs: Songs) -> None:
    """After a rollback psycopg sends DEALLOCATE ALL where it has prepared anything: sqlkit's go with it."""
    with psycopg.connect(book_dsn) as conn:
        for _ in range(3):
            assert songs.count_songs(conn) == 0
            conn.execute("select 1", prepare=True)
            with listening(conn) as talk:
                conn.rollback()
            assert "DEALLOCATE ALL" in talk().text
            with conn.transaction(force_rollback=True):
                conn.execute("select 1", prepare=True)
                assert songs.count_songs(conn) == 0
            assert songs.count_songs(conn) == 0


@pytest.mark.direct("it is about what a session keeps prepared")
def test_psycopgs_prepared_statements_survive_sqlkit(book: Connection, songs: Songs) -> None:
    """What psycopg had prepared before sqlkit came stays known to it."""
    book.execute("select 1 as first", prepare=True)
    songs.count_songs(book)
    with listening(book) as talk:
        book.execute("select 1 as first")
    assert "Parse" not in talk().sent
    assert rows(book, "select count(*) from pg_prepared_statements") >= 2


@pytest.mark.direct("it is about what a session keeps prepared")
def test_deallocating_others_statements_keeps_sqlkits(book: Connection, songs: Songs) -> None:
    """DEALLOCATE of one other statement makes nothing be prepared twice."""
    songs.count_songs(book)
    book.execute("prepare mine as select 1")
    book.execute("deallocate mine")
    book.execute("discard temp")
    songs.count_songs(book)
    assert len(prepared_statements(book)) == 1


class Numbered(Protocol):
    """A statement with many variants."""

    def get(
        self,
        db: Executor,
        *,
        a: int | None = None,
        b: int | None = None,
        c: int | None = None,
        d: int | None = None,
        e: int | None = None,
        f: int | None = None,
    ) -> int: ...


def test_oldest_prepared_statement_makes_room(
    tmp_path: Path, book: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection keeps so many statements prepared and no more; who comes again is prepared again."""
    monkeypatch.setattr("sqlkit.execution.prepared.PREPARED_MAX", 20)
    lines = "".join(f"    + :{name} --? optional\n" for name in "abcdef")
    queries: Numbered = sqlkit.load(Numbered, write_sql(tmp_path, f"-- name: get\nselect 0\n{lines};"))
    for _ in range(2):
        for bits in range(64):
            given = {name: 2**place for place, name in enumerate("abcdef") if bits >> place & 1}
            assert queries.get(book, **given) == bits
    assert len(prepared_statements(book)) == kept(20)
    assert len(memory_of(book).prepared) == 20


def test_failing_statement_is_not_prepared_again_and_again(book: Connection, songs: Songs) -> None:
    """Errors of execution, among them those that might mean a stale plan, leave one prepared statement."""
    book.execute(
        "create or replace function fail() returns int language plpgsql as $$ begin perform * from nowhere; end $$"
    )
    statement = "select fail() where :x = 1"
    for _ in range(10):
        with pytest.raises(psycopg.errors.UndefinedTable):
            sqlkit.fetch_one(book, int, statement, x=1)
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            songs.get_song(book, song_id="x")  # type: ignore[arg-type]
    assert len(prepared_statements(book)) == kept(2)


@pytest.mark.direct("it sets what lasts in a session")
def test_missing_right_is_not_taken_for_a_stale_plan(book: Connection, songs: Songs) -> None:
    """A right that is missing is said at once: the statement runs once and stays prepared."""
    songs.count_songs(book)
    name = "reader_without_rights"
    book.execute(f"drop role if exists {name}")
    book.execute(f"create role {name}")
    try:
        book.execute(f"set role {name}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            songs.count_songs(book)  # on PostgreSQL 17 and before, where the path is asked for
        with listening(book) as talk, pytest.raises(psycopg.errors.InsufficientPrivilege):
            songs.count_songs(book)
        assert talk().sent.count("Bind") == 1 + (book.info.server_version < 180000)
    finally:
        book.execute("reset role")
        book.execute(f"drop role {name}")


# Session state of sqlkit's own statements.


class Setting(Protocol):
    """Statements that change the session."""

    def set_path(self, db: Executor) -> None: ...
    def configure(self, db: Executor, path: str) -> str: ...
    def lock(self, db: Executor) -> None: ...
    def make(self, db: Executor) -> None: ...
    def show(self, db: Executor) -> str: ...


SETTING = """
-- name: set_path
set search_path = pg_catalog;
-- name: configure
select set_config('search_path', :path, false);
-- name: lock
select pg_advisory_lock(7);
-- name: make
create temporary table songs_now (x int);
-- name: show
select current_setting('search_path');
"""


@pytest.mark.direct("such a query is refused there: tests/test_pooler.py")
@pytest.mark.parametrize(
    ("name", "arguments"), [("set_path", []), ("configure", ["pg_catalog"]), ("lock", []), ("make", [])]
)
def test_session_state_of_a_query_does_not_reach_the_next_borrower(
    name: str, arguments: list[Any], tmp_path: Path, one: Database, book: Connection
) -> None:
    """A query that leaves something in the session is put right when its connection comes back, each time."""
    queries: Setting = sqlkit.load(Setting, write_sql(tmp_path, SETTING))
    for _ in range(2):
        before = queries.show(one)
        getattr(queries, name)(one, *arguments)
        assert queries.show(one) == before
        assert rows(book, "select count(*) from pg_locks where locktype = 'advisory'") == 0


# Interruptions.


INTERRUPTED = """
import os, signal, sys, threading, time
import psycopg, sqlkit
from sqlkit import Database
from tests import pooled
from tests.songbook import Songs
import sqlkit

dsn, path, how = sys.argv[1:]
keywords = {"prepare_threshold": None} if pooled.WANTED else {}
songs: Songs = sqlkit.load(Songs, path)
with Database.connect(dsn, pool_max_size=1) as db, psycopg.connect(dsn, autocommit=True, **keywords) as conn:
    executor = {"database": db, "bound": db.bound(schema="public"), "connection": conn}[how]
    assert songs.nap(executor, 0) == ""
    threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT]).start()
    started = time.monotonic()
    try:
        songs.nap(executor, 30)
    except KeyboardInterrupt:
        assert time.monotonic() - started < 10
        assert songs.count_songs(executor) == 0
        assert songs.nap(executor, 0) == ""
        print("interrupted", conn.info.transaction_status.name, db.status().checked_out)
"""


@pytest.mark.parametrize("how", ["database", "bound", "connection"])
def test_interrupt_ends_a_running_query(how: str, book_dsn: str, book_path: Path) -> None:
    """Ctrl-C during a query is KeyboardInterrupt, soon, and the connection is usable."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(INTERRUPTED), book_dsn, str(book_path), how],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parent.parent,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (done.stdout, done.returncode) == ("interrupted IDLE 0\n", 0), done.stderr


@pytest.mark.parametrize("bound", [False, True])
def test_cancelled_task_leaves_a_clean_connection(bound: bool, book_dsn: str, async_songs: AsyncSongs) -> None:
    """A task that is cancelled during a query ends it on the server, and the connection is back."""

    async def main() -> None:
        async with await AsyncDatabase.connect(book_dsn, pool_max_size=1) as database:
            executor = database.bound(schema="public") if bound else database
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(async_songs.nap(executor, 30), 0.1)
                assert await async_songs.count_songs(executor) == 0
                assert database.status().checked_out == 0
            assert open_transactions(book_dsn) == []

    run(main())


@pytest.mark.direct("it sets what lasts in a session")
def test_statement_timeout_is_psycopgs_error(book: Connection, songs: Songs) -> None:
    """A statement timeout is QueryCanceled, with the query's place, and leaves the connection usable."""
    book.execute("set statement_timeout = '50ms'")
    for _ in range(2):
        with pytest.raises(psycopg.errors.QueryCanceled) as caught:
            songs.nap(book, 30)
        assert any("nap" in note for note in caught.value.__notes__)
    assert songs.count_songs(book) == 0


# Nothing leaks.


def measure_leak(songs: Songs, db: Database, book: Connection, calls: int) -> tuple[int, int]:
    """Make calls of many kinds; return how many bytes more there are and how many statements are prepared."""

    def work(number: int) -> None:
        songs.get_song(db, song_id=number)
        songs.search_songs(db, title="x", order="newest" if number % 2 else "title")
        songs.update_song(db, number, Changes(tempo=number))
        songs.count_songs(book)
        songs.get_title(db.bound(settings={"app.number": str(number)}), number)
        with contextlib.suppress(psycopg.Error):
            songs.slow_down(book, 0)
        if number % 100 == 0:
            for _ in songs.stream_songs(db):
                break
            songs.add_titles(db, [], Mood.CALM)

    fill(book, 5)
    for number in range(300):
        work(number)
    gc.collect()
    tracemalloc.start()
    try:
        work(1)
        before = tracemalloc.get_traced_memory()[0]
        for number in range(calls // 6):
            work(number)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    with db.connection() as conn:
        return grown, len(prepared_statements(conn)) + len(prepared_statements(book))


@pytest.mark.direct("it counts what stays prepared")
def test_calls_leave_memory_and_prepared_statements_flat(songs: Songs, one: Database, book: Connection) -> None:
    """Thousands of calls of every kind keep no memory and prepare nothing more."""
    grown, prepared = measure_leak(songs, one, book, 20_000)
    assert grown < 100_000
    assert prepared < 12


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_million_calls_leave_memory_and_prepared_statements_flat(songs: Songs, one: Database, book: Connection) -> None:
    """The long form: a million calls."""
    grown, prepared = measure_leak(songs, one, book, 1_000_000)
    assert grown < 100_000
    assert prepared < 12


def test_song_is_read_back_through_every_executor(songs: Songs, book: Connection, db: Database) -> None:
    """A connection, a lent one, a Database and a bound view give equal answers."""
    added = songs.add_song(book, NewSong(title="Solar", mood=Mood.WILD, tempo=200))
    assert added == Song(song_id=1, title="Solar", mood=Mood.WILD, tempo=200)
    with db.connection() as conn:
        answers = [songs.get_song(executor, song_id=1) for executor in (book, db, db.bound(schema="public"), conn)]
    assert answers == [added] * 4


def test_async_executor_is_no_sync_one(book_dsn: str, songs: Songs, async_songs: AsyncSongs) -> None:
    """A Database given to an asynchronous query, or the other way round, is a TypeError; nothing is lent."""

    async def main() -> None:
        async with await AsyncDatabase.connect(book_dsn, pool_max_size=1) as database:
            with pytest.raises(TypeError, match="takes a psycopg Connection or a Database, not AsyncDatabase"):
                songs.count_songs(database)  # type: ignore[arg-type]
            assert database.status().checked_out == 0

    run(main())
    with Database.connect(book_dsn, pool_max_size=1) as sync:
        executor: AsyncExecutor = sync  # type: ignore[assignment]
        with pytest.raises(TypeError, match="takes a psycopg AsyncConnection or an AsyncDatabase, not Database"):
            run(async_songs.count_songs(executor))
        assert sync.status().checked_out == 0
