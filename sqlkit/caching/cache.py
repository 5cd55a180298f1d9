"""``Cache`` and ``AsyncCache``: tiers behind one interface, whose entries fit the versions of their tags."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from inspect import isawaitable
from typing import Any, NamedTuple, TypeVar

from pydantic import TypeAdapter

from sqlkit.caching.entries import JITTER, MISS, Seconds, Versions, adapter_of, checked_tags, lifetime
from sqlkit.caching.flights import AsyncFlights, Flights
from sqlkit.caching.reading import Steps, TagSource, checked_key, find, keep, seen
from sqlkit.caching.statistics import CacheHealth, CacheStatistics, Counter
from sqlkit.caching.tags import LocalTags
from sqlkit.caching.tiers import AsyncTier, MemoryTier, Tier
from sqlkit.database.following import from_primary

__all__ = ["AsyncCache", "Cache", "Terms"]

T = TypeVar("T")
HOUR = 3600.0


class Terms(NamedTuple):
    """On what terms a value is kept."""

    key: str
    tags: frozenset[str]
    ttl: Seconds
    jitter: float


class _Tiered:
    """What both colours have in common."""

    def __init__(self, tiers: Sequence[Any], tags: TagSource | None, namespace: str, name: str | None) -> None:
        self.name = name or namespace or "cache"
        self.tiers = tuple(tiers)
        self._counter = Counter()
        self._queries: dict[str, Counter] = {}
        self.tags: TagSource = tags or LocalTags()
        self._memory = tiers[0] if tiers and isinstance(tiers[0], MemoryTier) else None
        self._namespace = f"{namespace}:" if namespace else ""
        if self.tags.listener is not None:
            for tier in self.tiers:
                if isinstance(tier, MemoryTier):
                    self.tags.listener.on_cut(tier.clear)

    def named(self, key: str) -> str:
        """Return a key as the tiers know it; ArgumentError for one that they could not keep."""
        return checked_key(self._namespace + key)

    def quick(self, name: str, adapter: TypeAdapter[Any]) -> Any:
        """Return what memory has under a name where nobody is to be asked; else MISS, and nothing is counted."""
        memory = self._memory
        entry = None if memory is None else memory.peek(name)
        if memory is None or entry is None or not self.tags.fits(entry.versions):
            return MISS
        value = entry.value(adapter)
        if value is not MISS:
            memory.hit()
        return value

    def counter_of(self, query: str) -> Counter:
        """Return what counts the look-ups of a query, which are the cache's too."""
        return self._queries.setdefault(query, Counter())

    def _find(self, keys: Iterable[str], kind: Any) -> Steps:
        names = {self.named(key): key for key in keys}
        found = yield from find(self.tiers, self.tags, list(names), adapter_of(kind), self._counter)
        return {names[name]: value for name, value in found.items()}

    def _asked(self, keys: Iterable[str], kind: Any) -> Steps:
        wanted = list(dict.fromkeys(keys))
        found = yield from self._find(wanted, kind)
        self._counter.add(hits=len(found), misses=len(wanted) - len(found))
        return found

    def _keep(
        self,
        key: str,
        value: object,
        kind: Any,
        ttl: Seconds,
        jitter: float,
        tags: Iterable[str],
        versions: Versions | None,
    ) -> Steps:
        name, seconds, wanted = self.named(key), lifetime(ttl, jitter), checked_tags(tags)
        if versions is None:
            versions = yield from seen(self.tags, wanted)
        if versions is not None:
            wanted_kind: Any = type(value) if kind is None else kind
            adapter = adapter_of(wanted_kind)
            kept = yield from keep(self.tiers, self.tags, name, value, adapter, seconds, versions)
            self._counter.add(fills=int(kept))

    def health(self) -> CacheHealth:
        """Say how the tiers and the listener are; asks nobody and never waits."""
        listening = None if isinstance(self.tags, LocalTags) else self.tags.hears
        return CacheHealth(tuple(tier.health() for tier in self.tiers), listening, self.tags.reason)

    def statistics(self) -> CacheStatistics:
        """Return what was counted since the cache was made; asks nobody and never waits."""
        queries = {name: counter.look_ups() for name, counter in list(self._queries.items())}
        own, health, listener = self._counter, self.health(), self.tags.listener
        total = [own.look_ups(), *queries.values()]
        return CacheStatistics(
            name=self.name,
            hits=sum(each.hits for each in total),
            misses=sum(each.misses for each in total),
            fills=own.fills,
            stale=own.stale,
            unfit=own.unfit,
            hears=health.hears,
            cuts=listener.cuts if listener is not None else 0,
            tiers=health.tiers,
            queries=queries,
        )


