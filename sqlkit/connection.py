"""What sqlkit remembers of a connection, and the connections that its pools lend.

A pooled connection is a plain psycopg connection that notices whether somebody ran SQL on it that is not
sqlkit's (``touched``), for only then is there session state to put back, and a search path to ask for. It
also lets a bound view's settings ride along with each BEGIN, whoever begins.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
from psycopg import generators, pq
from psycopg._connection_base import BaseConnection
from psycopg._preparing import Prepare, PrepareManager
from psycopg._queries import PostgresQuery
from psycopg.abc import PQGen
from psycopg.adapt import AdaptersMap
from psycopg.errors import error_from_result

from sqlkit.errors import ConfigurationError
from sqlkit.places import Call, calling_frame
from sqlkit.poolers import lasting
from sqlkit.tally import Counts, Tally

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn, PGresult

__all__ = ["AsyncPooledConnection", "Memory", "PooledConnection", "PreparedByPsycopg", "memory_of", "send"]


#: Raw SQL that takes all prepared statements off the server.
FORGETS_ALL = re.compile(rb"\s*(?:discard\s+all|deallocate\s+(?:prepare\s+)?all)\b", re.IGNORECASE).match


#: Raw SQL that may change the search path where the server does not report it.
MOVES = re.compile(rb"search_path|\bset\s+(?:session\s+|local\s+)?schema\b|\bset\s+role\b", re.IGNORECASE).search


_MOVES = itertools.count(1)


class OpenStream(Protocol):
    """A stream of rows that is open on a connection."""

    def describe(self) -> str:
        """Name the query and its place."""
        ...


class Memory:
    """What sqlkit remembers of one connection.

    ``prepared`` maps (search path, text) to what the server said of the statement, ``touched`` says that
    raw SQL ran since the connection was lent, ``stream`` is the stream that is open on it, ``path`` the
    search path where the server does not report it, ``adapters`` psycopg's adapters with the types of this
    database.

    ``logs`` says that each statement is logged by its name, ``names`` that the server is told it in a comment.
    ``counts`` are its figures of each query and ``tally`` what adds them up, None where nobody asks for them.
    ``shared`` tells that a pooler lends each transaction another server connection, so that nothing may last.
    ``home`` is the path that the connection came with, once asked for. ``moves`` is the number of the last raw SQL
    that may have changed the search path, 0 for none. The pool's own: ``begins`` is SQL that rides along with each
    BEGIN (what a bound view sets), ``commits`` and ``committed`` count the COMMITs that psycopg sent and that
    succeeded since the connection was lent, ``returned`` is when it last came back (on the monotonic clock),
    ``readable`` tells, without waiting, whether the socket has something to say, ``reader`` is the call that opened
    the stream.
    """

    __slots__ = (
        "_stream",
        "adapters",
        "batches",
        "begins",
        "commits",
        "committed",
        "counts",
        "home",
        "logs",
        "moves",
        "names",
        "path",
        "prepared",
        "readable",
        "reader",
        "returned",
        "serial",
        "shared",
        "tally",
        "touched",
        "types",
    )

    def __init__(self) -> None:
        self.prepared: dict[tuple[object, object], Any] = {}
        self.types: dict[int, Any] = {}
        self.adapters: AdaptersMap | None = None
        self.batches: dict[object, Any] = {}
        self.home: bytes | None = None
        self.logs = False
        self.names = True
        self.tally: Tally | None = None
        self.counts: Counts = {}
        self.serial = 0
        self.shared = False
        self.touched = False
        self._stream: Any = None
        self.reader: Call | None = None
        self.path: bytes = b""
        self.begins: bytes = b""
        self.commits = 0
        self.committed = 0
        self.moves = 0
        self.returned = 0.0
        self.readable: Callable[[], object] = bool

    @property
    def stream(self) -> Any:
        """The stream that is open on the connection."""
        return self._stream

    @stream.setter
    def stream(self, stream: Any) -> None:
        self._stream = stream
        self.reader = None if stream is None else calling_frame()


def memory_of(conn: BaseConnection[Any]) -> Memory:
    """Return what sqlkit remembers of a connection, from now on if nothing yet.

    From now on, too, psycopg's memory of its own prepared statements tells sqlkit's of raw SQL that passes.
    """
    try:
        memory: Memory = conn._sqlkit  # type: ignore[attr-defined]
    except AttributeError:
        memory = conn._sqlkit = Memory()  # type: ignore[attr-defined]
        watching = PreparedByPsycopg(memory, conn.pgconn, conn.prepare_threshold)
        vars(watching).update(vars(conn._prepared))
        conn._prepared = watching
        # In a transaction, a `set local` may have passed already; before, nothing counts that passed.
        memory.touched = conn.pgconn.transaction_status != pq.TransactionStatus.IDLE
    return memory


def send(pgconn: PGconn, message: bytes) -> PQGen[list[PGresult]]:
    """Send one simple-query message, of one statement or several; return the results, raise what is refused.

    A generator for ``connection.wait``, so that it serves both colours.
    """
    pgconn.send_query(message)
    results: list[PGresult] = yield from generators.execute(pgconn)
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise error_from_result(result, encoding=pgconn._encoding)
    return results


class PreparedByPsycopg(PrepareManager):
    """psycopg's memory of what it has prepared itself, which sees every raw statement pass.

    DEALLOCATE ALL and DISCARD ALL, raw or as psycopg sends it after a rollback, take sqlkit's statements
    too. One that hides behind a comment or another statement is not seen here; then the server's complaint
    (26000) tells. The same text under another search path is another statement: one tenant's plan fails, or
    worse, for the next.
    """

    def __init__(self, memory: Memory, pgconn: PGconn, prepare_threshold: int | None) -> None:
        super().__init__()
        self._memory = memory
        self._pgconn = pgconn
        self.prepare_threshold = prepare_threshold

    def key(self, query: PostgresQuery) -> Any:  # type: ignore[override]
        """Return what a prepared statement is known by: its search path too, for a plan is good for one only."""
        path: object = self._pgconn.parameter_status(b"search_path")  # PostgreSQL 18 reports it
        if path is None:
            path = (self._memory.path, self._memory.moves)
        return (query.query, query.types, path)

    def get(self, query: PostgresQuery, prepare: bool | None = None) -> tuple[Prepare, bytes]:
        """Look at a raw statement before it is sent: ConfigurationError for one that no pooler takes."""
        if self._memory.shared and (reason := lasting(query.query.decode("utf-8", "replace"))) is not None:
            raise ConfigurationError(f"a borrowed connection: {reason}")
        return super().get(query, prepare)

    def maybe_add_to_cache(self, query: PostgresQuery, prep: Prepare, name: bytes) -> Any:
        """Note a statement that has run."""
        self._memory.touched = True
        if MOVES(query.query):
            self._memory.moves = next(_MOVES)
        if FORGETS_ALL(query.query):
            self._memory.prepared.clear()
        return super().maybe_add_to_cache(query, prep, name)

    def maintain_gen(self, conn: BaseConnection[Any]) -> PQGen[None]:
        """Send what psycopg has to deallocate: None in its queue is DEALLOCATE ALL."""
        if None in self._to_flush:
            self._memory.prepared.clear()
        return super().maintain_gen(conn)


class _Noticing(BaseConnection[Any]):
    """What both colours of pooled connections notice: BEGIN and COMMIT.

    All that psycopg sends by itself passes through generators of its base class, which have no colour.
    ``tests/test_database.py`` names those that are overridden, so that a psycopg without them fails there.
    """

    def _exec_command(self, command: Any, result_format: pq.Format = pq.Format.TEXT) -> PQGen[PGresult | None]:
        memory = memory_of(self)
        if memory.begins and command is self._begin_statement:
            return self._begin(command, memory.begins)
        if command == b"COMMIT":
            return self._commit(command, memory)
        return super()._exec_command(command, result_format)

    def _begin(self, command: bytes, settings: bytes) -> PQGen[PGresult | None]:
        """BEGIN and what belongs to it, in one round trip."""
        if self._pipeline:
            yield from super()._exec_command(command)
            return (yield from super()._exec_command(settings))
        self._check_connection_ok()
        results = yield from send(self.pgconn, command + b"; " + settings)
        return results[0]

    def _commit(self, command: bytes, memory: Memory) -> PQGen[PGresult | None]:
        """COMMIT, counted: a call may be repeated only if none took effect."""
        memory.commits += 1
        result = yield from super()._exec_command(command)
        memory.committed += 1
        return result

    def _set_autocommit_gen(self, value: bool) -> PQGen[None]:
        if value and memory_of(self).begins:
            raise psycopg.ProgrammingError(
                "autocommit on a connection of a bound view: its settings last for a transaction, so without"
                " one they would be left out; use the Database itself for what cannot run in a transaction"
            )
        return super()._set_autocommit_gen(value)


class PooledConnection(_Noticing, psycopg.Connection[Any]):
    """A psycopg connection of a sqlkit pool: notices when somebody runs SQL of their own on it."""

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Return a new cursor, as psycopg does, and note that raw SQL may run."""
        memory_of(self).touched = True
        return super().cursor(*args, **kwargs)


class AsyncPooledConnection(_Noticing, psycopg.AsyncConnection[Any]):
    """An asynchronous connection of a sqlkit pool: notices when somebody runs SQL of their own on it."""

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Return a new cursor, as psycopg does, and note that raw SQL may run."""
        memory_of(self).touched = True
        return super().cursor(*args, **kwargs)
