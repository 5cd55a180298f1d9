"""What is said of replicas, their end with the Database, and the positions of which all is reckoned."""

from __future__ import annotations

import os
import re
import sys
import threading
from dataclasses import asdict
from math import inf
from pathlib import Path
from types import ModuleType

import pytest
from psycopg_pool import PoolClosed
from typer.testing import CliRunner

from sqlkit import Database
from sqlkit.cli.app import app
from sqlkit.database import ReplicaStatus
from sqlkit.database.positions import Mark, Position, Positions, parsed_token, settled_end, written_token
from sqlkit.database.sync_pool import Pool
from tests.replicas.queries import queries
from tests.replicas.stage import SOON, of_replica, wait_until
from tests.replicas.standby import Pair


def test_status_and_health_show_replicas(db: Database, pair: Pair) -> None:
    """`status()` says of each replica whether it serves, its lag and its pool; `health()` has it too."""
    queries.here(db)
    found = db.status().replicas[0]
    assert isinstance(found, ReplicaStatus)
    assert (found.database, found.serving, found.reason, found.checked_out) == (pair.standby.dsn, True, None, 0)
    assert found.size >= 1
    assert found.lag is not None
    assert 0 <= found.lag < SOON
    health = db.health()
    assert health.healthy
    assert not health.in_recovery
    assert asdict(health)["pool"]["replicas"][0]["serving"] is True


def test_the_health_command_shows_replicas(pair: Pair) -> None:
    """`sqlkit health` says of each replica whether it serves."""
    settings = {"DATABASE_URL": pair.dsn, "DATABASE_REPLICAS": pair.standby.dsn}
    answer = CliRunner().invoke(app, ["health"], env=settings)
    assert answer.exit_code == 0, answer.output
    found = re.search(r"^replica (\S+): serves reads", answer.output, re.MULTILINE)
    assert found
    assert found[1] == pair.standby.dsn


def test_the_health_command_says_why_a_replica_is_left(pair: Pair) -> None:
    """One that is away is told on one line, with the reason and without its password; the database is healthy."""
    settings = {"DATABASE_URL": pair.dsn, "DATABASE_REPLICAS": "postgresql://u:s3cr3t@127.0.0.1:1/x"}
    answer = CliRunner().invoke(app, ["health"], env=settings)
    assert answer.exit_code == 0, answer.output
    (line,) = [line for line in answer.output.splitlines() if line.startswith("replica ")]
    assert line.startswith("replica postgresql://u:***@127.0.0.1:1/x: serves no reads: ")
    assert line.endswith("Connection refused")


def test_passwords_of_replicas_are_not_shown(pair: Pair) -> None:
    """Neither the status nor the reason of a replica shows its password."""
    dsn = pair.standby.dsn.replace("postgres@", "postgres:s3cr3t@").replace("standby_0", "nowhere")
    with Database.connect(pair.dsn, replicas=[dsn]) as db:
        assert not db.status().replicas[0].serving
        assert "s3cr3t" not in f"{db!r} {db.status()} {db.settings!r}"


def test_resize_changes_the_pools_of_replicas(db: Database) -> None:
    """`resize` holds for the pool of each replica, too."""
    db.resize(2, 3, timeout=4)
    assert [(pool.max_size, pool.timeout) for pool in db._pool.pools] == [(3, 4)]  # type: ignore[attr-defined]


def test_close_ends_all(pair: Pair) -> None:
    """A closed Database has left no connection on the replica and no thread."""
    before = set(threading.enumerate())
    with Database.connect(pair.dsn, replicas=[pair.standby.dsn], application_name="to be closed") as db:
        wait_until(lambda: of_replica(queries.here(db)))
    question = "select count(*) from pg_stat_activity where application_name = 'to be closed'"
    wait_until(lambda: pair.standby.ask(question) == 0)
    wait_until(lambda: not [one for one in set(threading.enumerate()) - before if "sqlkit" in one.name])


