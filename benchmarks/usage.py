r"""``python -m benchmarks.usage``: a million rows of usage by copy, a quarter read, a month dropped.

What partitioned tables are for, each as a ratio in one run on one server: the rate of ``copy_usage`` beside that of
psql's ``\copy`` of the same data; how many partitions of twelve a quarter's sums read; how much faster a month's
partition is dropped than its rows are deleted, and their room given back. ``ROWS=100000`` takes fewer.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from sqlkit import Database
from sqlkit.apps import openai_frontend as frontend
from sqlkit.apps.openai_frontend.models import NewUsage
from sqlkit.apps.openai_frontend.sample import sample_usage
from sqlkit.embedded import Embedded
from sqlkit.embedded.binaries import find_bindir
from sqlkit.migrate import database_url
from sqlkit.operations import drop_partitions, make_partitions

ROWS = int(os.environ.get("ROWS", "1000000"))
DIFFERENT = 50_000  # rows; a million is these again and again
ROUNDS = 3
YEAR = 2026
COLUMNS = (
    "user_id",
    "api_key_id",
    "endpoint",
    "model",
    "prompt_tokens",
    "completion_tokens",
    "cost",
    "status_code",
    "latency_ms",
    "created_at",
)


def main() -> int:
    """Run the three works and print what they took; 1 where a promise is not kept."""
    with tempfile.TemporaryDirectory(prefix="sqlkit-bench-") as folder:
        if os.geteuid() == 0:
            os.chmod(folder, 0o755)  # the server runs as another user
        with database(Path(folder)) as (db, dsn):
            copied(db, dsn, Path(folder))
            read(db)
            dropped(db)
    return 0


@contextmanager
def database(folder: Path) -> Iterator[tuple[Database, str]]:
    """Give a database with openai_frontend's tables and the partitions of a year."""
    with Embedded.start(folder / "server", durable=False) as server:
        with psycopg.connect(server.dsn, autocommit=True) as conn:
            conn.execute("alter system set autovacuum = off")  # which would come in between
            conn.execute("select pg_reload_conf()")
        dsn = database_url(server.dsn, schema="openai_frontend")
        assert frontend.init_database(dsn)
        with Database.connect(dsn) as db:
            make_partitions(db, frontend.USAGE, [datetime(YEAR, month, 1, tzinfo=UTC) for month in range(1, 13)])
            yield db, dsn


def rows() -> list[NewUsage]:
    """Return the rows, spread over the year."""
    until = datetime(YEAR + 1, 1, 1, tzinfo=UTC)
    different = list(sample_usage(min(DIFFERENT, ROWS), range(1, 101), until=until, days=365))
    return (different * (ROWS // len(different) + 1))[:ROWS]


def copied(db: Database, dsn: str, folder: Path) -> None:
    """Copy the rows by psql and by sqlkit, turn by turn."""
    calls = rows()
    path = folder / "usage.tsv"
    with path.open("w", encoding="utf-8") as file:
        for call in calls:
            file.write("\t".join("\\N" if value is None else str(value) for value in values_of(call)) + "\n")
    statement = f"\\copy usage ({', '.join(COLUMNS)}) from '{path}'"
    psql = [str(find_bindir() / "psql"), dsn, "-v", "ON_ERROR_STOP=1", "-qXc", statement]
    contenders: dict[str, Callable[[], Any]] = {
        "psql \\copy": lambda: subprocess.run(psql, check=True),
        "copy_usage": lambda: frontend.copy_usage(db, calls),
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, copy in contenders.items():
            with db.connection() as conn:
                conn.execute("truncate usage")
            times[name].append(seconds(copy))
            assert counted(db) == ROWS
    medians = {name: statistics.median(found) for name, found in times.items()}
    rate = medians["psql \\copy"] / medians["copy_usage"]
    print(f"{ROWS:,} rows: copy_usage at {rate:.2f} of the rate of psql's \\copy", flush=True)


def values_of(call: NewUsage) -> list[Any]:
    """Return the values of a row in the order of the columns."""
    return [getattr(call, column) for column in COLUMNS]


def read(db: Database) -> None:
    """Sum up a quarter by day and model, and see which partitions are read."""
    since, until = datetime(YEAR, 4, 1, tzinfo=UTC), datetime(YEAR, 7, 1, tzinfo=UTC)
    taken = seconds(lambda: frontend.usage.usage_per_day(db, since=since, until=until))
    statement = "explain (costs off) select count(*) from usage where created_at >= %s and created_at < %s"
    with db.connection() as conn:
        plan = "\n".join(line for (line,) in conn.execute(statement, [since, until]))
    touched = set(re.findall(r"\bon (?:\w+ on )?(usage_\d{4}_\d\d)\b", plan))
    print(f"a quarter by day and model: {len(touched)} partitions of 12 read, {taken:.2f} s", flush=True)


def dropped(db: Database) -> None:
    """Delete a month's rows and give their room back; drop the partition of as many."""
    march, april = datetime(YEAR, 3, 1, tzinfo=UTC), datetime(YEAR, 4, 1, tzinfo=UTC)
    drop_partitions(db, frontend.USAGE, before=march)
    fill_march(db)
    with psycopg.connect(db.settings.dsn(), autocommit=True) as conn:
        conn.execute("set search_path = openai_frontend")
        statement = "delete from usage where created_at >= %s and created_at < %s"
        deleting = seconds(lambda: conn.execute(statement, [march, april]))
        vacuuming = seconds(lambda: conn.execute("vacuum usage"))
    fill_march(db)
    dropping = seconds(lambda: drop_partitions(db, frontend.USAGE, before=april))
    assert counted(db) == 0
    print(
        f"a month of {ROWS:,} rows: dropped in {dropping * 1000:.0f} ms, {deleting / dropping:.0f} times faster than "
        f"deleted, {(deleting + vacuuming) / dropping:.0f} times faster than deleted and vacuumed",
        flush=True,
    )


def fill_march(db: Database) -> None:
    """Let all rows be of one month."""
    with db.connection() as conn:
        conn.execute("truncate usage")
        moved = (call.model_copy(update={"created_at": within_march(call)}) for call in rows())
        frontend.copy_usage(conn, moved)
    assert counted(db) == ROWS


def within_march(call: NewUsage) -> datetime:
    """Return a row's time, moved into March."""
    return call.created_at.replace(month=3, day=min(call.created_at.day, 28))


def counted(db: Database) -> int:
    """Return how many rows there are."""
    span = {"since": datetime(YEAR, 1, 1, tzinfo=UTC), "until": datetime(YEAR + 1, 1, 1, tzinfo=UTC)}
    return frontend.usage.get_total_usage(db, since=span["since"], until=span["until"]).calls


def seconds(call: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
