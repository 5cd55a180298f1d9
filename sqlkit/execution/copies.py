"""``copy t (columns) from stdin``, fed from Python objects.

The rows go in binary where every column's type has a binary form that we know, else as text, which every type reads.
What a column takes comes from the catalogue, a domain's base type for a domain; it is kept with the connection. One
COPY is one statement: all of it or nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import get_ident
from typing import Any

import psycopg
from psycopg import abc
from psycopg.abc import PQGen
from psycopg.adapt import Transformer
from psycopg.pq import TransactionStatus

from sqlkit.annotations import Affected
from sqlkit.connection import Memory, memory_of
from sqlkit.contracts.contract import Cardinality
from sqlkit.errors import ConnectionBusy, ContractError
from sqlkit.execution.bulk import chunks_of, note, slices_of
from sqlkit.execution.careful import enter
from sqlkit.execution.counting import Counting
from sqlkit.execution.lending import AsyncExecutor, Executor, Local, borrow, borrow_async
from sqlkit.execution.prepared import (
    Connection,
    Context,
    Prepared,
    command,
    execute,
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

#: Stands in for the search path of a statement that names its schema.
CATALOGUE = "pg_catalog"

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


class Frame:
    """What surrounds a COPY on one connection, without colour.

    A bound view's settings want a transaction. In one that is open, a savepoint keeps it alive when it is the items
    that fail; what the server refuses aborts it, as any statement would. In autocommit a COPY is all or nothing by
    itself.
    """

    def __init__(self, copy: CopyIn, local: Local | None) -> None:
        self.copy = copy
        self.local = local
        self.began = self.own = self.savepoint = False

    def start(self, conn: Connection) -> PQGen[CopyFormat]:
        """Begin, and learn how the columns go over the wire."""
        local = self.local
        idle = yield from enter(conn, self.copy.query)
        if conn._pipeline:
            raise ConnectionBusy(f"{self.copy.query.label}: COPY cannot run in a pipeline: leave its block first")
        self.began = True
        if local is not None and idle and conn.autocommit:
            yield from begin(conn.pgconn, local)
            self.own = True
        elif conn.pgconn.transaction_status == TransactionStatus.INTRANS:
            yield from command(conn.pgconn, b"SAVEPOINT " + SAVEPOINT)
            self.savepoint = True
        path = yield from search_path(conn, memory_of(conn), local.path if local else None)
        return (yield from _learn_format(conn, self.copy, path))

    def finish(self, conn: Connection) -> PQGen[None]:
        """Commit, or release the savepoint."""
        if self.own or self.savepoint:
            yield from command(conn.pgconn, b"COMMIT" if self.own else b"RELEASE SAVEPOINT " + SAVEPOINT)

    def undo(self, conn: Connection, error: BaseException) -> PQGen[None]:
        """Leave nothing behind after an error."""
        yield from settle(conn)
        if isinstance(error, Exception) and may_be_stale(error):  # a composite type may have other columns by now
            memory_of(conn).types.clear()
            memory_of(conn).batches.clear()
        alive = conn.pgconn.transaction_status == TransactionStatus.INTRANS
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


def _promised(
    copy: CopyIn, cursor: psycopg.Cursor[Any] | psycopg.AsyncCursor[Any], counting: Counting
) -> Affected | None:
    rows = max(cursor.rowcount, 0)
    counting.ended(rows, rows)
    return None if copy.query.cardinality is Cardinality.NOTHING else Affected(rows)


def copy_in(db: Executor, copy: CopyIn, items: Iterable[Any]) -> Affected | None:
    """Copy items into the table; the number of rows."""
    conn, local, lender = borrow(db, copy.query)
    frame, counting = Frame(copy, local), Counting(conn, copy.query, copy.text)
    try:
        with conn.lock:
            form = conn.wait(frame.start(conn))
        cursor = psycopg.Cursor(conn)
        text = copy_text(conn, copy, form).encode(conn.info.encoding)
        with cursor.copy(text) as target, held(conn, copy.query, get_ident()):
            writer = RowWriter(conn, copy, form)
            for chunk in slices_of(items, lambda: writer.size):
                target.write(writer.write(chunk))
            if writer.number:
                target.write(writer.end())
        with conn.lock:
            conn.wait(frame.finish(conn))
        return _promised(copy, cursor, counting)
    except BaseException as error:
        note(error, copy.query)
        counting.failed(error, 0)
        if frame.began:
            with suppress(psycopg.Error), conn.lock:  # a connection that is lost, whose error is on its way
                conn.wait(frame.undo(conn, error))
        raise
    finally:
        if lender is not None:
            lender.take_back(conn)


async def copy_in_async(db: AsyncExecutor, copy: CopyIn, items: Iterable[Any] | AsyncIterable[Any]) -> Affected | None:
    """Copy items into the table on asyncio; the number of rows."""
    conn, local, lender = await borrow_async(db, copy.query)
    frame, counting = Frame(copy, local), Counting(conn, copy.query, copy.text)
    chunks: AsyncGenerator[list[Any], None] | None = None
    try:
        async with conn.lock:
            form = await conn.wait(frame.start(conn))
        writer = RowWriter(conn, copy, form)
        chunks = chunks_of(items, lambda: writer.size)
        cursor = psycopg.AsyncCursor(conn)
        text = copy_text(conn, copy, form).encode(conn.info.encoding)
        async with cursor.copy(text) as target:
            with held(conn, copy.query, asyncio.current_task()):
                async for chunk in chunks:
                    await target.write(writer.write(chunk))
                if writer.number:
                    await target.write(writer.end())
        async with conn.lock:
            await conn.wait(frame.finish(conn))
        return _promised(copy, cursor, counting)
    except BaseException as error:
        note(error, copy.query)
        counting.failed(error, 0)
        if frame.began:
            with suppress(psycopg.Error):  # a connection that is lost, whose error is on its way
                async with conn.lock:
                    await conn.wait(frame.undo(conn, error))
        raise
    finally:
        if chunks is not None:
            await chunks.aclose()
        if lender is not None:
            await lender.take_back(conn)
