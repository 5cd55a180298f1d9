"""yoyo's PostgreSQL backend, with a migration and its mark in one transaction."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors, sql
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend  # type: ignore[import-untyped]
from yoyo.connections import parse_uri  # type: ignore[import-untyped]
from yoyo.migrations import Migration, default_migration_table  # type: ignore[import-untyped]

from sqlkit.errors import MigrationError
from sqlkit.migrate.files import MigrationFile, Script, ScriptStatement

__all__ = ["AppliedMigration", "AtomicBackend", "applied_migrations"]

logger = logging.getLogger("sqlkit.migrate")

CHECKSUM_TABLE = "_sqlkit_checksums"
ATTEMPTS = 3
BUILDING_SECONDS = 30.0
INDEXES = """
    select indexes.indexrelid::regclass::text, exists (
        select from pg_stat_progress_create_index as progress
        where progress.index_relid = indexes.indexrelid
    )
    from pg_index as indexes
    inner join pg_class as relations on relations.oid = indexes.indexrelid
    where
        not indexes.indisvalid
        and relations.relkind = 'i'
        and relations.relname = any(%s)
        and relations.relnamespace::regnamespace::text = any(current_schemas(false))
"""


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
        """Return yoyo's log entry, without the look-up of this machine's full name, which may take long."""
        found = socket.getfqdn
        socket.getfqdn = socket.gethostname  # type: ignore[assignment]
        try:
            return dict(super().get_log_data(migration, operation))
        finally:
            socket.getfqdn = found

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
            finally:
                self._in_transaction = False

    def run_in_autocommit(self, migration: MigrationFile, direction: str, mark: bool) -> None:
        """Run a migration that takes no transaction, such as CREATE INDEX CONCURRENTLY, then mark it.

        What was done before a failure stays, but for an index that is INVALID: it is dropped, now or by the
        next run.
        """
        names = sorted(set(re.findall(r"\w+", migration.path.read_text(encoding="utf-8"))))
        if direction == "apply":
            self.drop_invalid_indexes(names)
        try:
            self.run_steps(migration, direction)
        except MigrationError as error:
            dropped = (
                self.drop_invalid_indexes(names)
                if direction == "apply" and not self.connection.closed
                else []
            )
            if dropped:
                raise MigrationError(
                    f"{error} (the INVALID index {', '.join(dropped)} that it left was dropped)"
                ) from error
            raise
        try:
            with self.connection.transaction():
                self.record(migration, direction, mark)
        except psycopg.Error as error:
            raise failure(migration.path, error) from error

    def drop_invalid_indexes(self, names: Sequence[str]) -> list[str]:
        """Drop those of the named indexes that are INVALID, once none of them is being built; return them.

        A run that was killed leaves its statement running in the server for up to a second.
        """
        deadline = time.monotonic() + BUILDING_SECONDS
        while True:
            found = self.connection.execute(INDEXES, [names]).fetchall()
            building = [name for name, is_building in found if is_building]
            if not building:
                break
            if time.monotonic() > deadline:
                raise MigrationError(
                    f"{self.schema_name}: another process builds the index {building[0]}: wait for it"
                )
            time.sleep(0.1)
        for name, _ in found:
            logger.warning("%s: dropping the INVALID index %s", self.schema_name, name)
            self.connection.execute(f"drop index concurrently if exists {name}")
        return [str(name) for name, _ in found]

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
            self.unmark_one(migration.step, log=False)
            self.connection.execute(
                sql.SQL("delete from {} where migration_id = %s").format(self.checksums),
                [migration.migration_id],
            )

    def record_checksum(self, migration: MigrationFile) -> None:
        """Write the checksum of a migration that is marked."""
        self.connection.execute(
            sql.SQL(
                "insert into {checksums} (migration_id, checksum, applied_at_utc) "
                "select migration_id, %s, applied_at_utc from {marks} where migration_id = %s "
                "on conflict (migration_id) do update "
                "set checksum = excluded.checksum, applied_at_utc = excluded.applied_at_utc"
            ).format(checksums=self.checksums, marks=sql.Identifier(self.schema_name, self.migration_table)),
            [migration.checksum(), migration.migration_id],
        )


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
