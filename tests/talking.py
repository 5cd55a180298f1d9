"""What client and server say to each other: libpq's own trace of a connection, to count round trips in."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from psycopg.pq import Trace

__all__ = ["Talk", "listening"]


class Talk:
    """What client and server said to each other: lines of libpq's trace, as (who, message, rest)."""

    def __init__(self, text: str) -> None:
        self.lines = [[*line.split("\t"), "", ""][:4] for line in text.splitlines()]

    @property
    def round_trips(self) -> int:
        """How often the client waited for the server: the turns from its words to the server's."""
        who = [line[0] for line in self.lines]
        return sum(one == "F" and other == "B" for one, other in itertools.pairwise(who))

    @property
    def sent(self) -> list[str]:
        """The messages of the client, by name."""
        return [line[2] for line in self.lines if line[0] == "F"]

    @property
    def text(self) -> str:
        """All that the client said."""
        return "\n".join(line[3] for line in self.lines if line[0] == "F")


@contextlib.contextmanager
def listening(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> Iterator[Callable[[], Talk]]:
    """Trace a connection; the function given returns what was said, once the block is over."""
    with tempfile.TemporaryFile("w+") as file:
        conn.pgconn.trace(file.fileno())
        conn.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        try:
            yield lambda: Talk(text)
        finally:
            conn.pgconn.untrace()
            file.seek(0)
            text = file.read()
