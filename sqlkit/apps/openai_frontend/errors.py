"""What openai_frontend refuses.

::

    SqlkitError
    ├── LoginRefused          a username and a password that do not belong together
    └── RefreshRefused        a refresh token that is good for nothing
        └── TokenReused       one that was used before: its whole family is revoked
"""

from __future__ import annotations

from uuid import UUID

from sqlkit.errors import SqlkitError

__all__ = ["LoginRefused", "RefreshRefused", "TokenReused"]


class LoginRefused(SqlkitError):
    """The username is nobody's, the password is another, or the account is not active; which one is not said."""

    def __init__(self) -> None:
        super().__init__("openai_frontend: the username or the password is wrong")


class RefreshRefused(SqlkitError):
    """The token is unknown or has expired, or its user is not active."""

    def __init__(self, reason: str = "unknown, or it has expired") -> None:
        super().__init__(f"openai_frontend: the refresh token is {reason}; log in again")


class TokenReused(RefreshRefused):
    """The token was used or revoked before: somebody has a copy of it, so all of its ``family`` is revoked."""

    def __init__(self, family: UUID) -> None:
        super().__init__("one that was used before")
        self.family = family
