"""A backup that is taken while others write is of one moment: restored, it is that moment row for row."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from sqlkit import Database
from sqlkit.migrate import database_url
from sqlkit.operations.backups import backup, restore, taking
from sqlkit.operations.backups.snapshot import Snapshot, Waiting, held_snapshot
from sqlkit.testing import TestServer, dropped_afterwards
from tests.backup_loads import LOADS, rows_of, shape_of, written
from tests.backup_stage import dropped

TEMPLATES = {"openai_frontend": "frontend_template"}


@pytest.fixture
def kept_snapshot(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[psycopg.Connection[Any]]]:
    """Give the list of connections that have kept the snapshot of each backup open, to be looked at afterwards."""
    kept: list[psycopg.Connection[Any]] = []

    @contextmanager
    def watched(dsn: str, schema: str | None, waiting: Waiting) -> Iterator[Snapshot]:
        with held_snapshot(dsn, schema, waiting) as snapshot:
            conn = psycopg.connect(dsn, autocommit=True)
            kept.append(conn)
            conn.execute("begin isolation level repeatable read, read only")
            conn.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(snapshot.name)))
            yield snapshot

    monkeypatch.setattr(taking, "held_snapshot", watched)
    yield kept
    for conn in kept:
        conn.close()


@pytest.mark.parametrize("app", LOADS)
def test_a_backup_under_writes_is_of_one_moment(
    request: pytest.FixtureRequest,
    server: TestServer,
    kept_snapshot: list[psycopg.Connection[Any]],
    tmp_path: Path,
    app: str,
) -> None:
    """With writers at work all the time, what is restored equals the snapshot, row for row, and goes on from there."""
    template = request.getfixturevalue(TEMPLATES.get(app, f"{app}_template"))
    with dropped_afterwards(server, template, "load") as name, dropped(server) as restored:
        dsn = server.dsn_for(name)
        with written(LOADS[app], dsn) as load:
            before = load.steps
            taken = backup(dsn, tmp_path, schema=app)
            during = load.steps - before
            _wait_for_more(load)
        assert load.errors == []
        assert during > 0
        (snapshot,) = kept_snapshot
        wanted = rows_of(snapshot, app)
        assert {f"{app}.{table}": len(rows) for table, rows in wanted.items()} == taken.manifest.tables
        done = restore(dsn, taken.path, into=restored)
        assert done.tables == taken.manifest.tables
        with psycopg.connect(database_url(dsn, database=restored)) as conn:
            assert rows_of(conn, app) == wanted
            assert shape_of(conn, app) == shape_of(snapshot, app)
        with Database.connect(database_url(dsn, database=restored), schema=app, pool_max_size=3) as db:
            LOADS[app].step(db, load.begun, 1_000_000)  # ids go on behind those that are there
        with psycopg.connect(dsn) as conn:
            assert rows_of(conn, app) != wanted


def _wait_for_more(load: Any) -> None:
    steps = load.steps
    pause = threading.Event()
    while load.steps < steps + 2 and not load.errors:
        pause.wait(0.01)
