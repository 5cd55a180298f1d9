"""What a cache counts, for metrics: exactly, in threads too, and what its health says in words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
from pydantic import BaseModel

import sqlkit
from sqlkit import AsyncDatabase, AsyncExecutor, Database, Executor
from sqlkit.caching import (
    AsyncCache,
    Cache,
    CacheHealth,
    DatabaseTags,
    LookUps,
    MemoryTier,
    PostgresTier,
    TierHealth,
    cached,
    install,
    opened_async_cache,
    opened_cache,
)
from sqlkit.testing import TestServer, dropped_afterwards, template

SQL = """
-- name: get_number
select :number as number from pg_sleep(0);

-- name: get_other
select :number + 1 as number;
"""


class Number(BaseModel):
    number: int


class Numbers(Protocol):
    """Numbers."""

    def get_number(self, db: Executor, *, number: int) -> Number: ...
    def get_other(self, db: Executor, *, number: int) -> Number: ...


class AsyncNumbers(Protocol):
    """Numbers, on asyncio."""

    async def get_number(self, db: AsyncExecutor, *, number: int) -> Number: ...


@pytest.fixture(scope="module")
def cache_dsn(server: TestServer) -> Iterator[str]:
    """Give the DSN of a database with the tables of the cache."""
    with template(server, install, "cache_counts") as made, dropped_afterwards(server, made, "counts") as database:
        yield server.dsn_for(database)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a file with two queries."""
    path = tmp_path / "music" / "numbers.sql"
    path.parent.mkdir()
    path.write_text(SQL)
    return path


@pytest.fixture
def db(cache_dsn: str) -> Iterator[Database]:
    """Give a database whose cache is empty."""
    with Database.connect(cache_dsn, pool_max_size=8) as db:
        with db.connection() as conn:
            conn.execute("truncate cache_entries, cache_tags")
        yield db


def test_hits_misses_and_fills(db: Database) -> None:
    """Keys are counted, each as often as it was asked for; a value that JSON would change fills nothing."""
    cache = Cache(MemoryTier(), PostgresTier(db), name="mine")
    cache.get("a", int)
    cache.set("a", 1)
    cache.set("b", 2)
    cache.set("c", float("nan"))
    cache.get_many(["a", "b", "c", "a"], int)
    found = cache.statistics()
    assert (found.name, found.hits, found.misses, found.fills) == ("mine", 2, 2, 2)
    assert (found.stale, found.unfit, found.hears, found.cuts) == (0, 0, None, 0)
    assert found.tiers == (
        TierHealth("memory", "closed", hits=2, misses=2, failures=0, reason=None, fills=2),
        TierHealth("postgres", "closed", hits=0, misses=2, failures=0, reason=None, fills=2),
    )


def test_what_is_stale_and_what_does_not_fit(db: Database) -> None:
    """An entry whose tags have changed and one that is no longer of its type are told apart."""
    cache = Cache(PostgresTier(db))
    cache.set("a", 1, tags=["tag"])
    cache.invalidate("tag")
    assert cache.get("a", int) is None
    assert (cache.statistics().stale, cache.statistics().unfit) == (1, 0)
    cache.set("a", "text")
    assert cache.get("a", int) is None
    assert (cache.statistics().stale, cache.statistics().unfit) == (1, 1)


def test_each_query_is_counted_by_its_name(db: Database, file: Path) -> None:
    """A cached query has its own hits and misses, which are among those of the cache."""
    numbers: Numbers = sqlkit.load(Numbers, file)
    cache = Cache(MemoryTier())
    get_number, get_other = cached(numbers.get_number, cache), cached(numbers.get_other, cache)
    for number in (1, 1, 1, 2):
        get_number(db, number=number)
    get_other(db, number=1)
    cache.get("else", int)
    found = cache.statistics()
    assert dict(found.queries) == {"music.numbers.get_number": LookUps(2, 2), "music.numbers.get_other": LookUps(0, 1)}
    assert (found.hits, found.misses, found.fills) == (2, 4, 3)
    with db.connection() as conn:
        get_number(conn, number=1)
    assert cache.statistics().hits == 2  # what bypasses the cache is no look-up


def test_no_hit_is_lost_among_threads(db: Database, file: Path) -> None:
    """Eight threads count up to the same number as one would."""
    numbers: Numbers = sqlkit.load(Numbers, file)
    cache = Cache(MemoryTier())
    get_number = cached(numbers.get_number, cache)
    get_number(db, number=1)

    def ask(_: int) -> None:
        for _ in range(2000):
            get_number(db, number=1)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(8)))
    found = cache.statistics()
    assert (found.hits, found.misses, found.tiers[0].hits) == (16_000, 1, 16_000)


def test_the_same_on_asyncio(cache_dsn: str, file: Path) -> None:
    """The asynchronous cache counts the same."""
    numbers: AsyncNumbers = sqlkit.load(AsyncNumbers, file)

    async def run() -> None:
        async with AsyncDatabase.connect(cache_dsn, pool_max_size=4) as db:
            cache = AsyncCache(MemoryTier())
            get_number = cached(numbers.get_number, cache)
            found = await asyncio.gather(*(get_number(db, number=7) for _ in range(20)))
            assert {each.number for each in found} == {7}
            await get_number(db, number=7)
            counted = cache.statistics()
            assert (counted.hits, counted.misses, counted.fills) == (1, 20, 1)

    asyncio.run(run())


def test_statistics_are_plain_data(db: Database) -> None:
    """They become a dictionary of numbers and names, with no key and no value of an entry in it."""
    cache = Cache(MemoryTier(), PostgresTier(db))
    cache.set("secret key", "secret value", tags=["secret tag"])
    cache.get("secret key", str)
    told = asdict(cache.statistics())
    assert told["hits"] == told["fills"] == 1
    assert "secret" not in repr(told)


