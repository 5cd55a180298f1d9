"""What counts the calls of a Database's queries: calls, rows, errors, time, cache hits, by their names.

Each connection counts for itself, and only one thread or task at a time uses it: nothing is lost, and no call takes a
lock. Whoever asks gets the sum over all connections, those that are closed included::

    connection 1   {get_song: [calls by time, nanoseconds, rows]}  -+
    connection 2   {get_song: [calls by time, nanoseconds, rows]}  -+->  Tally.read()  ->  Statistics
    closed ones    {get_song: [calls by time, nanoseconds, rows]}  -+

What is told to who asks is made in ``statistics``, which is imported when somebody does.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from sqlkit.statements import Statement

if TYPE_CHECKING:
    from sqlkit.statistics import Event, QueryStatistics, Statistics

__all__ = ["ROWS", "TIME", "Counts", "Hits", "Tally", "figures_of"]

#: The buckets of the calls by their time; what they hold is said in ``statistics``.
BUCKETS = 64

#: The figures of a query: the buckets, then nanoseconds and rows.
TIME, ROWS = BUCKETS, BUCKETS + 1

#: More nanoseconds than any call takes: there is nothing to tell of it.
NEVER = 1 << 63

#: What one connection has counted; None stands for all ad hoc statements, of which there may be any number.
Counts: TypeAlias = dict[Statement | None, list[int]]

log = logging.getLogger("sqlkit.queries")


def figures_of(counts: Counts, statement: Statement) -> list[int]:
    """Return the figures of a statement that has none yet, or is ad hoc."""
    key = _key(statement)
    return counts.setdefault(key, [0] * (BUCKETS + 2))


def _key(statement: Statement) -> Statement | None:
    return statement if statement.full_name else None


class Hits(Protocol):
    """What counts the calls of a query that a cache answered."""

    hits: int


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
        self._began = self._since = time.time()

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

    def tell(
        self,
        statement: Statement,
        text: str,
        nanoseconds: int,
        rows: int,
        error: BaseException | None = None,
        size: int | None = None,
    ) -> None:
        """Tell the log of a call that took long, and the observers of any, as an ``Event``."""
        if nanoseconds >= self._slow:
            result = f"{rows} row{'' if rows == 1 else 's'}" if error is None else type(error).__name__
            name = statement.full_name or "ad hoc"
            log.warning("%s: slow: %.3f s, %s (%s)", statement.label, nanoseconds / 1e9, result, name)
        if self._observers:
            from sqlkit.statistics import Event

            self._show(Event(statement, text, nanoseconds, rows, error, size))

    def _show(self, event: Event) -> None:
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
        from datetime import UTC, datetime

        from sqlkit.statistics import Statistics, combined

        with self._lock:
            self._fold()
            total = self._total()
            base, since = ({}, self._began) if whole else (self._base, self._since)
            found = [combined(query, base[key], -1) if key in base else query for key, query in total]
            if reset:
                self._base, self._since = dict(total), time.time()
        found = [query for query in found if query.calls or query.hits]
        ordered = sorted(found, key=lambda query: (-query.nanoseconds, query.name, query.place))
        return Statistics(datetime.fromtimestamp(since, UTC), tuple(ordered))

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
        from sqlkit.statistics import combined

        figures = _added([self._closed, *(counts for _, counts in self._open)])
        total: dict[tuple[str, str], QueryStatistics] = {}
        for statement in {**figures, **self._caches}:
            query = self._query(statement, figures.get(statement) or [0] * (BUCKETS + 2))
            key = query.name, query.place  # of which there are two where a file was loaded twice
            total[key] = combined(total[key], query) if key in total else query
        return list(total.items())

    def _query(self, statement: Statement | None, figures: list[int]) -> QueryStatistics:
        from sqlkit.statistics import AD_HOC, QueryStatistics

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
