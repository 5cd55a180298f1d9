"""Partitions by time: made ahead, made at need, dropped past their retention.

Each function takes a connection or a Database, and an asynchronous one gives an awaitable. Bounds are whole days or
months of UTC, whatever the session's time zone is. Several processes may do this at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar, overload

from sqlkit.execution.calls import AsyncExecutor, Executor
from sqlkit.operations.intervals import Partition
from sqlkit.operations.reports import Partitioned, PartitionReport

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

PATIENCE = 30.0  # seconds to try for a lock, in short tries between which writers go on


@overload
def list_partitions(db: Executor, table: Partitioned) -> list[Partition]: ...
@overload
def list_partitions(db: AsyncExecutor, table: Partitioned) -> Coroutine[Any, Any, list[Partition]]: ...
def list_partitions(db: Any, table: Partitioned) -> Any:
    """Return the partitions that a table has, by time; not those that are being detached."""
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


@overload
def drop_partitions(
    db: Executor, table: Partitioned, *, before: datetime, patience: float = PATIENCE
) -> PartitionReport: ...
@overload
def drop_partitions(
    db: AsyncExecutor, table: Partitioned, *, before: datetime, patience: float = PATIENCE
) -> Coroutine[Any, Any, PartitionReport]: ...
def drop_partitions(db: Any, table: Partitioned, *, before: datetime, patience: float = PATIENCE) -> Any:
    """Drop the partitions all of whose rows are older than ``before``, with their rows.

    Each is detached concurrently first, so that writers and readers of the others go on. What an earlier run left in
    the middle is finished. What cannot be locked within ``patience`` seconds is reported as busy. Raises ArgumentError
    inside a transaction, where nothing can be detached concurrently.
    """
    raise NotImplementedError


@overload
def keep_partitions(
    db: Executor, table: Partitioned, *, now: datetime | None = None, patience: float = PATIENCE
) -> PartitionReport: ...
@overload
def keep_partitions(
    db: AsyncExecutor, table: Partitioned, *, now: datetime | None = None, patience: float = PATIENCE
) -> Coroutine[Any, Any, PartitionReport]: ...
def keep_partitions(db: Any, table: Partitioned, *, now: datetime | None = None, patience: float = PATIENCE) -> Any:
    """Make partitions ahead and drop those past ``table.keep``: what a scheduler calls daily.

    ``now`` is the server's clock where it is not given; one that runs ahead of it drops nothing more, so that a clock
    that jumps costs no rows.
    """
    raise NotImplementedError


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
    raise NotImplementedError


def is_missing_partition(error: BaseException, tables: Partitioned | Sequence[Partitioned]) -> bool:
    """Tell whether an error says that a row found no partition of these tables; a CHECK that is violated is not it."""
    raise NotImplementedError
