"""How far ahead partitions reach: ``sql/operations/reach.sql``."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pydantic import BaseModel

import sqlkit
from sqlkit import AsyncExecutor, Executor
from sqlkit.folders import SQL

__all__ = ["AsyncReachQueries", "Reach", "ReachQueries", "async_reach", "reach"]


class Reach(BaseModel):
    """A table that is partitioned by time, and the span of its partitions.

    ``ahead_seconds`` is what lies between now and their end, below zero where that is past, None where there are none
    or the last one has no end (``is_endless``). ``gaps`` are spans between two of them that belong to none,
    ``holds_now`` tells whether a row of now finds one. Where a partition ``is_locked`` its bounds are unknown.
    """

    schema_name: str
    table_name: str
    partitions: int
    reaches_from: datetime | None
    reaches_to: datetime | None
    ahead_seconds: float | None
    is_endless: bool
    holds_now: bool
    gaps: int
    has_default: bool
    is_locked: bool


class ReachQueries(Protocol):
    """How far partitions reach."""

    def list_reach(self, db: Executor) -> list[Reach]:
        """Return the tables that are partitioned by time, that which ends soonest first."""
        ...


class AsyncReachQueries(Protocol):
    """How far partitions reach, on asyncio."""

    async def list_reach(self, db: AsyncExecutor) -> list[Reach]:
        """Return the tables that are partitioned by time, that which ends soonest first."""
        ...


reach: ReachQueries = sqlkit.load(ReachQueries, SQL / "operations/reach.sql")
async_reach: AsyncReachQueries = sqlkit.load(AsyncReachQueries, SQL / "operations/reach.sql")
