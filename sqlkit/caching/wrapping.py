"""``cached``: a typed query that asks a cache first, with its own signature."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from copy import deepcopy
from functools import partial, wraps
from types import NoneType
from typing import Any, Generic, Literal, NamedTuple, TypeVar, cast
from uuid import UUID

import psycopg
from pydantic import TypeAdapter

from sqlkit.caching.cache import AsyncCache, Cache
from sqlkit.caching.entries import JITTER, MISS, Seconds, adapter_of, checked_tags, lifetime
from sqlkit.caching.statistics import Counter
from sqlkit.contracts.contract import Cardinality, Contract
from sqlkit.database.following import from_primary
from sqlkit.errors import ConfigurationError
from sqlkit.tally import Tally

__all__ = ["cached"]

W = TypeVar("W")
F = TypeVar("F", bound=Callable[..., Any])
KEEPS = (Cardinality.ONE, Cardinality.OPTIONAL, Cardinality.ALL)
CONNECTIONS = (psycopg.Connection, psycopg.AsyncConnection)
PLAIN = frozenset({int, str, bool, NoneType, UUID})
MOST = 4096  # calls whose keys are remembered
ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)


class Outcome(NamedTuple):
    """How a flight ended: with a value, an error, or nothing, when its leader was interrupted."""

    end: Literal["value", "error", "nothing"]
    what: Any = None


def cached(
    query: F,
    cache: Cache | AsyncCache,
    *,
    key: str | Callable[..., str] | None = None,
    ttl: Seconds = 3600.0,
    jitter: float = JITTER,
    tags: Iterable[str] | Callable[..., Iterable[str]] = (),
) -> F:
    """Wrap a method of a loaded Protocol so that it asks a cache first; it keeps the method's signature.

    ``key`` is a name, the method's own unless given, to which all arguments are added; or the whole key, in which
    ``{song_id}`` stands for an argument; or a function that makes it of them. ``tags`` are texts in which arguments
    stand like that, or a function that makes them. Calls that miss one key at the same time run the query once. What
    runs on a connection rather than a database bypasses the cache: it may be in a transaction, which sees what others
    may not; so does a view of another schema than that of the cache's tags. Raises ConfigurationError for a query that
    writes, streams or returns no rows, and for a cache of the other colour.
    """
    contract: Contract | None = getattr(query, "sqlkit_contract", None)
    if contract is None:
        raise ConfigurationError(f"cached({getattr(query, '__qualname__', query)!s}): give a method that load made")
    statement = cast("Any", query).sqlkit_statement
    if contract.cardinality not in KEEPS or statement.writes:
        raise ConfigurationError(f"{contract.label}: only a query that reads and returns rows can be cached")
    if contract.asynchronous is not isinstance(cache, AsyncCache):
        wanted = "an AsyncCache" if contract.asynchronous else "a Cache"
        raise ConfigurationError(f"{contract.label}: takes {wanted}, not {type(cache).__name__}")
    lifetime(ttl, jitter)
    counter = cache.counter_of(statement.full_name)
    plan = _Plan(query, contract, key, tags if callable(tags) else tuple(checked_tags(tags)), cache, counter)
    run = _wrapped_async if contract.asynchronous else _wrapped
    keep: Any = partial(cache.set, kind=plan.kind, ttl=ttl, jitter=jitter)
    return cast("F", wraps(query)(run(plan, cast("Any", cache), keep, counter)))


class Names(NamedTuple):
    """What a call is kept under."""

    key: str
    tags: frozenset[str]
    name: str  # the key as the tiers know it


class Flight(Generic[W]):
    """A query that is under way, and how many wait for it beside the one who runs it."""

    def __init__(self, outcome: W) -> None:
        self.outcome = outcome
        self.waiting = 0


class _Plan:
    """What a call is kept under, and what it returns."""

    def __init__(
        self,
        query: Any,
        contract: Contract,
        key: Any,
        tags: Any,
        cache: Cache | AsyncCache,
        counter: Counter,
    ) -> None:
        self.query = query
        self._counter = counter
        self._covers = cache.tags.covers
        self._named = cache.named
        self._executor = contract.executor
        self._signature = contract.signature
        self._name: Any = f"{contract.interface.__module__}.{query.__qualname__}" if key is None else key
        self._tags: Any = tags
        self._remembered: dict[Any, Names | None] = {}
        row: Any = contract.row.annotation if contract.row is not None else None
        self.kind: Any = list[row] if contract.cardinality is Cardinality.ALL else row
        if contract.cardinality is Cardinality.OPTIONAL:
            self.kind = row | None
        self.adapter = adapter_of(self.kind)

    def names(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Names | None:
        """Return what a call is kept under, None where it bypasses the cache; that of plain arguments is remembered."""
        db = arguments[0] if arguments else keywords.get(self._executor)
        if isinstance(db, CONNECTIONS):
            return None
        values = (*arguments[1:], *keywords.values())
        kinds = tuple(map(type, values))
        if callable(self._name) or callable(self._tags) or not PLAIN.issuperset(kinds):
            return self._names(db, arguments, keywords)
        # 1 and True are equal, their types are not.
        call = (getattr(db, "local", None), values, kinds, tuple(keywords))
        if call in self._remembered:
            return self._remembered[call]
        found = self._names(db, arguments, keywords)
        if len(self._remembered) >= MOST:
            self._remembered = {}
        self._remembered[call] = found
        return found

    def _names(self, db: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Names | None:
        if not self._covers(db):
            return None
        tally: Tally | None = getattr(db, "tally", None)
        if tally is not None:  # whose statistics tell of the hits too
            tally.adopt(self.query.sqlkit_statement, self._counter)
        bound = self._signature.bind(*arguments, **keywords)
        bound.apply_defaults()
        given = {name: value for name, value in bound.arguments.items() if name != self._executor}
        made: Callable[..., Any] = self._tags if callable(self._tags) else self._filled
        tags = checked_tags(made(**given))
        key: str
        if callable(self._name):
            key = cast("str", self._name(**given))
        elif "{" in self._name:
            key = self._name.format_map(given)
        else:
            values = ANYTHING.dump_json([[name, type(value).__name__, value] for name, value in given.items()])
            key = f"{self._name}:{hashlib.sha256(values).hexdigest()[:40]}"
        local = getattr(db, "local", None)
        if local is not None:  # a tenant, a role: what one may see is not what another may
            key += "@" + hashlib.sha256(repr((local.settings, local.path)).encode()).hexdigest()[:40]
        return Names(key, tags, self._named(key))

    def _filled(self, **given: Any) -> list[str]:
        return [tag.format_map(given) for tag in self._tags]


def _wrapped(plan: _Plan, cache: Cache, keep: Callable[..., None], counter: Counter) -> Callable[..., Any]:
    flights: dict[Any, Flight[Future[Outcome]]] = {}
    lock = threading.Lock()

    def call(*arguments: Any, **keywords: Any) -> Any:
        names = plan.names(arguments, keywords)
        if names is None:
            return plan.query(*arguments, **keywords)
        value = cache.quick(names.name, plan.adapter)
        if value is not MISS:
            counter.hit()
            return value
        key, tags = names.key, names.tags
        found = cache.look_up(key, plan.kind)
        if key in found:
            counter.hit()
            return found[key]
        counter.add(misses=1)
        while True:
            versions = cache.seen(*tags)
            if versions is None:
                return plan.query(*arguments, **keywords)
            # Whoever comes after a commit does not wait for what was selected before it.
            flight_key = (key, frozenset(versions.items()))
            with lock:
                flight = flights.get(flight_key)
                leads = flight is None
                if flight is None:
                    flight = flights[flight_key] = Flight(Future())
                else:
                    flight.waiting += 1
            if not leads:
                outcome = flight.outcome.result()
                if outcome.end == "nothing":
                    continue
                return _landed(outcome)
            outcome = Outcome("nothing")
            try:
                found = cache.look_up(key, plan.kind)  # the flight before may have landed meanwhile
                if key not in found:
                    with from_primary():  # a replica may not have yet what the versions stand for
                        found = {key: plan.query(*arguments, **keywords)}
                    keep(key, found[key], tags=tags, versions=versions)
                outcome = Outcome("value", found[key])
                return found[key]
            except Exception as error:
                outcome = Outcome("error", error)
                raise
            finally:
                with lock:
                    del flights[flight_key]
                flight.outcome.set_result(_shared(outcome, flight.waiting))

    return call


def _wrapped_async(
    plan: _Plan, cache: AsyncCache, keep: Callable[..., Awaitable[None]], counter: Counter
) -> Callable[..., Awaitable[Any]]:
    flights: dict[Any, Flight[asyncio.Future[Outcome]]] = {}

    async def call(*arguments: Any, **keywords: Any) -> Any:
        names = plan.names(arguments, keywords)
        if names is None:
            return await plan.query(*arguments, **keywords)
        value = cache.quick(names.name, plan.adapter)
        if value is not MISS:
            counter.hit()
            return value
        key, tags = names.key, names.tags
        found = await cache.look_up(key, plan.kind)
        if key in found:
            counter.hit()
            return found[key]
        counter.add(misses=1)
        while True:
            versions = await cache.seen(*tags)
            if versions is None:
                return await plan.query(*arguments, **keywords)
            loop = asyncio.get_running_loop()
            flight_key = (id(loop), key, frozenset(versions.items()))
            flight = flights.get(flight_key)
            if flight is not None:
                flight.waiting += 1
                outcome = await asyncio.shield(flight.outcome)
                if outcome.end == "nothing":
                    continue
                return _landed(outcome)
            flight = flights[flight_key] = Flight(loop.create_future())
            outcome = Outcome("nothing")
            try:
                found = await cache.look_up(key, plan.kind)
                if key not in found:
                    with from_primary():
                        found = {key: await plan.query(*arguments, **keywords)}
                    await keep(key, found[key], tags=tags, versions=versions)
                outcome = Outcome("value", found[key])
                return found[key]
            except Exception as error:
                outcome = Outcome("error", error)
                raise
            finally:
                del flights[flight_key]
                flight.outcome.set_result(_shared(outcome, flight.waiting))

    return call


def _shared(outcome: Outcome, waiting: int) -> Outcome:
    """Return an outcome for those who wait, whose value nobody changes meanwhile."""
    return Outcome("value", deepcopy(outcome.what)) if waiting and outcome.end == "value" else outcome


def _landed(outcome: Outcome) -> Any:
    """Return or raise how another's flight ended; each has a value of its own."""
    if outcome.end == "error":
        raise outcome.what
    return deepcopy(outcome.what)
