"""The statements of ``sql/operations/partitions.sql``, in both colours."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

import sqlkit
from sqlkit import AsyncExecutor, Executor
from sqlkit.folders import SQL

__all__ = ["Attached", "Clocks", "FoundTable", "async_partitions", "partitions"]


class FoundTable(NamedTuple):
    """A table, whether row-level security protects it, and whether one timestamptz column partitions it by range."""

    table_id: int
    is_protected: bool
    schema_name: str
    owner: str
    is_owner: bool
    tablespace: str | None
    is_by_time: bool
    default_partition: str | None


class Attached(NamedTuple):
    """A partition of a table, its bounds as PostgreSQL writes them."""

    name: str
    is_pending: bool
    bounds: str | None
    is_marked: bool


class Clocks(NamedTuple):
    """The time of a transaction, and of the clock."""

    began: datetime
    clock: datetime


class PartitionQueries(Protocol):
    """What the catalogue says of partitions."""

    def find_table(self, db: Executor, *, table_name: str) -> FoundTable | None:
        """Return a table of the search path."""
        ...

    def list_attached(self, db: Executor, *, table_id: int, mark: str) -> list[Attached]:
        """Return a table's partitions, and those that are being detached."""
        ...

    def list_detached(self, db: Executor, *, schema_name: str, mark: str) -> list[str]:
        """Return what bears a table's mark and is no partition any more."""
        ...

    def has_relation(self, db: Executor, *, schema_name: str, name: str) -> bool:
        """Tell whether a name is taken."""
        ...

    def try_lock(self, db: Executor, *, key: int) -> bool:
        """Take the lock until the transaction ends, if it is free."""
        ...

    def try_session_lock(self, db: Executor, *, key: int) -> bool:
        """Take the lock, if it is free."""
        ...

    def unlock_session(self, db: Executor, *, key: int) -> bool:
        """Give the lock back."""
        ...

    def read_clocks(self, db: Executor) -> Clocks:
        """Return the server's times."""
        ...


class AsyncPartitionQueries(Protocol):
    """What the catalogue says of partitions, on asyncio."""

    async def find_table(self, db: AsyncExecutor, *, table_name: str) -> FoundTable | None:
        """Return a table of the search path."""
        ...

    async def list_attached(self, db: AsyncExecutor, *, table_id: int, mark: str) -> list[Attached]:
        """Return a table's partitions, and those that are being detached."""
        ...

    async def list_detached(self, db: AsyncExecutor, *, schema_name: str, mark: str) -> list[str]:
        """Return what bears a table's mark and is no partition any more."""
        ...

    async def has_relation(self, db: AsyncExecutor, *, schema_name: str, name: str) -> bool:
        """Tell whether a name is taken."""
        ...

    async def try_lock(self, db: AsyncExecutor, *, key: int) -> bool:
        """Take the lock until the transaction ends, if it is free."""
        ...

    async def try_session_lock(self, db: AsyncExecutor, *, key: int) -> bool:
        """Take the lock, if it is free."""
        ...

    async def unlock_session(self, db: AsyncExecutor, *, key: int) -> bool:
        """Give the lock back."""
        ...

    async def read_clocks(self, db: AsyncExecutor) -> Clocks:
        """Return the server's times."""
        ...


PATH = SQL / "operations/partitions.sql"
partitions: PartitionQueries = sqlkit.load(PartitionQueries, PATH)
async_partitions: AsyncPartitionQueries = sqlkit.load(AsyncPartitionQueries, PATH)
