"""The rows of analysis, and what is written into them.

``User``, ``Analysis``, ``AnalysisFile``, ``Tool``, ``SystemLog`` and ``CacheEntry`` are rows as they stand in the
database. ``New...`` and ``...Changes`` come from outside: what a CHECK of the database would refuse, they refuse
first, with the field's name.
"""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from sqlkit.operations.logfiles import LogLevel
from sqlkit.patches import UNCHANGED, Changes

__all__ = [
    "AfterAnalysis",
    "AfterEntry",
    "AfterFile",
    "AfterLog",
    "AfterTool",
    "AfterUser",
    "Analysis",
    "AnalysisChanges",
    "AnalysisFile",
    "CacheEntry",
    "Credentials",
    "DatabaseStats",
    "DayCount",
    "EntryChanges",
    "FileChanges",
    "LogChanges",
    "LogCount",
    "LogFacts",
    "LogLevel",
    "NewAnalysis",
    "NewEntry",
    "NewFile",
    "NewLog",
    "NewTool",
    "NewUser",
    "PastLog",
    "StatusCount",
    "SystemLog",
    "Tool",
    "ToolChanges",
    "User",
    "UserChanges",
    "WorkStatus",
]


class WorkStatus(StrEnum):
    """Where an analysis or the generation of a tool stands."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


def _storable_text(text: str) -> str:
    """Refuse what text cannot hold: the character NUL, half of a pair of surrogates."""
    if "\0" in text:
        raise ValueError("a NUL character, which PostgreSQL does not take")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half of a pair of surrogates, which is no text") from None
    return text


#: A text that PostgreSQL takes.
PlainText: TypeAlias = Annotated[str, AfterValidator(_storable_text)]
#: A name to sign in with: no blank, no @, at most 100 characters.
Username: TypeAlias = Annotated[PlainText, Field(pattern=r"^[^@ ]{1,100}$")]
#: An address: something, an @, something, and no blank.
Email: TypeAlias = Annotated[PlainText, Field(pattern=r"^[^@ ]+@[^@ ]+$")]
#: A text that says something.
Text: TypeAlias = Annotated[PlainText, Field(min_length=1)]
#: A password's hash, which no repr shows.
Hash: TypeAlias = Annotated[str, Field(min_length=1, repr=False)]
#: Bytes of a file that has some.
Size: TypeAlias = Annotated[int, Field(gt=0, lt=2**63)]


def _storable(document: Any) -> Any:
    """Refuse what jsonb cannot hold: NaN and infinity, the character NUL, half of a pair of surrogates."""
    try:
        text = json.dumps(document, allow_nan=False)
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise ValueError("a number or a text that JSON cannot hold") from None
    if "\\u0000" in text.replace("\\\\", ""):
        raise ValueError("a NUL character, which PostgreSQL does not take")
    return document


#: An object of JSON.
Object: TypeAlias = Annotated[dict[str, JsonValue], AfterValidator(_storable)]
#: An object or a list of JSON.
Document: TypeAlias = Annotated[dict[str, JsonValue] | list[JsonValue], AfterValidator(_storable)]
#: How long a cache entry lives.
Lifetime: TypeAlias = Annotated[float, Field(gt=0, le=10 * 366 * 86_400)]


class Input(BaseModel):
    """What comes from outside: a field that does not exist is an error, not a value that gets lost."""

    model_config = ConfigDict(extra="forbid")


class User(BaseModel):
    """Someone who signs in."""

    user_id: UUID
    username: str
    email: str
    is_active: bool
    created_at: datetime
    updated_at: datetime


class Credentials(BaseModel):
    """What an active user's password is checked with."""

    user_id: UUID
    hashed_password: str = Field(repr=False)


class NewUser(Input):
    """A user to create."""

    username: Username
    email: Email
    hashed_password: Hash


class UserChanges(Changes):
    """What to change of a user."""

    username: Username = UNCHANGED
    email: Email = UNCHANGED
    hashed_password: Hash = UNCHANGED
    is_active: bool = UNCHANGED


class AfterUser(BaseModel):
    """The user behind whom a page begins."""

    user_id: UUID
    username: str | None = None
    created_at: datetime | None = None


class Analysis(BaseModel):
    """An analysis of data; ``result`` is None until there is one."""

    analysis_id: UUID
    user_id: UUID
    title: str
    status: WorkStatus
    parameters: dict[str, JsonValue]
    result: dict[str, JsonValue] | list[JsonValue] | None
    created_at: datetime
    updated_at: datetime


