"""The cache's tiers and its interface: what is kept, for how long, what comes out, and what a failing Redis costs."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from sqlkit import AsyncDatabase, Database
from sqlkit.caching import (
    AsyncCache,
    AsyncCaching,
    AsyncDatabaseTags,
    AsyncPostgresTier,
    AsyncRedisTier,
    Cache,
    Caching,
    Circuit,
    MemoryTier,
    PostgresTier,
    RedisTier,
    install,
    sweep,
)
from sqlkit.caching.entries import LONGEST, Entry, adapter_of, lifetime
from sqlkit.errors import ArgumentError, ConfigurationError
from sqlkit.testing import TestServer, dropped_afterwards, template
from tests.redis_server import RedisServer, SlowProxy

ROOT = Path(__file__).parent.parent


class Song(BaseModel):
    song_id: int
    title: str
    price: Decimal = Decimal("0.10")


SONG = Song(song_id=1, title="Ünïcödé\n\0", price=Decimal("1.100000000000000000001"))


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Give a server that runs."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def cache_dsn(server: TestServer) -> Iterator[str]:
    """Give the DSN of a database with the tables of the cache."""
    with template(server, install, "cache_tiers") as made, dropped_afterwards(server, made, "tiers") as database:
        yield server.dsn_for(database)


@pytest.fixture
def db(cache_dsn: str) -> Iterator[Database]:
    """Give that database, its tables empty."""
    with Database.connect(cache_dsn, pool_max_size=4) as db:
        with db.connection() as conn:
            conn.execute("truncate cache_entries, cache_tags")
        yield db


@pytest.fixture(params=["memory", "postgres", "redis", "all"])
def cache(request: pytest.FixtureRequest, db: Database, redis_server: RedisServer) -> Iterator[Cache]:
    """Give a cache of each tier alone, and of all three."""
    redis = RedisTier(redis_server.url, prefix=f"{time.monotonic_ns()}:")
    tiers: dict[str, Any] = {"memory": MemoryTier(), "postgres": PostgresTier(db), "redis": redis}
    yield Cache(*tiers.values()) if request.param == "all" else Cache(tiers[request.param])
    redis.close()


def test_what_is_kept_comes_back(cache: Cache) -> None:
    """A model comes back equal, its Decimal exact; another key is a miss."""
    cache.set("song:1", SONG)
    assert cache.get("song:1", Song) == SONG
    assert str(cache.get("song:1", Song).price) == "1.100000000000000000001"  # type: ignore[union-attr]
    assert cache.get("song:2", Song) is None


def test_many_at_once(cache: Cache) -> None:
    """Those keys that have a value come back with it, in one call."""
    for number in range(3):
        cache.set(f"song:{number}", {"number": number})
    kind = dict[str, int]
    assert cache.get_many(["song:0", "song:2", "song:9"], kind) == {"song:0": {"number": 0}, "song:2": {"number": 2}}


def test_a_deleted_key_is_a_miss(cache: Cache) -> None:
    """What is deleted is gone from every tier."""
    cache.set("song:1", SONG)
    cache.delete("song:1")
    assert cache.get("song:1", Song) is None


def test_an_entry_expires(cache: Cache) -> None:
    """After its time to live an entry is a miss."""
    cache.set("song:1", SONG, ttl=0.3)
    assert cache.get("song:1", Song) == SONG
    time.sleep(0.35)
    assert cache.get("song:1", Song) is None


def test_a_tag_makes_its_entries_invalid(cache: Cache) -> None:
    """One tag's entries are misses after it was invalidated, those of others are not."""
    cache.set("song:1", SONG, tags=["user:42", "songs"])
    cache.set("song:2", SONG, tags=["user:43"])
    cache.invalidate("user:42")
    assert cache.get_many(["song:1", "song:2"], Song) == {"song:2": SONG}


