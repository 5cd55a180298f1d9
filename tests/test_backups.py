"""Backups: what is in them, which program writes them, how they are verified."""

from __future__ import annotations

import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from sqlkit import ArgumentError, BackupError, ConfigurationError, Database, PoolExhausted, Settings
from sqlkit.migrate import database_url
from sqlkit.operations.backups import (
    Progress,
    backup,
    read_manifest,
    rehearse_restore,
    restore,
    taking,
    verify_backup,
)
from sqlkit.operations.backups.programs import find_program
from sqlkit.operations.backups.snapshot import Waiting, held_snapshot
from sqlkit.operations.units import bytes_text
from sqlkit.testing import TestServer
from tests import backup_stage
from tests.backup_stage import databases, flip, rewritten, wait_until

DAY = timedelta(days=1)
shop = backup_stage.shop
again = backup_stage.again


# What a backup is.


def test_a_backup_says_what_is_in_it(shop: str, tmp_path: Path) -> None:
    """It is named by schema and time, closed to others, and knows the rows of each table, and its files."""
    taken = backup(shop, tmp_path / "new" / "shelf", schema="shop")
    manifest = taken.manifest
    assert taken.path.parent == tmp_path / "new" / "shelf"
    moment = manifest.taken_at
    assert taken.path.name == f"shop-{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03}Z"
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=1)
    assert manifest.tables == {"shop.goods": 100, "shop.sales_1": 50}
    assert (manifest.schema_name, manifest.database) == ("shop", conninfo_to_dict(shop)["dbname"])
    files = {path.relative_to(taken.path).as_posix() for path in taken.path.rglob("*") if path.is_file()}
    assert files == {"manifest.json", *manifest.files}
    assert "dump/toc.dat" in files
    assert stat.S_IMODE(taken.path.stat().st_mode) == 0o700
    assert verify_backup(taken.path) == read_manifest(taken.path) == manifest
    assert str(taken) == f"{taken.path}: 2 tables, 150 rows, {bytes_text(manifest.size)}"
    assert [entry.name for entry in taken.path.parent.iterdir()] == [taken.path.name]


def test_the_whole_database(shop: str, again: str, tmp_path: Path) -> None:
    """Without a schema everything is in it, extensions and what stands in public, and all comes back."""
    with psycopg.connect(shop) as conn:
        conn.execute("create table notes (note text)")
        conn.execute("insert into notes values ('a'), ('b')")
        conn.execute("create schema extensions")
        conn.execute("create extension citext with schema extensions")
    taken = backup(shop, tmp_path)
    assert taken.path.name.startswith(f"{conninfo_to_dict(shop)['dbname']}-")
    done = restore(shop, taken.path, into=again)
    assert done.tables == {"public.notes": 2, "shop.goods": 100, "shop.sales_1": 50}
    with psycopg.connect(database_url(shop, database=again, schema="public")) as conn:
        assert conn.execute("select 'A'::citext = 'a'").fetchone() == (True,)


@pytest.mark.parametrize("schema", ['a"b c*', "Größe", "public"])
def test_awkward_names(dsn: str, again: str, tmp_path: Path, schema: str) -> None:
    """A schema's name is a name and no pattern; tables of others are left out."""
    quoted = '"' + schema.replace('"', '""') + '"'
    with psycopg.connect(dsn) as conn:
        conn.execute(f"create schema if not exists {quoted}".encode())
        conn.execute(f'create table {quoted}."t ""x" (a int)'.encode())
        conn.execute("create schema abc")
        conn.execute("create table abc.t (a int)")
    taken = backup(dsn, tmp_path, schema=schema)
    assert taken.manifest.tables == {f'{schema}.t "x': 0}
    assert restore(dsn, taken.path, into=again).tables == taken.manifest.tables


