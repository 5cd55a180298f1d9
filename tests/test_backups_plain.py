"""Plain files of SQL, packed or not, restored."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from sqlkit import BackupError, Settings
from sqlkit.migrate import database_url
from sqlkit.operations.backups import (
    rehearse_restore,
    restore,
)
from sqlkit.operations.backups.programs import find_program
from sqlkit.testing import TestServer, dropped_afterwards
from tests import backup_stage
from tests.backup_stage import databases

shop = backup_stage.shop
again = backup_stage.again


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
