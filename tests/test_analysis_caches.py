"""Analysis' three tiers: the document's keys and times to live, what a write makes invalid, a Redis that is killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
import redis

from sqlkit import Database, NoRow
from sqlkit.apps import analysis
from sqlkit.apps.analysis import (
    AnalysisCache,
    AnalysisChanges,
    NewAnalysis,
    NewTool,
    NewUser,
    ToolChanges,
    UserChanges,
)
from sqlkit.apps.analysis.caches import tags_of
from sqlkit.apps.analysis.http import create_app
from sqlkit.apps.analysis.settings import AnalysisSettings
from sqlkit.caching import invalidate
from tests.redis_server import RedisServer, SlowProxy
from tests.serving import served
from tests.test_presentations_http import asked

USER = NewUser(username="ada", email="ada@example.org", hashed_password="x")


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
def settings(analysis_dsn: str) -> AnalysisSettings:
    """Give the settings of a database of its own."""
    return AnalysisSettings(url=analysis_dsn, pool_min_size=1, pool_max_size=8)


@pytest.fixture
def db(settings: AnalysisSettings) -> Iterator[Database]:
    """Give that database."""
    with Database.connect(settings) as db:
        yield db


@pytest.fixture
def cache(db: Database, redis_server: RedisServer) -> Iterator[AnalysisCache]:
    """Give the three tiers."""
    with AnalysisCache.opened(db, redis_server.url) as cache:
        yield cache


def made(db: Database) -> tuple[analysis.User, analysis.Analysis, analysis.Tool]:
    """Create a user with an analysis that has a result, and a tool."""
    user = analysis.users.create_user(db, user=USER)
    new = NewAnalysis(user_id=user.user_id, title="Means", result={"mean": 0.1, "n": 3})
    tool = NewTool(user_id=user.user_id, tool_type="chart", prompt="draw")
    return user, analysis.analyses.create_analysis(db, analysis=new), analysis.tools.create_tool(db, tool=tool)


def soon(check: Callable[[], bool], within: float = 3.0) -> bool:
    """Wait until something holds."""
    deadline = time.monotonic() + within
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_keys_and_times_to_live(db: Database, cache: AnalysisCache, redis_server: RedisServer) -> None:
    """Each read is kept in all three tiers under the document's key, for its time, less a tenth at most."""
    user, work, tool = made(db)
    cache.get_user(user_id=user.user_id)
    cache.list_user_analyses(user_id=user.user_id)
    cache.get_analysis_result(analysis_id=work.analysis_id)
    cache.get_tool(tool_id=tool.tool_id)
    cache.get_stats()
    cache.get_answer("stats/statuses", {"b": 1, "a": 2}, list[int], lambda: [1])
    wanted = {
        f"user:{user.user_id}": 1800,
        f"user_analyses:{user.user_id}": 1800,
        f"analysis_result:{work.analysis_id}": 3600,
        f"tool_generation:{tool.tool_id}": 3600,
        "system_stats": 60,
    }
    with db.connection() as conn:
        rows = conn.execute("select key, extract(epoch from expires_at - now())::float from cache_entries").fetchall()
        name = str(conn.info.dbname)
    found = dict(rows)
    (answer,) = found.keys() - wanted.keys()
    kind, endpoint, digest = answer.split(":")
    assert (kind, endpoint, len(digest)) == ("api", "stats/statuses", 32)
    with redis.Redis.from_url(redis_server.url) as client:
        for key, seconds in {**wanted, answer: 60}.items():
            assert 0.9 * seconds - 5 <= found[key] <= seconds
            assert 0.9 * seconds - 5 <= client.ttl(f"{name}.analysis:{key}") <= seconds
    assert [tier.name for tier in cache.health().tiers] == ["memory", "redis", "postgres"]
    assert [tier.fills for tier in cache.health().tiers] == [6, 6, 6]


