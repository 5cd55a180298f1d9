"""The statements of ``sql/voxstitch`` on asyncio: the same files, the same models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import sqlkit
from sqlkit import Affected, AsyncExecutor, AsyncRows
from sqlkit.apps import SQL
from sqlkit.apps.voxstitch.models import (
    Chat,
    ChatChanges,
    ChatHeading,
    ChatWithUser,
    Credentials,
    FoundChat,
    ImportedChat,
    LoginSession,
    LoginSessionWithUser,
    NewChat,
    NewLoginSession,
    NewUser,
    Platform,
    PlatformCount,
    User,
    UserChanges,
    UserWithChats,
)

__all__ = ["ChatQueries", "LoginSessionQueries", "UserQueries", "chats", "login_sessions", "users"]


class UserQueries(Protocol):
    """Those who import chats: ``sql/voxstitch/users.sql``."""

    async def create_user(self, db: AsyncExecutor, *, user: NewUser) -> User:
        """Create a user; UniqueViolation for an address that somebody has, however it is capitalised."""
        ...

    async def get_user(self, db: AsyncExecutor, *, user_id: int) -> User | None:
        """Return one user, by their id."""
        ...

    async def get_user_by_email(self, db: AsyncExecutor, *, email: str) -> User | None:
        """Return one user, by their address, however it is capitalised."""
        ...

    async def get_credentials(self, db: AsyncExecutor, *, email: str) -> Credentials | None:
        """Return what a login is checked with, by the address; None for who has no password."""
        ...

    async def get_remaining_imports(self, db: AsyncExecutor, *, user_id: int) -> int | None:
        """Return how many chats a user may still import; None for nobody."""
        ...

    async def list_users(
        self,
        db: AsyncExecutor,
        *,
        after: int | None = None,
        is_active: bool | None = None,
        is_guest: bool | None = None,
        skip: int = 0,
        limit: int = 100,
    ) -> list[User]:
        """Return a page of the users by id: behind the id ``after``, or behind the first ``skip``."""
        ...

    async def count_users(self, db: AsyncExecutor) -> int:
        """Count the users."""
        ...

    async def update_user(self, db: AsyncExecutor, *, user_id: int, changes: UserChanges) -> User | None:
        """Write the changes that are given; return the user as they are now, None if there is none."""
        ...

    async def change_password(self, db: AsyncExecutor, *, user_id: int, hashed_password: str) -> User | None:
        """Write another password's hash and close all the user's sessions; return the user, None if there is none."""
        ...

    async def add_imports(self, db: AsyncExecutor, *, user_id: int, imports: int) -> int | None:
        """Give a user more imports, or less; return how many they have, None for nobody. CheckViolation below 0."""
        ...

    async def remove_user(self, db: AsyncExecutor, *, user_id: int) -> User | None:
        """Remove a user and return them, None if there is none; ForeignKeyViolation while they have chats."""
        ...

    async def remove_user_with_chats(self, db: AsyncExecutor, *, user_id: int) -> User | None:
        """Remove a user with all that is theirs and return them, None if there is none."""
        ...

    async def get_user_with_chats(self, db: AsyncExecutor, *, user_id: int) -> UserWithChats | None:
        """Return a user with all their chats, in one round trip."""
        ...


class ChatQueries(Protocol):
    """Chats, pages of them, searches and imports: ``sql/voxstitch/chats.sql``."""

    async def create_chat(self, db: AsyncExecutor, *, chat: NewChat) -> Chat:
        """Create a chat that takes no import; ForeignKeyViolation for an unknown user."""
        ...

    async def import_chat(self, db: AsyncExecutor, *, chat: NewChat) -> Chat | None:
        """Create a chat for one of the user's remaining imports; None, and nothing written, if none is left."""
        ...

    async def import_chats(self, db: AsyncExecutor, *, user_id: int, chats: list[ImportedChat]) -> list[ChatHeading]:
        """Create chats for as many of the user's remaining imports, all or none; none if fewer are left."""
        ...

    async def create_chats(self, db: AsyncExecutor, chats: Iterable[NewChat]) -> list[ChatHeading]:
        """Create chats in one pipelined batch, all or nothing; return their headings in the order given."""
        ...

    async def copy_chats(self, db: AsyncExecutor, chats: Iterable[NewChat]) -> Affected:
        """Copy chats in, all or nothing; return how many."""
        ...

    async def get_chat(self, db: AsyncExecutor, *, chat_id: int) -> Chat | None:
        """Return one chat with its content."""
        ...

    async def get_chat_heading(self, db: AsyncExecutor, *, chat_id: int) -> ChatHeading | None:
        """Return one chat without its content."""
        ...

    async def get_chat_with_user(self, db: AsyncExecutor, *, chat_id: int) -> ChatWithUser | None:
        """Return one chat with its user, in one round trip."""
        ...

    async def list_chats(
        self,
        db: AsyncExecutor,
        *,
        user_id: int | None = None,
        platform: Platform | None = None,
        after: int | None = None,
        skip: int = 0,
        limit: int = 100,
    ) -> list[ChatHeading]:
        """Return a page of chats without their content, the newest first: behind the id ``after``, or ``skip``."""
        ...

    async def list_chats_by_platform(
        self, db: AsyncExecutor, *, platform: Platform, after: int | None = None, skip: int = 0, limit: int = 100
    ) -> list[Chat]:
        """Return a page of a platform's chats with their content, the newest first."""
        ...

    async def count_chats_by_platform(self, db: AsyncExecutor, *, user_id: int | None = None) -> list[PlatformCount]:
        """Count the chats of each platform, of one user or of all, the most frequent first."""
        ...

    async def search_chats(
        self,
        db: AsyncExecutor,
        *,
        term: str,
        user_id: int | None = None,
        platform: Platform | None = None,
        limit: int = 20,
    ) -> list[FoundChat]:
        """Return the chats whose title or content has the words of the term, the best match first."""
        ...

    def stream_chats(self, db: AsyncExecutor, *, user_id: int) -> AsyncRows[Chat]:
        """Stream all chats of a user with their content, the oldest first."""
        ...

    async def update_chat(self, db: AsyncExecutor, *, chat_id: int, changes: ChatChanges) -> Chat | None:
        """Write the changes that are given; return the chat as it is now, None if there is none."""
        ...

    async def remove_chat(self, db: AsyncExecutor, *, chat_id: int) -> Chat | None:
        """Remove a chat and return it, None if there is none."""
        ...


