"""The rows of openai_frontend, and what is written into them.

Rows (``User``, ``ApiKey``, ``LogLine``, ...) are built as they stand in the database. ``New...`` and ``...Changes``
come from outside: what a CHECK of the database would refuse, they refuse first, with the field's name. A ``...Changes``
writes the fields that were given to it and leaves the others alone; where a column takes NULL, None clears it. No row
that goes to people has the hash of a password, a key or a token.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from sqlkit.operations.logfiles import LogLevel
from sqlkit.patches import UNCHANGED, Changes

__all__ = [
    "AfterLine",
    "AfterUsage",
    "ApiKey",
    "ApiKeyChanges",
    "Credentials",
    "DayLines",
    "KeyDigest",
    "LevelLines",
    "LogLevel",
    "LogLine",
    "NewApiKey",
    "NewLogLine",
    "NewRefreshToken",
    "NewUsage",
    "NewUser",
    "RefreshToken",
    "RequestedKey",
    "Role",
    "TotalUsage",
    "Usage",
    "UsageOfDay",
    "UsageOfModel",
    "UsageOfUser",
    "User",
    "UserChanges",
    "VerifiedKey",
]


class Role(StrEnum):
    """What a user may do."""

    USER = "user"
    ADMIN = "admin"
    SERVICE = "service"


#: An address: something, an @, something, and no blank (nor NUL, which PostgreSQL does not take).
Email: TypeAlias = Annotated[str, Field(pattern=r"^[^@ \x00]+@[^@ \x00]+$")]
#: A password's hash, which begins with ``$`` and the name of its algorithm; never a password.
PasswordHash: TypeAlias = Annotated[str, Field(pattern=r"^\$.")]
#: A text that says something, without NUL.
Text: TypeAlias = Annotated[str, Field(pattern=r"^[^\x00]+$")]
#: A number of tokens.
Tokens: TypeAlias = Annotated[int, Field(ge=0)]


def _now() -> datetime:
    return datetime.now(UTC)


def _future(moment: datetime) -> datetime:
    if moment <= _now():
        raise ValueError("it is in the past already")
    return moment


class Input(BaseModel):
    """What comes from outside: a field that does not exist is an error, not a value that gets lost."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class User(BaseModel):
    """Someone who may use the front end."""

    user_id: int
    username: str
    email: str
    role: Role
    is_active: bool
    created_at: datetime
    updated_at: datetime


class NewUser(Input):
    """A user to create."""

    username: Text
    email: Email
    hashed_password: PasswordHash = Field(repr=False)
    role: Role = Role.USER


class UserChanges(Changes, Input):
    """What to change of a user."""

    username: Text = UNCHANGED
    email: Email = UNCHANGED
    hashed_password: Annotated[PasswordHash, Field(repr=False)] = UNCHANGED
    role: Role = UNCHANGED
    is_active: bool = UNCHANGED


class Credentials(BaseModel):
    """What a login is checked with."""

    user_id: int
    hashed_password: str = Field(repr=False)
    is_active: bool


class ApiKey(BaseModel):
    """A key that programs call with; of the key itself only its first letters."""

    api_key_id: int
    user_id: int
    name: str
    key_prefix: str
    scopes: list[str]
    is_active: bool
    created_at: datetime
    updated_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class RequestedKey(Input):
    """A key to issue, whoever's: what it is for and what it may do; without ``expires_at`` it never expires."""

    name: Text
    scopes: list[Text] = []
    expires_at: Annotated[AwareDatetime, AfterValidator(_future)] | None = None


class NewApiKey(RequestedKey):
    """A key to issue to the user ``user_id``."""

    user_id: int


class KeyDigest(Input):
    """What the database knows of a key itself: its first letters, for people, and its SHA-256."""

    key_prefix: str = Field(pattern=r"^[!-~]{4,16}$")
    key_hash: bytes = Field(min_length=32, max_length=32, repr=False)


class ApiKeyChanges(Changes, Input):
    """What to change of a key."""

    name: Text = UNCHANGED
    scopes: list[Text] = UNCHANGED
    is_active: bool = UNCHANGED
    expires_at: AwareDatetime | None = UNCHANGED


class VerifiedKey(BaseModel):
    """Who calls, and what they may do."""

    api_key_id: int
    user_id: int
    name: str
    scopes: list[str]
    role: Role


class RefreshToken(BaseModel):
    """A refresh token, without itself; those that replaced each other since one login are a family."""

    refresh_token_id: int
    user_id: int
    family: UUID
    issued_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    replaced_by: int | None


class NewRefreshToken(Input):
    """A token to issue: the SHA-256 of it, and how long it lasts."""

    user_id: int
    token_hash: bytes = Field(min_length=32, max_length=32, repr=False)
    lifetime: timedelta = Field(gt=timedelta(0))


class AfterLine(BaseModel):
    """Where a page of lines ends: its last line, or the two keys of it."""

    log_id: int
    created_at: datetime


class LogLine(AfterLine):
    """A line that the application said."""

    level: LogLevel
    logger: str
    message: str
    context: dict[str, JsonValue]


class NewLogLine(Input):
    """A line to write; without ``created_at`` it is of now."""

    level: LogLevel
    logger: Text
    message: str
    context: dict[str, JsonValue] = {}
    created_at: AwareDatetime = Field(default_factory=_now)


class LevelLines(BaseModel):
    """How many lines there are of a level."""

    level: LogLevel
    lines: int


class DayLines(BaseModel):
    """How many lines there are of a logger on a day of UTC."""

    day: date
    logger: str
    lines: int


class NewUsage(Input):
    """A call to note; without ``created_at`` it is of now, without ``api_key_id`` it came with a token."""

    user_id: int
    api_key_id: int | None = None
    endpoint: Text
    model: Text
    prompt_tokens: Tokens
    completion_tokens: Tokens
    cost: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
    status_code: Annotated[int, Field(ge=100, le=599)]
    latency_ms: Annotated[int, Field(ge=0, le=2_147_483_647)]
    created_at: AwareDatetime = Field(default_factory=_now)


class AfterUsage(BaseModel):
    """Where a page of calls ends: its last call, or the two keys of it."""

    usage_id: int
    created_at: datetime


class Usage(AfterUsage):
    """A call that was made."""

    user_id: int
    api_key_id: int | None
    endpoint: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cost: Decimal
    status_code: int
    latency_ms: int


class TotalUsage(BaseModel):
    """How many calls, tokens and how much money together."""

    calls: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cost: Decimal


class UsageOfModel(TotalUsage):
    """What was used of a model."""

    model: str


class UsageOfDay(UsageOfModel):
    """What was used of a model on a day of UTC."""

    day: date


class UsageOfUser(TotalUsage):
    """What a user used."""

    user_id: int
