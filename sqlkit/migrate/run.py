"""Migrations applied, rolled back and listed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg import errors, sql

from sqlkit.errors import MigrationError
from sqlkit.migrate.backend import AppliedMigration, AtomicBackend, applied_migrations
from sqlkit.migrate.files import MigrationFile, MigrationFolder, read_folder
from sqlkit.migrate.lock import migration_lock, wait_for_yoyo
from sqlkit.migrate.urls import EXTENSIONS, search_path, url

__all__ = ["history", "migrate", "pending", "rollback"]

LOCK_SECONDS = 60.0
APPLICATION = "sqlkit migrate"

Folder = str | os.PathLike[str]


def migrate(dsn: str, folder: Folder, *, schema: str | None = None, timeout: float = LOCK_SECONDS) -> list[str]:
    """Apply all migrations of a folder that are not applied yet; return their ids, in order.

    Each file and its mark are one transaction. ``schema`` is made if it is not there, holds the history,
    and stands first in the search path; without it, the DSN's own path decides. ``timeout`` is how long to
    wait for another run.

    MigrationError, before anything is applied, for a file that cannot be applied as a whole or was edited
    after it was applied; and with ``file:line:column`` for one that fails, which leaves nothing behind:
    those before it stay applied, those after it are not run.
    """
    files = read_folder(folder)
    with opened(dsn, schema, timeout) as (lock, backend):
        applied = {mark.migration_id: mark for mark in backend.applied()}
        check_edited(backend, files.migrations, applied)
        todo = [migration for migration in files.migrations if migration.migration_id not in applied]
        for migration in (*todo, *files.post_apply):
            if migration.is_sql:
                migration.script()
        for migration in todo:
            lock.execute("select 1")  # the lock is ours as long as its connection is
            backend.apply_one(migration.step)
        for migration in files.post_apply if todo else ():
            backend.apply_one(migration.step, mark=False)
    return [migration.migration_id for migration in todo]


def rollback(
    dsn: str,
    folder: Folder,
    *,
    schema: str | None = None,
    count: int | None = 1,
    to: str | None = None,
    timeout: float = LOCK_SECONDS,
) -> list[str]:
    """Roll back the last ``count`` migrations (None: all), or those after ``to``; return their ids.

    Each is one transaction with its mark. MigrationError before anything is rolled back, if one of them has
    no rollback file, was applied from another folder, or was edited since.
    """
    files = read_folder(folder)
    with opened(dsn, schema, timeout) as (lock, backend):
        marks = backend.applied()
        check_edited(backend, files.migrations, {mark.migration_id: mark for mark in marks})
        todo = chosen(files, marks, count, to)
        for migration in todo:
            if migration.is_sql:
                migration.rollback_script()
        for migration in todo:
            lock.execute("select 1")
            backend.rollback_one(migration.step)
    return [migration.migration_id for migration in todo]


def pending(dsn: str, folder: Folder, *, schema: str | None = None) -> list[str]:
    """Return the ids of the migrations of a folder that are not applied yet, in order. Writes nothing."""
    applied = {mark.migration_id for mark in history(dsn, schema=schema)}
    names = [migration.migration_id for migration in read_folder(folder).migrations]
    return [name for name in names if name not in applied]


def history(dsn: str, *, schema: str | None = None) -> list[AppliedMigration]:
    """Return the migrations that are applied in a schema, in the order in which they were. Writes nothing."""
    with connected(dsn) as conn:
        name = schema or first_schema(conn)
        return applied_migrations(conn, name) if name else []


def connected(dsn: str) -> psycopg.Connection[Any]:
    """Connect in autocommit."""
    return psycopg.connect(url("postgresql", dsn, None, None, application_name=APPLICATION), autocommit=True)


@contextlib.contextmanager
def opened(dsn: str, schema: str | None, timeout: float) -> Iterator[tuple[psycopg.Connection[Any], AtomicBackend]]:
    """Take the lock of a schema on one connection, make the schema, and open yoyo's tables on another."""
    path = search_path(schema) if schema is not None else None
    with connected(dsn) as conn:
        name = schema or first_schema(conn)
        if name is None:
            raise MigrationError("search_path: no schema in it exists: name one by schema=")
        with migration_lock(conn, name, timeout):
            make_schemas(conn, schema)
            wait_for_yoyo(conn, sql.Identifier(name, AtomicBackend.lock_table), name, timeout)
            address = url("postgresql+psycopg", dsn, None, path or with_extensions(conn), application_name=APPLICATION)
            with AtomicBackend(address, name) as backend:
                backend.prepare()
                yield conn, backend


