"""Replicas: which reads they serve, when they are left and taken back, and reads that see what was written."""

from __future__ import annotations

import asyncio
import os
import random
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI, Request, Response
from psycopg import errors as e
from psycopg_pool import PoolClosed
from starlette.middleware.base import RequestResponseEndpoint
from typer.testing import CliRunner

from sqlkit import AsyncDatabase, Database, load
from sqlkit.caching import Cache, MemoryTier, cached
from sqlkit.cli.app import app
from sqlkit.database import ReplicaStatus
from sqlkit.database.positions import Position, Positions, parsed_token, settled_end, written_token
from sqlkit.database.sync_pool import Pool
from sqlkit.errors import ArgumentError, SqlFileError
from sqlkit.testing import TestServer
from tests.replica_queries import TABLES, Found, Queries, async_queries, queries
from tests.standby import Pair, primary_and_standby

POOL = {"pool_max_size": 8, "pool_timeout": 10, "connect_timeout": 5}
SOON = 10.0  # seconds in which whatever is to happen soon happens, on a busy machine too


@pytest.fixture(scope="module")
def pair(server: TestServer) -> Iterator[Pair]:
    """Give a primary and a standby for this module."""
    with primary_and_standby(server.bindir) as pair:
        pair.run(TABLES, "create role plain login", "grant all on notes to plain")
        pair.catch_up()
        yield pair


@pytest.fixture
def db(pair: Pair) -> Iterator[Database]:
    """Give a Database with one replica, and look that nothing is out afterwards."""
    with Database.connect(pair.dsn, replicas=[pair.standby.dsn], **POOL) as database:
        wait_until(lambda: serving(database))
        yield database
        status = database.status()
        assert [status.checked_out, *(one.checked_out for one in status.replicas)] == [0, 0]


def serving(db: Database | AsyncDatabase) -> bool:
    """Tell whether each replica serves."""
    return all(one.serving for one in db.status().replicas)


def wait_until(holds: Callable[[], object]) -> None:
    """Wait until something holds; fail if it does not soon."""
    deadline = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.005)


def of_replica(server: str) -> bool:
    """Tell whether that is the name of a standby."""
    return server.startswith("standby")


# Which statements go where.


def test_marked_reads_go_to_a_replica(db: Database) -> None:
    """A statement marked `replica: ok`, run on the Database itself, is answered by the replica."""
    assert of_replica(queries.here(db))


def test_unmarked_reads_go_to_the_primary(db: Database) -> None:
    """A statement without the mark is answered by the primary."""
    assert not of_replica(queries.unmarked(db))


@pytest.mark.parametrize("block", ["transaction", "connection"])
def test_blocks_are_the_primarys(db: Database, block: str) -> None:
    """Everything inside `transaction()` and `connection()` goes to the primary, marked or not."""
    with getattr(db, block)() as conn:
        assert not of_replica(queries.here(conn))
        assert conn.execute("select pg_is_in_recovery()").fetchone() == (False,)


def test_run_is_the_primarys(db: Database) -> None:
    """The work of `run` goes to the primary."""
    assert not of_replica(db.run(queries.here))


def test_writes_go_to_the_primary(db: Database, pair: Pair) -> None:
    """A write on the Database itself reaches the primary."""
    assert queries.write(db, author="writes", n=1) == 1
    with psycopg.connect(pair.dsn) as conn:
        assert conn.execute("select n from notes where author = 'writes'").fetchall() == [(1,)]


def test_bound_views_use_replicas(db: Database) -> None:
    """A bound view's marked reads go to the replica, with the view's schema and settings."""
    view = db.bound(schema="tenant_7", settings={"app.n": "7"})
    found = queries.tenant(view)
    assert (of_replica(found.server), found.n) == (True, 7)


def test_streams_use_replicas(db: Database) -> None:
    """A marked stream is read from the replica, whose connection comes back at its end."""
    with queries.counting(db, last=3000) as rows:
        found = next(iter(rows))
        assert (of_replica(found.server), found.n) == (True, 1)
        assert db.status().replicas[0].checked_out == 1
    assert db.status().replicas[0].checked_out == 0


