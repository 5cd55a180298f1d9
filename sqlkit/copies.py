"""``copy t (columns) from stdin``, fed from Python objects.

The rows go in binary where every column's type has a binary form that we know, else as text, which every type reads.
What a column takes comes from the catalogue, a domain's base type for a domain; it is kept with the connection. One
COPY is one statement: all of it or nothing.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any
from uuid import UUID

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.adapt import PyFormat
from psycopg.pq import TransactionStatus
from pydantic import TypeAdapter, ValidationError

from sqlkit.annotations import Affected
from sqlkit.bulk import chunks_of, lacks, note
from sqlkit.catalog import JSONS, PgType
from sqlkit.connection import memory_of
from sqlkit.contracts import Cardinality
from sqlkit.errors import ArgumentError, ConnectionBusy, ContractError
from sqlkit.execution import (
    AsyncExecutor,
    Executor,
    Local,
    Query,
    begin,
    borrow,
    borrow_async,
    enter,
    not_encodable,
    roll_back,
)
from sqlkit.parameters import Unfit, check_zone, json_text, plain_value
from sqlkit.prepared import Connection, Prepared, command, execute, learn_types, prepare, search_path, type_of

__all__ = ["CopyIn", "copy_in", "copy_in_async"]

TEXT_OID, BYTEA_OID = 25, 17

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

#: What each type takes in binary: the Python types as they are, and what others are converted to.
BINARY: dict[str, tuple[frozenset[type], Any]] = {
    "int2": (frozenset({int}), int),
    "int4": (frozenset({int}), int),
    "int8": (frozenset({int}), int),
    "float4": (frozenset({float, int}), float),
    "float8": (frozenset({float, int}), float),
    "numeric": (frozenset({Decimal}), Decimal),
    "bool": (frozenset({bool}), bool),
    "uuid": (frozenset({UUID}), UUID),
    "date": (frozenset({date}), date),
    "time": (frozenset({time}), time),
    "timestamp": (frozenset({datetime}), datetime),
    "timestamptz": (frozenset({datetime}), datetime),
    "interval": (frozenset({timedelta}), timedelta),
    "bytea": (frozenset({bytes}), bytes),
    "text": (frozenset({str}), str),
    "varchar": (frozenset({str}), str),
    "bpchar": (frozenset({str}), str),
    "name": (frozenset({str}), str),
    "citext": (frozenset({str}), str),
}

#: What says whether it has a zone, which must be looked at value by value.
ZONED = frozenset({"timestamp", "timestamptz"})

TEXTS = frozenset({"text", "varchar", "bpchar", "name", "citext"})

#: What psycopg raises for a value that its type cannot take, before anything is sent.
WRITING_FAILS = (UnicodeEncodeError, OverflowError, struct.error, psycopg.DataError)

Encode = Callable[[Any], Any]


@dataclass(slots=True)
class CopyIn:
    """A COPY statement and where the values of its columns come from: an item's field or an argument of the call."""

    query: Query
    text: str
    table: str
    columns: tuple[str, ...]
    read: Callable[[Any], Sequence[Any]]


@dataclass(slots=True)
class Format:
    """How one table's columns go over the wire: psycopg's types for them (None for text), and what encodes values."""

    types: tuple[int, ...] | None
    encoders: tuple[Encode, ...]
    pgtypes: tuple[PgType, ...]
    work: dict[tuple[type, ...], tuple[int, ...]] = field(default_factory=dict)

    def columns_to_encode(self, types: tuple[type, ...]) -> tuple[int, ...]:
        """Return the columns whose values need encoding in a row of these Python types; remembered by types."""
        found = self.work.get(types)
        if found is None:
            found = self.work[types] = tuple(
                index
                for index, (python, pgtype) in enumerate(zip(types, self.pgtypes, strict=True))
                if not self._goes_as_it_is(python, pgtype)
            )
        return found

    def _goes_as_it_is(self, python: type, pgtype: PgType) -> bool:
        if python is NoneType:
            return True
        if self.types is None or pgtype.name in JSONS or pgtype.name in ZONED:
            return False
        return python in BINARY["text" if pgtype.kind == "e" else pgtype.name][0]


NO_FORMAT = Format(None, (), ())


def _learn_format(conn: Connection, copy: CopyIn, path: object) -> PQGen[Format]:
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
    known: tuple[tuple[int, ...], Format] = memory.batches.get(key, ((), NO_FORMAT))
    form = known[1]
    if known[0] != oids:
        yield from learn_types(conn, memory, list(oids))
        form = _format(oids, [type_of(memory, oid) for oid in oids])
        memory.batches[key] = oids, form
    return form


