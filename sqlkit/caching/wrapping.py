"""``cached``: a typed query that asks a cache first, with its own signature."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from functools import partial, wraps
from string import Formatter
from types import NoneType
from typing import Any, NamedTuple, TypeVar, cast
from uuid import UUID

import psycopg
from pydantic import TypeAdapter

from sqlkit.caching.cache import AsyncCache, Cache, Terms
from sqlkit.caching.entries import JITTER, MISS, Seconds, adapter_of, checked_tags, lifetime
from sqlkit.caching.statistics import Counter
from sqlkit.contracts.contract import Cardinality, Contract
from sqlkit.errors import ArgumentError, ConfigurationError
from sqlkit.tally import Tally

__all__ = ["cached"]

W = TypeVar("W")
F = TypeVar("F", bound=Callable[..., Any])
KEEPS = (Cardinality.ONE, Cardinality.OPTIONAL, Cardinality.ALL)
CONNECTIONS = (psycopg.Connection, psycopg.AsyncConnection)
PLAIN = frozenset({int, str, bool, NoneType, UUID})
MOST = 4096  # calls whose keys are remembered
ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)


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
    writes, streams or returns no rows, and for a cache of the other colour; ArgumentError for a key or a tag with what
    is no parameter.
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
    plain = tags if callable(tags) else tuple(checked_tags(tags))
    if isinstance(key, str) and "{" in key:
        _check_template(contract, "key", key)
    for tag in () if callable(plain) else plain:
        _check_template(contract, "tags", tag)
    plan = _Plan(query, contract, key, plain, cache, counter, ttl, jitter)
    run = _wrapped_async if contract.asynchronous else _wrapped
    return cast("F", wraps(query)(run(plan, cast("Any", cache), counter)))


def _check_template(contract: Contract, what: str, template: str) -> None:
    """Raise ArgumentError for a text with braces around what is no parameter of a query."""
    known = [name for name in contract.signature.parameters if name != contract.executor]
    try:
        fields = list(_fields(template))
    except ValueError as error:
        raise ArgumentError(f"{contract.label}: cached: {what}: {template!r}: {error}") from None
    for field in fields:
        if field not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise ArgumentError(f"{contract.label}: cached: {what}: {template!r}: no parameter {field!r}: {takes}")


def _fields(template: str) -> Iterable[str]:
    """Yield the names that stand in braces, those of a format too; ValueError for braces that do not fit."""
    for _, field, form, _ in Formatter().parse(template):
        if field is not None:
            yield field.partition(".")[0].partition("[")[0]
            yield from _fields(form or "")


class Names(NamedTuple):
    """What a call is kept under."""

    name: str  # the key as the tiers know it
    terms: Terms


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
        ttl: Seconds,
        jitter: float,
    ) -> None:
        self.query = query
        self._counter = counter
        self._covers = cache.tags.covers
        self._named = cache.named
        self._ttl = ttl
        self._jitter = jitter
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
        return Names(self._named(key), Terms(key, tags, self._ttl, self._jitter))

    def _filled(self, **given: Any) -> list[str]:
        return [tag.format_map(given) for tag in self._tags]


def _wrapped(plan: _Plan, cache: Cache, counter: Counter) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        names = plan.names(arguments, keywords)
        if names is None:
            return plan.query(*arguments, **keywords)
        value = cache.quick(names.name, plan.adapter)
        if value is not MISS:
            counter.hit()
            return value
        make = partial(plan.query, *arguments, **keywords)
        return cache.through(names.name, plan.kind, make, names.terms, counter)

    return call


def _wrapped_async(plan: _Plan, cache: AsyncCache, counter: Counter) -> Callable[..., Awaitable[Any]]:
    async def call(*arguments: Any, **keywords: Any) -> Any:
        names = plan.names(arguments, keywords)
        if names is None:
            return await plan.query(*arguments, **keywords)
        value = cache.quick(names.name, plan.adapter)
        if value is not MISS:
            counter.hit()
            return value
        make = partial(plan.query, *arguments, **keywords)
        return await cache.through(names.name, plan.kind, make, names.terms, counter)

    return call
