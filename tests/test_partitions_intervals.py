"""Days and months of UTC, and what a partition of one is called; nothing here asks a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlkit.errors import ArgumentError, ConfigurationError
from sqlkit.operations import Interval, Partition, Partitioned, PartitionReport
from sqlkit.operations.intervals import interval_ahead, interval_of
from tests.partitioned_tables import utc

AUCKLAND = ZoneInfo("Pacific/Auckland")
NEW_YORK = ZoneInfo("America/New_York")

#: By, a moment, the partition's suffix, where it begins and ends.
MOMENTS: list[tuple[Interval, datetime, str, datetime, datetime]] = [
    ("month", utc(2026, 11, 21), "2026_11", utc(2026, 11), utc(2026, 12)),
    ("month", utc(2026, 12, 31, 23, 59, 59, 999999), "2026_12", utc(2026, 12), utc(2027)),
    ("month", utc(2027), "2027_01", utc(2027), utc(2027, 2)),
    ("month", utc(2024, 2, 29), "2024_02", utc(2024, 2), utc(2024, 3)),
    ("month", datetime(2026, 12, 1, 1, 30, tzinfo=AUCKLAND), "2026_11", utc(2026, 11), utc(2026, 12)),
    ("month", datetime(2026, 10, 31, 21, tzinfo=NEW_YORK), "2026_11", utc(2026, 11), utc(2026, 12)),
    ("day", utc(2024, 2, 29, 12), "2024_02_29", utc(2024, 2, 29), utc(2024, 3, 1)),
    ("day", utc(2000, 2, 28, 23, 59, 59, 999999), "2000_02_28", utc(2000, 2, 28), utc(2000, 2, 29)),
    ("day", utc(2100, 2, 28), "2100_02_28", utc(2100, 2, 28), utc(2100, 3, 1)),
    ("day", utc(2005, 12, 4, 4, 47, 44), "2005_12_04", utc(2005, 12, 4), utc(2005, 12, 5)),
    ("day", utc(999, 12, 31), "0999_12_31", utc(999, 12, 31), utc(1000)),
    # The hour that is there twice, and the one that is not there: a day of UTC has 24 hours all the same.
    ("day", datetime(2026, 11, 1, 1, 30, fold=0, tzinfo=NEW_YORK), "2026_11_01", utc(2026, 11, 1), utc(2026, 11, 2)),
    ("day", datetime(2026, 11, 1, 1, 30, fold=1, tzinfo=NEW_YORK), "2026_11_01", utc(2026, 11, 1), utc(2026, 11, 2)),
    ("day", datetime(2026, 3, 8, 2, 30, tzinfo=NEW_YORK), "2026_03_08", utc(2026, 3, 8), utc(2026, 3, 9)),
    ("day", datetime(2026, 11, 21, 12, tzinfo=AUCKLAND), "2026_11_20", utc(2026, 11, 20), utc(2026, 11, 21)),
    (
        "day",
        datetime(2026, 11, 21, tzinfo=timezone(timedelta(hours=-12))),
        "2026_11_21",
        utc(2026, 11, 21),
        utc(2026, 11, 22),
    ),
]


@pytest.mark.parametrize(("by", "moment", "suffix", "lower", "upper"), MOMENTS)
def test_a_moment_has_its_partition(
    by: Interval, moment: datetime, suffix: str, lower: datetime, upper: datetime
) -> None:
    """Whatever zone a time is given in, its day or month is that of UTC."""
    assert interval_of("logs", by, moment) == Partition(f"logs_{suffix}", lower, upper)


#: By, a moment, how many intervals on, the suffix.
AHEAD: list[tuple[Interval, datetime, int, str]] = [
    ("month", utc(2026, 11, 30), 1, "2026_12"),
    ("month", utc(2026, 11, 30), 3, "2027_02"),
    ("month", utc(2026, 1, 31), 1, "2026_02"),
    ("month", utc(2026, 11, 30), -11, "2025_12"),
    ("month", utc(2026, 12, 31), 12, "2027_12"),
    ("month", utc(2026, 1), -1, "2025_12"),
    ("day", utc(2024, 2, 28, 23), 1, "2024_02_29"),
    ("day", utc(2023, 2, 28, 23), 1, "2023_03_01"),
    ("day", utc(2026, 12, 31, 23), 1, "2027_01_01"),
    ("day", utc(2026, 3, 1), -1, "2026_02_28"),
]


@pytest.mark.parametrize(("by", "moment", "count", "suffix"), AHEAD)
def test_partitions_ahead(by: Interval, moment: datetime, count: int, suffix: str) -> None:
    """Months are counted as months, over the ends of months and years."""
    assert interval_ahead("logs", by, moment, count).name == f"logs_{suffix}"


MANY_MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.timezones(), allow_imaginary=True)


@given(MANY_MOMENTS, st.sampled_from(["day", "month"]))
def test_partitions_follow_each_other(moment: datetime, by: Interval) -> None:
    """A moment lies in its partition and in no neighbour, and neighbours meet without a gap."""
    before, own, after = (interval_ahead("logs", by, moment, count) for count in (-1, 0, 1))
    assert (before.holds(moment), own.holds(moment), after.holds(moment)) == (False, True, False)
    assert (before.upper, own.upper) == (own.lower, after.lower)
    assert not own.overlaps(after)
    assert not own.overlaps(before)


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        (datetime(2026, 11, 21), "logs: a time without a time zone"),
        (datetime.max.replace(tzinfo=UTC), "logs: a time at an end of the calendar"),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), "logs: a time at an end of the calendar"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), "logs: a time at an end of the calendar"),
    ],
)
def test_moments_without_a_partition(moment: datetime, reason: str) -> None:
    """A time whose zone is not known, or whose month has no end in Python, has no partition."""
    with pytest.raises(ArgumentError, match=reason):
        interval_of("logs", "month", moment)


@pytest.mark.parametrize("count", [-40_000, 100_000, -(2**70), 2**70])
@pytest.mark.parametrize("by", ["day", "month"])
def test_partitions_beyond_the_calendar(by: Interval, count: int) -> None:
    """A number of partitions that no calendar has is an error of the argument."""
    with pytest.raises(ArgumentError, match=r"beyond the calendar|end of the calendar"):
        interval_ahead("logs", by, utc(2026), count * 32)


def test_bounds_may_be_open() -> None:
    """A partition without a bound holds all that is before or after."""
    old, new = Partition("old", None, utc(2006)), Partition("new", utc(2006), None)
    assert old.holds(utc(1))
    assert new.holds(utc(9999))
    assert not old.holds(utc(2006))
    assert not old.overlaps(new)
    assert old.overlaps(Partition("other", utc(2005), None))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"by": "week"}, "logs: by is 'day' or 'month'"),
        ({"ahead": -1}, "ahead and keep are 0 or more"),
        ({"keep": -1}, "ahead and keep are 0 or more"),
        ({"table": ""}, "a name of 1 to 55 bytes"),
        ({"table": "l" * 56}, "a name of 1 to 55 bytes"),
        ({"table": "é" * 27, "by": "day"}, "a name of 1 to 52 bytes"),
    ],
)
def test_a_table_says_what_can_be(settings: dict[str, object], reason: str) -> None:
    """What cannot be kept is refused where it is declared: a name that the server would cut off, too."""
    with pytest.raises(ConfigurationError, match=reason):
        Partitioned(**{"table": "logs", "by": "month", **settings})  # type: ignore[arg-type]


def test_reports_say_what_was_done() -> None:
    """A report is one line that names what changed and counts what stood."""
    old, new = Partition("logs_2005_12", None, None), Partition("logs_2026_11", None, None)
    assert str(PartitionReport("logs")) == "logs: nothing to do"
    assert str(PartitionReport("logs", made=(new,), stood=(old,))) == "logs: made logs_2026_11; 1 stood already"
    report = PartitionReport("logs", stood=(new,)) + PartitionReport("logs", detached=(old,), dropped=(old,))
    assert str(report) == "logs: dropped logs_2005_12; 1 stood already"
    assert (
        str(PartitionReport("logs", detached=(old,), busy=(new,))) == "logs: detached logs_2005_12; busy logs_2026_11"
    )
