"""Cached queries: single flight, invalidation with the commit of a write, a listener that is cut off."""

from __future__ import annotations

import asyncio
import inspect
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, assert_type

import psycopg
import pytest
from pydantic import BaseModel

import sqlkit
from sqlkit import Affected, AsyncDatabase, AsyncExecutor, Database, Executor
from sqlkit.caching import (
    AsyncCache,
    AsyncDatabaseTags,
    AsyncPostgresTier,
    Cache,
    DatabaseTags,
    Listener,
    MemoryTier,
    PostgresTier,
    cached,
    install,
    invalidate,
    statements,
)
from sqlkit.errors import ArgumentError, ConfigurationError
from sqlkit.testing import TestServer, dropped_afterwards, template
from tests.redis_server import SlowProxy

STATEMENTS = """
-- name: get_song
select song_id, title, price from songs where song_id = :song_id;

-- name: find_song
select song_id, title, price from songs where song_id = :song_id;

-- name: list_songs
select song_id, title, price from songs order by song_id;

-- name: get_slowly
select song_id, title, price from songs where song_id = :song_id and pg_sleep(0.3) is not null;

-- name: count_calls
select nextval('calls') as calls from pg_sleep(0.2);

-- name: divide
select 1 / :divisor as quotient from pg_sleep(0.2);

-- name: current_tenant
select current_setting('app.tenant', true) as tenant;

-- name: retitle
update songs set title = :title where song_id = :song_id;
"""


class Song(BaseModel):
    song_id: int
    title: str
    price: Decimal


class Songs(Protocol):
    """Songs."""

    def get_song(self, db: Executor, song_id: int) -> Song: ...
    def find_song(self, db: Executor, *, song_id: int) -> Song | None: ...
    def list_songs(self, db: Executor) -> list[Song]: ...
    def get_slowly(self, db: Executor, song_id: int) -> Song: ...
    def count_calls(self, db: Executor) -> int: ...
    def divide(self, db: Executor, divisor: int) -> int: ...
    def current_tenant(self, db: Executor) -> str: ...
    def retitle(self, db: Executor, song_id: int, title: str) -> Affected: ...


class AsyncSongs(Protocol):
    """Songs, on asyncio."""

    async def get_song(self, db: AsyncExecutor, song_id: int) -> Song: ...
    async def count_calls(self, db: AsyncExecutor) -> int: ...


class Api(NamedTuple):
    """The two colours of the queries."""

    sync: Songs
    asynchronous: AsyncSongs


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Api:
    """Give the queries, in both colours."""
    path = tmp_path_factory.mktemp("sql") / "songs.sql"
    path.write_text(STATEMENTS)
    return Api(sqlkit.load(Songs, path), sqlkit.load(AsyncSongs, path))


@pytest.fixture(scope="module")
def songs(api: Api) -> Songs:
    """Give the queries for threads."""
    return api.sync


def load_songs(dsn: str) -> None:
    """Make the cache's tables, and songs."""
    install(dsn)
    with psycopg.connect(dsn) as conn:
        conn.execute("create table songs (song_id int primary key, title text not null, price numeric not null)")
        conn.execute("insert into songs select n, 'old', 1.10 from generate_series(1, 20) as n")
        conn.execute("create sequence calls")


@pytest.fixture(scope="module")
def songs_template(server: TestServer) -> Iterator[str]:
    """Give the name of a database with songs."""
    with template(server, load_songs, "cached_songs") as database:
        yield database


@pytest.fixture
def song_dsn(server: TestServer, songs_template: str) -> Iterator[str]:
    """Give the DSN of a clone of it."""
    with dropped_afterwards(server, songs_template, "cached") as database:
        yield server.dsn_for(database)


@pytest.fixture
def db(song_dsn: str) -> Iterator[Database]:
    """Give a database with songs."""
    with Database.connect(song_dsn, pool_max_size=20) as db:
        yield db


@pytest.fixture
def listener(song_dsn: str) -> Iterator[Listener]:
    """Give a listener that hears."""
    with Listener(song_dsn, heartbeat=0.1, patience=0.5) as listener:
        assert listener.hears
        yield listener


def retitle_outside(dsn: str, title: str, *, commit: bool = True) -> None:
    """Change a song as another process does: no listener of this one is told, as ``invalidate`` does, but by NOTIFY."""
    with psycopg.connect(dsn) as conn:
        conn.execute("update songs set title = %s where song_id = 1", [title])
        statements.cache.bump_tags(conn, tags=["song:1"])
        if not commit:
            conn.rollback()


