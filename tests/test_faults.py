"""Servers and backends killed under load: every call answers rightly or raises, none hangs, the pool comes back."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import psycopg
import pytest

from sqlkit import Affected, AsyncExecutor, AsyncRows, Executor, Rows, load
from sqlkit.database import AsyncDatabase, Database
from sqlkit.embedded import Embedded
from sqlkit.errors import PoolExhausted
from sqlkit.testing import TestServer

THREADS = 16
TASKS = 200
BACK_WITHIN = 5.0  # seconds from the server's return to the pool's
POOL = {"pool_max_size": 8, "pool_timeout": 3, "connect_timeout": 3}


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits for its parent to notice does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Killable:
    """A server of its own that can be killed and brought back, and what it did to its clients."""

    def __init__(self, folder: Path, bindir: Path | None) -> None:
        self.folder = folder
        self.bindir = bindir
        self.server = self.start()
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            conn.execute("create table accounts (account_id int primary key, amount bigint)")
            conn.execute("create table filled (batch int, n int)")
            conn.execute("insert into accounts select n, 100 from generate_series(1, 8) as n")

    def start(self) -> Embedded:
        return Embedded.start(self.folder, bindir=self.bindir, durable=True, restart=False)

    @property
    def dsn(self) -> str:
        return self.server.dsn

    def kill(self) -> None:
        """Kill the postmaster and every process of its, as a crash of the machine would."""
        postmaster = self.server.pid
        assert postmaster is not None
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        pids = [postmaster, *map(int, children)]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while any(map(is_alive, pids)):  # a start that finds one alive would join a dying server
            time.sleep(0.002)

    def come_back(self) -> float:
        """Start the server again and return when it was there."""
        old, self.server = self.server, self.start()
        old.stop()
        return time.monotonic()

    def stop_answering(self) -> None:
        self._signal(signal.SIGSTOP)

    def answer_again(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        postmaster = self.server.pid
        assert postmaster is not None
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for pid in [postmaster, *map(int, children)]:
            os.kill(pid, number)

    def kill_a_backend(self) -> None:
        """Kill one client's backend; the postmaster then throws all others out and recovers."""
        with suppress(psycopg.Error), psycopg.connect(self.dsn, autocommit=True) as conn:
            found = conn.execute(
                "select pid from pg_stat_activity where application_name = 'sqlkit' and backend_type = 'client backend'"
            ).fetchall()
            if found:
                os.kill(random.choice(found)[0], signal.SIGKILL)

    def left_over(self) -> list[Any]:
        """Return the backends of clients that are in a transaction."""
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            return conn.execute(
                "select pid, state, query from pg_stat_activity where application_name = 'sqlkit' and state <> 'idle'"
            ).fetchall()

    def halves(self) -> list[Any]:
        """Return the batches that are there in part."""
        with psycopg.connect(self.dsn) as conn:
            return conn.execute("select batch from filled group by batch having count(*) % 50 <> 0").fetchall()

    def total(self) -> int:
        with psycopg.connect(self.dsn) as conn:
            row = conn.execute("select sum(amount) from accounts").fetchone()
            assert row is not None
            return int(row[0])


@pytest.fixture(scope="module")
def killable(tmp_path_factory: pytest.TempPathFactory, server: TestServer) -> Iterator[Killable]:
    """Give a server that belongs to these tests alone."""
    if not Path("/proc/self/task").exists():
        pytest.skip("finds the server's processes in /proc")
    killable = Killable(tmp_path_factory.mktemp("pg"), server.bindir)
    yield killable
    killable.server.stop()


# The calls that run under fire. Each knows its right answer.


def by_seam(db: Database, number: int) -> None:
    """Ask by a lent connection, as queries do."""
    conn = db.lend("faults.sql:1: by_seam")
    try:
        row = conn.execute("select %s::int", [number]).fetchone()
        assert row == (number,)
    finally:
        db.take_back(conn)