def test_what_was_asked_makes_the_key_of_an_answer(cache: AnalysisCache) -> None:
    """Parameters in another order are the same, others are not."""
    answers = iter([[1], [2], [3]])

    def answer(asked: dict[str, Any]) -> list[int]:
        return cache.get_answer("tools", asked, list[int], lambda: next(answers))

    assert answer({"a": 1, "b": 2}) == answer({"b": 2, "a": 1}) == [1]
    assert answer({"a": 1}) == [2]
    assert cache.get_answer("logs", {"a": 1}, list[int], lambda: next(answers)) == [3]


def test_reads_are_those_of_the_database(db: Database, cache: AnalysisCache) -> None:
    """What is read first and what is kept are equal, from each tier."""
    user, work, tool = made(db)
    for _ in range(3):
        assert cache.get_user(user_id=user.user_id) == user
        assert cache.list_user_analyses(user_id=user.user_id) == [work]
        assert cache.get_analysis_result(analysis_id=work.analysis_id) == work.result
        assert cache.get_tool(tool_id=tool.tool_id) == tool
        assert cache.get_stats() == analysis.get_database_stats(db).model_copy(update={"cache_entries": 4})
        cache.cache.tiers[0].clear()
    statistics = cache.statistics()
    assert statistics.queries["analysis.users.get_user"].hits == 2
    assert statistics.queries["analysis.users.get_user"].misses == 1
    with pytest.raises(NoRow):
        cache.get_analysis_result(analysis_id=uuid4())


def test_a_write_makes_invalid_what_it_changes(db: Database, cache: AnalysisCache, settings: AnalysisSettings) -> None:
    """In its own transaction, also in another process's cache; a rolled-back one makes nothing invalid."""
    user, work, _ = made(db)
    with Database.connect(settings) as other, AnalysisCache.opened(other) as theirs:
        for each in (cache, theirs):
            each.get_analysis_result(analysis_id=work.analysis_id)
            each.list_user_analyses(user_id=user.user_id)
        changes = AnalysisChanges(result=[1, 2])
        with db.transaction() as conn:
            found = analysis.analyses.update_analysis(conn, analysis_id=work.analysis_id, changes=changes)
            invalidate(conn, *tags_of(found))
            conn.rollback()
        time.sleep(0.05)
        assert theirs.get_analysis_result(analysis_id=work.analysis_id) == work.result
        assert theirs.statistics().stale == 0
        with db.transaction() as conn:
            found = analysis.analyses.update_analysis(conn, analysis_id=work.analysis_id, changes=changes)
            invalidate(conn, *tags_of(found))
        for each in (cache, theirs):
            assert soon(lambda each=each: each.get_analysis_result(analysis_id=work.analysis_id) == [1, 2])  # type: ignore[misc]
            assert [kept.result for kept in each.list_user_analyses(user_id=user.user_id)] == [[1, 2]]


def test_a_write_to_a_user_or_a_tool(db: Database, cache: AnalysisCache, settings: AnalysisSettings) -> None:
    """What was kept of them is not served any more, in this process or another; what did not change is still kept."""
    user, work, tool = made(db)
    with Database.connect(settings) as other, AnalysisCache.opened(other) as theirs:
        for each in (cache, theirs):
            assert each.get_user(user_id=user.user_id) == user
            assert each.get_tool(tool_id=tool.tool_id) == tool
            each.get_analysis_result(analysis_id=work.analysis_id)
        with db.transaction() as conn:
            eve = analysis.users.update_user(conn, user_id=user.user_id, changes=UserChanges(username="eve"))
            invalidate(conn, *tags_of(eve))
        with db.transaction() as conn:
            failed = ToolChanges(status=analysis.WorkStatus.FAILED)
            broken = analysis.tools.update_tool(conn, tool_id=tool.tool_id, changes=failed)
            invalidate(conn, *tags_of(broken))
        for each in (cache, theirs):
            assert soon(lambda each=each: each.get_user(user_id=user.user_id) == eve)  # type: ignore[misc]
            assert soon(lambda each=each: each.get_tool(tool_id=tool.tool_id) == broken)  # type: ignore[misc]
            misses = each.statistics().misses
            assert each.get_analysis_result(analysis_id=work.analysis_id) == work.result
            assert each.statistics().misses == misses


