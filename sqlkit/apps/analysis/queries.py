"""The statements of ``sql/analysis``: a Protocol for each file, and what implements it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from pydantic import JsonValue

import sqlkit
from sqlkit import Affected, Executor
from sqlkit.apps import SQL
from sqlkit.apps.analysis.models import (
    AfterAnalysis,
    AfterEntry,
    AfterFile,
    AfterLog,
    AfterTool,
    AfterUser,
    Analysis,
    AnalysisChanges,
    AnalysisFile,
    CacheEntry,
    DatabaseStats,
    DayCount,
    EntryChanges,
    FileChanges,
    LogChanges,
    LogCount,
    LogLevel,
    NewAnalysis,
    NewEntry,
    NewFile,
    NewLog,
    NewTool,
    NewUser,
    PastLog,
    StatusCount,
    SystemLog,
    Tool,
    ToolChanges,
    User,
    UserChanges,
    WorkStatus,
)

__all__ = [
    "AnalysisQueries",
    "CacheQueries",
    "FileQueries",
    "LogQueries",
    "ToolQueries",
    "UpkeepQueries",
    "UserQueries",
    "analyses",
    "cache",
    "files",
    "logs",
    "tools",
    "upkeep",
    "users",
]


class UserQueries(Protocol):
    """Those who sign in: ``sql/analysis/users.sql``."""

    def create_user(self, db: Executor, *, user: NewUser) -> User:
        """Create a user; UniqueViolation for a taken name or address."""
        ...

    def import_users(self, db: Executor, users: Iterable[NewUser]) -> Affected:
        """Copy users in, all or nothing; return how many."""
        ...

    def get_user(self, db: Executor, *, user_id: UUID) -> User | None:
        """Return one user, by its id."""
        ...

    def get_user_by_username(self, db: Executor, *, username: str) -> User | None:
        """Return one user, by their name, written as they gave it."""
        ...

    def get_user_by_email(self, db: Executor, *, email: str) -> User | None:
        """Return one user, by their address, written as they gave it."""
        ...

    def replace_password(self, db: Executor, *, user_id: UUID, old: str, new: str) -> Affected:
        """Keep the new hash of a password in place of the old one; return 0 where that is no longer there."""
        ...

    def update_user(self, db: Executor, *, user_id: UUID, changes: UserChanges) -> User | None:
        """Write the changes that are given; return the user as it is now, None if there is none."""
        ...

    def delete_user(self, db: Executor, *, user_id: UUID) -> Affected:
        """Delete a user; return 1, or 0 if there is none. A ForeignKeyViolation while they have analyses or tools."""
        ...

    def list_users(
        self,
        db: Executor,
        *,
        is_active: bool | None = None,
        after: AfterUser | None = None,
        order: Literal["username", "newest"] = "username",
        skip: int = 0,
        limit: int = 50,
    ) -> list[User]:
        """Return a page of users: behind ``after``, the last of the page before, or behind ``skip`` others."""
        ...

    def count_users(
        self,
        db: Executor,
        *,
        is_active: bool | None = None,
    ) -> int:
        """Return how many users there are, narrowed as in ``list_users``."""
        ...


class AnalysisQueries(Protocol):
    """Analyses of data: ``sql/analysis/analyses.sql``."""

    def create_analysis(self, db: Executor, *, analysis: NewAnalysis) -> Analysis:
        """Create an analysis; ForeignKeyViolation for an unknown user."""
        ...

    def import_analyses(self, db: Executor, analyses: Iterable[NewAnalysis]) -> Affected:
        """Copy analyses in, all or nothing; return how many."""
        ...

    def get_analysis(self, db: Executor, *, analysis_id: UUID) -> Analysis | None:
        """Return one analysis, by its id."""
        ...

    def update_analysis(self, db: Executor, *, analysis_id: UUID, changes: AnalysisChanges) -> Analysis | None:
        """Write the changes that are given; return the analysis as it is now, None if there is none."""
        ...

    def delete_analysis(self, db: Executor, *, analysis_id: UUID) -> Affected:
        """Delete an analysis; return 1, or 0 if there is none. Its files go with it."""
        ...

    def list_analyses(
        self,
        db: Executor,
        *,
        user_id: UUID | None = None,
        status: WorkStatus | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        parameters: dict[str, JsonValue] | None = None,
        after: AfterAnalysis | None = None,
        order: Literal["newest", "oldest", "title"] = "newest",
        skip: int = 0,
        limit: int = 50,
    ) -> list[Analysis]:
        """Return a page of analyses: behind ``after``, the last of the page before, or behind ``skip`` others."""
        ...

    def count_analyses(
        self,
        db: Executor,
        *,
        user_id: UUID | None = None,
        status: WorkStatus | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        parameters: dict[str, JsonValue] | None = None,
    ) -> int:
        """Return how many analyses there are, narrowed as in ``list_analyses``."""
        ...


class FileQueries(Protocol):
    """The files of analyses: ``sql/analysis/files.sql``."""

    def create_file(self, db: Executor, *, file: NewFile) -> AnalysisFile:
        """Create a file; ForeignKeyViolation for an unknown analysis."""
        ...

    def import_files(self, db: Executor, files: Iterable[NewFile]) -> Affected:
        """Copy files in, all or nothing; return how many."""
        ...

    def get_file(self, db: Executor, *, file_id: UUID) -> AnalysisFile | None:
        """Return one file, by its id."""
        ...

    def update_file(self, db: Executor, *, file_id: UUID, changes: FileChanges) -> AnalysisFile | None:
        """Write the changes that are given; return the file as it is now, None if there is none."""
        ...

    def delete_file(self, db: Executor, *, file_id: UUID) -> Affected:
        """Delete a file; return 1, or 0 if there is none. What lies at its path stays."""
        ...

    def list_files(
        self,
        db: Executor,
        *,
        analysis_id: UUID | None = None,
        file_type: str | None = None,
        after: AfterFile | None = None,
        order: Literal["name", "largest", "newest"] = "name",
        skip: int = 0,
        limit: int = 50,
    ) -> list[AnalysisFile]:
        """Return a page of files: behind ``after``, the last of the page before, or behind ``skip`` others."""
        ...

    def count_files(
        self,
        db: Executor,
        *,
        analysis_id: UUID | None = None,
        file_type: str | None = None,
    ) -> int:
        """Return how many files there are, narrowed as in ``list_files``."""
        ...


class ToolQueries(Protocol):
    """Tools that are generated: ``sql/analysis/tools.sql``."""

    def create_tool(self, db: Executor, *, tool: NewTool) -> Tool:
        """Create a tool; ForeignKeyViolation for an unknown user."""
        ...

    def import_tools(self, db: Executor, tools: Iterable[NewTool]) -> Affected:
        """Copy tools in, all or nothing; return how many."""
        ...

    def get_tool(self, db: Executor, *, tool_id: UUID) -> Tool | None:
        """Return one tool, by its id."""
        ...

    def update_tool(self, db: Executor, *, tool_id: UUID, changes: ToolChanges) -> Tool | None:
        """Write the changes that are given; return the tool as it is now, None if there is none."""
        ...

    def delete_tool(self, db: Executor, *, tool_id: UUID) -> Affected:
        """Delete a tool; return 1, or 0 if there is none."""
        ...

    def list_tools(
        self,
        db: Executor,
        *,
        user_id: UUID | None = None,
        status: WorkStatus | None = None,
        tool_type: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: AfterTool | None = None,
        order: Literal["newest", "oldest"] = "newest",
        skip: int = 0,
        limit: int = 50,
    ) -> list[Tool]:
        """Return a page of tools: behind ``after``, the last of the page before, or behind ``skip`` others."""
        ...

    def count_tools(
        self,
        db: Executor,
        *,
        user_id: UUID | None = None,
        status: WorkStatus | None = None,
        tool_type: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> int:
        """Return how many tools there are, narrowed as in ``list_tools``."""
        ...


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


class UpkeepQueries(Protocol):
    """Figures, and what is old: ``sql/analysis/upkeep.sql``."""

    def get_database_stats(self, db: Executor, *, recent_since: datetime) -> DatabaseStats:
        """Return how much there is of everything; see ``get_database_stats``."""
        ...

    def count_analyses_by_status(self, db: Executor) -> list[StatusCount]:
        """Return how many analyses there are in each status that has any."""
        ...

    def count_files_of_old_analyses(self, db: Executor, *, before: datetime) -> int:
        """Return how many files ``delete_old_analyses`` takes along."""
        ...

    def delete_old_analyses(self, db: Executor, *, before: datetime) -> Affected:
        """Delete ended analyses that nobody has touched since a time; return how many."""
        ...

    def delete_old_tools(self, db: Executor, *, before: datetime) -> Affected:
        """Delete ended tool generations that nobody has touched since a time; return how many."""
        ...

    def count_old_logs(self, db: Executor, *, before: datetime) -> int:
        """Return how many lines are older than a time."""
        ...

    def delete_old_logs(self, db: Executor, *, before: datetime) -> Affected:
        """Delete lines older than a time; return how many."""
        ...


FOLDER = SQL / "analysis"

users: UserQueries = sqlkit.load(UserQueries, FOLDER / "users.sql")
analyses: AnalysisQueries = sqlkit.load(AnalysisQueries, FOLDER / "analyses.sql")
files: FileQueries = sqlkit.load(FileQueries, FOLDER / "files.sql")
tools: ToolQueries = sqlkit.load(ToolQueries, FOLDER / "tools.sql")
logs: LogQueries = sqlkit.load(LogQueries, FOLDER / "logs.sql")
cache: CacheQueries = sqlkit.load(CacheQueries, FOLDER / "cache.sql")
upkeep: UpkeepQueries = sqlkit.load(UpkeepQueries, FOLDER / "upkeep.sql")
