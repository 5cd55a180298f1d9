"""What sqlkit remembers of a connection, and the connections that its pools lend.

A pooled connection is a plain psycopg connection that notices one thing: whether somebody ran SQL on it that is not
sqlkit's (``touched``), for only then is there session state to put back, and a search path to ask for.
Everything here is in memory; nothing sends a byte.
"""

from __future__ import annotations

from typing import Any, Protocol

import psycopg
from psycopg.adapt import AdaptersMap

__all__ = ["AsyncPooledConnection", "Memory", "PooledConnection", "memory_of"]


class OpenStream(Protocol):
    """A stream of rows that is open on a connection."""

    def describe(self) -> str:
        """Name the query and its place."""
        ...


class Memory:
    """What sqlkit remembers of one connection.

    ``prepared`` maps (search path, text) to what the server said of the statement, ``touched`` says that raw SQL ran
    since the connection was lent, ``stream`` is the stream that is open on it, ``path`` the search path where the
    server does not report it, ``adapters`` psycopg's adapters with the types of this database.
    """

    __slots__ = ("adapters", "batches", "path", "prepared", "serial", "stream", "touched", "types")

    def __init__(self) -> None:
        self.prepared: dict[tuple[object, object], Any] = {}
        self.types: dict[int, Any] = {}
        self.adapters: AdaptersMap | None = None
        self.batches: dict[object, Any] = {}
        self.serial = 0
        self.touched = False
        self.stream: Any = None
        self.path: bytes = b""


def memory_of(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> Memory:
    """Return what sqlkit remembers of a connection, from now on if nothing yet."""
    try:
        memory: Memory = conn._sqlkit  # type: ignore[union-attr]
    except AttributeError:
        memory = conn._sqlkit = Memory()  # type: ignore[union-attr]
    return memory


class PooledConnection(psycopg.Connection[Any]):
    """A psycopg connection of a sqlkit pool: notices when somebody runs SQL of their own on it."""

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Return a new cursor, as psycopg does, and note that raw SQL may run."""
        memory_of(self).touched = True
        return super().cursor(*args, **kwargs)


class AsyncPooledConnection(psycopg.AsyncConnection[Any]):
    """An asynchronous psycopg connection of a sqlkit pool: notices when somebody runs SQL of their own on it."""

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Return a new cursor, as psycopg does, and note that raw SQL may run."""
        memory_of(self).touched = True
        return super().cursor(*args, **kwargs)