def soon(check: Callable[[], bool], within: float = 5.0) -> bool:
    """Wait until something holds."""
    deadline = time.monotonic() + within
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def shared(db: Database, listener: Listener | None = None) -> Cache:
    """Return a cache of memory and PostgreSQL."""
    return Cache(MemoryTier(), PostgresTier(db), tags=DatabaseTags(db, listener))


# What is called.


@pytest.mark.parametrize(
    "call", ["get_song(db, 1)", "get_song(db, song_id=1)", "find_song(db, song_id=1)", "list_songs(db)"]
)
def test_a_second_call_asks_the_cache(songs: Songs, db: Database, call: str) -> None:
    """The same models come again though the table has changed meanwhile, however the arguments are given."""
    cache = Cache(MemoryTier())
    name = call.partition("(")[0]
    query = cached(getattr(songs, name), cache)
    first = eval(call, {name: query, "db": db})
    songs.retitle(db, 1, "new")
    assert eval(call, {name: query, "db": db}) == first
    assert "old" in repr(first)


def test_type_checkers_see_the_signature(songs: Songs) -> None:
    """A cached query has the type of the method; without this annotation being right mypy --strict fails here."""
    query = cached(songs.find_song, Cache(MemoryTier()))
    if TYPE_CHECKING:
        with psycopg.connect() as conn:
            assert_type(query(conn, song_id=1), Song | None)
    assert inspect.signature(query) == inspect.signature(songs.find_song)


def test_a_row_that_is_not_there_is_remembered(songs: Songs, db: Database) -> None:
    """None is a value like any other."""
    tier = MemoryTier()
    query = cached(songs.find_song, Cache(tier))
    assert [query(db, song_id=99), query(db, song_id=99)] == [None, None]
    assert tier.health().hits == 1


def test_arguments_make_the_key(songs: Songs, db: Database) -> None:
    """Calls with other arguments are other entries, also where a function makes the key."""
    query = cached(songs.get_song, Cache(MemoryTier()), key=lambda song_id: f"song:{song_id}")
    assert [query(db, 1).song_id, query(db, 2).song_id, query(db, 1).song_id] == [1, 2, 1]


def test_views_of_tenants_do_not_share(songs: Songs, db: Database) -> None:
    """What one bound view may see is not served to another."""
    query = cached(songs.current_tenant, Cache(MemoryTier()))
    views = [db.bound(settings={"app.tenant": name}) for name in ("a", "b")]
    assert [query(view) for view in (*views, *views)] == ["a", "b", "a", "b"]


def test_a_transaction_bypasses_the_cache(songs: Songs, db: Database) -> None:
    """A transaction reads its own writes, and fills nothing that others may not see."""
    query = cached(songs.get_song, Cache(MemoryTier()))
    with db.transaction() as conn:
        songs.retitle(conn, 1, "mine")
        assert query(conn, 1).title == "mine"
        conn.rollback()
    assert query(db, 1).title == "old"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda api: cached(api.sync.retitle, Cache(MemoryTier())), "only a query that reads"),
        (lambda api: cached(api.sync.get_song, AsyncCache(MemoryTier())), "takes a Cache, not AsyncCache"),
        (lambda api: cached(api.asynchronous.get_song, Cache(MemoryTier())), "takes an AsyncCache, not Cache"),
        (lambda api: cached(len, Cache(MemoryTier())), "give a method that load made"),
    ],
)
def test_what_cannot_be_cached_is_refused(api: Api, wrong: Callable[[Api], Any], message: str) -> None:
    """It is refused when it is wrapped, not when it is called."""
    with pytest.raises(ConfigurationError, match=message):
        wrong(api)


# Single flight.


TEMPLATES: list[tuple[str, dict[str, Any], str]] = [
    ("unknown", {"key": "song:{nope}"}, "key: 'song:{nope}': no parameter 'nope': it takes song_id"),
    ("connection", {"key": "song:{db}"}, "key: 'song:{db}': no parameter 'db': it takes song_id"),
    ("numbered", {"key": "song:{}"}, "key: 'song:{}': no parameter '': it takes song_id"),
    ("open", {"key": "song:{song_id"}, "key: 'song:{song_id': expected '}' before end of string"),
    (
        "tag",
        {"tags": ["songs", "song:{nope.title}"]},
        "tags: 'song:{nope.title}': no parameter 'nope': it takes song_id",
    ),
    ("brace", {"tags": ["song}"]}, "tags: 'song}': Single '}' encountered in format string"),
    ("format", {"tags": ["{song_id:{width}}"]}, "tags: '{song_id:{width}}': no parameter 'width': it takes song_id"),
]