def test_what_was_selected_before_an_invalidation_does_not_fill_after_it(cache: Cache) -> None:
    """A reader says which versions it saw before its select; the write in between makes its value invalid."""
    versions = cache.seen("songs")
    cache.invalidate("songs")
    cache.set("song:1", SONG, tags=["songs"], versions=versions)
    assert cache.get("song:1", Song) is None


def test_a_value_that_no_longer_fits_is_a_miss(cache: Cache) -> None:
    """A model that has changed since makes a miss of an old entry, not an error."""

    class Changed(Song):
        tempo: int

    cache.set("song:1", SONG)
    assert cache.get("song:1", Changed) is None
    assert cache.get("song:1", Song) == SONG


class Account(BaseModel):
    secret: SecretStr


class Aliased(BaseModel):
    title: str = Field(validation_alias="titleIn", serialization_alias="titleOut")


ALIASED = Aliased.model_validate({"titleIn": "x"})


@pytest.mark.parametrize("value", [float("nan"), Account(secret=SecretStr("x")), [float("inf")], object()])
def test_what_json_would_change_is_not_kept(value: object) -> None:
    """A value that would not come back equal is not kept: not a number, a secret that JSON masks."""
    cache = Cache(MemoryTier())
    cache.set("key", value)
    assert cache.get("key", type(value)) is None


KINDS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (float, st.floats()),
    (int, st.integers()),
    (str, st.text(st.characters())),
    (bytes, st.binary()),
    (datetime, st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=-30))]))),
    (timedelta, st.timedeltas()),
    (UUID, st.uuids()),
    (tuple[int, Decimal], st.tuples(st.integers(), st.decimals(allow_nan=False, allow_infinity=False))),
    (dict[str, Any], st.dictionaries(st.text(), st.decimals(allow_nan=False) | st.text() | st.none())),
    (list[set[date]], st.lists(st.sets(st.dates()))),
]


@pytest.mark.parametrize(("kind", "values"), KINDS, ids=[str(kind) for kind, _ in KINDS])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_what_comes_back_is_what_was_kept(data: st.DataObject, kind: Any, values: st.SearchStrategy[Any]) -> None:
    """A value comes back to the last digit, or it is not kept at all."""
    cache = Cache(MemoryTier())
    value = data.draw(values)
    cache.set("key", value, kind=kind)
    found = cache.get_many(["key"], kind)
    assert found in ({}, {"key": value})


@given(st.decimals(allow_nan=False, allow_infinity=False))
@settings(max_examples=200, deadline=None)
def test_decimals_are_exact(price: Decimal) -> None:
    """Every finite Decimal is kept, with each digit and each zero at its end."""
    cache = Cache(MemoryTier())
    song = Song(song_id=1, title="", price=price)
    cache.set("key", song)
    found = cache.get("key", Song)
    assert found is not None
    assert found.price.as_tuple() == price.as_tuple()


def test_a_model_with_aliases_is_kept() -> None:
    """Names for the way in and the way out may differ."""
    cache = Cache(MemoryTier())
    cache.set("key", ALIASED)
    assert cache.get("key", Aliased) == ALIASED


def test_times_to_live_differ_by_chance() -> None:
    """Entries made together live up to a tenth shorter than asked, so that they do not expire together."""
    found = [lifetime(100) for _ in range(200)]
    assert all(90 <= seconds <= 100 for seconds in found)
    assert max(found) - min(found) > 5


@pytest.mark.parametrize(
    ("key", "options", "named"),
    [
        ("", {}, "key"),
        ("x" * 401, {}, "key"),
        ("a\0", {}, "key"),
        ("a", {"ttl": 0}, "ttl"),
        ("a", {"ttl": LONGEST + 1}, "ttl"),
        ("a", {"ttl": float("nan")}, "ttl"),
        ("a", {"tags": "user:42"}, "tags"),
        ("a", {"tags": [""]}, "tags"),
    ],
)
def test_what_cannot_be_kept_is_refused(key: str, options: dict[str, Any], named: str) -> None:
    """A key, a time or a tag that some tier could not keep is refused by every cache."""
    with pytest.raises(ArgumentError, match=f"^{named}: "):
        Cache(MemoryTier()).set(key, 1, **options)


