"""What a cache does, without a colour: steps that ask tiers and tags, driven by the two shells of ``cache``."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias

from pydantic import TypeAdapter

from sqlkit.caching.entries import MISS, Entry, Versions
from sqlkit.caching.listener import Listener
from sqlkit.caching.statistics import Counter
from sqlkit.caching.tiers import MemoryTier
from sqlkit.errors import ArgumentError

__all__ = ["Steps", "TagSource", "checked_key", "find", "keep", "seen", "within_reach"]

#: A generator that yields what is to be called (and awaited, in the asynchronous shell) and is sent the answer.
Steps: TypeAlias = Generator[Callable[[], Any], Any, Any]


class TagSource(Protocol):
    """Knows versions of tags, or reads them; of either colour."""

    @property
    def listener(self) -> Listener | None:
        """What hears of the writes of other processes."""
        ...

    @property
    def hears(self) -> bool:
        """Whether a tier in memory may be served."""
        ...

    @property
    def reason(self) -> str | None:
        """Why versions cannot be read until somebody mends it; None where they can be, as far as is known."""
        ...

    def covers(self, db: object) -> bool:
        """Tell whether what a database's writes invalidate is known here: a view of another schema has other tags."""
        ...

    def known(self, tags: Iterable[str]) -> tuple[dict[str, int], int]:
        """Return the versions that are known, and the generation for ``learn``."""
        ...

    def fits(self, versions: Versions) -> bool:
        """Tell whether versions are known to be those of now and a tier in memory may be served: asks nobody."""
        ...

    def learn(self, versions: dict[str, int], generation: int) -> None:
        """Remember what was read."""
        ...

    def read(self, tags: list[str]) -> Any:
        """Return the versions of tags; None where they cannot be known."""
        ...

    def invalidate(self, tags: Iterable[str]) -> Any:
        """Give tags new versions."""
        ...


def checked_key(key: str) -> str:
    """Return a key; ArgumentError for one that not every tier could keep."""
    if not 1 <= len(key) <= 400 or "\0" in key:
        raise ArgumentError("key: a key has 1 to 400 characters, none of them NUL")
    return key


def within_reach(tiers: Sequence[Any], tags: TagSource) -> list[Any]:
    """Return the tiers that may be served now; those in memory are emptied while nobody tells them of writes."""
    if tags.hears:
        return list(tiers)
    for tier in tiers:
        if isinstance(tier, MemoryTier):
            tier.clear()
    return [tier for tier in tiers if not tier.is_local]


def seen(source: TagSource, tags: Iterable[str]) -> Steps:
    """Return the versions of tags at this moment; None where they cannot be known."""
    wanted = frozenset(tags)
    versions, generation = source.known(wanted)
    if len(versions) < len(wanted):
        read = yield partial(source.read, sorted(wanted - versions.keys()))
        if read is None:
            return None
        source.learn(read, generation)
        versions.update(read)
    return versions


def find(
    tiers: Sequence[Any], source: TagSource, keys: Sequence[str], adapter: TypeAdapter[Any], counter: Counter
) -> Steps:
    """Return the values that are there, from the first tier that has each; those above are filled."""
    found: dict[str, Any] = {}
    missing = list(dict.fromkeys(keys))
    reached = within_reach(tiers, source)
    for depth, tier in enumerate(reached):
        if not missing:
            break
        entries = yield partial(tier.get_many, missing)
        for key, entry in (yield from _valid(source, entries, counter)).items():
            value = entry.value(adapter)
            if value is MISS:
                counter.add(unfit=1)
                continue
            found[key] = value
            for upper in reached[:depth]:
                yield partial(upper.set, key, entry)
        missing = [key for key in missing if key not in found]
    return found


def _valid(source: TagSource, entries: dict[str, Entry], counter: Counter) -> Steps:
    """Return the entries that have not expired and whose tags have the versions of now."""
    if not entries:
        return entries
    tags = {tag for entry in entries.values() for tag in entry.versions}
    versions = yield from seen(source, tags)
    if versions is None:
        return {}
    now, items = time.time(), versions.items()
    valid = {key: entry for key, entry in entries.items() if entry.expires > now and entry.versions.items() <= items}
    if len(valid) < len(entries):
        counter.add(stale=len(entries) - len(valid))
    return valid


def keep(
    tiers: Sequence[Any], source: TagSource, key: str, value: object, kind: Any, seconds: float, versions: Versions
) -> Steps:
    """Keep a value in all tiers, lowest first; tell whether it can be kept."""
    entry = Entry.of(value, kind, seconds, versions)
    if entry is None:
        return False
    for tier in reversed(within_reach(tiers, source)):
        yield partial(tier.set, key, entry)
    return True
