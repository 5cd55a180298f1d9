"""Where the time goes, by statement: ``sql/operations/statements.sql`` on pg_stat_statements."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import BaseModel

import sqlkit
from sqlkit import AsyncExecutor, Executor
from sqlkit.folders import SQL

__all__ = [
    "AsyncSlowQueries",
    "SlowBy",
    "SlowQueries",
    "SlowStatement",
    "Statistics",
    "async_slow",
    "slow",
]

#: What makes a statement one to look at: its time altogether, its time on average, how often it ran.
SlowBy = Literal["total", "mean", "calls"]


class Statistics(BaseModel):
    """Where pg_stat_statements is (None for nowhere), whether the server loads it, whether it is told not to count."""

    schema_name: str | None
    is_loaded: bool
    is_off: bool


class SlowStatement(BaseModel):
    """A statement with ``$1`` for its values, how often it ran, and its times in milliseconds.

    ``name`` is a hint from its comment: statements that differ in nothing but comments are one, under the name of the
    first. ``share`` is its part of the time of all statements of the database, ``hit_ratio`` that of the blocks that
    were in the server's memory. ``query`` ends after 4,000 characters. Where ``is_hidden``, it stands for all
    statements that this role may not see.
    """

    query_id: int | None
    name: str | None
    query: str
    is_hidden: bool
    calls: int
    rows: int
    total_ms: float
    mean_ms: float
    max_ms: float
    share: float
    hit_ratio: float | None
    temporary_blocks: int
    wal_bytes: int


class SlowQueries(Protocol):
    """What pg_stat_statements counts."""

    def find_statistics(self, db: Executor) -> Statistics:
        """Return where pg_stat_statements is."""
        ...

    def list_statements(self, db: Executor, *, order: SlowBy = "total", limit: int = 20) -> list[SlowStatement]:
        """Return the statements of this database that took most time; its schema is in the search path."""
        ...


class AsyncSlowQueries(Protocol):
    """What pg_stat_statements counts, on asyncio."""

    async def find_statistics(self, db: AsyncExecutor) -> Statistics:
        """Return where pg_stat_statements is."""
        ...

    async def list_statements(
        self, db: AsyncExecutor, *, order: SlowBy = "total", limit: int = 20
    ) -> list[SlowStatement]:
        """Return the statements of this database that took most time; its schema is in the search path."""
        ...


slow: SlowQueries = sqlkit.load(SlowQueries, SQL / "operations/statements.sql")
async_slow: AsyncSlowQueries = sqlkit.load(AsyncSlowQueries, SQL / "operations/statements.sql")
