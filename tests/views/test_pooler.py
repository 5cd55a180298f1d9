"""The server's views through PgBouncer in transaction mode: they show the same, and leave nothing to other clients."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from sqlkit import Database
from sqlkit.operations import look
from sqlkit.testing import TestServer
from tests.pgbouncer import TURNS, PgBouncer, needed
from tests.views.busy_server import opened_shop


@pytest.fixture(scope="module")
def shop(server: TestServer) -> Iterator[str]:
    """Give the DSN of a shop, on the server itself."""
    needed()
    with opened_shop(server) as dsn:
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute("create schema counts; create extension pg_stat_statements with schema counts")
        yield dsn


@pytest.fixture(scope="module")
def pooled(server: TestServer, shop: str) -> Iterator[str]:
    """Give the DSN of the shop through PgBouncer."""
    pgbouncer = PgBouncer(server)
    pgbouncer.start()
    try:
        database = psycopg.conninfo.conninfo_to_dict(shop)["dbname"]
        assert isinstance(database, str)
        pgbouncer.warm(database)
        yield pgbouncer.dsn(database)
    finally:
        pgbouncer.stop()


def test_views_through_a_pooler(shop: str, pooled: str) -> None:
    """All views are there, as on the server itself."""
    with Database.connect(pooled, pooler="transaction") as db, psycopg.connect(shop, autocommit=True) as conn:
        seen, direct = look(db), look(conn)
    assert [one.table_name for one in seen.tables] == [one.table_name for one in direct.tables]
    assert [one.index_name for one in seen.duplicates] == [one.index_name for one in direct.duplicates]
    assert [one.reaches_to for one in seen.reach] == [one.reaches_to for one in direct.reach]
    assert [one.view for one in seen.missing] == [one.view for one in direct.missing]


def test_other_clients_are_left_alone(pooled: str) -> None:
    """What a look sets is set for no other client: neither timeouts nor a transaction that may not write."""
    settings = (
        "select current_setting('transaction_read_only'), current_setting('lock_timeout'), current_setting('timezone')"
    )
    with (
        Database.connect(pooled, pooler="transaction") as db,
        psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as other,
    ):
        before = {other.execute(settings).fetchone() for _ in range(3 * TURNS)}
        for _ in range(2 * TURNS):
            look(db, ["tables", "statements"])
        after = {other.execute(settings).fetchone() for _ in range(3 * TURNS)}
    assert after == before
    assert len(after) == 1