def test_a_lag_that_cannot_be_known_is_the_primarys(db: Database) -> None:
    """A read that asks for less lag than the replica can be known to have goes to the primary."""
    time.sleep(0.01)
    assert Counter(of_replica(queries.here_at_once(db)) for _ in range(20))[False] > 15


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("delete from songs", "the statement writes"),
        ("insert into songs (title) values (:title) returning song_id", "the statement writes"),
        ("with gone as (delete from songs returning song_id) select song_id from gone", "the statement writes"),
        ("select song_id from songs for no key update", "the statement locks rows"),
        ("call refresh()", "the statement writes"),
    ],
)
def test_a_marked_write_is_an_error_at_load(tmp_path: Path, sql: str, reason: str) -> None:
    """A statement that writes or locks and is marked `replica: ok` is refused, with the place of the mark."""
    path = tmp_path / "q.sql"
    path.write_text(f"-- name: q\n-- Doc.\n--@ replica: ok 2s\n{sql};\n")
    with pytest.raises(SqlFileError, match=f"q.sql:3:1: replica: ok, but {reason}"):
        load(Queries, path)


def test_a_function_that_writes_is_refused(db: Database) -> None:
    """A marked select whose function writes is refused by the replica, and a note says what to do."""
    with pytest.raises(e.ReadOnlySqlTransaction) as caught:
        queries.next_number(db)
    assert any("take its `replica: ok` away" in note for note in caught.value.__notes__)


def test_few_rights_are_enough(pair: Pair) -> None:
    """A role without any right but to read uses replicas, too."""
    plain = [dsn.replace("postgres@", "plain@") for dsn in (pair.dsn, pair.standby.dsn)]
    with Database.connect(plain[0], replicas=plain[1:]) as db:
        wait_until(lambda: of_replica(queries.here(db)))


def test_a_replica_inherits_the_schema(pair: Pair) -> None:
    """A replica's connections have the search path and timeouts of the settings, are read-only, and soon give up."""
    with Database.connect(pair.dsn, replicas=[pair.standby.dsn], schema="tenant_7", statement_timeout=7) as db:
        wait_until(lambda: serving(db))
        conn = db._pool.pools[0].lend("test")  # type: ignore[attr-defined]
        try:
            shown = [conn.execute(f"show {name}").fetchone() for name in ("search_path", "statement_timeout")]
            assert shown == [('"tenant_7", extensions',), ("7s",)]
            assert conn.execute("show default_transaction_read_only").fetchone() == ("on",)
            assert conn.info.get_parameters()["tcp_user_timeout"] == "5000"
        finally:
            db._pool.take_back(conn)


def test_reads_are_spread_by_fewest_in_use(pair: Pair) -> None:
    """Of two replicas each read goes to the one with fewer connections in use."""
    with ExitStack() as stack:
        second = pair.add()
        stack.callback(lambda: pair.standbys.remove(second))
        stack.callback(second.stop)
        pair.catch_up()
        with Database.connect(pair.dsn, replicas=[pair.standby.dsn, second.dsn], **POOL) as db, ExitStack() as open_:
            wait_until(lambda: serving(db))
            servers: Counter[str] = Counter()
            for _ in range(8):
                rows = iter(open_.enter_context(queries.counting(db, last=5000)))
                servers[next(rows).server] += 1
            assert servers == {"standby_0": 4, "standby_1": 4}


# What is left, and taken back.


def test_a_paused_replica_is_left_by_reads_that_ask_for_less_lag(db: Database, pair: Pair) -> None:
    """Reads that ask for less lag leave a replica that replays no more; those that do not, stay; all come back."""
    wait_until(lambda: of_replica(queries.here_lately(db)))
    pair.standby.pause()
    try:
        started = time.monotonic()
        wait_until(lambda: queries.write(db, author="paused", n=1) and not of_replica(queries.here_lately(db)))
        left_after = time.monotonic() - started
        assert of_replica(queries.here(db))
        assert not of_replica(queries.here_lately(db))
    finally:
        pair.standby.resume()
    assert left_after < 1.0  # the bound that is promised: 0.6 s, and what was known of it when it was paused
    wait_until(lambda: of_replica(queries.here_lately(db)))


def test_the_lag_of_a_statement_without_one_is_bounded_too(pair: Pair) -> None:
    """`replica_max_lag` bounds the lag for statements that name none."""
    with Database.connect(pair.dsn, replicas=[pair.standby.dsn], replica_max_lag=0.5, replica_ask_every=0.05) as db:
        wait_until(lambda: of_replica(queries.here(db)))
        pair.standby.pause()
        try:
            wait_until(lambda: queries.write(db, author="bounded", n=1) and not of_replica(queries.here(db)))
        finally:
            pair.standby.resume()
        wait_until(lambda: of_replica(queries.here(db)))