@pytest.mark.parametrize(("given", "message"), [case[1:] for case in TEMPLATES], ids=[case[0] for case in TEMPLATES])
def test_a_template_names_parameters(songs: Songs, given: dict[str, Any], message: str) -> None:
    """A key or a tag with what is no parameter is refused where it is written, not at the first call."""
    with pytest.raises(ArgumentError) as caught:
        cached(songs.get_song, Cache(MemoryTier()), **given)
    place = re.escape(f"{__name__.rpartition('.')[2]}.py")
    assert re.fullmatch(rf".*{place}:\d+: Songs\.get_song: cached: {re.escape(message)}", str(caught.value))


def test_a_template_of_a_query_without_parameters(songs: Songs) -> None:
    """It is said that there are none."""
    with pytest.raises(ArgumentError, match=r"no parameter 'song_id': it takes none$"):
        cached(songs.list_songs, Cache(MemoryTier()), tags=["{song_id}"])


@pytest.mark.parametrize("ttl", ["1h", None])
def test_a_time_to_live_that_is_none(songs: Songs, ttl: Any) -> None:
    """A text is no time, and the error says what is."""
    with pytest.raises(ArgumentError, match=rf"^ttl: {ttl!r}: give seconds as a number, or a timedelta$"):
        cached(songs.get_song, Cache(MemoryTier()), ttl=ttl)


def test_concurrent_misses_run_the_query_once(songs: Songs, db: Database) -> None:
    """Sixteen threads that miss one key get what one of them selected."""
    query = cached(songs.count_calls, Cache(MemoryTier()))
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(lambda _: query(db), range(16))) == [1] * 16


def test_concurrent_misses_get_the_error_of_the_one(songs: Songs, db: Database) -> None:
    """A query that fails fails for all who wait, and is run again by the next."""
    query = cached(songs.divide, Cache(MemoryTier()))

    def attempt(_: int) -> type[BaseException] | None:
        try:
            query(db, 0)
        except psycopg.Error as error:
            return type(error)
        return None

    started = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(attempt, range(8))) == {psycopg.errors.DivisionByZero}
    assert time.monotonic() - started < 1.2
    assert query(db, 1) == 1


def test_tasks_share_a_flight_and_outlive_its_leader(api: Api, song_dsn: str) -> None:
    """Tasks that miss one key run the query once; when the one that runs it is cancelled, another does."""

    async def run() -> None:
        async with AsyncDatabase.connect(song_dsn, pool_max_size=4) as db:
            query = cached(api.asynchronous.count_calls, AsyncCache(MemoryTier()))
            tasks = [asyncio.create_task(query(db)) for _ in range(8)]
            await asyncio.sleep(0.05)
            tasks[0].cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(found[0], asyncio.CancelledError)
            assert len(set(found[1:])) == 1
            assert isinstance(found[1], int)

    asyncio.run(run())


def test_who_comes_after_a_commit_does_not_wait_for_what_was_selected_before(songs: Songs, db: Database) -> None:
    """A reader that begins after a commit gets the new row though an older select is under way."""
    cache = Cache(MemoryTier())
    query = cached(songs.get_slowly, cache, tags=["song:{song_id}"])
    with ThreadPoolExecutor(2) as threads:
        early = threads.submit(query, db, 1)
        time.sleep(0.1)
        songs.retitle(db, 1, "new")
        cache.invalidate("song:1")
        late = threads.submit(query, db, 1)
        assert (early.result().title, late.result().title) == ("old", "new")
    assert query(db, 1).title == "new"


# Invalidation with the commit.


def test_a_commit_elsewhere_reaches_this_process(songs: Songs, db: Database, song_dsn: str, listener: Listener) -> None:
    """Another connection's commit makes the entry invalid in memory, within moments."""
    query = cached(songs.get_song, shared(db, listener), tags=["song:{song_id}"])
    assert query(db, 1).title == "old"
    retitle_outside(song_dsn, "new")
    assert soon(lambda: query(db, 1).title == "new", within=1)


