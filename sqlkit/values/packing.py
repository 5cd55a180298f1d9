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
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import repeat
from operator import attrgetter, itemgetter
from struct import Struct, pack, unpack
from struct import error as struct_error
from types import NoneType
from typing import Any, TypeAlias
from uuid import UUID

from psycopg._copy_base import format_row_binary
from psycopg.abc import Transformer
from psycopg.pq import Format

from sqlkit.values.encoders import TEXTS, CopyFormat

__all__ = ["HEADER", "TRAILER", "Packer"]

#: What a binary COPY begins and ends with: PostgreSQL's manual, "Binary Format" of COPY.
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"

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
        for index, (pgtype, encode) in enumerate(zip(form.pgtypes, form.encoders, strict=True)):
            if pgtype.kind == "e":
                self.changes.append((index, _labels(encode)))
            elif pgtype.name in CHECKS:
                self.checks.append((itemgetter(index), CHECKS[pgtype.name]))
            elif pgtype.name not in UNASKED:
                self.changes.append((index, _each(encode)))
        self.transformer = transformer
        transformer.set_dumper_types(form.types or (), Format.BINARY)

    def pack(self, rows: list[Any], into: bytearray) -> None:
        """Write the rows behind what stands in ``into``; any exception says that they must go one by one."""
        for pick, look in self.checks:
            look(tuple(map(pick, rows)))
        if self.changes:
            columns: list[Column] = list(zip(*rows, strict=True))
            for index, change in self.changes:
                columns[index] = change(columns[index])
            rows = list(zip(*columns, strict=True))
        deque(map(format_row_binary, rows, repeat(self.transformer), repeat(into)), maxlen=0)


@lru_cache(maxsize=64)
def _packer(code: str, number: int) -> Callable[..., bytes]:
    return Struct(f"{number}{code}").pack


def _packed(code: str, column: Column) -> bytes:
    """Pack integers as C does; struct.error for one out of range, and for what is no integer, but for None."""
    try:
        return _packer(code, len(column))(*column)
    except struct_error:
        present = [value for value in column if value is not None]
        return _packer(code, len(present))(*present)


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


def _moments(kind: type, *, zoned: bool) -> Check:
    """Look at what has a zone or has none; with ``zoned`` each has one, without it none."""
    only = _only(kind)

    def check(column: Column) -> None:
        only(column)
        present = column if None not in column else [value for value in column if value is not None]
        zones = list(map(zone_of, present))
        if (None in zones) if zoned else zones.count(None) < len(zones):
            raise Unpackable

    return check


def _reals(column: Column) -> None:
    _numbers(column)
    present = [value for value in column if value is not None]
    code = f"<{len(present)}f"  # of the standard size: the native one is not looked at
    if unpack(code, pack(code, *present)).count(0) != present.count(0):  # what is too small for a real is none of it
        raise Unpackable


zone_of = attrgetter("tzinfo")
_numbers = _only(float, int)

#: Of a text and of the largest numbers nothing is asked: their dumpers refuse what is none, and what is out of range.
UNASKED = frozenset({*TEXTS, "int8", "float8"})

#: What must be asked of a column, by type.
CHECKS: dict[str, Check] = {
    "int2": _integers("h"),
    "int4": _integers("i"),
    "float4": _reals,
    "numeric": _only(Decimal),
    "bool": _truths,
    "bytea": _only(bytes),
    "uuid": _only(UUID),
    "date": _only(date),
    "interval": _only(timedelta),
    "time": _moments(time, zoned=False),
    "timestamp": _moments(datetime, zoned=False),
    "timestamptz": _moments(datetime, zoned=True),
}
