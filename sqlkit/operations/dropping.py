"""How partitions are dropped: all that are due go out of sight first, then the files of what is out of sight.

A partition goes through states that the catalogue shows (marked, pending, detached, gone), so a run that was killed is
finished by the next, and two runs at once do each thing once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import psycopg
from psycopg import sql

from sqlkit.operations.intervals import Partition
from sqlkit.operations.partition_queries import FoundTable
from sqlkit.operations.reports import Partitioned, PartitionReport
from sqlkit.operations.scenes import PLAIN, WAITING, Pace, Scene, set_for_session
from sqlkit.operations.standing import (
    Standing,
    attached,
    bounds_of,
    by_time,
    detached,
    finalize,
    found_table,
    lock_key,
    mark_of,
)
from sqlkit.operations.steps import Ask, Run, Steps

__all__ = ["dropped"]

#: No step waits for the disk: a DROP does, for itself and all before it, and what a crash undoes before that the next
#: run does again.
UNHURRIED = {"synchronous_commit": "off"}


def dropped(
    scene: Scene, table: Partitioned, before: datetime, patience: float, *, leave_files: bool
) -> Steps[PartitionReport]:
    """Drop what is older than a time, and what earlier runs have left.

    With ``leave_files`` only what earlier runs have left: this one's is detached, and left to the next.
    """
    held: list[int] = []
    earlier: dict[str, str] = {}
    pace = Pace(patience)
    try:
        earlier = yield from set_for_session(
            {**(dict(scene.local.settings) if scene.local else {}), **PLAIN, **UNHURRIED}
        )
        found = yield from found_table(table)
        yield from _lock(found, table, held)
        if not held:
            report = yield from _wait(found, table, before, pace, held)
            if report is not None:
                return report
        return (yield from _dropped_under_lock(found, table, before, pace, leave_files))
    finally:
        yield from _give_back(held, earlier)


def _lock(found: FoundTable, table: Partitioned, held: list[int]) -> Steps[None]:
    """Note the lock's key in ``held`` where it is ours now."""
    key = lock_key(found, table)
    if (yield Ask("try_session_lock", {"key": key})):
        held.append(key)


def _wait(
    found: FoundTable, table: Partitioned, before: datetime, pace: Pace, held: list[int]
) -> Steps[PartitionReport | None]:
    """Try for the lock until it is ours; return a report where there is nothing to do, or the time is over."""
    rows = [*(yield from attached(found, table)), *(yield from detached(found, table))]
    if _next_action(rows, before) is None:
        return PartitionReport(table.table)
    while not held:
        if pace.is_over:
            return PartitionReport(table.table, busy=_due(rows, before))
        yield from pace.pause()
        yield from _lock(found, table, held)
    return None


def _give_back(held: list[int], earlier: dict[str, str]) -> Steps[None]:
    try:
        if earlier:
            yield from set_for_session(earlier)
        for key in held:
            yield Ask("unlock_session", {"key": key})
    except psycopg.OperationalError:  # a connection that is lost has neither
        return


def _dropped_under_lock(
    found: FoundTable, table: Partitioned, before: datetime, pace: Pace, leave_files: bool
) -> Steps[PartitionReport]:
    """Look and act twice: at what belongs to the table, and at what did; files first where new ones are left."""
    known: dict[str, Partition] = {}
    report = PartitionReport(table.table)
    looks = [partial(attached, found, table), partial(detached, found, table)]
    for look in reversed(looks) if leave_files else looks:
        report += yield from _acted(found, table, look, before, pace, known)
    return report


def _acted(
    found: FoundTable,
    table: Partitioned,
    look: Callable[[], Steps[list[Standing]]],
    before: datetime,
    pace: Pace,
    known: dict[str, Partition],
) -> Steps[PartitionReport]:
    """Bring each partition of a look as far as the look sees it; look again behind each error."""
    report = PartitionReport(table.table)
    rows = _remembered((yield from look()), known)
    pace.rest()
    while True:
        row = _next_action(rows, before)
        if row is None:
            return report
        try:
            yield Run(_statement(found, table, row, before))
        except psycopg.Error as error:
            if pace.is_over and isinstance(error, WAITING):
                return report + PartitionReport(table.table, busy=_due(rows, before))
            yield from pace.after(f"{table.table}: {row.name}", error)
            rows = _remembered((yield from look()), known)
            continue
        pace.rest()
        report += _done(table, row, before)
        rows = [one for one in rows if one is not row] + _after(row, before)


def _remembered(rows: list[Standing], known: dict[str, Partition]) -> list[Standing]:
    """Return rows by time, with the bounds that an earlier look has seen, which what is detached no longer has."""
    for row in rows:
        known.setdefault(row.name, bounds_of(row))
    return by_time(row._replace(lower=known[row.name].lower, upper=known[row.name].upper) for row in rows)


def _after(row: Standing, before: datetime) -> list[Standing]:
    """Return how a partition stands after a statement, as far as this look sees it: not once it is detached or gone.

    Nobody else acts on what is marked while the lock of the table's partitions is ours.
    """
    if row.state != "attached" or (row.is_marked and _is_due(row, before)):
        return []
    return [row._replace(is_marked=not row.is_marked)]


def _is_due(row: Standing, before: datetime) -> bool:
    return row.state == "attached" and row.upper is not None and row.upper <= before


def _due(rows: Sequence[Standing], before: datetime) -> tuple[Partition, ...]:
    return tuple(bounds_of(row) for row in rows if _is_due(row, before) or (row.is_marked and row.state != "attached"))


def _next_action(rows: Sequence[Standing], before: datetime) -> Standing | None:
    """Return the partition with which there is something to do, the nearest to its end first."""
    gone = [row for row in rows if row.state == "detached"]
    due = [row for row in rows if _is_due(row, before)]
    # Somebody's own detach is left alone, but where it is in the way: no other can be detached before.
    pending = [row for row in rows if row.state == "pending" and (row.is_marked or due)]
    spared = [row for row in rows if row.state == "attached" and row.is_marked and not _is_due(row, before)]
    marked = [row for row in due if row.is_marked]
    return next(iter([*pending, *gone, *spared, *marked, *due]), None)


def _statement(found: FoundTable, table: Partitioned, row: Standing, before: datetime) -> sql.Composed:
    """Return the statement that brings a partition one state further."""
    name = sql.Identifier(found.schema_name, row.name)
    if row.state == "pending":
        return finalize(found, table, row.name)
    if row.state == "detached":
        return sql.SQL("drop table {}").format(name)
    if not row.is_marked:
        return sql.SQL("comment on table {} is {}").format(name, sql.Literal(mark_of(table)))
    if not _is_due(row, before):
        return sql.SQL("comment on table {} is null").format(name)
    parent = sql.Identifier(found.schema_name, table.table)
    return sql.SQL("alter table {} detach partition {} concurrently").format(parent, name)


def _done(table: Partitioned, row: Standing, before: datetime) -> PartitionReport:
    """Return what a statement has done, as a report."""
    if row.state == "detached":
        return PartitionReport(table.table, dropped=(bounds_of(row),))
    if row.state == "pending" or (row.is_marked and _is_due(row, before)):
        return PartitionReport(table.table, detached=(bounds_of(row),))
    return PartitionReport(table.table)
