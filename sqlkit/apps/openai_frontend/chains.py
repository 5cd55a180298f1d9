"""The modules' migrations: chains of their own in one schema, each applied whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection, sql

from sqlkit.apps import MIGRATIONS
from sqlkit.operations import Partitioned

__all__ = ["CHAINS", "LOGS", "USAGE", "Chain", "migrate_chain", "rollback_chain"]

#: The tables that have a partition for each month: half a year of logs is kept, and two years of usage.
LOGS = Partitioned("logs", by="month", ahead=3, keep=6)
USAGE = Partitioned("usage", by="month", ahead=3, keep=24)

LOCK_SECONDS = 60.0  # to wait for another process that migrates


@dataclass(frozen=True, slots=True)
class Chain:
    """The migrations of one module, which need those of none that stands behind it; ``tables`` are what they make."""

    name: str
    folder: Path
    tables: tuple[str, ...]
    partitioned: tuple[Partitioned, ...] = ()


FOLDER = MIGRATIONS / "openai_frontend"

#: In this order, for API keys belong to users.
CHAINS = (
    Chain("users", FOLDER / "users", ("users", "refresh_tokens")),
    Chain("keys", FOLDER / "keys", ("api_keys",)),
    Chain("logs", FOLDER / "logs", ("logs",), (LOGS,)),
    Chain("usage", FOLDER / "usage", ("usage",), (USAGE,)),
)


def migrate_chain(dsn: str, chain: Chain, *, schema: str | None, timeout: float = LOCK_SECONDS) -> tuple[str, ...]:
    """Apply what is missing of a chain in one transaction; return which of its tables are new.

    Several processes may do this at once: one waits for the other. Raises MigrationError, and then nothing of the chain
    has changed. A migration without a transaction (an index made concurrently) stands alone, as it must.
    """
    from sqlkit.migrate.files import read_folder
    from sqlkit.migrate.run import check_edited, opened

    files = read_folder(chain.folder).migrations
    with opened(dsn, schema, timeout) as (lock, backend):
        applied = {mark.migration_id: mark for mark in backend.applied()}
        check_edited(backend, files, applied)
        todo = [migration for migration in files if migration.migration_id not in applied]
        for migration in todo:
            migration.script()
        before = _standing(backend.connection, chain)
        with _whole(backend.connection, all(migration.transactional for migration in todo)):
            for migration in todo:
                lock.execute("select 1")  # the lock is ours as long as its connection is
                backend.apply_one(migration.step)
        return tuple(table for table in _standing(backend.connection, chain) if table not in before)


def rollback_chain(dsn: str, chain: Chain, *, schema: str | None, count: int | None = 1) -> list[str]:
    """Roll back the last ``count`` migrations of a chain (None: all), whatever other chains did since; return them."""
    from sqlkit.migrate.files import read_folder
    from sqlkit.migrate.run import check_edited, opened

    files = read_folder(chain.folder).migrations
    with opened(dsn, schema, LOCK_SECONDS) as (lock, backend):
        marks = {mark.migration_id: mark for mark in backend.applied()}
        check_edited(backend, files, marks)
        applied = [migration for migration in reversed(files) if migration.migration_id in marks]
        todo = applied if count is None else applied[:count]
        for migration in todo:
            migration.rollback_script()
        with _whole(backend.connection, all(migration.transactional for migration in todo)):
            for migration in todo:
                lock.execute("select 1")
                backend.rollback_one(migration.step)
    return [migration.migration_id for migration in todo]


@contextlib.contextmanager
def _whole(conn: Connection[Any], transactional: bool) -> Iterator[None]:
    """Make one transaction of several migrations, where all of them take one."""
    with conn.transaction() if transactional else contextlib.nullcontext():
        yield


def _standing(conn: Connection[Any], chain: Chain) -> list[str]:
    """Return which tables of a chain are there, in the schema that they are made in."""
    there = sql.SQL(
        "select relname from pg_class where relnamespace = current_schema()::regnamespace and relname = any(%s)"
    )
    found = {name for (name,) in conn.execute(there, [list(chain.tables)])}
    return [table for table in chain.tables if table in found]
