"""API keys: issued once, verified by their hash."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import SecretStr

from sqlkit import Executor
from sqlkit.apps.openai_frontend.models import ApiKey, KeyDigest, NewApiKey, VerifiedKey
from sqlkit.apps.openai_frontend.queries import api_keys
from sqlkit.security import digest_of, new_token

__all__ = ["IssuedKey", "issue_api_key", "verify_api_key"]


class IssuedKey(NamedTuple):
    """A key, which is shown once and stands nowhere, and its row."""

    key: SecretStr
    row: ApiKey


def issue_api_key(db: Executor, *, key: NewApiKey) -> IssuedKey:
    """Make a key of 256 random bits; ForeignKeyViolation for an unknown user."""
    fresh = new_token("sk")
    digest = KeyDigest(key_prefix=fresh.shown, key_hash=fresh.digest)
    row = api_keys.create_api_key(db, key=key, digest=digest)
    return IssuedKey(fresh.secret, row)


def verify_api_key(db: Executor, key: str | SecretStr) -> VerifiedKey | None:
    """Return whose key it is; None if it is unknown, not active, revoked or expired, or its user is not active.

    Its use is noted, at most once a minute, whoever and however many call.
    """
    return api_keys.verify_api_key(db, key_hash=digest_of(key))
