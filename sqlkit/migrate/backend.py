"""yoyo's PostgreSQL backend, with a migration and its mark in one transaction."""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import random
import socket
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors, sql
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend  # type: ignore[import-untyped]
from yoyo.connections import parse_uri  # type: ignore[import-untyped]
from yoyo.migrations import Migration, default_migration_table  # type: ignore[import-untyped]

from sqlkit.errors import MigrationError
from sqlkit.migrate.files import MigrationFile, Script, ScriptStatement
from sqlkit.migrate.indexes import IndexNotes

__all__ = ["AppliedMigration", "AtomicBackend", "applied_migrations"]

logger = logging.getLogger("sqlkit.migrate")

CHECKSUM_TABLE = "_sqlkit_checksums"
ATTEMPTS = 10  # for runs in different schemas that make one thing, such as an extension, at the same time


@dataclass(frozen=True, slots=True)
class AppliedMigration:
    """A migration that is applied: when (UTC), and the SHA-256 of its file then (None: by plain yoyo)."""

    migration_id: str
    applied_at: datetime
    checksum: str | None


def applied_migrations(conn: psycopg.Connection[Any], schema: str) -> list[AppliedMigration]:
    """Return what is applied in a schema, in order; only reads, and needs no table to be there."""
    marks = sql.Identifier(schema, default_migration_table)
    checksums = sql.Identifier(schema, CHECKSUM_TABLE)
    if not exists(conn, marks):
        return []
    # A mark that plain yoyo has taken away and set again is another one: what we knew of the first is no
    # longer so.
    statement = sql.SQL(
        "select marks.migration_id, marks.applied_at_utc, sums.checksum from {marks} as marks "
        "left join {checksums} as sums "
        "on sums.migration_id = marks.migration_id and sums.applied_at_utc = marks.applied_at_utc "
        "order by marks.applied_at_utc, marks.migration_id"
        if exists(conn, checksums)
        else "select migration_id, applied_at_utc, null from {marks} order by applied_at_utc, migration_id"
    ).format(marks=marks, checksums=checksums)
    return [AppliedMigration(*row) for row in conn.execute(statement)]


def exists(conn: psycopg.Connection[Any], table: sql.Identifier) -> bool:
    """Say whether a table exists."""
    return conn.execute("select to_regclass(%s) is not null", [table.as_string(conn)]).fetchone() == (True,)


