"""Soleil's caches: repertoires for an hour, logins for a day, by their keys, through writes and without Redis."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
import redis
from pydantic import JsonValue

from sqlkit import AsyncDatabase
from sqlkit.apps import soleil
from sqlkit.apps.soleil import LoginNotKept, SoleilCache, user_tag
from sqlkit.apps.soleil.http import create_app
from sqlkit.apps.soleil.login_routes import GivenToken
from sqlkit.apps.soleil.settings import SoleilSettings
from sqlkit.caching import invalidate
from tests.redis_server import RedisServer, SlowProxy
from tests.serving import served
from tests.test_soleil_http import created, joined

Body = Callable[[AsyncDatabase, SoleilCache], Awaitable[None]]


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Give a server that runs."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """Give a server that the test may kill."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def settings(soleil_dsn: str) -> SoleilSettings:
    """Give the settings of a database of its own."""
    return SoleilSettings(url=soleil_dsn, pool_min_size=1, pool_max_size=4)


@pytest.fixture
def run(settings: SoleilSettings, redis_server: RedisServer) -> Callable[..., None]:
    """Give a function that runs a body on a database and its caches."""

    def run(body: Body, url: str | None = redis_server.url) -> None:
        async def opened() -> None:
            async with AsyncDatabase.connect(settings) as db, SoleilCache.opened(db, url) as cache:
                await body(db, cache)

        asyncio.run(opened())

    return run


async def ella(db: AsyncDatabase) -> UUID:
    """Create a user with two songs."""
    new = soleil.NewUser(email="ella@example.org", google_id="google-ella", display_name="Ella")
    user = await soleil.users.create_user(db, user=new)
    listed = [soleil.NewSong(user_id=user.user_id, title=title) for title in ("Avalon", "Dinah")]
    await soleil.songs.import_songs(db, listed)
    return user.user_id


async def soon(check: Callable[[], Awaitable[bool]], within: float = 3.0) -> bool:
    """Wait until something holds."""
    deadline = time.monotonic() + within
    while not await check():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


def keys_in(server: RedisServer, part: str) -> dict[str, int]:
    """Return the keys in Redis that have a text in them, with the seconds that they have to live."""
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        return {key: client.ttl(key) for key in client.keys("*") if part in key}


# Repertoires.


def test_a_repertoire_is_kept_for_an_hour(run: Callable[..., None], redis_server: RedisServer) -> None:
    """It is that of the database, and is kept under its key in all tiers."""

    async def body(db: AsyncDatabase, cache: SoleilCache) -> None:
        user_id = await ella(db)
        assert await cache.get_cached_repertoire(user_id) is None
        whole = await soleil.users.get_user_with_repertoire(db, user_id=user_id)
        assert await cache.get_repertoire(user_id=user_id) == whole
        assert await cache.get_cached_repertoire(user_id) == whole
        assert [tier.fills for tier in cache.cache.health().tiers] == [1, 1, 1]
        ((key, seconds),) = keys_in(redis_server, str(user_id)).items()
        assert key.endswith(f".soleil:repertoire:{user_id}")
        assert 0.9 * 3600 - 5 <= seconds <= 3600

    run(body)


@pytest.mark.parametrize("commits", [True, False])
def test_a_write_makes_a_repertoire_invalid_when_it_commits(run: Callable[..., None], commits: bool) -> None:
    """In the transaction of the write and without looking for keys; a rolled-back one changes nothing."""

    async def body(db: AsyncDatabase, cache: SoleilCache) -> None:
        user_id = await ella(db)
        before = await cache.get_repertoire(user_id=user_id)
        async with db.transaction() as conn:
            await soleil.songs.create_song(conn, song=soleil.NewSong(user_id=user_id, title="Swanee"))
            await invalidate(conn, user_tag(user_id))
            assert await cache.get_repertoire(user_id=user_id) == before  # nothing is committed
            if not commits:
                await conn.rollback()
        after = await cache.get_repertoire(user_id=user_id)
        assert before is not None
        assert after is not None
        assert len(after.repertoire) == (3 if commits else 2)
        assert (cache.cache.statistics().stale > 0) is commits

    run(body)


