"""Logins and their refresh tokens, each of which is good for one use."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from pydantic import SecretStr

from sqlkit import Executor
from sqlkit.apps.openai_frontend.errors import LoginRefused, RefreshRefused, TokenReused
from sqlkit.apps.openai_frontend.models import NewRefreshToken, NewUser, RefreshToken, Role, User, UserChanges
from sqlkit.apps.openai_frontend.queries import refresh_tokens, users
from sqlkit.database import View
from sqlkit.security import check_password, digest_of, hash_password, new_token

__all__ = ["TOKEN_LASTS", "IssuedToken", "log_in", "log_out", "register", "rotate_refresh_token"]

#: How long a refresh token lasts, unless it is told otherwise.
TOKEN_LASTS = timedelta(days=30)


class IssuedToken(NamedTuple):
    """A refresh token, which is shown once and stands nowhere, and its row."""

    token: SecretStr
    row: RefreshToken


def register(db: Executor, *, username: str, email: str, password: str | SecretStr, role: Role = Role.USER) -> User:
    """Create a user with a password, kept as its argon2id hash; UniqueViolation for a taken username or email."""
    new = NewUser(username=username, email=email, hashed_password=hash_password(password), role=role)
    return users.create_user(db, user=new)


def log_in(db: Executor, *, username: str, password: str | SecretStr, lifetime: timedelta = TOKEN_LASTS) -> IssuedToken:
    """Check a password and issue the first token of a family; LoginRefused, after the same time, whatever was wrong.

    A hash that was made by an older algorithm is replaced, now that the password is known.
    """
    found = users.get_credentials(db, username=username)
    checked = check_password(found.hashed_password if found else None, password)
    if found is None or not checked or not found.is_active:
        raise LoginRefused
    if checked.outdated:
        users.update_user(db, user_id=found.user_id, changes=UserChanges(hashed_password=hash_password(password)))
    fresh = new_token("rt")
    new = NewRefreshToken(user_id=found.user_id, token_hash=fresh.digest, lifetime=lifetime)
    return IssuedToken(fresh.secret, refresh_tokens.issue_token(db, token=new))


def rotate_refresh_token(db: View, token: str | SecretStr, *, lifetime: timedelta = TOKEN_LASTS) -> IssuedToken:
    """Issue the next token in the place of the given one, which is good no more.

    One that was used or revoked before is in the wrong hands, its owner's or the other's: TokenReused, and its whole
    family is revoked, so that both have to log in. Used twice at once, it is so too: one caller gets a token that is
    revoked already. RefreshRefused for a token that is unknown or has expired.
    """
    digest, fresh = digest_of(token), new_token("rt")
    reused = None
    with db.transaction("read committed") as conn:  # so that each statement sees what the family's lock waited for
        family = next(iter(refresh_tokens.lock_family(conn, token_hash=digest)), None)
        if family is None:
            raise RefreshRefused
        rotated = refresh_tokens.replace_token(conn, token_hash=digest, next_hash=fresh.digest, lifetime=lifetime)
        if rotated is None:
            given = refresh_tokens.get_token(conn, token_hash=digest)
            reused = family if given is not None and given.revoked_at is not None else None
        if reused is not None:
            refresh_tokens.revoke_family(conn, family=reused)
    if reused is not None:
        raise TokenReused(reused)
    if rotated is None:
        raise RefreshRefused
    return IssuedToken(fresh.secret, rotated)


def log_out(db: View, token: str | SecretStr) -> bool:
    """Revoke the family of a token; tell whether any of it was still good."""
    digest = digest_of(token)
    with db.transaction("read committed") as conn:
        family = next(iter(refresh_tokens.lock_family(conn, token_hash=digest)), None)
        return family is not None and refresh_tokens.revoke_family(conn, family=family) > 0
