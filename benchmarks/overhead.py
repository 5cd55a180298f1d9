"""What it costs that a look-up tells of itself: its name to the server, its figures, the log of slow statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import perf_counter
from typing import Any

import psycopg

from benchmarks.models import create_tables, songs
from benchmarks.work import Limit, Size, Work
from sqlkit import Database

__all__ = ["overhead"]

SILENT, ALL = "sqlkit, nothing told", "names, statistics and log"

#: The settings of each contender; the first is what the others are held against.
TELLING: dict[str, dict[str, Any]] = {
    SILENT: {"name_statements": False, "statistics": False},
    "names in comments": {"name_statements": True, "statistics": False},
    "statistics": {"name_statements": False, "statistics": True},
    ALL: {"name_statements": True, "statistics": True, "slow_after": 1.0},
}

#: Short rounds and many, of so many calls on each database: what is looked for is less than what a busy moment costs.
CALLS = 8
ROUNDS = 701

#: Of each kind, opened in turn: one connection's process may be slower than another's by more than that, too.
DATABASES = 5


@contextmanager
def overhead(dsn: str, size: Size) -> Iterator[list[Work]]:
    """Give the look-up of one row on databases that tell and on one that does not."""
    with ExitStack() as stack:
        with psycopg.connect(dsn, autocommit=True) as conn:
            create_tables(conn, size.rows)
        opened: dict[str, list[Database]] = {name: [] for name in TELLING}
        for _ in range(DATABASES):
            for name, own in TELLING.items():
                opened[name].append(stack.enter_context(Database.connect(dsn, **own)))
        yield [
            Work(
                "overhead",
                "look-up of one row by its key, telling of itself",
                1,
                {name: look_ups(databases) for name, databases in opened.items()},
                (Limit(SILENT, at_most=1.05, of=ALL),),
                rounds=ROUNDS,
                own_clock=True,
            )
        ]


def look_ups(databases: list[Database]) -> Callable[[], float]:
    """Return what times look-ups on one database after the other: the shortest, in which nothing else ran."""

    def timed() -> float:
        times = []
        for db in databases * CALLS:
            began = perf_counter()
            songs.get_song(db, song_id=7)
            times.append(perf_counter() - began)
        return min(times)

    return timed
