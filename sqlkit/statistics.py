"""What the queries of a Database have done: calls, rows, errors, time, cache hits, by their names.

Each connection counts for itself, and only one thread or task at a time uses it: nothing is lost, and no call takes a
lock. Whoever asks gets the sum over all connections, those that are closed included::

    connection 1   {get_song: [calls by time, nanoseconds, rows]}  -+
    connection 2   {get_song: [calls by time, nanoseconds, rows]}  -+->  Tally.read()  ->  Statistics
    closed ones    {get_song: [calls by time, nanoseconds, rows]}  -+
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

from sqlkit.statements import Statement

__all__ = [
    "AD_HOC",
    "ROWS",
    "TIME",
    "Counts",
    "Event",
    "Hits",
    "QueryStatistics",
    "Statistics",
    "Tally",
    "combined",
    "figures_of",
    "upper_bound",
]

#: A bucket for each power of two: bucket i has the calls that took less than 2**i nanoseconds, and 2**(i - 1) or more.
BUCKETS = 64

#: What ad hoc statements are called, all of them together.
AD_HOC = "ad hoc"

#: More nanoseconds than any call takes: there is nothing to tell of it.
NEVER = 1 << 63

#: The figures of a query: the buckets, then nanoseconds and rows.
TIME, ROWS = BUCKETS, BUCKETS + 1

#: What one connection has counted; None stands for all ad hoc statements, of which there may be any number.
Counts: TypeAlias = dict[Statement | None, list[int]]

log = logging.getLogger("sqlkit.queries")


def upper_bound(bucket: int) -> float:
    """Return the time in seconds below which the calls of a bucket took."""
    return float((1 << bucket) / 1e9)


def figures_of(counts: Counts, statement: Statement) -> list[int]:
    """Return the figures of a statement that has none yet, or is ad hoc."""
    key = _key(statement)
    return counts.setdefault(key, [0] * (BUCKETS + 2))


def _key(statement: Statement) -> Statement | None:
    return statement if statement.full_name else None


class Hits(Protocol):
    """What counts the calls of a query that a cache answered."""

    hits: int


@dataclass(frozen=True, slots=True)
class Event:
    """One call of a query that has ended: after so many ``nanoseconds``, with ``rows``, or with an ``error``.

    ``text`` is what the server ran, with ``$1`` for values. ``size`` is the number of items of a batch or a copy, None
    for any other call. Nothing here is a value, but the error's text may quote one.
    """

    statement: Statement
    text: str
    nanoseconds: int
    rows: int
    error: BaseException | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class QueryStatistics:
    """What one query has done.

    ``name`` is ``soleil.songs.get_song``, ``place`` its file and line. ``calls`` ran on the database, those that failed
    included; ``hits`` are those that a cache answered instead. ``rows`` were returned, or affected. ``errors`` counts
    by the error's class. ``nanoseconds`` is the time of all calls together: from the lent connection to the objects,
    without the wait for one. ``histogram[i]`` calls took less than ``2**i`` nanoseconds, and no less than half of it.
    """

    name: str
    place: str
    calls: int = 0
    rows: int = 0
    hits: int = 0
    nanoseconds: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    histogram: tuple[int, ...] = (0,) * BUCKETS

    @property
    def seconds(self) -> float:
        """The time of all calls together, in seconds."""
        return self.nanoseconds / 1e9

    @property
    def mean(self) -> float:
        """The mean time of a call in seconds; 0 where there was none."""
        return self.seconds / self.calls if self.calls else 0.0

    @property
    def failed(self) -> int:
        """How many calls ended with an error."""
        return sum(self.errors.values())

    def quantile(self, share: float) -> float:
        """Return the time in seconds in which a share of the calls (0.95) ended, to the next power of two above."""
        seen = 0
        for bucket, calls in enumerate(self.histogram):
            seen += calls
            if seen and seen >= share * self.calls:
                return upper_bound(bucket)
        return 0.0


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the queries of a Database have done ``since`` a time; those that took longest altogether come first."""

    since: datetime
    queries: tuple[QueryStatistics, ...]

    def __iter__(self) -> Iterator[QueryStatistics]:
        return iter(self.queries)

    def __len__(self) -> int:
        return len(self.queries)

    def __getitem__(self, name: str) -> QueryStatistics:
        """Return the figures of a query by its full name, or by its end if no other ends so; KeyError."""
        found = [query for query in self.queries if query.name == name]
        found = found or [query for query in self.queries if query.name.endswith(f".{name}")]
        if len(found) != 1:
            raise KeyError(name)
        return found[0]


