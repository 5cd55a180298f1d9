"""How partitions are made and dropped: procedures of steps, each of which looks first and acts on what it sees.

A partition is made as a table of its own and attached, for which writers need not wait: CREATE TABLE ... PARTITION OF
would lock the whole table against them. What is dropped goes through states that the catalogue shows (marked, pending,
detached, gone), so a run that was killed is finished by the next, and two runs at once do each thing once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg
from psycopg import errors, sql

from sqlkit.errors import ConfigurationError
from sqlkit.operations.intervals import Partition, interval_of
from sqlkit.operations.partition_queries import Clocks, FoundTable, Standing
from sqlkit.operations.reports import Partitioned, PartitionReport
from sqlkit.operations.scenes import PLAIN, WAITING, Pace, Scene, framed, set_for_session
from sqlkit.operations.steps import Ask, Run, Steps

__all__ = ["clocks", "dropped", "made", "standing"]


#: No step waits for the disk: the DROP at the end does, for itself and all before it, and what a crash undoes before
#: that the next run does again.
UNHURRIED = {"synchronous_commit": "off"}


def mark_of(table: Partitioned) -> str:
    """Return the comment of a partition that is to be dropped: a table that nobody marked is never dropped."""
    return f"sqlkit drops this partition of {table.table}"


def lock_key(found: FoundTable, table: Partitioned) -> int:
    """Return the advisory lock's key of a table; advisory locks are per database already."""
    text = f"sqlkit.partitions:{found.schema_name}.{table.table}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


# Looking.


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


def all_standing(found: FoundTable, table: Partitioned) -> Steps[list[Standing]]:
    """Return the partitions as they stand, with bounds in UTC, by time."""
    asked = {"table_id": found.table_id, "schema_name": found.schema_name, "mark": mark_of(table)}
    rows: list[Standing] = yield Ask("list_standing", asked)
    plain = [row._replace(lower=_utc(row.lower), upper=_utc(row.upper)) for row in rows]
    first = datetime.min.replace(tzinfo=UTC)
    return sorted(plain, key=lambda row: (row.lower or first, row.name))


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def _partition(row: Standing) -> Partition:
    return Partition(row.name, row.lower, row.upper)


def _look(table: Partitioned) -> Steps[tuple[FoundTable, list[Standing]]]:
    found = yield from found_table(table)
    rows = yield from all_standing(found, table)
    return found, rows


def standing(scene: Scene, table: Partitioned) -> Steps[list[Partition]]:
    """Return the partitions that rows go to."""
    _, rows = yield from framed(scene, _look(table), undo=True)
    return [_partition(row) for row in rows if row.state == "attached"]


def clocks(scene: Scene) -> Steps[tuple[datetime, datetime]]:
    """Return the time of the transaction, which new rows have, and the server's clock."""

    def ask() -> Steps[Clocks]:
        found: Clocks = yield Ask("read_clocks")
        return found

    return (yield from framed(scene, ask(), undo=True))


# Making.


def made(scene: Scene, table: Partitioned, moments: Sequence[datetime], patience: float) -> Steps[PartitionReport]:
    """Make the partitions that rows of these times lack."""
    _, rows = yield from framed(scene, _look(table), undo=True)
    known = [_partition(row) for row in rows if row.state == "attached"]
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
    rows = yield from all_standing(found, table)
    attached = [_partition(row) for row in rows if row.state == "attached"]
    holder = _holder(attached, moment)
    if holder is not None:
        return holder, False
    wanted = gap_at(interval_of(table.table, table.by, moment), attached, moment)
    yield from _make_way(found, table, rows, wanted)
    yield from _attach(found, table, wanted)
    return wanted, True


def _make_way(found: FoundTable, table: Partitioned, rows: Sequence[Standing], wanted: Partition) -> Steps[None]:
    """End what stands on the range or bears the name of a partition, if it was on its way out."""
    for row in rows:
        if row.state == "pending" and wanted.overlaps(_partition(row)):
            yield Run(_finalize(found, table, row.name))
    leaving = [row.name for row in rows if row.is_marked and row.state != "attached"]
    if wanted.name in leaving:
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


# Dropping.


def dropped(scene: Scene, table: Partitioned, before: datetime, patience: float) -> Steps[PartitionReport]:
    """Drop what is older than a time, and what earlier runs have left."""
    held: list[int] = []
    earlier: dict[str, str] = {}
    pace = Pace(patience)
    try:
        found, rows = yield from framed(scene, _look_under_lock(table, held), undo=True)
        if _next_action(rows, before) is None:
            return PartitionReport(table.table)
        waits = not held
        while not held:
            if pace.is_over:
                return PartitionReport(table.table, busy=_due(rows, before))
            yield from pace.pause()
            yield from _lock(found, table, held)
        settings = {**(dict(scene.local.settings) if scene.local else {}), **PLAIN, **UNHURRIED}
        earlier = yield from set_for_session(settings)
        if waits:  # others have acted meanwhile
            rows = yield from all_standing(found, table)
        return (yield from _dropped_all(found, table, rows, before, pace))
    finally:
        yield from _give_back(held, earlier)


