"""The statements of ``sql/analysis`` on the log, the cache, figures and backups: a Protocol for each file."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

from pydantic import JsonValue

import sqlkit
from sqlkit import Affected, Executor, Rows
from sqlkit.apps import SQL
from sqlkit.apps.analysis.models import (
    AfterEntry,
    AfterLog,
    CacheEntry,
    DatabaseStats,
    DayCount,
    EntryChanges,
    LogChanges,
    LogCount,
    LogLevel,
    NewEntry,
    NewLog,
    PastLog,
    StatusCount,
    SystemLog,
)
from sqlkit.caching.statements import EntryQueries

__all__ = [
    "BackupQueries",
    "CacheQueries",
    "LogQueries",
    "OldAnalyses",
    "UpkeepQueries",
    "backup",
    "cache",
    "cache_tier",
    "logs",
    "upkeep",
]


class LogQueries(Protocol):
    """What services have to tell: ``sql/analysis/logs.sql``."""

    def create_log(self, db: Executor, *, log: NewLog) -> SystemLog:
        """Write a line; see ``log_system_event``, which makes the partition of its day."""
        ...

    def import_logs(self, db: Executor, logs: Iterable[PastLog]) -> Affected:
        """Copy lines in, each with its time, all or nothing; return how many. See ``import_log_lines``."""
        ...

    def get_log(self, db: Executor, *, log_id: int, created_at: datetime) -> SystemLog | None:
        """Return one line, by its id and time."""
        ...

    def update_log(self, db: Executor, *, log_id: int, created_at: datetime, changes: LogChanges) -> SystemLog | None:
        """Write the changes that are given; return the line as it is now, None if there is none."""
        ...

    def delete_log(self, db: Executor, *, log_id: int, created_at: datetime) -> Affected:
        """Delete a line; return 1, or 0 if there is none."""
        ...

    def list_logs(
        self,
        db: Executor,
        *,
        service: str | None = None,
        levels: list[LogLevel] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        details: dict[str, JsonValue] | None = None,
        after: AfterLog | None = None,
        order: Literal["newest", "oldest"] = "newest",
        skip: int = 0,
        limit: int = 50,
    ) -> list[SystemLog]:
        """Return a page of lines: behind ``after``, the last of the page before, or behind ``skip`` others."""
        ...

    def count_logs(self, db: Executor, *, since: datetime, until: datetime) -> list[LogCount]:
        """Return how many lines there are of each service and level between two times."""
        ...

    def count_logs_by_day(self, db: Executor, *, service: str, since: datetime, until: datetime) -> list[DayCount]:
        """Return how many lines each day has of a service, between two times."""
        ...


class CacheQueries(Protocol):
    """Values that can be had again: ``sql/analysis/cache.sql``."""

    def put_entry(self, db: Executor, *, entry: NewEntry) -> CacheEntry:
        """Keep a value for some seconds, in place of whatever was there."""
        ...

    def get_entry(self, db: Executor, *, key: str) -> CacheEntry | None:
        """Return one entry, unless it has expired."""
        ...

    def update_entry(self, db: Executor, *, key: str, changes: EntryChanges) -> CacheEntry | None:
        """Write the changes that are given; None where there is none or it has expired."""
        ...

    def delete_entry(self, db: Executor, *, key: str) -> Affected:
        """Forget one entry; return 1, or 0 if there is none."""
        ...

    def delete_entries(self, db: Executor, keys: list[str]) -> Affected:
        """Forget the entries of these keys; return how many."""
        ...

    def list_entries(
        self,
        db: Executor,
        *,
        beginning: str | None = None,
        after: AfterEntry | None = None,
        order: Literal["key", "expiry"] = "key",
        skip: int = 0,
        limit: int = 50,
    ) -> list[CacheEntry]:
        """Return a page of entries that have not expired, whose keys begin with a text."""
        ...

    def delete_expired_entries(self, db: Executor) -> Affected:
        """Forget what has expired; return how many."""
        ...


class OldAnalyses(NamedTuple):
    """How many analyses were deleted, and files with them; the last one's key, None where there was none."""

    analyses: int
    files: int
    last_id: UUID | None


