"""Large results, which are read in chunks from the second time on: the same rows, the same errors, in each colour."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from psycopg import capabilities
from psycopg.pq import TransactionStatus
from pydantic import BaseModel

import sqlkit
from sqlkit import AsyncExecutor, Executor, RowError
from sqlkit.connection import memory_of
from sqlkit.execution.chunked import CHUNK_ROWS
from sqlkit.execution.collecting import LARGE_ROWS
from tests import songbook
from tests.songbook import eventually, write_sql

module_database = songbook.module_database

pytestmark = pytest.mark.skipif(not capabilities.has_stream_chunked(), reason="results come in chunks from libpq 17 on")

STATEMENTS = """
-- name: numbers
select number as number, 'word ' || number as word
from generate_series(1, :count) as number;

-- name: with_gap
select number as number, nullif(number, :gap)::text as word
from generate_series(1, :count) as number;

-- name: divided
select number as number, (1000 / (number - :zero))::text as word
from generate_series(1, :count) as number;

-- name: noisy
select number as number, noise(number) as word
from generate_series(1, :count) as number;

-- name: moments
select ('4713-01-01 BC'::date + (case when number = :early then 0 else 3000000 end))::timestamp as moment
from generate_series(1, :count) as number;

-- name: slowly
select number as number, pg_sleep(case when number > :quick then 0.01 else 0 end)::text as word
from generate_series(1, :count) as number;

-- name: kept
select * from kept order by 1;

-- name: keep
insert into kept (number, word) select number, 'kept' from generate_series(1, :count) as number
returning number, word;

-- name: one_word
select 'word ' || number as word
from generate_series(1, :count) as number;
"""

SETUP = """
create function noise(integer) returns text language plpgsql as $$
begin
    if $1 % 1000 = 0 then raise notice 'at %', $1; end if;
    return $1::text;
