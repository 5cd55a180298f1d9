"""Many models into a table: a copy beside asyncpg's and SQLAlchemy's, a batch with RETURNING beside a loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import asyncpg
import psycopg
from sqlalchemy import insert

from benchmarks.models import COLUMNS, Song, create_tables, some_songs, songs
from benchmarks.orm import Imported, engine_on
from benchmarks.work import Limit, Size, Work

__all__ = ["batch", "bulk"]

NAMES = COLUMNS.split(", ")
CONTENT = "select count(*), sum(hashtextextended(imported::text, 0)) from imported"
INSERT = f"insert into imported ({COLUMNS}) values (%s, %s, %s, %s, %s, %s) returning song_id"
ASYNCPG, INSERTMANY, LOOP = "asyncpg copy of tuples", "SQLAlchemy insertmanyvalues", "psycopg loop, one transaction"


def as_tuple(song: Song) -> tuple[Any, ...]:
    """Return what a song's row holds, as people write it by hand."""
    return (song.song_id, song.title, song.tempo, song.rating, song.is_standard, song.note)


@contextmanager
def bulk(dsn: str, size: Size) -> Iterator[list[Work]]:
    """Give the work of inserting so many models at once; asyncpg is given tuples that are there already."""
    with ExitStack() as stack:
        plain = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        create_tables(plain, 1)
        typed = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        engine = engine_on(dsn)
        stack.callback(engine.dispose)
        runner = stack.enter_context(asyncio.Runner())
        single = runner.run(asyncpg.connect(dsn))
        stack.callback(lambda: runner.run(single.close()))
        models = some_songs(size.bulk)
        tuples = [as_tuple(song) for song in models]

        def with_asyncpg() -> None:
            runner.run(single.copy_records_to_table("imported", records=tuples, columns=NAMES))

        def with_asyncpg_from_models() -> None:
            records = map(as_tuple, models)
            runner.run(single.copy_records_to_table("imported", records=records, columns=NAMES))

        def with_psycopg() -> None:
            with plain.cursor() as cursor, cursor.copy(f"copy imported ({COLUMNS}) from stdin") as copy:
                for song in models:
                    copy.write_row(as_tuple(song))

        def with_sqlalchemy() -> None:
            with engine.connect().execution_options(isolation_level="READ COMMITTED") as conn, conn.begin():
                conn.execute(insert(Imported).returning(Imported.song_id), [song.model_dump() for song in models])

        yield [
            Work(
                "bulk",
                f"insert of {size.bulk:,} models",
                1,
                {
                    ASYNCPG: with_asyncpg,
                    "asyncpg copy of models' tuples": with_asyncpg_from_models,
                    "psycopg copy, text": with_psycopg,
                    "sqlkit": lambda: songs.import_songs(typed, models),
                    INSERTMANY: with_sqlalchemy,
                },
                (Limit(ASYNCPG, at_most=0.85), Limit(INSERTMANY, at_most=0.10)),
                rounds=3,
                before=lambda: plain.execute("truncate imported"),
                answer=lambda: plain.execute(CONTENT).fetchone(),
            )
        ]


@contextmanager
def batch(dsn: str, size: Size) -> Iterator[list[Work]]:
    """Give the work of inserting some models one by one, each giving its id back."""
    with ExitStack() as stack:
        plain = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        create_tables(plain, 1)
        typed = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        models = some_songs(size.batch)

        def loop() -> list[int]:
            with plain.transaction():
                return [plain.execute(INSERT, as_tuple(song), prepare=True).fetchone()[0] for song in models]  # type: ignore[index]

        def executemany() -> list[int]:
            with plain.transaction(), plain.cursor() as cursor:
                cursor.executemany(INSERT, map(as_tuple, models), returning=True)
                return [row[0] for each in cursor.results() for row in each]

        yield [
            Work(
                "batch",
                f"batch of {size.batch:,} insert ... returning",
                1,
                {
                    LOOP: loop,
                    "psycopg executemany, returning": executemany,
                    "sqlkit": lambda: songs.add_songs(typed, models),
                },
                (Limit(LOOP, at_most=0.60),),
                before=lambda: plain.execute("truncate imported"),
            )
        ]
