"""Many rows into models: six plain columns, eleven of many types, and a model that pydantic must look at."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import asyncpg
import psycopg
from psycopg.rows import class_row
from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from benchmarks.models import ALL, CONCERTS, CheckedSong, Concert, Details, Song, create_tables, songs
from benchmarks.orm import OrmSong, SqlModelSong, engine_on
from benchmarks.work import Limit, Size, Work

__all__ = ["rows"]

BINARY, CLASS_ROW = "psycopg binary tuples", "psycopg class_row"
ORM, VALIDATED = "SQLAlchemy ORM", "asyncpg records, validated"
CALLS = 3


@contextmanager
def rows(dsn: str, size: Size) -> Iterator[list[Work]]:
    """Give three works on the same tables."""
    with ExitStack() as stack:
        plain = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        create_tables(plain, size.rows)
        typed = stack.enter_context(psycopg.connect(dsn, autocommit=True))

        def modelled(model: type[Any]) -> psycopg.Connection[Any]:
            return stack.enter_context(psycopg.connect(dsn, autocommit=True, row_factory=class_row(model)))

        yield [
            six(stack, dsn, size, plain, modelled(Song), typed),
            eleven(size, plain, modelled(Concert), typed),
            checked(size, plain, modelled(CheckedSong), typed),
        ]


def six(
    stack: ExitStack,
    dsn: str,
    size: Size,
    plain: psycopg.Connection[Any],
    models: psycopg.Connection[Any],
    typed: psycopg.Connection[Any],
) -> Work:
    """Six plain columns, beside all peers."""
    engine = engine_on(dsn)
    stack.callback(engine.dispose)
    runner = stack.enter_context(asyncio.Runner())
    single = runner.run(asyncpg.connect(dsn))
    stack.callback(lambda: runner.run(single.close()))
    adapter = TypeAdapter(list[Song])

    def ordered(model: Any) -> list[Any]:
        with Session(engine) as session:
            return list(session.scalars(select(model).order_by(model.song_id)))

    async def validated() -> list[Song]:
        return adapter.validate_python([dict(record) for record in await single.fetch(ALL)])

    def core() -> list[Any]:
        with engine.connect() as conn:
            return list(conn.execute(select(OrmSong.__table__).order_by(OrmSong.song_id)).all())

    return Work(
        "rows",
        f"{size.rows:,} rows of six plain columns, into models",
        CALLS,
        {
            BINARY: lambda: plain.execute(ALL, prepare=True, binary=True).fetchall(),
            CLASS_ROW: lambda: models.execute(ALL, prepare=True).fetchall(),
            "sqlkit": lambda: songs.all_songs(typed),
            "asyncpg records": lambda: runner.run(single.fetch(ALL)),
            VALIDATED: lambda: runner.run(validated()),
            "SQLAlchemy Core, rows": core,
            ORM: lambda: ordered(OrmSong),
            "SQLModel": lambda: ordered(SqlModelSong),
        },
        (
            Limit(BINARY, at_most=1.8),
            Limit(CLASS_ROW, at_most=0.50),
            Limit(ORM, at_most=0.35),
            Limit(VALIDATED, at_most=0.55),
        ),
    )


def eleven(
    size: Size, plain: psycopg.Connection[Any], models: psycopg.Connection[Any], typed: psycopg.Connection[Any]
) -> Work:
    """Eleven columns with UUID, timestamps, jsonb and NULLs."""
    return Work(
        "rows",
        f"{size.rows:,} rows of eleven columns with UUID, timestamps, jsonb, NULLs",
        CALLS,
        {
            BINARY: lambda: Tuples(plain.execute(CONCERTS, prepare=True, binary=True).fetchall()),
            CLASS_ROW: lambda: models.execute(CONCERTS, prepare=True).fetchall(),
            "sqlkit": lambda: songs.all_concerts(typed),
        },
        (Limit(BINARY, at_most=1.6), Limit(CLASS_ROW, at_most=0.55)),
    )


class Tuples(list[Any]):
    """Concerts as tuples; only when they are compared is their jsonb, which psycopg gives as a dict, made a model."""

    def plainly(self) -> list[Any]:
        """Return the rows as those of a model are compared."""
        return [(*row[:9], tuple(Details.model_validate(row[9]).__dict__.values()), *row[10:]) for row in self]


def checked(
    size: Size, plain: psycopg.Connection[Any], models: psycopg.Connection[Any], typed: psycopg.Connection[Any]
) -> Work:
    """Six columns into a model with constraints and a validator, so that pydantic must run."""
    return Work(
        "rows",
        f"{size.rows:,} rows into a model with constraints and a validator",
        CALLS,
        {
            BINARY: lambda: plain.execute(ALL, prepare=True, binary=True).fetchall(),
            CLASS_ROW: lambda: models.execute(ALL, prepare=True).fetchall(),
            "sqlkit": lambda: songs.checked_songs(typed),
        },
        (Limit(CLASS_ROW, at_most=0.75),),
    )
