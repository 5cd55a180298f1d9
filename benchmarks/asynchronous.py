"""Look-ups by 64 tasks on a pool of 8 connections, under asyncio's own loop and under uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import psycopg
import uvloop
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

import sqlkit
from benchmarks.models import POINT, Song, create_tables
from benchmarks.work import Limit, Size, Work
from sqlkit import AsyncDatabase, AsyncExecutor

__all__ = ["asynchronous"]

CONNECTIONS, TASKS = 8, 64
ASYNCPG, PSYCOPG = "asyncpg pool, models", "psycopg pool, models"

Fetch = Callable[[int], Awaitable[Song | None]]


class AsyncSongQueries(Protocol):
    """One statement of ``songs.sql``, on asyncio."""

    async def get_song(self, db: AsyncExecutor, *, song_id: int) -> Song | None: ...


songs: AsyncSongQueries = sqlkit.load(AsyncSongQueries, Path(__file__).parent / "songs.sql")


@contextmanager
def asynchronous(dsn: str, size: Size) -> Iterator[list[Work]]:
    """Give the same work on two loops, each with pools of its own."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        create_tables(conn, max(size.rows, TASKS))
    with ExitStack() as stack:
        loops = {"asyncio": None, "uvloop": uvloop.new_event_loop}
        yield [
            looked_up(stack, dsn, size, name, stack.enter_context(asyncio.Runner(loop_factory=factory)))
            for name, factory in loops.items()
        ]


def looked_up(stack: ExitStack, dsn: str, size: Size, loop: str, runner: asyncio.Runner) -> Work:
    """Give the work on one loop."""
    db = runner.run(opened(dsn))
    stack.callback(lambda: runner.run(db.close()))
    pool = runner.run(psycopg_pool(dsn))
    stack.callback(lambda: runner.run(pool.close()))
    peers = runner.run(asyncpg_pool(dsn))
    stack.callback(lambda: runner.run(peers.close()))

    async def with_asyncpg(song_id: int) -> Song:
        return Song.model_validate(dict(await peers.fetchrow(POINT.replace("%s", "$1"), song_id)))

    async def with_psycopg(song_id: int) -> Song | None:
        async with pool.connection() as conn:
            cursor = await conn.execute(POINT, (song_id,), prepare=True)
            return await cursor.fetchone()

    def with_sqlkit(song_id: int) -> Awaitable[Song | None]:
        return songs.get_song(db, song_id=song_id)

    contenders: dict[str, Fetch] = {ASYNCPG: with_asyncpg, PSYCOPG: with_psycopg, "sqlkit": with_sqlkit}
    return Work(
        "async",
        f"{TASKS} tasks on a pool of {CONNECTIONS}, look-ups into models, {loop}",
        1,
        {name: partial(run_tasks, runner, fetch, size.calls) for name, fetch in contenders.items()},
        (Limit(ASYNCPG, at_least=1.05), Limit(PSYCOPG, at_least=1.25)),
    )


def run_tasks(runner: asyncio.Runner, fetch: Fetch, calls: int) -> list[list[Song | None]]:
    """Run all tasks to their end, so many calls in each eight."""

    async def several(task: int) -> list[Song | None]:
        return [await fetch(1 + task) for _ in range(max(1, calls // 8))]

    async def together() -> list[list[Song | None]]:
        return await asyncio.gather(*map(several, range(TASKS)))

    return runner.run(together())


async def opened(dsn: str) -> AsyncDatabase:
    """Open sqlkit's pool."""
    return await AsyncDatabase.connect(dsn, pool_min_size=CONNECTIONS, pool_max_size=CONNECTIONS)


async def psycopg_pool(dsn: str) -> AsyncConnectionPool[psycopg.AsyncConnection[Song]]:
    """Open psycopg's own pool, in autocommit, giving models."""
    pool = AsyncConnectionPool(
        dsn,
        min_size=CONNECTIONS,
        max_size=CONNECTIONS,
        open=False,
        connection_class=psycopg.AsyncConnection[Song],
        kwargs={"autocommit": True, "row_factory": class_row(Song)},
    )
    await pool.open(wait=True)
    return pool


async def asyncpg_pool(dsn: str) -> Any:
    """Open asyncpg's pool."""
    return await asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS)
