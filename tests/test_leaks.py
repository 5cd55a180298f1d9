"""What many rows leave behind: nothing, however often they are read, streamed, copied or refused.

The rows are read in a process of its own (``python -m tests.test_leaks DSN ROUNDS``): in one that has run thousands of
tests, the heap breathes by megabytes, which hides what leaks and looks like what does not.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from pydantic import BaseModel

import sqlkit
from sqlkit import Affected, ArgumentError, Executor, RowError, Rows
from tests import songbook
from tests.songbook import prepared_statements, write_sql

module_database = songbook.module_database

STATUS = Path("/proc/self/statm")

pytestmark = pytest.mark.skipif(not STATUS.exists(), reason="the memory of a process is read from Linux's /proc")

STATEMENTS = """
-- name: read_all
select number, nullif(number, :gap)::text as word, 1000 / (number - :zero) as ratio
from generate_series(1, 1500) as number;

-- name: stream_all
select number, nullif(number, :gap)::text as word, 1000 / (number - :zero) as ratio
from generate_series(1, 1500) as number;

-- name: copy_all
copy heaps (number, word, ratio) from stdin;

-- name: add_all
insert into heaps (number, word, ratio) values (:number, :word, :ratio) returning number;
"""


class Heap(BaseModel):
    """A row."""

    number: int
    word: str
    ratio: int


class Heaps(Protocol):
    """The statements."""

    def read_all(self, db: Executor, gap: int, zero: int) -> list[Heap]: ...
    def stream_all(self, db: Executor, gap: int, zero: int) -> Rows[Heap]: ...
    def copy_all(self, db: Executor, heaps: Iterable[Any]) -> Affected: ...
    def add_all(self, db: Executor, heaps: Iterable[Any]) -> list[int]: ...


def one_round(queries: Heaps, conn: psycopg.Connection[Any]) -> None:
    """Read, stream and write some thousand rows, to the end and not."""
    items = queries.read_all(conn, 0, 0)
    assert len(items) == 1500
    assert sum(1 for _ in queries.stream_all(conn, 0, 0)) == 1500
    for _ in queries.stream_all(conn, 0, 0):
        break
    for gap, zero, error in [(1200, 0, RowError), (0, 1200, psycopg.errors.DivisionByZero)]:
        with contextlib.suppress(error):
            queries.read_all(conn, gap, zero)
        with contextlib.suppress(error):
            list(queries.stream_all(conn, gap, zero))
    assert queries.copy_all(conn, items) == 1500
    assert queries.copy_all(conn, [{"number": str(item.number), "word": "w", "ratio": 1} for item in items]) == 1500
    with contextlib.suppress(ArgumentError):
        queries.copy_all(conn, [*items, {"number": "x", "word": "w", "ratio": 1}])
    assert len(queries.add_all(conn, items[:200])) == 200
    conn.execute("truncate heaps")


def resident() -> int:
    """Return how many bytes of memory this process has."""
    return int(STATUS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(dsn: str, rounds: int) -> dict[str, int]:
    """Return what this process and its connection have more after many rounds, by the names of what was counted."""
    with tempfile.TemporaryDirectory() as folder, psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("drop table if exists heaps; create unlogged table heaps (number int, word text, ratio int)")
        queries = sqlkit.load(Heaps, write_sql(Path(folder), STATEMENTS))

        def counted() -> dict[str, int]:
            gc.collect()
            return {
                "bytes": resident(),
                "objects": len(gc.get_objects()),
                "classes": len(BaseModel.__subclasses__()),
                "statements": len(prepared_statements(conn)),
            }

        for _ in range(10):
            one_round(queries, conn)
        before = counted()
        for _ in range(rounds):
            one_round(queries, conn)
        return {name: number - before[name] for name, number in counted().items()}


@pytest.mark.direct("it counts what stays prepared")
@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(100, id="short"),
        pytest.param(5000, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
def test_many_rows_leave_nothing(module_database: str, rounds: int) -> None:
    """No memory of Python's or libpq's (one lost result is 100 kB), no object, no class and no prepared statement."""
    command = [sys.executable, "-m", "tests.test_leaks", module_database, str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600, cwd=Path(__file__).parent.parent)
    assert done.returncode == 0, done.stderr
    grown = json.loads(done.stdout)
    assert grown.pop("bytes") < 4_000_000
    assert grown.pop("objects") < 200
    assert grown == {"classes": 0, "statements": 0}


if __name__ == "__main__":
    print(json.dumps(growth(sys.argv[1], int(sys.argv[2]))))