end $$;
create table kept (number integer, word text);
"""


class Word(BaseModel):
    """A row of nearly all statements."""

    number: int
    word: str


class Large(Protocol):
    """The statements."""

    def numbers(self, db: Executor, count: int) -> list[Word]: ...
    def with_gap(self, db: Executor, count: int, gap: int) -> list[Word]: ...
    def divided(self, db: Executor, count: int, zero: int) -> list[Word]: ...
    def noisy(self, db: Executor, count: int) -> list[Word]: ...
    def moments(self, db: Executor, count: int, early: int) -> list[Any]: ...
    def slowly(self, db: Executor, count: int, quick: int) -> list[Word]: ...
    def kept(self, db: Executor) -> list[Word]: ...
    def keep(self, db: Executor, count: int) -> list[Word]: ...
    def one_word(self, db: Executor, count: int) -> list[str]: ...


class AsyncLarge(Protocol):
    """The statements on asyncio."""

    async def numbers(self, db: AsyncExecutor, count: int) -> list[Word]: ...
    async def with_gap(self, db: AsyncExecutor, count: int, gap: int) -> list[Word]: ...
    async def divided(self, db: AsyncExecutor, count: int, zero: int) -> list[Word]: ...
    async def noisy(self, db: AsyncExecutor, count: int) -> list[Word]: ...
    async def moments(self, db: AsyncExecutor, count: int, early: int) -> list[Any]: ...
    async def slowly(self, db: AsyncExecutor, count: int, quick: int) -> list[Word]: ...
    async def kept(self, db: AsyncExecutor) -> list[Word]: ...
    async def keep(self, db: AsyncExecutor, count: int) -> list[Word]: ...
    async def one_word(self, db: AsyncExecutor, count: int) -> list[str]: ...


class Ground:
    """The queries on one connection of either colour."""

    def __init__(self, queries: Any, conn: Any, run: Callable[[Any], Any]) -> None:
        self.queries = queries
        self.conn = conn
        self.run = run

    def call(self, name: str, **values: Any) -> Any:
        """Call a query."""
        return self.run(getattr(self.queries, name)(self.conn, **values))

    def execute(self, statement: str) -> None:
        """Run raw SQL."""
        self.run(self.conn.execute(statement))

    def large(self) -> list[bool]:
        """Tell of the prepared statements whether they are read in chunks the next time."""
        return [prepared.large for prepared in memory_of(self.conn).prepared.values()]


@pytest.fixture(scope="module")
def tables(module_database: str) -> str:
    """Give the DSN of the module's database with what the statements need."""
    with psycopg.connect(module_database, autocommit=True) as conn:
        conn.execute(SETUP)
    return module_database


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file of the statements."""
    return write_sql(tmp_path_factory.mktemp("large"), STATEMENTS)


@pytest.fixture(params=[True, False], ids=["autocommit", "transaction"])
def autocommit(request: pytest.FixtureRequest) -> bool:
    """Tell whether the connection is in autocommit."""
    return bool(request.param)


@pytest.fixture(params=["sync", "async"])
def ground(request: pytest.FixtureRequest, tables: str, path: Path, autocommit: bool) -> Iterator[Ground]:
    """Give the queries in each colour; the connection must be fit for another call afterwards."""
    if request.param == "sync":
        with psycopg.connect(tables, autocommit=autocommit) as conn:
            yield Ground(sqlkit.load(Large, path), conn, lambda result: result)
            conn.rollback()
            assert conn.info.transaction_status == TransactionStatus.IDLE
            assert conn.execute("select 1").fetchone() == (1,)
            conn.rollback()
        return
    with asyncio.Runner() as runner:

        def run(result: Any) -> Any:
            return runner.run(result) if asyncio.iscoroutine(result) else result

        conn = run(psycopg.AsyncConnection.connect(tables, autocommit=autocommit))
        yield Ground(sqlkit.load(AsyncLarge, path), conn, run)
        run(conn.rollback())
        assert conn.info.transaction_status == TransactionStatus.IDLE
        run(conn.execute("select 1"))
        run(conn.close())


def words(count: int) -> list[Word]:
    """Return the rows of ``numbers``."""
    return [Word(number=number, word=f"word {number}") for number in range(1, count + 1)]


EDGES = [LARGE_ROWS, LARGE_ROWS + 1, 3 * CHUNK_ROWS, 3 * CHUNK_ROWS + 1, 4 * CHUNK_ROWS - 1]


@pytest.mark.parametrize("count", EDGES)
def test_chunks_give_the_same_rows(ground: Ground, count: int) -> None:
    """Read whole the first time and in chunks the next, the rows are the same, also at the edge of a chunk."""
    first = ground.call("numbers", count=count)
    assert ground.large() == [True]
    assert first == ground.call("numbers", count=count) == words(count)


@pytest.mark.direct("only what stays prepared is read in chunks")
def test_a_statement_is_read_as_its_last_result_was(ground: Ground) -> None:
    """Few rows, or none, are right where many were expected, and the next time the statement is read at once."""
    for count, large in [(0, False), (LARGE_ROWS, True), (3, False), (LARGE_ROWS, True), (0, False), (5, False)]:
        assert ground.call("numbers", count=count) == words(count)
        assert ground.large() == [large]


def test_rows_of_one_column(ground: Ground) -> None:
    """Values are made as models are."""
    for _ in range(3):
        assert ground.call("one_word", count=1700) == [word.word for word in words(1700)]


def test_rows_of_a_writing_statement(ground: Ground, autocommit: bool) -> None:
    """What a statement writes and returns comes whole, and is kept."""
    for _ in range(3):
        assert len(ground.call("keep", count=1500)) == 1500
    if autocommit:
        assert len(ground.call("kept")) == 4500
    ground.execute("truncate kept")


ERRORS: list[tuple[str, dict[str, int], type[Exception], str]] = [
    ("with_gap", {"gap": 1800}, RowError, "column 'word': expected str, got NULL"),
    ("with_gap", {"gap": 1}, RowError, "column 'word': expected str, got NULL"),
    ("moments", {"early": 1800}, RowError, "column 'moment': Python cannot hold this timestamp"),
    ("divided", {"zero": 1800}, psycopg.errors.DivisionByZero, "division by zero"),
    ("divided", {"zero": 1}, psycopg.errors.DivisionByZero, "division by zero"),
]


@pytest.mark.parametrize(("name", "bad", "error", "said"), ERRORS)
def test_errors_in_the_middle_are_the_same(
    ground: Ground, autocommit: bool, name: str, bad: dict[str, int], error: type[Exception], said: str
) -> None:
    """A row that does not fit, or that the server cannot make, is the same error in chunks, and the rest is read."""
    good = dict.fromkeys(bad, 9999)
    raised = []
    for large in (False, True):
        if large:
            ground.call(name, count=2000, **good)
            assert ground.large() == [True]
        with pytest.raises(error, match=said) as caught:
            ground.call(name, count=2000, **bad)
        raised.append((str(caught.value), getattr(caught.value, "__notes__", [])))
        lives = autocommit or error is RowError
        if not lives:
            assert ground.conn.info.transaction_status == TransactionStatus.INERROR
            ground.run(ground.conn.rollback())
        assert len(ground.call(name, count=7, **good)) == 7
    assert raised[0] == raised[1]


def test_notices_come_through(ground: Ground) -> None:
    """What the server says meanwhile reaches the connection's handlers."""
    heard: list[str | None] = []
    ground.conn.add_notice_handler(lambda notice: heard.append(notice.message_primary))
    for _ in range(2):
        ground.call("noisy", count=3000)
        assert heard == ["at 1000", "at 2000", "at 3000"]
        heard.clear()


