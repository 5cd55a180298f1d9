"""A call step by step: what ``calls`` does not do at once.

The statement is prepared here, or prepared anew where the schema changed under it; a transaction is begun for it
(BEGIN rides with a statement that is prepared already) or framed around it (BEGIN, a bound view's settings, the
statement and COMMIT in one pipeline); the rows of a writing statement on a connection in autocommit are counted and
made before the COMMIT; and a borrower's own pipeline is brought in step.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult

from sqlkit.connection import Memory, memory_of
from sqlkit.errors import ArgumentError, ConnectionBusy, RowError
from sqlkit.execution.arguments import dump
from sqlkit.execution.collecting import collect
from sqlkit.execution.lending import Local
from sqlkit.execution.prepared import (
    CATALOGUE,
    Connection,
    Prepared,
    check,
    command,
    execute,
    forget,
    known_path,
    prepare,
    search_path,
    settle,
    until_sync,
)
from sqlkit.execution.query import Query
from sqlkit.execution.staleness import STALE_NOTE, is_stale, may_be_stale
from sqlkit.execution.transactions import begin, roll_back, set_configs
from sqlkit.statements import Variant

__all__ = ["Call", "enter", "recover"]

IDLE = TransactionStatus.IDLE

#: Each statement by its name and place, on connections of a Database with ``debug``; never a value.
log = logging.getLogger("sqlkit.queries")


def enter(conn: Connection, query: Query) -> PQGen[bool]:
    """Make a connection ready for a statement; tell whether no transaction was open before."""
    pgconn = conn.pgconn
    if memory_of(conn).logs:
        log.info("%s", query.label)
    if conn._pipeline:
        yield from conn._pipeline._sync_gen()
    status = pgconn.transaction_status
    if status == IDLE:
        if not conn.autocommit:
            yield from conn._start_query()
        return True
    if status == TransactionStatus.UNKNOWN:
        conn._check_connection_ok()
    if status == TransactionStatus.ACTIVE:
        raise ConnectionBusy(
            f"{query.label}: a COPY or another statement is under way on this connection: end it first, or take "
            "another connection"
        )
    return False


def recover(conn: Connection, idle: bool) -> PQGen[None]:
    """Bring a connection back from an interruption (Ctrl-C) in the middle of a call; ``idle`` as it was before.

    A pool replaces such a connection; one of the user's own has to go on.
    """
    yield from settle(conn)
    if idle and conn.autocommit:
        yield from roll_back(conn.pgconn)


class Call:
    """One call on a connection; ``local`` is what a bound view sets in its transaction."""

    __slots__ = ("conn", "local", "memory", "path", "query", "values", "variant")

    def __init__(
        self,
        conn: Connection,
        memory: Memory,
        query: Query,
        variant: Variant,
        values: Sequence[Any],
        local: Local | None = None,
    ) -> None:
        self.conn = conn
        self.memory = memory
        self.query = query
        self.variant = variant
        self.values = values
        self.local = local
        self.path: object = b""

    def run(self) -> PQGen[Any]:
        """Run it in the form that the connection's state and the query's promise ask for."""
        rider = self._rider()
        # What a borrower's pipeline still owes is not the query's fault.
        began = rider is None and (yield from enter(self.conn, self.query))
        return (yield from self._guarded(self._run(rider, began)))

    def again(self, prepared: Prepared, error: Exception, result: PGresult | None) -> PQGen[Any]:
        """Go on behind an error of a statement that was prepared before, in whatever transaction there is.

        ``result`` is what the server gave, if the error came later.
        """
        self.path = prepared.path
        if isinstance(error, RowError) and result is not None:
            if not prepared.composite:
                raise error
            return (yield from self._guarded(self._answer(prepared, result)))
        return (yield from self._guarded(self._renewed(prepared, error, began=False)))

    def _guarded(self, steps: PQGen[Any]) -> PQGen[Any]:
        """Name the query on an error of the server, and leave our own pipeline after a fault in the middle of it."""
        pgconn = self.conn.pgconn
        try:
            return (yield from steps)
        except psycopg.Error as error:
            error.add_note(self.query.label)
            raise
        finally:
            if pgconn.pipeline_status and not self.conn._pipeline:
                with suppress(psycopg.Error):  # a connection that is lost, whose error is on its way
                    pgconn.exit_pipeline_mode()

    def _run(self, rider: Prepared | None, began: bool) -> PQGen[Any]:
        if rider is not None:
            return (yield from self._with_begin(rider))
        if (self.local is not None or self.query.promises) and began and self.conn.autocommit:
            return (yield from self._framed())
        return (yield from self._plain(began))

    # In whatever transaction there is.

    def _plain(self, began: bool) -> PQGen[Any]:
        self.path = yield from search_path(self.conn, self.memory)
        prepared = self._known()
        fresh = prepared is None
        if prepared is None:
            prepared = yield from self._prepare()
        try:
            result = yield from self._execute(prepared)
        except (psycopg.Error, ArgumentError) as error:
            if fresh:
                raise
            return (yield from self._renewed(prepared, error, began))
        return (yield from self._answer(prepared, result))

    def _renewed(self, former: Prepared, error: Exception, began: bool) -> PQGen[Any]:
        """Prepare anew and run once more where the schema may have changed under a statement; else raise the error.

        In a transaction that the error has aborted nothing can run once more, unless the call itself ``began`` it.
        """
        if not may_be_stale(error):
            raise error
        yield from self._forget()
        if self.conn.pgconn.transaction_status == TransactionStatus.INERROR:
            if not began:
                error.add_note(STALE_NOTE)
                raise error
            yield from self.conn._rollback_gen()
        yield from self.conn._start_query()
        prepared = yield from self._prepare()
        if not is_stale(error) and prepared.takes == former.takes:
            raise error
        return (yield from self._answer(prepared, (yield from self._execute(prepared))))

    # In a transaction that begins with it.

    def _rider(self) -> Prepared | None:
        """Return the statement that BEGIN can ride with: known already, on an idle connection that is to begin."""
        conn, memory = self.conn, self.memory
        if conn._autocommit or conn._pipeline is not None or conn.pgconn.transaction_status != IDLE:
            return None
        path = (memory.begins and memory.path) or known_path(conn, memory)
        if path is None:
            return None
        self.path = path
        return self._known()

    def _with_begin(self, prepared: Prepared) -> PQGen[Any]:
        """Run the statement behind BEGIN and what belongs to it, in one round trip."""
        pgconn, memory = self.conn.pgconn, self.memory
        if memory.logs:
            log.info("%s", self.query.label)
        try:
            dumped = self._dump(prepared)
            pgconn.enter_pipeline_mode()
            pgconn.send_query_params(self.conn._get_tx_start_command(), None)
            if memory.begins:
                pgconn.send_query_params(memory.begins, None)
            result = (yield from self._through(prepared, dumped))[-1]
        except (psycopg.Error, ArgumentError) as error:
            return (yield from self._renewed(prepared, error, began=True))
        return (yield from self._answer(prepared, result))

    # In a transaction of its own.

    def _framed(self) -> PQGen[Any]:
        conn, memory = self.conn, self.memory
        self.path = yield from search_path(conn, memory, self.local.path if self.local else None)
        yield from self._prepare_settings()
        prepared = self._known()
        try:
            if prepared is None or conn._pipeline:
                return (yield from self._step_by_step(prepared))
            try:
                return (yield from self._pipelined(prepared))
            except (psycopg.Error, ArgumentError) as error:
                if not may_be_stale(error):
                    raise
                yield from roll_back(conn.pgconn)
                yield from self._forget()
                if self.local is not None and isinstance(error, psycopg.errors.InvalidSqlStatementName):
                    yield from forget(conn, memory, (CATALOGUE, set_configs(self.local)[0]))
                return (yield from self._step_by_step(None))
        except BaseException:
            yield from roll_back(conn.pgconn)
            raise

    def _step_by_step(self, prepared: Prepared | None) -> PQGen[Any]:
        """Run a framed call whose statement is still to be prepared, which needs answers in between."""
        pgconn = self.conn.pgconn
        yield from begin(pgconn, self.local)
        if prepared is None:
            prepared = yield from self._prepare()
        made = yield from self._answer(prepared, (yield from self._execute(prepared)))
        yield from command(pgconn, b"COMMIT")
        return made

    def _pipelined(self, prepared: Prepared) -> PQGen[Any]:
        """Run a framed call in one round trip, or in two where the rows must be seen before the COMMIT."""
        pgconn, local = self.conn.pgconn, self.local
        dumped = self._dump(prepared)
        pgconn.enter_pipeline_mode()
        pgconn.send_query_params(b"BEGIN", None)
        if local is not None and local.settings:
            text, settings = set_configs(local)
            setting: Prepared | None = self.memory.prepared.get((CATALOGUE, text))
            if setting is None:
                pgconn.send_query_params(text.encode(), settings)
            else:
                setting.send(pgconn, settings)
        commits = not self.query.promises
        results = yield from self._through(prepared, dumped, b"COMMIT" if commits else None)
        made = yield from self._answer(prepared, results[-2 if commits else -1])
        if not commits:
            yield from command(pgconn, b"COMMIT")
        return made

    def _prepare_settings(self) -> PQGen[None]:
        """Prepare what sets a view's settings, once: to plan it each time is a third of a framed call."""
        conn, local, memory = self.conn, self.local, self.memory
        if local is None or not local.settings or conn.prepare_threshold is None or conn._pipeline:
            return
        text, _ = set_configs(local)
        if (CATALOGUE, text) not in memory.prepared:
            yield from prepare(conn, memory, CATALOGUE, text)

    def _through(
        self, prepared: Prepared, dumped: Sequence[bytes | None], behind: bytes | None = None
    ) -> PQGen[list[PGresult]]:
        """Send the statement, and what comes behind it, in the pipeline that is open; return all results and leave."""
        pgconn = self.conn.pgconn
        prepared.send(pgconn, dumped)
        if behind is not None:
            pgconn.send_query_params(behind, None)
        pgconn.pipeline_sync()
        results = yield from until_sync(pgconn)
        pgconn.exit_pipeline_mode()
        for result in results:
            check(result, pgconn)
        return results

    # The statement itself.

    def _known(self) -> Prepared | None:
        prepared: Prepared | None = self.memory.prepared.get((self.path, self.variant.text))
        return prepared

    def _prepare(self) -> PQGen[Prepared]:
        return (yield from prepare(self.conn, self.memory, self.path, self.variant.text, self.query.name))

    def _forget(self) -> PQGen[None]:
        yield from forget(self.conn, self.memory, (self.path, self.variant.text))

    def _dump(self, prepared: Prepared) -> list[bytes | None]:
        self.memory.touched = self.memory.touched or prepared.touches
        return dump(self.query.label, self.variant.references, prepared.tables, self.values)

    def _execute(self, prepared: Prepared) -> PQGen[PGresult]:
        return (yield from execute(self.conn.pgconn, prepared, self._dump(prepared)))

    def _answer(self, prepared: Prepared, result: PGresult) -> PQGen[Any]:
        """Return what the contract promises of a result; where its columns changed, describe the statement anew.

        A composite type's columns change under one and the same OID. The statement has run, so it does not run again.
        """
        if self.query.row is not None and not prepared.fits(result):
            return collect(self.query, (yield from self._described_for(result)), result)
        try:
            return collect(self.query, prepared, result)
        except RowError:
            if not prepared.composite:
                raise
            yield from self._forget()
            renewed = yield from self._prepare()
            if renewed.columns == prepared.columns:
                raise
            return collect(self.query, renewed, result)

    def _described_for(self, result: PGresult) -> PQGen[Prepared]:
        """Describe a statement that nothing keeps prepared, as it was when it ran: in a view's transaction."""
        pgconn = self.conn.pgconn
        framed = self.local is not None and pgconn.transaction_status == IDLE
        yield from self._forget()
        if framed:
            yield from begin(pgconn, self.local)
        renewed = yield from self._prepare()
        if framed:
            yield from command(pgconn, b"COMMIT")
        renewed.expect(result)
        if result.nfields and result.fformat(0) != renewed.result_format:
            raise psycopg.errors.FeatureNotSupported("the columns of the statement have changed and cannot be read")
        return renewed