def test_a_users_cache_is_forgotten_and_nobody_elses(run: Callable[..., None]) -> None:
    """One user's repertoire is read anew, that of another is not."""

    async def body(db: AsyncDatabase, cache: SoleilCache) -> None:
        user_id = await ella(db)
        new = soleil.NewUser(email="max@example.org", google_id="max", display_name="Max")
        other = (await soleil.users.create_user(db, user=new)).user_id
        for each in (user_id, other):
            await cache.get_repertoire(user_id=each)
        await cache.invalidate_user_cache(user_id)
        assert await cache.get_cached_repertoire(user_id) is None
        assert await cache.get_cached_repertoire(other) is not None

    run(body)


def test_tasks_that_miss_one_repertoire_ask_once(run: Callable[..., None]) -> None:
    """Fifty tasks at once run the query once."""

    async def body(db: AsyncDatabase, cache: SoleilCache) -> None:
        user_id = await ella(db)
        found = await asyncio.gather(*(cache.get_repertoire(user_id=user_id) for _ in range(50)))
        assert len({id(each) for each in found}) == 50
        assert all(each == found[0] for each in found)
        assert cache.cache.statistics().fills == 1

    run(body)


# Logins.


def test_a_login_lives_for_a_day_by_the_hash_of_its_token(
    run: Callable[..., None], redis_server: RedisServer, settings: SoleilSettings
) -> None:
    """Neither Redis nor the database has the token; both keep the login for 24 hours, to the second."""

    async def body(db: AsyncDatabase, cache: SoleilCache) -> None:
        user_id = uuid4()
        token, session = await cache.logins.create_session(user_id)
        text = token.reveal()
        assert session.expires_at - session.created_at == timedelta(hours=24)
        assert await cache.logins.validate_session(text) == session
        assert await cache.logins.validate_session(text[:-1]) is None
        digest = hashlib.sha256(text.encode()).hexdigest()
        ((key, seconds),) = keys_in(redis_server, digest).items()
        assert 86_400 - 5 <= seconds <= 86_400
        assert keys_in(redis_server, text) == {}
        with redis.Redis.from_url(redis_server.url) as client, psycopg.connect(settings.dsn()) as conn:
            kept = str(client.get(key)) + repr(conn.execute("select * from cache_entries, cache_tags").fetchall())
            query = "select extract(epoch from expires_at - now())::float from cache_entries"
            lives = conn.execute(query).fetchone()
        assert digest in kept
        assert text not in kept
        assert str(user_id) in kept
        assert lives is not None
        assert 86_400 - 5 <= lives[0] <= 86_400

    run(body)


def test_a_login_ends(run: Callable[..., None], settings: SoleilSettings, redis_server: RedisServer) -> None:
    """One token is logged out, then all of a user's, in every process; another user's login stays."""

    async def body(db: AsyncDatabase, cache: SoleilCache) -> None:
        user_id, other = uuid4(), uuid4()
        tokens = [(await cache.logins.create_session(user_id)).token.reveal() for _ in range(3)]
        stays = (await cache.logins.create_session(other)).token.reveal()
        async with AsyncDatabase.connect(settings) as db2, SoleilCache.opened(db2, redis_server.url) as theirs:
            for each in (cache, theirs):
                assert await each.logins.validate_session(tokens[0])
            assert await cache.logins.end_session(tokens[0])
            assert not await cache.logins.end_session(tokens[0])
            for each in (cache, theirs):
                assert await each.logins.validate_session(tokens[0]) is None
                assert await each.logins.validate_session(tokens[1])
            await cache.logins.end_sessions(user_id)
            for each in (cache, theirs):
                assert [await each.logins.validate_session(token) for token in tokens] == [None] * 3
                assert await each.logins.validate_session(stays)

    run(body)


