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

__all__ = ["Snapshot", "cancelled_by", "count_rows", "held_snapshot"]

ATTEMPTS = 20
PAUSE_SECONDS = 0.1  # after which whoever makes and drops tables may have come to an end
APPLICATION = "sqlkit backup"
STOP_SECONDS = 0.1  # within which a statement notices that it is to stop


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
def held_snapshot(dsn: str, schema: str | None) -> Iterator[Snapshot]:
    """Open a snapshot for the block, in which no table of the schema (of all, where it is None) can go or change.

    Tables are locked against changes of their form alone (ACCESS SHARE): reads and writes of rows go on. BackupError
    for a schema that is not there or has no tables, and for tables that this role may not read as a whole.
    """
    schemas = None if schema is None else [schema]
    with psycopg.connect(dsn, autocommit=True, application_name=APPLICATION) as conn:
        catalogue.lift_timeouts(conn)
        catalogue.see_all_rows(conn)
        for attempt in range(ATTEMPTS):
            time.sleep(PAUSE_SECONDS * min(attempt, 10))
            tables = catalogue.list_stored_tables(conn, schemas=schemas)
            if schema is not None and schema not in catalogue.list_schemas(conn):
                raise BackupError(f"{schema}: there is no such schema in {conn.info.dbname}")
            with conn.transaction():
                conn.execute("set transaction isolation level repeatable read, read only")
                try:
                    # Before the snapshot, which the first query takes: else a table could go between the two.
                    _lock(conn, tables)
                except (errors.UndefinedTable, errors.InvalidSchemaName):
                    raise psycopg.Rollback from None
                found = catalogue.list_stored_tables(conn, schemas=schemas)
                if _names(found) != _names(tables):
                    raise psycopg.Rollback
                yield _read(conn, found, schemas)
                return
        raise BackupError(f"{schema or conn.info.dbname}: its tables change faster than they can be locked")


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
