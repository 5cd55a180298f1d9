"""What is wanted of a partitioned table, and what was done to it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlkit.errors import ConfigurationError
from sqlkit.operations.intervals import Interval, Partition

__all__ = ["PartitionReport", "Partitioned"]

NAME_BYTES = 63  # NAMEDATALEN - 1: the server cuts longer names off, and two partitions could become one


@dataclass(frozen=True, slots=True)
class Partitioned:
    """A table that is partitioned by range on one timestamptz column, and how its partitions are kept.

    ``table`` is its name without a schema (the search path finds it), ``by`` what one partition holds (a day or a
    month of UTC), ``ahead`` how many are made after the one of today, ``keep`` how many whole ones before it stay;
    None keeps all. ::

        LOGS = Partitioned("logs", by="month", ahead=3, keep=12)
    """

    table: str
    by: Interval
    ahead: int = 3
    keep: int | None = None

    def __post_init__(self) -> None:
        suffix = len("_2026_11") if self.by == "month" else len("_2026_11_21")
        if self.by not in ("day", "month"):
            raise ConfigurationError(f"{self.table}: by is 'day' or 'month'")
        if not self.table or len(self.table.encode()) + suffix > NAME_BYTES:
            raise ConfigurationError(f"{self.table}: a name of 1 to {NAME_BYTES - suffix} bytes is wanted")
        if self.ahead < 0 or (self.keep is not None and self.keep < 0):
            raise ConfigurationError(f"{self.table}: ahead and keep are 0 or more")


@dataclass(frozen=True, slots=True)
class PartitionReport:
    """What was done to the partitions of one table, each tuple by time.

    ``made`` were made, ``stood`` were wanted and stood already, ``detached`` no longer belong to the table,
    ``dropped`` are gone with their rows, ``busy`` were to go but could not be locked in time: the next run goes on.
    """

    table: str
    made: tuple[Partition, ...] = ()
    stood: tuple[Partition, ...] = ()
    detached: tuple[Partition, ...] = ()
    dropped: tuple[Partition, ...] = ()
    busy: tuple[Partition, ...] = ()

    def __str__(self) -> str:
        parts = [
            f"{verb} {', '.join(map(str, found))}"
            for verb, found in (
                ("made", self.made),
                ("detached", tuple(one for one in self.detached if one not in self.dropped)),
                ("dropped", self.dropped),
                ("busy", self.busy),
            )
            if found
        ]
        stood = [f"{len(self.stood)} stood already"] if self.stood else []
        return f"{self.table}: {'; '.join(parts + stood) or 'nothing to do'}"

    def __add__(self, other: PartitionReport) -> PartitionReport:
        return PartitionReport(
            self.table,
            self.made + other.made,
            self.stood + other.stood,
            self.detached + other.detached,
            self.dropped + other.dropped,
            self.busy + other.busy,
        )
