"""A run of the query layer's tests through PgBouncer: ``SQLKIT_TEST_POOLER=pgbouncer python -m pytest`` is one.

Every database of these tests is then reached through it, every ``Database`` has ``pooler="transaction"`` and every
psycopg connection of a test's own prepares nothing. A test marked ``direct(reason)`` is about a session or the server
itself and is skipped with that reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from sqlkit.testing import TestServer
from tests.pgbouncer import INSTALL, PgBouncer, PooledServer, needed, program

__all__ = ["INSTALL", "MISSING", "QUERY_LAYER", "WANTED", "choose", "in_front_of"]

WANTED = os.environ.get("SQLKIT_TEST_POOLER") == "pgbouncer"
MISSING = WANTED and program() is None

#: The modules whose tests run statements: by queries that are loaded, by the verbs, in bulk, as streams.
QUERY_LAYER = (
    "test_async_queries",
    "test_begin",
    "test_bulk",
    "test_chunked",
    "test_collector",
    "test_documents",
    "test_execution",
    "test_hostile",
    "test_leaks",
    "test_logging",
    "test_markers",
    "test_one",
    "test_packing",
    "test_pages",
    "test_parameters",
    "test_queries",
    "test_row_properties",
    "test_rows",
    "test_stale",
    "test_statements_properties",
    "test_statistics",
    "test_streams",
    "test_tenants",
    "test_trust",
    "test_types",
    "test_unset",
)


def choose(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the query layer's tests that ask a server; skip those that are about a session."""
    chosen = [item for item in items if item.path.stem in QUERY_LAYER and "server" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen
    for item in items:
        direct = item.get_closest_marker("direct")
        if direct is not None:
            item.add_marker(pytest.mark.skip(reason=f"not through a pooler: {direct.args[0]}"))


@contextmanager
def in_front_of(server: TestServer) -> Iterator[PooledServer]:
    """Start a PgBouncer before a server, and have whoever connects behave as behind one; skip where there is none."""
    needed()
    pgbouncer = PgBouncer(server)
    with noticing(server), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SQLKIT_POOLER", "transaction")
        for kind in (psycopg.Connection, psycopg.AsyncConnection):
            patch.setattr(kind, "connect", _preparing_nothing(kind.connect))
        patch.setattr(psycopg, "connect", psycopg.Connection.connect)
        pgbouncer.start()
        try:
            yield PooledServer(server, pgbouncer)
        finally:
            pgbouncer.stop()


@contextmanager
def noticing(server: TestServer) -> Iterator[None]:
    """Have the server look whether a client is still there: PgBouncer drops a cancel whose client has left.

    It closes the server connection then, which the server would notice only when it has rows to send.
    """
    with psycopg.connect(server.dsn, autocommit=True) as conn:
        conn.execute("alter system set client_connection_check_interval = '100ms'")
        conn.execute("select pg_reload_conf()")
        try:
            yield
        finally:
            conn.execute("alter system reset client_connection_check_interval")
            conn.execute("select pg_reload_conf()")


def _preparing_nothing(connect: Any) -> classmethod[Any, Any, Any]:
    """Return psycopg's ``connect`` with another default."""

    def connected(cls: type, *arguments: Any, **keywords: Any) -> Any:
        return connect.__func__(cls, *arguments, **{"prepare_threshold": None} | keywords)

    return classmethod(connected)