def test_a_rolled_back_write_invalidates_nothing(songs: Songs, db: Database, song_dsn: str, listener: Listener) -> None:
    """The entry is served from memory after the rollback."""
    cache = shared(db, listener)
    query = cached(songs.get_song, cache, tags=["song:{song_id}"])
    query(db, 1)
    retitle_outside(song_dsn, "new", commit=False)
    time.sleep(0.1)
    hits = cache.health().tiers[0].hits
    assert query(db, 1).title == "old"
    assert cache.health().tiers[0].hits == hits + 1


def test_without_a_listener_nothing_stale_is_served(songs: Songs, db: Database, song_dsn: str) -> None:
    """Then memory is not served, versions are asked of the database, and a commit holds at once."""
    tier = MemoryTier()
    query = cached(songs.get_song, Cache(tier, PostgresTier(db), tags=DatabaseTags(db)), tags=["song:{song_id}"])
    assert query(db, 1).title == query(db, 1).title == "old"
    assert len(tier) == 0
    retitle_outside(song_dsn, "new")
    assert query(db, 1).title == "new"


@pytest.mark.parametrize("listens", [True, False])
def test_a_reader_that_selected_before_the_commit_cannot_fill_after_it(
    songs: Songs, db: Database, song_dsn: str, listens: bool, listener: Listener
) -> None:
    """Its own answer is old, for it began before; nobody else is given it."""
    cache = shared(db, listener if listens else None)
    query = cached(songs.get_slowly, cache, tags=["song:{song_id}"])
    with ThreadPoolExecutor(1) as threads:
        early = threads.submit(query, db, 1)
        time.sleep(0.1)
        retitle_outside(song_dsn, "new")
        assert early.result().title == "old"
    assert query(db, 1).title == "new"


def test_on_asyncio_a_commit_elsewhere_arrives(api: Api, song_dsn: str, listener: Listener) -> None:
    """The asynchronous cache hears by the same listener; its own invalidation in a transaction is the same too."""

    async def run() -> None:
        async with AsyncDatabase.connect(song_dsn, pool_max_size=4) as db:
            cache = AsyncCache(MemoryTier(), AsyncPostgresTier(db), tags=AsyncDatabaseTags(db, listener))
            query = cached(api.asynchronous.get_song, cache, tags=["song:{song_id}"])
            assert (await query(db, 1)).title == "old"
            async with db.transaction() as conn:
                await conn.execute("update songs set title = 'new' where song_id = 1")
                await invalidate(conn, "song:1")
            deadline = time.monotonic() + 1
            while (await query(db, 1)).title != "new":
                assert time.monotonic() < deadline
                await asyncio.sleep(0.005)

    asyncio.run(run())


# A listener that is cut off.


def terminate_listener(dsn: str) -> None:
    """End the listener's connection on the server."""
    with psycopg.connect(dsn) as conn:
        conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'sqlkit cache listener' and datname = current_database()"
        )


def test_a_listener_that_is_cut_off_empties_memory(
    songs: Songs, db: Database, song_dsn: str, listener: Listener
) -> None:
    """The memory tier is emptied at once; when the listener is back, it is filled and served again."""
    memory = MemoryTier()
    cache = Cache(memory, tags=DatabaseTags(db, listener))
    query = cached(songs.get_song, cache, tags=["song:{song_id}"])
    query(db, 1)
    assert len(memory) == 1
    terminate_listener(song_dsn)
    assert soon(lambda: len(memory) == 0)
    assert soon(lambda: listener.hears)
    retitle_outside(song_dsn, "new")
    assert soon(lambda: query(db, 1).title == "new", within=1)
    assert len(memory) == 1
    assert cache.health().healthy


@pytest.mark.parametrize("heartbeat", [0.1, 60.0], ids=["it asks", "it does not come to ask"])
def test_a_listener_that_hears_nothing_any_more_is_cut_off(
    songs: Songs, db: Database, song_dsn: str, heartbeat: float
) -> None:
    """A network that swallows packets is noticed within ``patience``; then no value from memory is served.

    It is so too where the listener's thread does not notice it: an answer that is older than that says nothing.
    """
    with psycopg.connect(song_dsn) as conn:
        host, port = conn.info.host, conn.info.port
    proxy = SlowProxy(f"{host}/.s.PGSQL.{port}" if host.startswith("/") else port)
    dsn = psycopg.conninfo.make_conninfo(song_dsn, host="127.0.0.1", port=proxy.port)
    with Listener(dsn, heartbeat=heartbeat, patience=0.4) as listener:
        assert listener.hears
        cache = shared(db, listener)
        query = cached(songs.get_song, cache, tags=["song:{song_id}"])
        assert query(db, 1).title == "old"
        proxy.delay = 3
        retitle_outside(song_dsn, "new")
        committed = time.monotonic()
        assert soon(lambda: query(db, 1).title == "new", within=2)
        assert time.monotonic() - committed < 0.4 + 0.3
        assert cache.health().hears is False
    proxy.close()


