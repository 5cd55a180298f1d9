"""Log files of four programs, split into columns, read as typed lines: Apache, Hadoop, OpenStack, ZooKeeper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum
from os import PathLike
from typing import NamedTuple

from sqlkit.errors import SqlkitError

__all__ = ["LEVELS", "SAMPLES", "BadLine", "LogFileError", "LogLevel", "LogLine", "read_log", "samples"]


class LogLevel(StrEnum):
    """How grave a line is, in the five levels of Python's logging."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


#: What the programs call their levels (in lower case), and which of ours it is.
LEVELS: dict[str, LogLevel] = {
    "trace": LogLevel.DEBUG,
    "debug": LogLevel.DEBUG,
    "info": LogLevel.INFO,
    "notice": LogLevel.INFO,
    "warn": LogLevel.WARNING,
    "warning": LogLevel.WARNING,
    "error": LogLevel.ERROR,
    "err": LogLevel.ERROR,
    "crit": LogLevel.CRITICAL,
    "critical": LogLevel.CRITICAL,
    "alert": LogLevel.CRITICAL,
    "emerg": LogLevel.CRITICAL,
    "fatal": LogLevel.CRITICAL,
}


class LogLine(NamedTuple):
    """One line: ``time`` in UTC, ``service`` (which program), ``logger`` (which part of it), ``level``, ``message``.

    ``number`` is its line in the file, from 1, the first line of its record.
    """

    number: int
    time: datetime
    service: str
    logger: str
    level: LogLevel
    message: str


class BadLine(NamedTuple):
    """A line that could not be read: its number in the file, from 1, and why."""

    number: int
    reason: str


class LogFileError(SqlkitError):
    """A log file or a line of it that cannot be read."""


def read_log(path: str | PathLike[str], *, bad: Callable[[BadLine], object] | None = None) -> Iterator[LogLine]:
    """Yield the lines of a log file, which its columns tell; one line at a time is in memory.

    A line that cannot be read goes to ``bad`` (``refused.append``), else it is a LogFileError with its place.
    """
    raise NotImplementedError


#: Small invented log files, one of each form.
SAMPLES: tuple[str, ...] = ("apache", "hadoop", "openstack", "zookeeper")


def samples() -> Iterator[LogLine]:
    """Yield the lines of all samples, file by file."""
    raise NotImplementedError
