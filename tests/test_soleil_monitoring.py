"""What soleil tells of its database: slow statements and busy connections."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from sqlkit import AsyncDatabase, ConfigurationError, Database
from sqlkit.apps import MIGRATIONS, soleil
from sqlkit.apps.soleil.monitoring import ActiveConnection
from sqlkit.embedded.scratch import scratch_server
from sqlkit.migrate import migrate
from sqlkit.testing import TestServer


def ask(dsn: str, question: Any, **options: Any) -> Any:
    """Ask on a database of asyncio."""

    async def asked() -> Any:
        async with AsyncDatabase.connect(dsn, pool_min_size=1) as db:
            return await question(db, **options)

    return asyncio.run(asked())


@pytest.fixture(scope="module")
def counting_dsn(server: TestServer) -> Iterator[str]:
    """Give the DSN of soleil's database on a server that counts statements, after one that took its time."""
    loaded = {"shared_preload_libraries": "pg_stat_statements"}
    with scratch_server("sqlkit-soleil-", bindir=server.bindir, settings=loaded) as counting:
        started = TestServer(counting.dsn, server.version, counting.bindir)
        migrate(started.dsn_for("postgres"), MIGRATIONS / "soleil", schema="soleil")
        dsn = started.dsn_for("postgres", "soleil")
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute("select pg_sleep(0.12)")
            conn.execute("select pg_sleep(0.15), now()")
            conn.execute("select 1 as quickly")
        yield dsn


def test_slow_queries(counting_dsn: str) -> None:
    """Statements above a tenth of a second are told, the slowest first, with their times, and no faster one."""
    found = ask(counting_dsn, soleil.slow_queries)
    assert [query.query for query in found] == ["select pg_sleep($1), now()", "select pg_sleep($1)"]
    assert [query.calls for query in found] == [1, 1]
    assert found[0].mean_time >= 150
    assert found[0].total_time == found[0].mean_time == found[0].max_time


@pytest.mark.parametrize(("options", "told"), [({"limit": 1}, 1), ({"slower_than": timedelta(seconds=9)}, 0)])
def test_slow_queries_up_to_a_limit(counting_dsn: str, options: dict[str, Any], told: int) -> None:
    """As many are told as are asked for, and none where none took so long."""
    assert len(ask(counting_dsn, soleil.slow_queries, **options)) == told


def test_slow_queries_as_the_application(counting_dsn: str) -> None:
    """The application's role is told how slow other roles' statements are, without their texts."""

    async def asked() -> list[str | None]:
        async with AsyncDatabase.connect(counting_dsn, pool_min_size=1) as db:
            return [query.query for query in await soleil.slow_queries(db.bound(role="soleil_app"))]

    assert asyncio.run(asked()) == ["<insufficient privilege>"] * 2


def test_slow_queries_where_nothing_counts(server: TestServer, soleil_dsn: str) -> None:
    """A server that does not load pg_stat_statements is told so, with what to do."""
    with psycopg.connect(soleil_dsn) as conn:
        if conn.execute("select current_setting('pg_stat_statements.max', true)").fetchone() != (None,):
            pytest.skip("the standing server loads pg_stat_statements")
    with pytest.raises(ConfigurationError) as refused:
        ask(soleil_dsn, soleil.slow_queries)
    assert str(refused.value) == (
        "pg_stat_statements: statements are not counted: "
        "set shared_preload_libraries = 'pg_stat_statements' and restart the server"
    )


def test_slow_queries_without_the_extension(counting_dsn: str) -> None:
    """A database in whose path the extension is not is told to create it."""
    with pytest.raises(ConfigurationError, match="counted: create extension pg_stat_statements in a schema of"):
        ask(counting_dsn.replace("extensions", "elsewhere"), soleil.slow_queries)


def busy(dsn: str, holding: threading.Event, done: threading.Event) -> None:
    """Hold a transaction open until it is done."""
    with psycopg.connect(dsn, application_name="a band") as conn:
        conn.execute("select 'held'")
        holding.set()
        done.wait(10)


def told_of_a_busy_one(dsn: str, **bound: Any) -> list[ActiveConnection]:
    """Return what is told while one connection holds a transaction and another is idle."""

    async def asked() -> list[ActiveConnection]:
        async with AsyncDatabase.connect(dsn, pool_min_size=1) as db:
            return await soleil.active_connections(db.bound(**bound) if bound else db)

    holding, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=busy, args=(dsn, holding, done))
    with psycopg.connect(dsn, autocommit=True) as idle:
        idle.execute("select 1")
        thread.start()
        try:
            assert holding.wait(10)
            return asyncio.run(asked())
        finally:
            done.set()
            thread.join()


def test_active_connections(soleil_dsn: str) -> None:
    """Who is in a transaction is told with what they did; who is idle is not, nor the one that asks."""
    (found,) = told_of_a_busy_one(soleil_dsn)
    assert (found.application_name, found.state, found.query) == ("a band", "idle in transaction", "select 'held'")
    assert found.xact_start is not None
    assert found.query_start is not None
    assert found.xact_start <= found.query_start


def test_active_connections_as_the_application(soleil_dsn: str) -> None:
    """The application's role sees that others are connected, and not what they do."""
    found = told_of_a_busy_one(soleil_dsn, role="soleil_app")
    assert len(found) >= 1
    assert {(one.state, one.xact_start) for one in found} == {(None, None)}
    assert {one.query for one in found} == {"<insufficient privilege>"}


def test_no_connection_is_active(soleil_dsn: str) -> None:
    """Nobody is told of where nobody else is connected."""
    with Database.connect(soleil_dsn, pool_min_size=1) as other:
        assert other.health().healthy
        assert ask(soleil_dsn, soleil.active_connections) == []
