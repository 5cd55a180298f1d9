"""Backups: what is in them, how they are verified, kept, restored and compared."""

from __future__ import annotations

import gzip
import shutil
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

from sqlkit import ArgumentError, BackupError, ConfigurationError, Settings
from sqlkit.migrate import database_url
from sqlkit.operations.backups import (
    Extension,
    Progress,
    backup,
    keep_backups,
    list_backups,
    read_manifest,
    rehearse_restore,
    restore,
    taking,
    verify_backup,
)
from sqlkit.operations.backups.programs import find_program
from sqlkit.operations.backups.snapshot import held_snapshot
from sqlkit.testing import TestServer, dropped_afterwards
from tests.backup_stage import aged, databases, dropped, fill, rewritten, wait_until

DAY = timedelta(days=1)


@pytest.fixture
def shop(dsn: str) -> str:
    """Give the DSN of a database with a small schema."""
    fill(dsn)
    return dsn


@pytest.fixture
def again(server: TestServer) -> Iterator[str]:
    """Give the name of a database that is not there yet."""
    with dropped(server) as name:
        yield name


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
    assert str(taken) == f"{taken.path}: 2 tables, 150 rows, {manifest.size} bytes"
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
    """The reason is told without the password."""
    with pytest.raises(BackupError, match="the server cannot be asked") as caught:
        backup("postgresql://someone:secret@127.0.0.1:1/nowhere", tmp_path)
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


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
    def raced(dsn: str, schema: str | None) -> Iterator[Any]:
        with held_snapshot(dsn, schema) as snapshot:
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


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


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
    with pytest.raises(BackupError, match=r"shop\.goods has 100 of 99 rows; shop\.lost has no table of 1 rows"):
        restore(shop, taken.path, into=again)
    assert databases(server, again) == databases(server, "sqlkit_re%") == []


# Keeping.


@pytest.fixture
def shelf(shop: str, tmp_path: Path) -> list[Path]:
    """Give four backups of 30, 20, 10 and 1 days ago."""
    taken = backup(shop, tmp_path, schema="shop").path
    made = []
    for days in (30, 20, 10, 1):
        path = tmp_path / f"shop-{days}-days"
        shutil.copytree(taken, path)
        aged(path, days * DAY)
        made.append(path)
    shutil.rmtree(taken)
    return made


def test_older_ones_leave(shelf: list[Path], tmp_path: Path) -> None:
    """What is older than the time goes, what is younger stays, and nothing else lies about."""
    assert keep_backups(tmp_path, 15 * DAY) == tuple(shelf[:2])
    assert [one.path for one in list_backups(tmp_path)] == shelf[2:]
    assert sorted(tmp_path.iterdir()) == sorted(shelf[2:])
    assert keep_backups(tmp_path, 15 * DAY) == ()


def test_the_last_good_one_stays(shelf: list[Path], tmp_path: Path) -> None:
    """However old the newest is, it is the only one that can be restored: it stays."""
    assert keep_backups(tmp_path, timedelta(0)) == tuple(shelf[:3])
    assert [one.path for one in list_backups(tmp_path)] == shelf[3:]


def test_what_is_damaged_is_no_reason_to_delete(shelf: list[Path], tmp_path: Path) -> None:
    """The last good one is the newest whose checksums are right: newer ones that are damaged do not count."""
    for path in shelf[2:]:
        flip(next((path / "dump").glob("*.dat.gz")))
    assert keep_backups(tmp_path, timedelta(0)) == (shelf[0],)
    assert sorted(tmp_path.iterdir()) == sorted(shelf[1:])


def test_where_all_are_damaged_nothing_goes(shelf: list[Path], tmp_path: Path) -> None:
    """Something may be got out of them yet."""
    for path in shelf:
        flip(next((path / "dump").glob("*.dat.gz")))
    assert keep_backups(tmp_path, timedelta(0)) == ()
    assert sorted(tmp_path.iterdir()) == sorted(shelf)


