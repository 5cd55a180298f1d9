"""How partitions are made: a procedure of steps, each of which looks first and acts on what it sees.

A partition is made as a table of its own and attached, for which writers need not wait: CREATE TABLE ... PARTITION OF
would lock the whole table against them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import psycopg
from psycopg import errors, sql

from sqlkit.errors import ConfigurationError
from sqlkit.operations.intervals import Partition, interval_of
from sqlkit.operations.partition_queries import FoundTable
from sqlkit.operations.reports import Partitioned, PartitionReport
from sqlkit.operations.scenes import Pace, Scene, framed
from sqlkit.operations.standing import (
    Standing,
    attached,
    bounds_of,
    detached,
    finalize,
    found_table,
    lock_key,
    standing,
)
from sqlkit.operations.steps import Ask, Run, Steps

__all__ = ["made"]


def made(scene: Scene, table: Partitioned, moments: Sequence[datetime], patience: float) -> Steps[PartitionReport]:
    """Make the partitions that rows of these times lack."""
    known = yield from standing(scene, table)
    new: list[Partition] = []
    stood: list[Partition] = []
    for moment in moments:
        holder = _holder(known, moment)
        if holder is None:
            holder, is_new = yield from _made_one(scene, table, moment, patience)
            known.append(holder)
            (new if is_new else stood).append(holder)
        elif holder not in new and holder not in stood:
            stood.append(holder)
    return PartitionReport(table.table, made=tuple(new), stood=tuple(stood))


def _holder(partitions: Sequence[Partition], moment: datetime) -> Partition | None:
    return next((partition for partition in partitions if partition.holds(moment)), None)


def gap_at(whole: Partition, standing: Sequence[Partition], moment: datetime) -> Partition:
    """Return as much of a day or month as no partition holds around a moment: all of it, but beside odd ones."""
    ends = [one.upper for one in standing if one.upper is not None and one.upper <= moment]
    starts = [one.lower for one in standing if one.lower is not None and one.lower > moment]
    lower = max([bound for bound in (whole.lower, *ends) if bound is not None])
    upper = min([bound for bound in (whole.upper, *starts) if bound is not None])
    return Partition(whole.name, lower, upper)


def _made_one(scene: Scene, table: Partitioned, moment: datetime, patience: float) -> Steps[tuple[Partition, bool]]:
    """Make the partition of a moment, however often it takes; tell whether this made it or a rival."""
    pace = Pace(patience)
    while True:
        try:
            return (yield from framed(scene, _make(table, moment)))
        except psycopg.Error as error:
            yield from pace.after(table.table, error)


def _make(table: Partitioned, moment: datetime) -> Steps[tuple[Partition, bool]]:
    found = yield from found_table(table)
    if not (yield Ask("try_lock", {"key": lock_key(found, table)})):
        raise errors.LockNotAvailable(f"{table.table}: another process makes or drops partitions of it")
    rows = yield from attached(found, table)
    known = [bounds_of(row) for row in rows if row.state == "attached"]
    holder = _holder(known, moment)
    if holder is not None:
        return holder, False
    wanted = gap_at(interval_of(table.table, table.by, moment), known, moment)
    yield from _make_way(found, table, rows, wanted)
    yield from _attach(found, table, wanted)
    return wanted, True


def _make_way(found: FoundTable, table: Partitioned, rows: Sequence[Standing], wanted: Partition) -> Steps[None]:
    """End what stands on the range or bears the name of a partition, if it was on its way out."""
    for row in rows:
        if row.state == "pending" and wanted.overlaps(bounds_of(row)):
            yield Run(finalize(found, table, row.name))
    leaving = [*(row for row in rows if row.is_marked and row.state == "pending"), *(yield from detached(found, table))]
    if wanted.name in {row.name for row in leaving}:
        yield Run(sql.SQL("drop table {}").format(sql.Identifier(found.schema_name, wanted.name)))
    elif (yield Ask("has_relation", {"schema_name": found.schema_name, "name": wanted.name})):
        raise ConfigurationError(
            f"{table.table}: {wanted.name} exists and does not hold these rows: attach it, or give it another name"
        )


def _attach(found: FoundTable, table: Partitioned, wanted: Partition) -> Steps[None]:
    """Make a table like its parent and attach it: what the two have in common is compared, not made twice.

    An identity is the parent's alone. A new table is empty, so it needs no CHECK that spares a look at its rows.
    """
    parent = sql.Identifier(found.schema_name, table.table)
    name = sql.Identifier(found.schema_name, wanted.name)
    space = sql.Identifier(found.tablespace) if found.tablespace else None
    where = sql.SQL(" tablespace {}").format(space) if space else sql.SQL("")
    yield Run(sql.SQL("create table {} (like {} including all excluding identity){}").format(name, parent, where))
    if not found.is_owner:
        yield Run(sql.SQL("alter table {} owner to {}").format(name, sql.Identifier(found.owner)))
    if found.is_protected:  # its policies are for those who go through the table, and nobody shall go around it
        yield Run(sql.SQL("alter table {} enable row level security").format(name))
    bounds = [sql.Literal(bound and bound.isoformat(" ")) for bound in (wanted.lower, wanted.upper)]
    yield Run(sql.SQL("alter table {} attach partition {} for values from ({}) to ({})").format(parent, name, *bounds))