@pytest.mark.parametrize("data", [b"", b"x", b"[1]\n1", b'["a", {}]\n1', b"[1, []]\n1", b'[1, {"a": "b"}]\n1'])
def test_foreign_bytes_are_no_entry(data: bytes) -> None:
    """What something else wrote under a key is a miss."""
    assert Entry.unpack(data) is None


def test_an_entry_survives_its_packing() -> None:
    """Value, moment and versions come back from bytes as they were."""
    entry = Entry.of(SONG, adapter_of(Song), 60, {"user:42": 2**60})
    assert entry is not None
    assert Entry.unpack(entry.pack()) == entry


def test_a_hit_below_fills_the_tiers_above(db: Database, redis_server: RedisServer) -> None:
    """What only the lowest tier has is in those above after one read."""
    memory, redis, postgres = MemoryTier(), RedisTier(redis_server.url, prefix="fill:"), PostgresTier(db)
    Cache(postgres).set("song:1", SONG)
    assert Cache(memory, redis, postgres).get("song:1", Song) == SONG
    assert Cache(memory).get("song:1", Song) == SONG
    assert Cache(redis).get("song:1", Song) == SONG
    redis.close()


def test_memory_forgets_what_was_used_least_recently() -> None:
    """A full tier in memory lets go of one entry for each new one."""
    tier = MemoryTier(2)
    cache = Cache(tier)
    for key in ("a", "b"):
        cache.set(key, 1)
    assert cache.get("a", int) == 1
    cache.set("c", 1)
    assert cache.get_many("abc", int).keys() == {"a", "c"}


def test_a_sweep_deletes_what_has_expired(db: Database) -> None:
    """Only expired entries leave the table, which is unlogged."""
    cache = Cache(PostgresTier(db))
    cache.set("short", 1, ttl=0.01)
    cache.set("long", 1)
    time.sleep(0.02)
    assert sweep(db) == 1
    with db.connection() as conn:
        rows = conn.execute("select cache_key from cache_entries").fetchall()
        kind = conn.execute("select relpersistence from pg_class where oid = 'cache_entries'::regclass").fetchone()
    assert (rows, kind) == ([("long",)], ("u",))


def test_on_asyncio(cache_dsn: str, redis_server: RedisServer) -> None:
    """The asynchronous cache does the same with tiers of its colour, and with memory's."""

    async def run() -> None:
        async with AsyncDatabase.connect(cache_dsn, pool_max_size=2) as db:
            redis = AsyncRedisTier(redis_server.url, prefix="async:")
            cache = AsyncCache(MemoryTier(), redis, AsyncPostgresTier(db), tags=AsyncDatabaseTags(db))
            await cache.set("one", SONG, tags=["songs"])
            await cache.set("two", SONG)
            assert await cache.get("one", Song) == SONG
            await cache.delete("two")
            assert await cache.get_many(["one", "two"], Song) == {"one": SONG}
            await cache.invalidate("songs")
            assert await cache.get("one", Song) is None
            await redis.close()

    asyncio.run(run())


def test_what_a_function_makes_is_kept(cache: Cache) -> None:
    """It is made once, also by many threads at once, and again when its tag is invalidated; None is a value."""
    made = itertools.count(1)

    def make() -> int:
        time.sleep(0.1)
        return next(made)

    def fetch(_: int) -> int:
        return cache.fetch("number", int, make, ttl=60, tags=["numbers"])

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(fetch, range(16))) == {1}
    cache.invalidate("numbers")
    assert [fetch(0), fetch(0)] == [2, 2]
    nothing: list[int] = []
    kind: Any = int | None
    for _ in range(2):
        assert cache.fetch("nothing", kind, lambda: nothing.append(1)) is None
    assert nothing == [1]


