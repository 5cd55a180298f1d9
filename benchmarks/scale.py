r"""Usage by the million: copied beside psql's own ``\copy``, a month dropped beside DELETE, a quarter read of a year.

``SQLKIT_BENCH_ROWS=50000 make bench ONLY=scale`` is a short run. What is compared is first shown to be equal: the same
rows after each copy, the same sums, nothing left of a month.
"""

from __future__ import annotations

import itertools
import os
import re
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.scoreboard import fresh
from benchmarks.work import Measured, Verdict
from sqlkit import Database
from sqlkit.apps import openai_frontend as frontend
from sqlkit.apps.openai_frontend.sample import sample_usage
from sqlkit.embedded import Embedded
from sqlkit.embedded.binaries import find_bindir
from sqlkit.folders import SQL
from sqlkit.migrate import database_url
from sqlkit.operations import drop_partitions, make_partitions
from sqlkit.statements import read_statements

__all__ = ["scale"]

ROWS = int(os.environ.get("SQLKIT_BENCH_ROWS", "1000000"))
DIFFERENT = 50_000  # a million rows are these again and again
COPIES, MONTHS, READS = 3, 3, 7  # rounds
YEAR = 2026
MONTHS_OF_A_YEAR = [datetime(YEAR, month, 1, tzinfo=UTC) for month in range(1, 13)]
FEBRUARY, MARCH, APRIL, MAY, JULY = (datetime(YEAR, month, 1, tzinfo=UTC) for month in (2, 3, 4, 5, 7))
NEW_YEAR, NEXT_YEAR = datetime(YEAR, 1, 1, tzinfo=UTC), datetime(YEAR + 1, 1, 1, tzinfo=UTC)

COPY = next(each.copy for each in read_statements(SQL / "openai_frontend/usage.sql") if each.name == "copy_usage")
PER_DAY = next(each for each in read_statements(SQL / "openai_frontend/usage.sql") if each.name == "usage_per_day")
assert COPY is not None
COLUMNS = ", ".join(COPY.columns)

CONTENT = f"select count(*), sum(hashtextextended(row({COLUMNS})::text, 0)) from usage"
DELETE = "delete from usage where created_at >= %s and created_at < %s"
REMAINING = "select count(*) from usage where created_at >= %s and created_at < %s"
ANY_ROW = "select 1 from usage where created_at >= %s and created_at < %s limit 1"

#: The kept rows, moved into February, March and April.
FILL = f"""
truncate usage;
insert into usage ({COLUMNS})
select {COLUMNS.replace("created_at", "months.start + (kept.created_at - '2026-01-01Z') * 0.076")}
from kept
cross join (values ('2026-02-01Z'::timestamptz), ('2026-03-01Z'), ('2026-04-01Z')) as months (start);
analyze usage;
checkpoint
"""


#: A server whose data outlives a crash, as one in use: a page that changes for the first time behind a checkpoint goes
#: to the log as a whole, and a COMMIT waits for the disk.
DURABLE = {"fsync": "on", "full_page_writes": "on", "autovacuum": "off", "max_wal_size": "4GB"}


