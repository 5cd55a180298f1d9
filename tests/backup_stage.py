"""What tests of backups stand on: small databases, backups of them, and programs that can be caught in the middle."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sqlkit import BackupError, Settings
from sqlkit.operations.backups import backup
from sqlkit.operations.backups.manifest import MANIFEST, read_manifest
from sqlkit.testing import TestServer

__all__ = [
    "again",
    "aged",
    "caught_here",
    "databases",
    "dropped",
    "dumps",
    "fill",
    "flip",
    "hanging",
    "processes_with",
    "rewritten",
    "shop",
    "wait_until",
]

SCHEMA = "shop"
PATIENCE = 30.0


@contextmanager
def dropped(server: TestServer) -> Iterator[str]:
    """Give the name of a database that is not there yet, and drop it after the block."""
    name = server.new_name("restored")
    try:
        yield name
    finally:
        server.drop(name)


def fill(dsn: str, *, rows: int = 100) -> None:
    """Make a schema with two tables, one of them partitioned, a sequence and a view, and put rows into them."""
    with psycopg.connect(dsn) as conn:
        conn.execute("create schema shop")
        conn.execute("create table shop.goods (good_id int generated always as identity primary key, name text)")
        conn.execute("create table shop.sales (sold_on date not null, good_id int) partition by range (sold_on)")
        conn.execute(
            "create table shop.sales_1 partition of shop.sales for values from ('2026-01-01') to ('2026-02-01')"
        )
        conn.execute("create sequence shop.tickets")
        conn.execute("create view shop.names as select name from shop.goods")
        conn.execute("insert into shop.goods (name) select md5(i::text) from generate_series(1, %s) i", [rows])
        conn.execute("insert into shop.sales select '2026-01-05', i from generate_series(1, %s) i", [rows // 2])


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


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@contextmanager
def hanging(dsn: str) -> Iterator[None]:
    """Let pg_dump wait in the middle of what it does, for the block: for a sequence that is being dropped.

    The snapshot and the counts do not wait: they look at tables.
    """
    with psycopg.connect(dsn) as conn:
        conn.execute("drop sequence shop.tickets")
        yield
        conn.rollback()


def processes_with(*words: str) -> dict[int, str]:
    """Return the processes whose command line has all the words, but for this one's, each with its command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if all(word in line for word in words):
                found[int(entry.name)] = line
    return found


def wait_until(true: Callable[[], Any], what: str) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE} s"
        time.sleep(0.02)
    return found


@contextmanager
def caught_here(
    shop: str, shelf: Path, target: Settings | str | None = None
) -> Iterator[tuple[list[BaseException], int]]:
    """Give what a backup in a thread has raised, which waits in the middle, and the number of its pg_dump."""
    raised: list[BaseException] = []
    stop = threading.Event()

    def take() -> None:
        try:
            backup(target or shop, shelf, schema="shop", stop=stop)
        except BackupError as error:
            raised.append(error)

    taking = threading.Thread(target=take)
    with hanging(shop):
        taking.start()
        try:
            yield raised, wait_until(lambda: dumps(shelf), "pg_dump writes")[0]
        finally:
            stop.set()
            taking.join()


def dumps(shelf: Path) -> list[int]:
    """Return the numbers of the pg_dumps that write into a folder, when they have begun; a worker's is greater."""
    found = processes_with("pg_dump", "--format=directory", str(shelf))
    return sorted(found) if found and all("-c" not in line.split() for line in found.values()) else []


def databases(server: TestServer, like: str) -> list[str]:
    """Return the databases of a server whose names are like something."""
    with psycopg.connect(server.dsn) as conn:
        return [name for (name,) in conn.execute("select datname from pg_database where datname like %s", [like])]


def rewritten(path: Path, **changes: Any) -> None:
    """Write a backup's manifest anew, with its checksum, as if it had been written so."""
    manifest = read_manifest(path).model_copy(update=changes)
    (path / MANIFEST).unlink()
    manifest.write(path)


def aged(path: Path, age: timedelta) -> None:
    """Let a backup be older than it is."""
    rewritten(path, taken_at=read_manifest(path).taken_at - age)
