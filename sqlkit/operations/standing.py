"""What stands of a table's partitions, as the catalogue says: each step of making and dropping begins with this look.

What is to be dropped bears a mark, a comment that names its table, so what stands is enough to go on from, whoever was
killed where.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from psycopg import sql

from sqlkit.errors import ConfigurationError
from sqlkit.operations.intervals import Partition
from sqlkit.operations.partition_queries import Attached, Clocks, FoundTable
from sqlkit.operations.reports import Partitioned
from sqlkit.operations.scenes import Scene, framed
from sqlkit.operations.steps import Ask, Steps

__all__ = [
    "Standing",
    "attached",
    "bounds_of",
    "by_time",
    "clocks",
    "detached",
    "finalize",
    "found_table",
    "lock_key",
    "look",
    "mark_of",
    "standing",
]

BOUNDS = re.compile(r"FOR VALUES FROM \((.+)\) TO \((.+)\)")
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Standing(NamedTuple):
    """A partition as it stands: of its table, in the middle of leaving it, or left behind and marked for the end."""

    name: str
    lower: datetime | None
    upper: datetime | None
    state: Literal["attached", "pending", "detached"]
    is_marked: bool


def mark_of(table: Partitioned) -> str:
    """Return the comment of a partition that is to be dropped: a table that nobody marked is never dropped."""
    return f"sqlkit drops this partition of {table.table}"


def lock_key(found: FoundTable, table: Partitioned) -> int:
    """Return the advisory lock's key of a table; advisory locks are per database already."""
    text = f"sqlkit.partitions:{found.schema_name}.{table.table}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def found_table(table: Partitioned) -> Steps[FoundTable]:
    """Find a table; ConfigurationError where there is none or it is not partitioned as it should be."""
    found: FoundTable | None = yield Ask("find_table", {"table_name": table.table})
    if found is None:
        raise ConfigurationError(f"{table.table}: there is no such table on the search path")
    if not found.is_by_time:
        raise ConfigurationError(f"{table.table}: it is not partitioned by range on one timestamptz column")
    if found.default_partition is not None:
        raise ConfigurationError(
            f"{table.table}: it has a default partition, {found.default_partition}, beside which none can be detached "
            "concurrently: detach it"
        )
    return found


def attached(found: FoundTable, table: Partitioned) -> Steps[list[Standing]]:
    """Return a table's partitions, also those that are being detached, with bounds in UTC, by time."""
    rows: list[Attached] = yield Ask("list_attached", {"table_id": found.table_id, "mark": mark_of(table)})
    return by_time(
        Standing(row.name, *_bounds(row.bounds), "pending" if row.is_pending else "attached", row.is_marked)
        for row in rows
        if row.bounds is not None
    )


def by_time(rows: Iterable[Standing]) -> list[Standing]:
    """Return rows by where they begin, then by name."""
    return sorted(rows, key=lambda row: (row.lower or FIRST, row.name))


def _bounds(text: str) -> tuple[datetime | None, datetime | None]:
    """Read bounds as PostgreSQL writes them in UTC; None where there is no end."""
    match = BOUNDS.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"a partition's bounds are not those of one column: {text}")
    lower, upper = map(_moment, match.groups())
    return None if lower == FIRST else lower, None if upper == LAST else upper


def _moment(text: str) -> datetime:
    """Read a bound; what lies before or behind all times of Python is their first or last."""
    plain = text.strip("'")
    if plain in ("MINVALUE", "-infinity") or plain.endswith("BC"):
        return FIRST
    if plain in ("MAXVALUE", "infinity") or plain.index("-") > len("9999"):
        return LAST
    return datetime.fromisoformat(plain).astimezone(UTC)


def detached(found: FoundTable, table: Partitioned) -> Steps[list[Standing]]:
    """Return what was detached in order to be dropped and still is there."""
    names: list[str] = yield Ask("list_detached", {"schema_name": found.schema_name, "mark": mark_of(table)})
    return [Standing(name, None, None, "detached", is_marked=True) for name in names]


def bounds_of(row: Standing) -> Partition:
    """Return a partition by its name and bounds."""
    return Partition(row.name, row.lower, row.upper)


def look(table: Partitioned) -> Steps[list[Partition]]:
    """Find a table and return the partitions that rows go to."""
    found = yield from found_table(table)
    rows = yield from attached(found, table)
    return [bounds_of(row) for row in rows if row.state == "attached"]


def standing(scene: Scene, table: Partitioned) -> Steps[list[Partition]]:
    """Return the partitions that rows go to, from a look of its own."""
    return (yield from framed(scene, look(table), undo=True))


def clocks(scene: Scene) -> Steps[tuple[datetime, datetime]]:
    """Return the time of the transaction, which new rows have, and the server's clock."""

    def ask() -> Steps[Clocks]:
        found: Clocks = yield Ask("read_clocks")
        return found

    return (yield from framed(scene, ask(), undo=True))


def finalize(found: FoundTable, table: Partitioned, name: str) -> sql.Composed:
    """Return the statement that ends a detachment that was cut off in the middle."""
    parent = sql.Identifier(found.schema_name, table.table)
    partition = sql.Identifier(found.schema_name, name)
    return sql.SQL("alter table {} detach partition {} finalize").format(parent, partition)
