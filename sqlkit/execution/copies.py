"""``copy t (columns) from stdin``, fed from Python objects.

The rows go in binary where every column's type has a binary form that we know, else as text, which every type reads.
What a column takes comes from the catalogue, a domain's base type for a domain; it is kept with the connection. One
COPY is one statement: all of it or nothing.

It never runs outside a transaction block: in autocommit ``begin`` and ``commit`` stand in its own message. Where the
server refuses a row it says at once that it is ready, and the client, who has not read that yet, goes on sending rows,
which the server drops. Outside a block a pooler of transactions takes "ready" for the end and has the rest of the rows
run into another client's connection (PgBouncer up to 1.25 does); in a block it waits for the ROLLBACK. The extended
protocol is no way out: a COPY that fails before its first row, by a trigger for each statement, answers both the Sync
behind its Execute and the one behind the rows, and every later answer on that connection is another statement's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import get_ident
from typing import Any

import psycopg
from psycopg import abc, generators
from psycopg.abc import PQGen
from psycopg.adapt import Transformer
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult

from sqlkit.annotations import Affected
from sqlkit.connection import Memory, memory_of
from sqlkit.contracts.contract import Cardinality
from sqlkit.errors import ConnectionBusy, ContractError
from sqlkit.execution.bulk import chunks_of, note, slices_of
from sqlkit.execution.careful import enter
from sqlkit.execution.counting import Counting
from sqlkit.execution.lending import AsyncExecutor, Executor, Local, borrow, borrow_async
from sqlkit.execution.prepared import (
    CATALOGUE,
    Connection,
    Context,
    Prepared,
    check,
    command,
    execute,
    flushed,
    learn_types,
    named,
    prepare,
    search_path,
    settle,
    type_of,
)
from sqlkit.execution.query import Query
from sqlkit.execution.staleness import may_be_stale
from sqlkit.execution.transactions import begin, roll_back
from sqlkit.execution.writing import CopyIn, RowWriter
from sqlkit.values.encoders import CopyFormat

__all__ = ["CopyIn", "copy_in", "copy_in_async"]

SAVEPOINT = b"sqlkit_copy"

#: The most that libpq is given at once: psycopg found it slower, or without end, with more.
PIECE_BYTES = 1 << 17

#: What may wait in libpq before we wait for the server to take it, as in psycopg.
FLUSH_BYTES = 1 << 20

#: The type and, through domains, the base type of each column that can be written.
COLUMNS_QUERY = """
with recursive target (column_name, type_id) as (
    select attname, atttypid from pg_catalog.pg_attribute
    where attrelid = $1::pg_catalog.regclass and attnum > 0 and not attisdropped
    union
    select target.column_name, domain_type.typbasetype
    from target
    inner join pg_catalog.pg_type as domain_type on domain_type.oid = target.type_id
    where domain_type.typtype = 'd'
)
select target.column_name::text, target.type_id::bigint
from target
inner join pg_catalog.pg_type as base_type on base_type.oid = target.type_id
where base_type.typtype <> 'd'
"""

NO_FORMAT = CopyFormat(None, (), ())


def _learn_format(conn: Connection, copy: CopyIn, path: object) -> PQGen[CopyFormat]:
    """Ask the catalogue what the columns are; each time, for in binary a type that changed would be misread."""
    memory = memory_of(conn)
    prepared: Prepared | None = memory.prepared.get((CATALOGUE, COLUMNS_QUERY))
    if prepared is None:
        prepared = yield from prepare(conn, memory, CATALOGUE, COLUMNS_QUERY)
    result = yield from execute(conn.pgconn, prepared, [copy.table.encode(conn.pgconn._encoding)])
    found: dict[str, int] = dict(prepared.load(result))
    missing = [column for column in copy.columns if column not in found]
    if missing:
        raise ContractError(f"{copy.query.label}: the table {copy.table} has no column {missing[0]!r}")
    oids = tuple([found[column] for column in copy.columns])
    key = (path, copy.table, copy.columns)
    known: tuple[tuple[int, ...], CopyFormat] = memory.batches.get(key, ((), NO_FORMAT))
    form = known[1]
    if known[0] != oids:
        yield from learn_types(conn, memory, list(oids))
        form = CopyFormat.of(oids, [type_of(memory, oid) for oid in oids], transformer_of(conn, memory))
        memory.batches[key] = oids, form
    return form


def transformer_of(conn: Connection, memory: Memory) -> abc.Transformer:
    """Return what writes values for a connection, by the adapters that sqlkit pins."""
    assert memory.adapters is not None  # noqa: S101 - set by learn_types
    return Transformer(Context(memory.adapters, conn))


def copy_text(conn: Connection, copy: CopyIn, form: CopyFormat) -> str:
    """Return the statement with its name and the format that the types allow."""
    text = named(conn, memory_of(conn), copy.text.rstrip().removesuffix(";"), copy.query.name)
    return f"{text}\n(format {'binary' if form.types is not None else 'text'})"


def settle_pooler(conn: Connection) -> PQGen[None]:
    """Have a pooler forget the end of a COPY that came when the server had refused a row.

    PgBouncer 1.22 to 1.25 waits for an answer to it, which none gives, and keeps the server connection for this client
    alone. What it waits for is forgotten with an error in the extended protocol, as each is in an aborted transaction.
    """
    if memory_of(conn).shared or conn.prepare_threshold is None:
        with suppress(psycopg.errors.InFailedSqlTransaction):
            yield from command(conn.pgconn, b"select /* sqlkit: behind a COPY that was refused */ 1")


class Frame:
    """One COPY under way on a connection, and what surrounds it, without colour.

    In a transaction that is open, a savepoint keeps it alive when it is the items that fail; what the server refuses
    aborts it, as any statement would. In autocommit it is a transaction of its own, in which a bound view's settings
    come first.
    """

    def __init__(self, conn: Connection, copy: CopyIn, local: Local | None) -> None:
        self.conn = conn
        self.copy = copy
        self.local = local
        self.began = self.own = self.savepoint = False
        self.waiting = 0

    def start(self) -> PQGen[RowWriter]:
        """Begin, learn how the columns go over the wire, and have the server take rows; return what writes them."""
        conn, local, pgconn = self.conn, self.local, self.conn.pgconn
        idle = yield from enter(conn, self.copy.query)
        if conn._pipeline:
            raise ConnectionBusy(f"{self.copy.query.label}: COPY cannot run in a pipeline: leave its block first")
        self.began = True
        self.own = idle and conn.autocommit
        if self.own and local is not None:
            yield from begin(pgconn, local)
        elif pgconn.transaction_status == TransactionStatus.INTRANS:
            yield from command(pgconn, b"SAVEPOINT " + SAVEPOINT)
            self.savepoint = True
        path = yield from search_path(conn, memory_of(conn), local.path if local else None)
        form = yield from _learn_format(conn, self.copy, path)
        text = copy_text(conn, self.copy, form)
        if self.own:
            text = f"{text}; commit" if local is not None else f"begin; {text}; commit"
        pgconn.send_query(text.encode(pgconn._encoding))
        results = yield from generators.execute(pgconn)
        check(results[-1], pgconn)
        return RowWriter(conn, self.copy, form)

    def put(self, data: bytes | bytearray) -> PQGen[None]:
        """Send rows; now and then wait until they are on their way."""
        self.waiting += len(data)
        flush = self.waiting >= FLUSH_BYTES
        if flush:
            self.waiting = 0
        if len(data) <= PIECE_BYTES:
            yield from generators.copy_to(self.conn.pgconn, data, flush)
            return
        view = memoryview(data)
        for start in range(0, len(data), PIECE_BYTES):
            yield from generators.copy_to(self.conn.pgconn, view[start : start + PIECE_BYTES], flush)

    def end(self) -> PQGen[int]:
        """End the COPY, and the transaction with it that is its own; return the number of rows."""
        pgconn = self.conn.pgconn
        while not pgconn.put_copy_end():
            yield from flushed(pgconn)
        yield from flushed(pgconn)
        results: list[PGresult] = yield from generators.fetch_many(pgconn)
        for result in results:  # of a COMMIT too, where a constraint is deferred
            check(result, pgconn)
        if self.savepoint:
            yield from command(pgconn, b"RELEASE SAVEPOINT " + SAVEPOINT)
        return results[0].command_tuples or 0

    def undo(self, error: BaseException) -> PQGen[None]:
        """Leave nothing behind after an error."""
        conn = self.conn
        with suppress(psycopg.Error):  # the server may have refused a row too, which nobody has read yet
            yield from settle(conn)
        if isinstance(error, Exception) and may_be_stale(error):  # a composite type may have other columns by now
            memory_of(conn).types.clear()
            memory_of(conn).batches.clear()
        alive = conn.pgconn.transaction_status == TransactionStatus.INTRANS
        if conn.pgconn.transaction_status == TransactionStatus.INERROR:
            yield from settle_pooler(conn)
        if self.own:
            yield from roll_back(conn.pgconn)
        elif self.savepoint and (alive or getattr(error, "sqlstate", None) is None):
            yield from command(conn.pgconn, b"ROLLBACK TO SAVEPOINT " + SAVEPOINT)
            yield from command(conn.pgconn, b"RELEASE SAVEPOINT " + SAVEPOINT)


class HeldLock:
    """Stands in for a connection's lock during a COPY, whose own thread or task would wait for itself."""

    def __init__(self, query: Query, lock: Any, owner: object) -> None:
        self.query = query
        self.lock = lock
        self.owner = owner

    def _refuse(self, owner: object) -> None:
        if owner == self.owner:
            raise ConnectionBusy(
                f"{self.query.label}: its COPY is under way on this connection: take the items from elsewhere, "
                "or make a list of them first"
            )

    def acquire(self) -> Any:
        """Refuse, or wait as others do: a coroutine on asyncio."""
        return self.__aenter__() if isinstance(self.owner, asyncio.Task) else self.__enter__()

    def __enter__(self) -> object:
        self._refuse(get_ident())
        return self.lock.__enter__()

    def __exit__(self, *details: Any) -> None:
        self.lock.__exit__(*details)

    async def __aenter__(self) -> object:
        self._refuse(asyncio.current_task())
        return await self.lock.__aenter__()

    async def __aexit__(self, *details: Any) -> None:
        await self.lock.__aexit__(*details)


