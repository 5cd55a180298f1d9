"""Pools of PostgreSQL connections: Database for threads, AsyncDatabase for tasks."""

from sqlkit.database.asynchronous import AsyncDatabase, AsyncView
from sqlkit.database.options import Health, Isolation, PoolStatus
from sqlkit.database.sync import Database, View

__all__ = ["AsyncDatabase", "AsyncView", "Database", "Health", "Isolation", "PoolStatus", "View"]