def test_progress_is_told(shop: str, again: str, tmp_path: Path) -> None:
    """Each stage goes up to its whole, the greater tables as the greater part."""
    told: list[Progress] = []
    taken = backup(shop, tmp_path, schema="shop", progress=told.append)
    assert {one.stage for one in told} == {"dump", "checksum"}
    restore(shop, taken.path, into=again, progress=told.append)
    for stage in ("dump", "checksum", "verify", "restore", "count"):
        steps = [one for one in told if one.stage == stage]
        assert [one.done for one in steps] == sorted(one.done for one in steps)
        assert steps[-1].done == steps[-1].total > 0


def test_a_schema_that_is_not_there(dsn: str, tmp_path: Path) -> None:
    """It is named, and no folder is left."""
    with pytest.raises(BackupError, match="nothing: there is no such schema in "):
        backup(dsn, tmp_path, schema="nothing")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_away(tmp_path: Path) -> None:
    """The reason is told, and which server it is, without the password."""
    where = r"^postgresql://someone:\*\*\*@127.0.0.1:1/nowhere: the server cannot be reached: .*: start it"
    with pytest.raises(BackupError, match=where) as caught:
        backup("postgresql://someone:secret@127.0.0.1:1/nowhere", tmp_path)
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_away_when_restoring(shop: str, tmp_path: Path) -> None:
    """A restore says which server it means, without the password."""
    taken = backup(shop, tmp_path, schema="shop")
    where = r"^postgresql://someone:\*\*\*@127.0.0.1:1/postgres: the server cannot be reached: .*: start it"
    for restoring in (restore, rehearse_restore):
        with pytest.raises(BackupError, match=where) as caught:
            restoring("postgresql://someone:secret@127.0.0.1:1/nowhere", taken.path)
        assert "secret" not in str(caught.value)


def test_a_server_that_refuses(server: TestServer, tmp_path: Path) -> None:
    """A server that answers with a no is said to refuse: it was reached."""
    with pytest.raises(BackupError, match=r"nowhere.*: the server refuses: .*nowhere"):
        backup(server.dsn_for("nowhere"), tmp_path)
    with (
        pytest.raises(PoolExhausted, match=r"nowhere.*: the server refuses: .*nowhere"),
        Database.connect(server.dsn_for("nowhere"), connect_timeout=1, pool_timeout=1) as db,
        db.connection() as conn,
    ):
        conn.execute("select 1")


def test_a_server_that_says_nothing(tmp_path: Path) -> None:
    """A server that takes connections and says nothing is given up after the settings' time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = Settings(url=f"postgresql://a@127.0.0.1:{silent.getsockname()[1]}/b", connect_timeout=1)
        with pytest.raises(BackupError, match="timeout"):
            backup(settings, tmp_path)


def test_a_pooler_is_refused(tmp_path: Path) -> None:
    """Behind PgBouncer a dump's settings would leak to others."""
    with pytest.raises(ConfigurationError, match="want the server itself"):
        backup(Settings(url="postgresql://a@b/c", pooler="transaction"), tmp_path)


@pytest.mark.parametrize("wrong", [{"jobs": 0}, {"keep": -DAY}])
def test_numbers_that_cannot_be(dsn: str, tmp_path: Path, wrong: dict[str, Any]) -> None:
    """No job, or less than no time, is refused before anything is done."""
    with pytest.raises(ArgumentError):
        backup(dsn, tmp_path, **wrong)
    assert list(tmp_path.iterdir()) == []


def test_row_level_security_hides_nothing(server: TestServer, shop: str, tmp_path: Path) -> None:
    """Who would see some rows only takes no backup of them: it is an error that says who can."""
    role = f"reader_{uuid4().hex[:8]}"
    with psycopg.connect(shop, autocommit=True) as conn:
        conn.execute(f"create role {role} login".encode())
        try:
            conn.execute(f"grant usage on schema shop to {role}".encode())
            conn.execute(f"grant select on shop.goods to {role}".encode())
            mine = Settings(url=shop).replace(user=role)
            with pytest.raises(BackupError, match="take the backup as the tables' owner"):
                backup(mine, tmp_path, schema="shop")
            conn.execute(f"grant select on all tables in schema shop to {role}".encode())
            conn.execute(f"grant select on all sequences in schema shop to {role}".encode())
            conn.execute("alter table shop.goods enable row level security")
            conn.execute(f"create policy few on shop.goods to {role} using (good_id < 3)".encode())
            with pytest.raises(BackupError, match=r"goods: .*row-level security.*: take the backup as its owner"):
                backup(mine, tmp_path, schema="shop")
            assert backup(shop, tmp_path, schema="shop").manifest.tables["shop.goods"] == 100
        finally:
            conn.execute(f"drop owned by {role}".encode())
            conn.execute(f"drop role {role}".encode())


