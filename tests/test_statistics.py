"""What the queries of a Database have done, in the process: ``db.statistics()``."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from pydantic import BaseModel

import sqlkit
from sqlkit import (
    Affected,
    ArgumentError,
    AsyncDatabase,
    AsyncExecutor,
    AsyncRows,
    Database,
    Executor,
    NoRow,
    RowError,
    Rows,
    TooManyRows,
    execute,
    fetch_all,
)
from sqlkit.caching import Cache, MemoryTier, cached
from sqlkit.statistics import Event, QueryStatistics, Statistics, upper_bound

SQL = """
-- name: numbers
select generate_series(1, :n::int);

-- name: first
select number from generate_series(:low::int, :high::int) as number;

-- name: maybe
select number from generate_series(1, :n::int) as number;

-- name: flow
select generate_series(1, :n::int);

-- name: make
create table words (word text primary key);

-- name: add
insert into words (word) values (:word);

-- name: keep
insert into words (word) values (:word) returning word;

-- name: add_all
insert into words (word) values (:word);

-- name: fill
copy words (word) from stdin;

-- name: divide
select 1 / :n::int;

-- name: nothing_fits
select 'infinity'::date;

-- name: sleep
select pg_sleep(:seconds)::text;
"""


class Word(BaseModel):
    word: str


class Queries(Protocol):
    def numbers(self, db: Executor, *, n: int) -> list[int]: ...
    def first(self, db: Executor, *, low: int = 1, high: int = 1) -> int: ...
    def maybe(self, db: Executor, *, n: int) -> int | None: ...
    def flow(self, db: Executor, *, n: int) -> Rows[int]: ...
    def make(self, db: Executor) -> None: ...
    def add(self, db: Executor, *, word: str) -> Affected: ...
    def keep(self, db: Executor, *, word: str) -> str: ...
    def add_all(self, db: Executor, words: Iterable[Word]) -> Affected: ...
    def fill(self, db: Executor, words: Iterable[Word]) -> Affected: ...
    def divide(self, db: Executor, *, n: int) -> int: ...
    def nothing_fits(self, db: Executor) -> sqlkit.One[object]: ...
    def sleep(self, db: Executor, *, seconds: float) -> str: ...


class AsyncQueries(Protocol):
    async def numbers(self, db: AsyncExecutor, *, n: int) -> list[int]: ...
    def flow(self, db: AsyncExecutor, *, n: int) -> AsyncRows[int]: ...
    async def make(self, db: AsyncExecutor) -> None: ...
    async def add_all(self, db: AsyncExecutor, words: Iterable[Word]) -> Affected: ...
    async def fill(self, db: AsyncExecutor, words: Iterable[Word]) -> Affected: ...
    async def divide(self, db: AsyncExecutor, *, n: int) -> int: ...
    async def sleep(self, db: AsyncExecutor, *, seconds: float) -> str: ...


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file."""
    path = tmp_path_factory.mktemp("project") / "sql" / "shop" / "words.sql"
    path.parent.mkdir(parents=True)
    path.write_text(SQL, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def queries(path: Path) -> Queries:
    """Give the queries."""
    loaded: Queries = sqlkit.load(Queries, path)
    return loaded


@pytest.fixture(scope="module")
def async_queries(path: Path) -> AsyncQueries:
    """Give the same on asyncio."""
    loaded: AsyncQueries = sqlkit.load(AsyncQueries, path)
    return loaded


@pytest.fixture
def db(dsn: str) -> Iterator[Database]:
    """Give an empty database."""
    with Database.connect(dsn, pool_max_size=2) as database:
        yield database


def figures(db: Database, name: str) -> tuple[int, int, dict[str, int]]:
    """Return calls, rows and errors of a query."""
    found = db.statistics()[name]
    assert sum(found.histogram) == found.calls
    return found.calls, found.rows, dict(found.errors)


# Calls, rows, errors, time.


def test_query_is_known_by_its_name_and_place(db: Database, queries: Queries, path: Path) -> None:
    """The name is that which the server sees, the place leads back to the file."""
    queries.numbers(db, n=3)
    (found,) = db.statistics()
    assert (found.name, found.place) == ("shop.words.numbers", f"{path}:2")
    assert (found.calls, found.rows, found.hits, found.errors, found.failed) == (1, 3, 0, {}, 0)


@pytest.mark.parametrize(
    ("call", "name", "rows"),
    [
        (lambda queries, db: queries.numbers(db, n=7), "numbers", 7),
        (lambda queries, db: queries.first(db), "first", 1),
        (lambda queries, db: queries.maybe(db, n=1), "maybe", 1),
        (lambda queries, db: queries.maybe(db, n=0), "maybe", 0),
        (lambda queries, db: list(queries.flow(db, n=2500)), "flow", 2500),
        (lambda queries, db: queries.make(db), "make", 0),
    ],
    ids=["all", "one", "optional", "none", "stream", "nothing"],
)
def test_rows_are_counted(
    db: Database, queries: Queries, call: Callable[[Queries, Database], object], name: str, rows: int
) -> None:
    """Whatever a call promises, the rows that it returned are added up, call by call."""
    call(queries, db)
    assert figures(db, name) == (1, rows, {})
    if name != "make":
        call(queries, db)
        assert figures(db, name) == (2, 2 * rows, {})


def test_writes_are_counted(db: Database, queries: Queries) -> None:
    """Affected rows count as rows: of single calls, and of a batch or a copy, which is one call."""
    queries.make(db)
    queries.add(db, word="a")
    assert queries.keep(db, word="b") == "b"
    queries.add_all(db, [Word(word=f"{number}") for number in range(1500)])
    queries.fill(db, [Word(word=f"copied {number}") for number in range(20)])
    found = db.statistics()
    assert {query.name.rpartition(".")[2]: (query.calls, query.rows) for query in found} == {
        "make": (1, 0),
        "add": (1, 1),
        "keep": (1, 1),
        "add_all": (1, 1500),
        "fill": (1, 20),
    }


@pytest.mark.parametrize(
    ("call", "name", "error"),
    [
        (lambda queries, db: queries.divide(db, n=0), "divide", "DivisionByZero"),
        (lambda queries, db: queries.first(db, low=2), "first", "NoRow"),
        (lambda queries, db: queries.first(db, high=2), "first", "TooManyRows"),
        (lambda queries, db: queries.nothing_fits(db), "nothing_fits", "RowError"),
        (lambda queries, db: queries.divide(db, n="\ud800"), "divide", "ArgumentError"),
        (lambda queries, db: list(queries.flow(db, n=2**40)), "flow", "NumericValueOutOfRange"),
        (lambda queries, db: queries.add_all(db, [Word(word="a")]), "add_all", "UndefinedTable"),
        (lambda queries, db: queries.fill(db, [Word(word="a")]), "fill", "UndefinedTable"),
    ],
)
def test_errors_are_counted_by_their_class(
    db: Database, queries: Queries, call: Callable[[Queries, Database], object], name: str, error: str
) -> None:
    """A call that failed is one of the calls, returned no rows, and says how it failed; again the second time."""
    for times in (1, 2):
        with pytest.raises((psycopg.Error, NoRow, TooManyRows, RowError, ArgumentError)):
            call(queries, db)
        assert figures(db, name) == (times, 0, {error: times})
        assert db.statistics()[name].failed == times


def test_time_is_a_histogram(db: Database, queries: Queries) -> None:
    """Each call is in the bucket of its time, whose bounds are powers of two; mean and quantiles come from them."""
    for _ in range(9):
        queries.sleep(db, seconds=0.0)
    queries.sleep(db, seconds=0.15)
    found = db.statistics()["sleep"]
    slow = [bucket for bucket, calls in enumerate(found.histogram) if calls and upper_bound(bucket) > 0.15]
    assert [found.histogram[bucket] for bucket in slow] == [1]
    assert 0.15 <= found.quantile(1.0) == upper_bound(slow[0]) <= 0.6
    assert found.quantile(0.5) < 0.15 <= found.seconds < 2
    assert found.mean == found.seconds / 10


@pytest.mark.parametrize(
    ("nanoseconds", "bucket"), [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (1_000_000, 20), (2**40, 41)]
)
def test_bounds_of_buckets(nanoseconds: int, bucket: int) -> None:
    """A bucket has what took less than its bound, and no less than the bound before."""
    assert nanoseconds.bit_length() == bucket
    assert nanoseconds / 1e9 < upper_bound(bucket)
    assert bucket == 0 or nanoseconds / 1e9 >= upper_bound(bucket - 1) or nanoseconds == 0


def test_statistics_without_calls() -> None:
    """What was never called has a mean and quantiles of nothing."""
    empty = QueryStatistics("a.b", "a.sql:1")
    assert (empty.mean, empty.quantile(0.95), empty.seconds) == (0.0, 0.0, 0.0)


# Where calls run.


def test_blocks_transactions_and_views_count_for_their_database(db: Database, queries: Queries) -> None:
    """Whatever lends the connection, the figures are the database's."""
    with db.connection() as conn:
        queries.numbers(conn, n=1)
    with db.transaction() as conn:
        queries.numbers(conn, n=1)
        list(queries.flow(conn, n=5))
    db.run(lambda conn: queries.numbers(conn, n=1))
    queries.numbers(db.bound(settings={"app.tenant": "1"}), n=1)
    queries.numbers(db, n=1)
    assert figures(db, "numbers") == (5, 5, {})
    assert figures(db, "flow") == (1, 5, {})


def test_other_databases_and_connections_count_for_themselves(db: Database, dsn: str, queries: Queries) -> None:
    """A second Database has figures of its own, a psycopg connection of one's own has none."""
    with Database.connect(dsn) as other, psycopg.connect(dsn) as conn:
        queries.numbers(other, n=2)
        queries.numbers(conn, n=3)
        assert len(db.statistics()) == 0
        assert figures(other, "numbers") == (1, 2, {})


def test_ad_hoc_sql_is_counted_together(db: Database) -> None:
    """Statements without a name are one entry, however many there are: their number has no bound."""
    for number in range(20):
        fetch_all(db, int, f"select {number}")
    execute(db, "create table t ()")
    (found,) = db.statistics()
    assert (found.name, found.place, found.calls, found.rows) == ("ad hoc", "", 21, 20)


def test_figures_outlive_their_connections(db: Database, queries: Queries) -> None:
    """What a connection counted that is closed since is still there."""
    for _ in range(5):
        queries.numbers(db, n=2)
        with suppress(psycopg.Error), db.connection() as conn:
            conn.close()
    gc.collect()
    assert figures(db, "numbers") == (5, 10, {})
    queries.numbers(db, n=2)
    assert figures(db, "numbers") == (6, 12, {})


def test_a_file_that_is_loaded_twice_is_one(db: Database, queries: Queries, path: Path) -> None:
    """Two objects of one file add up."""
    again: Queries = sqlkit.load(Queries, path)
    queries.numbers(db, n=2)
    again.numbers(db, n=3)
    assert figures(db, "numbers") == (2, 5, {})


def test_streams_count_at_their_end(db: Database, queries: Queries) -> None:
    """A stream is one call when it ends, with what was read; one that is closed early is no error."""
    with queries.flow(db, n=5000) as rows:
        assert next(rows) == 1
        assert len(db.statistics()) == 0
    calls, read, errors = figures(db, "flow")
    assert (calls, errors) == (1, {})
    assert 1 <= read < 5000


def test_the_time_of_a_stream_is_not_its_readers(db: Database, queries: Queries) -> None:
    """What the reader does between two rows is not the database's time."""
    for row in queries.flow(db, n=3):
        time.sleep(0.05 if row else 0)
    assert db.statistics()["flow"].seconds < 0.1


def test_what_a_reader_raises_is_no_error_of_the_query(db: Database, queries: Queries) -> None:
    """A loop that fails over the rows of a stream ends it as a loop that is left does."""
    rows = queries.flow(db, n=5000)

    def read() -> None:
        with rows:
            raise KeyError(next(rows))

    with pytest.raises(KeyError):
        read()
    assert figures(db, "flow")[2] == {}


def test_an_interrupted_call_is_counted(db: Database, queries: Queries) -> None:
    """Ctrl-C in the middle of a call is a call that failed, and its time is known."""
    timer = threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT])
    queries.numbers(db, n=1)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        queries.sleep(db, seconds=30)
    timer.join()
    found = db.statistics()["sleep"]
    assert (found.calls, found.rows, found.failed) == (1, 0, 1)
    assert 0.1 <= found.seconds < 10


