"""What goes over the wire for the columns of a COPY: binary where every column has a form that we know, else text."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from operator import itemgetter
from types import NoneType
from typing import Any
from uuid import UUID

from psycopg.abc import Transformer
from pydantic import TypeAdapter, ValidationError

from sqlkit.values.catalog import JSONS, PgType
from sqlkit.values.jsontext import Unfit, document_bytes, json_bytes, named
from sqlkit.values.parameters import DumpTable, check_moment, encoding_of

__all__ = ["CopyFormat"]

TEXT_OID, BYTEA_OID = 25, 17

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

TEXTS = frozenset({"text", "varchar", "bpchar", "name", "citext"})

#: psycopg writes the lower bits of what is out of range (and infinity where a real cannot hold it).
RANGES = {"int2": 2**15, "int4": 2**31, "int8": 2**63}

#: What struct calls them: it refuses what is out of range.
CODES = {"int2": "h", "int4": "i", "int8": "q"}

#: What must be looked at value by value: the range, whether there is a zone, what JSON can hold.
LOOKED_AT = frozenset({*RANGES, "float4", "time", "timestamp", "timestamptz", *JSONS})

#: pydantic would read a number as seconds, and bytes as a text or the other way round.
NUMBERS = (int, float, Decimal)
NEVER: dict[type, tuple[type, ...]] = {date: NUMBERS, time: NUMBERS, datetime: NUMBERS, timedelta: NUMBERS}

Encode = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class RowWork:
    """What there is to do for a row of some Python types: encode the values of ``columns``, try ``fit`` on all.

    ``fit`` raises struct.error where an integer is out of its column's range: one call for all of them.
    """

    columns: tuple[int, ...]
    fit: Callable[[Sequence[Any]], object] | None


@dataclass(slots=True)
class CopyFormat:
    """How one table's columns go over the wire: psycopg's types for them (None for text), and what encodes values."""

    types: tuple[int, ...] | None
    encoders: tuple[Encode, ...]
    pgtypes: tuple[PgType, ...]
    work: dict[tuple[type, ...], RowWork] = field(default_factory=dict)

    @classmethod
    def of(cls, oids: Sequence[int], pgtypes: Sequence[PgType], transformer: Transformer) -> CopyFormat:
        """Choose the format for columns of these types."""
        if all(_in_binary(pgtype) for pgtype in pgtypes):
            types = tuple(_wire_type(oid, pgtype) for oid, pgtype in zip(oids, pgtypes, strict=True))
            return cls(types, tuple(_binary_encoder(pgtype, transformer) for pgtype in pgtypes), tuple(pgtypes))
        return cls(None, tuple(_text_encoder(pgtype, transformer) for pgtype in pgtypes), tuple(pgtypes))

    def encode(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return a row's values as psycopg takes them; Unfit for one that its column cannot take."""
        types = tuple(map(type, values))
        work = self.work.get(types)
        if work is None:
            work = self.work[types] = self._work(types)
        if work.fit is not None:
            try:
                work.fit(values)
            except struct.error:
                raise Unfit("a number out of the range of its column") from None
        if not work.columns:
            return values
        encoded = list(values)
        for index in work.columns:
            encoded[index] = self.encoders[index](values[index])
        return encoded

    def _work(self, types: tuple[type, ...]) -> RowWork:
        """Choose what rows of these Python types need; remembered by types."""
        columns = [
            index
            for index, (python, pgtype) in enumerate(zip(types, self.pgtypes, strict=True))
            if not self._goes_as_it_is(python, pgtype)
        ]
        if self.types is None:
            return RowWork(tuple(columns), None)
        integers = [index for index in columns if types[index] is int and self.pgtypes[index].name in CODES]
        if len(integers) < 2:
            return RowWork(tuple(columns), None)
        pack = struct.Struct("=" + "".join([CODES[self.pgtypes[index].name] for index in integers])).pack
        pick = itemgetter(*integers)
        others = tuple(index for index in columns if index not in integers)
        return RowWork(others, lambda values: pack(*pick(values)))

    def _goes_as_it_is(self, python: type, pgtype: PgType) -> bool:
        if python is NoneType:
            return True
        if self.types is None or pgtype.name in LOOKED_AT:
            return False
        return python in BINARY["text" if pgtype.kind == "e" else pgtype.name][0]