def test_a_clean_up_makes_invalid_what_it_removes(db: Database, cache: AnalysisCache) -> None:
    """Results of analyses that are removed are served no longer."""
    _, work, _ = made(db)
    analysis.analyses.update_analysis(
        db, analysis_id=work.analysis_id, changes=AnalysisChanges(status=analysis.WorkStatus.FAILED)
    )
    cache.get_analysis_result(analysis_id=work.analysis_id)
    assert analysis.cleanup_old_data(db, days=0)["data_analyses"] == 1
    with pytest.raises(NoRow):
        cache.get_analysis_result(analysis_id=work.analysis_id)


def test_a_restore_makes_everything_invalid(db: Database, cache: AnalysisCache, tmp_path: Path) -> None:
    """What was kept of rows before is not served for those that a backup brings back under the same ids."""
    user = analysis.users.create_user(db, user=USER)
    analysis.backup_database_data(db, tmp_path / "backup.json")
    changed = analysis.users.update_user(db, user_id=user.user_id, changes=UserChanges(username="eve"))
    assert cache.get_user(user_id=user.user_id) == changed
    with db.connection() as conn:
        conn.execute("delete from users")
    analysis.restore_database_data(db, tmp_path / "backup.json")
    assert soon(lambda: cache.get_user(user_id=user.user_id) == user)


def test_what_a_service_keeps_by_hand(db: Database, cache: AnalysisCache) -> None:
    """A result and what is known of a user are kept by hand, read back, and forgotten with their user."""
    user, work, _ = made(db)
    cache.cache_analysis_result(work.analysis_id, {"result": "data"})
    assert cache.get_cached_analysis_result(work.analysis_id) == {"result": "data"}
    assert cache.get_analysis_result(analysis_id=work.analysis_id) == {"result": "data"}
    cache.cache_user_data(user.user_id, {"name": "John"})
    assert cache.get_cached_user_data(user.user_id) == {"name": "John"}
    assert cache.get_user(user_id=user.user_id) == user  # what is no user is a miss
    assert cache.get_cached_user_data(user.user_id) == user.model_dump(mode="json")
    cache.invalidate_user_cache(user.user_id)
    assert cache.get_cached_user_data(user.user_id) is None
    assert cache.get_cached_analysis_result(uuid4()) is None


def test_entries_put_by_hand_are_no_entries_of_the_tier(db: Database, cache: AnalysisCache) -> None:
    """A row that put_entry wrote under the same key is a miss, and no failure."""
    user, *_ = made(db)
    entry = analysis.NewEntry(key=f"user:{user.user_id}", value={"name": "John"}, seconds=60)
    analysis.cache.put_entry(db, entry=entry)
    assert cache.get_user(user_id=user.user_id) == user
    assert cache.health().healthy


# Redis is killed.


@pytest.fixture
def client(settings: AnalysisSettings, own_redis: RedisServer) -> Iterator[httpx.Client]:
    """Give a client of the application with all three tiers."""
    with served(create_app(settings, redis=own_redis.url)) as client:
        yield client


def redis_tier(client: httpx.Client) -> dict[str, Any]:
    """Return what the application says of Redis."""
    (tier,) = [tier for tier in asked(client.get("/cache"))["tiers"] if tier["name"] == "redis"]
    return dict(tier)