# On asyncio.


def on_asyncio(dsn: str, body: Callable[[AsyncDatabase], Any], **settings: Any) -> Any:
    """Run a body with a database."""

    async def run() -> Any:
        async with AsyncDatabase.connect(dsn, pool_max_size=2, **settings) as db:
            return await body(db)

    return asyncio.run(run())


def test_all_kinds_of_calls_on_asyncio(dsn: str, async_queries: AsyncQueries) -> None:
    """Single calls, streams, batches, copies and errors are counted as on threads."""

    async def body(db: AsyncDatabase) -> Statistics:
        await async_queries.numbers(db, n=3)
        async with db.transaction() as conn:
            await async_queries.numbers(conn, n=3)
        assert [row async for row in async_queries.flow(db, n=2500)][-1] == 2500
        await async_queries.make(db)
        await async_queries.add_all(db, [Word(word="a"), Word(word="b")])
        await async_queries.fill(db, [Word(word="c")])
        for _ in range(2):
            with suppress(psycopg.errors.DivisionByZero):
                await async_queries.divide(db, n=0)
        with suppress(psycopg.errors.UniqueViolation):
            await async_queries.fill(db, [Word(word="c")])
        return db.statistics()

    found = on_asyncio(dsn, body)
    assert {query.name.rpartition(".")[2]: (query.calls, query.rows, query.errors) for query in found} == {
        "numbers": (2, 6, {}),
        "flow": (1, 2500, {}),
        "make": (1, 0, {}),
        "add_all": (1, 2, {}),
        "fill": (2, 1, {"UniqueViolation": 1}),
        "divide": (2, 0, {"DivisionByZero": 2}),
    }


