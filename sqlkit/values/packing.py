"""A batch of rows as the bytes of a binary COPY, looked at a column at a time.

What a row costs to encode by itself (see ``encoders``) is what is asked of each value: its type, its range, its zone.
Here a whole column answers at once, by functions that run in C: ``struct.pack`` refuses integers that are out of
range, a set of types what is none of them. psycopg's own ``format_row_binary`` then writes the rows. Whatever raises
here is no error yet: the caller encodes the same rows one by one, which converts what can be converted and names what
cannot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import repeat
from operator import itemgetter, methodcaller
from struct import error as struct_error
from struct import pack
from types import NoneType
from typing import Any, TypeAlias
from uuid import UUID

from psycopg._copy_base import format_row_binary
from psycopg.abc import Transformer
from psycopg.pq import Format

from sqlkit.values.encoders import BYTEA_OID, TEXTS, CopyFormat

__all__ = ["HEADER", "TRAILER", "Packer"]

#: What a binary COPY begins and ends with: PostgreSQL's manual, "Binary Format" of COPY.
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"

INT4_OID, INT8_OID = 23, 20

Column: TypeAlias = Sequence[Any]

#: Raises where a column holds what must go one by one.
Check: TypeAlias = Callable[[Column], object]

#: Returns what is written in a column's place, or raises.
Change: TypeAlias = Callable[[Column], Column]


class Unpackable(Exception):
    """A column holds what this way does not write."""


class Packer:
    """Writes batches of rows for the columns of one ``CopyFormat``, which must be binary."""

    def __init__(self, form: CopyFormat, transformer: Transformer) -> None:
        self.checks: list[tuple[Callable[[Any], Any], Check]] = []
        self.changes: list[tuple[int, Change]] = []
        types = list(form.types or ())
        for index, pgtype in enumerate(form.pgtypes):
            name = pgtype.name
            if pgtype.kind == "e":
                self.changes.append((index, _labels(form.encoders[index])))
            elif name in CHECKS:
                self.checks.append((itemgetter(index), CHECKS[name]))
            elif name not in UNASKED:
                change, types[index] = CHANGES.get(name) or (_each(form.encoders[index]), types[index])
                self.changes.append((index, change))
        self.transformer = transformer
        transformer.set_dumper_types(types, Format.BINARY)

    def pack(self, rows: list[Any], into: bytearray) -> None:
        """Write the rows behind what stands in ``into``; any exception says that they must go one by one."""
        for pick, look in self.checks:
            look(list(map(pick, rows)))
        if self.changes:
            columns: list[Column] = list(zip(*rows, strict=True))
            for index, change in self.changes:
                columns[index] = change(columns[index])
            rows = list(zip(*columns, strict=True))
        deque(map(format_row_binary, rows, repeat(self.transformer), repeat(into)), maxlen=0)


def _packed(code: str, column: Column) -> bytes:
    """Pack integers as C does; struct.error for one out of range, and for what is no integer, but for None."""
    try:
        return pack(f"{len(column)}{code}", *column)
    except struct_error:
        present = [value for value in column if value is not None]
        return pack(f"{len(present)}{code}", *present)


def _integers(code: str) -> Check:
    return lambda column: _packed(code, column)


def _truths(column: Column) -> None:
    if _packed("B", column).translate(None, b"\0\1"):
        raise Unpackable


def _only(*kinds: type) -> Check:
    allowed = {*kinds, NoneType}

    def check(column: Column) -> None:
        if not allowed.issuperset(map(type, column)):
            raise Unpackable

    return check


def _labels(encode: Callable[[Any], Any]) -> Change:
    """Take the labels of an Enum's members; what is a text is one."""
    return lambda column: [value if type(value) is str else encode(value) for value in column]


def _each(encode: Callable[[Any], Any]) -> Change:
    return lambda column: list(map(encode, column))


def _converted(kind: type, convert: Callable[[Any], Any]) -> Change:
    only = _only(kind)

    def change(column: Column) -> Column:
        only(column)
        if None in column:
            return [None if value is None else convert(value) for value in column]
        return list(map(convert, column))

    return change


EPOCH = datetime(2000, 1, 1)
EPOCH_UTC = datetime(2000, 1, 1, tzinfo=UTC)
EPOCH_DAY = date(2000, 1, 1).toordinal()


def _micros_utc(value: datetime) -> int:
    since = value - EPOCH_UTC  # TypeError where the zone is missing
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _micros(value: datetime) -> int:
    since = value - EPOCH  # TypeError where there is a zone
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _micros_of_day(value: time) -> int:
    if value.tzinfo is not None:
        raise Unpackable
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond


_sixteen = methodcaller("to_bytes", 16, "big")


def _days(value: date) -> int:
    return value.toordinal() - EPOCH_DAY


def _uuid(value: UUID) -> bytes:
    return _sixteen(value.int)  # type: ignore[no-any-return]


#: Of a text and a number that may have a fraction nothing is asked: their dumpers refuse what is none.
UNASKED = frozenset({*TEXTS, "float8"})

#: What must be asked of a column, by type.
CHECKS: dict[str, Check] = {
    "int2": _integers("h"),
    "int4": _integers("i"),
    "int8": _integers("q"),
    "numeric": _only(Decimal),
    "bool": _truths,
    "bytea": _only(bytes),
}

#: What a column becomes, by type, and what it is written as: timestamps are int8, a date int4, on the wire too.
CHANGES: dict[str, tuple[Change, int]] = {
    "uuid": (_converted(UUID, _uuid), BYTEA_OID),
    "date": (_converted(date, _days), INT4_OID),
    "time": (_converted(time, _micros_of_day), INT8_OID),
    "timestamp": (_converted(datetime, _micros), INT8_OID),
    "timestamptz": (_converted(datetime, _micros_utc), INT8_OID),
}