def by_block(db: Database, number: int) -> None:
    """Ask in a block of raw SQL."""
    with db.connection() as conn:
        row = conn.execute("select %s::int, count(*) from accounts", [number]).fetchone()
        assert row == (number, 8)


def by_view(db: Database, number: int) -> None:
    """Ask through a bound view."""
    with db.bound(settings={"app.number": str(number)}).connection() as conn:
        assert conn.execute("select current_setting('app.number')::int").fetchone() == (number,)


def by_run(db: Database, number: int) -> None:
    """Move an amount in a transaction that is retried."""

    def transfer(conn: psycopg.Connection[Any]) -> None:
        conn.execute("update accounts set amount = amount - 1 where account_id = %s", [number % 8 + 1])
        conn.execute("update accounts set amount = amount + 1 where account_id = %s", [(number + 3) % 8 + 1])

    db.run(transfer, isolation="serializable")


async def by_seam_async(db: AsyncDatabase, number: int) -> None:
    """Ask by a lent connection, as queries do."""
    conn = await db.lend("faults.sql:1: by_seam")
    try:
        row = await (await conn.execute("select %s::int", [number])).fetchone()
        assert row == (number,)
    finally:
        await db.take_back(conn)


async def by_block_async(db: AsyncDatabase, number: int) -> None:
    """Ask in a block of raw SQL."""
    async with db.connection() as conn:
        row = await (await conn.execute("select %s::int, count(*) from accounts", [number])).fetchone()
        assert row == (number, 8)


async def by_view_async(db: AsyncDatabase, number: int) -> None:
    """Ask through a bound view."""
    async with db.bound(settings={"app.number": str(number)}).connection() as conn:
        row = await (await conn.execute("select current_setting('app.number')::int")).fetchone()
        assert row == (number,)


async def by_run_async(db: AsyncDatabase, number: int) -> None:
    """Move an amount in a transaction that is retried."""

    async def transfer(conn: psycopg.AsyncConnection[Any]) -> None:
        await conn.execute("update accounts set amount = amount - 1 where account_id = %s", [number % 8 + 1])
        await conn.execute("update accounts set amount = amount + 1 where account_id = %s", [(number + 3) % 8 + 1])

    await db.run(transfer, isolation="serializable")


def by_query(db: Database, number: int) -> None:
    """Ask by query functions: plain, bound, and one that writes and promises rows."""
    assert queries.echo(db, number=number) == number
    assert queries.owner(db.bound(settings={"app.number": str(number)})) == number
    assert queries.move(db, account_id=number % 8 + 1) == number % 8 + 1


def by_stream(db: Database, number: int) -> None:
    """Read a stream to its end, or leave it in the middle."""
    with queries.numbers(db, last=3000) as rows:
        for read, row in enumerate(rows, 1):
            assert row == read
            if read == 1500 and number % 2:
                break


def by_copy(db: Database, number: int) -> None:
    """Copy rows in, all or nothing."""
    with db.transaction() as conn:
        assert queries.fill(conn, [Filling(number, n) for n in range(50)]) == 50


async def by_query_async(db: AsyncDatabase, number: int) -> None:
    """Ask by query functions: plain, bound, and one that writes and promises rows."""
    assert await async_queries.echo(db, number=number) == number
    assert await async_queries.owner(db.bound(settings={"app.number": str(number)})) == number
    assert await async_queries.move(db, account_id=number % 8 + 1) == number % 8 + 1


async def by_stream_async(db: AsyncDatabase, number: int) -> None:
    """Read a stream to its end, or leave it in the middle."""
    read = 0
    async with async_queries.numbers(db, last=3000) as rows:
        async for row in rows:
            read += 1
            assert row == read
            if read == 1500 and number % 2:
                break


async def by_copy_async(db: AsyncDatabase, number: int) -> None:
    """Copy rows in, all or nothing."""
    async with db.transaction() as conn:
        assert await async_queries.fill(conn, [Filling(number, n) for n in range(50)]) == 50