def test_a_change_of_a_table_goes_before(
    shop: str, again: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that waits for the snapshot's locks, behind which pg_dump's would wait for ever, is let through."""
    monkeypatch.setattr(taking, "LOCK_MILLISECONDS", 300)
    monkeypatch.setattr(taking, "PAUSE_SECONDS", 0.05)
    changes: list[psycopg.Connection[Any]] = []
    waiting = "select count(*) from pg_locks where not granted and relation = 'shop.goods'::regclass"

    threads = []

    @contextmanager
    def raced(dsn: str, schema: str | None, bound: Waiting) -> Iterator[Any]:
        with held_snapshot(dsn, schema, bound) as snapshot:
            if not changes:
                changes.append(psycopg.connect(dsn, autocommit=True))
                threads.append(Thread(target=changes[0].execute, args=["alter table shop.goods add column more int"]))
                threads[0].start()
                with psycopg.connect(dsn) as conn:
                    wait_until(lambda: conn.execute(waiting).fetchone() == (1,), "the change waits")
            yield snapshot

    monkeypatch.setattr(taking, "held_snapshot", raced)
    taken = backup(shop, tmp_path, schema="shop")
    threads[0].join()
    changes[0].close()
    restore(shop, taken.path, into=again)
    with psycopg.connect(database_url(shop, database=again)) as conn:
        assert conn.execute("select count(*) from shop.goods where more is null").fetchone() == (100,)


@pytest.mark.parametrize("queued", [False, True])
def test_a_table_that_nobody_may_read(shop: str, tmp_path: Path, queued: bool) -> None:
    """A lock on a table, or a change that is queued for one, is waited for as long as is said, and told of by name."""
    told: list[Progress] = []
    with psycopg.connect(shop, autocommit=True) as altering, psycopg.connect(shop, application_name="mover") as mover:
        mode = "access share" if queued else "access exclusive"
        mover.execute(f"lock table shop.goods in {mode} mode".encode())
        change = Thread(target=altering.execute, args=["alter table shop.goods add column more int"])
        if queued:
            change.start()
            asked = "select count(*) from pg_locks where not granted and relation = 'shop.goods'::regclass"
            wait_until(lambda: mover.execute(asked).fetchone() == (1,), "the change waits")
        verb, who = ("wanted", altering) if queued else ("held", mover)
        with pytest.raises(BackupError) as refused:
            backup(shop, tmp_path, schema="shop", lock_timeout=1.2, progress=told.append)
        words = f"shop: shop.goods is {verb} by process {who.info.backend_pid}"
        assert str(refused.value).startswith(words)
        assert "no lock within 1.2 s" in str(refused.value)
        assert told[0].stage == "lock"
        assert told[0].what.startswith(words.removeprefix("shop: "))
        assert list(tmp_path.iterdir()) == []
        mover.rollback()
        if queued:
            change.join()
    backup(shop, tmp_path, schema="shop", lock_timeout=1.2)


def test_a_table_that_is_let_go_in_time(shop: str, tmp_path: Path) -> None:
    """The wait ends with the lock, and the backup is taken."""
    with psycopg.connect(shop) as mover:
        mover.execute("lock table shop.goods in access exclusive mode")
        taken = backup(shop, tmp_path, schema="shop", progress=lambda told: mover.rollback())
    assert taken.manifest.tables == {"shop.goods": 100, "shop.sales_1": 50}


#: What pg_dump reads and cannot lock beforehand, nor wait for with a bound.
UNLOCKED = {
    "sequence shop.numbers": "create sequence shop.numbers",
    "view shop.cheap": "create view shop.cheap as select * from shop.goods",
    "materialized view shop.kept": "create materialized view shop.kept as select * from shop.goods",
}


@pytest.mark.parametrize("what", UNLOCKED)
def test_a_sequence_or_a_view_that_nobody_may_read(shop: str, tmp_path: Path, what: str) -> None:
    """It is waited for as long as is said, told of by name, and left out once it is gone."""
    name = what.rpartition(" ")[2]
    told: list[Progress] = []
    with psycopg.connect(shop, application_name="mover") as mover:
        mover.execute(UNLOCKED[what].encode())
        mover.commit()
        mover.execute(f"drop {what}".encode())
        words = f"{name} is held by process {mover.info.backend_pid} (mover), in a transaction of "
        with pytest.raises(BackupError, match=r"no lock within 0\.8 s: end that, or wait longer") as refused:
            backup(shop, tmp_path, schema="shop", lock_timeout=0.8)
        assert str(refused.value).startswith(f"shop: {words}")
        assert list(tmp_path.iterdir()) == []

        def gone(progress: Progress) -> None:
            told.append(progress)
            mover.commit()

        taken = backup(shop, tmp_path, schema="shop", progress=gone)
    assert told[0].stage == "lock"
    assert told[0].what.startswith(words)
    program = find_program("pg_restore", int(taken.manifest.pg_dump.split(".")[0])).path
    listed = subprocess.run([program, "--list", taken.path / "dump"], capture_output=True, text=True, check=True)
    assert "goods" in listed.stdout
    assert name.partition(".")[2] not in listed.stdout


def test_a_cause_that_stays_is_told(shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pg_dump fails again and again, and something is dropped each time, its own words are the error."""
    monkeypatch.setattr(taking, "ATTEMPTS", 2)
    monkeypatch.setattr(taking, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(taking._Work, "command", lambda *_: [find_program("pg_dump", 15).path, "--no-such-option"])
    seen: list[int] = []

    @contextmanager
    def disturbed(dsn: str, schema: str | None, bound: Waiting) -> Iterator[Any]:
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute("create view shop.passing as select 1 as number")
            with held_snapshot(dsn, schema, bound) as snapshot:
                conn.execute("drop view shop.passing")
                seen.append(1)
                yield snapshot

    monkeypatch.setattr(taking, "held_snapshot", disturbed)
    with pytest.raises(BackupError, match=r"^pg_dump: "):
        backup(shop, tmp_path, schema="shop")
    assert len(seen) == 2


def test_a_circle_of_waiters(shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds what pg_dump waits for, and waits for the snapshot, goes before: the backup begins anew."""
    with psycopg.connect(shop, autocommit=True) as conn:
        conn.execute("create sequence shop.numbers")
    dropping: list[Thread] = []

    def drop(dsn: str) -> None:
        with psycopg.connect(dsn) as conn:
            conn.execute("drop sequence shop.numbers")
            conn.execute("alter table shop.goods add column more int")

    @contextmanager
    def raced(dsn: str, schema: str | None, bound: Waiting) -> Iterator[Any]:
        with held_snapshot(dsn, schema, bound) as snapshot:
            if not dropping:
                dropping.append(Thread(target=drop, args=[dsn]))
                dropping[0].start()
                with psycopg.connect(dsn) as conn:
                    waiting = "select count(*) from pg_locks where not granted and relation = 'shop.goods'::regclass"
                    wait_until(lambda: conn.execute(waiting).fetchone() == (1,), "the change waits")
            yield snapshot

    monkeypatch.setattr(taking, "held_snapshot", raced)
    assert backup(shop, tmp_path, schema="shop", lock_timeout=20).manifest.tables["shop.goods"] == 100
    dropping[0].join()


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e9, float("nan")])
def test_a_bound_that_is_none(tmp_path: Path, seconds: float) -> None:
    """A wait is bounded."""
    with pytest.raises(ArgumentError, match="lock_timeout is more than 0"):
        backup("postgresql://127.0.0.1:1/nowhere", tmp_path, lock_timeout=seconds)


# Which pg_dump.


def test_the_program_is_no_older_than_the_server(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: TestServer
) -> None:
    """Where there are older ones only, the error says which is wanted and which there are."""
    old = tmp_path / "bin" / "pg_dump"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n")
    old.chmod(0o755)
    monkeypatch.setattr("sqlkit.operations.backups.programs._places", lambda name, bindirs: [old.parent])
    major = server.version // 10000
    with pytest.raises(BackupError, match=rf"pg_dump: of PostgreSQL {major} or newer is wanted.* 9\.6\.24 in .*/bin"):
        backup(shop, tmp_path / "shelf", schema="shop")
    assert list((tmp_path / "shelf").iterdir()) == []


def test_the_oldest_that_fits_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is much newer writes what an older server does not read."""
    for version in ("14.3", "16.1", "17beta1", "18.0"):
        program = tmp_path / version / "pg_dump"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {version} (Debian)'\n")
        program.chmod(0o755)
    broken = tmp_path / "broken" / "pg_dump"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    places = [broken.parent, *(tmp_path / version for version in ("18.0", "16.1", "14.3", "17beta1"))]
    monkeypatch.setattr("sqlkit.operations.backups.programs._places", lambda name, bindirs: places)
    found = {wanted: find_program("pg_dump", wanted).version for wanted in (14, 15, 17, 18)}
    assert found == {14: "14.3", 15: "16.1", 17: "17beta1", 18: "18.0"}


# Verifying.


@pytest.mark.parametrize("which", ["toc.dat", "*.dat.gz", "../manifest.json"])
def test_a_flipped_bit(server: TestServer, shop: str, again: str, tmp_path: Path, which: str) -> None:
    """One bit of any file is found before anything is restored; the file is named, and no database is made."""
    taken = backup(shop, tmp_path, schema="shop")
    (victim, *_) = sorted((taken.path / "dump").glob(which)) if "/" not in which else [taken.path / "manifest.json"]
    flip(victim)
    with pytest.raises(BackupError, match=rf"{victim.name}.*(is damaged|not as it was written)"):
        restore(shop, taken.path, into=again)
    assert databases(server, again) == []
    assert databases(server, "sqlkit_re%") == []


def test_files_that_lack_or_are_too_many(shop: str, tmp_path: Path) -> None:
    """Each file that is missing, cut off, or not of the backup is named."""
    taken = backup(shop, tmp_path, schema="shop")
    first, second, *_ = sorted((taken.path / "dump").glob("*.gz"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    (taken.path / "dump" / "other").write_text("x")
    with pytest.raises(BackupError) as caught:
        verify_backup(taken.path)
    size = taken.manifest.files[f"dump/{second.name}"].size
    for reason in (f"{first.name} is missing", f"has {size - 1} bytes of {size}", "dump/other is not of it"):
        assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "has no manifest.json: it is no backup, or one that was not finished"),
        (b"{", "is damaged"),
        (b"[]", "is damaged"),
        (b'{"format": "x"}', "is damaged"),
    ],
)
def test_what_is_no_backup(dsn: str, tmp_path: Path, content: bytes | None, reason: str) -> None:
    """A folder without a manifest, and one whose manifest is none, are told apart from a backup."""
    if content is not None:
        (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(BackupError, match=reason):
        restore(dsn, tmp_path)
    with pytest.raises(BackupError, match="there is no such backup"):
        restore(dsn, tmp_path / "nothing")


def test_rows_that_are_not_those_of_the_manifest(server: TestServer, shop: str, again: str, tmp_path: Path) -> None:
    """What was restored is counted: where it is not what the backup says, the tables are named, and it is dropped."""
    taken = backup(shop, tmp_path, schema="shop")
    rewritten(taken.path, tables={"shop.goods": 99, "shop.lost": 1, "shop.sales_1": 50})
    with pytest.raises(BackupError, match=r"shop\.goods has 100 of 99 rows; shop\.lost has no table of 1 row"):
        restore(shop, taken.path, into=again)
    assert databases(server, again) == databases(server, "sqlkit_re%") == []
