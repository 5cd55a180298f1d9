"""What the queries of a Database have done, as it is told to who asks: ``db.statistics()``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlkit.statements import Statement

__all__ = ["AD_HOC", "BUCKETS", "Event", "QueryStatistics", "Statistics", "combined", "upper_bound"]

#: A bucket for each power of two: bucket i has the calls that took less than 2**i nanoseconds, and 2**(i - 1) or more.
BUCKETS = 64

#: What ad hoc statements are called, all of them together.
AD_HOC = "ad hoc"


def upper_bound(bucket: int) -> float:
    """Return the time in seconds below which the calls of a bucket took."""
    return float((1 << bucket) / 1e9)


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
    histogram: tuple[int, ...] = field(default=(0,) * BUCKETS, repr=False)

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
        """Return the figures of a query by its full name, or by its end if no other ends so.

        Raises KeyError with the names that there are: a query that was never called is not among them.
        """
        found = [query for query in self.queries if query.name == name]
        found = found or [query for query in self.queries if query.name.endswith(f".{name}")]
        if len(found) == 1:
            return found[0]
        known = ", ".join(sorted(query.name for query in found or self.queries))
        if found:
            raise KeyError(f"{name}: {len(found)} queries end so: {known}")
        raise KeyError(f"{name}: no query of that name was called; there are: {known or 'none'}")


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