def test_an_idle_primary_makes_no_lag(db: Database) -> None:
    """While nothing is written a replica does not come to lag."""
    wait_until(lambda: of_replica(queries.here_lately(db)))
    for _ in range(10):
        time.sleep(0.1)
        assert of_replica(queries.here_lately(db))


@pytest.mark.parametrize("kindly", [True, False], ids=["restarted", "crashed"])
def test_a_restarted_replica_is_left_and_taken_back(db: Database, pair: Pair, kindly: bool) -> None:
    """While a replica is away its reads go to the primary, none fails, and it is taken back by itself."""
    servers: list[str] = []
    over = threading.Event()

    def reader() -> None:
        while not over.is_set():
            servers.append(queries.here(db))

    with ThreadPoolExecutor(4) as threads:
        readers = [threads.submit(reader) for _ in range(4)]
        try:
            time.sleep(0.2)
            pair.standby.stop(kindly=kindly)
            away = len(servers)
            wait_until(lambda: len(servers) > away + 50)
            assert not any(map(of_replica, servers[away + 4 :]))
            assert not db.status().replicas[0].serving
            pair.standby.start()
            wait_until(lambda: of_replica(servers[-1]))
        finally:
            over.set()
            pair.standby.be_there()
        for one in readers:
            one.result(timeout=SOON)
    wait_until(lambda: serving(db))


def test_a_call_goes_on_elsewhere_when_its_replica_dies(db: Database, pair: Pair) -> None:
    """A read under way on a replica that is killed is answered by the primary; no error reaches the caller."""
    with psycopg.connect(pair.dsn, autocommit=True) as conn:
        conn.execute("insert into slow_rows select n from generate_series(1, 20) as n")
    pair.catch_up()
    try:
        with ThreadPoolExecutor(1) as threads:
            under_way = threads.submit(queries.slowly, db)
            wait_until(lambda: db.status().replicas[0].checked_out)
            time.sleep(0.1)
            pair.standby.stop(kindly=False)
            found = under_way.result(timeout=SOON)
        assert (of_replica(found.server), found.n) == (False, 20)
    finally:
        pair.standby.be_there()
        pair.run("truncate slow_rows")


def test_a_stream_goes_on_elsewhere_before_its_first_row(db: Database, pair: Pair) -> None:
    """A stream whose replica dies before it has given a row is read from the primary."""
    pair.run("insert into slow_rows select n from generate_series(1, 20) as n")
    pair.catch_up()

    def read() -> list[Found]:
        with queries.counting_slowly(db) as rows:
            return list(rows)

    try:
        with ThreadPoolExecutor(1) as threads:
            under_way = threads.submit(read)
            wait_until(lambda: db.status().replicas[0].checked_out)
            time.sleep(0.1)
            pair.standby.stop(kindly=False)
            found = under_way.result(timeout=SOON)
        assert [(of_replica(one.server), one.n) for one in found] == [(False, n) for n in range(1, 21)]
    finally:
        pair.standby.be_there()
        pair.run("truncate slow_rows")


def test_a_stream_whose_replica_dies_later_says_so(db: Database, pair: Pair) -> None:
    """A stream that has given rows cannot begin again elsewhere: the error is raised."""
    with queries.counting(db, last=10_000_000) as rows:
        assert of_replica(next(iter(rows)).server)
        pair.standby.stop(kindly=False)
        try:
            with pytest.raises(psycopg.OperationalError):
                list(rows)
        finally:
            pair.standby.be_there()


def test_a_read_in_the_way_of_the_replay_goes_on_elsewhere(db: Database, pair: Pair) -> None:
    """A read that a replica cancels, since it is in the way of the replay, is answered by the primary."""
    pair.run("insert into slow_rows select n from generate_series(1, 40) as n")
    pair.catch_up()
    with ThreadPoolExecutor(1) as threads:
        under_way = threads.submit(queries.slowly, db)
        wait_until(lambda: db.status().replicas[0].checked_out)
        time.sleep(0.1)
        pair.run("truncate slow_rows")
        found = under_way.result(timeout=SOON)
    assert (of_replica(found.server), found.n) == (False, 0)


def test_what_a_replica_does_not_have_yet_is_the_primarys(db: Database, pair: Pair) -> None:
    """A statement on a table that a replica has not replayed yet is answered by the primary."""
    pair.standby.pause()
    try:
        pair.run("create table newcomers (n bigint)", "insert into newcomers values (3)")
        assert [(of_replica(found.server), found.n) for found in queries.newcomers(db)] == [(False, 3)]
    finally:
        pair.standby.resume()
        pair.run("drop table newcomers")


