"""Indexes that serve, that serve nobody, and that are missing: ``sql/operations/indexes.sql``."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import BaseModel

import sqlkit
from sqlkit import AsyncExecutor, Executor
from sqlkit.folders import SQL
from sqlkit.operations.names import written

__all__ = [
    "AsyncIndexQueries",
    "Duplicate",
    "Index",
    "IndexQueries",
    "UnindexedKey",
    "async_indexes",
    "indexes",
]


class Index(BaseModel):
    """An index with those of the partitions: its size, and its use since the statistics were reset.

    It ``is_unused`` where no query scanned it and it keeps no rows unique. One that is not valid is left of a CREATE
    INDEX CONCURRENTLY that failed: it costs each write and serves no query; or it ``is_building`` still.
    """

    schema_name: str
    table_name: str
    index_name: str
    method: str
    definition: str | None
    bytes: int
    bloat_bytes: int | None
    scans: int
    rows_read: int
    is_primary: bool
    is_unique: bool
    is_partitioned: bool
    is_valid: bool
    is_building: bool
    is_unused: bool

    @property
    def remedy(self) -> str:
        """The statement that drops it."""
        return _drop(self.schema_name, self.index_name, self.is_partitioned)


class Duplicate(BaseModel):
    """An index that another one makes superfluous: an ``equal`` one, or one that begins with the same columns."""

    schema_name: str
    table_name: str
    index_name: str
    kept_name: str
    kind: Literal["equal", "prefix"]
    definition: str | None
    kept_definition: str | None
    is_constraint: bool
    is_partitioned: bool

    @property
    def remedy(self) -> str:
        """The statement that drops it."""
        if not self.is_constraint:
            return _drop(self.schema_name, self.index_name, self.is_partitioned)
        table, name = written(self.schema_name, self.table_name), written(self.index_name)
        return f"alter table {table} drop constraint {name}"


class UnindexedKey(BaseModel):
    """A foreign key whose columns no index begins with; ``changes_on_delete`` where a delete reaches its rows."""

    schema_name: str
    table_name: str
    constraint_name: str
    parent: str | None
    columns: list[str]
    is_partitioned: bool
    rows: int
    changes_on_delete: bool

    @property
    def remedy(self) -> str:
        """The statement that makes the index; a partitioned table takes none concurrently."""
        how = "" if self.is_partitioned else "concurrently "
        columns = ", ".join(map(written, self.columns))
        name = written("_".join((self.table_name, *self.columns, "idx")))
        return f"create index {how}{name} on {written(self.schema_name, self.table_name)} ({columns})"


def _drop(schema: str, index: str, is_partitioned: bool) -> str:
    how = "" if is_partitioned else "concurrently "  # which PostgreSQL refuses there
    return f"drop index {how}{written(schema, index)}"


class IndexQueries(Protocol):
    """What indexes there are."""

    def list_indexes(self, db: Executor, *, limit: int = 1000) -> list[Index]:
        """Return the largest indexes."""
        ...

    def list_duplicates(self, db: Executor) -> list[Duplicate]:
        """Return the indexes that another one makes superfluous."""
        ...

    def list_locked(self, db: Executor) -> list[str]:
        """Return the tables whose indexes cannot be read."""
        ...

    def list_unindexed_keys(self, db: Executor) -> list[UnindexedKey]:
        """Return the foreign keys without an index."""
        ...


class AsyncIndexQueries(Protocol):
    """What indexes there are, on asyncio."""

    async def list_indexes(self, db: AsyncExecutor, *, limit: int = 1000) -> list[Index]:
        """Return the largest indexes."""
        ...

    async def list_duplicates(self, db: AsyncExecutor) -> list[Duplicate]:
        """Return the indexes that another one makes superfluous."""
        ...

    async def list_locked(self, db: AsyncExecutor) -> list[str]:
        """Return the tables whose indexes cannot be read."""
        ...

    async def list_unindexed_keys(self, db: AsyncExecutor) -> list[UnindexedKey]:
        """Return the foreign keys without an index."""
        ...


indexes: IndexQueries = sqlkit.load(IndexQueries, SQL / "operations/indexes.sql")
async_indexes: AsyncIndexQueries = sqlkit.load(AsyncIndexQueries, SQL / "operations/indexes.sql")
