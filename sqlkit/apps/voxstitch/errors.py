"""What voxstitch refuses.

::

    SqlkitError
    ├── NoImportsLeft    an import beyond what a user may still import
    └── LoginRefused     an address and a password that do not belong together
"""

from __future__ import annotations

from sqlkit.errors import SqlkitError

__all__ = ["LoginRefused", "NoImportsLeft"]


class NoImportsLeft(SqlkitError):
    """Fewer imports are left than chats were to be imported, or there is no such user; nothing was written.

    ``user_id`` is whose, ``wanted`` how many chats there were.
    """

    def __init__(self, user_id: int, wanted: int) -> None:
        chats = "a chat" if wanted == 1 else f"{wanted} chats"
        super().__init__(f"voxstitch: user {user_id} has not enough imports left for {chats}")
        self.user_id = user_id
        self.wanted = wanted


class LoginRefused(SqlkitError):
    """The address is nobody's, the password is another, or the account is not active; which one is not said."""

    def __init__(self) -> None:
        super().__init__("voxstitch: the email or the password is wrong")