def test_an_error_of_the_statement_is_raised(db: Database) -> None:
    """What the primary says of a statement that no server can run is raised as ever, with the statement's name."""
    with pytest.raises(e.UndefinedTable) as caught:
        queries.newcomers(db)
    assert any("newcomers" in note for note in caught.value.__notes__)


def test_a_frozen_replica_is_left(db: Database, pair: Pair) -> None:
    """A replica that keeps its connections and does not answer gets no new reads."""
    queries.here(db)
    pair.standby.freeze()
    try:
        wait_until(lambda: not db.status().replicas[0].serving)
        assert not of_replica(queries.here(db))
    finally:
        pair.standby.thaw()
    wait_until(lambda: of_replica(queries.here(db)))


def test_a_database_opens_while_its_replica_is_away(pair: Pair) -> None:
    """A replica that is down when the Database opens is taken when it comes."""
    pair.standby.stop()
    try:
        with Database.connect(pair.dsn, replicas=[pair.standby.dsn], **POOL) as db:
            assert not of_replica(queries.here(db))
            status = db.status().replicas[0]
            assert (status.serving, status.lag) == (False, None)
            assert status.reason
            pair.standby.start()
            wait_until(lambda: of_replica(queries.here(db)))
    finally:
        pair.standby.be_there()


def test_a_primary_is_no_replica(pair: Pair) -> None:
    """A server that is no standby gets no reads as a replica."""
    with Database.connect(pair.dsn, replicas=[pair.dsn]) as db:
        assert not of_replica(queries.here(db))
        assert db.status().replicas[0].reason == "it is no standby: it was promoted, or is the primary"


def test_a_standby_of_another_cluster_is_no_replica(pair: Pair, server: TestServer) -> None:
    """Positions mean nothing in another cluster, so its standby is left."""
    with Database.connect(server.dsn, replicas=[pair.standby.dsn]) as db:
        assert not of_replica(queries.here(db))
        wait_until(lambda: "another cluster" in (db.status().replicas[0].reason or ""))


