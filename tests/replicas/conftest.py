"""Fixtures of the tests of replicas: one primary and one standby for all of them in a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sqlkit import Database
from sqlkit.testing import TestServer
from tests.replicas.queries import TABLES
from tests.replicas.stage import POOL, serving, wait_until
from tests.replicas.standby import Pair, primary_and_standby


@pytest.fixture(scope="package")
def pair(server: TestServer) -> Iterator[Pair]:
    """Give a primary and a standby for these tests."""
    with primary_and_standby(server.bindir) as pair:
        pair.run(TABLES, "create role plain login", "grant all on notes to plain")
        pair.catch_up()
        yield pair


@pytest.fixture
def db(pair: Pair) -> Iterator[Database]:
    """Give a Database with one replica, and look that nothing is out afterwards."""
    with Database.connect(pair.dsn, replicas=[pair.standby.dsn], **POOL) as database:
        wait_until(lambda: serving(database))
        yield database
        status = database.status()
        assert [status.checked_out, *(one.checked_out for one in status.replicas)] == [0, 0]
