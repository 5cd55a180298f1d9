"""The statements of ``sql/openai_frontend`` for threads: what the application uses."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import sqlkit
from sqlkit import Affected, Executor
from sqlkit.apps import SQL
from sqlkit.apps.openai_frontend.models import (
    AfterLine,
    AfterUsage,
    ApiKey,
    ApiKeyChanges,
    Credentials,
    DayLines,
    KeyDigest,
    LevelLines,
    LogLevel,
    LogLine,
    NewApiKey,
    NewLogLine,
    NewRefreshToken,
    NewUsage,
    NewUser,
    RefreshToken,
    Role,
    TotalUsage,
    Usage,
    UsageOfDay,
    UsageOfModel,
    UsageOfUser,
    User,
    UserChanges,
    VerifiedKey,
)

__all__ = [
    "ApiKeyQueries",
    "LogQueries",
    "RefreshTokenQueries",
    "UsageQueries",
    "UserQueries",
    "api_keys",
    "logs",
    "refresh_tokens",
    "usage",
    "users",
]


class UserQueries(Protocol):
    """Who may use the front end: ``sql/openai_frontend/users.sql``."""

    def create_user(self, db: Executor, *, user: NewUser) -> User:
        """Create a user; UniqueViolation for a taken username or email."""
        ...

    def get_user(self, db: Executor, *, user_id: int) -> User | None:
        """Return one user, by their id."""
        ...

    def get_user_by_username(self, db: Executor, *, username: str) -> User | None:
        """Return one user, by the name that they log in with."""
        ...

    def get_user_by_email(self, db: Executor, *, email: str) -> User | None:
        """Return one user, by their address, written as they gave it."""
        ...

    def get_credentials(self, db: Executor, *, username: str) -> Credentials | None:
        """Return what a login is checked with."""
        ...

    def list_users(
        self,
        db: Executor,
        *,
        after: int | None = None,
        role: Role | None = None,
        is_active: bool | None = None,
        skip: int = 0,
        limit: int = 100,
    ) -> list[User]:
        """Return a page of the users by id: behind the id ``after``, or behind the first ``skip``."""
        ...

    def update_user(self, db: Executor, *, user_id: int, changes: UserChanges) -> User | None:
        """Write the changes that are given; return the user as they are now, None if there is none."""
        ...

    def remove_user(self, db: Executor, *, user_id: int) -> User | None:
        """Remove a user and their refresh tokens and return them; ForeignKeyViolation while they have API keys."""
        ...


class RefreshTokenQueries(Protocol):
    """Who is logged in: ``sql/openai_frontend/refresh_tokens.sql``."""

    def issue_token(self, db: Executor, *, token: NewRefreshToken) -> RefreshToken:
        """Issue the first token of a new family."""
        ...

    def get_token(self, db: Executor, *, token_hash: bytes) -> RefreshToken | None:
        """Return one token, whatever has become of it."""
        ...

    def lock_family(self, db: Executor, *, token_hash: bytes) -> list[UUID]:
        """Lock the family of a token until the transaction ends; return it once for each of its tokens."""
        ...

    def replace_token(
        self, db: Executor, *, token_hash: bytes, next_hash: bytes, lifetime: timedelta
    ) -> RefreshToken | None:
        """Issue the next token in the place of one that is still good; None if it is not. Lock the family first."""
        ...

    def revoke_family(self, db: Executor, *, family: UUID) -> Affected:
        """Revoke the tokens of a family that are still good; return how many."""
        ...

    def revoke_tokens_of_user(self, db: Executor, *, user_id: int) -> Affected:
        """Revoke the tokens of a user that are still good; return how many."""
        ...

    def list_tokens(self, db: Executor, *, user_id: int) -> list[RefreshToken]:
        """Return a user's tokens that are still good, the newest first."""
        ...

    def cleanup_expired_tokens(self, db: Executor, *, limit: int = 10_000) -> Affected:
        """Delete tokens that have expired, as many as the limit; return how many. See ``in_batches``."""
        ...