class Tally:
    """Counts for all connections of one Database, and tells of calls that are worth a word.

    ``notice`` is the time in nanoseconds from which on a call is one: those that took ``slow`` seconds go to the log,
    and all to the observers, if there are any. ``timeouts`` counts callers who waited for a connection in vain.
    """

    def __init__(self, slow: float | None = None) -> None:
        self.notice = self._slow = NEVER if slow is None else round(slow * 1e9)
        self._observers: tuple[Callable[[Event], object], ...] = ()
        self._lock = threading.Lock()
        self._open: list[tuple[weakref.ref[Any], Counts]] = []
        self._closed: Counts = {}
        self._errors: dict[Statement | None, Counter[str]] = {}
        self._caches: dict[Statement | None, list[Hits]] = {}
        self._base: dict[tuple[str, str], QueryStatistics] = {}
        self.timeouts = 0
        self._began = self._since = datetime.now(UTC)

    def join(self, conn: object, counts: Counts) -> None:
        """Take in what a new connection counts; it is kept when the connection is gone."""
        with self._lock:
            self._fold()
            self._open.append((weakref.ref(conn), counts))

    def failed(self, statement: Statement, error: BaseException) -> None:
        """Count an error by its class."""
        with self._lock:
            self._errors.setdefault(_key(statement), Counter())[type(error).__name__] += 1

    def timed_out(self) -> None:
        """Count a caller who waited for a connection in vain."""
        with self._lock:
            self.timeouts += 1

    def adopt(self, statement: Statement, cache: Hits) -> None:
        """Take in what a cache counts of a query; a second time does nothing."""
        with self._lock:
            known = self._caches.setdefault(statement, [])
            if cache not in known:
                known.append(cache)

    def tell(self, event: Event) -> None:
        """Tell the log of a call that took long, and the observers of any."""
        if event.nanoseconds >= self._slow:
            result = f"{event.rows} rows" if event.error is None else type(event.error).__name__
            name = event.statement.full_name or AD_HOC
            log.warning("%s: slow: %.3f s, %s (%s)", event.statement.label, event.nanoseconds / 1e9, result, name)
        for observer in self._observers:
            try:
                observer(event)
            except Exception:  # of who watches: the call itself has its answer
                log.warning("%s: an observer failed", event.statement.label, exc_info=True)

    def observe(self, observer: Callable[[Event], object]) -> Callable[[], None]:
        """Call a function at the end of each call, in the call's own thread and context; return what ends that.

        What it raises goes to the log, for the call has its answer.
        """
        with self._lock:
            self._observers = (*self._observers, observer)
            self.notice = 0

        def leave() -> None:
            with self._lock:
                self._observers = tuple(each for each in self._observers if each is not observer)
                self.notice = 0 if self._observers else self._slow

        return leave

    def read(self, *, reset: bool = False, whole: bool = False) -> Statistics:
        """Return what was counted since the last reset; with ``reset`` count from now on, and lose no call between.

        With ``whole`` return all that was ever counted, whatever was reset: it only grows. Calls go on meanwhile, so
        what ends just now may be in it with its time and not yet as a call.
        """
        with self._lock:
            self._fold()
            total = self._total()
            base, since = ({}, self._began) if whole else (self._base, self._since)
            found = [combined(query, base[key], -1) if key in base else query for key, query in total]
            if reset:
                self._base, self._since = dict(total), datetime.now(UTC)
        found = [query for query in found if query.calls or query.hits]
        return Statistics(since, tuple(sorted(found, key=lambda query: (-query.nanoseconds, query.name, query.place))))

    def _fold(self) -> None:
        """Keep the figures of connections that are gone, and forget them."""
        alive: list[tuple[weakref.ref[Any], Counts]] = []
        gone: list[Counts] = []
        for conn, counts in self._open:
            if conn() is None:
                gone.append(counts)
            else:
                alive.append((conn, counts))
        self._open = alive
        self._closed = _added([self._closed, *gone]) if gone else self._closed

    def _total(self) -> list[tuple[tuple[str, str], QueryStatistics]]:
        figures = _added([self._closed, *(counts for _, counts in self._open)])
        total: dict[tuple[str, str], QueryStatistics] = {}
        for statement in {**figures, **self._caches}:
            query = self._query(statement, figures.get(statement) or [0] * (BUCKETS + 2))
            key = query.name, query.place  # of which there are two where a file was loaded twice
            total[key] = combined(total[key], query) if key in total else query
        return list(total.items())

    def _query(self, statement: Statement | None, figures: list[int]) -> QueryStatistics:
        return QueryStatistics(
            name=AD_HOC if statement is None else statement.full_name,
            place="" if statement is None else statement.place,
            calls=sum(figures[:BUCKETS]),
            rows=figures[ROWS],
            hits=sum(cache.hits for cache in self._caches.get(statement, ())),
            nanoseconds=figures[TIME],
            errors=dict(self._errors.get(statement, {})),
            histogram=tuple(figures[:BUCKETS]),
        )


def _added(parts: Iterable[Counts]) -> Counts:
    """Add figures up; the parts may grow meanwhile."""
    total: Counts = {}
    for part in parts:
        for statement, figures in list(part.items()):
            known = total.get(statement)
            total[statement] = list(figures) if known is None else [a + b for a, b in zip(known, figures, strict=True)]
    return total


def combined(one: QueryStatistics, other: QueryStatistics, sign: int = 1) -> QueryStatistics:
    """Add the figures of another to those of a query; with the sign -1 take them away."""
    errors = {
        kind: one.errors.get(kind, 0) + sign * other.errors.get(kind, 0) for kind in {**one.errors, **other.errors}
    }
    return QueryStatistics(
        name=one.name,
        place=one.place,
        calls=one.calls + sign * other.calls,
        rows=one.rows + sign * other.rows,
        hits=one.hits + sign * other.hits,
        nanoseconds=one.nanoseconds + sign * other.nanoseconds,
        errors={kind: number for kind, number in errors.items() if number},
        histogram=tuple(a + sign * b for a, b in zip(one.histogram, other.histogram, strict=True)),
    )
