"""What soleil's database is doing: slow statements and busy connections.

::

    for slow in await monitoring.slow_queries(db, slower_than=timedelta(milliseconds=100)):
        print(slow.mean_time, slow.calls, slow.query)

The texts of statements are for those who run the database: no route of ``sqlkit.apps.soleil.http`` shows them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from pydantic import BaseModel

import sqlkit
from sqlkit import AsyncExecutor
from sqlkit.apps import SQL
from sqlkit.errors import ConfigurationError

__all__ = ["ActiveConnection", "MonitoringQueries", "SlowQuery", "Statistics", "active_connections", "slow_queries"]


class Statistics(BaseModel):
    """Whether pg_stat_statements is there to be asked, and whether the server loads it, so that it counts."""

    is_installed: bool
    is_loaded: bool


class SlowQuery(BaseModel):
    """A statement with ``$1`` for its values, how often it ran, its rows, and its times in milliseconds."""

    query: str | None
    calls: int | None
    rows: int | None
    total_time: float | None
    mean_time: float | None
    max_time: float | None


class ActiveConnection(BaseModel):
    """A connection that is at something, since when, and what it waits for; None is not known, or hidden.

    ``client_address`` is None for a socket of the same machine.
    """

    pid: int | None
    user_name: str | None
    application_name: str | None
    state: str | None
    wait_event_type: str | None
    wait_event: str | None
    xact_start: datetime | None
    query_start: datetime | None
    state_change: datetime | None
    query: str | None
    client_address: str | None


class MonitoringQueries(Protocol):
    """What the server tells of itself: ``sql/soleil/monitoring.sql``."""

    async def find_statistics(self, db: AsyncExecutor) -> Statistics:
        """Tell whether pg_stat_statements can be asked."""
        ...

    async def list_slow_queries(self, db: AsyncExecutor, *, slower_than: float, limit: int) -> list[SlowQuery]:
        """Return the statements with a mean time above so many milliseconds, the slowest first."""
        ...

    async def list_active_connections(self, db: AsyncExecutor) -> list[ActiveConnection]:
        """Return the connections that are not idle, the longest at it first, without this one."""
        ...


queries: MonitoringQueries = sqlkit.load(MonitoringQueries, SQL / "soleil/monitoring.sql")

LOAD = "set shared_preload_libraries = 'pg_stat_statements' and restart the server"
CREATE = "create extension pg_stat_statements in a schema of the search path"
TENTH = timedelta(milliseconds=100)


async def slow_queries(db: AsyncExecutor, *, slower_than: timedelta = TENTH, limit: int = 20) -> list[SlowQuery]:
    """Return the statements of this database that took longer than this on average, the slowest first.

    ConfigurationError says what is missing where the server does not load pg_stat_statements, or has not created it.
    """
    found = await queries.find_statistics(db)
    missing = [step for step, done in ((LOAD, found.is_loaded), (CREATE, found.is_installed)) if not done]
    if missing:
        raise ConfigurationError(f"pg_stat_statements: statements are not counted: {', then '.join(missing)}")
    return await queries.list_slow_queries(db, slower_than=slower_than / timedelta(milliseconds=1), limit=limit)


async def active_connections(db: AsyncExecutor) -> list[ActiveConnection]:
    """Return the connections to this database that are not idle, the longest at it first, without the asking one."""
    return await queries.list_active_connections(db)
