"""Who calls openai_frontend over HTTP: a program by its API key, a person by an access token."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from sqlkit.apps import openai_frontend as frontend
from sqlkit.apps.openai_frontend.models import Role
from sqlkit.database import Database
from sqlkit.errors import ArgumentError
from sqlkit.fastapi import database_of
from sqlkit.security import Cipher

__all__ = ["ACCESS_LASTS", "Admin", "AnyCaller", "Caller", "Person", "Sealing", "UsedDatabase", "sealed"]

#: How long an access token is good: it cannot be revoked, so not for long.
ACCESS_LASTS = timedelta(minutes=15)

UsedDatabase = Annotated[Database, database_of()]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a user, by an API key or by an access token (``api_key_id`` is None), and the key's scopes."""

    user_id: int
    role: Role
    api_key_id: int | None
    scopes: tuple[str, ...]


BEARER = HTTPBearer(auto_error=False)


def cipher_of(request: Request) -> Cipher:
    """Return what access tokens are sealed with."""
    found: Cipher = request.app.state.cipher
    return found


Sealing = Annotated[Cipher, Depends(cipher_of)]


def unknown() -> HTTPException:
    """Return the answer for a request without a good key or token."""
    return HTTPException(401, "a good API key or access token is wanted", headers={"WWW-Authenticate": "Bearer"})


def caller(
    db: UsedDatabase, cipher: Sealing, given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]
) -> Caller:
    """Return who calls; 401 for nobody."""
    if given is None:
        raise unknown()
    if given.credentials.startswith("sk_"):
        key = frontend.verify_api_key(db, given.credentials)
        if key is None:
            raise unknown()
        return Caller(key.user_id, key.role, key.api_key_id, tuple(key.scopes))
    user = frontend.users.get_user(db, user_id=_opened(cipher, given.credentials))
    if user is None or not user.is_active:
        raise unknown()
    return Caller(user.user_id, user.role, None, ())


def person(found: Annotated[Caller, Depends(caller)]) -> Caller:
    """Return who calls by an access token; 403 for an API key, which must not make others."""
    if found.api_key_id is not None:
        raise HTTPException(403, "an access token is wanted, not an API key")
    return found


def admin(found: Annotated[Caller, Depends(person)]) -> Caller:
    """Return the administrator who calls; 403 for others."""
    if found.role is not Role.ADMIN:
        raise HTTPException(403, "administrators only")
    return found


AnyCaller = Annotated[Caller, Depends(caller)]
Person = Annotated[Caller, Depends(person)]
Admin = Annotated[Caller, Depends(admin)]


def sealed(cipher: Cipher, user_id: int) -> str:
    """Return an access token for a user."""
    until = time.time() + ACCESS_LASTS.total_seconds()
    return str(cipher.encrypt(json.dumps({"user_id": user_id, "until": until})))


def _opened(cipher: Cipher, token: str) -> int:
    """Return whose access token it is; 401 for one that we did not seal, or that is over."""
    try:
        found = json.loads(cipher.decrypt(token))
    except (ArgumentError, UnicodeEncodeError):
        raise unknown() from None
    if found["until"] <= time.time():
        raise unknown()
    user_id: int = found["user_id"]
    return user_id
