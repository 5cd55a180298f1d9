"""The statements of ``sql/analysis`` on users, analyses, files and tools: a Protocol for each file."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from pydantic import JsonValue

import sqlkit
from sqlkit import Affected, Executor, One
from sqlkit.apps import SQL
from sqlkit.apps.analysis.models import (
    AfterAnalysis,
    AfterFile,
    AfterTool,
    AfterUser,
    Analysis,
    AnalysisChanges,
    AnalysisFile,
    Credentials,
    FileChanges,
    NewAnalysis,
    NewFile,
    NewTool,
    NewUser,
    Tool,
    ToolChanges,
    User,
    UserChanges,
    WorkStatus,
)

__all__ = [
    "AnalysisQueries",
    "FileQueries",
    "ToolQueries",
    "UserQueries",
    "analyses",
    "files",
    "tools",
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

    def get_credentials(self, db: Executor, *, login: str) -> Credentials | None:
        """Return what an active user's password is checked with, by their name or address."""
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

    def get_analysis_result(
        self, db: Executor, *, analysis_id: UUID
    ) -> One[dict[str, JsonValue] | list[JsonValue] | None]:
        """Return the result of one analysis, None while it has none; NoRow where there is no such analysis."""
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

    def list_newest_analyses(self, db: Executor, *, user_id: UUID) -> list[Analysis]:
        """Return the fifty newest analyses of a user."""
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


FOLDER = SQL / "analysis"

users: UserQueries = sqlkit.load(UserQueries, FOLDER / "users.sql")
analyses: AnalysisQueries = sqlkit.load(AnalysisQueries, FOLDER / "analyses.sql")
files: FileQueries = sqlkit.load(FileQueries, FOLDER / "files.sql")
tools: ToolQueries = sqlkit.load(ToolQueries, FOLDER / "tools.sql")
