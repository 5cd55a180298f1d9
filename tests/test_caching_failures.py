"""Redis killed, hanging, slow, dripping and back with what it had, for threads and on asyncio: a bounded time each."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest

from sqlkit import AsyncDatabase, Database
from sqlkit.caching import (
    AsyncCache,
    AsyncDatabaseTags,
    AsyncPostgresTier,
    AsyncRedisTier,
    Cache,
    Circuit,
    DatabaseTags,
    MemoryTier,
    PostgresTier,
    RedisTier,
    install,
)
from sqlkit.testing import TestServer, dropped_afterwards, template
from tests.redis_server import RedisServer, SlowProxy

TIMEOUT = 0.3
PAUSE = 0.3

Body = Callable[[Any, Callable[[Any], Awaitable[Any]]], Awaitable[None]]


@pytest.fixture(scope="module")
def cache_dsn(server: TestServer) -> Iterator[str]:
    """Give the DSN of a database with the tables of the cache."""
    with template(server, install, "cache_failures") as made, dropped_afterwards(server, made, "failures") as database:
        yield server.dsn_for(database)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """Give a server that the test may kill."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=["threads", "asyncio"])
def run(request: pytest.FixtureRequest, cache_dsn: str) -> Callable[[Body, str], None]:
    """Give a function that runs a body on a cache of Redis and PostgreSQL, of either colour."""

    async def settle(made: Any) -> Any:
        return await made if isawaitable(made) else made

    async def asynchronous(body: Body, url: str) -> None:
        async with AsyncDatabase.connect(cache_dsn, pool_max_size=4) as db:
            redis = AsyncRedisTier(url, timeout=TIMEOUT, circuit=Circuit(pause=PAUSE))
            try:
                await body(AsyncCache(redis, AsyncPostgresTier(db), tags=AsyncDatabaseTags(db)), settle)
            finally:
                await redis.close()

    async def threaded(body: Body, url: str) -> None:
        with Database.connect(cache_dsn, pool_max_size=4) as db:
            redis = RedisTier(url, timeout=TIMEOUT, circuit=Circuit(pause=PAUSE))
            try:
                await body(Cache(redis, PostgresTier(db), tags=DatabaseTags(db)), settle)
            finally:
                redis.close()

    chosen = asynchronous if request.param == "asyncio" else threaded
    return lambda body, url: asyncio.run(chosen(body, url))


async def timed(call: Awaitable[Any]) -> tuple[Any, float]:
    """Return what a call gives and how long it takes."""
    began = time.monotonic()
    return await call, time.monotonic() - began


async def kept(cache: Any, settle: Callable[[Any], Awaitable[Any]], key: str, value: object) -> int:
    """Keep a value until Redis has it, which a busy machine may take a while for; return how often it failed so far."""
    while True:
        await settle(cache.set(key, value, tags=["tag"]))
        health = cache.health().tiers[0]
        if health.fills:
            return int(health.failures)


async def closed(cache: Any, settle: Callable[[Any], Awaitable[Any]], key: str, value: object) -> None:
    """Wait until Redis is taken back; each read meanwhile gives this value."""
    deadline = time.monotonic() + 5
    while cache.health().tiers[0].state != "closed":
        assert await settle(cache.get(key, type(value))) == value
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def test_redis_is_killed_and_comes_back(run: Callable[[Body, str], None], redis: RedisServer) -> None:
    """The next tier answers; the circuit opens and health says so; what comes back old is not served."""

    async def body(cache: Any, settle: Callable[[Any], Awaitable[Any]]) -> None:
        before = await kept(cache, settle, "key", 1)
        redis.kill()
        began = time.monotonic()
        for _ in range(20):
            assert await settle(cache.get("key", int)) == 1
        assert time.monotonic() - began < 3
        broken = cache.health().tiers[0]
        assert (broken.state, broken.reason, broken.opened) == ("open", "ConnectionError", 1)
        assert broken.failures >= before + 3
        assert broken.skipped > 10
        assert cache.health().reasons[0] == "redis: the circuit is open (ConnectionError)"
        await settle(cache.invalidate("tag"))
        await settle(cache.set("key", 2, tags=["tag"]))
        redis.start()
        await closed(cache, settle, "key", 2)
        assert await settle(cache.get("key", int)) == 2
        assert cache.health().tiers[0].reason is None

    run(body, redis.url)


def test_a_redis_that_hangs_costs_its_timeout(run: Callable[[Body, str], None], redis: RedisServer) -> None:
    """It takes connections and answers nothing: three calls wait for it, no other does, and it is taken back."""

    async def body(cache: Any, settle: Callable[[Any], Awaitable[Any]]) -> None:
        await kept(cache, settle, "key", 1)
        redis.hang()
        try:
            times = []
            for _ in range(10):
                found, seconds = await timed(settle(cache.get("key", int)))
                assert found == 1
                times.append(seconds)
            assert max(times) < 2 * TIMEOUT + 0.7
            assert sorted(times)[5] < TIMEOUT
            assert cache.health().tiers[0].opened == 1
        finally:
            redis.hang(False)
        await closed(cache, settle, "key", 1)

    run(body, redis.url)


