"""A statement on a connection: one row, one or none, all, how many, nothing (``streams`` and ``bulk`` are apart).

A call is one generator, from arguments to objects: ``perform``, where every call begins and ends. What nearly every
call is, it does at once; all else goes to ``careful``. The two shells, one for each colour, do nothing but lend a
connection and drive the generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter_ns
from typing import Any

import psycopg
from psycopg import generators
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

from sqlkit.connection import Memory, memory_of
from sqlkit.errors import ArgumentError, RowError
from sqlkit.execution.arguments import dump
from sqlkit.execution.careful import Call, recover
from sqlkit.execution.collecting import collect
from sqlkit.execution.counting import count, fail, rows_of
from sqlkit.execution.lending import AsyncExecutor, Executor, Local, elsewhere, lend, lend_async
from sqlkit.execution.prepared import FAILED, Connection, Prepared, check, known_path
from sqlkit.execution.query import Query
from sqlkit.statements import Variant

__all__ = ["call", "call_async"]

IDLE = TransactionStatus.IDLE
INTRANS = TransactionStatus.INTRANS


def perform(conn: Connection, query: Query, variant: Variant, values: Sequence[Any], local: Local | None) -> PQGen[Any]:
    """Run a query: from arguments to objects.

    Here stands, without a step for each thing, what nearly every call is: a statement that the connection has prepared,
    in whatever transaction there is, in one round trip.
    """
    try:
        memory: Memory = conn._sqlkit  # type: ignore[union-attr]
    except AttributeError:
        memory = memory_of(conn)
    pgconn = conn.pgconn
    status = pgconn.transaction_status
    path = known_path(conn, memory)
    prepared: Prepared | None = memory.prepared.get((path, variant.text))
    tally = memory.tally
    began = 0 if tally is None else perf_counter_ns()
    try:
        if (
            prepared is None
            or not prepared.name
            or local is not None
            or memory.logs
            or conn._pipeline is not None
            or not (status == INTRANS or (status == IDLE and conn._autocommit and not query.promises))
        ):
            made = yield from Call(conn, memory, query, variant, values, local).run()
        else:
            assert path is not None  # noqa: S101 - nothing is prepared under no path
            if prepared.touches:
                memory.touched = True
            try:
                try:
                    dumped = [table[type(value)](value) for table, value in zip(prepared.tables, values)]  # noqa: B905
                except Exception:
                    dumped = dump(query.label, variant.references, prepared.tables, values)  # which says what is wrong
                pgconn.send_query_prepared(prepared.name, dumped, prepared.formats, prepared.result_format)
                result = (yield from generators.execute(pgconn))[-1]
                if result.status in FAILED:
                    check(result, pgconn)
            except (psycopg.Error, ArgumentError) as error:
                call = Call(conn, memory, query, variant, values)
                made = yield from call.again(path, prepared, error, status == IDLE)
            else:
                try:
                    made = collect(query, prepared, result)
                except RowError:
                    if not prepared.composite:
                        raise
                    made = yield from Call(conn, memory, query, variant, values).answer(path, prepared, result)
    except BaseException as error:
        if tally is not None:
            fail(memory, query, variant.text, began, error)
        raise
    if tally is not None:
        count(memory, query, variant.text, began, rows_of(query, made))
    return made


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
            return await db.wait(perform(db, query, variant, values, None))
    conn = await lend_async(db, query)
    try:
        async with conn.lock:
            return await conn.wait(perform(conn, query, variant, values, db.local))
    except psycopg.Error as error:
        other = elsewhere(db, conn, query, error)
        if other is None:
            raise
    finally:
        await db.take_back(conn)
    return await call_async(other, query, variant, values)