SQL = """
-- name: echo
select :number::int;
-- name: owner
select current_setting('app.number')::int;
-- name: move
update accounts set amount = amount where account_id = :account_id returning account_id;
-- name: numbers
select n from generate_series(1, :last) as n;
-- name: fill
copy filled (batch, n) from stdin;
"""


class Filling(NamedTuple):
    """A row of a copy."""

    batch: int
    n: int


class Queries(Protocol):
    """The statements under fire, for threads."""

    def echo(self, db: Executor, *, number: int) -> int: ...
    def owner(self, db: Executor) -> int: ...
    def move(self, db: Executor, *, account_id: int) -> int: ...
    def numbers(self, db: Executor, *, last: int) -> Rows[int]: ...
    def fill(self, db: Executor, rows: Iterable[Filling]) -> Affected: ...


class AsyncQueries(Protocol):
    """The statements under fire, for tasks."""

    async def echo(self, db: AsyncExecutor, *, number: int) -> int: ...
    async def owner(self, db: AsyncExecutor) -> int: ...
    async def move(self, db: AsyncExecutor, *, account_id: int) -> int: ...
    def numbers(self, db: AsyncExecutor, *, last: int) -> AsyncRows[int]: ...
    async def fill(self, db: AsyncExecutor, rows: Iterable[Filling]) -> Affected: ...


with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "faults.sql"
    path.write_text(SQL)
    queries: Queries = load(Queries, path)
    async_queries: AsyncQueries = load(AsyncQueries, path)

CALLS = [by_seam, by_block, by_view, by_run, by_query, by_stream, by_copy]
ASYNC_CALLS = [
    by_seam_async,
    by_block_async,
    by_view_async,
    by_run_async,
    by_query_async,
    by_stream_async,
    by_copy_async,
]