def _format(oids: Sequence[int], pgtypes: list[PgType]) -> Format:
    if all(_in_binary(pgtype) for pgtype in pgtypes):
        types = tuple(_wire_type(oid, pgtype) for oid, pgtype in zip(oids, pgtypes, strict=True))
        return Format(types, tuple(_binary_encoder(pgtype) for pgtype in pgtypes), tuple(pgtypes))
    return Format(None, tuple(_text_encoder(pgtype) for pgtype in pgtypes), tuple(pgtypes))


def _in_binary(pgtype: PgType) -> bool:
    return pgtype.kind == "e" or (pgtype.kind == "b" and (pgtype.name in BINARY or pgtype.name in JSONS))


def _wire_type(oid: int, pgtype: PgType) -> int:
    """Return the type whose dumper writes what the column reads: a label and a JSON document are text."""
    if pgtype.kind == "e" or pgtype.name in TEXTS or pgtype.name == "json":
        return TEXT_OID
    return BYTEA_OID if pgtype.name == "jsonb" else oid


def _binary_encoder(pgtype: PgType) -> Encode:
    if pgtype.name in JSONS and pgtype.kind == "b":
        return _json_encoder(pgtype)
    exact, target = BINARY["text"] if pgtype.kind == "e" else BINARY[pgtype.name]
    adapter: TypeAdapter[Any] = TypeAdapter(target)
    zoned = pgtype.name in ZONED

    def encode(value: Any) -> Any:
        if type(value) in exact:
            if zoned:
                check_zone(value, pgtype)
            return value
        if value is None:
            return None
        if isinstance(value, Enum):
            return encode(value.value)
        try:
            return encode_exact(adapter.validate_python(value))
        except ValidationError:
            raise Unfit(f"a {type(value).__name__} cannot be sent as {pgtype}") from None

    def encode_exact(value: Any) -> Any:
        if zoned:
            check_zone(value, pgtype)
        return value

    return encode


def _json_encoder(pgtype: PgType) -> Encode:
    versioned = pgtype.name == "jsonb"

    def encode(value: Any) -> Any:
        if value is None:
            return None
        text = value if isinstance(value, str) else json_text(value)
        return b"\x01" + text.encode() if versioned else text

    return encode


def _text_encoder(pgtype: PgType) -> Encode:
    return lambda value: plain_value(value, pgtype)


def copy_text(copy: CopyIn, form: Format) -> str:
    """Return the statement with the format that the types allow."""
    text = copy.text.rstrip().removesuffix(";")
    return f"{text}\n(format {'binary' if form.types is not None else 'text'})"


def encode_row(copy: CopyIn, form: Format, item: Any, number: int) -> Sequence[Any]:
    """Encode one item; ArgumentError names it by number, with the column, and never shows the value."""
    values: Sequence[Any] = ()
    try:
        values = copy.read(item)
        work = form.columns_to_encode(tuple(map(type, values)))
        if not work:
            return values
        encoded = list(values)
        for index in work:
            encoded[index] = form.encoders[index](values[index])
        return encoded
    except (AttributeError, KeyError) as error:
        if (lacking := lacks(item, error)) is not None:
            raise ArgumentError(f"{copy.query.label}: item {number}: {lacking}") from None
        raise
    except Unfit:
        for column, encode, value in zip(copy.columns, form.encoders, values, strict=True):
            try:
                encode(value)
            except Unfit as unfit:
                raise ArgumentError(f"{copy.query.label}: item {number}, column {column!r}: {unfit}") from None
        raise


class Frame:
    """What surrounds a COPY on one connection, without colour.

    A bound view's settings want a transaction. In one that is open, a savepoint keeps it alive when it is the items
    that fail; what the server refuses aborts it, as any statement would. In autocommit a COPY is all or nothing by
    itself.
    """

    def __init__(self, copy: CopyIn, local: Local | None) -> None:
        self.copy = copy
        self.local = local
        self.own = self.savepoint = False

    def start(self, conn: Connection) -> PQGen[Format]:
        """Begin, and learn how the columns go over the wire."""
        local = self.local
        idle = yield from enter(conn, self.copy.query)
        if conn._pipeline:
            raise ConnectionBusy(f"{self.copy.query.label}: COPY cannot run in a pipeline: leave its block first")
        if local is not None and idle and conn.autocommit:
            yield from begin(conn.pgconn, local)
            self.own = True
        elif conn.pgconn.transaction_status == TransactionStatus.INTRANS:
            yield from command(conn.pgconn, b"SAVEPOINT " + SAVEPOINT)
            self.savepoint = True
        path: object = local.path if local is not None and local.path is not None else None
        if path is None:
            path = yield from search_path(conn, memory_of(conn))
        return (yield from _learn_format(conn, self.copy, path))

    def finish(self, conn: Connection) -> PQGen[None]:
        """Commit, or release the savepoint."""
        if self.own or self.savepoint:
            yield from command(conn.pgconn, b"COMMIT" if self.own else b"RELEASE SAVEPOINT " + SAVEPOINT)

    def undo(self, conn: Connection, error: BaseException) -> PQGen[None]:
        """Leave nothing behind after an error."""
        alive = conn.pgconn.transaction_status == TransactionStatus.INTRANS
        if self.own:
            yield from roll_back(conn.pgconn)
        elif self.savepoint and (alive or getattr(error, "sqlstate", None) is None):
            yield from command(conn.pgconn, b"ROLLBACK TO SAVEPOINT " + SAVEPOINT)
            yield from command(conn.pgconn, b"RELEASE SAVEPOINT " + SAVEPOINT)


