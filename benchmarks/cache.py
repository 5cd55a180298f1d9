"""A hit in memory beside the query that it saves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg

from benchmarks.models import create_tables, songs
from benchmarks.work import Limit, Size, Work
from sqlkit import Database
from sqlkit.caching import Cache, DatabaseTags, Listener, MemoryTier, cached, install

__all__ = ["cache"]


@contextmanager
def cache(dsn: str, size: Size) -> Iterator[list[Work]]:
    """Give the look-up through a cache with all that tags and a listener ask for, and the same without."""
    with ExitStack() as stack:
        with psycopg.connect(dsn, autocommit=True) as conn:
            create_tables(conn, size.rows)
        install(dsn)
        db = stack.enter_context(Database.connect(dsn))
        listener = stack.enter_context(Listener(dsn))
        query = cached(songs.get_song, Cache(MemoryTier(), tags=DatabaseTags(db, listener)), tags=["song:{song_id}"])
        yield [
            Work(
                "cache",
                "look-up of one row by its key, and a hit in memory",
                size.calls,
                {
                    "sqlkit, Database": lambda: songs.get_song(db, song_id=7),
                    "a hit in memory": lambda: query(db, song_id=7),
                },
                (Limit("sqlkit, Database", at_most=0.20, of="a hit in memory"),),
            )
        ]
