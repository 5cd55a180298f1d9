"""Pools of PostgreSQL connections: Database for threads, AsyncDatabase for tasks."""

from sqlkit.database.asynchronous import AsyncDatabase, AsyncView
from sqlkit.database.following import Following
from sqlkit.database.options import Health, Isolation, PoolStatus, ReplicaStatus
from sqlkit.database.sync import Database, View

__all__ = [
    "AsyncDatabase",
    "AsyncView",
    "Database",
    "Following",
    "Health",
    "Isolation",
    "PoolStatus",
    "ReplicaStatus",
    "View",
]
