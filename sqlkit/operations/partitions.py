"""Partitions by time: made ahead, made at need, dropped past their retention.

Each function takes a connection or a Database, and an asynchronous one gives an awaitable. Bounds are whole days or
months of UTC, whatever the session's time zone is. Several processes may do this at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, TypeVar, overload

import psycopg
from psycopg import errors

from sqlkit.errors import ArgumentError, ConfigurationError
from sqlkit.execution.lending import AsyncExecutor, Executor
from sqlkit.operations.dropping import dropped
from sqlkit.operations.intervals import Partition, interval_ahead, interval_of
from sqlkit.operations.making import made
from sqlkit.operations.reports import Partitioned, PartitionReport
from sqlkit.operations.scenes import Scene, async_savepoint, savepoint
from sqlkit.operations.standing import clocks, standing
from sqlkit.operations.steps import Steps, drive, drive_async

__all__ = [
    "drop_partitions",
    "ensure_partitions",
    "is_missing_partition",
    "keep_partitions",
    "list_partitions",
    "make_partitions",
    "with_partition",
]

T = TypeVar("T")
E = TypeVar("E", bound=Executor)
A = TypeVar("A", bound=AsyncExecutor)

UNTIL_IT_IS_WRITTEN = timedelta(minutes=1)  # in which a row of now may come to be one of tomorrow
PATIENCE = 30.0  # seconds to try for a lock, in short tries between which writers go on


@overload
def list_partitions(db: Executor, table: Partitioned) -> list[Partition]: ...
@overload
def list_partitions(db: AsyncExecutor, table: Partitioned) -> Coroutine[Any, Any, list[Partition]]: ...
def list_partitions(db: Any, table: Partitioned) -> Any:
    """Return the partitions that a table has, by time; not those that are being detached."""
    return _run(db, f"list_partitions({table.table})", lambda scene: standing(scene, table))


@overload
def make_partitions(
    db: Executor, table: Partitioned, times: Iterable[datetime], *, patience: float = PATIENCE
) -> PartitionReport: ...
@overload
def make_partitions(
    db: AsyncExecutor, table: Partitioned, times: Iterable[datetime], *, patience: float = PATIENCE
) -> Coroutine[Any, Any, PartitionReport]: ...
def make_partitions(db: Any, table: Partitioned, times: Iterable[datetime], *, patience: float = PATIENCE) -> Any:
    """Make the partitions that rows of these times need, where they are missing: logs of 2005, a backup's rows.

    Writers go on meanwhile. Inside a transaction they are made in it. Raises ArgumentError for a time without a zone,
    ConfigurationError for a table that is not partitioned so, psycopg's LockNotAvailable after ``patience`` seconds.
    """

    def steps(scene: Scene) -> Steps[PartitionReport]:
        return made(scene, table, _sorted(table, times), patience)

    return _run(db, f"make_partitions({table.table})", steps)


@overload
def ensure_partitions(
    db: Executor, table: Partitioned, *, now: datetime | None = None, patience: float = PATIENCE
) -> PartitionReport: ...
@overload
def ensure_partitions(
    db: AsyncExecutor, table: Partitioned, *, now: datetime | None = None, patience: float = PATIENCE
) -> Coroutine[Any, Any, PartitionReport]: ...
def ensure_partitions(db: Any, table: Partitioned, *, now: datetime | None = None, patience: float = PATIENCE) -> Any:
    """Make the partition of ``now`` and the ``table.ahead`` next ones, where they are missing.

    ``now`` is the server's clock where it is not given. Otherwise as ``make_partitions``.
    """

    def steps(scene: Scene) -> Steps[PartitionReport]:
        moment = now if now is not None else (yield from clocks(scene))[1]
        return (yield from made(scene, table, _ahead(table, moment), patience))

    return _run(db, f"ensure_partitions({table.table})", steps)


@overload
def drop_partitions(
    db: Executor, table: Partitioned, *, before: datetime, patience: float = PATIENCE, leave_files: bool = False
) -> PartitionReport: ...
@overload
def drop_partitions(
    db: AsyncExecutor, table: Partitioned, *, before: datetime, patience: float = PATIENCE, leave_files: bool = False
) -> Coroutine[Any, Any, PartitionReport]: ...
def drop_partitions(
    db: Any, table: Partitioned, *, before: datetime, patience: float = PATIENCE, leave_files: bool = False
) -> Any:
    """Drop the partitions all of whose rows are older than ``before``, with their rows.

    All are detached first, concurrently, so that writers and readers of the others go on; then each is dropped. With
    ``leave_files`` what is detached now stays, out of everybody's sight, until the next run drops it. What an earlier
    run left in the middle is finished. What cannot be locked within ``patience`` seconds is reported as busy. Raises
    ArgumentError inside a transaction, where nothing can be detached concurrently.
    """
    interval_of(table.table, table.by, before)  # which has a time zone

    def steps(scene: Scene) -> Steps[PartitionReport]:
        _outside(scene, table)
        return (yield from dropped(scene, table, before, patience, leave_files=leave_files))

    return _run(db, f"drop_partitions({table.table})", steps, direct=True)


@overload
def keep_partitions(
    db: Executor,
    table: Partitioned,
    *,
    now: datetime | None = None,
    patience: float = PATIENCE,
    leave_files: bool = False,
) -> PartitionReport: ...
@overload
def keep_partitions(
    db: AsyncExecutor,
    table: Partitioned,
    *,
    now: datetime | None = None,
    patience: float = PATIENCE,
    leave_files: bool = False,
) -> Coroutine[Any, Any, PartitionReport]: ...
def keep_partitions(
    db: Any,
    table: Partitioned,
    *,
    now: datetime | None = None,
    patience: float = PATIENCE,
    leave_files: bool = False,
) -> Any:
    """Make partitions ahead and drop those past ``table.keep``: what a scheduler calls daily.

    ``now`` is the server's clock where it is not given; one that runs ahead of it drops nothing more, so that a clock
    that jumps costs no rows. ``leave_files`` is that of ``drop_partitions``.
    """

    def steps(scene: Scene) -> Steps[PartitionReport]:
        _outside(scene, table)
        _, clock = yield from clocks(scene)
        moment = now or clock
        report = yield from made(scene, table, _ahead(table, moment), patience)
        if table.keep is None:
            return report
        oldest = interval_ahead(table.table, table.by, min(moment, clock), -table.keep)
        return report + (yield from dropped(scene, table, _start(oldest), patience, leave_files=leave_files))

    return _run(db, f"keep_partitions({table.table})", steps, direct=True)


@overload
def with_partition(
    db: E,
    work: Callable[[E], T],
    tables: Partitioned | Sequence[Partitioned],
    *,
    times: Iterable[datetime] | None = None,
    maker: Executor | None = None,
) -> T: ...
@overload
def with_partition(
    db: A,
    work: Callable[[A], Awaitable[T]],
    tables: Partitioned | Sequence[Partitioned],
    *,
    times: Iterable[datetime] | None = None,
    maker: AsyncExecutor | None = None,
) -> Coroutine[Any, Any, T]: ...
def with_partition(
    db: Any,
    work: Callable[[Any], Any],
    tables: Partitioned | Sequence[Partitioned],
    *,
    times: Iterable[datetime] | None = None,
    maker: Any = None,
) -> Any:
    """Return ``work(db)``, and where its row finds no partition, make it and call ``work(db)`` once more.

    ``times`` are those of the rows, read only when a partition is missing; without them the rows are of now. Inside a
    transaction the first call is undone by a savepoint, and the partition is made in the transaction; in autocommit
    ``work`` is one statement, one COPY or one batch, or its first statements would be there twice. Whatever rows it
    reads, it must be able to read them again. ``maker`` makes the partition where ``db`` has no right to.
    """
    called = _in_async(db)
    wanted = (tables,) if isinstance(tables, Partitioned) else tuple(tables)
    return (_with_async if called else _with)(db, work, wanted, times, maker if maker is not None else db)


def is_missing_partition(error: BaseException, tables: Partitioned | Sequence[Partitioned]) -> bool:
    """Tell whether an error says that a row found no partition of these tables; a CHECK that is violated is not it."""
    if not isinstance(error, errors.CheckViolation):
        return False
    diag = error.diag
    if diag.constraint_name is not None or diag.datatype_name is not None:
        return False
    listed = (tables,) if isinstance(tables, Partitioned) else tables
    return diag.table_name in {table.table for table in listed}


def _with(
    db: Any, work: Callable[[Any], T], tables: tuple[Partitioned, ...], times: Iterable[datetime] | None, maker: Any
) -> T:
    inside = isinstance(db, psycopg.Connection) and Scene.of(db).in_transaction
    try:
        if not inside:
            return work(db)
        with savepoint(db):
            return work(db)
    except errors.CheckViolation as error:
        if not is_missing_partition(error, tables):
            raise
    moments = None if times is None else list(times)
    for table in tables:
        _run(maker, f"with_partition({table.table})", partial(_missing, table=table, moments=moments))
    return work(db)


async def _with_async(
    db: Any,
    work: Callable[[Any], Awaitable[T]],
    tables: tuple[Partitioned, ...],
    times: Iterable[datetime] | None,
    maker: Any,
) -> T:
    inside = isinstance(db, psycopg.AsyncConnection) and Scene.of(db).in_transaction
    try:
        if not inside:
            return await work(db)
        async with async_savepoint(db):
            return await work(db)
    except errors.CheckViolation as error:
        if not is_missing_partition(error, tables):
            raise
    moments = None if times is None else list(times)
    for table in tables:
        await _run(maker, f"with_partition({table.table})", partial(_missing, table=table, moments=moments))
    return await work(db)


def _missing(scene: Scene, table: Partitioned, moments: list[datetime] | None) -> Steps[PartitionReport]:
    """Make what rows of these times lack; without times, the rows of this transaction, of now, and of right after."""
    if moments is None:
        began, clock = yield from clocks(scene)
        moments = [began, clock, clock + UNTIL_IT_IS_WRITTEN]
    return (yield from made(scene, table, _sorted(table, moments), PATIENCE))


def _sorted(table: Partitioned, times: Iterable[datetime]) -> list[datetime]:
    moments = set(times)
    for moment in moments:
        interval_of(table.table, table.by, moment)  # which has a time zone
    return sorted(moments)


def _start(partition: Partition) -> datetime:
    assert partition.lower is not None  # noqa: S101 - of a calendar's interval
    return partition.lower


def _ahead(table: Partitioned, moment: datetime) -> list[datetime]:
    following = [interval_ahead(table.table, table.by, moment, count) for count in range(1, table.ahead + 1)]
    return [moment, *map(_start, following)]


def _outside(scene: Scene, table: Partitioned) -> None:
    if scene.in_transaction:
        raise ArgumentError(
            f"{table.table}: partitions are detached concurrently, outside of any transaction: give a Database, or a "
            "connection in autocommit"
        )


def _in_async(db: object) -> bool:
    return isinstance(db, psycopg.AsyncConnection) or iscoroutinefunction(getattr(db, "lend", None))


def _run(db: Any, label: str, steps: Callable[[Scene], Steps[T]], *, direct: bool = False) -> Any:
    """Take steps on a connection, or on one that is lent for them; an awaitable where it is asynchronous."""
    if direct and not getattr(getattr(db, "_pool", None), "resets", True):
        raise ConfigurationError(f"{label}: not through a pooler of transactions: connect to the server itself")
    return (_run_async if _in_async(db) else _run_sync)(db, label, steps)


def _run_sync(db: Executor, label: str, steps: Callable[[Scene], Steps[T]]) -> T:
    if isinstance(db, psycopg.Connection):
        return drive(db, steps(Scene.of(db)))
    conn = db.lend(label)
    try:
        return drive(conn, steps(Scene.of(conn, db.local)))
    finally:
        db.take_back(conn)


async def _run_async(db: AsyncExecutor, label: str, steps: Callable[[Scene], Steps[T]]) -> T:
    if isinstance(db, psycopg.AsyncConnection):
        return await drive_async(db, steps(Scene.of(db)))
    conn = await db.lend(label)
    try:
        return await drive_async(conn, steps(Scene.of(conn, db.local)))
    finally:
        await db.take_back(conn)
