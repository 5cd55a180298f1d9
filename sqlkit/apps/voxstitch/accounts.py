"""Accounts: registering, logging in and out, passwords."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from pydantic import SecretStr

from sqlkit import Executor
from sqlkit.apps.voxstitch.errors import LoginRefused
from sqlkit.apps.voxstitch.models import (
    LoginSession,
    LoginSessionWithUser,
    NewLoginSession,
    NewUser,
    User,
    UserChanges,
)
from sqlkit.apps.voxstitch.queries import login_sessions, users
from sqlkit.security import check_password, digest_of, hash_password, new_token

__all__ = ["LOGIN_LASTS", "Login", "change_password", "log_in", "log_out", "register", "who_is"]

#: How long a login lasts, unless it is told otherwise.
LOGIN_LASTS = timedelta(days=14)


class Login(NamedTuple):
    """A new session, and its token, which is shown once and stands nowhere."""

    token: SecretStr
    session: LoginSession


def register(db: Executor, *, email: str, password: str | SecretStr) -> User:
    """Create a user with a password, kept as its argon2id hash; UniqueViolation for an address that is taken."""
    return users.create_user(db, user=NewUser(email=email, hashed_password=hash_password(password)))


def log_in(db: Executor, *, email: str, password: str | SecretStr, lifetime: timedelta = LOGIN_LASTS) -> Login:
    """Check a password and open a session; LoginRefused, after the same time, whatever was wrong.

    A hash that was made by an older algorithm is replaced, now that the password is known.
    """
    found = users.get_credentials(db, email=email)
    checked = check_password(found.hashed_password if found else None, password)
    if found is None or not checked or not found.is_active:
        raise LoginRefused
    if checked.outdated:
        users.update_user(db, user_id=found.user_id, changes=UserChanges(hashed_password=hash_password(password)))
    token = new_token("vox")
    opening = NewLoginSession(user_id=found.user_id, token_hash=token.digest, lifetime=lifetime)
    return Login(token.secret, login_sessions.open_session(db, opening=opening))


def who_is(db: Executor, token: str | SecretStr) -> LoginSessionWithUser | None:
    """Return the session of a token with its user; None once it has expired, or while the user is not active."""
    return login_sessions.get_session(db, token_hash=digest_of(token))


def log_out(db: Executor, token: str | SecretStr) -> bool:
    """Close a token's session; tell whether there was one."""
    return login_sessions.close_session(db, token_hash=digest_of(token)) is not None


def change_password(db: Executor, *, user_id: int, password: str | SecretStr) -> User | None:
    """Write another password and close all sessions of the user; return the user, None if there is none."""
    return users.change_password(db, user_id=user_id, hashed_password=hash_password(password))