def test_a_replica_that_lags_too_much_says_so(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """A replica that lags more than `replica_max_lag` is shown and logged as left, until it has caught up."""
    with Database.connect(pair.dsn, replicas=[pair.standby.dsn], replica_max_lag=0.3, replica_ask_every=0.05) as db:
        wait_until(lambda: serving(db))
        pair.standby.pause()
        try:
            wait_until(lambda: queries.write(db, author="says", n=1) and not serving(db))
            status = db.status().replicas[0]
            assert status.reason == "it lags by more than 0.3 s"
            assert status.lag
            assert status.lag > 0.3
            wait_until(lambda: "the replica is left: it lags by more than 0.3 s" in caplog.text)
        finally:
            pair.standby.resume()
        wait_until(lambda: serving(db))


def test_a_cache_is_filled_from_the_primary(db: Database, pair: Pair) -> None:
    """What a cache keeps is read from the primary: a replica may not have the write that emptied the cache."""
    kept = Cache(MemoryTier())
    latest = cached(queries.latest, kept, tags=["author:{author}"])
    assert latest(db, author="kept").n == 0
    pair.standby.pause()
    try:
        queries.write(db, author="kept", n=1)
        kept.invalidate("author:kept")
        assert of_replica(queries.latest(db, author="kept").server)
        assert latest(db, author="kept").n == 1
    finally:
        pair.standby.resume()


# Reading what was written.


def test_a_block_reads_what_it_writes(db: Database, pair: Pair) -> None:
    """In a `following` block a read sees the block's own writes, though the replica has them not yet."""
    pair.standby.pause()
    try:
        with db.following() as following:
            assert of_replica(queries.here(db))
            assert not following.wrote
            queries.write(db, author="own", n=5)
            assert following.wrote
            for _ in range(60):
                found = queries.latest(db, author="own")
                assert (of_replica(found.server), found.n) == (False, 5)
                time.sleep(0.01)
        assert queries.latest(db, author="own").n == 0  # outside of the block it is the replica's
    finally:
        pair.standby.resume()


def test_a_block_returns_to_the_replica(db: Database) -> None:
    """As soon as the replica has a block's write, the block reads from it again."""
    with db.following():
        queries.write(db, author="returns", n=1)
        wait_until(lambda: of_replica(queries.latest(db, author="returns").server))
        assert queries.latest(db, author="returns").n == 1


def test_a_transaction_is_a_write(db: Database, pair: Pair) -> None:
    """What a transaction of the block has committed is seen by its reads, raw SQL included."""
    pair.standby.pause()
    try:
        with db.following():
            with db.transaction() as conn:
                conn.execute("insert into notes values ('raw', 9)")
            assert queries.latest(db, author="raw").n == 9
    finally:
        pair.standby.resume()


def test_a_token_waits_for_the_replica(db: Database, pair: Pair) -> None:
    """A read that follows a token waits until the replica has the write, and is answered by it."""
    pair.standby.pause()
    queries.write(db, author="token", n=3)
    token = db.token()
    resumes = threading.Timer(0.15, pair.standby.resume)
    resumes.start()
    with db.following(token, within=SOON):
        found = queries.latest(db, author="token")
    resumes.join()
    assert (of_replica(found.server), found.n) == (True, 3)


def test_a_token_does_not_wait_for_ever(db: Database, pair: Pair) -> None:
    """When the replica does not reach the token in time, the primary answers."""
    pair.standby.pause()
    try:
        queries.write(db, author="in time", n=4)
        with db.following(db.token(), within=0.05):
            found = queries.latest(db, author="in time")
        assert (of_replica(found.server), found.n) == (False, 4)
    finally:
        pair.standby.resume()


def test_a_token_serves_another_database_object(db: Database, pair: Pair) -> None:
    """A token is text that another process's Database can follow."""
    queries.write(db, author="elsewhere", n=6)
    token = db.token()
    assert re.fullmatch(r"[0-9A-F]+/[0-9A-F]+", token)
    with (
        Database.connect(pair.dsn, replicas=[pair.standby.dsn]) as other,
        other.following(token),
    ):
        assert queries.latest(other, author="elsewhere").n == 6


def test_blocks_nest(db: Database, pair: Pair) -> None:
    """An inner block reads what an outer one wrote, and the other way round."""
    pair.standby.pause()
    try:
        with db.following():
            queries.write(db, author="outer", n=1)
            with db.following():
                assert queries.latest(db, author="outer").n == 1
                queries.write(db, author="inner", n=2)
            assert queries.latest(db, author="inner").n == 2
    finally:
        pair.standby.resume()


def test_a_block_is_of_one_thread(db: Database, pair: Pair) -> None:
    """A block says nothing of what other threads read."""
    pair.standby.pause()
    try:
        with db.following(), ThreadPoolExecutor(1) as threads:
            queries.write(db, author="threads", n=1)
            assert of_replica(threads.submit(queries.here, db).result(timeout=SOON))
    finally:
        pair.standby.resume()


@pytest.mark.parametrize("token", ["", "0", "0/0/0", "1/123456789", "x/1", " 0/1", "0/1\n"])
def test_what_is_no_token_is_refused(db: Database, token: str) -> None:
    """A text that `db.token()` cannot have given is an ArgumentError, which does not quote it."""
    with pytest.raises(ArgumentError, match=r"following: that is no token of db\.token\(\)"):
        db.following(token)


def test_without_replicas_a_block_is_the_primarys(pair: Pair) -> None:
    """On a Database without replicas tokens and blocks work, and everything reads the primary."""
    with Database.connect(pair.dsn) as db, db.following(db.token()) as following:
        assert not of_replica(queries.here(db))
        assert following.wrote  # in doubt, for nothing was watched
        assert db.status().replicas == ()


def test_reading_what_was_written_never_lies(pair: Pair) -> None:
    """Whatever the replay does, a read that follows a write sees it: in the block, and by its token elsewhere."""
    rounds: Counter[bool] = Counter()
    wrong: list[str] = []
    over = threading.Event()

    def pauses() -> None:
        while not over.is_set():
            pair.standby.pause()
            time.sleep(random.choice([0.001, 0.02, 0.3]))
            pair.standby.resume()
            time.sleep(random.choice([0.05, 0.3]))

    def reads(who: str, n: int) -> None:
        found = queries.latest(db, author=who)
        rounds[of_replica(found.server)] += 1
        if found.n < n:
            wrong.append(f"{who}: {found.n} of {found.server}, {n} was written")

    def reads_by_token(who: str, n: int, token: str) -> None:
        with db.following(token, within=random.choice([0.001, 0.05, 0.5])):
            reads(who, n)

    def author(who: str) -> None:
        chance, n = random.Random(who), 0
        while not over.is_set():
            with db.following():
                for _ in range(chance.randint(1, 5)):
                    n += 1
                    queries.write(db, author=who, n=n)
                    for _ in range(chance.randint(0, 3)):
                        reads(who, n)
                        time.sleep(chance.choice([0, 0, 0.002, 0.1]))
                token = db.token()
            readers.submit(reads_by_token, who, n, token).result(timeout=SOON)

    settings = {"replica_ask_every": 0.02, **POOL, "pool_max_size": 16}
    with (
        Database.connect(pair.dsn, replicas=[pair.standby.dsn], **settings) as db,
        ThreadPoolExecutor(5) as authors,
        ThreadPoolExecutor(4) as readers,
    ):
        running = [authors.submit(author, f"author {number}") for number in range(4)]
        running.append(authors.submit(pauses))
        time.sleep(2.5)
        over.set()
        for one in running:
            one.result(timeout=SOON)
    assert wrong == []
    assert rounds[True] > 50, rounds
    assert rounds[False] > 50, rounds


# On asyncio.


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds; fail if it does not soon."""
    deadline = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        await asyncio.sleep(0.005)


def in_loop(pair: Pair, work: Callable[[AsyncDatabase], Any], **settings: Any) -> Any:
    """Run a coroutine function on an AsyncDatabase with one replica."""

    async def main() -> Any:
        async with AsyncDatabase.connect(pair.dsn, replicas=[pair.standby.dsn], **POOL | settings) as db:
            await until(lambda: serving(db))
            result = await asyncio.wait_for(work(db), 4 * SOON)
            status = db.status()
            assert [status.checked_out, *(one.checked_out for one in status.replicas)] == [0, 0]
            return result

    return asyncio.run(main())


def test_statements_go_where_they_belong_on_asyncio(pair: Pair) -> None:
    """On asyncio, too, marked reads, views and streams go to the replica, and all else to the primary."""

    async def work(db: AsyncDatabase) -> list[bool]:
        view = db.bound(schema="tenant_7", settings={"app.n": "7"})
        servers = [await async_queries.here(db), (await async_queries.tenant(view)).server]
        async with async_queries.counting(db, last=2000) as rows:
            servers.append((await anext(aiter(rows))).server)
        servers.append(await async_queries.unmarked(db))
        async with db.transaction() as conn:
            servers.append(await async_queries.here(conn))
        servers.append(await db.run(async_queries.here))
        return [of_replica(server) for server in servers]

    assert in_loop(pair, work) == [True, True, True, False, False, False]


def test_a_restarted_replica_is_left_and_taken_back_on_asyncio(pair: Pair) -> None:
    """On asyncio, too, no read fails while a replica is away, and it is taken back."""

    async def work(db: AsyncDatabase) -> None:
        servers: list[str] = []
        over = False

        async def reader() -> None:
            while not over:
                servers.append(await async_queries.here(db))

        readers = [asyncio.create_task(reader()) for _ in range(20)]
        await asyncio.sleep(0.2)
        await asyncio.to_thread(pair.standby.stop, kindly=False)
        away = len(servers)
        await until(lambda: len(servers) > away + 100)
        assert not any(map(of_replica, servers[away + 20 :]))
        await asyncio.to_thread(pair.standby.start)
        await until(lambda: of_replica(servers[-1]))
        over = True
        await asyncio.gather(*readers)

    try:
        in_loop(pair, work)
    finally:
        pair.standby.be_there()


def test_a_call_goes_on_elsewhere_when_its_replica_dies_on_asyncio(pair: Pair) -> None:
    """On asyncio, too, a read, and a stream before its first row, go on at the primary."""

    async def work(db: AsyncDatabase) -> tuple[Found, Found]:
        under_way = asyncio.create_task(async_queries.slowly(db))
        async with async_queries.counting_slowly(db) as rows:
            first = asyncio.create_task(anext(aiter(rows)))
            await until(lambda: db.status().replicas[0].checked_out == 2)
            await asyncio.sleep(0.1)
            await asyncio.to_thread(pair.standby.stop, kindly=False)
            return await under_way, await first

    pair.run("insert into slow_rows select n from generate_series(1, 20) as n")
    pair.catch_up()
    try:
        found = in_loop(pair, work)
    finally:
        pair.standby.be_there()
        pair.run("truncate slow_rows")
    assert [of_replica(one.server) for one in found] == [False, False]


def test_reading_what_was_written_never_lies_on_asyncio(pair: Pair) -> None:
    """On asyncio, too, a read that follows a write sees it, in the block's own tasks as well."""
    rounds: Counter[bool] = Counter()
    wrong: list[str] = []

    async def work(db: AsyncDatabase) -> None:
        over = asyncio.Event()

        async def pauses() -> None:
            while not over.is_set():
                await asyncio.to_thread(pair.standby.pause)
                await asyncio.sleep(random.choice([0.001, 0.02, 0.3]))
                await asyncio.to_thread(pair.standby.resume)
                await asyncio.sleep(random.choice([0.05, 0.3]))

        async def reads(who: str, n: int) -> None:
            found = await async_queries.latest(db, author=who)
            rounds[of_replica(found.server)] += 1
            if found.n < n:
                wrong.append(f"{who}: {found.n} of {found.server}, {n} was written")

        async def author(who: str) -> None:
            chance, n = random.Random(who), 0
            while not over.is_set():
                with db.following():
                    n += 1
                    await async_queries.write(db, author=who, n=n)
                    for _ in range(chance.randint(0, 3)):
                        await asyncio.gather(*(reads(who, n) for _ in range(2)))
                        await asyncio.sleep(chance.choice([0, 0, 0.002, 0.1]))
                    token = await db.token()
                with db.following(token, within=chance.choice([0.001, 0.05, 0.5])):
                    await reads(who, n)

        running = [asyncio.create_task(author(f"task {number}")) for number in range(8)]
        running.append(asyncio.create_task(pauses()))
        await asyncio.sleep(2.5)
        over.set()
        await asyncio.gather(*running)

    in_loop(pair, work, replica_ask_every=0.02)
    assert wrong == []
    assert rounds[True] > 50, rounds
    assert rounds[False] > 50, rounds


def test_a_cookie_carries_the_token(pair: Pair) -> None:
    """The middleware of the page on replicas: a browser reads what it wrote, whichever request served it."""

    async def work(db: AsyncDatabase) -> None:
        app = FastAPI()

        @app.middleware("http")
        async def following(request: Request, call_next: RequestResponseEndpoint) -> Response:
            with db.following(request.cookies.get("written")) as block:
                response = await call_next(request)
                if block.wrote:
                    response.set_cookie("written", await db.token(), httponly=True, max_age=60)
                return response

        @app.post("/notes/{n}")
        async def write(n: int) -> int:
            async with db.transaction() as conn:
                await async_queries.write(conn, author="cookie", n=n)
            return (await async_queries.latest(db, author="cookie")).n

        @app.get("/notes")
        async def read() -> int:
            return (await async_queries.latest(db, author="cookie")).n

        async with browser(app) as writes, browser(app) as other:
            assert (await writes.post("/notes/1")).json() == 1
            assert writes.cookies["written"]
            assert (await writes.get("/notes")).json() == 1
            assert (await other.get("/notes")).json() == 0
            assert "written" not in other.cookies

    def browser(app: FastAPI) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://notes.example")

    async def paused(db: AsyncDatabase) -> None:
        await asyncio.to_thread(pair.standby.pause)
        await work(db)

    try:
        in_loop(pair, paused)
    finally:
        pair.standby.resume()


# What is said of them, and their end.


def test_status_and_health_show_replicas(db: Database, pair: Pair) -> None:
    """`status()` says of each replica whether it serves, its lag and its pool; `health()` has it too."""
    queries.here(db)
    found = db.status().replicas[0]
    assert isinstance(found, ReplicaStatus)
    assert (found.database, found.serving, found.reason, found.checked_out) == (pair.standby.dsn, True, None, 0)
    assert found.size >= 1
    assert found.lag is not None
    assert 0 <= found.lag < SOON
    health = db.health()
    assert health.healthy
    assert not health.in_recovery
    assert asdict(health)["pool"]["replicas"][0]["serving"] is True


def test_the_health_command_shows_replicas(pair: Pair) -> None:
    """`sqlkit health` says of each replica whether it serves, and how far behind it is at most."""
    settings = {"DATABASE_URL": pair.dsn, "DATABASE_REPLICAS": pair.standby.dsn}
    answer = CliRunner().invoke(app, ["health"], env=settings)
    assert answer.exit_code == 0, answer.output
    found = re.search(r"^replica (\S+): serves, at most (\d+\.\d) s behind$", answer.output, re.MULTILINE)
    assert found
    assert found[1] == pair.standby.dsn


def test_passwords_of_replicas_are_not_shown(pair: Pair) -> None:
    """Neither the status nor the reason of a replica shows its password."""
    dsn = pair.standby.dsn.replace("postgres@", "postgres:s3cr3t@").replace("standby_0", "nowhere")
    with Database.connect(pair.dsn, replicas=[dsn]) as db:
        assert not db.status().replicas[0].serving
        assert "s3cr3t" not in f"{db!r} {db.status()} {db.settings!r}"


def test_resize_changes_the_pools_of_replicas(db: Database) -> None:
    """`resize` holds for the pool of each replica, too."""
    db.resize(2, 3, timeout=4)
    assert [(pool.max_size, pool.timeout) for pool in db._pool.pools] == [(3, 4)]  # type: ignore[attr-defined]


def test_close_ends_all(pair: Pair) -> None:
    """A closed Database has left no connection on the replica and no thread."""
    before = set(threading.enumerate())
    with Database.connect(pair.dsn, replicas=[pair.standby.dsn], application_name="to be closed") as db:
        wait_until(lambda: of_replica(queries.here(db)))
    question = "select count(*) from pg_stat_activity where application_name = 'to be closed'"
    wait_until(lambda: pair.standby.ask(question) == 0)
    wait_until(lambda: not [one for one in set(threading.enumerate()) - before if "sqlkit" in one.name])


def test_a_dropped_database_is_watched_no_more(pair: Pair) -> None:
    """The threads of a Database that nobody closed end when it is collected."""
    import gc

    db = Database.connect(pair.dsn, replicas=[pair.standby.dsn])
    watchers = [one for one in threading.enumerate() if one.name == "sqlkit-watcher"]
    assert len(watchers) >= 2
    pools = [db._pool, *db._pool.pools]  # type: ignore[attr-defined]
    for pool in pools:
        pool.close()
    del db, pool, pools
    gc.collect()
    wait_until(lambda: not any(one.is_alive() for one in watchers))


def test_the_page_on_replicas_runs(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program of docs/replicas.md does what the page says."""
    page = (Path(__file__).parent.parent / "docs/replicas.md").read_text(encoding="utf-8")
    sql, python = ("".join(re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)) for kind in ("sql", "python"))
    pair.run("create schema page", "create table page.notes (author text, body text)")
    pair.catch_up()
    (tmp_path / "notes.sql").write_text(sql, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    module = ModuleType("replicas_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    primary, standby = (f"{dsn}&options=-csearch_path%3Dpage" for dsn in (pair.dsn, pair.standby.dsn))
    module.__dict__.update(primary=primary, standby=standby)
    exec(compile(python, "docs/replicas.md", "exec", dont_inherit=True), module.__dict__)
    assert re.match(r"postgresql://postgres@/postgres\S+ True None 0\.\d+ 0\n$", capsys.readouterr().out)


def test_without_replicas_nothing_is_added(pair: Pair) -> None:
    """A Database without replicas has the plain pool, and no thread that watches."""
    before = set(threading.enumerate())
    with Database.connect(pair.dsn) as db:
        assert type(db._pool) is Pool
        assert not [one for one in set(threading.enumerate()) - before if one.name == "sqlkit-watcher"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork is missing on this system")
def test_a_forked_child_is_told(db: Database) -> None:
    """In a forked child a read says that the Database was opened before, and the parent's goes on."""
    queries.here(db)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            queries.here(db)
        except PoolClosed as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as said:
        assert "opened before a fork" in said.read()
    assert of_replica(queries.here(db))


# Positions.


def test_a_position_dates_what_is_replayed() -> None:
    """A replica has all that was there at the last moment whose position it has reached."""
    positions = Positions()
    for asked, flushed in ((1.0, 100), (2.0, 100), (3.0, 250), (4.0, 300)):
        positions.note(Position(asked, flushed, flushed))
    assert [positions.fresh_at(replayed) for replayed in (99, 100, 249, 250, 999)] == [
        -float("inf"),
        2.0,
        2.0,
        3.0,
        4.0,
    ]
    positions.forget()
    assert positions.fresh_at(999) == -float("inf")


@pytest.mark.parametrize("text", ["0/0", "0/1A2B3C4D", "FF/FFFFFFFF", "16/B374D848"])
def test_a_token_is_a_position(text: str) -> None:
    """A token is written as PostgreSQL writes positions, and read back."""
    assert written_token(parsed_token(text)) == text


def test_an_insert_position_behind_a_page_header_is_the_pages_begin() -> None:
    """Nothing stands between a page's begin and the first record on it but the header."""
    assert [settled_end(position) for position in (8192, 8192 + 24, 8192 + 40)] == [8192, 8192, 8232]