def test_an_answer_that_drips_is_given_up(run: Callable[[Body, str], None], redis: RedisServer) -> None:
    """The timeout is that of the whole call: packets that come in time one by one do not make it longer."""
    proxy = SlowProxy(redis.port, size=1024)

    async def body(cache: Any, settle: Callable[[Any], Awaitable[Any]]) -> None:
        text = "x" * 100_000
        await kept(cache, settle, "long", text)
        assert await settle(cache.get("long", str)) == text
        proxy.delay = TIMEOUT / 3  # a hundred of them would take ten seconds
        for _ in range(3):
            found, seconds = await timed(settle(cache.get("long", str)))
            assert found == text
            assert seconds < TIMEOUT + 0.7
        assert cache.health().tiers[0].reason == "TimeoutError"

    run(body, f"redis://127.0.0.1:{proxy.port}/0")
    proxy.close()


def test_a_table_that_is_away_is_left_alone(run: Callable[[Body, str], None], redis: RedisServer) -> None:
    """Where the tier in the database fails, Redis answers and health says so."""

    async def body(cache: Any, settle: Callable[[Any], Awaitable[Any]]) -> None:
        postgres = cache.tiers[1]
        db = postgres._db
        aside = "alter table cache_entries rename to cache_entries_aside"
        back = "alter table cache_entries_aside rename to cache_entries"
        await execute(db, aside)
        try:
            for number in range(4):
                await settle(cache.set(f"key{number}", number))
                assert await settle(cache.get(f"key{number}", int)) == number
            health = cache.health().tiers[1]
            assert (health.state, health.reason, health.failures) == ("open", "UndefinedTable", 3)
            assert health.skipped >= 1
        finally:
            await execute(db, back)

    run(body, redis.url)


async def execute(db: Any, statement: str) -> None:
    """Run raw SQL on a database of either colour."""
    if isinstance(db, AsyncDatabase):
        async with db.connection() as conn:
            await conn.execute(statement)
    else:
        with db.connection() as conn:
            conn.execute(statement)


def test_callers_at_once_do_not_add_up(cache_dsn: str, redis: RedisServer) -> None:
    """Sixteen threads that meet a Redis that hangs wait for it at the same time, and one tries it again."""
    with Database.connect(cache_dsn, pool_max_size=16) as db:
        tier = RedisTier(redis.url, timeout=TIMEOUT, circuit=Circuit(pause=PAUSE))
        cache = Cache(tier, PostgresTier(db))
        while not tier.health().fills:
            cache.set("key", 1)
        redis.hang()
        try:
            gate = threading.Barrier(16)

            def ask(_: int) -> float:
                gate.wait()
                began = time.monotonic()
                assert cache.get("key", int) == 1
                return time.monotonic() - began

            with ThreadPoolExecutor(16) as threads:
                assert max(threads.map(ask, range(16))) < 2 * TIMEOUT + 1
                failures = tier.health().failures
                time.sleep(PAUSE + 0.05)
                assert max(threads.map(ask, range(16))) < 2 * TIMEOUT + 1
            assert tier.health().failures == failures + 1
        finally:
            redis.hang(False)
            tier.close()


def test_a_task_that_is_cancelled_says_nothing_of_redis(cache_dsn: str, redis: RedisServer) -> None:
    """Callers who give up do not open the circuit, and leave no answer behind for others."""

    async def asked() -> None:
        tier = AsyncRedisTier(redis.url, timeout=5)
        cache = AsyncCache(tier)
        for number in range(4):
            await cache.set(f"key{number}", number)
        redis.hang()
        for number in range(4):
            task = asyncio.create_task(cache.get(f"key{number}", int))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        redis.hang(False)
        assert tier.health().state == "closed"
        assert [await cache.get(f"key{number}", int) for number in range(4)] == [0, 1, 2, 3]
        await tier.close()

    asyncio.run(asked())


def test_everything_away_but_the_database(cache_dsn: str) -> None:
    """With no Redis at all, and memory that nobody tells of writes, reads and writes go on."""
    with Database.connect(cache_dsn, pool_max_size=2) as db:
        tier = RedisTier("redis://127.0.0.1:1/0")
        cache = Cache(MemoryTier(), tier, PostgresTier(db), tags=DatabaseTags(db))
        for number in range(6):
            cache.set("key", number, tags=["tag"])
            assert cache.get("key", int) == number
            cache.invalidate("tag")
            assert cache.get("key", int) is None
        assert tier.health().state == "open"
        tier.close()