class NewAnalysis(Input):
    """An analysis to create."""

    user_id: UUID
    title: Text
    status: WorkStatus = WorkStatus.PENDING
    parameters: Object = {}
    result: Document | None = None


class AnalysisChanges(Changes):
    """What to change of an analysis; ``parameters`` and ``result`` are replaced whole."""

    title: Text = UNCHANGED
    status: WorkStatus = UNCHANGED
    parameters: Object = UNCHANGED
    result: Document | None = UNCHANGED


class AfterAnalysis(BaseModel):
    """The analysis behind which a page begins."""

    analysis_id: UUID
    title: str | None = None
    created_at: datetime | None = None


class AnalysisFile(BaseModel):
    """A file of an analysis; its content lies at ``storage_path``."""

    file_id: UUID
    analysis_id: UUID
    file_name: str
    file_type: str
    size_bytes: int
    storage_path: str
    created_at: datetime
    updated_at: datetime


class NewFile(Input):
    """A file to create."""

    analysis_id: UUID
    file_name: Text
    file_type: Text
    size_bytes: Size
    storage_path: Text


class FileChanges(Changes):
    """What to change of a file."""

    file_name: Text = UNCHANGED
    file_type: Text = UNCHANGED
    size_bytes: Size = UNCHANGED
    storage_path: Text = UNCHANGED


class AfterFile(BaseModel):
    """The file behind which a page begins."""

    file_id: UUID
    file_name: str | None = None
    size_bytes: int | None = None
    created_at: datetime | None = None


class Tool(BaseModel):
    """A tool that is generated from a prompt; ``output`` is None until there is one."""

    tool_id: UUID
    user_id: UUID
    tool_type: str
    status: WorkStatus
    prompt: str
    output: dict[str, JsonValue] | list[JsonValue] | None
    created_at: datetime
    updated_at: datetime


class NewTool(Input):
    """A tool to generate."""

    user_id: UUID
    tool_type: Text
    status: WorkStatus = WorkStatus.PENDING
    prompt: Text
    output: Document | None = None


class ToolChanges(Changes):
    """What to change of a tool; ``output`` is replaced whole."""

    tool_type: Text = UNCHANGED
    status: WorkStatus = UNCHANGED
    prompt: Text = UNCHANGED
    output: Document | None = UNCHANGED


class AfterTool(BaseModel):
    """The tool behind which a page begins."""

    tool_id: UUID
    created_at: datetime


class SystemLog(BaseModel):
    """What a service had to tell."""

    log_id: int
    service: str
    level: LogLevel
    message: str
    details: dict[str, JsonValue]
    created_at: datetime
    updated_at: datetime


class LogFacts(Input):
    """What a line says."""

    service: Text
    level: LogLevel = LogLevel.INFO
    message: PlainText
    details: Object = {}


class NewLog(LogFacts):
    """A line to write; without ``created_at`` it is of now."""

    created_at: AwareDatetime | None = None


class PastLog(LogFacts):
    """A line to import, with its time."""

    created_at: AwareDatetime


class LogChanges(Changes):
    """What to change of a line; ``details`` are replaced whole."""

    service: Text = UNCHANGED
    level: LogLevel = UNCHANGED
    message: PlainText = UNCHANGED
    details: Object = UNCHANGED


class AfterLog(BaseModel):
    """The line behind which a page begins."""

    created_at: datetime
    log_id: int


class LogCount(BaseModel):
    """How many lines there are of a service and level."""

    service: str
    level: LogLevel
    lines: int


class DayCount(BaseModel):
    """How many lines there are of a day, which begins in UTC."""

    day: datetime
    lines: int


class CacheEntry(BaseModel):
    """A value that can be had again."""

    key: str
    value: dict[str, JsonValue] | list[JsonValue]
    expires_at: datetime
    created_at: datetime
    updated_at: datetime


class NewEntry(Input):
    """A value to keep for some seconds."""

    key: Text
    value: Document
    seconds: Lifetime


class EntryChanges(Changes):
    """What to change of an entry; ``seconds`` begin anew."""

    value: Document = UNCHANGED
    seconds: Lifetime = UNCHANGED


class AfterEntry(BaseModel):
    """The entry behind which a page begins."""

    key: str
    expires_at: datetime | None = None


class DatabaseStats(BaseModel):
    """How much there is of everything; ``recent_analyses`` are those of the last days."""

    users: int
    active_users: int
    data_analyses: int
    recent_analyses: int
    analysis_files: int
    tool_generations: int
    system_logs: int
    cache_entries: int


class StatusCount(BaseModel):
    """How many analyses are in a status."""

    status: WorkStatus
    analyses: int
