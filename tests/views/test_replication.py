"""How far standbys are behind, as the primary, a standby and ``sqlkit health`` say it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import psycopg
import pytest
from typer.testing import CliRunner

from sqlkit import Database
from sqlkit.cli.app import app
from sqlkit.operations import Limits, look, remarks
from sqlkit.testing import TestServer
from tests.replicas.standby import Pair, primary_and_standby
from tests.views.busy_server import eventually


@pytest.fixture(scope="module")
def pair(server: TestServer) -> Iterator[Pair]:
    """Give a primary and its standby."""
    with primary_and_standby(server.bindir) as started:
        started.run("create table songs (song_id integer primary key, title text)", "create role onlooker login")
        started.catch_up()
        yield started


@pytest.fixture
def primary(pair: Pair) -> Iterator[psycopg.Connection]:
    """Give a connection to the primary."""
    pair.standby.be_there()
    with psycopg.connect(pair.dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture
def standby(pair: Pair) -> Iterator[psycopg.Connection]:
    """Give a connection to the standby."""
    pair.standby.be_there()
    with psycopg.connect(pair.standby.dsn, autocommit=True) as conn:
        yield conn


def test_standby_that_replays_nothing(pair: Pair, primary: psycopg.Connection, standby: psycopg.Connection) -> None:
    """What a standby has not replayed is told in bytes and seconds, by the primary and by itself, until it has."""
    pair.standby.pause()
    primary.execute("insert into songs select n, repeat('x', 100) from generate_series(1, 1000) as n")
    (replica,) = eventually(
        lambda: [one for one in look(primary, ["replicas"]).replicas if (one.unreplayed_bytes or 0) > 100_000]
    )
    assert (replica.state, replica.is_hidden) == ("streaming", False)
    eventually(lambda: _unreplayed(standby) > 100_000)
    seen = look(standby, ["standby"])
    assert seen.standby is not None
    assert (seen.standby.is_paused, seen.standby.is_receiving) == (True, True)
    assert seen.server is not None
    assert seen.server.is_standby
    assert [one.text for one in remarks(seen)] == ["this standby's replay is paused"]
    late = seen.standby.model_copy(update={"is_paused": False, "lag_seconds": 90.0})
    told = remarks(seen.model_copy(update={"standby": late}))
    assert [one.text for one in told] == ["this standby is 2 min behind what it received"]
    lagging = replica.model_copy(update={"replay_lag_seconds": 90.0})
    (remark,) = remarks(look(primary, []).model_copy(update={"replicas": [lagging]}))
    assert remark.text == f"the standby {replica.application_name} is 2 min behind"
    pair.standby.resume()
    pair.catch_up()
    eventually(lambda: look(primary, ["replicas"]).replicas[0].unreplayed_bytes == 0)
    caught_up = look(standby, ["standby"]).standby
    assert caught_up is not None
    assert (caught_up.unreplayed_bytes, caught_up.lag_seconds) == (0, 0)


def _unreplayed(standby: psycopg.Connection) -> int:
    seen = look(standby, ["standby"]).standby
    assert seen is not None
    return seen.unreplayed_bytes or 0


def test_all_views_on_a_standby(pair: Pair, standby: psycopg.Connection) -> None:
    """Every view can be asked of a standby, and no index is called unused there."""
    seen = look(standby)
    assert [one.view for one in seen.missing if one.view not in ("statements", "tables")] == []
    assert [one.table_name for one in seen.tables] == ["songs"]
    assert seen.unused == []
    assert seen.databases != []


def test_slot_that_nobody_reads(pair: Pair, primary: psycopg.Connection) -> None:
    """A slot that nobody reads keeps write-ahead log, and is remarked on from so much on with what drops it."""
    primary.execute("select pg_create_physical_replication_slot('forgotten', true)")
    primary.execute("insert into songs select n, 'x' from generate_series(2000, 2100) as n")
    seen = look(primary, ["slots"])
    slots = {one.name: one for one in seen.slots}
    assert slots["forgotten"].is_active is False
    assert (slots["forgotten"].kept_bytes or 0) > 1000
    assert [one.is_active for name, one in slots.items() if name != "forgotten"] == [True]
    (remark,) = remarks(seen, Limits(kept_bytes=1000))
    assert remark.text.startswith("nobody reads the replication slot forgotten, which keeps ")
    assert remark.remedy == "select pg_drop_replication_slot('forgotten')"
    primary.execute(remark.remedy)
    assert "forgotten" not in [one.name for one in look(primary, ["slots"]).slots]


def test_replicas_without_rights(pair: Pair, primary: psycopg.Connection) -> None:
    """A role without rights sees that there is a standby, and is told which right shows how far it is behind."""
    with psycopg.connect(pair.dsn.replace("postgres@", "onlooker@"), autocommit=True) as own:
        seen = look(own, ["replicas"])
    (replica,) = seen.replicas
    assert (replica.is_hidden, replica.unreplayed_bytes) == (True, None)
    (missing,) = [one for one in seen.missing if "replicas" in one.view]
    assert missing.remedy == "grant pg_read_all_stats to onlooker"


def test_status_shows_replication(pair: Pair, primary: psycopg.Connection, standby: psycopg.Connection) -> None:
    """``sqlkit status`` shows the standbys of a primary, and a standby's own lag."""
    there = CliRunner().invoke(app, ["status", "--dsn", pair.dsn])
    assert "\nReplication" in there.stdout
    assert "streaming, async" in there.stdout
    here = CliRunner().invoke(app, ["status", "--dsn", pair.standby.dsn])
    assert ", a standby, up for" in here.stdout
    assert "this standby" in here.stdout
    assert "receiving" in here.stdout
    once = CliRunner().invoke(app, ["top", "--dsn", pair.standby.dsn, "--once"])
    assert "behind: this standby 0 s" in once.stdout
    page = CliRunner().invoke(app, ["report", "--dsn", pair.dsn, "--html", "-"])
    assert "Replication lag" in page.stdout


def test_database_with_replicas(pair: Pair, primary: psycopg.Connection) -> None:
    """A look at a Database with replicas is one at its primary."""
    with Database.connect(pair.dsn, replicas=[pair.standby.dsn]) as db:
        seen = look(db, ["replicas"])
    assert seen.server is not None
    assert seen.server.is_standby is False
    assert len(seen.replicas) == 1


def test_health_tells_of_replicas(pair: Pair, primary: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """``sqlkit health`` tells of the replicas that the settings name, those that serve and those that do not."""
    for name in [name for name in os.environ if name.startswith(("DATABASE_", "PG", "REDIS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABASE_URL", pair.dsn)
    monkeypatch.setenv("DATABASE_REPLICAS", f"{pair.standby.dsn} postgresql://someone:secret@127.0.0.1:1/nowhere")
    status = CliRunner().invoke(app, ["status"])  # which asks the primary alone
    assert ", a primary, up for" in status.stdout
    done = CliRunner().invoke(app, ["health", "--within", "3"])
    assert done.exit_code == 0, done.output
    healthy, _version, first, second = done.stdout.splitlines()
    assert healthy.startswith("healthy: ")
    assert first.startswith("replica postgresql://postgres@/postgres?host=")
    assert ": serves reads" in first
    assert "serves no reads: " in second
    assert "secret" not in done.stdout
    found = json.loads(CliRunner().invoke(app, ["health", "--json"]).stdout)
    assert [one["serving"] for one in found["pool"]["replicas"]] == [True, False]