def test_only_complete_ones_go(shelf: list[Path], tmp_path: Path) -> None:
    """What has no manifest, or lacks a file, is left for a person, and so is whatever else stands there."""
    (shelf[0] / "manifest.json").unlink()
    next((shelf[1] / "dump").glob("*.dat.gz")).unlink()
    (tmp_path / "backup_20240101_120000.sql.gz").write_bytes(b"")
    (tmp_path / "link").symlink_to(shelf[3])
    assert keep_backups(tmp_path, DAY / 2) == (shelf[2],)
    left = {"backup_20240101_120000.sql.gz", "link", *(path.name for path in (shelf[0], shelf[1], shelf[3]))}
    assert {entry.name for entry in tmp_path.iterdir()} == left


def test_each_schema_has_its_last_good_one(shelf: list[Path], shop: str, tmp_path: Path) -> None:
    """A newer backup of another schema is none of this one."""
    with psycopg.connect(shop) as conn:
        conn.execute("create schema other")
    backup(shop, tmp_path, schema="other", keep=timedelta(0))
    assert [one.path for one in list_backups(tmp_path, schema="shop")] == shelf[3:]
    assert len(list_backups(tmp_path, schema="other")) == 1
    assert list_backups(tmp_path, database="elsewhere") == []


def test_keeping_comes_after_a_backup_that_is_whole(shelf: list[Path], shop: str, tmp_path: Path) -> None:
    """With keep, a backup tells which older ones left; one that fails removes none."""
    with pytest.raises(BackupError):
        backup(shop, tmp_path, schema="nothing", keep=timedelta(0))
    assert sorted(tmp_path.iterdir()) == sorted(shelf)
    taken = backup(shop, tmp_path, schema="shop", keep=7 * DAY)
    assert taken.removed == tuple(shelf[:3])
    assert sorted(tmp_path.iterdir()) == sorted([shelf[3], taken.path])


def test_a_clock_that_ran_ahead(shelf: list[Path], tmp_path: Path) -> None:
    """Backups of the future are not old."""
    aged(shelf[3], -900 * DAY)
    assert shelf[3] not in keep_backups(tmp_path, DAY)
    with pytest.raises(ArgumentError):
        keep_backups(tmp_path, -DAY)


# Restoring.


def test_a_database_with_anything_in_it_is_refused(server: TestServer, shop: str, tmp_path: Path) -> None:
    """A restore overwrites nothing."""
    taken = backup(shop, tmp_path, schema="shop")
    with pytest.raises(BackupError, match="is not empty: a restore makes a new database"):
        restore(shop, taken.path)
    with psycopg.connect(shop) as conn:
        assert conn.execute("select count(*) from shop.goods").fetchone() == (100,)
    assert databases(server, "sqlkit_re%") == []


def test_an_empty_database_is_taken_as_it_is(server: TestServer, shop: str, tmp_path: Path) -> None:
    """Where somebody else has made the database, it is filled; where that fails, it is empty again."""
    taken = backup(shop, tmp_path, schema="shop")
    with dropped_afterwards(server) as name:
        rewritten(taken.path, tables={"shop.goods": 1})
        with pytest.raises(BackupError, match="is not what it says"):
            restore(shop, taken.path, into=name)
        rewritten(taken.path, tables=taken.manifest.tables)
        done = restore(shop, taken.path, into=name)
        assert done.remarks == (f"{name} stood already, and was empty",)
        with pytest.raises(BackupError, match="is not empty"):
            restore(shop, taken.path, into=name)


def test_a_rehearsal_leaves_nothing(server: TestServer, shop: str, tmp_path: Path) -> None:
    """A backup is restored, compared, and dropped: where it cannot be, older ones are not deleted."""
    old = backup(shop, tmp_path, schema="shop").path
    aged(old, 30 * DAY)
    taken = backup(shop, tmp_path, schema="shop", rehearse=True, keep=7 * DAY)
    assert taken.removed == (old,)
    assert rehearse_restore(shop, taken.path).tables == taken.manifest.tables
    rewritten(taken.path, tables={"shop.goods": 1})
    with pytest.raises(BackupError, match="is not what it says"):
        rehearse_restore(shop, taken.path)
    assert databases(server, "sqlkit_re%") == []


