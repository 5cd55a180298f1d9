"""Logs and usage written, one by one and in bulk, into the partitions of their months."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from os import PathLike
from typing import NamedTuple, TypeVar

from sqlkit import Executor
from sqlkit.apps.openai_frontend.chains import LOGS, USAGE
from sqlkit.apps.openai_frontend.models import LogLine, NewLogLine, NewUsage, Usage
from sqlkit.apps.openai_frontend.queries import logs, usage
from sqlkit.operations import PartitionReport, keep_partitions, make_partitions, with_partition
from sqlkit.operations.logfiles import BadLine, read_log

__all__ = [
    "AT_A_TIME",
    "ImportedLog",
    "copy_logs",
    "copy_usage",
    "import_log_file",
    "keep_all_partitions",
    "record_usage",
    "write_log",
]

#: How many rows one COPY takes.
AT_A_TIME = 10_000

T = TypeVar("T")


class ImportedLog(NamedTuple):
    """How many lines of a file were imported, and which could not be read."""

    lines: int
    refused: list[BadLine]


def write_log(db: Executor, *, line: NewLogLine) -> LogLine:
    """Write a line; where its month has no partition, make it."""
    return with_partition(db, lambda one: logs.write_log(one, line=line), LOGS, times=[line.created_at])


def copy_logs(db: Executor, lines: Iterable[NewLogLine]) -> int:
    """Copy lines in, 10,000 at a time, in whatever months; return how many.

    Each COPY is all or nothing; for all of them together, give a connection in a transaction.
    """
    count = 0
    for batch in _batches(lines):
        times = [line.created_at for line in batch]
        count += with_partition(db, _copying(logs.copy_logs, batch), LOGS, times=times)
    return count


def record_usage(db: Executor, *, call: NewUsage) -> Usage:
    """Note a call; where its month has no partition, make it."""
    return with_partition(db, lambda one: usage.record_usage(one, call=call), USAGE, times=[call.created_at])


def copy_usage(db: Executor, calls: Iterable[NewUsage]) -> int:
    """Copy calls in, 10,000 at a time, in whatever months; return how many. Otherwise as ``copy_logs``."""
    count = 0
    for batch in _batches(calls):
        times = [call.created_at for call in batch]
        count += with_partition(db, _copying(usage.copy_usage, batch), USAGE, times=times)
    return count


def import_log_file(db: Executor, path: str | PathLike[str]) -> ImportedLog:
    """Import a log file of one of the programs that are known; its months' partitions are made first.

    ``logger`` is the program, the part of it that spoke stands in the context. A line that cannot be read is refused,
    with its number and why; the others go in.
    """
    refused: list[BadLine] = []
    count = 0
    found = (
        NewLogLine(
            level=line.level,
            logger=line.service,
            message=line.message,
            context={"component": line.logger, "line": line.number},
            created_at=line.time,
        )
        for line in read_log(path, bad=refused.append)
    )
    for batch in _batches(found):
        make_partitions(db, LOGS, {line.created_at for line in batch})
        count += logs.copy_logs(db, batch)
    return ImportedLog(count, refused)


def keep_all_partitions(db: Executor) -> list[PartitionReport]:
    """Make partitions of logs and usage ahead and drop those past their retention: what a scheduler calls daily."""
    return [keep_partitions(db, table) for table in (LOGS, USAGE)]


def _copying(copy: Callable[[Executor, Iterable[T]], int], rows: list[T]) -> Callable[[Executor], int]:
    return lambda db: copy(db, rows)


def _batches(rows: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, AT_A_TIME)):
        yield batch