class ApiKeyQueries(Protocol):
    """What programs call with: ``sql/openai_frontend/api_keys.sql``."""

    def create_api_key(self, db: Executor, *, key: NewApiKey, digest: KeyDigest) -> ApiKey:
        """Create a key of which the hash is known; ``issue_api_key`` makes the key itself."""
        ...

    def verify_api_key(self, db: Executor, *, key_hash: bytes) -> VerifiedKey | None:
        """Return whose key it is, None if it is not good; note the use, at most once a minute."""
        ...

    def get_api_key(self, db: Executor, *, api_key_id: int) -> ApiKey | None:
        """Return one key, by its id."""
        ...

    def list_api_keys(
        self,
        db: Executor,
        *,
        user_id: int | None = None,
        is_active: bool | None = None,
        after: int | None = None,
        skip: int = 0,
        limit: int = 100,
    ) -> list[ApiKey]:
        """Return a page of the keys by id: behind the id ``after``, or behind the first ``skip``."""
        ...

    def update_api_key(self, db: Executor, *, api_key_id: int, changes: ApiKeyChanges) -> ApiKey | None:
        """Write the changes that are given; return the key as it is now, None if there is none."""
        ...

    def revoke_api_key(self, db: Executor, *, api_key_id: int) -> ApiKey | None:
        """Revoke a key for good and return it, None if there is none."""
        ...

    def remove_api_key(self, db: Executor, *, api_key_id: int) -> ApiKey | None:
        """Remove a key and return it, None if there is none."""
        ...


class LogQueries(Protocol):
    """What the application says: ``sql/openai_frontend/logs.sql``."""

    def write_log(self, db: Executor, *, line: NewLogLine) -> LogLine:
        """Write a line; ``write_log`` of the package makes a partition that is missing."""
        ...

    def copy_logs(self, db: Executor, lines: Iterable[NewLogLine]) -> Affected:
        """Copy lines in, all or nothing; return how many."""
        ...

    def list_logs(
        self,
        db: Executor,
        *,
        since: datetime,
        until: datetime,
        at_least: LogLevel | None = None,
        logger: str | None = None,
        containing: str | None = None,
        after: AfterLine | None = None,
        limit: int = 100,
    ) -> list[LogLine]:
        """Return a page of the lines of a time, the newest first; ``after`` is the last one of the page before."""
        ...

    def count_logs_by_level(self, db: Executor, *, since: datetime, until: datetime) -> list[LevelLines]:
        """Count the lines of a time by level, the gravest first."""
        ...

    def count_logs_by_day(self, db: Executor, *, since: datetime, until: datetime) -> list[DayLines]:
        """Count the lines of a time by day and logger."""
        ...


class UsageQueries(Protocol):
    """What was asked of which model, and for how much: ``sql/openai_frontend/usage.sql``."""

    def record_usage(self, db: Executor, *, call: NewUsage) -> Usage:
        """Note a call; ``record_usage`` of the package makes a partition that is missing."""
        ...

    def copy_usage(self, db: Executor, calls: Iterable[NewUsage]) -> Affected:
        """Copy calls in, all or nothing; return how many."""
        ...

    def list_usage(
        self,
        db: Executor,
        *,
        since: datetime,
        until: datetime,
        user_id: int | None = None,
        api_key_id: int | None = None,
        model: str | None = None,
        after: AfterUsage | None = None,
        limit: int = 100,
    ) -> list[Usage]:
        """Return a page of the calls of a time, the newest first; ``after`` is the last one of the page before."""
        ...

    def usage_per_day(
        self, db: Executor, *, since: datetime, until: datetime, user_id: int | None = None
    ) -> list[UsageOfDay]:
        """Sum up the calls of a time by day and model."""
        ...

    def usage_per_model(
        self, db: Executor, *, since: datetime, until: datetime, user_id: int | None = None
    ) -> list[UsageOfModel]:
        """Sum up the calls of a time by model, the dearest first."""
        ...

    def usage_per_user(
        self, db: Executor, *, since: datetime, until: datetime, model: str | None = None, limit: int = 100
    ) -> list[UsageOfUser]:
        """Sum up the calls of a time by user, the dearest first."""
        ...

    def get_total_usage(
        self,
        db: Executor,
        *,
        since: datetime,
        until: datetime,
        user_id: int | None = None,
        api_key_id: int | None = None,
    ) -> TotalUsage:
        """Sum up the calls of a time, of one user, one key or of all; zeros for none."""
        ...


users: UserQueries = sqlkit.load(UserQueries, SQL / "openai_frontend/users.sql")
refresh_tokens: RefreshTokenQueries = sqlkit.load(RefreshTokenQueries, SQL / "openai_frontend/refresh_tokens.sql")
api_keys: ApiKeyQueries = sqlkit.load(ApiKeyQueries, SQL / "openai_frontend/api_keys.sql")
logs: LogQueries = sqlkit.load(LogQueries, SQL / "openai_frontend/logs.sql")
usage: UsageQueries = sqlkit.load(UsageQueries, SQL / "openai_frontend/usage.sql")