def test_extensions_that_the_schema_needs(dsn: str, again: str, tmp_path: Path) -> None:
    """pg_dump leaves extensions out of a schema: they are made first, also one that stands in the schema itself."""
    with psycopg.connect(dsn) as conn:
        conn.execute("create schema extensions")
        conn.execute("create schema shop")
        conn.execute("create extension citext with schema extensions")
        conn.execute("create extension pg_trgm with schema shop")
        conn.execute("create extension hstore with schema extensions")
        conn.execute("create table shop.people (email extensions.citext, name text default 'x')")
        conn.execute("create index people_name_idx on shop.people using gin (name shop.gin_trgm_ops)")
        conn.execute("insert into shop.people values ('Ada@Example.org')")
    taken = backup(dsn, tmp_path, schema="shop")
    assert {one.name: one.is_used for one in taken.manifest.extensions} == {
        "citext": True,
        "hstore": False,
        "pg_trgm": True,
    }
    restore(dsn, taken.path, into=again)
    with psycopg.connect(database_url(dsn, database=again, schema="shop")) as conn:
        assert conn.execute("select count(*) from people where email = 'ada@example.ORG'").fetchone() == (1,)
        assert conn.execute("select 'people_name_idx'::regclass is not null").fetchone() == (True,)


def test_extensions_that_the_server_has_not(server: TestServer, shop: str, again: str, tmp_path: Path) -> None:
    """One that the schema uses is an error before anything is restored; one that nothing uses is a remark."""
    taken = backup(shop, tmp_path, schema="shop")
    lacking = Extension(name="postgis", version="3", schema_name="extensions", is_used=False)
    rewritten(taken.path, extensions=[lacking])
    done = rehearse_restore(shop, taken.path)
    assert done.remarks == ("the extension postgis is not on this server, and nothing in the schema uses it",)
    rewritten(taken.path, extensions=[lacking.model_copy(update={"is_used": True})])
    with pytest.raises(BackupError, match="shop: needs postgis, which this server has not"):
        restore(shop, taken.path, into=again)
    assert databases(server, again) == []


def test_roles_that_are_missing(server: TestServer, again: str, tmp_path: Path) -> None:
    """Roles that rights and policies name are made without a login, and said; owners that lack are said."""
    reader, owner = f"reader_{uuid4().hex[:8]}", f"owner_{uuid4().hex[:8]}"
    with psycopg.connect(server.dsn, autocommit=True) as admin:
        try:
            with dropped_afterwards(server) as name:
                dsn = server.dsn_for(name)
                fill(dsn)
                with psycopg.connect(dsn, autocommit=True) as conn:
                    conn.execute(f"create role {reader} login".encode())
                    conn.execute(f"create role {owner}".encode())
                    conn.execute(f"create policy mine on shop.goods to {reader} using (true)".encode())
                    conn.execute(f"alter table shop.goods owner to {owner}".encode())
                taken = backup(dsn, tmp_path, schema="shop")
            admin.execute(f"drop role {reader}".encode())
            kept = restore(server.dsn, taken.path, into=again)
            assert kept.remarks == (
                f"the role {reader} was not there, and is: without a login; grant it to who acts for it",
            )
            with psycopg.connect(server.dsn_for(again)) as conn:
                found = "select tableowner, policyname, roles::text from pg_tables join pg_policies using (tablename)"
                assert conn.execute(found).fetchone() == (owner, "mine", "{" + reader + "}")
                login = conn.execute("select rolcanlogin from pg_roles where rolname = %s", [reader]).fetchone()
                assert login == (False,)
            server.drop(again)
            admin.execute(f"drop role {owner}".encode())
            done = restore(server.dsn, taken.path, into=again)
            user = admin.info.user
            assert done.remarks == (f"everything belongs to {user}, not to {owner}",)
        finally:
            server.drop(again)
            admin.execute(f"drop role if exists {reader}".encode())
            admin.execute(f"drop role if exists {owner}".encode())