def _look_under_lock(table: Partitioned, held: list[int]) -> Steps[tuple[FoundTable, list[Standing]]]:
    """Look, after a try for the lock, which outlives the transaction of the look."""
    found = yield from found_table(table)
    yield from _lock(found, table, held)
    rows = yield from all_standing(found, table)
    return found, rows


def _lock(found: FoundTable, table: Partitioned, held: list[int]) -> Steps[None]:
    """Note the lock's key in ``held`` where it is ours now."""
    key = lock_key(found, table)
    if (yield Ask("try_session_lock", {"key": key})):
        held.append(key)


def _give_back(held: list[int], earlier: dict[str, str]) -> Steps[None]:
    try:
        if earlier:
            yield from set_for_session(earlier)
        for key in held:
            yield Ask("unlock_session", {"key": key})
    except psycopg.OperationalError:  # a connection that is lost has neither
        return


def _dropped_all(
    found: FoundTable, table: Partitioned, rows: list[Standing], before: datetime, pace: Pace
) -> Steps[PartitionReport]:
    """Take one partition after the other to its end; what stands is looked at again behind each error."""
    report = PartitionReport(table.table)
    bounds: dict[str, Partition] = {}
    pace.rest()
    while True:
        bounds |= {row.name: _partition(row) for row in rows if row.state != "detached"}
        row = _next_action(rows, before)
        if row is None:
            return report
        try:
            yield Run(_statement(found, table, row, before))
        except psycopg.Error as error:
            if pace.is_over and isinstance(error, WAITING):
                return report + PartitionReport(table.table, busy=_due(rows, before))
            yield from pace.after(f"{table.table}: {row.name}", error)
            rows = yield from all_standing(found, table)
            continue
        pace.rest()
        report += _done(table, row, bounds.get(row.name, _partition(row)), before)
        rows = [one for one in rows if one is not row] + _after(row, before)


def _after(row: Standing, before: datetime) -> list[Standing]:
    """Return how a partition stands after the statement that brought it one state further: gone, if it was the last.

    Nobody else acts on what is marked while the lock of the table's partitions is ours.
    """
    if row.state == "detached":
        return []
    if row.state == "pending" or (row.is_marked and _is_due(row, before)):
        return [row._replace(state="detached")] if row.is_marked else []
    return [row._replace(is_marked=not row.is_marked)]


def _is_due(row: Standing, before: datetime) -> bool:
    return row.state == "attached" and row.upper is not None and row.upper <= before


def _due(rows: Sequence[Standing], before: datetime) -> tuple[Partition, ...]:
    return tuple(_partition(row) for row in rows if _is_due(row, before) or (row.is_marked and row.state != "attached"))


def _next_action(rows: Sequence[Standing], before: datetime) -> Standing | None:
    """Return the partition with which there is something to do, the nearest to its end first."""
    detached = [row for row in rows if row.state == "detached"]
    due = [row for row in rows if _is_due(row, before)]
    # Somebody's own detach is left alone, but where it is in the way: no other can be detached before.
    pending = [row for row in rows if row.state == "pending" and (row.is_marked or due)]
    spared = [row for row in rows if row.state == "attached" and row.is_marked and not _is_due(row, before)]
    return next(iter([*pending, *detached, *spared, *due]), None)


def _statement(found: FoundTable, table: Partitioned, row: Standing, before: datetime) -> sql.Composed:
    """Return the statement that brings a partition one state further."""
    name = sql.Identifier(found.schema_name, row.name)
    if row.state == "pending":
        return _finalize(found, table, row.name)
    if row.state == "detached":
        return sql.SQL("drop table {}").format(name)
    if not row.is_marked:
        return sql.SQL("comment on table {} is {}").format(name, sql.Literal(mark_of(table)))
    if not _is_due(row, before):
        return sql.SQL("comment on table {} is null").format(name)
    parent = sql.Identifier(found.schema_name, table.table)
    return sql.SQL("alter table {} detach partition {} concurrently").format(parent, name)


def _done(table: Partitioned, row: Standing, partition: Partition, before: datetime) -> PartitionReport:
    """Return what a statement has done, as a report."""
    if row.state == "detached":
        return PartitionReport(table.table, dropped=(partition,))
    if row.state == "pending" or (row.is_marked and _is_due(row, before)):
        return PartitionReport(table.table, detached=(partition,))
    return PartitionReport(table.table)


def _finalize(found: FoundTable, table: Partitioned, name: str) -> sql.Composed:
    parent = sql.Identifier(found.schema_name, table.table)
    partition = sql.Identifier(found.schema_name, name)
    return sql.SQL("alter table {} detach partition {} finalize").format(parent, partition)