def test_health_in_words() -> None:
    """What is not well is a sentence each; all is well without any."""
    well = TierHealth("memory", "closed", 0, 0, 0, None)
    broken = TierHealth("redis", "open", 0, 0, 3, "TimeoutError")
    assert CacheHealth((well,), None).healthy
    assert CacheHealth((well,), True).reasons == []
    health = CacheHealth((well, broken), False)
    assert not health.healthy
    assert health.reasons == [
        "redis: the circuit is open (TimeoutError)",
        "the listener hears nothing: memory is not served",
    ]


def test_opened_with_all_its_tiers(db: Database) -> None:
    """One call makes the tiers and the listener, and closes them; a table of its own is left away on demand."""
    with opened_cache(db, name="songs", redis="redis://127.0.0.1:1/0") as cache:
        assert [tier.name for tier in cache.health().tiers] == ["memory", "redis", "postgres"]
        assert cache.health().hears is True
    assert cache.health().hears is False
    with opened_cache(db, name="songs", statements=None) as cache:
        assert [tier.name for tier in cache.health().tiers] == ["memory"]


def test_behind_a_pooler_without_a_direct_connection(cache_dsn: str) -> None:
    """LISTEN does not work through one: versions are asked each time and memory is not served, unless one is named."""
    with Database.connect(cache_dsn, pooler="transaction", pool_max_size=2) as db:
        with opened_cache(db, name="songs") as cache:
            assert cache.health().hears is False
            cache.set("a", 1, tags=["tag"])
            assert cache.get("a", int) == 1
            assert cache.statistics().tiers[0].hits == 0
        with opened_cache(db, name="songs", direct=cache_dsn) as cache:
            assert cache.health().hears is True


def test_opened_on_asyncio(cache_dsn: str) -> None:
    """The asynchronous one has the same tiers and closes them."""

    async def run() -> None:
        async with AsyncDatabase.connect(cache_dsn, pool_max_size=2) as db:
            async with opened_async_cache(db, name="songs", redis="redis://127.0.0.1:1/0") as cache:
                assert [tier.name for tier in cache.health().tiers] == ["memory", "redis", "postgres"]
                await cache.set("a", 1, tags=["tag"])
                assert await cache.get("a", int) == 1
                assert cache.statistics().hears is True
            assert cache.statistics().hears is False

    asyncio.run(run())


def left(dsn: str) -> int:
    """Return how many entries there are in the database, expired or not."""
    with psycopg.connect(dsn) as conn:
        row = conn.execute("select count(*) from cache_entries").fetchone()
    assert row is not None
    return int(row[0])


def test_an_opened_cache_sweeps(db: Database, cache_dsn: str) -> None:
    """What has expired leaves the database by itself, and a failure does not end that."""
    with opened_cache(db, name="songs", sweep_every=0.1) as cache, db.connection() as conn:
        conn.execute("alter table cache_entries rename to aside")
        conn.commit()
        time.sleep(0.2)
        conn.execute("alter table aside rename to cache_entries")
        conn.commit()
        cache.set("short", 1, ttl=0.1)
        cache.set("long", 2)
        assert left(cache_dsn) == 2
        deadline = time.monotonic() + 5
        while left(cache_dsn) == 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert cache.get("long", int) == 2


def test_an_opened_cache_sweeps_on_asyncio(db: Database, cache_dsn: str) -> None:
    """The asynchronous one does, too."""

    async def run() -> None:
        async with (
            AsyncDatabase.connect(cache_dsn, pool_max_size=2) as adb,
            opened_async_cache(adb, name="songs", sweep_every=0.1) as cache,
        ):
            await cache.set("short", 1, ttl=0.1)
            await cache.set("long", 2)
            deadline = time.monotonic() + 5
            while left(cache_dsn) == 2:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
            assert await cache.get("long", int) == 2

    asyncio.run(run())


# Whose tags they are.


def test_tenants_with_tags_of_one_name(dsn: str, tmp_path: Path) -> None:
    """Two schemas have caches on one listener; what one writes is neither served nor lost in the other."""
    from sqlkit.caching import Listener, invalidate

    file = tmp_path / "songs.sql"
    file.write_text("-- name: get_title\nselect title from songs;\n")

    class Songs(Protocol):
        def get_title(self, db: Executor) -> str: ...

    songs: Songs = sqlkit.load(Songs, file)
    for schema in ("north", "south"):
        install(dsn, schema)
        with psycopg.connect(dsn) as conn:
            conn.execute(f"create table {schema}.songs (title text)".encode())
            conn.execute(f"insert into {schema}.songs values ('old {schema}')".encode())
    with Database.connect(dsn, pool_max_size=4) as db, Listener(dsn) as listener:
        views = {schema: db.bound(schema=schema) for schema in ("north", "south")}
        queries = {
            schema: cached(
                songs.get_title,
                Cache(MemoryTier(), tags=DatabaseTags(view, listener), namespace=schema),
                tags=["songs"],
            )
            for schema, view in views.items()
        }
        for number in range(10):
            for schema, view in views.items():
                with view.transaction() as conn:
                    conn.execute("update songs set title = %s", [f"{schema} {number}"])
                    invalidate(conn, "songs")
                found = {each: queries[each](other) for each, other in views.items()}
                assert found[schema] == f"{schema} {number}"
        # A cache whose tags are those of one schema is bypassed by calls on another.
        assert queries["north"](views["south"]) == "south 9"
        assert queries["north"](views["north"]) == "north 9"