class LoginSessionQueries(Protocol):
    """Who is logged in: ``sql/voxstitch/login_sessions.sql``."""

    async def open_session(self, db: AsyncExecutor, *, opening: NewLoginSession) -> LoginSession:
        """Open a session that begins now; ForeignKeyViolation for an unknown user."""
        ...

    async def get_session(self, db: AsyncExecutor, *, token_hash: bytes) -> LoginSessionWithUser | None:
        """Return a token's session with its user; None once it has expired, or while the user is not active."""
        ...

    async def list_sessions(self, db: AsyncExecutor, *, user_id: int) -> list[LoginSession]:
        """Return a user's sessions that have not expired, the newest first."""
        ...

    async def close_session(self, db: AsyncExecutor, *, token_hash: bytes) -> LoginSession | None:
        """Close a token's session and return it, None if there is none."""
        ...

    async def close_sessions_of_user(self, db: AsyncExecutor, *, user_id: int) -> Affected:
        """Close all sessions of a user; return how many."""
        ...

    async def cleanup_expired_sessions(self, db: AsyncExecutor, *, limit: int = 10_000) -> Affected:
        """Delete sessions that have expired, as many as the limit; return how many. See ``in_batches``."""
        ...


users: UserQueries = sqlkit.load(UserQueries, SQL / "voxstitch/users.sql")
chats: ChatQueries = sqlkit.load(ChatQueries, SQL / "voxstitch/chats.sql")
login_sessions: LoginSessionQueries = sqlkit.load(LoginSessionQueries, SQL / "voxstitch/login_sessions.sql")
