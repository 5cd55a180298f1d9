"""The statements of ``sql/operations/backups.sql``: what a database is made of, and what a restore finds."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

import sqlkit
from sqlkit import Executor
from sqlkit.folders import SQL

__all__ = ["Blocker", "FoundDatabase", "NamedRole", "StoredTable", "UsedExtension", "catalogue"]


class FoundDatabase(NamedTuple):
    """A database, what it was made with, and the time of the transaction that looked."""

    name: str
    server_version: int
    taken_at: datetime
    encoding: str
    collation: str
    character_type: str
    provider: str | None
    locale: str | None


class StoredTable(NamedTuple):
    """A table with rows of its own, and an estimate of its bytes."""

    schema_name: str
    table_name: str
    size: int | None


class Blocker(NamedTuple):
    """Who holds a relation so that nobody may read it, or waits to, and for how long its transaction has been open."""

    schema_name: str
    table_name: str
    pid: int | None
    application_name: str | None
    holds: bool | None
    seconds: float | None
    in_circle: bool = False  # who is in the way waits for us

    def __str__(self) -> str:
        who = f"process {self.pid}" + (f" ({self.application_name})" if self.application_name else "")
        since = "" if self.seconds is None else f", in a transaction of {self.seconds:.0f} s"
        return f"{self.schema_name}.{self.table_name} is {'held' if self.holds else 'wanted'} by {who}{since}"


class UsedExtension(NamedTuple):
    """An extension, and whether anything refers to what it brought."""

    name: str
    version: str
    schema_name: str
    is_used: bool


class NamedRole(NamedTuple):
    """A role, whether it owns something, and whether rights or policies name it."""

    name: str
    owns: bool | None
    is_granted: bool | None


class BackupQueries(Protocol):
    """What the catalogue says to those who take a backup or restore it."""

    def lift_timeouts(self, db: Executor) -> list[str | None]:
        """Let statements and transactions of this connection take as long as they take."""
        ...

    def see_all_rows(self, db: Executor) -> str | None:
        """Make a table whose rows this role sees in part an error."""
        ...

    def export_snapshot(self, db: Executor) -> str | None:
        """Return the name of this transaction's snapshot."""
        ...

    def read_database(self, db: Executor) -> FoundDatabase:
        """Return the database that this is."""
        ...

    def list_settings(self, db: Executor) -> list[str | None]:
        """Return what ``alter database ... set`` has said, each as name=value."""
        ...

    def list_stored_tables(self, db: Executor, *, schemas: list[str] | None = None) -> list[StoredTable]:
        """Return the tables that have rows of their own."""
        ...

    def bound_locks(self, db: Executor, *, milliseconds: int) -> str | None:
        """Let this connection give up on a lock after a while."""
        ...

    def list_blockers(self, db: Executor, *, schemas: list[str] | None = None) -> list[Blocker]:
        """Return who keeps others from reading tables."""
        ...

    def list_waits(self, db: Executor, *, application: str) -> list[Blocker]:
        """Return whom an application's connections wait for, and at what."""
        ...

    def forget_activity(self, db: Executor) -> int:
        """Let a transaction see who is at what now."""
        ...

    def has_lost(self, db: Executor) -> bool:
        """Tell whether something that a transaction's snapshot has is gone by now."""
        ...

    def list_schemas(self, db: Executor) -> list[str]:
        """Return the schemas that are not the server's own."""
        ...

    def list_used_extensions(self, db: Executor, *, schemas: list[str] | None = None) -> list[UsedExtension]:
        """Return the extensions, and whether the schemas use them."""
        ...

    def list_named_roles(self, db: Executor, *, schemas: list[str] | None = None) -> list[NamedRole]:
        """Return the roles that are named in the schemas."""
        ...

    def list_missing_roles(self, db: Executor, *, names: list[str]) -> list[str]:
        """Return which of some roles the cluster has not."""
        ...

    def list_missing_extensions(self, db: Executor, *, names: list[str]) -> list[str]:
        """Return which of some extensions the server has not."""
        ...

    def is_superuser(self, db: Executor) -> bool:
        """Tell whether this role may do everything."""
        ...

    def has_database(self, db: Executor, *, name: str) -> bool:
        """Tell whether the cluster has a database."""
        ...

    def is_empty(self, db: Executor) -> bool:
        """Tell whether nobody has made anything in this database."""
        ...

    def list_unfinished(self, db: Executor, *, mark: str) -> list[str]:
        """Return the databases that bear a restore's name, and no mark but its own, and that nobody is in."""
        ...

    def try_restore_lock(self, db: Executor, *, key: int) -> bool:
        """Take the lock of a restore until this connection ends, if it is free."""
        ...


catalogue: BackupQueries = sqlkit.load(BackupQueries, SQL / "operations/backups.sql")