@pytest.mark.parametrize(
    "change",
    [
        "alter table kept add other text default ''",
        "alter table kept alter number type bigint",
        "alter table kept drop word; alter table kept add word text default 'new'",
    ],
    ids=["added", "retyped", "replaced"],
)
@pytest.mark.parametrize("autocommit", [True], indirect=True)
def test_a_schema_that_changes_is_noticed(ground: Ground, change: str) -> None:
    """Columns that another session adds, retypes or replaces are seen by the next call, as without chunks."""
    ground.execute("drop table kept; create table kept (number integer, word text)")
    ground.call("keep", count=1500)
    for _ in range(2):
        assert len(ground.call("kept")) == 1500
    with psycopg.connect(ground.conn.info.dsn, autocommit=True) as other:
        other.execute(change)
    if "other" in change:
        with pytest.raises(RowError, match="column 'other' has no field in Word"):
            ground.call("kept")
    else:
        rows = ground.call("kept")
        assert {word.word for word in rows} == ({"new"} if "drop" in change else {"kept"})
        assert rows == ground.call("kept")
    ground.execute("drop table kept; create table kept (number integer, word text)")


@pytest.mark.direct("it sets what lasts in a session")
def test_statement_timeout_in_the_middle(ground: Ground) -> None:
    """A statement that takes too long while its rows come is psycopg's error, and the connection goes on."""
    ground.call("slowly", count=1500, quick=1500)
    assert ground.large() == [True]
    ground.execute("set statement_timeout = '300ms'")
    if not ground.conn.autocommit:
        ground.run(ground.conn.commit())
    with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
        ground.call("slowly", count=1500, quick=1200)


def test_in_a_pipeline_of_the_borrowers(tables: str, path: Path) -> None:
    """In a pipeline, where rows cannot come in chunks, they come whole, among the borrower's own statements."""
    queries: Any = sqlkit.load(Large, path)
    with psycopg.connect(tables, autocommit=True) as conn:
        queries.numbers(conn, count=1500)
        with conn.pipeline():
            before = conn.execute("select 1")
            assert queries.numbers(conn, count=1500) == words(1500)
            after = conn.execute("select 2")
            assert (before.fetchone(), after.fetchone()) == ((1,), (2,))
        assert queries.numbers(conn, count=1500) == words(1500)


def test_in_bound_views(tables: str, path: Path) -> None:
    """A bound view, whose statement stands in a pipeline of its own, gives the same rows."""
    queries: Any = sqlkit.load(Large, path)
    with sqlkit.Database.connect(tables, pool_min_size=1, pool_max_size=1) as database:
        view = database.bound(settings={"app.number": "1"})
        for executor in (database, view, database, view):
            assert queries.numbers(executor, count=1500) == words(1500)


def test_the_collector_is_as_it_was(ground: Ground) -> None:
    """It is on again after chunks, after an error among them, and off where it was off."""
    for enabled in (True, False):
        gc.enable() if enabled else gc.disable()
        try:
            for _ in range(2):
                ground.call("with_gap", count=2000, gap=9999)
                assert gc.isenabled() is enabled
            with pytest.raises(RowError):
                ground.call("with_gap", count=2000, gap=1999)
            assert gc.isenabled() is enabled
        finally:
            gc.enable()