def unwritable(conn: Connection, copy: CopyIn, form: Format, row: Sequence[Any], number: int) -> ArgumentError | None:
    """Return the error that names the column of a row that psycopg could not write; None if none is to blame."""
    for index, (column, value) in enumerate(zip(copy.columns, row, strict=True)):
        transformer = psycopg.adapt.Transformer(conn)
        wire = PyFormat.TEXT if form.types is None else PyFormat.BINARY
        if form.types is not None:
            transformer.set_dumper_types([form.types[index]], pq.Format.BINARY)
        place = f"{copy.query.label}: item {number}, column {column!r}"
        try:
            transformer.dump_sequence([value], [wire])
        except UnicodeEncodeError as error:
            return ArgumentError(f"{place}: {not_encodable(error)}")
        except Exception as error:
            reason = f"a {type(value).__name__} cannot be sent as {form.pgtypes[index]} ({type(error).__name__})"
            return ArgumentError(f"{place}: {reason}")
    return None


def _promised(copy: CopyIn, cursor: psycopg.Cursor[Any] | psycopg.AsyncCursor[Any]) -> Affected | None:
    return None if copy.query.cardinality is Cardinality.NOTHING else Affected(max(cursor.rowcount, 0))


def copy_in(db: Executor, copy: CopyIn, items: Iterable[Any]) -> Affected | None:
    """Copy items into the table; the number of rows."""
    conn, local, lender = borrow(db, copy.query)
    frame = Frame(copy, local)
    try:
        with conn.lock:
            form = conn.wait(frame.start(conn))
        cursor = psycopg.Cursor(conn)
        with cursor.copy(copy_text(copy, form).encode(conn.info.encoding)) as target:
            if form.types is not None:
                target.set_types(form.types)
            for number, item in enumerate(items, 1):
                row = encode_row(copy, form, item, number)
                try:
                    target.write_row(row)
                except WRITING_FAILS as error:
                    raise unwritable(conn, copy, form, row, number) or error from None
        with conn.lock:
            conn.wait(frame.finish(conn))
        return _promised(copy, cursor)
    except BaseException as error:
        note(error, copy.query)
        with suppress(psycopg.Error), conn.lock:  # a connection that is lost, whose error is on its way
            conn.wait(frame.undo(conn, error))
        raise
    finally:
        if lender is not None:
            lender.take_back(conn)


async def copy_in_async(db: AsyncExecutor, copy: CopyIn, items: Iterable[Any] | AsyncIterable[Any]) -> Affected | None:
    """Copy items into the table on asyncio; the number of rows."""
    conn, local, lender = await borrow_async(db, copy.query)
    frame = Frame(copy, local)
    chunks = chunks_of(items)
    try:
        async with conn.lock:
            form = await conn.wait(frame.start(conn))
        cursor = psycopg.AsyncCursor(conn)
        number = 0
        async with cursor.copy(copy_text(copy, form).encode(conn.info.encoding)) as target:
            if form.types is not None:
                target.set_types(form.types)
            async for chunk in chunks:
                for item in chunk:
                    number += 1
                    row = encode_row(copy, form, item, number)
                    try:
                        await target.write_row(row)
                    except WRITING_FAILS as error:
                        raise unwritable(conn, copy, form, row, number) or error from None
        async with conn.lock:
            await conn.wait(frame.finish(conn))
        return _promised(copy, cursor)
    except BaseException as error:
        note(error, copy.query)
        with suppress(psycopg.Error):  # a connection that is lost, whose error is on its way
            async with conn.lock:
                await conn.wait(frame.undo(conn, error))
        raise
    finally:
        await chunks.aclose()
        if lender is not None:
            await lender.take_back(conn)
