"""What a cache keeps under a key: a value as JSON, until when, and the versions of its tags when it was selected."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from sqlkit.errors import ArgumentError

__all__ = ["JITTER", "LONGEST", "MISS", "Entry", "Seconds", "Versions", "adapter_of", "checked_tags", "lifetime"]

LONGEST = 7 * 24 * 3600.0  # seconds; versions of tags are swept when they are older than that
JITTER = 0.1  # entries made together shall not expire together
MISS: Any = object()

Seconds = float | timedelta
Versions = Mapping[str, int]


@lru_cache(maxsize=512)
def adapter_of(kind: Any) -> TypeAdapter[Any]:
    """Return pydantic's adapter for a type, made once."""
    return TypeAdapter(kind)


def lifetime(ttl: Seconds, jitter: float = JITTER) -> float:
    """Return the seconds that an entry lives: by chance up to ``jitter`` of it less than asked.

    Raises ArgumentError for a time that is none, not above zero or above a week, and a ``jitter`` not below one.
    """
    if not 0 <= jitter < 1:
        raise ArgumentError(f"jitter: {jitter:g}: give a part of the time to live, 0 or more and less than 1")
    try:
        seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else float(ttl)
    except (TypeError, ValueError):
        raise ArgumentError(f"ttl: {ttl!r}: give seconds as a number, or a timedelta") from None
    if not 0 < seconds <= LONGEST:
        raise ArgumentError(f"ttl: {seconds:g} seconds: give more than 0 and at most {LONGEST:g}, a week")
    return seconds * (1 - jitter * random.random())  # noqa: S311 - chance, not a secret


def checked_tags(tags: Iterable[str]) -> frozenset[str]:
    """Return tags as a set; ArgumentError for one that the database could not keep."""
    if isinstance(tags, str):
        raise ArgumentError("tags: give a list of texts, not one text")
    found = frozenset(tags)
    for tag in found:
        if not 1 <= len(tag) <= 500 or "\0" in tag:
            raise ArgumentError("tags: a tag has 1 to 500 characters, none of them NUL")
    return found


@dataclass(frozen=True, slots=True)
class Entry:
    """A value as JSON, the moment at which it expires (seconds since 1970), and its tags' versions."""

    body: bytes
    expires: float
    versions: Versions

    @classmethod
    def of(cls, value: object, adapter: TypeAdapter[Any], seconds: float, versions: Versions) -> Entry | None:
        """Make the entry of a value; None for one that JSON would not give back as it is (NaN, a masked secret)."""
        try:
            body = adapter.dump_json(value, round_trip=True, warnings="error")
        except (PydanticSerializationError, ValueError, TypeError):
            return None
        entry = cls(body, time.time() + seconds, versions)
        return entry if entry.value(adapter) == value else None

    def value(self, adapter: TypeAdapter[Any]) -> Any:
        """Return the value, validated; MISS where it does not fit its type."""
        try:
            return adapter.validate_json(self.body, by_alias=True, by_name=True)
        except (ValidationError, ValueError):
            return MISS

    @property
    def seconds(self) -> float:
        """How long it has to live."""
        return self.expires - time.time()

    def pack(self) -> bytes:
        """Return it as bytes: a line of JSON with what is known of it, then the value."""
        return json.dumps([self.expires, dict(self.versions)]).encode() + b"\n" + self.body

    @classmethod
    def unpack(cls, data: bytes) -> Entry | None:
        """Read what ``pack`` made; None for what it did not make."""
        head, _, body = data.partition(b"\n")
        try:
            expires, versions = json.loads(head)
            return cls(body, float(expires), {str(tag): int(version) for tag, version in versions.items()})
        except (ValueError, TypeError, AttributeError):
            return None