def test_it_is_on_while_a_chunk_is_awaited(tables: str, path: Path) -> None:
    """While the server makes its rows slowly, other threads have their collector."""
    queries: Any = sqlkit.load(Large, path)
    with psycopg.connect(tables, autocommit=True) as conn:
        queries.slowly(conn, count=1500, quick=1500)
        thread = threading.Thread(target=lambda: queries.slowly(conn, count=1500, quick=1400))
        thread.start()
        try:
            seen = []
            while thread.is_alive():
                thread.join(0.02)
                seen.append(gc.isenabled())
        finally:
            thread.join()
    assert seen.count(True) > len(seen) / 2


def test_ctrl_c_in_the_middle(tables: str, path: Path) -> None:
    """An interrupt while rows come cancels the statement and leaves a connection that serves on."""
    queries: Any = sqlkit.load(Large, path)
    with psycopg.connect(tables, autocommit=True) as conn:
        queries.slowly(conn, count=1500, quick=1500)
        before = signal.signal(signal.SIGALRM, interrupted)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(KeyboardInterrupt):
                queries.slowly(conn, count=3000, quick=1200)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert conn.info.transaction_status == TransactionStatus.IDLE
        assert queries.numbers(conn, count=2000) == queries.numbers(conn, count=2000) == words(2000)


@pytest.mark.parametrize("delay", [0.001, 0.01, 0.03, 0.05, 0.07, 0.1, 0.13])
def test_ctrl_c_anywhere(tables: str, path: Path, delay: float) -> None:
    """Wherever an interrupt finds a large result, also among its objects, the connection serves on."""
    queries: Any = sqlkit.load(Large, path)
    with psycopg.connect(tables, autocommit=True) as conn:
        queries.numbers(conn, count=2000)
        before = signal.signal(signal.SIGALRM, interrupted)
        try:
            signal.setitimer(signal.ITIMER_REAL, delay)
            with pytest.raises(KeyboardInterrupt):
                queries.numbers(conn, count=200_000)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert conn.info.transaction_status == TransactionStatus.IDLE
        assert gc.isenabled()
        assert queries.numbers(conn, count=2000) == words(2000)


def interrupted(signum: int, frame: object) -> None:
    """Raise what Ctrl-C raises."""
    raise KeyboardInterrupt


def test_a_task_is_cancelled_in_the_middle(tables: str, path: Path) -> None:
    """A task that is cancelled while rows come leaves a connection that serves on."""
    queries: Any = sqlkit.load(AsyncLarge, path)

    async def main() -> None:
        async with await psycopg.AsyncConnection.connect(tables, autocommit=True) as conn:
            await queries.slowly(conn, count=1500, quick=1500)
            task = asyncio.create_task(queries.slowly(conn, count=3000, quick=1200))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert conn.info.transaction_status == TransactionStatus.IDLE
            assert gc.isenabled()
            assert await queries.numbers(conn, count=2000) == words(2000)

    asyncio.run(main())


@pytest.mark.direct("it ends its own server process")
def test_a_connection_that_is_lost_in_the_middle(tables: str, path: Path) -> None:
    """A server process that ends while rows come is an OperationalError."""
    queries: Any = sqlkit.load(Large, path)
    with psycopg.connect(tables, autocommit=True) as conn, psycopg.connect(tables, autocommit=True) as other:
        queries.slowly(conn, count=1500, quick=1500)
        pid = conn.info.backend_pid

        def end() -> None:
            active = "select 1 from pg_stat_activity where pid = %s and state = 'active'"
            assert eventually(lambda: other.execute(active, [pid]).fetchone() is not None)
            other.execute("select pg_terminate_backend(%s)", [pid])

        thread = threading.Thread(target=end)
        thread.start()
        with pytest.raises(psycopg.OperationalError):
            queries.slowly(conn, count=3000, quick=1200)
        thread.join()
        assert conn.closed


def test_through_a_database(tables: str, path: Path) -> None:
    """Threads that share a pool read large results, each its own."""
    queries: Any = sqlkit.load(Large, path)
    with sqlkit.Database.connect(tables, pool_min_size=2, pool_max_size=2) as database:
        found: list[int] = []

        def read(count: int) -> None:
            for _ in range(5):
                assert queries.numbers(database, count=count) == words(count)
                found.append(count)

        threads = [threading.Thread(target=read, args=[count]) for count in (1200, 1700, 3, 2500)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == sorted([1200, 1700, 3, 2500] * 5)
        assert database.status().checked_out == 0
    assert gc.isenabled()
