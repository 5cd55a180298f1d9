"""How a connection is lent to a block of raw SQL, and how it is put back as it was."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from psycopg import errors as e
from psycopg import generators
from psycopg.abc import PQGen
from psycopg.adapt import AdaptersMap
from psycopg.pq import ExecStatus, PipelineStatus, TransactionStatus

from sqlkit.connection import AsyncPooledConnection, PooledConnection, memory_of
from sqlkit.database.options import Begins, Transaction

__all__ = ["RESET", "Before", "commits_cleanly", "dress", "ended", "left_unusable", "undress"]

log = logging.getLogger("sqlkit")

Pooled = PooledConnection | AsyncPooledConnection

# DISCARD ALL without DEALLOCATE ALL (prepared statements are why connections are pooled), as statements that
# can share one message. RESET ALL goes back to what the connection was opened with, so libpq's options stay.
RESET = b"; ".join(
    (
        b"close all",
        b"reset session authorization",
        b"reset role",
        b"reset all",
        b"unlisten *",
        b"select pg_catalog.pg_advisory_unlock_all()",
        b"discard sequences",
        b"discard temp",
    )
)


class Before(NamedTuple):
    """psycopg's side of a connection as it was before it was lent."""

    row_factory: Any
    cursor_factory: Any
    server_cursor_factory: Any
    prepare_threshold: int | None
    prepared_max: int | None
    adapters: AdaptersMap | None


def dress(conn: Pooled, transaction: Transaction, begins: Begins) -> Before:
    """Make a lent connection one that begins on first use, and return how it was; nothing is sent.

    psycopg's setters would lock and look for a transaction; a connection that was just lent has neither.
    """
    before = Before(
        conn.row_factory,
        conn.cursor_factory,
        conn.server_cursor_factory,
        conn.prepare_threshold,
        conn.prepared_max,
        conn._adapters,
    )
    if before.adapters is not None:
        conn._adapters = AdaptersMap(before.adapters)  # what the borrower registers is the borrower's
    _set_transactions(conn, False, transaction)
    memory = memory_of(conn)
    memory.begins, memory.path = begins
    memory.commits = memory.committed = 0
    return before


def undress(conn: Pooled, before: Before) -> None:
    """Put psycopg's side of a connection back as it was; nothing is sent."""
    memory = memory_of(conn)
    memory.begins = memory.path = b""
    memory.moves = 0
    _set_transactions(conn, True, Transaction())
    conn.row_factory = before.row_factory
    conn.cursor_factory = before.cursor_factory
    conn.server_cursor_factory = before.server_cursor_factory
    conn.prepare_threshold = before.prepare_threshold
    conn.prepared_max = before.prepared_max
    conn._adapters = before.adapters
    conn._notice_handlers.clear()
    conn._notify_handlers.clear()
    if conn._notifies_backlog:
        conn._notifies_backlog.clear()


def _set_transactions(conn: Pooled, autocommit: bool, transaction: Transaction) -> None:
    conn._autocommit = autocommit
    conn._isolation_level = transaction.isolation
    conn._read_only = transaction.read_only
    conn._deferrable = transaction.deferrable
    conn._begin_statement = b""


def left_unusable(conn: Pooled) -> str | None:
    """Say in what state a borrower left a connection that cannot be used any more; None if it can."""
    if conn.closed:
        return "the connection was closed inside its block; what was not committed before is lost"
    if conn._pipeline is not None or conn.pgconn.pipeline_status != PipelineStatus.OFF:
        return "the connection was left in pipeline mode"
    if conn._num_transactions:
        return "the connection was left inside conn.transaction()"
    if conn._tpc is not None:
        return "the connection was left inside a two-phase transaction"
    if conn.pgconn.transaction_status == TransactionStatus.ACTIVE:
        return "the connection was left in the middle of a COPY or of a statement"
    return None


def commits_cleanly(conn: Pooled, place: object) -> bool:
    """Whether a block that ended well may be committed; raise where that is impossible.

    A transaction that failed inside the block and whose error somebody swallowed can only be rolled back:
    the server would answer COMMIT with ROLLBACK, without a word.
    """
    if problem := left_unusable(conn):
        raise e.ProgrammingError(f"{place}: {problem}")
    if conn.pgconn.transaction_status == TransactionStatus.INERROR:
        log.warning("%s: the transaction failed inside its block, so it is rolled back at its end", place)
        return False
    return True


def ended(conn: Pooled, resets: bool) -> PQGen[None]:
    """Commit what is open and, if raw SQL ran, put the session back as it was: one message, one round trip.

    A COMMIT that fails ends the message, so that its error is the first; what fails after it is not the
    block's business, and the pool sees that the session is still ``touched``.
    """
    memory, pgconn = memory_of(conn), conn.pgconn
    if pgconn.transaction_status != TransactionStatus.INTRANS:
        return
    resets = resets and memory.touched
    memory.commits += 1
    pgconn.send_query(b"commit; " + RESET if resets else b"commit")
    results = yield from generators.execute(pgconn)
    if results[0].status == ExecStatus.FATAL_ERROR:
        raise e.error_from_result(results[0], encoding=pgconn._encoding)
    memory.committed += 1
    memory.touched = memory.touched and not (resets and results[-1].status != ExecStatus.FATAL_ERROR)