def _drive(steps: Steps) -> Any:
    answer = None
    while True:
        try:
            call = steps.send(answer)
        except StopIteration as end:
            return end.value
        answer = call()


async def _drive_async(steps: Steps) -> Any:
    answer = None
    while True:
        try:
            call = steps.send(answer)
        except StopIteration as end:
            return end.value
        answer = call()
        if isawaitable(answer):
            answer = await answer


class Cache(_Tiered):
    """A cache of one or more tiers, for threads: reads through them in order, and fills those above.

    ``tags`` says where versions of tags come from: ``DatabaseTags`` where several processes write, else this process
    alone. ``namespace`` keeps what shares a Redis apart: give each database and schema its own. ``name`` is what
    ``statistics`` calls the cache.
    """

    def __init__(
        self, *tiers: Tier, tags: TagSource | None = None, namespace: str = "", name: str | None = None
    ) -> None:
        super().__init__(tiers, tags, namespace, name)
        self._flights = Flights()

    def get(self, key: str, kind: type[T]) -> T | None:
        """Return the value of a key, validated as ``kind``; None where there is none that fits."""
        return self.get_many([key], kind).get(key)

    def get_many(self, keys: Iterable[str], kind: type[T]) -> dict[str, T]:
        """Return the values of those keys that have one that fits, each tier asked once."""
        found: dict[str, T] = _drive(self._asked(keys, kind))
        return found

    def fetch(
        self,
        key: str,
        kind: type[T],
        make: Callable[[], T],
        *,
        ttl: Seconds = HOUR,
        jitter: float = JITTER,
        tags: Iterable[str] = (),
    ) -> T:
        """Return the value of a key; where there is none, make it and keep it, while others who want it wait.

        The tags' versions are those of before it was made, so a write that is committed in between makes it invalid.
        """
        terms = Terms(key, checked_tags(tags), ttl, jitter)
        made: T = self.through(self.named(key), kind, make, terms, self._counter)
        return made

    def through(self, name: str, kind: Any, make: Callable[[], Any], terms: Terms, counter: Counter) -> Any:
        """Return what the cache has, or what is made and kept, as ``fetch`` and ``cached`` do."""
        value = self.quick(name, adapter_of(kind))
        if value is not MISS:
            counter.hit()
            return value
        found = self._look_up(terms.key, kind)
        if terms.key in found:
            counter.hit()
            return found[terms.key]
        counter.add(misses=1)
        while True:
            versions = self.seen(*terms.tags)
            if versions is None:
                return make()
            # Whoever comes after a commit does not wait for what was selected before it.
            flight = (name, id(adapter_of(kind)), frozenset(versions.items()))
            outcome = self._flights.run(flight, partial(self._make, kind, make, terms, versions))
            if outcome.end == "value":
                return outcome.what

    def _make(self, kind: Any, make: Callable[[], Any], terms: Terms, versions: Versions) -> Any:
        found = self._look_up(terms.key, kind)  # the flight before may have landed meanwhile
        if terms.key in found:
            return found[terms.key]
        with from_primary():  # a replica may not have yet what the versions stand for
            value = make()
        key, tags, ttl, jitter = terms
        self.set(key, value, kind=kind, ttl=ttl, jitter=jitter, tags=tags, versions=versions)
        return value

    def _look_up(self, key: str, kind: Any) -> dict[str, Any]:
        found: dict[str, Any] = _drive(self._find((key,), kind))
        return found

    def seen(self, *tags: str) -> Versions | None:
        """Return the versions of tags, for ``set`` after a select that is made now; None where they are not known."""
        versions: Versions | None = _drive(seen(self.tags, checked_tags(tags)))
        return versions

    def set(
        self,
        key: str,
        value: object,
        *,
        kind: Any = None,
        ttl: Seconds = HOUR,
        jitter: float = JITTER,
        tags: Iterable[str] = (),
        versions: Versions | None = None,
    ) -> None:
        """Keep a value for up to ``ttl``, under tags; ``jitter`` is the part of it that chance takes away.

        Give ``versions``, which ``seen`` said before the value was selected: then a write that was committed in
        between makes it invalid. ``kind`` is the type to validate it as, its class unless given. What would not come
        back equal is not kept. Raises ArgumentError for a key, a tag or a ``ttl`` that cannot be.
        """
        _drive(self._keep(key, value, kind, ttl, jitter, tags, versions))

    def delete(self, key: str) -> None:
        """Forget a key in every tier that answers; to be sure of it, use a tag and ``invalidate``."""
        name = self.named(key)
        for tier in self.tiers:
            tier.delete(name)

    def invalidate(self, *tags: str) -> None:
        """Make every entry under these tags invalid, in one step; raises what the database raises."""
        self.tags.invalidate(checked_tags(tags))


