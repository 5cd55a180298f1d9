"""The server and its databases: ``sql/operations/server.sql``."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pydantic import BaseModel

import sqlkit
from sqlkit import AsyncExecutor, Executor
from sqlkit.folders import SQL

__all__ = ["AsyncServerQueries", "DatabaseState", "ServerQueries", "ServerState", "async_server", "server"]

#: The transaction ids that there are between the oldest row and the end, past which the server writes no more.
MOST_TRANSACTIONS = 2**31


class ServerState(BaseModel):
    """A server and one database of it, at one moment; counts are since ``counted_since``, None for since ever.

    ``hits`` and ``reads`` are blocks that were in the server's memory and that were not; ``hidden`` are the sessions of
    which this role may not see what they do. ``counts``, ``shows_activity`` and ``vacuums`` are settings of the server.
    """

    database_name: str | None
    user_name: str | None
    version: str | None
    version_number: int | None
    is_standby: bool | None
    moment: datetime
    started_at: datetime | None
    uptime_seconds: float | None
    reads_all: bool | None
    max_connections: int | None
    connections: int
    active: int
    idle: int
    idle_in_transaction: int
    hidden: int
    commits: int
    rollbacks: int
    hits: int
    reads: int
    hit_ratio: float | None
    rows_read: int
    rows_written: int
    deadlocks: int
    temporary_files: int
    temporary_bytes: int
    conflicts: int
    counted_since: datetime | None
    counts: bool | None
    shows_activity: bool | None
    vacuums: bool | None


class DatabaseState(BaseModel):
    """A database: its size, None where it is hidden, and the age of its oldest transaction id.

    At ``freezes_at`` the server vacuums tables by itself to make them younger; at two billion it writes no more.
    """

    database_name: str
    bytes: int | None
    transaction_age: int | None
    multixact_age: int | None
    freezes_at: int | None
    connections: int
    hit_ratio: float | None
    is_current: bool | None

    @property
    def used(self) -> float:
        """The part of the transaction ids, or of those of rows that several lock at once, that are used up."""
        return max(self.transaction_age or 0, self.multixact_age or 0) / MOST_TRANSACTIONS


class ServerQueries(Protocol):
    """What the server says of itself."""

    def read_server(self, db: Executor) -> ServerState:
        """Return the server's state."""
        ...

    def list_databases(self, db: Executor) -> list[DatabaseState]:
        """Return the databases, that with the oldest transaction id first."""
        ...


class AsyncServerQueries(Protocol):
    """What the server says of itself, on asyncio."""

    async def read_server(self, db: AsyncExecutor) -> ServerState:
        """Return the server's state."""
        ...

    async def list_databases(self, db: AsyncExecutor) -> list[DatabaseState]:
        """Return the databases, that with the oldest transaction id first."""
        ...


server: ServerQueries = sqlkit.load(ServerQueries, SQL / "operations/server.sql")
async_server: AsyncServerQueries = sqlkit.load(AsyncServerQueries, SQL / "operations/server.sql")