class AtomicBackend(PostgresqlPsycopgBackend):  # type: ignore[misc]
    """yoyo's tables and marks, kept by sqlkit: a migration and its mark are one transaction.

    ``schema_name`` is where yoyo's tables are, and ours with the checksums of the files.
    """

    def __init__(self, url: str, schema: str) -> None:
        self.schema_name = schema
        self.checksums = sql.Identifier(schema, CHECKSUM_TABLE)
        super().__init__(parse_uri(url), default_migration_table)
        self.connection.add_notice_handler(log_notice)

    def prepare(self) -> None:
        """Make yoyo's tables and ours, where they are not there yet. For the holder of the lock."""
        self._is_locked = True  # by the advisory lock; yoyo's row would outlive a run that is killed
        self.ensure_internal_schema_updated()
        if not exists(self.connection, self.checksums):
            self.connection.execute(
                sql.SQL(
                    "create table {} (migration_id text not null, checksum text not null, "
                    "applied_at_utc timestamp not null, constraint {} primary key (migration_id))"
                ).format(self.checksums, sql.Identifier(f"{CHECKSUM_TABLE}_pkey"))
            )

    def get_log_data(self, migration: Any = None, operation: str = "apply") -> dict[str, Any]:
        """Return yoyo's log entry; yoyo's own looks up this machine's full name, which may take seconds."""
        try:
            user = getpass.getuser()
        except (OSError, KeyError):  # a user id without a name, as some container has
            user = f"user {os.getuid()}"
        return {
            "id": str(uuid.uuid1()),
            "migration_id": migration.id if migration else None,
            "migration_hash": migration.hash if migration else None,
            "username": user,
            "hostname": socket.gethostname(),
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None),
            "operation": operation,
        }

    def applied(self) -> list[AppliedMigration]:
        """Return what is applied, in order."""
        return applied_migrations(self.connection, self.schema_name)

    def apply_one(self, migration: Migration, force: bool = False, mark: bool = True) -> None:  # noqa: ARG002
        """Apply a migration and mark it; MigrationError with the place of what failed."""
        self.run(MigrationFile(migration, Path(migration.path)), "apply", mark=mark)

    def rollback_one(self, migration: Migration, force: bool = False) -> None:  # noqa: ARG002
        """Undo a migration and take its mark away; MigrationError with the place of what failed."""
        self.run(MigrationFile(migration, Path(migration.path)), "rollback", mark=True)

    def run(self, migration: MigrationFile, direction: str, *, mark: bool) -> None:
        """Apply or roll back one migration, in its transaction or without any, as it says."""
        start = time.monotonic()
        with contextlib.suppress(psycopg.Error):
            # So that the server notices within a second when this process is killed (where its platform can).
            self.connection.execute("set client_connection_check_interval = '1s'")
        run = self.run_in_transaction if migration.transactional else self.run_in_autocommit
        run(migration, direction, mark)
        logger.info("%s: %s in %.0f ms", direction, migration.migration_id, (time.monotonic() - start) * 1000)

    def run_in_transaction(self, migration: MigrationFile, direction: str, mark: bool) -> None:
        """Run a migration and its mark in one transaction."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self.connection.transaction():
                    self._in_transaction = True
                    self.run_steps(migration, direction)
                    self.connection.execute("set constraints all immediate")
                    self.record(migration, direction, mark)
                return
            except psycopg.Error as error:
                if attempt == ATTEMPTS or not met_another_run(error):
                    raise failure(migration.path, error) from error
                time.sleep(random.uniform(0, 0.05 * attempt))  # noqa: S311  so that they do not meet again
            finally:
                self._in_transaction = False

    def run_in_autocommit(self, migration: MigrationFile, direction: str, mark: bool) -> None:
        """Run a migration that takes no transaction, such as CREATE INDEX CONCURRENTLY, then mark it.

        What was done before a failure stays, but for indexes: see ``IndexNotes``.
        """
        applies = direction == "apply"
        notes = IndexNotes(self.connection, self.schema_name)
        try:
            if applies:
                notes.begin(migration)
            self.run_steps(migration, direction)
            with self.connection.transaction():
                self.record(migration, direction, mark)
                if applies:
                    notes.forget(migration)
        except (psycopg.Error, MigrationError) as error:
            told = error if isinstance(error, MigrationError) else failure(migration.path, error)
            if applies and not self.connection.closed and (left := notes.drop_invalid(migration)):
                told = MigrationError(f"{told} (the INVALID index {', '.join(left)} that it left was dropped)")
            raise told from (error.__cause__ or error)

    def run_steps(self, migration: MigrationFile, direction: str) -> None:
        """Execute the statements of a migration, or let yoyo execute one that is written in Python."""
        if migration.is_sql:
            script = migration.script() if direction == "apply" else migration.rollback_script()
            for statement in script.statements:
                self.execute_statement(script, statement)
        else:
            migration.step.process_steps(self, direction)

    def execute_statement(self, script: Script, statement: ScriptStatement) -> None:
        """Execute one statement; MigrationError with the place that the server names."""
        try:
            self.connection.execute(statement.text)
        except psycopg.Error as error:
            if met_another_run(error):
                raise
            raise failure(script.place(statement.start + error_offset(error)), error) from error

    def record(self, migration: MigrationFile, direction: str, mark: bool) -> None:
        """Write a migration's mark, checksum and log entry, or take mark and checksum away."""
        # Whatever path or role the migration has set, the tables are found and written.
        self.connection.execute("reset session authorization")
        self.connection.execute("reset all")
        self.log_migration(migration.step, direction)
        if not mark:
            return
        if direction == "apply":
            self.mark_one(migration.step, log=False)
            self.record_checksum(migration)
        else:
            migration_id = sql.Literal(migration.migration_id)
            self.unmark_one(migration.step, log=False)
            self.connection.execute(
                sql.SQL("delete from {} where migration_id = {}").format(self.checksums, migration_id),
            )

    def mark_all(self, migrations: Sequence[MigrationFile]) -> None:
        """Mark migrations as applied without running them, all in one transaction, with their checksums."""
        try:
            with self.connection.transaction():
                self._in_transaction = True
                for migration in migrations:
                    self.mark_one(migration.step)
                    self.record_checksum(migration)
        finally:
            self._in_transaction = False

    def record_checksum(self, migration: MigrationFile) -> None:
        """Write the checksum of a migration that is marked."""
        self.connection.execute(
            sql.SQL(
                "insert into {checksums} (migration_id, checksum, applied_at_utc) "
                "select migration_id, {checksum}, applied_at_utc from {marks} where migration_id = {migration_id} "
                "on conflict (migration_id) do update "
                "set checksum = excluded.checksum, applied_at_utc = excluded.applied_at_utc"
            ).format(
                checksums=self.checksums,
                checksum=sql.Literal(migration.checksum()),
                marks=sql.Identifier(self.schema_name, self.migration_table),
                migration_id=sql.Literal(migration.migration_id),
            )
        )


def log_notice(notice: psycopg.errors.Diagnostic) -> None:
    """Log what a migration says by RAISE NOTICE, and the server's own remarks."""
    logger.info("%s", notice.message_primary)


def met_another_run(error: psycopg.Error) -> bool:
    """Say whether an error comes from two runs (in two schemas) that make one thing of the cluster at a time.

    Two of `create extension if not exists` violate a key of the catalogue, two grants on one schema meet in
    its row.
    """
    if isinstance(error, errors.UniqueViolation):
        return error.diag.schema_name == "pg_catalog"
    return isinstance(error, errors.InternalError_)


def error_offset(error: psycopg.Error) -> int:
    """Return the offset in its statement that the server names, else the statement's begin."""
    position = error.diag.statement_position
    return int(position) - 1 if position else 0


def failure(place: object, error: psycopg.Error) -> MigrationError:
    """Return the error for a migration that failed. Errors of data are named without the data."""
    state = error.sqlstate or ""
    if not state:
        reason = str(error).strip() or type(error).__name__
    elif state[:2] in ("22", "23"):
        named = [error.diag.table_name, error.diag.column_name, error.diag.constraint_name]
        where = " ".join(filter(None, named))
        reason = f"{type(error).__name__}{f' of {where}' if where else ''} ({state})"
    else:
        reason = f"{error.diag.message_primary} ({state})"
    return MigrationError(f"{place}: {reason}")