def test_what_cannot_be_made_is_not_kept(cache: Cache) -> None:
    """An error is the caller's, and the next one tries again."""
    divisors = iter([0, 1])

    def make() -> int:
        return 7 // next(divisors)

    with pytest.raises(ZeroDivisionError):
        cache.fetch("number", int, make)
    assert cache.fetch("number", int, make) == 7


def test_what_a_coroutine_makes_is_kept() -> None:
    """On asyncio it is awaited once for all tasks that want it."""

    async def run() -> None:
        cache = AsyncCache(MemoryTier())
        made = itertools.count(1)

        async def make() -> int:
            await asyncio.sleep(0.05)
            return next(made)

        fetched = (cache.fetch("number", int, make, tags=["numbers"]) for _ in range(20))
        assert set(await asyncio.gather(*fetched)) == {1}
        await cache.invalidate("numbers")
        assert await cache.fetch("number", int, make, tags=["numbers"]) == 2

    asyncio.run(run())


def test_both_colours_have_one_surface() -> None:
    """The two caches have the same methods with the same parameters, and both are what their Protocols say."""
    plain, coloured = (
        {name: value for name, value in vars(kind).items() if not name.startswith("_")} for kind in (Cache, AsyncCache)
    )
    assert plain.keys() == coloured.keys()
    for name, method in plain.items():
        assert list(inspect.signature(method).parameters) == list(inspect.signature(coloured[name]).parameters), name
    for protocol, kind in ((Caching, Cache), (AsyncCaching, AsyncCache)):
        for name in ("get", "get_many", "set", "delete", "invalidate"):
            wanted = inspect.signature(getattr(protocol, name)).parameters
            assert wanted.items() <= inspect.signature(getattr(kind, name)).parameters.items(), name
    if TYPE_CHECKING:
        both: tuple[Caching, AsyncCaching] = (Cache(MemoryTier()), AsyncCache(MemoryTier()))
        assert both


# Redis away, slow and back.


def test_redis_is_killed_and_comes_back(tmp_path: Path, db: Database) -> None:
    """Without Redis the next tier answers at once; the circuit opens, health says so, and closes when it is back."""
    server = RedisServer(tmp_path)
    server.start()
    redis = RedisTier(server.url, circuit=Circuit(failures=2, pause=0.2))
    cache = Cache(redis, PostgresTier(db))
    cache.set("song:1", SONG)
    assert cache.health().healthy
    server.kill()
    started = time.monotonic()
    assert [cache.get("song:1", Song) for _ in range(20)] == [SONG] * 20
    assert time.monotonic() - started < 2
    broken = cache.health().tiers[0]
    assert (broken.name, broken.state, broken.reason) == ("redis", "open", "ConnectionError")
    assert not cache.health().healthy
    server.start()
    time.sleep(0.25)
    assert cache.get("song:1", Song) == SONG
    assert cache.health().healthy
    redis.close()
    server.kill()


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_slow_redis_costs_a_bounded_time(
    redis_server: RedisServer, db: Database, cache_dsn: str, colour: str
) -> None:
    """A Redis that takes a second is given up after a tenth, three times; then it is not asked."""
    proxy = SlowProxy(redis_server.port)
    url = f"redis://127.0.0.1:{proxy.port}/0"
    times: list[float] = []

    def check(state: str) -> None:
        assert state == "open"
        assert max(times[:3]) < 0.6
        assert sum(times[3:]) < 0.6

    async def run() -> None:
        async with AsyncDatabase.connect(cache_dsn, pool_max_size=2) as adb:
            redis = AsyncRedisTier(url, prefix="slow:", timeout=0.1, circuit=Circuit(pause=30))
            cache = AsyncCache(redis, AsyncPostgresTier(adb))
            await cache.set("key", 1)
            proxy.delay = 1.0
            for _ in range(20):
                started = time.monotonic()
                assert await cache.get("key", int) == 1
                times.append(time.monotonic() - started)
            check(cache.health().tiers[0].state)
            await redis.close()

    if colour == "async":
        asyncio.run(run())
    else:
        redis = RedisTier(url, prefix="slow:", timeout=0.1, circuit=Circuit(pause=30))
        cache = Cache(redis, PostgresTier(db))
        cache.set("key", 1)
        proxy.delay = 1.0
        for _ in range(20):
            started = time.monotonic()
            assert cache.get("key", int) == 1
            times.append(time.monotonic() - started)
        check(cache.health().tiers[0].state)
        redis.close()
    proxy.close()


