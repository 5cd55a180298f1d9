"""What PgBouncer in transaction mode costs a call, and what it saves who connects anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg

from benchmarks.models import create_tables, songs
from benchmarks.work import Size, Work
from sqlkit import Database
from sqlkit.testing import TestServer
from tests.pgbouncer import INSTALL, PgBouncer, program

__all__ = ["pooler"]

ONE = "select song_id from songs where song_id = %s"


@contextmanager
def pooler(dsn: str, size: Size) -> Iterator[list[Work]]:
    """Give a look-up on the server and through PgBouncer, and the same from a connection that is opened for it."""
    if program() is None:
        print(f"pooler: {INSTALL}")
        yield []
        return
    with psycopg.connect(dsn, autocommit=True) as conn:
        create_tables(conn, size.rows)
        database = conn.info.dbname
        version = conn.info.server_version
    with ExitStack() as stack:
        pgbouncer = PgBouncer(TestServer(dsn, version))
        stack.callback(pgbouncer.stop)
        pgbouncer.start()
        pooled = pgbouncer.dsn(database)
        direct = stack.enter_context(Database.connect(dsn))
        behind = stack.enter_context(Database.connect(pooled, pooler="transaction"))
        bound = direct.bound(settings={"timezone": "UTC"})
        yield [
            Work(
                "pooler",
                "look-up of one row by its key",
                size.calls,
                {
                    "sqlkit, on the server": lambda: songs.get_song(direct, song_id=7),
                    "sqlkit, on the server, a bound view": lambda: songs.get_song(bound, song_id=7),
                    "sqlkit, through PgBouncer": lambda: songs.get_song(behind, song_id=7),
                },
            ),
            Work(
                "pooler",
                "a connection that is opened for one look-up",
                max(1, size.calls // 25),
                {"on the server": opened(dsn), "through PgBouncer": opened(pooled, prepare_threshold=None)},
            ),
        ]


def opened(dsn: str, **keywords: Any) -> Callable[[], Any]:
    """Return a function that connects, asks for one row and closes."""

    def call() -> Any:
        with psycopg.connect(dsn, autocommit=True, **keywords) as conn:
            return conn.execute(ONE, [7]).fetchone()

    return call
