"""The rows of voxstitch, and what is written into them.

``User``, ``Chat`` and ``LoginSession`` are rows as they stand in the database: no constraint is checked twice, so they
are built without validation. ``New...`` and ``...Changes`` come from outside: what a CHECK of the database would
refuse, they refuse first, with the field's name. A ``...Changes`` writes the fields that were given to it and leaves
the others alone. No model that goes to people has a password's or a token's hash.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from sqlkit.patches import UNCHANGED, Changes

__all__ = [
    "Chat",
    "ChatChanges",
    "ChatHeading",
    "ChatWithUser",
    "Content",
    "Credentials",
    "FoundChat",
    "ImportedChat",
    "LoginSession",
    "LoginSessionWithUser",
    "NewChat",
    "NewLoginSession",
    "NewUser",
    "Platform",
    "PlatformCount",
    "User",
    "UserChanges",
    "UserWithChats",
]


class Platform(StrEnum):
    """Where a chat was held."""

    CHATGPT = "chatgpt"
    CLAUDE = "claude"
    GEMINI = "gemini"
    COPILOT = "copilot"
    DISCORD = "discord"
    SLACK = "slack"
    TELEGRAM = "telegram"
    WHATSAPP = "whatsapp"
    MESSENGER = "messenger"
    OTHER = "other"


def _without_nul(content: Any) -> Any:
    """Refuse what jsonb cannot hold: the character NUL, and half of a pair of surrogates."""
    try:
        written = json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("half of a pair of surrogates, which PostgreSQL does not take") from None
    if b"\\u0000" in written.replace(b"\\\\", b""):
        raise ValueError("a NUL character, which PostgreSQL does not take")
    return content


#: An address: something, an @, something, and no blank (nor NUL, which PostgreSQL does not take).
Email: TypeAlias = Annotated[str, Field(pattern=r"^[^@ \x00]+@[^@ \x00]+$")]
#: A password's hash, which begins with ``$`` and the name of its algorithm; never a password.
PasswordHash: TypeAlias = Annotated[str, Field(pattern=r"^\$.")]
#: A text that says something, without NUL.
Text: TypeAlias = Annotated[str, Field(pattern=r"^[^\x00]+$")]
#: How many chats may be imported.
Imports: TypeAlias = Annotated[int, Field(ge=0, le=2_147_483_647)]
#: A chat as a platform exports it: an object or an array, with whatever the platform puts there.
Content: TypeAlias = dict[str, JsonValue] | list[JsonValue]
StorableContent: TypeAlias = Annotated[Content, AfterValidator(_without_nul)]


class Input(BaseModel):
    """What comes from outside: a field that does not exist is an error, not a value that gets lost."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class User(BaseModel):
    """Someone who imports chats; a guest may be without an address."""

    user_id: int
    email: str | None
    is_active: bool
    is_guest: bool
    remaining_imports: int
    created_at: datetime
    updated_at: datetime


class NewUser(Input):
    """A user to create: with an address and a password's hash, unless they are a guest."""

    email: Email | None = None
    hashed_password: PasswordHash | None = Field(default=None, repr=False)
    is_guest: bool = False
    remaining_imports: Imports = 2

    @model_validator(mode="after")
    def _known_unless_guest(self) -> Self:
        if not self.is_guest and (self.email is None or self.hashed_password is None):
            raise ValueError("an email and a hashed_password are wanted of all but guests")
        return self


class UserChanges(Changes, Input):
    """What to change of a user; a guest becomes a user by an email, a hashed_password and ``is_guest=False``."""

    email: Email = UNCHANGED
    hashed_password: Annotated[PasswordHash, Field(repr=False)] = UNCHANGED
    is_active: bool = UNCHANGED
    is_guest: bool = UNCHANGED
    remaining_imports: Imports = UNCHANGED


class Credentials(BaseModel):
    """What a login is checked with."""

    user_id: int
    hashed_password: str = Field(repr=False)
    is_active: bool


class ChatHeading(BaseModel):
    """A chat without its content."""

    chat_id: int
    user_id: int
    title: str
    platform: Platform
    created_at: datetime
    updated_at: datetime


class Chat(ChatHeading):
    """A chat with its content."""

    content: Content


class FoundChat(ChatHeading):
    """A chat that a search found; the greater its rank, the better it fits."""

    rank: float


class ImportedChat(Input):
    """A chat to import, whoever's it will be."""

    title: Text
    platform: Platform
    content: StorableContent


class NewChat(ImportedChat):
    """A chat to create, of the user ``user_id``."""

    user_id: int


class ChatChanges(Changes, Input):
    """What to change of a chat; its content is replaced whole."""

    title: Text = UNCHANGED
    platform: Platform = UNCHANGED
    content: StorableContent = UNCHANGED


class PlatformCount(BaseModel):
    """How many chats there are of a platform."""

    platform: Platform
    chats: int


class ChatWithUser(Chat):
    """A chat with its user."""

    user: User


class UserWithChats(User):
    """A user with all their chats, the newest first."""

    chats: list[Chat]


class LoginSession(BaseModel):
    """That somebody is logged in, until it expires."""

    session_id: int
    user_id: int
    created_at: datetime
    expires_at: datetime


class LoginSessionWithUser(LoginSession):
    """A session with its user."""

    user: User


class NewLoginSession(Input):
    """A session to open: the SHA-256 of its token, and how long it lasts."""

    user_id: int
    token_hash: bytes = Field(min_length=32, max_length=32, repr=False)
    lifetime: timedelta = Field(gt=timedelta(0))
