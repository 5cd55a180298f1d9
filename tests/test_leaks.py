"""What many rows leave behind: nothing, however often they are read, streamed, copied or refused."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterable, Iterator
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


@pytest.fixture
def conn(module_database: str) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection in autocommit to a database with an empty table."""
    with psycopg.connect(module_database, autocommit=True) as opened:
        opened.execute("drop table if exists heaps; create unlogged table heaps (number int, word text, ratio int)")
        yield opened


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


@pytest.mark.direct("it counts what stays prepared")
@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(100, id="short"),
        pytest.param(5000, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
def test_many_rows_leave_nothing(conn: psycopg.Connection[Any], tmp_path: Path, rounds: int) -> None:
    """No memory of Python's or libpq's (one lost result is 100 kB), no object, no class and no prepared statement."""
    queries = sqlkit.load(Heaps, write_sql(tmp_path, STATEMENTS))
    for _ in range(10):
        one_round(queries, conn)
    gc.collect()
    memory, objects, statements = resident(), len(gc.get_objects()), prepared_statements(conn)
    classes = len(BaseModel.__subclasses__())
    for _ in range(rounds):
        one_round(queries, conn)
    gc.collect()
    assert resident() - memory < 6_000_000  # where it lasts for thousands of tests, the heap breathes by three
    assert len(gc.get_objects()) - objects < 200
    assert len(BaseModel.__subclasses__()) == classes
    assert prepared_statements(conn) == statements
