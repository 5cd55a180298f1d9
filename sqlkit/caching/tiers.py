"""The tiers of a cache: what one does, how it is, and the one in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlkit.caching.circuit import State
from sqlkit.caching.entries import Entry
from sqlkit.errors import ConfigurationError

__all__ = ["AsyncTier", "MemoryTier", "Tier", "TierHealth"]


@dataclass(frozen=True, slots=True)
class TierHealth:
    """How a tier is: its circuit, what it was asked for, and why it failed last (None where it did not).

    ``hits`` and ``misses`` count keys, ``fills`` entries, ``failures`` calls that failed, ``skipped`` calls that were
    not made since the circuit was open, ``opened`` how often it opened; all since the tier was made.
    """

    name: str
    state: State
    hits: int
    misses: int
    failures: int
    reason: str | None
    fills: int = 0
    skipped: int = 0
    opened: int = 0


class Tier(Protocol):
    """Keeps entries by key. It never raises: what does not work is a miss, and ``health`` says so."""

    @property
    def is_local(self) -> bool:
        """Whether it dies with the process, so that it is empty while nobody tells it of writes."""
        ...

    def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the entries that are there."""
        ...

    def set(self, key: str, entry: Entry) -> None:
        """Keep an entry."""
        ...

    def delete(self, key: str) -> None:
        """Forget the entry of a key."""
        ...

    def health(self) -> TierHealth:
        """Say how it is."""
        ...


class AsyncTier(Protocol):
    """Keeps entries by key, on asyncio; otherwise as ``Tier``."""

    @property
    def is_local(self) -> bool:
        """Whether it dies with the process."""
        ...

    async def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the entries that are there."""
        ...

    async def set(self, key: str, entry: Entry) -> None:
        """Keep an entry."""
        ...

    async def delete(self, key: str) -> None:
        """Forget the entry of a key."""
        ...

    def health(self) -> TierHealth:
        """Say how it is."""
        ...


class MemoryTier:
    """Keeps up to ``size`` entries in this process, those used least recently leave first; for both colours.

    Raises ConfigurationError where cachetools is not installed (the extra ``caching``).
    """

    is_local = True

    def __init__(self, size: int = 10_000) -> None:
        try:
            from cachetools import LRUCache
        except ImportError:
            raise ConfigurationError("cachetools is not installed: pip install 'sqlkit[caching]'") from None
        self._entries: LRUCache[str, Entry] = LRUCache(size)
        self._lock = threading.Lock()
        self._hits = self._misses = self._fills = 0

    def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the entries that are there and have not expired."""
        found: dict[str, Entry] = {}
        now = time.time()
        with self._lock:
            for key in keys:
                entry = self._entries.get(key)
                if entry is not None and entry.expires > now:
                    found[key] = entry
                else:
                    self._entries.pop(key, None)
            self._hits += len(found)
            self._misses += len(keys) - len(found)
        return found

    def peek(self, key: str) -> Entry | None:
        """Return the entry of one key, uncounted."""
        with self._lock:
            entry = self._entries.get(key)
            return entry if entry is not None and entry.expires > time.time() else None

    def hit(self) -> None:
        """Count a hit of what was peeked at."""
        with self._lock:
            self._hits += 1

    def set(self, key: str, entry: Entry) -> None:
        """Keep an entry."""
        with self._lock:
            self._entries[key] = entry
            self._fills += 1

    def delete(self, key: str) -> None:
        """Forget the entry of a key."""
        with self._lock:
            self._entries.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def health(self) -> TierHealth:
        """Say how it is: always well."""
        return TierHealth("memory", "closed", self._hits, self._misses, 0, None, self._fills)
