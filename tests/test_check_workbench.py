"""The databases that a check proves against: those that it makes, those that stand, and what goes wrong with them."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sqlkit.checking.project import Project
from sqlkit.checking.run import check
from sqlkit.checking.workbench import FOLDER_PREFIX, CannotCheck, Workbench, old_server
from sqlkit.embedded import scratch
from sqlkit.embedded.scratch import remove_if_left, scratch_folder
from sqlkit.migrate import migrate
from sqlkit.testing import TestServer

SONGS = "create table songs (song_id bigint primary key, title text not null);"


def made(folder: Path, **files: str) -> Path:
    """Write migrations."""
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.sql").write_text(text, encoding="utf-8")
    return folder


@contextmanager
def tables(workbench: Workbench, project: Project) -> Iterator[list[str]]:
    """Give the tables that a project's connection sees."""
    with workbench.bench(project) as bench:
        found = bench.conn.execute("select tablename from pg_tables where schemaname = current_schema() order by 1")
        yield [name for (name,) in found]


def test_two_projects_share_a_server(tmp_path: Path) -> None:
    """Each project has a database of its own, migrated in its schema, on one server that goes with the block."""
    one = Project(tmp_path, "one", migrations=(made(tmp_path / "one", a=SONGS),), schema="one")
    two = Project(tmp_path, "two", migrations=(made(tmp_path / "two", a="create table bands (x int);"),))
    said: list[str] = []
    with Workbench(progress=said.append) as workbench:
        with tables(workbench, one) as found:
            assert "songs" in found
        with tables(workbench, two) as found:
            assert "bands" in found
            assert "songs" not in found
        server = workbench._server
        assert server is not None
        folder, pid = server.folder, server.pid
        assert folder.name.startswith(FOLDER_PREFIX)
    assert not folder.exists()
    assert pid is not None
    assert not Path(f"/proc/{pid}").exists()
    assert said == ["starting a PostgreSQL", "migrating one", "migrating two"]


def test_failing_migration(tmp_path: Path) -> None:
    """A migration that fails is said with its place, the other projects are checked, and all is cleaned up."""
    files = {"0001.songs": SONGS, "0002.bands": "create table bands (\n    band_id bigint,\n    x nope\n);"}
    sql = tmp_path / "a.sql"
    broken = Project(tmp_path, "broken", sql=(sql,), migrations=(made(tmp_path / "broken", **files),))
    sound = Project(tmp_path, "sound", sql=(sql,), migrations=(made(tmp_path / "sound", a=SONGS),))
    sql.write_text("-- name: get\nselect song_id, titel from songs;\n", encoding="utf-8")
    report = check([broken, sound])
    (trouble,) = report.troubles
    assert trouble.project == "broken"
    assert re.match(rf"{tmp_path}/broken/0002.bands.sql:3:7: .*nope", trouble.reason)
    assert [finding.code for finding in report.findings] == ["SK001"]
    assert report.status() == 2


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (130021, "PostgreSQL 13.21 is older than 14: check against a newer one"),
        (90624, "PostgreSQL 9.6.24 is older than 14: check against a newer one"),
        (140000, None),
        (180006, None),
    ],
)
def test_old_servers(version: int, said: str | None) -> None:
    """A server below 14 cannot keep trees."""
    assert old_server(version) == said


def test_no_programs(tmp_path: Path) -> None:
    """Without PostgreSQL's programs nothing is proved, and what needs none is still found."""
    (tmp_path / "a.sql").write_text("-- name: purge\ndelete from songs;\n", encoding="utf-8")
    report = check(Project(tmp_path, sql=(tmp_path / "a.sql",)), bindir=tmp_path)
    assert [str(trouble) for trouble in report.troubles] == [f"bindir: {tmp_path}: no postgres and initdb there"]
    assert [finding.code for finding in report.findings] == ["SK012"]


@pytest.mark.parametrize(
    ("dsn", "schema", "said"),
    [
        ("postgresql://someone:secret@127.0.0.1:1/nowhere", None, "connection failed: .*refused"),
        ("postgresql://someone:secret@[", None, "dsn: not a PostgreSQL DSN: write postgresql://"),
    ],
)
def test_no_server(dsn: str, schema: str | None, said: str) -> None:
    """A server that does not answer, or that nobody can name, is said in one line without the password."""
    with Workbench(dsn) as workbench, pytest.raises(CannotCheck, match=said) as caught:
        workbench.bench(Project(Path(), schema=schema)).__enter__()
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_schema_that_is_not_there(dsn: str, tmp_path: Path) -> None:
    """A schema that a standing database lacks is named: each statement would fail without it."""
    with Workbench(dsn) as workbench, pytest.raises(CannotCheck, match=r"^schema nope: is not in the database"):
        workbench.bench(Project(tmp_path, schema="nope")).__enter__()