def test_settings_of_the_database(shop: str, again: str, tmp_path: Path) -> None:
    """What `alter database` said of the old one, its search path for one, is said of the new one."""
    with psycopg.connect(shop, autocommit=True) as conn:
        name = conn.info.dbname
        conn.execute(f"""alter database {name} set search_path = shop, "a b", extensions""".encode())
        conn.execute(f"alter database {name} set statement_timeout = '5min'".encode())
        conn.execute(f"alter database {name} set app.greeting = 'it''s'".encode())
    taken = backup(shop, tmp_path, schema="shop")
    assert restore(shop, taken.path, into=again).remarks == ()
    with psycopg.connect(database_url(shop, database=again)) as conn:
        found = [conn.execute(f"show {name}".encode()).fetchone() for name in ("search_path", "statement_timeout")]
        assert found == [('shop, "a b", extensions',), ("5min",)]
        assert conn.execute("select current_setting('app.greeting')").fetchone() == ("it's",)


def test_a_backup_of_a_newer_server(shop: str, tmp_path: Path) -> None:
    """An older server could not run what a newer one wrote: it is said which is wanted."""
    taken = backup(shop, tmp_path, schema="shop")
    rewritten(taken.path, server_version=990000)
    with pytest.raises(BackupError, match="is of PostgreSQL 99, and this server is "):
        rehearse_restore(shop, taken.path)


def test_a_locale_that_the_server_has_not(shop: str, again: str, tmp_path: Path) -> None:
    """The database is made as this server sorts, and that is said."""
    taken = backup(shop, tmp_path, schema="shop")
    strange = taken.manifest.locale.model_copy(update={"collation": "xx_YY.UTF-8", "character_type": "xx_YY.UTF-8"})
    rewritten(taken.path, locale=strange)
    done = restore(shop, taken.path, into=again)
    assert done.remarks == ("this server has no xx_YY.UTF-8: texts are sorted by its own rules",)


# Plain files.


@pytest.fixture
def plain(shop: str, server: TestServer, tmp_path: Path) -> Path:
    """Give the shop as a plain .sql.gz, as a script of old made it."""
    program = find_program("pg_dump", server.version // 10000)
    done = subprocess.run([program.path, "-d", shop], capture_output=True, check=True)
    path = tmp_path / "backup_20240101_120000.sql.gz"
    path.write_bytes(gzip.compress(done.stdout))
    return path


def test_a_plain_file(plain: Path, shop: str, again: str) -> None:
    """A packed file of pg_dump's is restored, and its rows are counted."""
    done = restore(shop, plain, into=again)
    assert done.tables == {"shop.goods": 100, "shop.sales_1": 50}
    with psycopg.connect(shop) as old, psycopg.connect(database_url(shop, database=again)) as new:
        rows = "select good_id, name from shop.goods order by 1"
        assert new.execute(rows).fetchall() == old.execute(rows).fetchall()


def test_an_unpacked_file_is_rehearsed(plain: Path, shop: str, server: TestServer) -> None:
    """What is not packed is restored as well, and a rehearsal drops it again."""
    unpacked = plain.with_name("backup.sql")
    unpacked.write_bytes(gzip.decompress(plain.read_bytes()))
    assert rehearse_restore(shop, unpacked).tables == {"shop.goods": 100, "shop.sales_1": 50}
    assert databases(server, "sqlkit_re%") == []


def cut(content: bytes) -> bytes:
    """Cut a packed file off."""
    return content[: len(content) // 2]


def shortened(content: bytes) -> bytes:
    """Cut a plain file off, and pack it well."""
    text = gzip.decompress(content)
    return gzip.compress(text[: text.index(b"FROM stdin") + 100])


def unmarked(content: bytes) -> bytes:
    """Leave the end of a dump away, behind its last statement."""
    text = gzip.decompress(content)
    return gzip.compress(text[: text.index(b"-- PostgreSQL database dump complete")])


def turned(content: bytes) -> bytes:
    """Flip a bit of a packed file."""
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)


def with_line(line: bytes) -> Any:
    """Return what writes a line into a file, where no rows are."""
    return lambda content: gzip.compress(gzip.decompress(content).replace(b"\nSET ", b"\n" + line + b"\nSET ", 1))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (cut, "is damaged, or ends too early"),
        (shortened, "ends too early: it is a part of a dump"),
        (unmarked, "ends too early: it is a part of a dump"),
        (turned, "is damaged, or ends too early"),
        (with_line(b"\\connect postgres"), r"gz:\d+: \\connect: is a command of psql's"),
        (with_line(b"\\! touch owned"), r"gz:\d+: \\!: is a command of psql's"),
        (with_line(b"select 1 \\! touch owned"), "backslash commands are restricted"),
        (with_line(b"select 1/0;"), "psql: division by zero"),
        (with_line(b"drop table nothing;"), 'psql: table "nothing" does not exist'),
    ],
)
def test_plain_files_that_are_spoilt(
    plain: Path, shop: str, again: str, server: TestServer, spoil: Any, reason: str
) -> None:
    """A file that ends too early, would connect elsewhere or fails in the middle leaves nothing behind."""
    plain.write_bytes(spoil(plain.read_bytes()))
    with pytest.raises(BackupError, match=reason):
        restore(shop, plain, into=again)
    assert databases(server, again) == databases(server, "sqlkit_re%") == []
    with dropped_afterwards(server) as name:
        with pytest.raises(BackupError, match=reason):
            restore(shop, plain, into=name)
        with psycopg.connect(server.dsn_for(name)) as conn:
            assert conn.execute("select to_regnamespace('shop') is null").fetchone() == (True,)


