"""A thread for each server that is watched: it asks how the server is, again and again, on a connection of its own.

Both colours have the same threads, so a busy event loop delays none. Nothing here keeps a process alive.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
from psycopg import errors as e
from psycopg._connection_base import BaseConnection
from psycopg.abc import PQGen

from sqlkit.connection import send
from sqlkit.database.options import connect_keywords
from sqlkit.database.unreachable import reason_of

if TYPE_CHECKING:
    from sqlkit.settings import Settings

__all__ = ["ANSWER_WITHIN", "Watched", "Watchers", "answer"]

ANSWER_WITHIN = 1.0  # seconds for an answer, which is nothing to compute
CONNECT_WITHIN = 2  # seconds; libpq takes no less
_TRUTH = {b"t": 1, b"f": 0}


class Watched(Protocol):
    """A server that is watched: what it is asked, and what becomes of the answer.

    ``looked`` is set when it was asked for the first time, ``hurry`` has it asked at once.
    """

    settings: Settings
    question: bytes
    looked: threading.Event
    hurry: threading.Event

    def hears(self, asked: float, row: Sequence[int | None]) -> None:
        """Take an answer to what was asked at a moment."""
        ...

    def misses(self, reason: str) -> None:
        """Take that there is no answer."""
        ...


class Watchers:
    """The threads that watch servers, from ``start`` to ``end``."""

    def __init__(self, watched: Sequence[Watched], every: float) -> None:
        self._ended = threading.Event()
        self._watched = watched
        self._threads = [
            threading.Thread(target=_watch, args=(one, every, self._ended), name="sqlkit-watcher", daemon=True)
            for one in watched
        ]

    def start(self, within: float) -> None:
        """Start them, and wait some time for the first look at each."""
        deadline = monotonic() + within
        for thread in self._threads:
            thread.start()
        for one in self._watched:
            one.looked.wait(max(0.0, deadline - monotonic()))

    def stop(self) -> None:
        """Tell them to end; one that waits for a server ends a little later."""
        self._ended.set()
        for one in self._watched:
            one.hurry.set()

    def end(self, within: float) -> None:
        """Tell them to end, and wait some time for it."""
        self.stop()
        deadline = monotonic() + within
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - monotonic()))


def _watch(watched: Watched, every: float, ended: threading.Event) -> None:
    conn: psycopg.Connection[Any] | None = None
    while not ended.is_set():
        try:
            if conn is None:
                conn = _connect(watched.settings)
            asked = monotonic()
            watched.hears(asked, conn.wait(answer(conn, watched.question), timeout=ANSWER_WITHIN))
        except Exception as error:
            if conn is not None:
                conn.pgconn.finish()
                conn = None
            watched.misses(_reason(error))
        watched.looked.set()
        watched.hurry.wait(every)
        watched.hurry.clear()
    if conn is not None:
        conn.close()


def _reason(error: Exception) -> str:
    if isinstance(error, e._WaitTimeout):
        return f"it does not answer within {ANSWER_WITHIN:g} s"
    return reason_of(error)


def _connect(settings: Settings) -> psycopg.Connection[Any]:
    keywords: dict[str, Any] = connect_keywords(settings) | {"connect_timeout": CONNECT_WITHIN}
    return psycopg.Connection.connect(settings.dsn(), **keywords)


def answer(conn: BaseConnection[Any], question: bytes) -> PQGen[list[int | None]]:
    """Ask on a connection in autocommit; return the one row, of numbers and truth values, as numbers."""
    results = yield from send(conn.pgconn, question)
    values = (results[0].get_value(0, column) for column in range(results[0].nfields))
    return [None if value is None else _TRUTH[value] if value in _TRUTH else int(value) for value in values]