@contextmanager
def held(conn: Connection, query: Query, owner: object) -> Iterator[None]:
    """Refuse the owner of a connection's lock another statement, which would hang."""
    lock: Any = conn.lock
    conn.lock = HeldLock(query, lock, owner)  # type: ignore[assignment]
    try:
        yield
    finally:
        conn.lock = lock


def _promised(copy: CopyIn, rows: int, counting: Counting) -> Affected | None:
    counting.ended(rows, rows)
    return None if copy.query.cardinality is Cardinality.NOTHING else Affected(rows)


def copy_in(db: Executor, copy: CopyIn, items: Iterable[Any]) -> Affected | None:
    """Copy items into the table; the number of rows."""
    conn, local, lender = borrow(db, copy.query)
    frame, counting = Frame(conn, copy, local), Counting(conn, copy.query, copy.text)
    try:
        with conn.lock:
            writer = conn.wait(frame.start())
        with held(conn, copy.query, get_ident()):
            for chunk in slices_of(items, lambda: writer.size):
                conn.wait(frame.put(writer.write(chunk)))
            conn.wait(frame.put(writer.end()))
        with conn.lock:
            rows = conn.wait(frame.end())
        return _promised(copy, rows, counting)
    except BaseException as error:
        note(error, copy.query)
        counting.failed(error, 0)
        if frame.began:
            with suppress(psycopg.Error), conn.lock:  # a connection that is lost, whose error is on its way
                conn.wait(frame.undo(error))
        raise
    finally:
        if lender is not None:
            lender.take_back(conn)


async def copy_in_async(db: AsyncExecutor, copy: CopyIn, items: Iterable[Any] | AsyncIterable[Any]) -> Affected | None:
    """Copy items into the table on asyncio; the number of rows."""
    conn, local, lender = await borrow_async(db, copy.query)
    frame, counting = Frame(conn, copy, local), Counting(conn, copy.query, copy.text)
    chunks: AsyncGenerator[list[Any], None] | None = None
    try:
        async with conn.lock:
            writer = await conn.wait(frame.start())
        chunks = chunks_of(items, lambda: writer.size)
        with held(conn, copy.query, asyncio.current_task()):
            async for chunk in chunks:
                await conn.wait(frame.put(writer.write(chunk)))
            await conn.wait(frame.put(writer.end()))
        async with conn.lock:
            rows = await conn.wait(frame.end())
        return _promised(copy, rows, counting)
    except BaseException as error:
        note(error, copy.query)
        counting.failed(error, 0)
        if frame.began:
            with suppress(psycopg.Error):  # a connection that is lost, whose error is on its way
                async with conn.lock:
                    await conn.wait(frame.undo(error))
        raise
    finally:
        if chunks is not None:
            await chunks.aclose()
        if lender is not None:
            await lender.take_back(conn)
