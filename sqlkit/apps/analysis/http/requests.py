"""What requests bring: bodies that are no model's own, and filters of lists."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr

from sqlkit.apps.analysis.models import Email, LogLevel, PlainText, Size, Text, Username, WorkStatus
from sqlkit.pages import AfterLimit

__all__ = [
    "AnalysisFilter",
    "FileOfAnalysis",
    "LogFilter",
    "Login",
    "SignUp",
    "ToolFilter",
    "UserFilter",
]


class Input(BaseModel):
    """What a request brings."""

    model_config = ConfigDict(extra="forbid")


class SignUp(Input):
    """Who wants to sign in from now on."""

    username: Username
    email: Email
    password: SecretStr = Field(min_length=8)


class Login(Input):
    """A name or an address, and its password."""

    login: PlainText
    password: SecretStr


class FileOfAnalysis(Input):
    """A file of the analysis that the path names."""

    file_name: Text
    file_type: Text
    size_bytes: Size
    storage_path: Text


class UserFilter(AfterLimit):
    """Which users, and behind whom."""

    is_active: bool | None = None
    order: Literal["username", "newest"] = "username"


class AnalysisFilter(AfterLimit):
    """Which analyses, and behind which one."""

    user_id: UUID | None = None
    status: WorkStatus | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    order: Literal["newest", "oldest", "title"] = "newest"


class ToolFilter(AfterLimit):
    """Which tools, and behind which one."""

    user_id: UUID | None = None
    status: WorkStatus | None = None
    tool_type: PlainText | None = None
    order: Literal["newest", "oldest"] = "newest"


class LogFilter(AfterLimit):
    """Which lines, and behind which one; without a time those of the last day."""

    service: PlainText | None = None
    level: list[LogLevel] | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    order: Literal["newest", "oldest"] = "newest"
