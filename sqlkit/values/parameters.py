"""Python values on their way to PostgreSQL, by the type that the server wants.

The server says what type each ``$n`` has when it prepares a statement. So values go as text, which every type reads,
and one text is one prepared statement whatever the size of an integer. (``bytea`` goes in binary: its text form is
twice as long.) What would be silently changed on the way is refused with an ``Unfit``, which the caller turns into an
``ArgumentError`` that names the query and the parameter. The parts of arrays, composite values and ranges go by the
same rules.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from enum import Enum
from types import NoneType
from typing import Any, TypeAlias
from uuid import UUID

from psycopg.abc import Transformer
from psycopg.adapt import PyFormat
from psycopg.pq import Format
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range
from pydantic import BaseModel

from sqlkit.annotations import Unset
from sqlkit.values.catalog import JSONS, PgType
from sqlkit.values.jsontext import Unfit, document_bytes, json_bytes, named

__all__ = ["DumpTable", "Unfit", "check_moment", "encoding_of"]

Dump: TypeAlias = Callable[[Any], bytes | None]

NUMBERS = frozenset({"int2", "int4", "int8", "float4", "float8", "numeric", "oid"})
SPECIAL = re.compile(rb'["\\]')


def encoding_of(transformer: Transformer) -> str:
    """Return the connection's encoding, as Python names it."""
    encoding: str = transformer.encoding
    return encoding


def _refuse_unset(_: Any) -> bytes | None:
    raise Unfit("it is UNSET, and stands in a line that is not optional: pass a value, or None for NULL")


class DumpTable(dict[type, Dump]):
    """How values of each Python type are sent as one PostgreSQL type, learnt as types turn up.

    ``format`` is the wire format of what the functions return, text wherever ``inner`` says that the value is part of
    another's.
    """

    __slots__ = ("_parts", "format", "pgtype", "transformer")

    def __init__(self, pgtype: PgType, transformer: Transformer, *, inner: bool = False) -> None:
        super().__init__()
        self.pgtype = pgtype
        self.transformer = transformer
        binary = pgtype.name == "bytea" and pgtype.kind == "b" and not inner
        self.format = Format.BINARY if binary else Format.TEXT
        self._parts: list[DumpTable] | None = None
        self[NoneType] = lambda _: None
        self[Unset] = _refuse_unset

    def __missing__(self, cls: type) -> Dump:
        dump = self[cls] = self._choose(cls)
        return dump

    @property
    def parts(self) -> list[DumpTable]:
        """The tables of what the type is made of: an array's element, a range's bound, a composite's fields."""
        if self._parts is None:
            made_of = [self.pgtype.element] if self.pgtype.element else [field for _, field in self.pgtype.fields]
            self._parts = [DumpTable(part, self.transformer, inner=True) for part in made_of]
        return self._parts

    def _choose(self, cls: type) -> Dump:
        kind, name = self.pgtype.kind, self.pgtype.name
        if kind == "b" and name in JSONS:
            # A str is JSON as it stands: what json.dumps gave, or a document that was read as text.
            write = document_bytes if issubclass(cls, str) and not issubclass(cls, Enum) else json_bytes
            return lambda value: write(value, encoding_of(self.transformer))
        if issubclass(cls, Enum):
            return lambda member: self[type(member.value)](member.value)
        if kind == "b" and name == "bytea":
            return self._bytes
        if issubclass(cls, str):
            return self._text
        if kind == "a" and issubclass(cls, list | tuple | set | frozenset):
            return self._array
        if kind == "c":
            return self._record
        if kind == "r" and issubclass(cls, Range):
            return self._range
        if kind == "m" and issubclass(cls, Multirange):
            return self._multirange
        return self._choose_plain(cls)

    def _choose_plain(self, cls: type) -> Dump:
        if issubclass(cls, UNSENDABLE) or dataclasses.is_dataclass(cls):
            return self._refuse
        if issubclass(cls, datetime | time):
            return self._moment
        if cls is int:
            return lambda value: b"%d" % value
        if cls is UUID:
            return (lambda value: value.hex.encode()) if self.pgtype.name == "uuid" else self._spelled
        return self._any

    def _any(self, value: Any) -> bytes | None:
        dumped = self.transformer.get_dumper(value, PyFormat.TEXT).dump(value)
        return None if dumped is None else bytes(dumped)

    def _refuse(self, value: Any) -> bytes | None:
        raise Unfit(f"{named(type(value))} cannot be sent as {self.pgtype}")

    def _spelled(self, value: Any) -> bytes | None:
        return str(value).encode()

    def _text(self, value: str) -> bytes | None:
        try:
            return self._any(value)
        except UnicodeEncodeError:
            encoding = encoding_of(self.transformer)
            raise Unfit(f"a text with a character that the connection's encoding, {encoding}, has not") from None

    def _moment(self, value: datetime | time) -> bytes | None:
        check_moment(value, self.pgtype)
        return self._any(value)

    def _bytes(self, value: Any) -> bytes | None:
        if not isinstance(value, bytes | bytearray | memoryview):
            raise Unfit(f"bytea takes bytes, not {type(value).__name__}")
        return bytes(value) if self.format == Format.BINARY else b"\\x" + bytes(value).hex().encode()

    # Values that are made of others, in PostgreSQL's text form of them.

    def _array(self, value: Any) -> bytes | None:
        element = self.parts[0]
        if element.pgtype.kind == "b" and element.pgtype.name in NUMBERS and all(type(item) is int for item in value):
            return b"{%s}" % ",".join(map(str, value)).encode()
        delimiter = b";" if element.pgtype.name == "box" else b","
        # A list inside is one more dimension, unless the element itself is made of a list.
        takes_lists = element.pgtype.kind in "ac" or element.pgtype.name in JSONS
        return b"{%s}" % delimiter.join(
            self._array(item) or b""
            if isinstance(item, list) and not takes_lists
            else _quoted(element[type(item)](item), b"NULL")
            for item in value
        )

    def _record(self, value: Any) -> bytes | None:
        parts = _fields_of(value, self.pgtype)
        return b"(%s)" % b",".join(
            _quoted(table[type(part)](part), b"") for table, part in zip(self.parts, parts, strict=True)
        )

    def _range(self, value: Range[Any]) -> bytes | None:
        if value.isempty:
            return b"empty"
        bound = self.parts[0] if self.parts else DumpTable(PgType("unknown"), self.transformer, inner=True)
        lower, upper = (_quoted(bound[type(end)](end), b"") for end in (value.lower, value.upper))
        opening, closing = value.bounds.encode()[:1], value.bounds.encode()[1:]
        return opening + lower + b"," + upper + closing

    def _multirange(self, value: Multirange[Any]) -> bytes | None:
        return b"{%s}" % b",".join(self.parts[0]._range(part) or b"" for part in value)


