"""Backups and restores on other servers: older ones, ones that want a password, ones that let a role do little."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from sqlkit import BackupError, Settings
from sqlkit.cli.diagram import migrate_app
from sqlkit.embedded import Embedded
from sqlkit.embedded.binaries import system_bindirs, wheel_bindir
from sqlkit.embedded.scratch import scratch_server
from sqlkit.migrate import database_url
from sqlkit.operations.backups import backup, rehearse_restore, restore
from sqlkit.testing import TestServer
from tests.backup_loads import rows_of, shape_of
from tests.backup_stage import caught_here, databases, dropped, fill, hanging, processes_with, wait_until

PREFIX = "sqlkit-test-backups-"
CAN_TIME_TRANSACTIONS = 17


@pytest.fixture(scope="module")
def old_server() -> Iterator[Embedded]:
    """Give a server of the system's that is older than 17."""
    found = [(version, place) for version, place in system_bindirs() if version.major < CAN_TIME_TRANSACTIONS]
    if not found or wheel_bindir() is None:
        pytest.skip("needs a PostgreSQL below 17 beside the wheel's: apt-get install postgresql-15")
    with scratch_server(PREFIX, bindir=min(found)[1]) as server:
        yield server


def test_new_programs_and_an_old_server(old_server: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are much newer programs only, they will do: pg_restore's setting of 17 is no error, others are."""
    wheel = wheel_bindir()
    monkeypatch.setattr("sqlkit.operations.backups.programs._places", lambda name, bindirs: [wheel])
    migrate_app(old_server.dsn, "soleil", "soleil")
    taken = backup(old_server.dsn, tmp_path, schema="soleil")
    assert taken.manifest.server_version // 10000 < CAN_TIME_TRANSACTIONS
    assert int(taken.manifest.pg_dump.split(".")[0]) >= CAN_TIME_TRANSACTIONS
    assert rehearse_restore(old_server.dsn, taken.path).tables == taken.manifest.tables
    with psycopg.connect(old_server.dsn) as conn:
        conn.execute("create function soleil.here(text) returns text immutable language sql as 'select $1'")
        conn.execute("create index songs_here_idx on soleil.songs (soleil.here(title))")
        conn.execute(
            "create or replace function soleil.here(text) returns text immutable language plpgsql as"
            " $$ begin perform 1 / (current_database() not like 'sqlkit_restoring%')::int; return $1; end $$"
        )
        conn.execute("insert into soleil.users (email, google_id, display_name) values ('a@b', 'g', 'd')")
        conn.execute("insert into soleil.songs (user_id, title) select user_id, 't' from soleil.users")
    broken = backup(old_server.dsn, tmp_path, schema="soleil")
    with pytest.raises(BackupError, match=r"^pg_restore: could not execute query: ERROR: division by zero$"):
        rehearse_restore(old_server.dsn, broken.path)


def test_from_an_old_server_to_a_newer_one(old_server: Embedded, server: TestServer, tmp_path: Path) -> None:
    """A backup of an older server is restored into a newer one, row for row; the other way is refused."""
    migrate_app(old_server.dsn, "presentations", "presentations")
    taken = backup(old_server.dsn, tmp_path, schema="presentations")
    if server.version <= taken.manifest.server_version:
        pytest.skip("needs a server that is newer than the system's: run without --postgres-bindir")
    with dropped(server) as name:
        restore(server.dsn, taken.path, into=name)
        with psycopg.connect(server.dsn_for(name)) as new, psycopg.connect(old_server.dsn) as old:
            assert rows_of(new, "presentations") == rows_of(old, "presentations")
            assert shape_of(new, "presentations")["policies"] == shape_of(old, "presentations")["policies"]
        newer = backup(server.dsn_for(name), tmp_path, schema="presentations")
    with pytest.raises(BackupError, match="restore it into one that is no older"):
        rehearse_restore(old_server.dsn, newer.path)


PASSWORD = "sésame ouvre toi"


@pytest.fixture(scope="module")
def locked_server() -> Iterator[Embedded]:
    """Give a server that lets ``keeper`` in by a password only."""
    with scratch_server(PREFIX) as server:
        with psycopg.connect(server.dsn, autocommit=True) as conn:
            conn.execute(sql.SQL("create role keeper superuser login password {}").format(sql.Literal(PASSWORD)))
            conn.execute("create database shop")
            (rules,) = conn.execute("show hba_file").fetchone() or ("",)
            Path(rules).write_text("local all keeper scram-sha-256\nlocal all all trust\n", encoding="utf-8")
            conn.execute("select pg_reload_conf()")
        fill(server.dsn_for("shop"))
        yield server


@pytest.mark.parametrize("how", ["dsn", "environment", "passfile"])
def test_the_password(locked_server: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Given in the DSN, in PGPASSWORD or in a passfile, it reaches pg_dump and pg_restore, and opens the door."""
    settings = Settings(url=locked_server.dsn_for("shop")).replace(user="keeper")
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    if how == "dsn":
        settings = settings.replace(password=PASSWORD)
    elif how == "environment":
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
    else:
        passfile = tmp_path / "pass file"
        passfile.write_text(f"*:*:*:keeper:{PASSWORD}\n", encoding="utf-8")
        passfile.chmod(0o600)
        settings = settings.replace(parameters={**settings.parameters, "passfile": str(passfile)})
    taken = backup(settings, tmp_path / "shelf", schema="shop", rehearse=True)
    assert taken.manifest.rows == 150


def test_no_password_on_any_command_line(locked_server: Embedded, tmp_path: Path) -> None:
    """Every process may read another's command line: the password stands in pg_dump's environment alone."""
    shop = locked_server.dsn_for("shop")
    settings = Settings(url=shop).replace(user="keeper", password=PASSWORD)
    with caught_here(shop, tmp_path, settings) as (_, pid):
        assert processes_with(PASSWORD.split()[0]) == {}
        assert f"PGPASSWORD={PASSWORD}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


def test_a_wrong_password(locked_server: Embedded, tmp_path: Path) -> None:
    """It is an error that does not show it, and nobody is asked for another one."""
    settings = Settings(url=locked_server.dsn_for("shop")).replace(user="keeper", password="not-this-one")
    with pytest.raises(BackupError, match="password authentication failed") as caught:
        backup(settings, tmp_path / "shelf", schema="shop")
    assert "not-this-one" not in str(caught.value)


def test_a_role_that_may_do_little(server: TestServer, tmp_path: Path) -> None:
    """Who owns the tables takes the backup, and restores it where they may make databases, or into an empty one."""
    role = f"keeper_{uuid4().hex[:8]}"
    with psycopg.connect(server.dsn, autocommit=True) as admin, dropped(server) as name, dropped(server) as again:
        admin.execute(f"create role {role} login createdb".encode())
        try:
            admin.execute(f"create database {name} owner {role}".encode())
            mine = Settings(url=server.dsn_for(name)).replace(user=role)
            migrate_app(mine.dsn(), "presentations", "presentations")
            taken = backup(mine, tmp_path, schema="presentations")
            done = restore(mine, taken.path, into=again)
            assert done.remarks == ()
            with psycopg.connect(database_url(mine.dsn(), database=again)) as conn:
                owners = conn.execute("select distinct tableowner from pg_tables where schemaname = 'presentations'")
                assert owners.fetchall() == [(role,)]
            server.drop(again)
            admin.execute(f"alter role {role} nocreatedb".encode())
            with pytest.raises(BackupError, match=f"the role {role} may not make databases: make an empty one"):
                restore(mine, taken.path, into=again)
            admin.execute(f"create database {again} owner {role}".encode())
            assert restore(mine, taken.path, into=again).tables == taken.manifest.tables
        finally:
            server.drop(name)
            server.drop(again)
            admin.execute(f"drop owned by {role}".encode())
            admin.execute(f"drop role {role}".encode())


def test_a_connection_that_is_lost(server: TestServer, dsn: str, tmp_path: Path) -> None:
    """Where the server ends the connections in the middle, the error says so, and nothing is left."""
    fill(dsn)
    with hanging(dsn), psycopg.connect(server.dsn, autocommit=True) as admin:
        raised: list[BaseException] = []

        def take() -> None:
            try:
                backup(dsn, tmp_path, schema="shop")
            except BaseException as error:
                raised.append(error)

        taking = Thread(target=take)
        taking.start()
        waiting = (
            "select from pg_stat_activity where application_name like 'sqlkit backup%' and wait_event_type = 'Lock'"
        )
        wait_until(lambda: admin.execute(waiting).fetchall(), "pg_dump is in the middle")
        end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'sqlkit backup%'"
        wait_until(lambda: len(admin.execute(end).fetchall()) >= 2 or raised, "its connections are ended")
        taking.join(30)
    assert isinstance(raised[0], BackupError)
    # The words of two processes that are ended at once may stand in each other.
    assert re.search("terminating connection|closed the connection|worker process died", str(raised[0]))
    assert list(tmp_path.iterdir()) == []
    assert databases(server, "sqlkit_re%") == []