class OldTools(NamedTuple):
    """How many tool generations were deleted; the last one's key, None where there was none."""

    tools: int
    last_id: UUID | None


class UpkeepQueries(Protocol):
    """Figures, and what is old: ``sql/analysis/upkeep.sql``."""

    def get_database_stats(self, db: Executor, *, recent_since: datetime) -> DatabaseStats:
        """Return how much there is of everything; see ``get_database_stats``."""
        ...

    def count_analyses_by_status(self, db: Executor) -> list[StatusCount]:
        """Return how many analyses there are in each status that has any."""
        ...

    def delete_old_analyses(
        self, db: Executor, *, before: datetime, limit: int, after: UUID | None = None
    ) -> OldAnalyses:
        """Delete some ended analyses that nobody has touched since a time, with their files; return how many."""
        ...

    def delete_old_tools(self, db: Executor, *, before: datetime, limit: int, after: UUID | None = None) -> OldTools:
        """Delete some ended tool generations that nobody has touched since a time; return how many."""
        ...

    def count_old_logs(self, db: Executor, *, before: datetime) -> int:
        """Return how many lines are older than a time."""
        ...

    def delete_old_logs(self, db: Executor, *, before: datetime, limit: int) -> Affected:
        """Delete some lines older than a time; return how many."""
        ...


class BackupQueries(Protocol):
    """Whole tables as JSON, and back: ``sql/analysis/backup.sql``."""

    def dump_users(self, db: Executor) -> Rows[str]:
        """Stream every row as JSON."""
        ...

    def dump_data_analyses(self, db: Executor) -> Rows[str]:
        """Stream every row as JSON."""
        ...

    def dump_analysis_files(self, db: Executor) -> Rows[str]:
        """Stream every row as JSON."""
        ...

    def dump_tool_generations(self, db: Executor) -> Rows[str]:
        """Stream every row as JSON."""
        ...

    def dump_system_logs(self, db: Executor) -> Rows[str]:
        """Stream every row as JSON."""
        ...

    def fill_users(self, db: Executor, *, rows: list[dict[str, Any]]) -> Affected:
        """Insert rows of a backup, as they were; return how many."""
        ...

    def fill_data_analyses(self, db: Executor, *, rows: list[dict[str, Any]]) -> Affected:
        """Insert rows of a backup, as they were; return how many."""
        ...

    def fill_analysis_files(self, db: Executor, *, rows: list[dict[str, Any]]) -> Affected:
        """Insert rows of a backup, as they were; return how many."""
        ...

    def fill_tool_generations(self, db: Executor, *, rows: list[dict[str, Any]]) -> Affected:
        """Insert rows of a backup, as they were; return how many."""
        ...

    def fill_system_logs(self, db: Executor, *, rows: list[dict[str, Any]]) -> Affected:
        """Insert rows of a backup, as they were; return how many."""
        ...

    def continue_log_ids(self, db: Executor) -> int | None:
        """Let the next line get an id behind those that are there."""
        ...

    def has_rows(self, db: Executor) -> bool:
        """Tell whether there is anything that a backup would be mixed with."""
        ...

    def get_database_name(self, db: Executor) -> str:
        """Return which database this is."""
        ...


FOLDER = SQL / "analysis"

logs: LogQueries = sqlkit.load(LogQueries, FOLDER / "logs.sql")
cache: CacheQueries = sqlkit.load(CacheQueries, FOLDER / "cache.sql")
cache_tier: EntryQueries = sqlkit.load(EntryQueries, FOLDER / "cache_tier.sql")
upkeep: UpkeepQueries = sqlkit.load(UpkeepQueries, FOLDER / "upkeep.sql")
backup: BackupQueries = sqlkit.load(BackupQueries, FOLDER / "backup.sql")
