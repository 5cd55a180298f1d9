"""A statement on a connection: one row, one or none, all, how many, nothing (``streams`` and ``bulk`` are apart).

What nearly every call is stands here, without a step for each thing: a statement that the connection has prepared, in
whatever transaction there is, in one round trip (``ready``, ``send``, ``collect``). All else is a ``Call``, step by
step. The two colours differ in how they wait; ``run`` and ``run_async`` are where every call begins and ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter_ns
from typing import Any

import psycopg
from psycopg import generators
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn

from sqlkit.connection import Memory, memory_of
from sqlkit.errors import ArgumentError, RowError
from sqlkit.execution.arguments import dump
from sqlkit.execution.careful import Call, recover
from sqlkit.execution.chunked import chunked
from sqlkit.execution.collecting import collect
from sqlkit.execution.counting import count_call, fail
from sqlkit.execution.lending import AsyncExecutor, Executor, Local, elsewhere, lend, lend_async
from sqlkit.execution.prepared import Connection, Prepared, check
from sqlkit.execution.query import Query
from sqlkit.rows.collector import CollectorPause
from sqlkit.statements import Variant

__all__ = ["call", "call_async"]

IDLE = TransactionStatus.IDLE
INTRANS = TransactionStatus.INTRANS
TUPLES_OK = ExecStatus.TUPLES_OK

execute = generators.execute


def ready(conn: Connection, memory: Memory, query: Query, variant: Variant, local: Local | None) -> Prepared | None:
    """Return the statement as the connection has prepared it; None where more has to be done than to run it."""
    pgconn = conn.pgconn
    status = pgconn.transaction_status
    if (
        not (status == INTRANS or (status == IDLE and conn._autocommit and not query.promises))
        or conn._pipeline is not None
        or local is not None
        or memory.logs
    ):
        return None
    # As prepared.known_path says it, which is a step too many here.
    path = pgconn.parameter_status(b"search_path")
    if path is None and not memory.touched:
        path = memory.path or memory.home
    prepared: Prepared | None = memory.prepared.get((path, variant.text))
    if prepared is None or not prepared.name:
        return None
    if prepared.touches:
        memory.touched = True
    return prepared


def send(pgconn: PGconn, query: Query, variant: Variant, prepared: Prepared, values: Sequence[Any]) -> None:
    """Queue the statement with its values."""
    try:
        dumped = [table[type(value)](value) for table, value in zip(prepared.tables, values)]  # noqa: B905
    except Exception:
        dumped = dump(query.label, variant.references, prepared.tables, values)  # which says what is wrong
    pgconn.send_query_prepared(prepared.name, dumped, prepared.formats, prepared.result_format)


def is_lost(conn: Connection, query: Query, error: Exception) -> bool:
    """Tell whether a connection is lost, so that nothing is left to do about an error but to name the query."""
    if conn.pgconn.status == ConnStatus.OK:
        return False
    error.add_note(query.label)
    return True


def run(
    conn: psycopg.Connection[Any], query: Query, variant: Variant, values: Sequence[Any], local: Local | None
) -> Any:
    """Run a query on a connection, from arguments to objects, and count it for the Database that lent it."""
    memory = memory_of(conn)
    tally = memory.tally
    began = 0 if tally is None else perf_counter_ns()
    try:
        prepared = ready(conn, memory, query, variant, local)
        if prepared is None:
            made = conn.wait(Call(conn, memory, query, variant, values, local).run())
        else:
            result = None
            try:
                send(conn.pgconn, query, variant, prepared, values)
                if prepared.large and query.many:
                    with CollectorPause() as pause:
                        made = conn.wait(chunked(conn.pgconn, query, prepared, pause))
                else:
                    result = conn.wait(execute(conn.pgconn))[-1]
                    if result.status != TUPLES_OK:
                        check(result, conn.pgconn)
                    made = collect(query, prepared, result)
            except (psycopg.Error, ArgumentError, RowError) as error:
                if is_lost(conn, query, error):
                    raise
                made = conn.wait(Call(conn, memory, query, variant, values).again(prepared, error, result))
    except BaseException as error:
        if tally is not None:
            fail(memory, query, variant.text, began, error)
        raise
    if tally is not None:
        count_call(memory, query, variant.text, began, made)
    return made


async def run_async(
    conn: psycopg.AsyncConnection[Any], query: Query, variant: Variant, values: Sequence[Any], local: Local | None
) -> Any:
    """Run a query on an asynchronous connection, as ``run`` does."""
    memory = memory_of(conn)
    tally = memory.tally
    began = 0 if tally is None else perf_counter_ns()
    try:
        prepared = ready(conn, memory, query, variant, local)
        if prepared is None:
            made = await conn.wait(Call(conn, memory, query, variant, values, local).run())
        else:
            result = None
            try:
                send(conn.pgconn, query, variant, prepared, values)
                if prepared.large and query.many:
                    with CollectorPause() as pause:
                        made = await conn.wait(chunked(conn.pgconn, query, prepared, pause))
                else:
                    result = (await conn.wait(execute(conn.pgconn)))[-1]
                    if result.status != TUPLES_OK:
                        check(result, conn.pgconn)
                    made = collect(query, prepared, result)
            except (psycopg.Error, ArgumentError, RowError) as error:
                if is_lost(conn, query, error):
                    raise
                made = await conn.wait(Call(conn, memory, query, variant, values).again(prepared, error, result))
    except BaseException as error:
        if tally is not None:
            fail(memory, query, variant.text, began, error)
        raise
    if tally is not None:
        count_call(memory, query, variant.text, began, made)
    return made


# The two shells.


def call(db: Executor, query: Query, variant: Variant, values: Sequence[Any]) -> Any:
    """Run a query on a connection, or on one that is lent for it."""
    if isinstance(db, psycopg.Connection):
        with db.lock:
            idle = db.pgconn.transaction_status == IDLE
            try:
                return run(db, query, variant, values, None)
            except Exception:
                raise
            except BaseException:
                db.wait(recover(db, idle))
                raise
    conn = lend(db, query)  # whose lock nobody else asks for
    try:
        return run(conn, query, variant, values, db.local)
    except psycopg.Error as error:
        other = elsewhere(db, conn, query, error)
        if other is None:
            raise
    finally:
        db.take_back(conn)
    return call(other, query, variant, values)


async def call_async(db: AsyncExecutor, query: Query, variant: Variant, values: Sequence[Any]) -> Any:
    """Run a query on an asynchronous connection, or on one that is lent for it."""
    if isinstance(db, psycopg.AsyncConnection):
        async with db.lock:
            return await run_async(db, query, variant, values, None)
    conn = await lend_async(db, query)
    try:
        return await run_async(conn, query, variant, values, db.local)
    except psycopg.Error as error:
        other = elsewhere(db, conn, query, error)
        if other is None:
            raise
    finally:
        await db.take_back(conn)
    return await call_async(other, query, variant, values)
