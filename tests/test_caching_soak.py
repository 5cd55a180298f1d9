"""Sixteen threads read and write through the tiers while Redis is killed and started and listeners are cut off.

The bound that docs/caching.md states is measured: how long before a read began the value that it got had been
overwritten by a commit that was acknowledged.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
from pydantic import BaseModel

import sqlkit
from sqlkit import Database, Executor
from sqlkit.caching import (
    Cache,
    DatabaseTags,
    Listener,
    MemoryTier,
    PostgresTier,
    RedisTier,
    cached,
    install,
    invalidate,
    statements,
)
from sqlkit.testing import TestServer, dropped_afterwards, template
from tests.redis_server import RedisServer, SlowProxy

SONGS = 12
THREADS = 16
WRITES = 0.04  # of all calls
SQL = """
-- name: get_song
select song_id, plays from songs where song_id = :song_id;

-- name: play_song
update songs set plays = plays + 1 where song_id = :song_id returning plays;
"""


class Song(BaseModel):
    song_id: int
    plays: int


class Songs(Protocol):
    """Songs."""

    def get_song(self, db: Executor, *, song_id: int) -> Song: ...
    def play_song(self, db: Executor, *, song_id: int) -> int: ...


class Getting(Protocol):
    """A cached read."""

    def __call__(self, db: Database, /, *, song_id: int) -> Song: ...


@dataclass
class Observed:
    """What was committed when, by the song and its number, and which reads may have been stale."""

    committed: dict[int, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    newest: Counter[int] = field(default_factory=Counter)
    suspects: list[tuple[float, int, int]] = field(default_factory=list)
    longest: float = 0.0
    reads: int = 0

    def worst(self) -> float:
        """Return the greatest age, in seconds, of a value that a read got."""
        ages = (
            began - self.committed[song_id][plays + 1]
            for began, song_id, plays in self.suspects
            if plays + 1 in self.committed[song_id]
        )
        return max(ages, default=0.0)


def load_songs(dsn: str) -> None:
    """Make the cache's tables, and songs."""
    install(dsn)
    with psycopg.connect(dsn) as conn:
        conn.execute("create table songs (song_id int primary key, plays int not null default 0)")
        conn.execute("insert into songs select n from generate_series(1, %s) as n", [SONGS])


@pytest.fixture(scope="module")
def song_template(server: TestServer) -> Iterator[str]:
    """Give the name of a database with songs."""
    with template(server, load_songs, "soaked_songs") as database:
        yield database


@dataclass
class Process:
    """A cache as one process has it: its memory, its listener, and the network that the listener depends on."""

    db: Database
    cache: Cache
    proxy: SlowProxy
    get_song: Getting
    alone: threading.Event = field(default_factory=threading.Event)  # nobody tells this process of writes


@contextmanager
def process(dsn: str, songs: Songs, redis_url: str, patience: float) -> Iterator[Process]:
    """Open a cache whose listener goes through a proxy, so that it can be cut off from its server."""
    with ExitStack() as stack:
        db = stack.enter_context(Database.connect(dsn, pool_max_size=THREADS))
        with psycopg.connect(dsn) as conn:
            host, port = conn.info.host, conn.info.port
        proxy = SlowProxy(f"{host}/.s.PGSQL.{port}" if host.startswith("/") else port)
        stack.callback(proxy.close)
        through = psycopg.conninfo.make_conninfo(dsn, host="127.0.0.1", port=proxy.port)
        listener = stack.enter_context(Listener(through, heartbeat=patience / 4, patience=patience))
        redis = RedisTier(redis_url, timeout=0.1)
        stack.callback(redis.close)
        cache = Cache(MemoryTier(), redis, PostgresTier(db), tags=DatabaseTags(db, listener))
        yield Process(db, cache, proxy, cached(songs.get_song, cache, ttl=60, tags=["song:{song_id}"]))


