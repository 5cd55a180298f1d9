"""What a stream does on its connection, without colour: begin, the next chunk, the end."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter_ns
from typing import Any

import psycopg
from psycopg import generators
from psycopg.abc import PQGen
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from sqlkit.connection import Memory, memory_of
from sqlkit.errors import ArgumentError, ConnectionBusy, RowError
from sqlkit.execution.arguments import dump
from sqlkit.execution.careful import enter
from sqlkit.execution.collecting import make
from sqlkit.execution.counting import count, fail
from sqlkit.execution.lending import Local
from sqlkit.execution.prepared import (
    FAILED,
    Connection,
    Prepared,
    command,
    flushed,
    forget,
    prepare,
    search_path,
    settle,
)
from sqlkit.execution.query import Query
from sqlkit.execution.staleness import STALE_NOTE, may_be_stale
from sqlkit.execution.transactions import begin, roll_back
from sqlkit.statements import Variant

__all__ = ["Course"]

#: Rows that the server sends at a time, and that are in memory at once. They are gone before Python's collector, which
#: wakes at 700 objects, takes notice of them: with more it walks each chunk, which takes as long as making it.
CHUNK_ROWS = 200

SAVEPOINT = b"sqlkit_stream"


class Course:
    """What a stream does on its connection, without colour: begin, the next chunk, the end.

    In autocommit a bound view's settings and a statement that writes get a transaction of their own; in a transaction
    that is open, a statement that reads gets a savepoint, so that it can be cancelled, or prepared anew.
    """

    def __init__(self, query: Query, variant: Variant, values: Sequence[Any]) -> None:
        self.query = query
        self.variant = variant
        self.values = values
        self.local: Local | None = None
        self.prepared: Prepared | None = None
        self.transaction = False
        self.savepoint = False
        self.running = False
        self.fresh = False
        self.interrupted = self.unfit = False
        self.key: tuple[object, str] = ("", "")
        self.spent = self.rows = 0
        self.started = False
        self.error: BaseException | None = None

    def start(self, conn: Connection, local: Local | None) -> PQGen[None]:
        """Send the statement, in a transaction of its own or behind a savepoint where it needs one."""
        began = perf_counter_ns()
        self.started = True
        try:
            yield from self._start(conn, local)
        finally:
            self.spent += perf_counter_ns() - began

    def _start(self, conn: Connection, local: Local | None) -> PQGen[None]:
        self.local = local
        idle = yield from enter(conn, self.query)
        if conn._pipeline:
            raise ConnectionBusy(f"{self.query.label}: a stream cannot run in a pipeline: leave its block first")
        yield from self._frame(conn, idle)
        path = yield from search_path(conn, memory_of(conn), local.path if local else None)
        self.key = (path, self.variant.text)
        try:
            yield from self._send(conn)
        except (psycopg.Error, ArgumentError) as error:
            if not (yield from self._again(conn, error)):
                raise

    def _frame(self, conn: Connection, idle: bool) -> PQGen[None]:
        """Begin a transaction, or set a savepoint."""
        pgconn = conn.pgconn
        if idle and conn.autocommit:
            if self.local is not None or self.query.promises:
                yield from begin(pgconn, self.local)
                self.transaction = True
        elif pgconn.transaction_status == TransactionStatus.INTRANS and not self.query.statement.writes:
            yield from command(pgconn, b"SAVEPOINT " + SAVEPOINT)
            self.savepoint = True

    def _send(self, conn: Connection) -> PQGen[None]:
        memory = memory_of(conn)
        prepared: Prepared | None = memory.prepared.get(self.key)
        if prepared is None:
            self.fresh = True
            prepared = yield from prepare(conn, memory, *self.key, self.query.name)
        self.prepared = prepared
        memory.touched = memory.touched or prepared.touches
        dumped = dump(self.query.label, self.variant.references, prepared.tables, self.values)
        pgconn = conn.pgconn
        prepared.send(pgconn, dumped)
        self.running = True
        if psycopg.capabilities.has_stream_chunked():
            pgconn.set_chunked_rows_mode(CHUNK_ROWS)
        else:
            pgconn.set_single_row_mode()
        yield from flushed(pgconn)

    def next_chunk(self, conn: Connection) -> PQGen[list[Any] | None]:
        """Return the objects of the next chunk, or None behind the last."""
        began = perf_counter_ns()
        try:
            chunk = yield from self._next_chunk(conn)
            self.rows += len(chunk or ())
            return chunk
        finally:
            self.spent += perf_counter_ns() - began

    def _next_chunk(self, conn: Connection) -> PQGen[list[Any] | None]:
        while True:
            result = yield from generators.fetch(conn.pgconn)
            if result is None:
                self.running = False
                return None
            if result.status in FAILED:
                yield from self._drain(conn)
                error = psycopg.errors.error_from_result(result, encoding=conn.pgconn._encoding)
                if (yield from self._again(conn, error)):
                    continue
                raise error
            if result.status == ExecStatus.COMMAND_OK:
                yield from self._drain(conn)
                row = self.query.row
                raise RowError(f"{self.query.label}: the statement returns no rows, {row} is promised")
            if not self.fresh and (changed := self._changed(result)) is not None:
                yield from self._drain(conn)
                if self.query.statement.writes and not self.transaction:  # it has written, so it must not run again
                    yield from forget(conn, memory_of(conn), self.key)
                    changed.add_note(STALE_NOTE)
                elif (yield from self._again(conn, changed)):
                    continue
                raise changed
            self.fresh = True  # what comes now is no matter of a plan
            if result.ntuples:
                return self._make(result)

    def _changed(self, result: PGresult) -> psycopg.Error | None:
        assert self.prepared is not None  # noqa: S101 - a chunk comes after start
        try:
            self.prepared.expect(result)
        except psycopg.Error as error:
            return error
        return None

    def _again(self, conn: Connection, error: Exception) -> PQGen[bool]:
        """Prepare and send once more where the schema may have changed under the statement and nothing came yet."""
        if self.fresh or not may_be_stale(error):
            return False
        self.fresh = True
        pgconn = conn.pgconn
        if self.transaction:
            yield from roll_back(pgconn)
            yield from begin(pgconn, self.local)
        elif self.savepoint:
            yield from command(pgconn, b"ROLLBACK TO SAVEPOINT " + SAVEPOINT)
        yield from forget(conn, memory_of(conn), self.key)
        if pgconn.transaction_status == TransactionStatus.INERROR:
            error.add_note(STALE_NOTE)
            return False
        yield from self._send(conn)
        return True

    def blame(self, error: BaseException) -> None:
        """Take note of an error on its way out: what it means for the end, and what query it belongs to."""
        if isinstance(error, psycopg.Error):
            error.add_note(self.query.label)
        if self.started:  # the end is to come, which counts it
            self.error = error
        self.interrupted = not isinstance(error, Exception)
        self.unfit = isinstance(error, RowError) and self.prepared is not None and self.prepared.composite

    def _make(self, result: PGresult) -> list[Any]:
        assert self.prepared is not None  # noqa: S101 - a chunk comes after start
        return make(self.query, self.prepared, result)

    def _drain(self, conn: Connection) -> PQGen[None]:
        while (yield from generators.fetch(conn.pgconn)) is not None:
            pass
        self.running = False

    def finish(self, conn: Connection, failed: bool) -> PQGen[None]:
        """Read what still comes and end what ``start`` began: a writing statement keeps what it wrote."""
        pgconn = conn.pgconn
        if pgconn.status != ConnStatus.OK:
            return
        stopped = self.running or self.interrupted
        yield from settle(conn)
        self.running = False
        if self.unfit:
            yield from forget(conn, memory_of(conn), self.key)
        if self.transaction:
            if failed or pgconn.transaction_status == TransactionStatus.INERROR:
                yield from roll_back(pgconn)
            else:
                yield from self._commit(pgconn)
        elif self.savepoint:
            # What the server refused by itself leaves the transaction as it would without a stream: aborted.
            if pgconn.transaction_status == TransactionStatus.INERROR and stopped:
                yield from command(pgconn, b"ROLLBACK TO SAVEPOINT " + SAVEPOINT)
            if pgconn.transaction_status == TransactionStatus.INTRANS:
                yield from command(pgconn, b"RELEASE SAVEPOINT " + SAVEPOINT)

    def _commit(self, pgconn: PGconn) -> PQGen[None]:
        try:
            yield from command(pgconn, b"COMMIT")
        except psycopg.Error as error:
            self.error = error
            raise

    def counted(self, memory: Memory) -> None:
        """Count the stream, at its end, with the time that its reader waited for rows."""
        error, self.error = self.error, None  # its frames hold the stream
        if memory.tally is None:
            return
        began = perf_counter_ns() - self.spent
        if error is not None:
            fail(memory, self.query, self.variant.text, began, error)
        else:
            count(memory, self.query, self.variant.text, began, self.rows)

    @property
    def cancels(self) -> bool:
        """Tell whether the server should be told to stop: not while it writes."""
        return self.running and not self.query.statement.writes