def test_a_dropped_database_is_watched_no_more(pair: Pair) -> None:
    """The threads of a Database that nobody closed end when it is collected."""
    import gc

    db = Database.connect(pair.dsn, replicas=[pair.standby.dsn])
    watchers = [one for one in threading.enumerate() if one.name == "sqlkit-watcher"]
    assert len(watchers) >= 2
    pools = [db._pool, *db._pool.pools]  # type: ignore[attr-defined]
    for pool in pools:
        pool.close()
    del db, pool, pools
    gc.collect()
    wait_until(lambda: not any(one.is_alive() for one in watchers))


def test_the_page_on_replicas_runs(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program of docs/replicas.md does what the page says."""
    page = (Path(__file__).parents[2] / "docs/replicas.md").read_text(encoding="utf-8")
    sql, python = ("".join(re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)) for kind in ("sql", "python"))
    pair.run("create schema page", "create table page.notes (author text, body text)")
    pair.catch_up()
    (tmp_path / "notes.sql").write_text(sql, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    module = ModuleType("replicas_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    primary, standby = (f"{dsn}&options=-csearch_path%3Dpage" for dsn in (pair.dsn, pair.standby.dsn))
    module.__dict__.update(primary=primary, standby=standby)
    exec(compile(python, "docs/replicas.md", "exec", dont_inherit=True), module.__dict__)
    assert re.match(r"postgresql://postgres@/postgres\S+ True None 0\.\d+ 0\n$", capsys.readouterr().out)


def test_without_replicas_nothing_is_added(pair: Pair) -> None:
    """A Database without replicas has the plain pool, and no thread that watches."""
    before = set(threading.enumerate())
    with Database.connect(pair.dsn) as db:
        assert type(db._pool) is Pool
        assert not [one for one in set(threading.enumerate()) - before if one.name == "sqlkit-watcher"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork is missing on this system")
def test_a_forked_child_is_told(db: Database) -> None:
    """In a forked child a read says that the Database was opened before, and the parent's goes on."""
    queries.here(db)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            queries.here(db)
        except PoolClosed as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as said:
        assert "opened before a fork" in said.read()
    assert of_replica(queries.here(db))


def test_a_position_dates_what_is_replayed() -> None:
    """A replica has all that was there at the last moment whose position it has reached."""
    positions = Positions()
    for asked, flushed in ((1.0, 100), (2.0, 100), (3.0, 250), (4.0, 300)):
        positions.note(Position(asked, flushed, Mark(1, flushed)))
    assert [positions.fresh_at(end) for end in (99, 100, 249, 250, 999)] == [-inf, 2.0, 2.0, 3.0, 4.0]
    positions.forget()
    assert positions.fresh_at(999) == -inf


@pytest.mark.parametrize(
    ("timeline", "replayed", "reached"),
    [(1, 99, False), (1, 120, False), (2, 99, False), (2, 100, True), (3, 100, True), (3, 99, False)],
)
def test_a_mark_is_reached_on_its_timeline(timeline: int, replayed: int, reached: bool) -> None:
    """A replica that has replayed more, but on an earlier timeline, may lack what the mark stands for."""
    assert Mark(2, 100).is_reached(timeline, replayed) is reached


@pytest.mark.parametrize("text", ["0-0/0", "1-0/1A2B3C4D", "A-FF/FFFFFFFF", "2-16/B374D848"])
def test_a_token_is_a_mark(text: str) -> None:
    """A token is a timeline and a position as PostgreSQL writes it, and read back."""
    assert written_token(parsed_token(text)) == text


def test_an_insert_position_behind_a_page_header_is_the_pages_begin() -> None:
    """Nothing stands between a page's begin and the first record on it but the header."""
    assert [settled_end(position) for position in (8192, 8192 + 24, 8192 + 40)] == [8192, 8192, 8232]