#: What has no text form that another type would read as the same value.
UNSENDABLE = (BaseModel, Mapping, list, tuple, set, frozenset, bytes, bytearray, memoryview, Range, Multirange)


def _quoted(text: bytes | None, null: bytes) -> bytes:
    return null if text is None else b'"%s"' % SPECIAL.sub(rb"\\\g<0>", text)


def _fields_of(value: Any, pgtype: PgType) -> list[Any]:
    """Return the values of a composite type's fields, by name, or from a tuple by place."""
    names = [name for name, _ in pgtype.fields]
    kind = named(type(value))
    if isinstance(value, Mapping):
        unknown = [name for name in value if name not in names]
        if unknown:
            raise Unfit(f"{kind} has a key that {pgtype.name} has not (it has {', '.join(names)})")
        missing = [name for name in names if name not in value]
    elif isinstance(value, tuple) and not hasattr(value, "_fields"):
        if len(value) != len(names):
            raise Unfit(f"{pgtype.name} has {len(names)} fields, the tuple has {len(value)}")
        return list(value)
    else:
        missing = [name for name in names if not hasattr(value, name)]
    if missing:
        raise Unfit(f"{kind} has no {missing[0]!r}, which {pgtype.name} has")
    return [value[name] if isinstance(value, Mapping) else getattr(value, name) for name in names]


def check_moment(value: date | time, pgtype: PgType) -> None:
    """Refuse a time that PostgreSQL would read as another: with a zone or a part it drops, or without its zone."""
    name = pgtype.name
    if isinstance(value, datetime):
        if name == "date":
            raise Unfit("the statement takes a date, and PostgreSQL would drop this datetime's time: pass its date()")
        if name in ("time", "timetz"):
            raise Unfit(f"the statement takes a {name}, and PostgreSQL would drop this datetime's date")
    if not isinstance(value, datetime | time):
        return
    moment, zoned = type(value).__name__, value.tzinfo is not None
    if name in ("timestamp", "time") and zoned:
        raise Unfit(
            f"the statement takes a {name} without time zone, and PostgreSQL would drop the zone of this {moment}: "
            f"pass a naive one, or write :name::{name}tz"
        )
    if name in ("timestamptz", "timetz") and not zoned:
        raise Unfit(
            f"the statement takes a {name[:-2]} with time zone, and this {moment} has none: pass an aware one "
            f"(tzinfo=timezone.utc), or write :name::{name[:-2]}"
        )