def test_a_circuit_opens_and_tries_one() -> None:
    """It opens after failures in a row, lets one call through after its pause, and closes when that went well."""
    circuit = Circuit(failures=2, pause=0.05)
    circuit.failed("a")
    assert circuit.admits()
    circuit.failed("b")
    assert (circuit.state, circuit.admits(), circuit.reason) == ("open", False, "b")
    time.sleep(0.06)
    assert [circuit.admits(), circuit.admits()] == [True, False]
    assert circuit.state == "half-open"
    circuit.went_well()
    assert (circuit.state, circuit.admits()) == ("closed", True)


def test_a_database_without_the_tables_is_a_miss(dsn: str) -> None:
    """A tier whose table is not there keeps nothing, and health says why."""
    with Database.connect(dsn, pool_max_size=1) as db:
        cache = Cache(PostgresTier(db))
        cache.set("key", 1)
        assert cache.get("key", int) is None
        assert cache.health().tiers[0].reason == "UndefinedTable"
        with pytest.raises(psycopg.errors.UndefinedTable):
            db_invalidate(db)


def db_invalidate(db: Database) -> None:
    """Invalidate through the database."""
    from sqlkit.caching import invalidate

    invalidate(db, "songs")


@pytest.mark.parametrize(
    ("package", "call", "extra"),
    [("cachetools", "MemoryTier()", "caching"), ("redis", "RedisTier('redis://')", "redis")],
)
def test_a_missing_extra_is_named(package: str, call: str, extra: str) -> None:
    """Where a package is not installed, the error says what to install, when it is wanted and not before."""
    script = (
        f"import sys; sys.modules['{package}'] = None\n"
        "from sqlkit.caching import *\n"
        f"try: {call}\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == f"ConfigurationError {package} is not installed: pip install 'sqlkit[{extra}]'\n"


@pytest.mark.parametrize("kind", [RedisTier, AsyncRedisTier])
@pytest.mark.parametrize("url", ["http://hidden@host", "redis://:hidden/more@host:6379", "redis://:more@host:hidden"])
def test_a_malformed_url_is_refused_without_its_password(kind: type[RedisTier | AsyncRedisTier], url: str) -> None:
    """A URL that is none is a ConfigurationError that says how one is written, and quotes nothing of it."""
    with pytest.raises(ConfigurationError, match=r"^RedisTier\(url=\): not a well-formed Redis URL") as raised:
        kind(url)
    assert "hidden" not in str(raised.value)


def test_the_page_on_caching_runs(
    dsn: str, redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program of docs/caching.md does what the page says."""
    page = (ROOT / "docs/caching.md").read_text(encoding="utf-8")
    blocks = {kind: re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL) for kind in ("sql", "python")}
    monkeypatch.chdir(tmp_path)
    Path("songs.sql").write_text("".join(blocks["sql"]), encoding="utf-8")
    module = ModuleType("caching_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    module.__dict__.update(dsn=dsn, redis_url=redis_server.url)
    exec(compile("\n".join(blocks["python"]), "docs/caching.md", "exec", dont_inherit=True), module.__dict__)
    assert module.__dict__["health"].tiers[0].hits >= 1
