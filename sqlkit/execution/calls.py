"""A statement on a connection: one row, one or none, all, how many, nothing (``streams`` and ``bulk`` are apart).

A call is one generator, from arguments to objects, in three forms: plain (one round trip, in whatever transaction
there is), framed (BEGIN, a bound view's settings, the statement and COMMIT in one pipeline) and promised (a writing
statement that returns rows on a connection in autocommit: its rows are counted and made before the COMMIT). The two
shells at the end, one for each colour, do nothing but lend a connection and drive the generator; ``perform`` is where
every call begins and ends.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from sqlkit.connection import Memory, memory_of
from sqlkit.errors import ArgumentError, ConnectionBusy, RowError
from sqlkit.execution.arguments import dump
from sqlkit.execution.collecting import collect
from sqlkit.execution.lending import AsyncExecutor, Executor, Local, lend, lend_async
from sqlkit.execution.prepared import (
    Connection,
    Prepared,
    check,
    command,
    execute,
    forget,
    prepare,
    search_path,
    settle,
    until_sync,
)
from sqlkit.execution.query import Query
from sqlkit.execution.staleness import STALE_NOTE, is_stale, may_be_stale
from sqlkit.execution.transactions import begin, roll_back, set_configs
from sqlkit.statements import Variant

__all__ = ["call", "call_async", "enter", "recover"]

IDLE = TransactionStatus.IDLE

#: Each statement by its name and place, on connections of a Database with ``debug``; never a value.
log = logging.getLogger("sqlkit.queries")


# One call, from arguments to objects.


def perform(conn: Connection, query: Query, variant: Variant, values: Sequence[Any], local: Local | None) -> PQGen[Any]:
    """Run a query in the form that the connection's state and the query's promise ask for."""
    memory = memory_of(conn)
    began = yield from enter(conn, query)
    try:
        if (local is not None or query.promises) and began and conn.autocommit:
            return (yield from _framed(conn, memory, query, variant, values, local))
        return (yield from _plain(conn, memory, query, variant, values, began))
    except psycopg.Error as error:
        error.add_note(query.label)
        raise
    finally:
        leave_pipeline(conn)


def recover(conn: Connection, idle: bool) -> PQGen[None]:
    """Bring a connection back from an interruption (Ctrl-C) in the middle of a call; ``idle`` as it was before.

    A pool replaces such a connection; one of the user's own has to go on.
    """
    yield from settle(conn)
    if idle and conn.autocommit:
        yield from roll_back(conn.pgconn)


def leave_pipeline(conn: Connection) -> None:
    """Leave our own pipeline after a fault in the middle of it."""
    if conn.pgconn.pipeline_status and not conn._pipeline:
        with suppress(psycopg.Error):  # a connection that is lost, whose error is on its way
            conn.pgconn.exit_pipeline_mode()


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


def _plain(
    conn: Connection, memory: Memory, query: Query, variant: Variant, values: Sequence[Any], began: bool
) -> PQGen[Any]:
    path = yield from search_path(conn, memory)
    key = (path, variant.text)
    prepared = memory.prepared.get(key)
    fresh = prepared is None
    if prepared is None:
        prepared = yield from prepare(conn, memory, path, variant.text, query.name)
    memory.touched = memory.touched or prepared.touches
    try:
        result = yield from _execute(conn.pgconn, query, variant, prepared, values)
    except (psycopg.Error, ArgumentError) as error:
        if fresh or not may_be_stale(error):
            raise
        yield from forget(conn, memory, key)
        if conn.pgconn.transaction_status == TransactionStatus.INERROR:
            if not began:
                error.add_note(STALE_NOTE)
                raise
            yield from conn._rollback_gen()
            yield from conn._start_query()
        former, prepared = prepared, (yield from prepare(conn, memory, path, variant.text, query.name))
        if not is_stale(error) and prepared.takes == former.takes:
            raise
        result = yield from _execute(conn.pgconn, query, variant, prepared, values)
    return (yield from _answer(conn, memory, query, prepared, result, key))


def _answer(
    conn: Connection, memory: Memory, query: Query, prepared: Prepared, result: PGresult, key: tuple[bytes, str]
) -> PQGen[Any]:
    """Return what the contract promises of a result; what a composite type consists of may have to be learnt again."""
    try:
        return collect(query, prepared, result)
    except RowError:
        if not prepared.composite:
            raise
        yield from forget(conn, memory, key)
        renewed = yield from prepare(conn, memory, *key, query.name)
        if renewed.columns == prepared.columns:
            raise
        return collect(query, renewed, result)


def _execute(
    pgconn: PGconn, query: Query, variant: Variant, prepared: Prepared, values: Sequence[Any]
) -> PQGen[PGresult]:
    return (yield from execute(pgconn, prepared, dump(query.label, variant.references, prepared.tables, values)))


# A call in a transaction of its own.


def _framed(
    conn: Connection, memory: Memory, query: Query, variant: Variant, values: Sequence[Any], local: Local | None
) -> PQGen[Any]:
    path = yield from search_path(conn, memory, local.path if local else None)
    prepared = memory.prepared.get((path, variant.text))
    try:
        if prepared is None:
            return (yield from _step_by_step(conn, memory, query, variant, values, local, path))
        try:
            if conn._pipeline:
                return (yield from _step_by_step(conn, memory, query, variant, values, local, path))
            return (yield from _pipelined(conn, memory, query, variant, values, local, path, prepared))
        except (psycopg.Error, ArgumentError) as error:
            if not may_be_stale(error):
                raise
            yield from roll_back(conn.pgconn)
            yield from forget(conn, memory, (path, variant.text))
            return (yield from _step_by_step(conn, memory, query, variant, values, local, path))
    except BaseException:
        yield from roll_back(conn.pgconn)
        raise


def _step_by_step(
    conn: Connection,
    memory: Memory,
    query: Query,
    variant: Variant,
    values: Sequence[Any],
    local: Local | None,
    path: bytes,
) -> PQGen[Any]:
    """Run a framed call whose statement is still to be prepared, which needs answers in between."""
    pgconn = conn.pgconn
    yield from begin(pgconn, local)
    prepared = memory.prepared.get((path, variant.text))
    if prepared is None:
        prepared = yield from prepare(conn, memory, path, variant.text, query.name)
    memory.touched = memory.touched or prepared.touches
    result = yield from _execute(pgconn, query, variant, prepared, values)
    made = yield from _answer(conn, memory, query, prepared, result, (path, variant.text))
    yield from command(pgconn, b"COMMIT")
    return made


def _pipelined(
    conn: Connection,
    memory: Memory,
    query: Query,
    variant: Variant,
    values: Sequence[Any],
    local: Local | None,
    path: bytes,
    prepared: Prepared,
) -> PQGen[Any]:
    """Run a framed call in one round trip, or in two where the rows must be seen before the COMMIT."""
    pgconn = conn.pgconn
    memory.touched = memory.touched or prepared.touches
    dumped = dump(query.label, variant.references, prepared.tables, values)
    pgconn.enter_pipeline_mode()
    pgconn.send_query_params(b"BEGIN", None)
    if local is not None and local.settings:
        pgconn.send_query_params(*set_configs(local))
    prepared.send(pgconn, dumped)
    commits = not query.promises
    if commits:
        pgconn.send_query_params(b"COMMIT", None)
    pgconn.pipeline_sync()
    results = yield from until_sync(pgconn)
    pgconn.exit_pipeline_mode()
    for result in results:
        check(result, pgconn)
    result = prepared.expect(results[-2 if commits else -1])
    made = yield from _answer(conn, memory, query, prepared, result, (path, variant.text))
    if not commits:
        yield from command(pgconn, b"COMMIT")
    return made


# The two shells.


def call(db: Executor, query: Query, variant: Variant, values: Sequence[Any]) -> Any:
    """Run a query on a connection, or on one that is lent for it."""
    if isinstance(db, psycopg.Connection):
        with db.lock:
            idle = db.pgconn.transaction_status == IDLE
            try:
                return db.wait(perform(db, query, variant, values, None))
            except Exception:
                raise
            except BaseException:
                db.wait(recover(db, idle))
                raise
    conn = lend(db, query)
    try:
        with conn.lock:
            return conn.wait(perform(conn, query, variant, values, db.local))
    finally:
        db.take_back(conn)


async def call_async(db: AsyncExecutor, query: Query, variant: Variant, values: Sequence[Any]) -> Any:
    """Run a query on an asynchronous connection, or on one that is lent for it."""
    if isinstance(db, psycopg.AsyncConnection):
        async with db.lock:
            return await db.wait(perform(db, query, variant, values, None))
    conn = await lend_async(db, query)
    try:
        async with conn.lock:
            return await conn.wait(perform(conn, query, variant, values, db.local))
    finally:
        await db.take_back(conn)
