"""Two replicas that are killed, stopped, paused, frozen at random: no read fails, none is too old, none hangs."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sqlkit import AsyncDatabase, Database
from tests.replicas.queries import async_queries, queries
from tests.replicas.stage import SOON, of_replica, serving, until, wait_until
from tests.replicas.standby import Pair, Standby

SECONDS = [3, pytest.param(60, marks=pytest.mark.soak)]
THREADS, TASKS = 12, 30
SETTINGS = {"pool_max_size": 5, "pool_timeout": SOON, "replica_ask_every": 0.1}
TERMINATE = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'sqlkit'"


@pytest.fixture(scope="module")
def standbys(pair: Pair) -> Iterator[list[Standby]]:
    """Give two standbys."""
    second = pair.add()
    pair.catch_up()
    yield pair.standbys
    pair.standbys.remove(second)
    second.stop(kindly=False)


def fire(standbys: list[Standby], seconds: float, over: threading.Event) -> None:
    """Let one thing after the other happen to one standby or the other, and be over."""
    chance = random.Random(seconds)
    ends = time.monotonic() + seconds
    try:
        while time.monotonic() < ends:
            standby = chance.choice(standbys)
            what = chance.choice(["crash", "stop", "pause", "freeze", "terminate"])
            if what in ("crash", "stop"):
                standby.stop(kindly=what == "stop")
                time.sleep(chance.uniform(0, 0.3))
                standby.start()
            elif what == "pause":
                standby.pause()
                time.sleep(chance.uniform(0, 0.7))
                standby.resume()
            elif what == "freeze":
                standby.freeze()
                time.sleep(chance.uniform(0, 0.5))
                standby.thaw()
            else:
                standby.ask(TERMINATE)
            time.sleep(chance.uniform(0, 0.2))
    finally:
        over.set()


class Outcome:
    """What became of the reads."""

    def __init__(self) -> None:
        self.servers: Counter[bool] = Counter()
        self.errors: list[BaseException] = []
        self.stale: list[str] = []

    def note(self, server: str, n: int = 0, wanted: int = 0) -> None:
        """Note an answer, and whether it is too old."""
        self.servers[of_replica(server)] += 1
        if n < wanted:
            self.stale.append(f"{n} of {server}, {wanted} was written")

    def assert_right(self, db: Database | AsyncDatabase) -> None:
        """Fail unless every read was answered, rightly, and nothing is out."""
        assert self.errors == []
        assert self.stale == []
        assert self.servers[True] > 100
        status = db.status()
        assert [status.checked_out, *(one.checked_out for one in status.replicas)] == [0, 0, 0]


@pytest.mark.parametrize("seconds", SECONDS)
def test_faults_of_replicas(pair: Pair, standbys: list[Standby], seconds: float) -> None:
    """Threads read, write and follow, plainly and through a view, while replicas fail."""
    outcome, over = Outcome(), threading.Event()

    def call(db: Database, who: str, n: int, kind: int) -> None:
        if kind == 0:
            outcome.note(queries.here_lately(db))
        elif kind == 1:
            outcome.note(queries.tenant(db.bound(schema="tenant_7", settings={"app.n": "7"})).server)
        else:
            queries.write(db, author=who, n=n)
            with db.following(db.token() if kind == 2 else None, within=0.05):
                if kind == 3:
                    queries.write(db, author=who, n=n)
                found = queries.latest(db, author=who)
                outcome.note(found.server, found.n, n)

    def caller(db: Database, who: str) -> None:
        chance, n = random.Random(who), 0
        while not over.is_set():
            n += 1
            try:
                call(db, who, n, chance.randrange(4))
            except BaseException as error:
                outcome.errors.append(error)
            time.sleep(0.002)

    with (
        Database.connect(pair.dsn, replicas=[one.dsn for one in standbys], **SETTINGS) as db,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        running = [threads.submit(caller, db, f"thread {number} of {seconds}") for number in range(THREADS)]
        fire(standbys, seconds, over)
        for one in running:
            one.result(timeout=SOON)
        outcome.assert_right(db)
        wait_until(lambda: serving(db))


@pytest.mark.parametrize("seconds", SECONDS)
def test_faults_of_replicas_on_asyncio(pair: Pair, standbys: list[Standby], seconds: float) -> None:
    """Tasks do the same, and are cancelled in the middle of it."""
    outcome, over = Outcome(), threading.Event()

    async def call(db: AsyncDatabase, who: str, n: int, kind: int) -> None:
        if kind == 0:
            outcome.note(await async_queries.here_lately(db))
        elif kind == 1:
            found = await async_queries.tenant(db.bound(schema="tenant_7", settings={"app.n": "7"}))
            outcome.note(found.server)
        else:
            await async_queries.write(db, author=who, n=n)
            with db.following(await db.token() if kind == 2 else None, within=0.05):
                if kind == 3:
                    await async_queries.write(db, author=who, n=n)
                found = await async_queries.latest(db, author=who)
                outcome.note(found.server, found.n, n)

    async def caller(db: AsyncDatabase, who: str) -> None:
        chance, n = random.Random(who), 0
        while not over.is_set():
            n += 1
            task = asyncio.create_task(call(db, who, n, chance.randrange(4)))
            if chance.random() < 0.2:
                asyncio.get_running_loop().call_later(chance.uniform(0, 0.004), task.cancel)
            try:
                await task
            except asyncio.CancelledError:
                pass
            except Exception as error:
                outcome.errors.append(error)
            await asyncio.sleep(0.002)

    async def main() -> None:
        async with AsyncDatabase.connect(pair.dsn, replicas=[one.dsn for one in standbys], **SETTINGS) as db:
            running = [asyncio.create_task(caller(db, f"task {number} of {seconds}")) for number in range(TASKS)]
            await asyncio.to_thread(fire, standbys, seconds, over)
            await asyncio.wait_for(asyncio.gather(*running), SOON)
            outcome.assert_right(db)
            await until(lambda: serving(db))

    asyncio.run(main())