# Other processes.

WRITER = """
import sys, time
from sqlkit import Database
from sqlkit.caching import invalidate
with Database.connect(sys.argv[1], pool_max_size=1) as db:
    for line in sys.stdin:
        title, commits = line.split()
        with db.transaction() as conn:
            conn.execute("update songs set title = %s where song_id = 1", [title])
            invalidate(conn, "song:1")
            if commits == "no":
                conn.rollback()
        print(title, flush=True)
"""


def test_a_write_of_another_process(songs: Songs, db: Database, song_dsn: str, listener: Listener) -> None:
    """What another process commits is seen within moments; what it rolls back makes nothing invalid."""
    cache = shared(db, listener)
    query = cached(songs.get_song, cache, tags=["song:{song_id}"])
    command = [sys.executable, "-c", WRITER, song_dsn]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        query(db, 1)
        for title, commits in (("a", "yes"), ("b", "no"), ("c", "yes"), ("d", "no")):
            before, stale = query(db, 1).title, cache.statistics().stale
            print(title, commits, file=writer.stdin, flush=True)
            assert writer.stdout.readline() == f"{title}\n"
            if commits == "yes":
                assert soon(lambda title=title: query(db, 1).title == title, within=1)  # type: ignore[misc]
            else:
                time.sleep(0.1)
                assert (query(db, 1).title, cache.statistics().stale) == (before, stale)
        writer.stdin.close()
        assert writer.wait(10) == 0


def test_a_process_sees_its_own_commit_at_once(songs: Songs, db: Database, listener: Listener) -> None:
    """Whoever writes and reads back gets what was written, without waiting for the notification."""
    cache = shared(db, listener)
    query = cached(songs.get_song, cache, tags=["song:{song_id}"])
    for number in range(50):
        query(db, 1)
        with db.transaction() as conn:
            songs.retitle(conn, 1, str(number))
            invalidate(conn, "song:1")
            assert query(db, 1).title == (str(number - 1) if number else "old")  # it is not committed
        assert query(db, 1).title == str(number)
    with db.transaction() as conn:
        songs.retitle(conn, 1, "never")
        invalidate(conn, "song:1")
        conn.rollback()
    assert query(db, 1).title == "49"
    hits = cache.statistics().tiers[0].hits
    assert soon(lambda: query(db, 1).title == "49" and cache.statistics().tiers[0].hits > hits)


def test_an_invalidation_on_the_database_itself_holds_at_once(songs: Songs, db: Database, listener: Listener) -> None:
    """Outside of a transaction of the caller's it is committed when the call returns, and is seen."""
    query = cached(songs.get_song, shared(db, listener), tags=["song:{song_id}"])
    for number in range(50):
        query(db, 1)
        songs.retitle(db, 1, str(number))
        invalidate(db, "song:1")
        assert query(db, 1).title == str(number)


def test_a_key_that_is_a_template(songs: Songs, db: Database) -> None:
    """The text is the whole key, in which arguments stand."""
    cache = Cache(MemoryTier(), namespace="mine")
    query = cached(songs.get_song, cache, key="song:{song_id}")
    assert [query(db, 1).song_id, query(db, 2).song_id, query(db, song_id=1).song_id] == [1, 2, 1]
    assert cache.get("song:2", Song) == query(db, 2)


def test_without_jitter_a_time_to_live_is_exact(songs: Songs, db: Database) -> None:
    """What is to live for so long, as a login is, does."""
    tier = PostgresTier(db)
    cached(songs.get_song, Cache(tier), key="exact:{song_id}", ttl=1000, jitter=0)(db, 1)
    Cache(tier).set("exact:2", 1, ttl=1000, jitter=0)
    with db.connection() as conn:
        rows = conn.execute("select extract(epoch from expires_at - now()) from cache_entries").fetchall()
    assert len(rows) == 2
    assert all(998 < seconds <= 1000 for (seconds,) in rows)
