"""Days and months in UTC: where they begin and end, and what a partition of one is called."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from sqlkit.errors import ArgumentError

__all__ = ["Interval", "Partition", "interval_ahead", "interval_of", "intervals_from", "intervals_of"]

#: How long a partition is: a day or a month of UTC, which knows no daylight saving time.
Interval: TypeAlias = Literal["day", "month"]

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """A partition by range: the rows from ``lower`` on and before ``upper``, both in UTC; None is without bound."""

    name: str
    lower: datetime | None
    upper: datetime | None

    def __str__(self) -> str:
        return self.name

    def holds(self, moment: datetime) -> bool:
        """Tell whether a row of this time belongs here."""
        return (self.lower is None or self.lower <= moment) and (self.upper is None or moment < self.upper)

    def overlaps(self, other: Partition) -> bool:
        """Tell whether a row could belong to both."""
        starts_before = self.lower is None or other.upper is None or self.lower < other.upper
        return starts_before and (other.lower is None or self.upper is None or other.lower < self.upper)


def interval_of(table: str, by: Interval, moment: datetime) -> Partition:
    """Return the partition that a moment belongs to: ``logs_2026_11``, ``logs_2026_11_21``.

    ArgumentError for a moment without a time zone, and for the last one of the calendar, which has no end.
    """
    if moment.utcoffset() is None:
        raise ArgumentError(f"{table}: a time without a time zone belongs to no partition: give it one (datetime.UTC)")
    try:
        start = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        start = start.replace(day=1) if by == "month" else start
        return Partition(_name(table, by, start), start, _next(by, start))
    except OverflowError:
        raise ArgumentError(f"{table}: a time at an end of the calendar belongs to no whole {by}") from None


def interval_ahead(table: str, by: Interval, moment: datetime, count: int) -> Partition:
    """Return the partition that is ``count`` intervals after a moment's; before it, where ``count`` is negative."""
    start = interval_of(table, by, moment).lower
    assert start is not None  # noqa: S101 - of a calendar's interval
    try:
        if by == "day":
            return interval_of(table, by, start + count * ONE_DAY)
        months = start.year * 12 + start.month - 1 + count
        return interval_of(table, by, start.replace(year=months // 12, month=months % 12 + 1))
    except (OverflowError, ValueError):
        raise ArgumentError(f"{table}: {count} intervals from now are beyond the calendar") from None


def intervals_from(table: str, by: Interval, moment: datetime, ahead: int) -> list[Partition]:
    """Return the partition of a moment and the ``ahead`` next ones."""
    return [interval_ahead(table, by, moment, count) for count in range(ahead + 1)]


def intervals_of(table: str, by: Interval, moments: Iterable[datetime]) -> list[Partition]:
    """Return the partitions that moments belong to, each once, in order."""
    return sorted({interval_of(table, by, moment) for moment in moments}, key=lambda one: (one.lower, one.name))


def _next(by: Interval, start: datetime) -> datetime:
    if by == "day":
        return start + ONE_DAY
    if start.month == 12:
        if start.year == 9999:
            raise OverflowError
        return start.replace(year=start.year + 1, month=1)
    return start.replace(month=start.month + 1)


def _name(table: str, by: Interval, start: datetime) -> str:
    month = f"{table}_{start.year:04}_{start.month:02}"
    return month if by == "month" else f"{month}_{start.day:02}"