def test_cancelled_calls_are_errors(dsn: str, async_queries: AsyncQueries) -> None:
    """A call whose task was cancelled is counted as one that failed."""

    async def body(db: AsyncDatabase) -> Statistics:
        await async_queries.sleep(db, seconds=0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(async_queries.sleep(db, seconds=30), 0.1)
        return db.statistics()

    found = on_asyncio(dsn, body)["sleep"]
    assert (found.calls, found.rows, found.failed) == (2, 1, 1)
    assert set(found.errors) <= {"CancelledError", "QueryCanceled"}
    assert 0.1 <= found.seconds < 5


def test_many_tasks_lose_no_call(dsn: str, async_queries: AsyncQueries) -> None:
    """Forty tasks on two connections: every call is counted once."""

    async def body(db: AsyncDatabase) -> Statistics:
        await asyncio.gather(*(async_queries.numbers(db, n=2) for _ in range(40)))
        return db.statistics()

    found = on_asyncio(dsn, body)["numbers"]
    assert (found.calls, found.rows) == (40, 80)


# Threads.


def test_many_threads_lose_no_call(dsn: str, queries: Queries) -> None:
    """Eight threads call while another reads: the figures only grow, and in the end none is missing."""
    with Database.connect(dsn, pool_max_size=4) as db:

        def work() -> None:
            for number in range(150):
                queries.numbers(db, n=2)
                if number % 10 == 0:
                    with suppress(psycopg.errors.DivisionByZero):
                        queries.divide(db, n=0)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        seen = [0]
        while any(thread.is_alive() for thread in threads):
            seen.append(sum(query.calls for query in db.statistics()))
            time.sleep(0.005)
        for thread in threads:
            thread.join()
        assert seen == sorted(seen)
        assert figures(db, "numbers") == (1200, 2400, {})
        assert figures(db, "divide") == (120, 0, {"DivisionByZero": 120})


# Reset.


def test_reset_counts_anew(db: Database, queries: Queries) -> None:
    """What was counted is returned once, and the time since which is counted moves on."""
    queries.numbers(db, n=2)
    with suppress(psycopg.errors.DivisionByZero):
        queries.divide(db, n=0)
    first = db.statistics(reset=True)
    assert {query.name: query.calls for query in first} == {"shop.words.numbers": 1, "shop.words.divide": 1}
    assert len(db.statistics()) == 0
    assert db.statistics().since > first.since
    queries.numbers(db, n=3)
    assert figures(db, "numbers") == (1, 3, {})


def test_reset_loses_no_call(dsn: str, queries: Queries) -> None:
    """While threads call, resets follow one another: each call is in one of what they return."""
    with Database.connect(dsn, pool_max_size=4) as db:
        threads = [threading.Thread(target=lambda: [queries.numbers(db, n=1) for _ in range(200)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        taken = []
        while any(thread.is_alive() for thread in threads):
            taken.append(db.statistics(reset=True))
            time.sleep(0.002)
        taken.append(db.statistics(reset=True))
        assert len(taken) > 3
        assert sum(query.calls for found in taken for query in found) == 800
        assert sum(query.rows for found in taken for query in found) == 800


def test_slowest_come_first(db: Database, queries: Queries) -> None:
    """The queries are in the order of the time that they took altogether."""
    queries.numbers(db, n=1)
    queries.sleep(db, seconds=0.05)
    assert [query.name for query in db.statistics()] == ["shop.words.sleep", "shop.words.numbers"]


def test_a_query_that_is_not_there(db: Database, queries: Queries) -> None:
    """A name that no query has, or that two end with, is a KeyError that says which there are."""
    queries.numbers(db, n=1)
    found = db.statistics()
    assert found["numbers"] is found["words.numbers"] is found["shop.words.numbers"]
    with pytest.raises(KeyError, match=r"umbers: no query of that name was called; there are: shop\.words\.numbers'"):
        found["umbers"]
    two = replace(found, queries=tuple(replace(found["numbers"], name=name) for name in ("a.b.numbers", "c.d.numbers")))
    with pytest.raises(KeyError, match=r"numbers: 2 queries end so: a\.b\.numbers, c\.d\.numbers'"):
        two["numbers"]
    with pytest.raises(KeyError, match=r"there are: none'"):
        replace(found, queries=())["numbers"]


# Caches.


def test_cache_hits_are_counted(db: Database, queries: Queries) -> None:
    """A call that a cache answers is a hit of its query, not a call; reset takes them too."""
    numbers = cached(queries.numbers, Cache(MemoryTier()))
    for _ in range(4):
        assert numbers(db, n=2) == [1, 2]
    found = db.statistics(reset=True)["numbers"]
    assert (found.calls, found.hits, found.rows) == (1, 3, 2)
    numbers(db, n=2)
    again = db.statistics()["numbers"]
    assert (again.calls, again.hits) == (0, 1)


# Settings.


def test_statistics_can_be_switched_off(dsn: str, queries: Queries) -> None:
    """With ``statistics=False`` nothing is counted."""
    with Database.connect(dsn, statistics=False) as db:
        queries.numbers(db, n=1)
        list(queries.flow(db, n=1))
        assert len(db.statistics()) == 0


# The log.


def test_slow_statement_is_logged(dsn: str, queries: Queries, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A statement above ``slow_after`` is a line with its name and ``file:line``; one below it is none."""
    with caplog.at_level(logging.WARNING, "sqlkit.queries"), Database.connect(dsn, slow_after=0.08) as db:
        queries.numbers(db, n=1)
        queries.sleep(db, seconds=0.1)
    line = path.read_text(encoding="utf-8").splitlines().index("-- name: sleep") + 1
    (message,) = caplog.messages
    assert message.startswith(f"{path}:{line}: sleep: slow: 0.1")
    assert message.endswith(" s, 1 row (shop.words.sleep)")


def test_slow_failure_is_logged_without_values(dsn: str, queries: Queries, caplog: pytest.LogCaptureFixture) -> None:
    """A slow statement that fails is logged by the class of its error; what it was given stands nowhere."""
    with Database.connect(dsn, slow_after=1e-9) as db, caplog.at_level(logging.WARNING, "sqlkit.queries"):
        queries.make(db)
        queries.fill(db, [Word(word="secret")])
        with pytest.raises(psycopg.errors.UniqueViolation):
            queries.add(db, word="secret")
        with pytest.raises(psycopg.errors.UniqueViolation):
            queries.fill(db, [Word(word="secret")])
        list(queries.flow(db, n=71077))
        fetch_all(db, str, "select :word::text", word="secret")
    assert [message.rpartition(" s, ")[2] for message in caplog.messages] == [
        "0 rows (shop.words.make)",
        "1 row (shop.words.fill)",
        "UniqueViolation (shop.words.add)",
        "UniqueViolation (shop.words.fill)",
        "71077 rows (shop.words.flow)",
        "1 row (ad hoc)",
    ]
    assert "secret" not in caplog.text


def test_slow_statement_on_asyncio(dsn: str, async_queries: AsyncQueries, caplog: pytest.LogCaptureFixture) -> None:
    """An AsyncDatabase logs as well."""
    with caplog.at_level(logging.WARNING, "sqlkit.queries"):
        on_asyncio(dsn, lambda db: async_queries.sleep(db, seconds=0.1), slow_after=0.08, statistics=False)
    assert [message.rpartition(" s, ")[2] for message in caplog.messages] == ["1 row (shop.words.sleep)"]


def test_an_observer_that_fails_spoils_no_call(
    db: Database, queries: Queries, caplog: pytest.LogCaptureFixture
) -> None:
    """What an observer raises is logged with the place of the query; the call returns what it would."""
    seen: list[int] = []

    def observe(event: Event) -> None:
        seen.append(event.rows)
        raise KeyError("the observer's own")

    leave = db.tally.observe(observe)
    with caplog.at_level(logging.WARNING, "sqlkit.queries"):
        assert queries.numbers(db, n=3) == [1, 2, 3]
        with pytest.raises(psycopg.errors.DivisionByZero):
            queries.divide(db, n=0)
        leave()
        queries.numbers(db, n=1)
    assert seen == [3, 0]
    assert [message.rpartition(": ")[2] for message in caplog.messages] == ["an observer failed"] * 2
