"""What goes over the wire for the columns of a COPY: binary where every column has a form that we know, else text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any
from uuid import UUID

from psycopg.abc import Transformer
from pydantic import TypeAdapter, ValidationError

from sqlkit.catalog import JSONS, PgType
from sqlkit.jsontext import Unfit, document_bytes, json_bytes, named
from sqlkit.parameters import DumpTable, check_moment, encoding_of

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

#: What says whether it has a zone, which must be looked at value by value.
ZONED = frozenset({"time", "timestamp", "timestamptz"})

TEXTS = frozenset({"text", "varchar", "bpchar", "name", "citext"})

#: pydantic would read a number as seconds, and bytes as a text or the other way round.
NEVER = {
    date: (int, float, Decimal, bytes),
    time: (int, float, Decimal, bytes),
    datetime: (int, float, Decimal, bytes),
    timedelta: (int, float, Decimal, bytes),
    str: (bytes, bytearray),
    bytes: (str,),
}

Encode = Callable[[Any], Any]


@dataclass(slots=True)
class CopyFormat:
    """How one table's columns go over the wire: psycopg's types for them (None for text), and what encodes values."""

    types: tuple[int, ...] | None
    encoders: tuple[Encode, ...]
    pgtypes: tuple[PgType, ...]
    work: dict[tuple[type, ...], tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, oids: Sequence[int], pgtypes: Sequence[PgType], transformer: Transformer) -> CopyFormat:
        """Choose the format for columns of these types."""
        if all(_in_binary(pgtype) for pgtype in pgtypes):
            types = tuple(_wire_type(oid, pgtype) for oid, pgtype in zip(oids, pgtypes, strict=True))
            return cls(types, tuple(_binary_encoder(pgtype, transformer) for pgtype in pgtypes), tuple(pgtypes))
        return cls(None, tuple(_text_encoder(pgtype, transformer) for pgtype in pgtypes), tuple(pgtypes))

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
    never = NEVER.get(target, ())

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