def scale(dsn: str) -> Iterator[Measured]:
    """Measure one after the other: what is read on the server of the other works, what goes on a durable one."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("alter system set autovacuum = off")  # which would come in between
        conn.execute("select pg_reload_conf()")
    url = with_usage(dsn)
    with Database.connect(url) as db, psycopg.connect(url, autocommit=True) as conn:
        yield copied(db, conn, url)
        conn.execute("analyze usage")
        yield read(db, conn)
    with tempfile.TemporaryDirectory(prefix="sqlkit-bench-") as folder:
        if os.geteuid() == 0:
            os.chmod(folder, 0o755)  # the server runs as another user
        with Embedded.start(f"{folder}/server", settings=DURABLE) as server:
            url = with_usage(server.dsn)
            with Database.connect(url) as db, psycopg.connect(url, autocommit=True) as conn:
                frontend.copy_usage(db, calls_of_a_year())
                conn.execute(f"create unlogged table kept as select {COLUMNS} from usage")
                yield dropped(db, conn, url)


def with_usage(dsn: str) -> str:
    """Make a database with openai_frontend's tables and the year's partitions; return its DSN."""
    url = database_url(fresh(dsn, "scale", lambda _: None), schema="openai_frontend")
    if not frontend.init_database(url):
        raise AssertionError("openai_frontend: its tables could not be made")
    with Database.connect(url) as db:
        make_partitions(db, frontend.USAGE, MONTHS_OF_A_YEAR)
    return url


def calls_of_a_year() -> list[frontend.NewUsage]:
    """Return the rows."""
    different = list(sample_usage(min(DIFFERENT, ROWS), range(1, 101), until=NEXT_YEAR, days=365))
    return (different * (ROWS // len(different) + 1))[:ROWS]


def copied(db: Database, conn: psycopg.Connection[Any], url: str) -> Measured:
    r"""Copy the same rows by psql and by sqlkit, turn by turn, into empty partitions."""
    calls = calls_of_a_year()
    with tempfile.TemporaryDirectory(prefix="sqlkit-bench-") as folder:
        path = Path(folder) / "usage.tsv"
        with path.open("w", encoding="utf-8") as file:
            for call in calls:
                values = [getattr(call, column) for column in COLUMNS.split(", ")]
                file.write("\t".join(r"\N" if value is None else str(value) for value in values) + "\n")
        statement = rf"\copy usage ({COLUMNS}) from '{path}'"
        psql = [str(find_bindir() / "psql"), url, "-v", "ON_ERROR_STOP=1", "-qXc", statement]
        contenders: dict[str, Callable[[], Any]] = {
            r"psql \copy": lambda: subprocess.run(psql, check=True),
            "sqlkit": lambda: frontend.usage.copy_usage(db, calls),
            "sqlkit, 10,000 at a time": lambda: frontend.copy_usage(db, calls),
        }
        contents, times = [], rounds(contenders)
        for number in range(COPIES):
            for name, copy in contenders.items():
                conn.execute("truncate usage")
                times[name].append(seconds(copy))
                if number == 0:
                    contents.append(conn.execute(CONTENT).fetchone())
    if set(contents) != {contents[0]} or contents[0] is None or contents[0][0] != ROWS:
        raise AssertionError("copy: the contenders did not leave the same rows")
    medians = medians_of(times)
    rates = {name: medians[r"psql \copy"] / median for name, median in medians.items() if name.startswith("sqlkit")}
    verdicts = [Verdict(rf"{name} / psql \copy, rate", rate, at_least=0.7) for name, rate in rates.items()]
    return Measured("scale", rf"{ROWS:,} rows of usage by copy", medians, verdicts=verdicts)


def read(db: Database, conn: psycopg.Connection[Any]) -> Measured:
    """Sum up a quarter by day and model, beside the year; tell which partitions the plan reads."""
    spans = {"the year": (NEW_YEAR, NEXT_YEAR), "a quarter of it": (APRIL, JULY)}
    contenders: dict[str, Callable[[], list[frontend.UsageOfDay]]] = {
        name: partial(frontend.usage.usage_per_day, db, since=since, until=until)
        for name, (since, until) in spans.items()
    }
    year = [row for row in contenders["the year"]() if APRIL.date() <= row.day < JULY.date()]
    if year != contenders["a quarter of it"]():
        raise AssertionError("usage_per_day: a quarter's sums are not those of its days in the year")
    times = rounds(contenders)
    for _ in range(READS):
        for name, call in contenders.items():
            times[name].append(seconds(call))
    counted = {name: len(partitions_read(conn, *span)) for name, span in spans.items()}
    if counted["the year"] != len(MONTHS_OF_A_YEAR):
        raise AssertionError(f"usage_per_day: the year's sums are read from {counted['the year']} partitions")
    verdicts = [Verdict("partitions of twelve that a quarter reads", counted["a quarter of it"], at_most=3)]
    return Measured("scale", "usage per day and model", medians_of(times), verdicts=verdicts)


def partitions_read(conn: psycopg.Connection[Any], since: datetime, until: datetime) -> set[str]:
    """Return the partitions that the statement itself reads, its plan being made for any span."""
    variant = PER_DAY.variant()
    values = {"since": since, "until": until}
    with psycopg.RawCursor(conn) as cursor:
        cursor.execute(
            f"explain (analyze, costs off, timing off, summary off) {variant.text}",
            [values[reference.name] for reference in variant.references],
        )
        return set(re.findall(r"\bon (?:\w+ on )?(usage_\d{4}_\d\d)\b", "\n".join(line for (line,) in cursor)))


def dropped(db: Database, conn: psycopg.Connection[Any], url: str) -> Measured:
    """Drop a month's partition, and delete as many rows from another's, both checkpointed, as what is a year old is.

    DELETE leaves the rows' space to VACUUM, as a partition that is detached leaves its files to DROP: so DELETE is
    compared with the time until no reader sees a row, and with a run that leaves the files to the next one; DELETE and
    VACUUM with the whole. The truth of a table without partitions is worse than what is timed here, for its VACUUM
    reads the indexes of all the other months too.
    """
    vacuumed, gone, whole = "DELETE and VACUUM", "drop_partitions, till no row is seen", "drop_partitions, whole"
    leaving, left = "drop_partitions(leave_files=True)", "... and the next run, which drops them"
    times: dict[str, list[float]] = {"DELETE": [], vacuumed: [], gone: [], whole: [], leaving: [], left: []}
    drop_partitions(db, frontend.USAGE, before=MARCH)
    for _ in range(MONTHS):
        make_partitions(db, frontend.USAGE, [FEBRUARY, MARCH])
        for statement in FILL.split(";"):
            conn.execute(statement.encode())
        bounds = [FEBRUARY, MARCH, APRIL, MAY]
        rows = [remaining(conn, *span) for span in itertools.pairwise(bounds)]
        times[leaving].append(seconds(lambda: drop_partitions(db, frontend.USAGE, before=MARCH, leave_files=True)))
        seen = remaining(conn, FEBRUARY, MARCH)
        times[left].append(seconds(lambda: drop_partitions(db, frontend.USAGE, before=MARCH)))
        conn.execute("checkpoint")
        watch = Watch(url)
        times[whole].append(seconds(lambda: drop_partitions(db, frontend.USAGE, before=APRIL)))
        times[gone].append(watch.stop())
        conn.execute("checkpoint")
        times["DELETE"].append(seconds(lambda: conn.execute(DELETE, [APRIL, MAY])))
        vacuum = seconds(lambda: conn.execute("vacuum usage"))
        times[vacuumed].append(times["DELETE"][-1] + vacuum)
        if rows != [ROWS] * 3 or seen or remaining(conn, NEW_YEAR, NEXT_YEAR):
            raise AssertionError("retention: the months were not equal, or something is left of one")
    medians = medians_of(times)
    verdicts = [
        Verdict(f"DELETE / {name}", medians["DELETE"] / medians[name], at_least=100) for name in (gone, leaving, whole)
    ]
    against = medians[vacuumed] / medians[whole]
    said = (
        "what drop_partitions does after no row is seen is the file system's work, as VACUUM is DELETE's: whole it is "
        f"{against:.1f} times as fast as DELETE and VACUUM"
    )
    title = f"a month of {ROWS:,} rows past its retention, on a durable server"
    return Measured("scale", title, medians, said, verdicts)


class Watch:
    """Looks for rows of March on a connection of its own, as any reader would, and notes when there are none."""

    def __init__(self, url: str) -> None:
        self.ready = threading.Event()
        self.gone = 0.0
        self.thread = threading.Thread(target=self.look, args=(url,))
        self.thread.start()
        self.ready.wait()
        self.start = time.perf_counter()

    def look(self, url: str) -> None:
        """Ask again and again."""
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(ANY_ROW, [MARCH, APRIL])
            self.ready.set()
            while conn.execute(ANY_ROW, [MARCH, APRIL]).fetchone():
                time.sleep(0.0005)
            self.gone = time.perf_counter()

    def stop(self) -> float:
        """Return the seconds until there was no row."""
        self.thread.join()
        return self.gone - self.start


def remaining(conn: psycopg.Connection[Any], since: datetime, until: datetime) -> int:
    """Count the rows of a span."""
    row = conn.execute(REMAINING, [since, until]).fetchone()
    assert row is not None
    return int(row[0])


def rounds(contenders: dict[str, Any]) -> dict[str, list[float]]:
    """Return a list for each contender."""
    return {name: [] for name in contenders}


def medians_of(times: dict[str, list[float]]) -> dict[str, float]:
    """Return the median of each contender's times."""
    return {name: statistics.median(found) for name, found in times.items()}


def seconds(call: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