def test_calls_answer_while_redis_is_down(client: httpx.Client, own_redis: RedisServer, db: Database) -> None:
    """Sixteen callers go on through its death, a metric says so, and says when it is back."""
    user, work, tool = made(db)
    paths = [
        f"/users/{user.user_id}",
        f"/users/{user.user_id}/analyses",
        f"/analyses/{work.analysis_id}/result",
        f"/tools/{tool.tool_id}",
        "/stats",
        "/stats/statuses",
    ]
    before = [asked(client.get(path)) for path in paths]
    assert (redis_tier(client)["state"], redis_tier(client)["failures"]) == ("closed", 0)
    own_redis.kill()

    def call(number: int) -> float:
        started = time.monotonic()
        path = f"/users/{uuid4()}" if number % 2 else paths[number % len(paths)]
        answer = client.get(path)
        assert answer.status_code == (404 if number % 2 else 200), answer.text
        return time.monotonic() - started

    with ThreadPoolExecutor(16) as threads:
        assert max(threads.map(call, range(96))) < 5
    assert [asked(client.get(path)) for path in paths] == before
    broken = redis_tier(client)
    assert (broken["state"], broken["reason"]) == ("open", "ConnectionError")
    assert broken["failures"] >= 3
    assert broken["skipped"] > broken["failures"]
    assert broken["opened"] == 1
    changed = asked(client.patch(f"/analyses/{work.analysis_id}", json={"result": ["new"]}))
    assert asked(client.get(paths[2])) == ["new"]
    own_redis.start()

    def back() -> bool:
        client.get(f"/users/{uuid4()}")  # a key that memory does not have
        return bool(redis_tier(client)["state"] == "closed")

    assert soon(back, within=5)
    assert asked(client.get(paths[1])) == [changed]
    assert asked(client.get(paths[2])) == ["new"]  # though Redis has come back with what it had


def test_an_application_starts_while_redis_is_down(settings: AnalysisSettings, own_redis: RedisServer) -> None:
    """It starts, answers, and says how its cache is."""
    own_redis.kill()
    with served(create_app(settings, redis=own_redis.url)) as client:
        for _ in range(3):
            assert client.get(f"/users/{uuid4()}").status_code == 404
        assert redis_tier(client)["state"] == "open"


def test_a_redis_that_is_slow_is_left_alone(db: Database, redis_server: RedisServer) -> None:
    """A read costs at most a few times the timeout, three times; then Redis is not asked."""
    user, *_ = made(db)
    proxy = SlowProxy(redis_server.port)
    proxy.delay = 2.0
    times: list[float] = []
    with AnalysisCache.opened(db, f"redis://127.0.0.1:{proxy.port}/0") as cache:
        for _ in range(6):
            started = time.monotonic()
            assert cache.get_user(user_id=UUID(int=user.user_id.int ^ len(times))) in (user, None)
            times.append(time.monotonic() - started)
        assert cache.health().tiers[1].state == "open"
    assert max(times) < 3 * 0.25 + 0.75
    assert sum(times[3:]) < 0.75
    proxy.close()


def test_prometheus_is_told_of_a_redis_that_is_down(db: Database, own_redis: RedisServer) -> None:
    """The circuit, the failures and the keys of the cache are in the text that Prometheus reads."""
    from sqlkit.telemetry.prometheus import metrics_text

    user, *_ = made(db)
    with AnalysisCache.opened(db, own_redis.url) as cache:
        told = metrics_text({"main": db}, [cache])
        assert 'sqlkit_cache_circuit_open{cache="analysis",tier="redis"} 0.0' in told
        own_redis.kill()
        for number in range(4):
            cache.get_user(user_id=UUID(int=user.user_id.int ^ number))
        cache.get_user(user_id=user.user_id)
        told = metrics_text({"main": db}, [cache])
        assert 'sqlkit_cache_circuit_open{cache="analysis",tier="redis"} 1.0' in told
        assert 'sqlkit_cache_circuit_open{cache="analysis",tier="postgres"} 0.0' in told
        assert 'sqlkit_cache_failures_total{cache="analysis",tier="redis"} 3.0' in told
        assert 'sqlkit_cache_keys_total{cache="analysis",result="hits"} 1.0' in told


def test_a_metric_tells_of_a_listener_that_is_cut_off(db: Database, cache: AnalysisCache) -> None:
    """Statistics and health say that nothing is heard, and how often that was so."""
    assert cache.statistics().hears is True
    with psycopg.connect(db.settings.dsn()) as conn:
        conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'sqlkit cache listener' and datname = current_database()"
        )
    assert soon(lambda: cache.statistics().cuts == 1)
    assert soon(lambda: cache.statistics().hears is True)
