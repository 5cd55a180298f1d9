"""What replicas cost a read that the primary answers: nothing without them, a choice beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import psycopg

import sqlkit
from benchmarks.models import Song, create_tables, songs
from benchmarks.work import Limit, Size, Work
from sqlkit import Database, Executor

__all__ = ["replicas"]


class MarkedQueries(Protocol):
    """The statement of ``replicas.sql``."""

    def get_song(self, db: Executor, *, song_id: int) -> Song | None: ...


marked: MarkedQueries = sqlkit.load(MarkedQueries, Path(__file__).parent / "replicas.sql")

#: As for ``overhead``: short rounds and many, and several of each, for one connection's process may be slower.
ROUNDS = 151
DATABASES = 5


@contextmanager
def replicas(dsn: str, size: Size) -> Iterator[list[Work]]:
    """Give the look-up without replicas, marked and not, and on a database with a replica that is left.

    That replica is the server itself, which is no standby: so each look-up is answered by the same server.
    """
    with ExitStack() as stack:
        with psycopg.connect(dsn, autocommit=True) as conn:
            create_tables(conn, size.rows)
        alone = [stack.enter_context(Database.connect(dsn)) for _ in range(DATABASES)]
        beside = [stack.enter_context(Database.connect(dsn, replicas=[dsn])) for _ in range(DATABASES)]
        yield [
            Work(
                "replicas",
                "look-up of one row by its key, answered by the primary",
                max(1, size.calls // 5 // DATABASES),
                {
                    "no replicas": lambda: [songs.get_song(db, song_id=7) for db in alone],
                    "no replicas, replica: ok": lambda: [marked.get_song(db, song_id=7) for db in alone],
                    "a replica": lambda: [songs.get_song(db, song_id=7) for db in beside],
                    "a replica, replica: ok": lambda: [marked.get_song(db, song_id=7) for db in beside],
                },
                (
                    Limit("no replicas", at_most=1.02, of="no replicas, replica: ok"),
                    Limit("no replicas", at_most=1.05, of="a replica"),
                    Limit("no replicas", at_most=1.10, of="a replica, replica: ok"),
                ),
                rounds=ROUNDS,
            )
        ]