class Outcome:
    """What became of the calls under fire: how many succeeded and failed, and how long the longest took."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.strange: list[BaseException] = []
        self.longest = 0.0
        self.lock = threading.Lock()

    def note(self, started: float, error: BaseException | None) -> None:
        with self.lock:
            self.longest = max(self.longest, time.monotonic() - started)
            self.kinds["right" if error is None else type(error).__name__] += 1
            if error is not None and not isinstance(error, psycopg.Error):
                self.strange.append(error)


def under_fire_of_threads(db: Database, fire: Callable[[], None]) -> Outcome:
    """Let sixteen threads call while ``fire`` does its worst; they end soon after it."""
    outcome, over = Outcome(), threading.Event()

    def caller(number: int) -> None:
        while not over.is_set():
            number += THREADS
            started = time.monotonic()
            try:
                CALLS[number // THREADS % len(CALLS)](db, number)
                outcome.note(started, None)
            except BaseException as error:
                outcome.note(started, error)

    with ThreadPoolExecutor(THREADS) as threads:
        callers = [threads.submit(caller, number) for number in range(THREADS)]
        fire()
        serve(outcome, THREADS)
        over.set()
        for one in callers:
            one.result(timeout=20)
    return outcome


def serve(outcome: Outcome, calls: int) -> None:
    """Wait until more calls than these were right, for twenty seconds at most: a busy machine takes its time."""
    end = time.monotonic() + 20
    while outcome.kinds["right"] <= calls and time.monotonic() < end:
        time.sleep(0.02)


def under_fire_of_tasks(dsn: str, fire: Callable[[], None], check: Callable[[AsyncDatabase], Any]) -> Outcome:
    """Let two hundred tasks call while ``fire`` does its worst in a thread; then ask ``check`` of the database."""
    outcome = Outcome()

    async def main() -> None:
        over = asyncio.Event()
        async with AsyncDatabase.connect(dsn, **POOL) as db:

            async def caller(number: int) -> None:
                while not over.is_set():
                    number += TASKS
                    started = time.monotonic()
                    try:
                        await ASYNC_CALLS[number // TASKS % len(ASYNC_CALLS)](db, number)
                        outcome.note(started, None)
                    except Exception as error:
                        outcome.note(started, error)

            callers = [asyncio.create_task(caller(number)) for number in range(TASKS)]
            await asyncio.to_thread(fire)
            await asyncio.to_thread(serve, outcome, TASKS)
            over.set()
            await asyncio.wait_for(asyncio.gather(*callers), 20)
            await check(db)

    asyncio.run(main())
    return outcome


def serves_again(db: Database) -> float:
    """Call until it works, and return when it did."""
    while True:
        try:
            by_block(db, 1)
            return time.monotonic()
        except psycopg.Error:
            time.sleep(0.01)


def assert_all_is_well(killable: Killable, outcome: Outcome, db: Database | AsyncDatabase) -> None:
    """Fail unless no call misbehaved and nothing is left over."""
    assert outcome.strange == []
    assert outcome.kinds["right"] > THREADS
    assert outcome.longest < 12
    assert db.status().checked_out == 0
    assert db.status().waiting == 0
    assert killable.left_over() == []
    assert killable.total() == 800
    assert killable.halves() == []


def kills_backends(killable: Killable) -> Callable[[], None]:
    """Make a fire that kills three backends."""

    def fire() -> None:
        for _ in range(3):
            time.sleep(0.2)
            killable.kill_a_backend()
        time.sleep(1)

    return fire


def kills_the_server(killable: Killable, away: float) -> Callable[[], None]:
    """Make a fire that kills the server and brings it back."""

    def fire() -> None:
        time.sleep(0.3)
        killable.kill()
        time.sleep(away)
        killable.come_back()
        time.sleep(1.5)

    return fire


@pytest.mark.parametrize("call", CALLS)
def test_calls_are_right_in_peace(killable: Killable, call: Callable[[Database, int], None]) -> None:
    """Without a fire every call under test answers rightly."""
    with Database.connect(killable.dsn, **POOL) as db:
        for number in range(4):
            call(db, number)
        assert db.status().checked_out == 0


@pytest.mark.parametrize("call", ASYNC_CALLS)
def test_async_calls_are_right_in_peace(killable: Killable, call: Callable[[AsyncDatabase, int], Any]) -> None:
    """Without a fire every asynchronous call under test answers rightly."""

    async def main() -> None:
        async with AsyncDatabase.connect(killable.dsn, **POOL) as db:
            for number in range(4):
                await call(db, number)
            assert db.status().checked_out == 0

    asyncio.run(main())


def test_backends_killed_under_threads(killable: Killable) -> None:
    """A backend that dies takes all sessions with it; every call is right or an error, and then all is well."""
    with Database.connect(killable.dsn, **POOL) as db:
        outcome = under_fire_of_threads(db, kills_backends(killable))
        serves_again(db)
        assert_all_is_well(killable, outcome, db)


def test_server_killed_under_threads(killable: Killable) -> None:
    """The whole server dies and comes back after a second, under sixteen threads."""
    with Database.connect(killable.dsn, **POOL) as db:
        outcome = under_fire_of_threads(db, kills_the_server(killable, 1))
        assert_all_is_well(killable, outcome, db)


def test_backends_killed_under_tasks(killable: Killable) -> None:
    """The same with two hundred tasks on eight connections."""

    async def check(db: AsyncDatabase) -> None:
        assert db.status().checked_out == db.status().waiting == 0

    outcome = under_fire_of_tasks(killable.dsn, kills_backends(killable), check)
    assert outcome.strange == []
    assert outcome.kinds["right"] > TASKS
    assert killable.total() == 800
    assert killable.halves() == []


def test_server_killed_under_tasks(killable: Killable) -> None:
    """The whole server dies and comes back after a second, under two hundred tasks."""

    async def check(db: AsyncDatabase) -> None:
        assert db.status().checked_out == db.status().waiting == 0
        assert await asyncio.to_thread(killable.left_over) == []

    outcome = under_fire_of_tasks(killable.dsn, kills_the_server(killable, 1), check)
    assert outcome.strange == []
    assert outcome.kinds["right"] > TASKS
    assert outcome.longest < 12
    assert killable.total() == 800
    assert killable.halves() == []


@pytest.mark.parametrize(
    "away",
    [
        4.0,
        pytest.param(30.0, marks=pytest.mark.soak),
    ],
)
def test_pool_serves_soon_after_the_servers_return(killable: Killable, away: float) -> None:
    """However long the server was away, five seconds after its return the pool serves again."""
    with Database.connect(killable.dsn, **{**POOL, "pool_timeout": 1}) as db, ThreadPoolExecutor(4) as threads:
        killable.kill()
        gone = time.monotonic()
        while time.monotonic() - gone < away:
            for call in [threads.submit(by_block, db, number) for number in range(4)]:
                with pytest.raises(psycopg.OperationalError):
                    call.result(timeout=5)
        waiting = threads.submit(serves_again, db)
        back = killable.come_back()
        assert waiting.result(timeout=20) - back < BACK_WITHIN


def test_pool_that_nobody_used_during_the_outage_serves_at_once(killable: Killable) -> None:
    """A pool full of dead connections costs no delay for each of them."""
    with Database.connect(killable.dsn, **POOL) as db:
        lent = [db.lend(n) for n in range(8)]
        for conn in lent:
            db.take_back(conn)
        killable.kill()
        killable.come_back()
        started = time.monotonic()
        by_block(db, 1)
        assert time.monotonic() - started < 1


def test_call_while_the_server_is_away_says_why(killable: Killable) -> None:
    """A call without a server fails within its wait, with what the last attempt to connect met, and no secret."""
    with Database.connect(killable.dsn, **{**POOL, "pool_timeout": 0.7}) as db:
        killable.kill()
        by_accident = pytest.raises(psycopg.OperationalError)
        started = time.monotonic()
        with by_accident:
            by_block(db, 1)
        with pytest.raises(PoolExhausted, match=r"the server cannot be reached: .*socket") as caught:
            by_block(db, 2)
        assert time.monotonic() - started < 4
        assert isinstance(caught.value.__cause__, psycopg.OperationalError)
        assert not db.health(0.5).healthy
        killable.come_back()
        serves_again(db)
        assert db.health().healthy


def test_health_of_a_server_that_hangs(killable: Killable) -> None:
    """A server that is stopped, not dead, is unhealthy in bounded time, and healthy when it goes on."""
    with Database.connect(killable.dsn, **POOL) as db:
        killable.stop_answering()
        try:
            started = time.monotonic()
            health = db.health(0.5)
            assert time.monotonic() - started < 2
        finally:
            killable.answer_again()
        assert not health.healthy
        assert "did not answer within 0.5 s" in health.reasons[0]
        serves_again(db)
        assert db.health().healthy


@pytest.mark.soak
def test_soak_of_threads(killable: Killable) -> None:
    """Half a minute of deaths of both kinds, under threads."""

    def fire() -> None:
        for number in range(10):
            kills_backends(killable)() if number % 2 else kills_the_server(killable, random.uniform(0, 3))()

    with Database.connect(killable.dsn, **POOL) as db:
        outcome = under_fire_of_threads(db, fire)
        serves_again(db)
        assert_all_is_well(killable, outcome, db)


@pytest.mark.soak
def test_soak_of_tasks(killable: Killable) -> None:
    """Half a minute of deaths of both kinds, under tasks."""

    def fire() -> None:
        for number in range(10):
            kills_backends(killable)() if number % 2 else kills_the_server(killable, random.uniform(0, 3))()

    async def check(db: AsyncDatabase) -> None:
        assert db.status().checked_out == db.status().waiting == 0

    outcome = under_fire_of_tasks(killable.dsn, fire, check)
    assert outcome.strange == []
    assert killable.total() == 800
    assert killable.halves() == []
