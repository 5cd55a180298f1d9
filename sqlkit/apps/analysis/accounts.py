"""Signing up and in: argon2id hashes, and the bcrypt ones of before, which are replaced at the next login."""

from __future__ import annotations

from pydantic import SecretStr

from sqlkit import Executor
from sqlkit.apps.analysis.models import NewUser, User
from sqlkit.apps.analysis.queries import users
from sqlkit.security import check_password, hash_password

__all__ = ["sign_in", "sign_up"]


def sign_up(db: Executor, username: str, email: str, password: str | SecretStr) -> User:
    """Create a user with the hash of their password; UniqueViolation for a taken name or address.

    Raises pydantic's ValidationError for a name or an address that is none.
    """
    return users.create_user(db, user=NewUser(username=username, email=email, hashed_password=hash_password(password)))


def sign_in(db: Executor, login: str, password: str | SecretStr) -> User | None:
    """Return the active user of a name or an address if the password is theirs; it takes as long where it is not.

    A hash that is outdated (bcrypt's, or of weaker parameters) is replaced, now that the password is known.
    """
    found = users.get_credentials(db, login=login)
    checked = check_password(found.hashed_password if found else None, password)
    if found is None or not checked:
        return None
    if checked.outdated:
        # A cached user has no hash; that they were changed just now may come to light with the time to live.
        users.replace_password(db, user_id=found.user_id, old=found.hashed_password, new=hash_password(password))
    return users.get_user(db, user_id=found.user_id)
