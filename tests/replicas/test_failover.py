"""The primary is killed and its standby promoted under load: nothing acknowledged is lost, reads go on."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg
import pytest

from sqlkit import AsyncDatabase, Database
from sqlkit.testing import TestServer
from tests.replicas.queries import TABLES, async_queries, queries
from tests.replicas.stage import SOON, wait_until
from tests.replicas.standby import Pair, primary_and_standby

PROMOTED = "it is no standby: it was promoted, or is the primary"
WITHOUT_PRIMARY = 0.7  # seconds from the kill to the promotion
POOL = {"pool_max_size": 8, "pool_timeout": 3, "connect_timeout": 3}


@pytest.fixture
def pair(server: TestServer) -> Iterator[Pair]:
    """Give a primary whose commits wait for its standby, for one test: the primary does not survive it."""
    with primary_and_standby(server.bindir) as pair:
        pair.run(TABLES)
        pair.commit_on_standby()
        yield pair


class Load:
    """What became of reads and writes, in the order in which they ended; safe for threads."""

    def __init__(self) -> None:
        self.numbers = itertools.count(1)
        self.acknowledged: list[int] = []
        self.refused: list[psycopg.Error] = []
        self.reads: list[tuple[float, str]] = []
        self.unread: list[BaseException] = []
        self.over = threading.Event()

    def wait_for_writes(self, more: int) -> None:
        """Wait until so many more writes were acknowledged."""
        wanted, deadline = len(self.acknowledged) + more, time.monotonic() + SOON
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline, f"no writes any more: {self.refused[-1:]}"
            time.sleep(0.01)

    def assert_nothing_is_lost(self, dsn: str, killed: float, promoted: float) -> None:
        """Fail unless every acknowledged write is there, writes failed as they should, and reads went on."""
        with psycopg.connect(dsn) as conn:
            there = {n for (n,) in conn.execute("select n from notes where author = 'load'")}
        assert set(self.acknowledged) - there == set()
        assert self.refused
        for error in self.refused:
            assert isinstance(error, psycopg.OperationalError), repr(error)
            said = [str(error), *getattr(error, "__notes__", [])]
            assert any("replicas.sql" in one and "write" in one for one in said), said
        assert self.unread == []
        between = [server for at, server in self.reads if killed < at < promoted]
        assert len(between) > 10
        assert {*between} == {"standby_0"}


def fail_over(pair: Pair, load: Load) -> tuple[float, float]:
    """Kill the primary under load, promote the standby, wait for writes to return; return when both happened."""
    try:
        load.wait_for_writes(50)
        pair.kill_primary()
        killed = time.monotonic()
        time.sleep(WITHOUT_PRIMARY)
        promoted = time.monotonic()
        pair.standby.promote()
        load.wait_for_writes(50)
        return killed, promoted
    finally:
        load.over.set()


def test_the_standby_is_promoted_under_load(pair: Pair) -> None:
    """Writes fail with clear errors and return by themselves, none that was acknowledged is missing, reads go on.

    The server that was the primary comes back as a standby of the other, and serves reads.
    """
    load = Load()

    def writer(db: Database) -> None:
        while not load.over.is_set():
            n = next(load.numbers)
            try:
                queries.write(db, author="load", n=n)
                load.acknowledged.append(n)
            except psycopg.Error as error:
                load.refused.append(error)

    def reader(db: Database) -> None:
        while not load.over.is_set():
            try:
                server = queries.here(db)
                load.reads.append((time.monotonic(), server))
            except BaseException as error:
                load.unread.append(error)
            time.sleep(0.001)

    with (
        Database.connect(pair.either, replicas=[pair.dsn, pair.standby.dsn], **POOL) as db,
        ThreadPoolExecutor(8) as threads,
    ):
        running = [threads.submit(work, db) for work in (writer, reader) * 4]
        times = fail_over(pair, load)
        for one in running:
            one.result(timeout=SOON)
        wait_until(lambda: [one.reason for one in db.status().replicas][1] == PROMOTED)
        assert [one.serving for one in db.status().replicas] == [False, False]
        assert db.health().in_recovery is False
        pair.rejoin()
        wait_until(lambda: queries.here(db) == "rejoined")
        with db.following():
            queries.write(db, author="rejoined", n=1)
            assert queries.latest(db, author="rejoined").n == 1
    load.assert_nothing_is_lost(pair.standby.dsn, *times)


def test_the_standby_is_promoted_under_load_on_asyncio(pair: Pair) -> None:
    """On asyncio it is the same."""
    load = Load()

    async def writer(db: AsyncDatabase) -> None:
        while not load.over.is_set():
            n = next(load.numbers)
            try:
                await async_queries.write(db, author="load", n=n)
                load.acknowledged.append(n)
            except psycopg.Error as error:
                load.refused.append(error)

    async def reader(db: AsyncDatabase) -> None:
        while not load.over.is_set():
            try:
                server = await async_queries.here(db)
                load.reads.append((time.monotonic(), server))
            except Exception as error:
                load.unread.append(error)
            await asyncio.sleep(0.001)

    async def main() -> tuple[float, float]:
        async with AsyncDatabase.connect(pair.either, replicas=[pair.dsn, pair.standby.dsn], **POOL) as db:
            running = [asyncio.create_task(work(db)) for work in (writer, reader) * 4]
            times = await asyncio.to_thread(fail_over, pair, load)
            await asyncio.wait_for(asyncio.gather(*running), SOON)
            return times

    times = asyncio.run(main())
    load.assert_nothing_is_lost(pair.standby.dsn, *times)


def test_several_hosts_mean_the_one_that_takes_writes(pair: Pair) -> None:
    """A DSN of several hosts connects to the primary, wherever it stands among them, unless it says otherwise."""
    hosts = f"{pair.standby.sockets},{pair.primary.socket_directory}"
    dsn = f"postgresql://postgres@/postgres?host={hosts}&port=5432,{pair.primary.port}"
    with Database.connect(dsn) as db:
        assert not queries.unmarked(db).startswith("standby")
    with Database.connect(f"{dsn}&target_session_attrs=standby") as db:
        assert queries.unmarked(db).startswith("standby")


def test_a_replica_of_the_past_is_left(pair: Pair) -> None:
    """A replica that has replayed more of the old primary than the new one ever got is not read from.

    Its position is ahead of the new primary's, so that it would seem to have whatever is written there.
    """
    pair.run("alter system reset synchronous_standby_names", "select pg_reload_conf()")
    behind, ahead = pair.standby, pair.add()
    pair.catch_up()
    with Database.connect(pair.either, replicas=[behind.dsn, ahead.dsn], **POOL) as db:
        behind.freeze()  # it gets no more
        pair.run("insert into notes select 'past', n from generate_series(1, 20000) as n")
        pair.catch_up(ahead)
        pair.kill_primary()
        behind.thaw()
        behind.promote()
        began = time.monotonic()
        token = None
        while token is None:
            assert time.monotonic() < began + SOON
            with suppress(psycopg.OperationalError):
                queries.write(db, author="present", n=1)
                token = db.token()
        with db.following(token):
            assert queries.latest(db, author="present").n == 1
        timeline, end = token.split("-")
        assert timeline == "2"
        assert ahead.ask(f"select pg_last_wal_replay_lsn() > '{end}'")
        wait_until(lambda: "timeline 2" in (db.status().replicas[1].reason or ""))
        assert queries.here(db) == "standby_0"  # which is the primary now


def test_a_replica_that_follows_the_new_primary_stays(pair: Pair) -> None:
    """A replica that follows the promoted one serves again at once, where the role may see what it receives."""
    pair.run("alter system reset synchronous_standby_names", "select pg_reload_conf()")
    pair.run("create role app login in role pg_monitor", "grant all on notes to app")
    promoted, other = pair.standby, pair.add()
    pair.catch_up()
    primary, *replicas = (dsn.replace("postgres@", "app@") for dsn in (pair.either, promoted.dsn, other.dsn))
    with Database.connect(primary, replicas=replicas, **POOL) as db:
        other.follow(promoted)
        pair.kill_primary()
        promoted.promote()
        began = time.monotonic()
        served = Counter[str]()
        while served["standby_1"] < 10:
            assert time.monotonic() < began + SOON, db.status().replicas
            with suppress(psycopg.OperationalError), db.following():
                queries.write(db, author="followed", n=1)
                token = db.token()
                with db.following(token):
                    found = queries.latest(db, author="followed")
                assert found.n == 1
                served[found.server] += 1
        assert token.startswith("2-")
