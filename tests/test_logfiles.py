"""Log files of four programs as typed lines; the real files are read where they are, and never committed."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sqlkit.operations.logfiles import SAMPLES, BadLine, LogFileError, LogLevel, LogLine, read_log, samples

ROOT = Path(__file__).parent.parent
REAL = ROOT.parent / "shared" / "data" / "logs"
real_files = pytest.mark.skipif(not REAL.is_dir(), reason="the real log files are not there (../shared/data/logs)")

ZOOKEEPER = "LineId,Date,Time,Level,Node,Component,Id,Content,EventId,EventTemplate\n"
GOOD = '1,2015-07-29,"17:41:44,747",INFO,/192.0.2.1,3888:Listener,7,"Hello, world",E1,T\n'

FIRST = {
    "apache": LogLine(
        2,
        datetime(2005, 11, 30, 23, 58, 12, tzinfo=UTC),
        "apache",
        "httpd",
        LogLevel.INFO,
        "server reached its evening load of 12 workers",
    ),
    "hadoop": LogLine(
        2,
        datetime(2015, 10, 19, 9, 0, 0, 1000, tzinfo=UTC),
        "hadoop",
        "org.example.batch.Master",
        LogLevel.INFO,
        "Batch of 24 chapters was accepted",
    ),
    "openstack": LogLine(
        2,
        datetime(2017, 5, 14, 21, 10, 0, 120000, tzinfo=UTC),
        "openstack",
        "cloud.api.server",
        LogLevel.INFO,
        '192.0.2.40 "GET /v2/tapes HTTP/1.1" status: 200 time: 0.12',
    ),
    "zookeeper": LogLine(
        2,
        datetime(2015, 7, 31, 23, 59, 58, 730000, tzinfo=UTC),
        "zookeeper",
        "Election",
        LogLevel.INFO,
        "Votes counted: 2 of 3, following node 3",
    ),
}


@pytest.mark.parametrize("service", SAMPLES)
def test_each_form_is_read(service: str) -> None:
    """A file is known by its columns; the first line of each has its time, its service, its part, its text."""
    assert next(read_log(SAMPLES[service])) == FIRST[service]


def test_samples_have_all_levels() -> None:
    """The samples hold every level, several days of several years, and no line that is refused."""
    lines = list(samples())
    assert {line.level for line in lines} == set(LogLevel)
    assert {line.time.year for line in lines} == {2005, 2015, 2017}
    assert len(lines) == sum(len(path.read_text(encoding="utf-8").splitlines()) - 1 for path in SAMPLES.values())


LEVELS = {
    "notice": "info",
    "NOTICE": "info",
    "WARN": "warning",
    "Warning": "warning",
    "ERROR": "error",
    "FATAL": "critical",
    "crit": "critical",
    "emerg": "critical",
    "DEBUG": "debug",
    "TRACE": "debug",
}


@pytest.mark.parametrize("level", LEVELS)
def test_levels_are_mapped(tmp_path: Path, level: str) -> None:
    """What each program calls its levels is one of five."""
    path = tmp_path / "log.csv"
    path.write_text(ZOOKEEPER + GOOD.replace("INFO", level), encoding="utf-8")
    assert [line.level for line in read_log(path)] == [LEVELS[level]]


BAD_LINES = [
    (GOOD.replace("INFO", "LOUD"), "an unknown level"),
    (GOOD.replace("2015-07-29", "2015-02-29"), "not a time"),
    (GOOD.replace("17:41", "25:41"), "not a time"),
    (GOOD.replace(",7,", ","), "9 columns, 10 are expected"),
    (GOOD.replace(",7,", ",7,8,"), "11 columns, 10 are expected"),
    (GOOD.replace('world"', "world"), "not CSV: unexpected end of data"),
    ("\n", "0 columns, 10 are expected"),
    ("garbage\n", "1 columns, 10 are expected"),
    (GOOD.replace("world", "w\udcffrld"), "bytes that are no text"),
    (GOOD.replace("world", "w\0rld"), "bytes that are no text"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
def test_a_bad_line_is_reported(tmp_path: Path, line: str, reason: str) -> None:
    """A line that cannot be read is told with its number and why, and those around it are read."""
    path = tmp_path / "log.csv"
    path.write_bytes((ZOOKEEPER + GOOD + line + GOOD).encode("utf-8", "surrogateescape"))
    refused: list[BadLine] = []
    assert [found.number for found in read_log(path, bad=refused.append)] == [2, 4]
    assert refused == [BadLine(3, reason)]
    with pytest.raises(LogFileError, match=f"log.csv:3: {reason}") as raised:
        list(read_log(path))
    assert "world" not in str(raised.value)


APACHE = "LineId,Time,Level,Content,EventId,EventTemplate\n"


@pytest.mark.parametrize(
    "time",
    ["Sun Dez 04 04:47:44 2005", "Sun Dec 32 04:47:44 2005", "2005-12-04 04:47:44", "Thu Feb 29 04:47:44 2005", ""],
)
def test_times_of_apache_that_are_none(tmp_path: Path, time: str) -> None:
    """A day that the calendar does not have, a month in another language: reported, not guessed."""
    path = tmp_path / "log.csv"
    path.write_text(f"{APACHE}1,{time},notice,Hello,E1,T\n", encoding="utf-8")
    refused: list[BadLine] = []
    assert list(read_log(path, bad=refused.append)) == []
    assert refused == [BadLine(2, "not a time")]


def test_a_time_with_a_zone_is_brought_to_utc(tmp_path: Path) -> None:
    """A time that says its zone is that moment in UTC."""
    path = tmp_path / "log.csv"
    path.write_text(ZOOKEEPER + GOOD.replace("17:41:44,747", "17:41:44+12:00"), encoding="utf-8")
    assert [line.time for line in read_log(path)] == [datetime(2015, 7, 29, 5, 41, 44, tzinfo=UTC)]


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "\n\n", "\0\0"])
def test_a_file_that_is_no_log(tmp_path: Path, content: str) -> None:
    """A file whose columns are of none of the programs is refused with its name."""
    path = tmp_path / "other.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(LogFileError, match=r"other.csv:1: the columns are none of apache, hadoop"):
        next(read_log(path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is an error with its name."""
    with pytest.raises(LogFileError, match=r"gone.csv: No such file or directory"):
        next(read_log(tmp_path / "gone.csv"))


