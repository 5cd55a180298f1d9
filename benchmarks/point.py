"""One row by its key, into a model: what a call costs beside what it fetches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiosql
import asyncpg
import psycopg
from psycopg.rows import class_row, dict_row
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from benchmarks.models import POINT, Song, create_tables, songs
from benchmarks.orm import OrmSong, SqlModelSong, engine_on
from benchmarks.work import Limit, Size, Work
from sqlkit import Database

__all__ = ["point"]

BARE, CLASS_ROW, CORE, GET = "psycopg tuple", "psycopg class_row", "SQLAlchemy Core, row", "SQLAlchemy Session.get"
GET_AUTOCOMMIT = "SQLAlchemy Session.get, engine in autocommit"
POOLED = "sqlkit, Database"
LIMITS = (
    Limit(BARE, at_most=0.85),
    Limit(CLASS_ROW, at_most=0.60),
    Limit(BARE, at_most=1.15, of=POOLED),
    Limit(CORE, at_most=0.40, of=POOLED),
    Limit(GET, at_most=0.10, of=POOLED),
    Limit(GET_AUTOCOMMIT, at_most=0.10, of=POOLED),
)


@contextmanager
def point(dsn: str, size: Size) -> Iterator[list[Work]]:
    """Give the look-ups, each on the connection or pool that its peer would use."""
    with ExitStack() as stack:
        plain = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        create_tables(plain, size.rows)
        models = stack.enter_context(psycopg.connect(dsn, autocommit=True, row_factory=class_row(Song)))
        dicts = stack.enter_context(psycopg.connect(dsn, autocommit=True, row_factory=dict_row))
        typed = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        db = stack.enter_context(Database.connect(dsn))
        engine = engine_on(dsn)
        stack.callback(engine.dispose)
        usual = engine_on(dsn, isolation=None)
        stack.callback(usual.dispose)
        runner = stack.enter_context(asyncio.Runner())
        single = runner.run(asyncpg.connect(dsn))
        stack.callback(lambda: runner.run(single.close()))
        named = aiosql.from_path(Path(__file__).parent / "songs_of_aiosql.sql", "psycopg")
        core = select(OrmSong.__table__).where(OrmSong.song_id == 7)

        def with_aiosql() -> Song:
            return Song.model_validate(named.get_song(dicts, song_id=7))

        def with_core() -> Any:
            with engine.connect() as conn:
                return conn.execute(core).one()

        def with_core_text() -> Song:
            with engine.connect() as conn:
                found = conn.execute(text(POINT.replace("%s", ":song_id")), {"song_id": 7})
                return Song.model_validate(found.mappings().one())

        def with_get() -> Any:
            with Session(usual) as session:
                return session.get(OrmSong, 7)

        def with_get_in_autocommit() -> Any:
            with Session(engine) as session:
                return session.get(OrmSong, 7)

        def with_sqlmodel() -> Any:
            with Session(usual) as session:
                return session.get(SqlModelSong, 7)

        async def with_asyncpg() -> Song:
            return Song.model_validate(dict(await single.fetchrow(POINT.replace("%s", "$1"), 7)))

        yield [
            Work(
                "point",
                "look-up of one row by its key, into a model",
                size.calls,
                {
                    BARE: lambda: plain.execute(POINT, (7,), prepare=True).fetchone(),
                    CLASS_ROW: lambda: models.execute(POINT, (7,), prepare=True).fetchone(),
                    "sqlkit": lambda: songs.get_song(typed, song_id=7),
                    POOLED: lambda: songs.get_song(db, song_id=7),
                    "aiosql, model": with_aiosql,
                    "asyncpg, model (one run of its loop a call)": lambda: runner.run(with_asyncpg()),
                    CORE: with_core,
                    "SQLAlchemy text, model": with_core_text,
                    GET: with_get,
                    GET_AUTOCOMMIT: with_get_in_autocommit,
                    "SQLModel Session.get": with_sqlmodel,
                },
                LIMITS,
            )
        ]
