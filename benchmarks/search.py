"""A search with four optional filters, two of them given, beside what people write by hand for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import psycopg
from psycopg.rows import class_row
from pydantic import BaseModel

import sqlkit
from benchmarks.work import Limit, Size, Work
from sqlkit import Executor

__all__ = ["search"]

COLUMNS = "take_id, artist, year, tempo, title"
HAND = f"""
select {COLUMNS}
from takes
where artist = %(artist)s and year = %(year)s
order by take_id
limit 50
"""
IDIOM = f"""
select {COLUMNS}
from takes
where
    (%(artist)s::integer is null or artist = %(artist)s)
    and (%(year)s::integer is null or year = %(year)s)
    and (%(tempo)s::integer is null or tempo = %(tempo)s)
    and (%(title)s::text is null or title = %(title)s)
order by take_id
limit 50
"""
SETUP = """
drop table if exists takes;
create table takes (
    take_id integer primary key, artist integer not null, year integer not null, tempo integer not null,
    title text not null
);
insert into takes
select n, n::bigint * 7919 % 5000, 1900 + n::bigint * 104729 % 120, 60 + n % 200, 'Take ' || n % 50000
from generate_series(1, {rows}) as n;
create index takes_artist_year_idx on takes (artist, year);
create index takes_title_idx on takes (title);
analyze takes;
"""
BY_HAND, TUPLES = "by hand, class_row", "by hand, tuples"
WRITTEN = "sqlkit, written out"
GENERIC = "is null or, generic plan, class_row"


class Take(BaseModel):
    """One recording of a song."""

    take_id: int
    artist: int
    year: int
    tempo: int
    title: str


class TakeQueries(Protocol):
    """The statements of ``takes.sql``."""

    def search_takes(
        self,
        db: Executor,
        *,
        artist: int | None = None,
        year: int | None = None,
        tempo: int | None = None,
        title: str | None = None,
    ) -> list[Take]: ...
    def takes_of_artist(self, db: Executor, *, artist: int, year: int) -> list[Take]: ...


takes: TakeQueries = sqlkit.load(TakeQueries, Path(__file__).parent / "takes.sql")


@contextmanager
def search(dsn: str, size: Size) -> Iterator[list[Work]]:
    """Give the search, on a table of so many rows."""
    with ExitStack() as stack:
        plain = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        plain.execute(SETUP.format(rows=size.million).encode())
        models = stack.enter_context(psycopg.connect(dsn, autocommit=True, row_factory=class_row(Take)))
        generic = stack.enter_context(psycopg.connect(dsn, autocommit=True, row_factory=class_row(Take)))
        generic.execute("set plan_cache_mode = force_generic_plan")
        typed = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        found = plain.execute("select artist, year from takes where take_id = 77").fetchone()
        assert found is not None
        artist, year = found
        two = {"artist": artist, "year": year}
        four = {**two, "tempo": None, "title": None}
        yield [
            Work(
                "search",
                f"4 optional filters, 2 given, on {size.million:,} rows",
                max(1, size.calls // 10),
                {
                    TUPLES: lambda: plain.execute(HAND, two, prepare=True).fetchall(),
                    BY_HAND: lambda: models.execute(HAND, two, prepare=True).fetchall(),
                    "sqlkit": lambda: takes.search_takes(typed, artist=artist, year=year),
                    WRITTEN: lambda: takes.takes_of_artist(typed, artist=artist, year=year),
                    GENERIC: lambda: generic.execute(IDIOM, four, prepare=True).fetchall(),
                },
                (Limit(BY_HAND, at_most=1.1), Limit(WRITTEN, at_most=1.1), Limit(GENERIC, at_most=0.2)),
                rounds=7,
            )
        ]
