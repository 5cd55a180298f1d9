"""One moment of a database, held open: what is in it, under which name others see it, how many rows it has."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

from sqlkit.errors import BackupError
from sqlkit.operations.backups.catalogue import FoundDatabase, NamedRole, StoredTable, UsedExtension, catalogue
from sqlkit.operations.backups.processes import Stopped
from sqlkit.operations.backups.progress import Progress, Told

__all__ = ["LOCK_SECONDS", "Snapshot", "Waiting", "cancelled_by", "count_rows", "held_snapshot"]

ATTEMPTS = 20
PAUSE_SECONDS = 0.1  # after which whoever makes and drops tables may have come to an end
APPLICATION = "sqlkit backup"
STOP_SECONDS = 0.1  # within which a statement notices that it is to stop


LOCK_SECONDS = 60.0  # to wait for a table; a change of its form that takes longer is told of
SOON_SECONDS = 1.0  # of them before anybody is told that there is a wait


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long a lock is waited for, who hears of it, and what ends it."""

    seconds: float = LOCK_SECONDS
    told: Told | None = None
    stop: threading.Event | None = None

    def go_on(self, waited: float, where: str, who: str) -> None:
        """Tell of a wait and who is in the way; BackupError where it has been long enough."""
        if waited >= self.seconds:
            end = "end that, or wait longer for it (--lock-timeout)"
            raise BackupError(f"{where}: {who}: no lock within {self.seconds:g} s: {end}")
        if self.told is not None:
            self.told(Progress("lock", round(waited), max(1, round(self.seconds)), who))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot that is open on ``conn``, as long as its block; ``name`` is what ``pg_dump --snapshot`` takes."""

    conn: psycopg.Connection[Any]
    name: str
    database: FoundDatabase
    tables: list[StoredTable]
    settings: list[str]
    extensions: list[UsedExtension]
    roles: list[NamedRole]


@contextmanager
def held_snapshot(dsn: str, schema: str | None, waiting: Waiting) -> Iterator[Snapshot]:
    """Open a snapshot for the block, in which no table of the schema (of all, where it is None) can go or change.

    Tables are locked against changes of their form alone (ACCESS SHARE): reads and writes of rows go on. BackupError
    for a schema that is not there or has no tables, for tables that this role may not read as a whole, and for one
    that somebody else locks so that nobody may read it, for longer than ``waiting`` says.
    """
    schemas = None if schema is None else [schema]
    with psycopg.connect(dsn, autocommit=True, application_name=APPLICATION) as conn:
        catalogue.lift_timeouts(conn)
        catalogue.see_all_rows(conn)
        for attempt in range(ATTEMPTS):
            time.sleep(PAUSE_SECONDS * min(attempt, 10))
            _wait_for_tables(conn, schemas, waiting)
            try:
                tables = catalogue.list_stored_tables(conn, schemas=schemas)
            except errors.LockNotAvailable:
                continue
            if schema is not None and schema not in catalogue.list_schemas(conn):
                raise BackupError(f"{schema}: there is no such schema in {conn.info.dbname}")
            with conn.transaction():
                conn.execute("set transaction isolation level repeatable read, read only")
                try:
                    # Before the snapshot, which the first query takes: else a table could go between the two.
                    _lock(conn, tables)
                except (errors.UndefinedTable, errors.InvalidSchemaName, errors.LockNotAvailable):
                    raise psycopg.Rollback from None
                catalogue.bound_locks(conn, milliseconds=round(1000 * waiting.seconds))
                found = catalogue.list_stored_tables(conn, schemas=schemas)
                if _names(found) != _names(tables):
                    raise psycopg.Rollback
                yield _read(conn, found, schemas)
                return
        raise BackupError(f"{schema or conn.info.dbname}: its tables change faster than they can be locked")


def _wait_for_tables(conn: psycopg.Connection[Any], schemas: list[str] | None, waiting: Waiting) -> None:
    """Wait until nobody keeps others from reading the tables; BackupError that names the table and who does."""
    began = time.monotonic()
    catalogue.bound_locks(conn, milliseconds=round(1000 * max(0.1, min(SOON_SECONDS, waiting.seconds))))
    while True:
        try:
            with cancelled_by(waiting.stop, conn), conn.transaction():
                _lock(conn, catalogue.list_stored_tables(conn, schemas=schemas))
            return
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            return  # which is looked at anew
        except errors.LockNotAvailable:
            blockers = catalogue.list_blockers(conn, schemas=schemas)
        waited = time.monotonic() - began
        who = str(blockers[0]) if blockers else "a table is locked"
        waiting.go_on(waited, schemas[0] if schemas else conn.info.dbname, who)


def _names(tables: Sequence[StoredTable]) -> list[tuple[str, str]]:
    return [(table.schema_name, table.table_name) for table in tables]


def _lock(conn: psycopg.Connection[Any], tables: Sequence[StoredTable]) -> None:
    if not tables:
        return
    names = sql.SQL(", ").join(sql.SQL("only {}").format(sql.Identifier(*name)) for name in _names(tables))
    try:
        conn.execute(sql.SQL("lock table {} in access share mode").format(names), prepare=False)
    except errors.InsufficientPrivilege as error:
        reason = error.diag.message_primary or "a table may not be read"
        raise BackupError(f"{conn.info.user}: {reason}: take the backup as the tables' owner") from error


def _read(conn: psycopg.Connection[Any], tables: list[StoredTable], schemas: list[str] | None) -> Snapshot:
    return Snapshot(
        conn,
        catalogue.export_snapshot(conn) or "",
        catalogue.read_database(conn),
        tables,
        [one for one in catalogue.list_settings(conn) if one is not None],
        catalogue.list_used_extensions(conn, schemas=schemas),
        catalogue.list_named_roles(conn, schemas=schemas),
    )


@contextmanager
def cancelled_by(stop: threading.Event | None, conn: psycopg.Connection[Any]) -> Iterator[None]:
    """Cancel what a connection asks in the block when ``stop`` is set: then Stopped is raised."""
    over = threading.Event()

    def watch(stopped: threading.Event) -> None:
        while not over.wait(STOP_SECONDS):
            if stopped.is_set():
                conn.cancel_safe()
                return

    watcher = threading.Thread(target=watch, args=[stop], name="sqlkit stop", daemon=True) if stop else None
    if watcher is not None:
        watcher.start()
    try:
        yield
    except errors.QueryCanceled:
        if stop is None or not stop.is_set():
            raise
        raise Stopped("stopped") from None
    finally:
        over.set()
        if watcher is not None:
            watcher.join()


def count_rows(conn: psycopg.Connection[Any], schema: str, table: str) -> int:
    """Count the rows that are in one table itself; BackupError where row-level security hides some."""
    statement = sql.SQL("select count(*) from only {}").format(sql.Identifier(schema, table))
    try:
        row = conn.execute(statement, prepare=False).fetchone()
    except errors.InsufficientPrivilege as error:
        reason = error.diag.message_primary or "its rows may not be read"
        raise BackupError(
            f"{schema}.{table}: {reason}: take the backup as its owner, or as a role with BYPASSRLS"
        ) from error
    return int(row[0]) if row else 0