def test_a_file_with_a_mark_of_its_encoding(tmp_path: Path) -> None:
    """A byte order mark is no part of the first column's name."""
    path = tmp_path / "log.csv"
    path.write_text("\ufeff" + APACHE + "1,Sun Dec 04 04:47:44 2005,notice,Hello,E1,T\n", encoding="utf-8")
    assert len(list(read_log(path))) == 1


def test_lines_stream(tmp_path: Path) -> None:
    """A file of many megabytes is read line by line, in little memory."""
    path = tmp_path / "log.csv"
    path.write_text(ZOOKEEPER + GOOD * 20_000, encoding="utf-8")
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_log(path)) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


REAL_LEVELS = {
    "apache": {"info": 1405, "error": 595},
    "hadoop": {"info": 1040, "warning": 808, "error": 150, "critical": 2},
    "openstack": {"info": 1969, "warning": 31},
    "zookeeper": {"warning": 1318, "info": 669, "error": 13},
}


@real_files
@pytest.mark.parametrize("service", REAL_LEVELS)
def test_real_files(service: str) -> None:
    """Each of the 2,000 lines of a real file is read, with its level and a text."""
    lines = list(read_log(REAL / f"{service}.csv"))
    assert Counter(str(line.level) for line in lines) == REAL_LEVELS[service]
    assert [line.number for line in lines] == list(range(2, 2002))
    assert all(line.message and line.logger for line in lines)
    assert {line.service for line in lines} == {service}


@real_files
def test_real_times() -> None:
    """The first and last times of the real files, in UTC."""
    spans = {}
    for service in REAL_LEVELS:
        times = [line.time for line in read_log(REAL / f"{service}.csv")]
        spans[service] = (min(times).date().isoformat(), max(times).date().isoformat())
    assert spans == {
        "apache": ("2005-12-04", "2005-12-05"),
        "hadoop": ("2015-10-18", "2015-10-18"),
        "openstack": ("2017-05-16", "2017-05-16"),
        "zookeeper": ("2015-07-29", "2015-08-25"),
    }
