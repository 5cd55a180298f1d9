"""Thirty-two threads on a pool of eight connections, reading and writing, beside the same work on bare psycopg_pool."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg_pool import ConnectionPool

import sqlkit
from benchmarks.models import COLUMNS, POINT, Song, create_tables
from benchmarks.work import Limit, Size, Verdict, Work
from sqlkit import Affected, Database, Executor

__all__ = ["concurrency"]

CONNECTIONS = 8
BARE = "psycopg_pool, tuples"
PAGE = f"select {COLUMNS} from songs where song_id between %s and %s order by song_id"
WRITE = "update songs set tempo = tempo where song_id = %s"

Operation = Callable[[int], Any]


class MixedQueries(Protocol):
    """The statements of ``mixed.sql``."""

    def get_song(self, db: Executor, *, song_id: int) -> Song: ...
    def page_of_songs(self, db: Executor, *, first: int, last: int) -> list[Song]: ...
    def touch_song(self, db: Executor, *, song_id: int) -> Affected: ...


mixed: MixedQueries = sqlkit.load(MixedQueries, Path(__file__).parent / "mixed.sql")


@contextmanager
def concurrency(dsn: str, size: Size) -> Iterator[list[Work]]:
    """Give the work; every operation's own time is kept for the 99th percentile."""
    with ExitStack() as stack:
        with psycopg.connect(dsn, autocommit=True) as conn:
            create_tables(conn, max(size.rows, 60))
        pool: ConnectionPool[psycopg.Connection[Any]] = stack.enter_context(
            ConnectionPool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS, kwargs={"autocommit": True}, open=True)
        )
        pool.wait()
        db = stack.enter_context(Database.connect(dsn, pool_min_size=CONNECTIONS, pool_max_size=CONNECTIONS))
        threads = stack.enter_context(ThreadPoolExecutor(size.threads))
        operations: dict[str, Operation] = {
            BARE: lambda number: bare(pool, number),
            "sqlkit": lambda number: typed(db, number),
        }
        taken: dict[str, list[list[float]]] = {name: [] for name in operations}  # of each run

        def together(name: str) -> list[Any]:
            compared = not taken[name]  # the first run's answers are; later ones would only be walked by the collector
            parts = [(operations[name], thread, max(1, size.calls // 5), compared) for thread in range(size.threads)]
            done = list(threads.map(several, parts))
            taken[name].append([seconds for _, times in done for seconds in times])
            return [answers for answers, _ in done]

        def slowest() -> list[Verdict]:
            ratio = percentile(taken["sqlkit"]) / percentile(taken[BARE])
            return [Verdict(f"sqlkit / {BARE}, 99th percentile", ratio, at_most=1.2)]

        yield [
            Work(
                "threads",
                f"{size.threads} threads on a pool of {CONNECTIONS}, look-ups, pages and writes",
                1,
                {BARE: lambda: together(BARE), "sqlkit": lambda: together("sqlkit")},
                (Limit(BARE, at_least=1.0),),
                besides=slowest,
            )
        ]


def several(part: tuple[Operation, int, int, bool]) -> tuple[list[Any], list[float]]:
    """Run the operations of one thread; their answers, if they are to be compared, and their times."""
    operation, thread, calls, compared = part
    answers, times = [], []
    for number in range(calls):
        start = time.perf_counter()
        answer = operation(thread * 7 + number)
        times.append(time.perf_counter() - start)
        if compared:
            answers.append(answer)
    return answers, times


def bare(pool: ConnectionPool[psycopg.Connection[Any]], number: int) -> Any:
    """Do one operation on psycopg's pool: of ten, seven look-ups, two pages, one write."""
    song_id = 1 + number % 50
    with pool.connection() as conn:
        if number % 10 < 7:
            return conn.execute(POINT, (song_id,), prepare=True).fetchone()
        if number % 10 < 9:
            return conn.execute(PAGE, (song_id, song_id + 49), prepare=True).fetchall()
        return conn.execute(WRITE, (song_id,), prepare=True).rowcount


def typed(db: Database, number: int) -> Any:
    """Do the same by sqlkit, into models."""
    song_id = 1 + number % 50
    if number % 10 < 7:
        return mixed.get_song(db, song_id=song_id)
    if number % 10 < 9:
        return mixed.page_of_songs(db, first=song_id, last=song_id + 49)
    return mixed.touch_song(db, song_id=song_id)


def percentile(runs: list[list[float]]) -> float:
    """Return the time that 99 of 100 operations of a run kept: the median of the runs.

    The first run is left out: in it answers are compared.
    """
    return statistics.median(sorted(times)[int(len(times) * 0.99)] for times in runs[1:])
