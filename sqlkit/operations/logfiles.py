"""Log files of four programs, split into columns, read as typed lines: Apache, Hadoop, OpenStack, ZooKeeper.

The files are CSV as the loghub collection publishes them: a header names the columns, by which the program is known,
and each line of the file is one line of its log. Times bear no zone and are taken as UTC.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from os import PathLike, fspath
from pathlib import Path
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

    ``number`` is its line in the file, from 1, which is the header's.
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


#: Small invented log files, one of each form, by the service that they are of.
SAMPLES: dict[str, Path] = {
    service: Path(__file__).parent / "samples" / f"{service}.csv"
    for service in ("apache", "hadoop", "openstack", "zookeeper")
}

Columns = Mapping[str, str]


def read_log(path: str | PathLike[str], *, bad: Callable[[BadLine], object] | None = None) -> Iterator[LogLine]:
    """Yield the lines of a log file, whose columns tell what it is of; one line at a time is in memory.

    A line that cannot be read goes to ``bad`` (``refused.append``), else it is a LogFileError with its place. So is a
    file that cannot be read or is none of the four.
    """
    place = fspath(path)
    try:
        # Each line by itself: a quote that is not closed would else swallow the lines behind it.
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            names = next(csv.reader([next(lines, "")]), [])
            form = next((form for form in FORMS if form.columns <= set(names)), None)
            if form is None:
                raise LogFileError(f"{place}:1: the columns are none of {', '.join(SAMPLES)}")
            for number, line in enumerate(lines, 2):
                try:
                    yield _line(number, form, names, line)
                except ValueError as error:
                    if bad is None:
                        raise LogFileError(f"{place}:{number}: {error}") from None
                    bad(BadLine(number, str(error)))
    except OSError as error:
        raise LogFileError(f"{place}: {error.strerror}") from error


def samples() -> Iterator[LogLine]:
    """Yield the lines of all samples, file by file."""
    for path in SAMPLES.values():
        yield from read_log(path)


@dataclass(frozen=True)
class Form:
    """How the files of one program are written: their columns, where the time stands, which part wrote a line."""

    service: str
    columns: frozenset[str]
    time_of: Callable[[Columns], datetime]
    logger_of: Callable[[Columns], str]


def _line(number: int, form: Form, names: list[str], text: str) -> LogLine:
    """Read one line; ValueError says what is wrong with it, without quoting it."""
    try:
        values = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise ValueError(f"not CSV: {error}") from None
    if len(values) != len(names):
        raise ValueError(f"{len(values)} columns, {len(names)} are expected")
    columns = dict(zip(names, values, strict=True))
    level = LEVELS.get(columns["Level"].strip().lower())
    if level is None:
        raise ValueError("an unknown level")
    message = columns["Content"]
    if "\0" in text or _is_broken(text):
        raise ValueError("bytes that are no text")
    return LogLine(number, form.time_of(columns), form.service, form.logger_of(columns), level, message)


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


#: ``Sun Dec 04 04:47:44 2005``, in English whatever the locale is.
APACHE_TIME = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) +(\d{1,2}) (\d\d):(\d\d):(\d\d) (\d{4})")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _apache_time(columns: Columns) -> datetime:
    found = APACHE_TIME.fullmatch(columns["Time"].strip())
    if found is None or found[1] not in MONTHS:
        raise ValueError("not a time")
    day, hour, minute, second, year = (int(found[group]) for group in (2, 3, 4, 5, 6))
    try:
        return datetime(year, MONTHS.index(found[1]) + 1, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise ValueError("not a time") from None


def _date_and_time(columns: Columns) -> datetime:
    """Read ``2015-07-29`` and ``17:41:44,747`` (or a point)."""
    try:
        found = datetime.fromisoformat(f"{columns['Date'].strip()}T{columns['Time'].strip().replace(',', '.')}")
    except ValueError:
        raise ValueError("not a time") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _component(columns: Columns) -> str:
    return columns["Component"]


#: A form is known by columns that the others lack.
FORMS = (
    Form(
        "openstack",
        frozenset({"Logrecord", "Date", "Time", "Level", "Component", "Content"}),
        _date_and_time,
        _component,
    ),
    Form(
        "zookeeper",
        frozenset({"Date", "Time", "Level", "Node", "Component", "Content"}),
        _date_and_time,
        # 3888:QuorumCnxManager$Listener: an address, and the class that wrote the line.
        lambda columns: columns["Component"].rpartition(":")[2],
    ),
    Form("hadoop", frozenset({"Date", "Time", "Level", "Process", "Component", "Content"}), _date_and_time, _component),
    Form("apache", frozenset({"Time", "Level", "Content"}), _apache_time, lambda _: "httpd"),
)
