"""Indexes that are built concurrently: outside of any transaction, so what is left of them has to be cleared away.

A CREATE INDEX CONCURRENTLY that fails leaves an INVALID index, on whose name the next try fails. One whose client is
killed may even finish, unmarked. So a note of the indexes that were there is kept from the first try of a migration
to its success; whatever its file names and the note does not is left from a try.
"""

from __future__ import annotations

import logging
import re
import time
from typing import Any

import psycopg
from psycopg import sql

from sqlkit.errors import MigrationError
from sqlkit.migrate.files import MigrationFile

__all__ = ["IndexNotes"]

logger = logging.getLogger("sqlkit.migrate")

TABLE = "_sqlkit_started"
BUILDING_SECONDS = 30.0
INDEXES = """
    select indexes.indexrelid::regclass::text, indexes.indisvalid
    from pg_index as indexes
    inner join pg_class as relations on relations.oid = indexes.indexrelid
    inner join pg_namespace as schemas on schemas.oid = relations.relnamespace
    where relations.relname = any(%s) and schemas.nspname = any(current_schemas(false))
    order by 1
"""
BUILDING = """
    select relations.relname
    from pg_stat_progress_create_index as progress
    inner join pg_class as relations on relations.oid = progress.index_relid
    where progress.datname = current_database() and relations.relname = any(%s)
"""


class IndexNotes:
    """The notes of a schema's history: which indexes were there before a migration was first tried."""

    def __init__(self, conn: psycopg.Connection[Any], schema: str) -> None:
        self.conn = conn
        self.table = sql.Identifier(schema, TABLE)

    def begin(self, migration: MigrationFile) -> None:
        """Note the indexes that are there, or clear away what an earlier try has left."""
        self.conn.execute(
            sql.SQL(
                "create table if not exists {} (migration_id text not null, indexes text[] not null, "
                "constraint {} primary key (migration_id))"
            ).format(self.table, sql.Identifier(f"{TABLE}_pkey"))
        )
        noted = self.noted(migration)
        if noted is None:
            present = [name for name, _ in self.found(migration)]
            self.conn.execute(
                sql.SQL("insert into {} (migration_id, indexes) values ({}, {}::text[])").format(
                    self.table, sql.Literal(migration.migration_id), sql.Literal(present)
                )
            )
        else:
            self.wait_for_builders(migration)
            self.drop([name for name, _ in self.found(migration) if name not in noted])
        self.drop([name for name, valid in self.found(migration) if not valid])

    def noted(self, migration: MigrationFile) -> list[str] | None:
        """Return the indexes that were there before the first try; None when this is the first."""
        row = self.conn.execute(
            sql.SQL("select indexes from {} where migration_id = {}").format(
                self.table, sql.Literal(migration.migration_id)
            )
        ).fetchone()
        return row[0] if row else None

    def forget(self, migration: MigrationFile) -> None:
        """Take the note away, with the mark of the migration."""
        self.conn.execute(
            sql.SQL("delete from {} where migration_id = {}").format(self.table, sql.Literal(migration.migration_id))
        )

    def drop_invalid(self, migration: MigrationFile) -> list[str]:
        """Drop the INVALID indexes that a failed try has left; return their names."""
        return self.drop([name for name, valid in self.found(migration) if not valid])

    def drop(self, names: list[str]) -> list[str]:
        """Drop indexes, given by names that are quoted already; return them."""
        for name in names:
            logger.warning("dropping the index %s, which a migration that did not finish has left", name)
            self.conn.execute(f"drop index concurrently if exists {name}".encode())
        return names

    def found(self, migration: MigrationFile) -> list[tuple[str, bool]]:
        """Return the indexes that a migration names: their quoted names, and whether they are valid."""
        return [(name, valid) for name, valid in self.conn.execute(INDEXES, [words(migration)])]

    def wait_for_builders(self, migration: MigrationFile) -> None:
        """Wait until nobody builds an index that a migration names.

        A run that was killed leaves its statement running in the server, for up to a second.
        """
        deadline = time.monotonic() + BUILDING_SECONDS
        while row := self.conn.execute(BUILDING, [words(migration)]).fetchone():
            if time.monotonic() > deadline:
                raise MigrationError(f"{migration.path}: another process builds the index {row[0]}: wait for it")
            time.sleep(0.1)


def words(migration: MigrationFile) -> list[str]:
    """Return all that could be the name of an index in a file."""
    text = migration.path.read_text(encoding="utf-8")
    quoted = [name.replace('""', '"') for name in re.findall(r'"((?:[^"]|"")+)"', text)]
    return sorted({*re.findall(r"\w+", text), *re.findall(r"\w+", text.lower()), *quoted})