def work(each: Process, songs: Songs, observed: Observed, stop: threading.Event, seed: int) -> None:
    """Read, and now and then write, until it is enough."""
    chosen = random.Random(seed)
    reads, longest = 0, 0.0
    while not stop.is_set():
        song_id = chosen.randint(1, SONGS)
        if chosen.random() < WRITES:
            with each.db.transaction() as conn:
                plays = songs.play_song(conn, song_id=song_id)
                if each.alone.is_set() or seed % 2:
                    # As another process would, of whose writes nobody is told here but by NOTIFY.
                    statements.cache.bump_tags(conn, tags=[f"song:{song_id}"])
                else:
                    invalidate(conn, f"song:{song_id}")
                if rolls_back := chosen.random() < 0.2:
                    conn.rollback()
            if not rolls_back:
                observed.committed[song_id][plays] = time.monotonic()
                observed.newest[song_id] = max(observed.newest[song_id], plays)
            time.sleep(0.002)
        else:
            began = time.monotonic()
            plays = each.get_song(each.db, song_id=song_id).plays
            longest = max(longest, time.monotonic() - began)
            reads += 1
            if plays < observed.newest[song_id]:
                observed.suspects.append((began, song_id, plays))
    with LOCK:
        observed.reads += reads
        observed.longest = max(observed.longest, longest)


LOCK = threading.Lock()


def terminate_listeners(dsn: str) -> None:
    """End the listeners' connections on the server."""
    with psycopg.connect(dsn) as conn:
        conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'sqlkit cache listener' and datname = current_database()"
        )


@pytest.mark.parametrize(
    ("seconds", "patience"),
    [
        pytest.param(5, 0.6, id="short"),
        pytest.param(60, 2.0, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(180)]),
    ],
)
def test_no_value_is_older_than_the_bound(
    server: TestServer, song_template: str, tmp_path: Path, seconds: float, patience: float
) -> None:
    """No reader ever gets a value that was overwritten longer than ``patience`` before it asked, whatever fails."""
    file = tmp_path / "songs.sql"
    file.write_text(SQL)
    songs: Songs = sqlkit.load(Songs, file)
    redis = RedisServer(tmp_path)
    redis.start()
    observed, stop = Observed(), threading.Event()
    with ExitStack() as stack:
        stack.callback(redis.kill)
        dsn = server.dsn_for(stack.enter_context(dropped_afterwards(server, song_template, "soaked")))
        caches = [stack.enter_context(process(dsn, songs, redis.url, patience)) for _ in range(2)]
        threads = stack.enter_context(ThreadPoolExecutor(THREADS))
        stack.callback(stop.set)
        began = time.monotonic()

        def until(part: float) -> None:
            time.sleep(max(0.0, began + part * seconds - time.monotonic()))

        done = [threads.submit(work, caches[n % 2], songs, observed, stop, n) for n in range(THREADS)]
        for kill, start in ((0.1, 0.2), (0.25, 0.35), (0.4, 0.5)):
            until(kill)
            redis.kill()
            until(start)
            redis.start()
        until(0.55)
        terminate_listeners(dsn)
        until(0.65)
        for each in caches:
            each.alone.set()
            each.proxy.delay = max(2 * patience, 0.2 * seconds)  # the network swallows what the server says
        until(0.85)
        for each in caches:
            each.proxy.delay = 0.0
            each.alone.clear()
        until(1.0)
        stop.set()
        for each in done:  # type: ignore[assignment]
            each.result()  # type: ignore[attr-defined]
        figures = [each.cache.statistics() for each in caches]
    commits = sum(map(len, observed.committed.values()))
    worst = observed.worst()
    print(f"{observed.reads} reads, {commits} commits, the oldest value {worst:.3f} s of {patience} s, {figures}")
    assert worst <= patience
    assert observed.longest < 3  # a read answers in a bounded time, whatever is away
    assert observed.reads > 100 * seconds
    assert commits > 5 * seconds
    for figure in figures:
        memory, second, _ = figure.tiers
        assert memory.hits > 0
        assert second.failures >= 3
        assert second.opened >= 1
        assert figure.cuts >= 1  # the second may find it cut off still
        assert figure.stale > 0
