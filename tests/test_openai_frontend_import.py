"""Log files imported into openai_frontend's logs: the samples, and the 8,000 real lines where they are."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from sqlkit import Database
from sqlkit.apps import openai_frontend as frontend
from sqlkit.operations import drop_partitions, list_partitions
from sqlkit.operations.logfiles import SAMPLES, LogFileError, read_log

REAL = Path(__file__).parent.parent.parent / "shared" / "data" / "logs"
needs_real_logs = pytest.mark.skipif(not REAL.is_dir(), reason="the real log files are not ours to carry")
SERVICES = ("apache", "hadoop", "openstack", "zookeeper")
EVER = {"since": datetime(2000, 1, 1, tzinfo=UTC), "until": datetime(2100, 1, 1, tzinfo=UTC)}


@pytest.fixture
def db(frontend_dsn: str) -> Iterator[Database]:
    """Give a Database with openai_frontend's tables, for a test that commits."""
    with Database.connect(frontend_dsn, pool_max_size=4) as database:
        yield database


def days_in(db: Database) -> Counter[tuple[str, date]]:
    """Count the lines in the database by service and day."""
    counted = frontend.logs.count_logs_by_day(db, since=EVER["since"], until=EVER["until"])
    return Counter({(row.logger, row.day): row.lines for row in counted})


def days_of(path: Path) -> Counter[tuple[str, date]]:
    """Count the lines of a file by service and day, by its columns alone."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    dates = [
        date.fromisoformat(row["Date"])
        if "Date" in row
        else datetime.strptime(row["Time"], "%a %b %d %H:%M:%S %Y").date()
        for row in rows
    ]
    return Counter((path.stem, day) for day in dates)


def test_samples(db: Database) -> None:
    """Each sample goes in line by line, with time, service, level, message and place, into its month's partition."""
    lines = [line for service in SERVICES for line in read_log(SAMPLES[service])]
    for service in SERVICES:
        imported = frontend.import_log_file(db, SAMPLES[service])
        assert imported == (sum(line.service == service for line in lines), [])
    found = frontend.logs.list_logs(db, since=EVER["since"], until=EVER["until"], limit=10_000)
    assert sorted((line.created_at, line.logger, line.level, line.message) for line in found) == sorted(
        (line.time, line.service, line.level, line.message) for line in lines
    )
    assert {(line.logger, line.context["line"]) for line in found} == {(line.service, line.number) for line in lines}
    assert {line.context["component"] for line in found} == {line.logger for line in lines}


def test_lines_that_cannot_be_read(db: Database, tmp_path: Path) -> None:
    """A line that cannot be read is refused with its number; the others go in."""
    text = SAMPLES["apache"].read_text(encoding="utf-8").splitlines(keepends=True)
    spoilt = tmp_path / "apache.csv"
    spoilt.write_text("".join([text[0], text[1], "nonsense\n", text[2]]), encoding="utf-8")
    imported = frontend.import_log_file(db, spoilt)
    assert imported.lines == 2
    assert [bad.number for bad in imported.refused] == [3]


def test_no_log_file(db: Database, tmp_path: Path) -> None:
    """A file of no known form is refused by its place, and nothing goes in."""
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(LogFileError, match=r"other\.csv:1"):
        frontend.import_log_file(db, other)
    assert days_in(db) == Counter()


def test_all_or_nothing_in_a_transaction(db: Database) -> None:
    """An import in a transaction that is rolled back leaves neither lines nor partitions."""
    before = list_partitions(db, frontend.LOGS)
    with db.connection() as conn:
        assert frontend.import_log_file(conn, SAMPLES["hadoop"]).lines > 0
        conn.rollback()
    assert days_in(db) == Counter()
    assert list_partitions(db, frontend.LOGS) == before


@needs_real_logs
def test_real_lines_by_day(db: Database) -> None:
    """The 8,000 real lines are there, on each day and of each service as many as in the files."""
    for service in SERVICES:
        assert frontend.import_log_file(db, REAL / f"{service}.csv") == (2000, [])
    counted = sum((days_of(REAL / f"{service}.csv") for service in SERVICES), Counter[tuple[str, date]]())
    assert days_in(db) == counted
    assert counted.total() == 8000
    years = {partition.name.removeprefix("logs_")[:4] for partition in list_partitions(db, frontend.LOGS)}
    assert {"2005", "2015", "2017"} <= years


@needs_real_logs
def test_a_day_of_real_lines_reads_one_partition(db: Database) -> None:
    """A query over one day of the real lines reads the partition of its month alone."""
    for service in SERVICES:
        frontend.import_log_file(db, REAL / f"{service}.csv")
    day = datetime(2005, 12, 4, tzinfo=UTC)
    with db.connection() as conn:
        plan = "\n".join(
            line
            for (line,) in conn.execute(
                "explain (analyze, costs off) select count(*) from logs where created_at >= %s and created_at < %s",
                [day, day + timedelta(days=1)],
            )
        )
    assert set(re.findall(r"\bon (logs_\d{4}_\d\d)\b", plan)) == {"logs_2005_12"}
    found = frontend.logs.count_logs_by_day(db, since=day, until=day + timedelta(days=1))
    assert [(row.logger, row.day, row.lines) for row in found] == [
        ("apache", day.date(), days_of(REAL / "apache.csv")["apache", day.date()])
    ]


@needs_real_logs
def test_dropping_the_oldest_real_partition(db: Database) -> None:
    """With the partition of 2005 exactly Apache's lines go, for all of them are of that month."""
    for service in SERVICES:
        frontend.import_log_file(db, REAL / f"{service}.csv")
    before = days_in(db)
    report = drop_partitions(db, frontend.LOGS, before=datetime(2006, 1, 1, tzinfo=UTC))
    assert [partition.name for partition in report.dropped] == ["logs_2005_12"]
    assert days_in(db) == Counter({key: count for key, count in before.items() if key[1].year != 2005})
    assert days_in(db).total() == 6000
