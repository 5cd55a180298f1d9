"""The works that are timed: for each, contenders that give the same answer on one server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg.rows import class_row
from pydantic import BaseModel

import sqlkit
from sqlkit import Affected, Database, Executor

ROWS = 10_000
COLUMNS = "song_id, title, tempo, rating, is_standard, note"
POINT = f"select {COLUMNS} from songs where song_id = %s"
ALL = f"select {COLUMNS} from songs"

SETUP = """
create table songs (
    song_id integer primary key, title text not null, tempo integer not null, rating float8 not null,
    is_standard boolean not null, note text
);
insert into songs
select n, 'Song ' || n, 60 + n % 200, n / 7.0, n % 3 = 0, case when n % 4 = 0 then 'note ' || n end
from generate_series(1, 10000) as n;
analyze songs;
create unlogged table imported (like songs);
"""


class Song(BaseModel):
    """A song, as every contender returns it."""

    song_id: int
    title: str
    tempo: int
    rating: float
    is_standard: bool
    note: str | None


class SongQueries(Protocol):
    """The statements of ``songs.sql``."""

    def get_song(self, db: Executor, *, song_id: int) -> Song | None: ...
    def all_songs(self, db: Executor) -> list[Song]: ...
    def import_songs(self, db: Executor, songs: Iterable[Song]) -> Affected: ...


songs: SongQueries = sqlkit.load(SongQueries, Path(__file__).parent / "songs.sql")


@dataclass(frozen=True)
class Work:
    """One work: ``contenders`` by name, the baseline first; ``calls`` of each make a round."""

    name: str
    title: str
    calls: int
    contenders: dict[str, Callable[[], Any]]


@dataclass(frozen=True)
class Measured:
    """What came of a work: ``medians`` of its contenders in seconds, the baseline first, and what to add to them."""

    name: str
    title: str
    medians: dict[str, float]
    said: str = ""


@contextmanager
def works(dsn: str) -> Iterator[list[Work]]:
    """Give the works, on connections that are closed afterwards."""
    with ExitStack() as stack:
        plain = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        models = stack.enter_context(psycopg.connect(dsn, autocommit=True, row_factory=class_row(Song)))
        typed = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        db = stack.enter_context(Database.connect(dsn))
        plain.execute(SETUP)
        everything = songs.all_songs(typed)
        yield [
            Work(
                "point",
                "look-up of one row by its key",
                500,
                {
                    "psycopg tuple": lambda: plain.execute(POINT, (77,), prepare=True).fetchone(),
                    "psycopg class_row": lambda: models.execute(POINT, (77,), prepare=True).fetchone(),
                    "sqlkit": lambda: songs.get_song(typed, song_id=77),
                    "sqlkit, Database": lambda: songs.get_song(db, song_id=77),
                },
            ),
            Work(
                "rows",
                f"{ROWS:,} rows of six columns",
                3,
                {
                    "psycopg binary tuples": lambda: plain.execute(ALL, prepare=True, binary=True).fetchall(),
                    "psycopg class_row": lambda: models.execute(ALL, prepare=True).fetchall(),
                    "sqlkit": lambda: songs.all_songs(typed),
                },
            ),
            Work(
                "copy",
                f"copy of {ROWS:,} models",
                1,
                {
                    "psycopg copy, text": lambda: copy_plain(plain, everything),
                    "sqlkit": lambda: songs.import_songs(typed, everything),
                },
            ),
        ]


def copy_plain(conn: psycopg.Connection[Any], rows: list[Song]) -> int:
    """Copy models as people write it by hand; the number of rows."""
    with conn.cursor() as cursor:
        with cursor.copy(f"copy imported ({COLUMNS}) from stdin") as copy:
            for song in rows:
                copy.write_row((song.song_id, song.title, song.tempo, song.rating, song.is_standard, song.note))
        return cursor.rowcount


def plainly(answer: Any) -> Any:
    """Return an answer so that contenders can be compared: models as the tuples of their fields."""
    if isinstance(answer, list):
        return [plainly(row) for row in answer]
    return tuple(answer.model_dump().values()) if isinstance(answer, BaseModel) else answer