def test_a_plain_file_that_wants_roles_and_extensions(server: TestServer, again: str, tmp_path: Path) -> None:
    """Roles that it names are made; extensions that a dump of a schema left out are named by who restores."""
    role = f"band_{uuid4().hex[:8]}"
    program = find_program("pg_dump", server.version // 10000)
    with psycopg.connect(server.dsn, autocommit=True) as admin:
        try:
            with dropped_afterwards(server) as name:
                with psycopg.connect(server.dsn_for(name), autocommit=True) as conn:
                    conn.execute(f'create role "{role} x"'.encode())
                    conn.execute("create schema extensions")
                    conn.execute("create extension citext with schema extensions")
                    conn.execute("create table songs (title extensions.citext)")
                    conn.execute("insert into songs values ('GRANT ALL ON x TO nobody_at_all;')")
                    conn.execute(f'alter table songs owner to "{role} x"'.encode())
                dump = [str(program.path), "-d", server.dsn_for(name), "-n", "public"]
                text = subprocess.run(dump, capture_output=True, check=True).stdout
            admin.execute(f'drop role "{role} x"'.encode())
            path = tmp_path / "old.sql"
            path.write_bytes(text)
            with pytest.raises(BackupError, match="extensions"):
                restore(server.dsn, path, into=again)
            done = restore(server.dsn, path, into=again, extensions=["citext"])
            assert done.tables == {"public.songs": 1}
            with psycopg.connect(server.dsn_for(again)) as conn:
                assert conn.execute("select tableowner from pg_tables where tablename = 'songs'").fetchone() == (
                    f"{role} x",
                )
                assert conn.execute("select to_regrole('nobody_at_all') is null").fetchone() == (True,)
        finally:
            server.drop(again)
            admin.execute(f'drop role if exists "{role} x"'.encode())


def test_a_plain_file_and_a_role_that_may_do_little(plain: Path, server: TestServer, again: str) -> None:
    """Who is no superuser restores a plain file, too: what it says of owners is left out, and that is said."""
    role = f"keeper_{uuid4().hex[:8]}"
    with psycopg.connect(server.dsn, autocommit=True) as admin:
        admin.execute(f"create role {role} login createdb".encode())
        try:
            done = restore(Settings(url=server.dsn).replace(user=role), plain, into=again)
            assert done.tables == {"shop.goods": 100, "shop.sales_1": 50}
            assert done.remarks == (f"everything belongs to {role}, not to {admin.info.user}",)
        finally:
            server.drop(again)
            admin.execute(f"drop role {role}".encode())


def test_the_name_in_the_dsn_is_the_new_one(shop: str, again: str, tmp_path: Path) -> None:
    """A DSN may name the database that is to be made."""
    taken = backup(shop, tmp_path, schema="shop")
    assert restore(database_url(shop, database=again), taken.path).database == again