def test_a_login_whose_time_is_over_is_none(run: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time a token is worth nothing, though it might still be kept."""
    monkeypatch.setattr("sqlkit.apps.soleil.logins.TOKEN_LIVES", timedelta(seconds=0.5))

    async def body(db: AsyncDatabase, cache: SoleilCache) -> None:
        token, session = await cache.logins.create_session(uuid4())
        assert await cache.logins.validate_session(token.reveal()) == session
        await asyncio.sleep((session.expires_at - datetime.now(UTC)).total_seconds())
        assert await cache.logins.validate_session(token.reveal()) is None

    run(body)


def test_what_a_client_keeps_for_a_user(run: Callable[..., None], redis_server: RedisServer) -> None:
    """It is kept for an hour, replaced whole, and gone with the user's logins."""

    async def body(db: AsyncDatabase, cache: SoleilCache) -> None:
        user_id = uuid4()
        assert await cache.logins.get_user_session(user_id) is None
        kept: list[dict[str, JsonValue]] = [{"view": "songs", "page": 2}, {"view": "bands"}]
        for data in kept:
            await cache.logins.cache_user_session(user_id, data)
            assert await cache.logins.get_user_session(user_id) == data
        ((key, seconds),) = keys_in(redis_server, str(user_id)).items()
        assert key.endswith(f":session:{user_id}")
        assert 3600 - 5 <= seconds <= 3600
        await cache.logins.end_sessions(user_id)
        assert await cache.logins.get_user_session(user_id) is None

    run(body)


# Without Redis.


def test_logins_outlive_a_redis_that_is_killed(run: Callable[..., None], own_redis: RedisServer) -> None:
    """Who is logged in stays so, others log in and out meanwhile, and nobody is logged in again by what comes back."""

    async def body(db: AsyncDatabase, cache: SoleilCache) -> None:
        user_id = await ella(db)
        first, second = [(await cache.logins.create_session(user_id)).token.reveal() for _ in range(2)]
        await cache.logins.cache_user_session(user_id, {"page": 1})
        before = await cache.get_repertoire(user_id=user_id)
        own_redis.kill()
        started = time.monotonic()
        assert await cache.logins.validate_session(first)
        third = (await cache.logins.create_session(user_id)).token.reveal()
        assert await cache.logins.validate_session(third)
        assert await cache.logins.end_session(second)
        await cache.logins.cache_user_session(user_id, {"page": 2})
        assert await cache.get_repertoire(user_id=user_id) == before
        assert time.monotonic() - started < 5
        assert [tier.state for tier in cache.logins.cache.health().tiers] == ["open", "closed"]
        own_redis.start()

        async def closed() -> bool:
            await cache.logins.validate_session(first)
            return cache.logins.cache.health().healthy

        assert await soon(closed, within=5)
        assert await cache.logins.validate_session(second) is None
        assert await cache.logins.get_user_session(user_id) == {"page": 2}
        assert await cache.logins.validate_session(third)

    run(body, own_redis.url)


def test_a_slow_redis_costs_a_bounded_time(run: Callable[..., None], redis_server: RedisServer) -> None:
    """Each call answers within a few times the timeout, and at once when the circuit is open."""
    proxy = SlowProxy(redis_server.port)

    async def body(db: AsyncDatabase, cache: SoleilCache) -> None:
        user_id = await ella(db)
        proxy.delay = 2.0
        times = []
        for _ in range(6):
            started = time.monotonic()
            assert await cache.get_repertoire(user_id=user_id)
            await cache.invalidate_user_cache(user_id)
            times.append(time.monotonic() - started)
        assert max(times) < 3 * 0.25 + 0.75
        assert sum(times[3:]) < 0.75
        assert cache.statistics()[0].tiers[1].state == "open"

    run(body, f"redis://127.0.0.1:{proxy.port}/0")
    proxy.close()


def test_a_login_that_nothing_keeps_is_refused(run: Callable[..., None]) -> None:
    """No token is given away that would be worth nothing."""

    async def body(db: AsyncDatabase, cache: SoleilCache) -> None:
        async with db.connection() as conn:
            await conn.execute("drop table cache_entries")
        with pytest.raises(LoginNotKept):
            await cache.logins.create_session(uuid4())

    run(body, None)


# Over HTTP.


@pytest.fixture
def client(settings: SoleilSettings, own_redis: RedisServer) -> Iterator[httpx.Client]:
    """Give a client of the application with all tiers."""
    with served(create_app(settings, redis=own_redis.url)) as client:
        yield client


def bearer(token: str) -> dict[str, Any]:
    """Return the header that a token goes in."""
    return {"headers": {"Authorization": f"Bearer {token}"}}


def logged_in(client: httpx.Client, me: str) -> str:
    """Log a user in; return the token."""
    return GivenToken.model_validate(created(client, f"{me}/sessions", None)).token


def test_logging_in_and_out(client: httpx.Client) -> None:
    """A user gets a token, is known by it, and logs out; whoever is deleted or no longer active is logged out."""
    me = joined(client)
    token = logged_in(client, me)
    assert client.get("/session", **bearer(token)).json()["user_id"] == me.split("/")[-1]
    assert client.get("/session").status_code == 401
    assert client.get("/session", **bearer("x")).status_code == 401
    assert client.delete("/session", **bearer(token)).status_code == 204
    assert client.delete("/session", **bearer(token)).status_code == 401
    token = logged_in(client, me)
    assert client.delete(f"{me}/sessions").status_code == 204
    assert client.get("/session", **bearer(token)).status_code == 401
    token = logged_in(client, me)
    assert client.patch(me, json={"is_active": False}).status_code == 200
    assert client.get("/session", **bearer(token)).status_code == 401
    assert client.post(f"{me}/sessions").status_code == 404
    client.patch(me, json={"is_active": True})
    token = logged_in(client, me)
    assert client.delete(me).status_code == 204
    assert client.get("/session", **bearer(token)).status_code == 401
    assert client.post(f"{me}/sessions").status_code == 404


def test_a_session_of_a_user(client: httpx.Client) -> None:
    """What a client keeps comes back."""
    me = joined(client)
    assert client.get(f"{me}/session").status_code == 404
    assert client.put(f"{me}/session", json={"page": 3}).status_code == 204
    assert client.get(f"{me}/session").json() == {"page": 3}


def test_every_write_is_seen_at_once(client: httpx.Client) -> None:
    """After each route that changes a user or their songs the repertoire is read as it is now."""
    me = joined(client)

    def titles() -> list[str]:
        return [song["title"] for song in client.get(f"{me}/repertoire").json()["repertoire"]]

    assert titles() == []
    song = created(client, f"{me}/songs", {"title": "Dinah"})
    assert titles() == ["Dinah"]
    created(client, f"{me}/songs/bulk", [{"title": "Avalon"}])
    assert titles() == ["Avalon", "Dinah"]
    client.patch(f"/songs/{song['song_id']}", json={"title": "Swanee"})
    assert titles() == ["Avalon", "Swanee"]
    client.delete(f"/songs/{song['song_id']}")
    assert titles() == ["Avalon"]
    client.delete(f"{me}/repertoire")
    assert titles() == []
    client.patch(me, json={"display_name": "E."})
    assert client.get(f"{me}/repertoire").json()["display_name"] == "E."
    client.put(f"{me}/profile", json={"instrument": "voice"})
    assert client.get(f"{me}/repertoire").json()["profile_data"] == {"instrument": "voice"}
    client.delete(me)
    assert client.get(f"{me}/repertoire").status_code == 404


def test_calls_answer_while_redis_is_down(client: httpx.Client, own_redis: RedisServer) -> None:
    """Repertoires and logins go on, and the metric says that Redis is away."""
    me = joined(client)
    token = logged_in(client, me)
    client.get(f"{me}/repertoire")
    own_redis.kill()
    for number in range(6):
        assert client.get("/session", **bearer(token)).status_code == 200
        created(client, f"{me}/songs", {"title": f"T{number}"})
        assert len(client.get(f"{me}/repertoire").json()["repertoire"]) == number + 1
    states = [{tier["name"]: tier["state"] for tier in cache["tiers"]} for cache in client.get("/cache").json()]
    assert [state["redis"] for state in states] == ["open", "open"]
    assert states[0]["memory"] == states[0]["postgres"] == "closed"
