"""When a replica is left and taken back, and what becomes of the reads that meet its end."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import errors as e

from sqlkit import AsyncDatabase, Database
from sqlkit.caching import Cache, MemoryTier, cached
from sqlkit.testing import TestServer
from tests.replicas.queries import Found, async_queries, queries
from tests.replicas.stage import POOL, SOON, in_loop, of_replica, serving, until, wait_until
from tests.replicas.standby import Pair


def test_a_paused_replica_is_left_by_reads_that_ask_for_less_lag(db: Database, pair: Pair) -> None:
    """Reads that ask for less lag leave, within it, a replica that replays no more; others stay; all come back."""
    wait_until(lambda: of_replica(queries.here_lately(db)))
    pair.standby.pause()
    try:
        queries.write(db, author="paused", n=1)
        written = started = time.monotonic()
        answered: dict[float, str] = {}
        while started < written + 1.0:
            answered[started] = queries.here_lately(db)
            time.sleep(0.005)
            started = time.monotonic()
        # From 0.6 s after the write the replica lags by more than the statement allows, whenever that was asked.
        assert not [at - written for at, server in answered.items() if of_replica(server) and at > written + 0.6]
        assert of_replica(queries.here(db))
    finally:
        pair.standby.resume()
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