def _in_binary(pgtype: PgType) -> bool:
    return pgtype.kind == "e" or (pgtype.kind == "b" and (pgtype.name in BINARY or pgtype.name in JSONS))


def _wire_type(oid: int, pgtype: PgType) -> int:
    """Return the type whose dumper writes what the column reads: a label and a JSON document are text."""
    if pgtype.kind == "e" or pgtype.name in TEXTS or pgtype.name == "json":
        return TEXT_OID
    return BYTEA_OID if pgtype.name == "jsonb" else oid


def _binary_encoder(pgtype: PgType, transformer: Transformer) -> Encode:
    if pgtype.name in JSONS and pgtype.kind == "b":
        return _json_encoder(pgtype, transformer)
    exact, target = BINARY["text"] if pgtype.kind == "e" else BINARY[pgtype.name]
    adapter: TypeAdapter[Any] = TypeAdapter(target)
    never = (*NEVER.get(target, ()), *((str,) if target is bytes else (bytes, bytearray, memoryview)))

    convert = _converter(pgtype, exact, adapter, never)
    if pgtype.name == "float4":
        return lambda value: _real(convert(value))
    if pgtype.name in ("timestamp", "timestamptz"):
        return _moment_encoder(convert, zoned=pgtype.name == "timestamptz")
    limit = RANGES.get(pgtype.name)
    if limit is None:
        return convert

    def encode_integer(value: Any) -> Any:
        number = value if type(value) is int else convert(value)
        if number is not None and not -limit <= number < limit:
            raise Unfit(f"a number out of the range of {pgtype}")
        return number

    return encode_integer


def _moment_encoder(convert: Encode, *, zoned: bool) -> Encode:
    """Let a datetime pass that has a zone where the column has one, which is what nearly all have."""

    def encode(value: Any) -> Any:
        if type(value) is datetime and (value.tzinfo is not None) is zoned:
            return value
        return convert(value)

    return encode


def _real(number: float | None) -> float | None:
    """Refuse what a real would hold as infinity or as zero."""
    if number is None or not number or (isinstance(number, float) and not isfinite(number)):
        return number
    try:
        (held,) = struct.unpack("<f", struct.pack("<f", number))
    except (OverflowError, struct.error):
        held = 0.0
    if not held:
        raise Unfit("a number out of the range of float4")
    return number


def _converter(pgtype: PgType, exact: frozenset[type], adapter: TypeAdapter[Any], never: tuple[type, ...]) -> Encode:
    """Return what converts a value to the Python type that psycopg writes as this type."""

    def encode(value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, Enum):
            return encode(value.value)
        check_moment(value, pgtype)
        if type(value) in exact:
            return value
        try:
            if not isinstance(value, never):
                converted = adapter.validate_python(value)
                check_moment(converted, pgtype)
                return converted
        except ValidationError:
            pass
        raise Unfit(f"{named(type(value))} cannot be sent as {pgtype}") from None

    return encode


def _json_encoder(pgtype: PgType, transformer: Transformer) -> Encode:
    def encode(value: Any) -> Any:
        if value is None:
            return None
        encoding = encoding_of(transformer)
        if isinstance(value, str) and not isinstance(value, Enum):
            text = document_bytes(value, encoding)
        else:
            text = json_bytes(value, encoding)
        return b"\x01" + text if pgtype.name == "jsonb" else text.decode(encoding)

    return encode


def _text_encoder(pgtype: PgType, transformer: Transformer) -> Encode:
    """Write a value as a parameter of its type is written."""
    table = DumpTable(pgtype, transformer, inner=True)

    def encode(value: Any) -> Any:
        text = table[type(value)](value)
        return None if text is None else text.decode(encoding_of(transformer))

    return encode