def first_schema(conn: psycopg.Connection[Any]) -> str | None:
    """Return the schema that a connection creates things in, None if there is none."""
    row = conn.execute("select current_schema()").fetchone()
    return row[0] if row else None


def with_extensions(conn: psycopg.Connection[Any]) -> str:
    """Return a connection's search path, with the schema of the extensions behind it."""
    row = conn.execute("select current_setting('search_path'), current_schemas(false)").fetchone()
    path, schemas = row if row else ("", [])
    return path if EXTENSIONS in schemas else f"{path}, {EXTENSIONS}"


def make_schemas(conn: psycopg.Connection[Any], schema: str | None) -> None:
    """Make a schema, and the one for extensions, where they are not there and this role may.

    Everybody may use what is in the latter: types and functions of no use to one who could not.
    """
    if schema is not None:
        make_schema(conn, schema)
    with contextlib.suppress(errors.InsufficientPrivilege):
        if make_schema(conn, EXTENSIONS):
            conn.execute(sql.SQL("grant usage on schema {} to public").format(sql.Identifier(EXTENSIONS)))


def make_schema(conn: psycopg.Connection[Any], schema: str) -> bool:
    """Make a schema if it is not there; say whether it was. `if not exists` alone wants the right always."""
    if conn.execute("select from pg_namespace where nspname = %s", [schema]).fetchone() is not None:
        return False
    # Another run, of another schema, may make the same one right now.
    with contextlib.suppress(errors.UniqueViolation, errors.DuplicateSchema):
        conn.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
    return True


def check_edited(
    backend: AtomicBackend, migrations: Sequence[MigrationFile], applied: dict[str, AppliedMigration]
) -> None:
    """Refuse files that were edited since they were applied; learn the checksums of plain yoyo's."""
    for migration in migrations:
        mark = applied.get(migration.migration_id)
        if mark is not None and mark.checksum is None:
            backend.record_checksum(migration)
    refuse_edited(migrations, applied)


def refuse_edited(migrations: Sequence[MigrationFile], applied: dict[str, AppliedMigration]) -> None:
    """Refuse files that were edited since they were applied, by their checksums."""
    for migration in migrations:
        mark = applied.get(migration.migration_id)
        if mark is not None and mark.checksum not in (None, migration.checksum()):
            raise MigrationError(
                f"{migration.path}: was edited after it was applied ({mark.applied_at:%Y-%m-%d %H:%M} UTC): "
                "restore it, and write a new migration for the change"
            )


def chosen(
    files: MigrationFolder, marks: Sequence[AppliedMigration], count: int | None, to: str | None
) -> list[MigrationFile]:
    """Return the applied migrations that a rollback means, latest first."""
    known = {migration.migration_id: migration for migration in files.migrations}
    latest = [mark.migration_id for mark in reversed(marks)]
    if to is not None:
        if to not in latest:
            raise MigrationError(f"{files.path}: {to} is not applied, so there is no way back to it")
        latest = latest[: latest.index(to)]
    elif count is not None:
        if count < 0:
            raise MigrationError(f"{files.path}: count is {count}: give a number, or None for all")
        latest = latest[:count]
    for name in latest:
        if name not in known:
            raise MigrationError(f"{files.path}: {name} is applied, but not in this folder: use its own")
    return [known[name] for name in latest]