def contents(dsn: str) -> dict[str, Any]:
    """Return how many objects of each kind a database has, and its own rows."""
    kinds = ("pg_class", "pg_proc", "pg_type", "pg_namespace", "pg_attribute", "pg_depend")
    with psycopg.connect(dsn) as conn:
        found: dict[str, Any] = {
            kind: conn.execute(f"select count(*) from {kind}".encode()).fetchone() for kind in kinds
        }
        found["rows"] = conn.execute("select * from app.songs").fetchall()
        found["sequence"] = conn.execute("select last_value, is_called from app.songs_song_id_seq").fetchone()
        return found


def test_a_standing_database_is_left_as_it_was(dsn: str, tmp_path: Path) -> None:
    """With a DSN nothing is migrated, and neither objects nor rows nor sequences change."""
    songs = "create table songs (song_id bigint generated always as identity primary key, title text not null);"
    folder = made(tmp_path / "migrations", a=songs)
    migrate(dsn, folder, schema="app")
    with psycopg.connect(dsn) as conn:
        conn.execute("insert into app.songs (title) values ('one'), ('two')")
    made_later = "create table bands (x int);"
    (folder / "b.sql").write_text(made_later, encoding="utf-8")
    sql = tmp_path / "a.sql"
    sql.write_text(
        "-- name: add\ninsert into songs (title) values (:title) returning song_id;\n"
        "-- name: purge\ndelete from songs where song_id = :song_id returning title;\n"
        "-- name: wrong\nselect nope from songs;\n",
        encoding="utf-8",
    )
    before = contents(dsn)
    report = check(Project(tmp_path, sql=(sql,), migrations=(folder,), schema="app"), dsn)
    assert contents(dsn) == before
    assert [finding.code for finding in report.findings] == ["SK001"]
    assert (report.counts.statements, report.counts.columns, report.counts.proved) == (3, 2, 2)


def test_read_only_server(dsn: str, tmp_path: Path) -> None:
    """Where nothing can be written the check says what it cannot prove, and checks the rest."""
    sql = tmp_path / "a.sql"
    sql.write_text("-- name: one\nselect 1 as x;\n-- name: wrong\nselect nope;\n", encoding="utf-8")
    report = check(Project(tmp_path, sql=(sql,)), f"{dsn}&options=-cdefault_transaction_read_only%3Don")
    (trouble,) = report.troubles
    assert str(trouble) == (
        "the server is read-only: what is never NULL and what returns one row at most is not known here; "
        "name a writable one"
    )
    assert [finding.code for finding in report.findings] == ["SK001"]
    assert (report.counts.columns, report.counts.proved) == (1, 0)


def test_no_temp_right(server: TestServer, dsn: str, tmp_path: Path) -> None:
    """A role without the TEMP right is told to ask for it."""
    role = server.new_name("role")
    database = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(f"create role {role} login".encode())
        conn.execute(f"revoke temporary on database {database} from public".encode())
    sql = tmp_path / "a.sql"
    sql.write_text("-- name: one\nselect 1 as x;\n", encoding="utf-8")
    try:
        report = check(Project(tmp_path, sql=(sql,)), psycopg.conninfo.make_conninfo(dsn, user=role))
    finally:
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute(f"drop role {role}".encode())
    (trouble,) = report.troubles
    assert str(trouble).startswith(f"{role} has no TEMP right on {database}: what is never NULL")
    assert report.status() == 2


def test_one_connection(server: TestServer, dsn: str, tmp_path: Path) -> None:
    """A check of many statements, of which some are refused, holds one connection: a second one would be refused."""
    role = server.new_name("role")
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(f"create role {role} login connection limit 1".encode())
    sql = tmp_path / "a.sql"
    many = (f"-- name: q{number}\nselect {number} as x{', y' * (number % 50 == 7)};\n" for number in range(500))
    sql.write_text("".join(many), encoding="utf-8")
    try:
        report = check(Project(tmp_path, sql=(sql,)), psycopg.conninfo.make_conninfo(dsn, user=role))
    finally:
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute(f"drop role {role}".encode())
    assert report.troubles == ()
    assert (len(report.findings), report.counts.columns, report.counts.proved) == (10, 490, 490)


