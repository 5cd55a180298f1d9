"""The log of the services: lines written one by one or imported from files, into partitions made where they lack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from itertools import islice

from pydantic import JsonValue

from sqlkit import Executor
from sqlkit.apps.analysis.models import NewLog, PastLog, SystemLog
from sqlkit.apps.analysis.system import logs
from sqlkit.database import View
from sqlkit.errors import ArgumentError
from sqlkit.operations.logfiles import LEVELS, LogLevel, LogLine
from sqlkit.operations.partitions import ensure_partitions, with_partition
from sqlkit.operations.reports import Partitioned, PartitionReport

__all__ = ["SYSTEM_LOGS", "import_log_lines", "keep_logs", "log_system_event"]

#: One partition a day, a week ahead. What is old goes by ``cleanup_old_data``, which is told how old that is.
SYSTEM_LOGS = Partitioned("system_logs", by="day", ahead=7)

BATCH = 10_000


def log_system_event(
    db: Executor,
    service: str,
    level: str | LogLevel,
    message: str,
    details: Mapping[str, JsonValue] | None = None,
    *,
    maker: Executor | None = None,
) -> SystemLog:
    """Write a line, and make the partition of its day where it is missing; return the line.

    ``level`` is ours or another program's (``INFO``, ``notice``, ``FATAL``); ArgumentError for one that nobody knows.
    ``maker`` makes the partition where ``db`` has no right to.
    """
    known = LEVELS.get(level.lower())
    if known is None:
        raise ArgumentError(f"log_system_event: no such level; there are {', '.join(LEVELS)}")
    line = NewLog(service=service, level=known, message=message, details=dict(details or {}))
    return with_partition(db, lambda conn: logs.create_log(conn, log=line), SYSTEM_LOGS, maker=maker)


def import_log_lines(db: View, lines: Iterable[LogLine], *, batch: int = BATCH) -> int:
    """Copy lines in, each with its own time, in one transaction; return how many.

    The partitions of their days are made where they are missing. What part of a program a line is of, and where it
    stood in its file, is in its details.
    """
    remaining, imported = iter(lines), 0
    with db.transaction() as conn:
        while rows := [_row(line) for line in islice(remaining, batch)]:
            times = {row.created_at for row in rows}
            imported += with_partition(conn, partial(logs.import_logs, logs=rows), SYSTEM_LOGS, times=times)
    return imported


def _row(line: LogLine) -> PastLog:
    details: dict[str, JsonValue] = {"logger": line.logger, "line": line.number}
    return PastLog(service=line.service, level=line.level, message=line.message, details=details, created_at=line.time)


def keep_logs(db: Executor, now: datetime | None = None) -> PartitionReport:
    """Make the partitions of today and of the week ahead: at the start, then daily."""
    return ensure_partitions(db, SYSTEM_LOGS, now=now)
