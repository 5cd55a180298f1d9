"""Replicas behind PgBouncer in transaction mode, the primary too: a pooler in front of each server."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from sqlkit import Database
from sqlkit.testing import TestServer
from tests.pgbouncer import TURNS, PgBouncer, needed
from tests.replicas.queries import queries
from tests.replicas.stage import SOON, of_replica, serving, wait_until
from tests.replicas.standby import Pair

WITHOUT_SESSIONS = {"pooler": "transaction", "pool_max_size": 8, "replica_ask_every": 0.05}


@pytest.fixture
def pooled(pair: Pair) -> Iterator[list[str]]:
    """Give the DSNs of the primary and of its standby, through a PgBouncer in front of each."""
    needed()
    with ExitStack() as stack:
        dsns = []
        for dsn in (pair.dsn, pair.standby.dsn):
            pgbouncer = PgBouncer(TestServer(dsn, 0), size=TURNS)
            stack.callback(pgbouncer.stop)
            pgbouncer.start()
            pgbouncer.warm("postgres")
            dsns.append(pgbouncer.dsn("postgres"))
        yield dsns


@pytest.fixture
def db(pooled: list[str]) -> Iterator[Database]:
    """Give a Database with one replica, both behind poolers."""
    with Database.connect(pooled[0], replicas=pooled[1:], **WITHOUT_SESSIONS) as database:
        wait_until(lambda: serving(database))
        yield database


def test_reads_go_through_a_pooler(db: Database) -> None:
    """Marked reads go to the replica, with a view's schema and settings, and the rest to the primary."""
    view = db.bound(schema="tenant_7", settings={"app.n": "7"})
    for _ in range(2 * TURNS):
        found = queries.tenant(view)
        assert (of_replica(found.server), found.n) == (True, 7)
        assert of_replica(queries.here(db))
        assert not of_replica(queries.unmarked(db))


def test_reading_what_was_written_never_lies_through_a_pooler(db: Database, pair: Pair) -> None:
    """A read that follows a write sees it, though each statement may run on another of the pooler's connections."""
    rounds: Counter[bool] = Counter()
    wrong: list[str] = []
    over = threading.Event()

    def author(who: str) -> None:
        chance, n = random.Random(who), 0
        while not over.is_set():
            n += 1
            with db.following():
                queries.write(db, author=who, n=n)
                for _ in range(chance.randint(0, 2)):
                    check(who, n)
                token = db.token()
            with db.following(token, within=chance.choice([0.001, 0.3])):
                check(who, n)

    def check(who: str, n: int) -> None:
        found = queries.latest(db, author=who)
        rounds[of_replica(found.server)] += 1
        if found.n < n:
            wrong.append(f"{who}: {found.n} of {found.server}, {n} was written")

    with ThreadPoolExecutor(4) as authors:
        running = [authors.submit(author, f"pooled {number}") for number in range(4)]
        ends = time.monotonic() + 1.5
        while time.monotonic() < ends:
            pair.standby.pause()
            time.sleep(random.choice([0.01, 0.2]))
            pair.standby.resume()
            time.sleep(random.choice([0.05, 0.2]))
        over.set()
        for one in running:
            one.result(timeout=SOON)
    assert wrong == []
    assert rounds[True] > 20, rounds
    assert rounds[False] > 20, rounds


def test_a_replica_that_is_away_behind_its_pooler_is_left(db: Database, pair: Pair) -> None:
    """A replica that is away is left, though its pooler still takes what is asked of it and keeps it waiting."""
    assert of_replica(queries.here(db))
    pair.standby.stop()
    try:
        wait_until(lambda: not serving(db))
        assert db.status().replicas[0].reason == "it does not answer within 1 s"
        assert not of_replica(queries.here(db))
    finally:
        pair.standby.be_there()
