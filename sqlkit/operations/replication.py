"""Standbys, and how far they are behind: ``sql/operations/replication.sql``."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel

import sqlkit
from sqlkit import AsyncExecutor, Executor
from sqlkit.folders import SQL

__all__ = [
    "AsyncReplicationQueries",
    "Replica",
    "ReplicationQueries",
    "Slot",
    "Standby",
    "async_replication",
    "replication",
]


class Replica(BaseModel):
    """A standby that is connected, and how far it is behind: in bytes of write-ahead log, and in seconds.

    The seconds are None where it has nothing to do, or all is hidden.
    """

    pid: int | None
    user_name: str | None
    application_name: str | None
    state: str | None
    synchronous: str | None
    client_address: str | None
    unsent_bytes: int | None
    unflushed_bytes: int | None
    unreplayed_bytes: int | None
    write_lag_seconds: float | None
    flush_lag_seconds: float | None
    replay_lag_seconds: float | None
    is_hidden: bool


class Slot(BaseModel):
    """A replication slot, and how much write-ahead log it keeps: one that is not active keeps ever more."""

    name: str | None
    kind: str | None
    database_name: str | None
    state: str | None
    is_active: bool
    kept_bytes: int | None


class Standby(BaseModel):
    """How far this server, a standby, is behind what it received; ``is_receiving`` while it is connected."""

    is_paused: bool | None
    received: str | None
    replayed: str | None
    unreplayed_bytes: int | None
    lag_seconds: float | None
    is_receiving: bool


class ReplicationQueries(Protocol):
    """What the server says of its standbys."""

    def list_replicas(self, db: Executor) -> list[Replica]:
        """Return the standbys that are connected."""
        ...

    def list_slots(self, db: Executor) -> list[Slot]:
        """Return the replication slots."""
        ...

    def find_standby(self, db: Executor) -> Standby | None:
        """Return how far this server is behind, or None where it is a primary."""
        ...


class AsyncReplicationQueries(Protocol):
    """What the server says of its standbys, on asyncio."""

    async def list_replicas(self, db: AsyncExecutor) -> list[Replica]:
        """Return the standbys that are connected."""
        ...

    async def list_slots(self, db: AsyncExecutor) -> list[Slot]:
        """Return the replication slots."""
        ...

    async def find_standby(self, db: AsyncExecutor) -> Standby | None:
        """Return how far this server is behind, or None where it is a primary."""
        ...


replication: ReplicationQueries = sqlkit.load(ReplicationQueries, SQL / "operations/replication.sql")
async_replication: AsyncReplicationQueries = sqlkit.load(AsyncReplicationQueries, SQL / "operations/replication.sql")