class AsyncCache(_Tiered):
    """A cache of one or more tiers, on asyncio; otherwise as ``Cache``. ``MemoryTier`` is for both."""

    def __init__(
        self,
        *tiers: AsyncTier | MemoryTier,
        tags: TagSource | None = None,
        namespace: str = "",
        name: str | None = None,
    ) -> None:
        super().__init__(tiers, tags, namespace, name)
        self._flights = AsyncFlights()

    async def get(self, key: str, kind: type[T]) -> T | None:
        """Return the value of a key, validated as ``kind``; None where there is none that fits."""
        return (await self.get_many([key], kind)).get(key)

    async def get_many(self, keys: Iterable[str], kind: type[T]) -> dict[str, T]:
        """Return the values of those keys that have one that fits, each tier asked once."""
        found: dict[str, T] = await _drive_async(self._asked(keys, kind))
        return found

    async def fetch(
        self,
        key: str,
        kind: type[T],
        make: Callable[[], Awaitable[T]],
        *,
        ttl: Seconds = HOUR,
        jitter: float = JITTER,
        tags: Iterable[str] = (),
    ) -> T:
        """Return the value of a key; where there is none, await ``make`` and keep it; otherwise as ``Cache.fetch``."""
        made: T = await self.through(
            self.named(key), kind, make, Terms(key, checked_tags(tags), ttl, jitter), self._counter
        )
        return made

    async def through(
        self, name: str, kind: Any, make: Callable[[], Awaitable[Any]], terms: Terms, counter: Counter
    ) -> Any:
        """Return what the cache has, or what is made and kept, as ``fetch`` and ``cached`` do."""
        value = self.quick(name, adapter_of(kind))
        if value is not MISS:
            counter.hit()
            return value
        found = await self._look_up(terms.key, kind)
        if terms.key in found:
            counter.hit()
            return found[terms.key]
        counter.add(misses=1)
        while True:
            versions = await self.seen(*terms.tags)
            if versions is None:
                return await make()
            # Whoever comes after a commit does not wait for what was selected before it.
            flight = (name, id(adapter_of(kind)), frozenset(versions.items()))
            outcome = await self._flights.run(flight, partial(self._make, kind, make, terms, versions))
            if outcome.end == "value":
                return outcome.what

    async def _make(self, kind: Any, make: Callable[[], Awaitable[Any]], terms: Terms, versions: Versions) -> Any:
        found = await self._look_up(terms.key, kind)  # the flight before may have landed meanwhile
        if terms.key in found:
            return found[terms.key]
        with from_primary():
            value = await make()
        key, tags, ttl, jitter = terms
        await self.set(key, value, kind=kind, ttl=ttl, jitter=jitter, tags=tags, versions=versions)
        return value

    async def _look_up(self, key: str, kind: Any) -> dict[str, Any]:
        found: dict[str, Any] = await _drive_async(self._find((key,), kind))
        return found

    async def seen(self, *tags: str) -> Versions | None:
        """Return the versions of tags, for ``set`` after a select that is made now; None where they are not known."""
        versions: Versions | None = await _drive_async(seen(self.tags, checked_tags(tags)))
        return versions

    async def set(
        self,
        key: str,
        value: object,
        *,
        kind: Any = None,
        ttl: Seconds = HOUR,
        jitter: float = JITTER,
        tags: Iterable[str] = (),
        versions: Versions | None = None,
    ) -> None:
        """Keep a value for up to ``ttl``, under tags; otherwise as ``Cache.set``."""
        await _drive_async(self._keep(key, value, kind, ttl, jitter, tags, versions))

    async def delete(self, key: str) -> None:
        """Forget a key in every tier that answers."""
        name = self.named(key)
        for tier in self.tiers:
            pending = tier.delete(name)
            if isawaitable(pending):
                await pending

    async def invalidate(self, *tags: str) -> None:
        """Make every entry under these tags invalid, in one step; raises what the database raises."""
        pending = self.tags.invalidate(checked_tags(tags))
        if isawaitable(pending):
            await pending
