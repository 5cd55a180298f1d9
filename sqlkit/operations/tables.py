"""What tables hold and how they are read: ``sql/operations/tables.sql``."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pydantic import BaseModel

import sqlkit
from sqlkit import AsyncExecutor, Executor
from sqlkit.folders import SQL
from sqlkit.operations.units import counted

__all__ = ["AsyncTableQueries", "Table", "TableQueries", "async_tables", "tables"]


class Table(BaseModel):
    """A table with its partitions: its size, its rows, and what was done with it since the statistics were reset.

    ``table_bytes``, ``toast_bytes`` (long values, kept apart) and ``index_bytes`` make ``total_bytes``. ``bloat_bytes``
    estimates what its live rows would not need of it; None where it was never analyzed or may not be read. ``seq_rows``
    are the rows that were read from end to end by ``seq_scans``. Where ``is_locked``, sizes are those of the last
    vacuum.
    """

    schema_name: str
    table_name: str
    kind: str
    partitions: int
    live_rows: int
    dead_rows: int
    changed_rows: int
    table_bytes: int
    toast_bytes: int
    index_bytes: int
    total_bytes: int
    bloat_bytes: int | None
    seq_scans: int
    seq_rows: int
    index_scans: int
    written_rows: int
    hit_ratio: float | None
    vacuumed_at: datetime | None
    analyzed_at: datetime | None
    transaction_age: int | None
    is_readable: bool
    is_locked: bool

    @property
    def title(self) -> str:
        """Its name for people: with the schema, and how many partitions it has."""
        name = f"{self.schema_name}.{self.table_name}"
        return f"{name} ({counted(self.partitions, 'partition')})" if self.partitions else name

    @property
    def dead_share(self) -> float:
        """The part of its rows that are dead: deleted or replaced, and not vacuumed yet."""
        return self.dead_rows / max(1, self.live_rows + self.dead_rows)

    @property
    def bloat_share(self) -> float | None:
        """The part of the table, without its indexes, that its live rows would not need."""
        return None if self.bloat_bytes is None else self.bloat_bytes / max(1, self.table_bytes)


class TableQueries(Protocol):
    """What tables hold and how they are read."""

    def list_tables(self, db: Executor, *, limit: int = 1000) -> list[Table]:
        """Return the largest tables."""
        ...


class AsyncTableQueries(Protocol):
    """What tables hold and how they are read, on asyncio."""

    async def list_tables(self, db: AsyncExecutor, *, limit: int = 1000) -> list[Table]:
        """Return the largest tables."""
        ...


tables: TableQueries = sqlkit.load(TableQueries, SQL / "operations/tables.sql")
async_tables: AsyncTableQueries = sqlkit.load(AsyncTableQueries, SQL / "operations/tables.sql")
