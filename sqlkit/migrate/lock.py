"""The lock of a migration run: an advisory lock, which the server takes from a client that dies."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from sqlkit.errors import MigrationError

__all__ = ["lock_key", "migration_lock", "wait_for_yoyo"]

logger = logging.getLogger("sqlkit.migrate")

POLL_SECONDS = 0.1
HOLDER = """
    select activity.pid, activity.application_name, activity.client_addr, activity.backend_start
    from pg_locks as locks
    inner join pg_stat_activity as activity on activity.pid = locks.pid
    where
        locks.locktype = 'advisory'
        and locks.granted
        and locks.database = (select oid from pg_database where datname = current_database())
        and (locks.classid::bigint << 32) | locks.objid::bigint = %s
        and locks.objsubid = 1
"""
# yoyo's own lock is a row: (locked, ctime, pid), which a run that was killed leaves behind.
YOYO_ROW = sql.SQL("select pid from {} limit 1")
YOYO_FORGET = sql.SQL("delete from {}")
OTHER_CLIENTS = """
    select count(*) from pg_stat_activity
    where datname = current_database() and usename is not null and pid <> pg_backend_pid()
"""


def lock_key(schema: str) -> int:
    """Return the advisory lock's key for a schema; advisory locks are per database already."""
    return int.from_bytes(hashlib.sha256(f"sqlkit.migrate:{schema}".encode()).digest()[:8], "big", signed=True)


@contextmanager
def migration_lock(conn: psycopg.Connection[Any], schema: str, timeout: float) -> Iterator[None]:
    """Hold the lock of a schema's migrations for the block, on a connection of its own in autocommit.

    It asks again and again rather than wait in the server: a session that waits in ``pg_advisory_lock`` has a
    snapshot, for whose end CREATE INDEX CONCURRENTLY waits, so both would wait for ever.
    MigrationError, with the holder, when it is not free within ``timeout`` seconds.
    """
    key = lock_key(schema)
    deadline = time.monotonic() + timeout
    told = False
    while not take(conn, key):
        if time.monotonic() > deadline:
            raise MigrationError(f"{schema}: another migration has run for {timeout:g} s: {holder(conn, key)}")
        if not told:
            logger.info("%s: waiting for another migration: %s", schema, holder(conn, key))
            told = True
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute("select pg_advisory_unlock(%s)", [key])


def take(conn: psycopg.Connection[Any], key: int) -> bool:
    """Try to take the lock."""
    row = conn.execute("select pg_try_advisory_lock(%s)", [key]).fetchone()
    return bool(row and row[0])


def holder(conn: psycopg.Connection[Any], key: int) -> str:
    """Describe who holds the lock."""
    row = conn.execute(HOLDER, [key - (1 << 64) if key >= 1 << 63 else key]).fetchone()
    if row is None:
        return "it has just ended"
    pid, application, address, start = row
    whose = f"{application or 'no application name'}, from {address or 'this machine'}, since {start:%H:%M:%S}"
    return f"process {pid} of the server ({whose})"


def wait_for_yoyo(conn: psycopg.Connection[Any], table: sql.Identifier, schema: str, timeout: float) -> None:
    """Wait until no yoyo of the command line runs; ``table`` is its lock table.

    Its lock is a row. Where nobody else is connected, its holder was killed, and the row is removed.
    """
    deadline = time.monotonic() + timeout
    while True:
        found = conn.execute("select to_regclass(%s) is not null", [table.as_string(conn)]).fetchone()
        if not found or not found[0]:
            return
        row = conn.execute(YOYO_ROW.format(table)).fetchone()
        if row is None:
            return
        others = conn.execute(OTHER_CLIENTS).fetchone()
        if others == (0,):
            logger.warning(
                "%s: a run of yoyo (process %s) was killed and left its lock, which is removed",
                schema,
                row[0],
            )
            conn.execute(YOYO_FORGET.format(table))
            return
        if time.monotonic() > deadline:
            raise MigrationError(
                f"{schema}: yoyo (process {row[0]} of its machine) holds its lock for {timeout:g} s: "
                "wait for it, or run `yoyo break-lock` if it was killed"
            )
        time.sleep(POLL_SECONDS)
