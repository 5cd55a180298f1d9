"""Items become what a COPY sends: a chunk at a time, and one by one where a value must be converted or is wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import abc, pq
from psycopg._copy_base import format_row_binary, format_row_text
from psycopg.adapt import PyFormat, Transformer

from sqlkit.connection import memory_of
from sqlkit.errors import ArgumentError
from sqlkit.execution.arguments import not_encodable
from sqlkit.execution.bulk import lacks
from sqlkit.execution.prepared import Connection, Context
from sqlkit.execution.query import Query
from sqlkit.rows.collector import paused_collector
from sqlkit.values.encoders import CopyFormat
from sqlkit.values.packing import HEADER, TRAILER, Packer
from sqlkit.values.parameters import Unfit

__all__ = ["CopyIn", "RowWriter"]

#: What psycopg raises for a value that its type cannot take, before anything is sent.
WRITING_FAILS = (UnicodeEncodeError, OverflowError, struct.error, psycopg.DataError)

#: How much is encoded and sent at a time: large enough that a chunk's own cost is nothing, small enough for the cache.
CHUNK_BYTES = 1 << 16

#: Items in the first chunk, whose size is not known yet, and at most.
FIRST_ITEMS, MOST_ITEMS = 16, 1000

#: Chunks of so many more or less, lest each has a size of its own: what packs them is kept by size.
STEP_ITEMS = 100


@dataclass(slots=True)
class CopyIn:
    """A COPY statement and where the values of its columns come from: an item's field or an argument of the call.

    ``read`` gives the values of one item, ``read_all`` those of a list of them.
    """

    query: Query
    text: str
    table: str
    columns: tuple[str, ...]
    read: Callable[[Any], Sequence[Any]]
    read_all: Callable[[list[Any]], list[Sequence[Any]]]


class RowWriter:
    """Encodes the items of one COPY; ``size`` says how many to take for the next chunk."""

    def __init__(self, conn: Connection, copy: CopyIn, form: CopyFormat) -> None:
        self.conn = conn
        self.copy = copy
        self.form = form
        self.number = 0
        self.size = FIRST_ITEMS
        self.packer = None if form.types is None else Packer(form, self._transformer())

    def write(self, items: list[Any]) -> bytearray:
        """Return the bytes of a chunk of items; ArgumentError names one by number, with its column."""
        data = bytearray(HEADER if self.packer is not None and not self.number else b"")
        start = len(data)
        if self.packer is None:
            self._one_by_one(items, data)
        else:
            try:
                with paused_collector():  # a thousand tuples that are gone at once
                    self.packer.pack(self.copy.read_all(items), data)
            except Exception:  # what it means is found out one by one
                del data[start:]
                self._one_by_one(items, data)
        self.number += len(items)
        fitting = CHUNK_BYTES * len(items) // len(data)
        self.size = max(1, min(MOST_ITEMS, fitting if fitting < STEP_ITEMS else fitting // STEP_ITEMS * STEP_ITEMS))
        return data

    def end(self) -> bytes:
        """Return what stands behind the last row: in binary a trailer, with the header if there was no row."""
        if self.packer is None:
            return b""
        return TRAILER if self.number else HEADER + TRAILER

    def _transformer(self) -> abc.Transformer:
        adapters = memory_of(self.conn).adapters
        assert adapters is not None  # noqa: S101 - set by learn_types
        return Transformer(Context(adapters, self.conn))

    def _one_by_one(self, items: list[Any], into: bytearray) -> None:
        """Convert and write items by themselves, for what they hold or for the text format."""
        types = self.form.types
        transformer = self._transformer()
        if types is not None:
            transformer.set_dumper_types(types, pq.Format.BINARY)
        write = format_row_text if types is None else format_row_binary
        for number, item in enumerate(items, self.number + 1):
            row = self._encode(item, number)
            try:
                write(row, transformer, into)
            except WRITING_FAILS as error:
                raise self._unwritable(row, number) or error from None

    def _encode(self, item: Any, number: int) -> Sequence[Any]:
        """Convert the values of one item to what psycopg takes."""
        values: Sequence[Any] = ()
        label = f"{self.copy.query.label}: item {number}"
        try:
            values = self.copy.read(item)
            return self.form.encode(values)
        except (AttributeError, KeyError) as error:
            if (lacking := lacks(item, error)) is not None:
                raise ArgumentError(f"{label}: {lacking}") from None
            raise
        except Unfit:
            for column, encode, value in zip(self.copy.columns, self.form.encoders, values, strict=True):
                try:
                    encode(value)
                except Unfit as unfit:
                    raise ArgumentError(f"{label}, column {column!r}: {unfit}") from None
            raise

    def _unwritable(self, row: Sequence[Any], number: int) -> ArgumentError | None:
        """Return the error that names the column of a row that psycopg could not write; None if none is to blame."""
        types = self.form.types
        for index, (column, value) in enumerate(zip(self.copy.columns, row, strict=True)):
            transformer = self._transformer()
            wire = PyFormat.TEXT if types is None else PyFormat.BINARY
            if types is not None:
                transformer.set_dumper_types([types[index]], pq.Format.BINARY)
            place = f"{self.copy.query.label}: item {number}, column {column!r}"
            try:
                transformer.dump_sequence([value], [wire])
            except UnicodeEncodeError as error:
                return ArgumentError(f"{place}: {not_encodable(error)}")
            except Exception as error:
                pgtype = self.form.pgtypes[index]
                reason = f"a {type(value).__name__} cannot be sent as {pgtype} ({type(error).__name__})"
                return ArgumentError(f"{place}: {reason}")
        return None
