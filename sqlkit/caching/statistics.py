"""What a cache counts: look-ups that it answered and did not, of itself and of each query that asks it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from sqlkit.caching.tiers import TierHealth

__all__ = ["CacheHealth", "CacheStatistics", "Counter", "LookUps"]


@dataclass(frozen=True, slots=True)
class CacheHealth:
    """How a cache is: each tier, and whether it hears of the writes of other processes (None: it need not).

    ``tags`` says why no versions of tags can be read, so that nothing is served: the tables were never made.
    """

    tiers: tuple[TierHealth, ...]
    hears: bool | None
    tags: str | None = None

    @property
    def healthy(self) -> bool:
        """Whether all circuits are closed, the listener hears, and versions of tags can be read."""
        return self.hears is not False and self.tags is None and all(tier.state == "closed" for tier in self.tiers)

    @property
    def reasons(self) -> list[str]:
        """Say what is not well: a sentence for each, without secrets."""
        told = [f"{tier.name}: the circuit is {tier.state} ({tier.reason})" for tier in self.tiers if _ails(tier)]
        told += [self.tags] if self.tags is not None else []
        return [*told, "the listener hears nothing: memory is not served"] if self.hears is False else told


def _ails(tier: TierHealth) -> bool:
    return tier.state != "closed"


@dataclass(frozen=True, slots=True)
class LookUps:
    """How many keys were looked up and found, and how many were not."""

    hits: int
    misses: int


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """What a cache counted since it was made; nothing in it is a value or a key.

    ``hits`` and ``misses`` count keys that were asked for, ``fills`` values that were kept, ``stale`` entries that a
    tier had and whose tags have other versions by now, ``unfit`` those that no longer fit their type, ``cuts`` how
    often the listener was cut off. ``queries`` has the hits and misses of each cached query by its name
    (``soleil.songs.get_song``), which are among those of the cache.
    """

    name: str
    hits: int
    misses: int
    fills: int
    stale: int
    unfit: int
    hears: bool | None
    cuts: int
    tiers: tuple[TierHealth, ...]
    queries: Mapping[str, LookUps]


class Counter:
    """Numbers that threads count up."""

    __slots__ = ("_lock", "fills", "hits", "misses", "stale", "unfit")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.hits = self.misses = self.fills = self.stale = self.unfit = 0

    def hit(self) -> None:
        """Count one key that was found: the path that has to be short."""
        with self._lock:
            self.hits += 1

    def add(self, *, hits: int = 0, misses: int = 0, fills: int = 0, stale: int = 0, unfit: int = 0) -> None:
        """Count."""
        with self._lock:
            self.hits += hits
            self.misses += misses
            self.fills += fills
            self.stale += stale
            self.unfit += unfit

    def look_ups(self) -> LookUps:
        """Return the hits and the misses of one moment."""
        with self._lock:
            return LookUps(self.hits, self.misses)