def test_missing_extension(dsn: str, tmp_path: Path) -> None:
    """A function of an extension that is not there is no mistake of its statement: it could not be checked."""
    folder = made(tmp_path / "migrations", a="do $do$ begin create extension if not exists pg_trgm; end $do$;")
    sql = tmp_path / "a.sql"
    sql.write_text("-- name: like\nselect similarity('a', 'b') as x;\n-- name: one\nselect 1 as x;\n", encoding="utf-8")
    report = check(Project(tmp_path, sql=(sql,), migrations=(folder,)), dsn)
    (trouble,) = report.troubles
    assert str(trouble) == (
        f"{sql}:1: like: function similarity(unknown, unknown) does not exist; this server lacks the extension pg_trgm"
    )
    assert (report.findings, report.counts.variants) == ((), 1)
    assert report.status() == 2


LACKED = "{folder}/a.sql:2: the server that is started lacks the extension no_such"


def test_extension_that_cannot_be_made(tmp_path: Path) -> None:
    """Where the server that is started lacks an extension of the migrations, what does not need it is checked."""
    folder = made(tmp_path / "migrations", a='create table t (a int);\ncreate extension if not exists "no_such";\n')
    sql = tmp_path / "a.sql"
    sql.write_text("-- name: one\nselect a from t;\n-- name: two\nselect no_such(a) from t;\n", encoding="utf-8")
    report = check(Project(tmp_path, sql=(sql,), migrations=(folder,)))
    assert list(map(str, report.troubles)) == [
        f"{LACKED.format(folder=folder)}: what needs it is not checked",
        f"{sql}:3: two: function no_such(integer) does not exist; this server lacks the extension no_such",
    ]
    assert (report.findings, report.counts.variants, report.status()) == ((), 1, 2)


def test_migration_that_needs_a_missing_extension(tmp_path: Path) -> None:
    """A migration that fails without an extension is said with its own place and what is missing."""
    folder = made(
        tmp_path / "migrations",
        a="select 1;\ncreate extension no_such schema public;",
        b="create table t (\n a int default no_such());",
    )
    (tmp_path / "a.sql").write_text("-- name: one\nselect 1 as x;\n", encoding="utf-8")
    report = check(Project(tmp_path, sql=(tmp_path / "a.sql",), migrations=(folder,)))
    (trouble,) = report.troubles
    assert str(trouble) == (
        f"{folder}/b.sql:2:16: function no_such() does not exist (42883) (without its migrations nothing else is "
        f"proved); {LACKED.format(folder=folder)}"
    )


def test_left_folders_are_removed() -> None:
    """The folder of a server whose check was killed goes with the next one; a young one may still be somebody's."""
    folder = scratch_folder(f"{FOLDER_PREFIX}test-")
    remove_if_left(folder)
    assert folder.is_dir()
    os.utime(folder, (1, 1))
    remove_if_left(folder)
    assert not folder.exists()


def test_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no memory for a file system, the folder is where temporary files are."""
    monkeypatch.setattr(scratch, "MEMORY", tmp_path / "nowhere")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert scratch_folder(FOLDER_PREFIX).parent == tmp_path


def test_server_that_goes_away(dsn: str, tmp_path: Path) -> None:
    """A connection that is lost in the middle is said; what needs none is still found."""
    sql = tmp_path / "a.sql"
    sql.write_text("-- name: purge\ndelete from songs;\n", encoding="utf-8")

    def cut(said: str) -> None:
        if said.startswith("describing"):
            others = "datname = current_database() and pid <> pg_backend_pid()"
            with psycopg.connect(dsn) as conn:
                conn.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {others}".encode())

    report = check(Project(tmp_path, sql=(sql,)), dsn, progress=cut)
    (trouble,) = report.troubles
    assert trouble.reason.startswith("the database did not answer: ")
    assert [finding.code for finding in report.findings] == ["SK012"]


def test_nothing_to_check(dsn: str, tmp_path: Path) -> None:
    """Modules that load nothing are most likely the wrong ones."""
    report = check(Project(tmp_path, modules=("json",)), dsn)
    assert [str(trouble) for trouble in report.troubles] == [
        "there is nothing to check: what sqlkit.load returned is not in json; all that is below a package is json.*"
    ]
