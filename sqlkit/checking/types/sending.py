"""Whether values of an annotation can be sent as a PostgreSQL type.

Sample values go through the functions that send values at run time, and what comes out is compared with the texts that
PostgreSQL reads as that type. A type of values is right where one of its samples gets through: a ``str`` may spell
anything, a ``datetime`` may have a zone or none.
"""

from __future__ import annotations

import json
import re
import sys
from collections import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import Any, Literal, TypeAlias, get_args, get_origin
from uuid import UUID

import psycopg
from psycopg import abc as psycopg_abc
from psycopg.adapt import Transformer
from psycopg.types.json import Json, Jsonb
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from sqlkit.checking.types.paths import annotation_at, members, without_unset
from sqlkit.checking.types.samples import TEXTS
from sqlkit.checking.types.spelling import spelled
from sqlkit.contracts.items import field_names
from sqlkit.describing.description import ServerType
from sqlkit.rows.shapes import adapter_of
from sqlkit.values.catalog import JSONS, PgType, base_adapters
from sqlkit.values.encoders import CopyFormat
from sqlkit.values.jsontext import Unfit
from sqlkit.values.parameters import DumpTable

__all__ = ["Send", "send_as_copied", "send_as_text", "sending"]

#: How one value is sent as a type: its text, any other value for what needs no look; Unfit and psycopg's errors refuse.
Send: TypeAlias = Callable[[Any, PgType], Any]

SAMPLES: dict[type, tuple[Any, ...]] = {
    bool: (True, False),
    int: (1, 2),
    float: (1.5, 1.0),
    Decimal: (Decimal("1"), Decimal("1.5")),
    bytes: (b"1",),
    bytearray: (bytearray(b"1"),),
    memoryview: (memoryview(b"1"),),
    UUID: (UUID("8c2f4bd8-1f0c-4b0e-9d3a-1c6a4e1f9a55"),),
    datetime: (datetime(2026, 1, 2, 3, 4, 5), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    date: (date(2026, 1, 2),),
    time: (time(3, 4, 5), time(3, 4, 5, tzinfo=UTC)),
    timedelta: (timedelta(hours=1), timedelta(days=1, seconds=5)),
    IPv4Address: (IPv4Address("10.0.0.1"),),
    IPv6Address: (IPv6Address("::1"),),
    IPv4Interface: (IPv4Interface("10.0.0.1/8"),),
    IPv6Interface: (IPv6Interface("::1/64"),),
    IPv4Network: (IPv4Network("10.0.0.0/8"),),
    IPv6Network: (IPv6Network("::/64"),),
}

NUMBER = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
DATE = r"\d{4}-\d\d-\d\d"
TIME = r"\d?\d:\d\d(:\d\d(\.\d+)?)?([-+]\d\d(:\d\d)*|Z)?"
IPV4 = r"\d+(\.\d+){3}"
IPV6 = r"([0-9a-f]*:){7}[0-9a-f]*|[0-9a-f:]*::[0-9a-f:.]*"

#: The texts that PostgreSQL reads as a type, among those that Python's values become; types that are not here read any.
READS: dict[str, re.Pattern[str]] = {
    name: re.compile(pattern)
    for name, pattern in {
        **dict.fromkeys(("int2", "int4", "int8"), r"[-+]?\d+"),
        **dict.fromkeys(("float4", "float8", "numeric"), rf"{NUMBER}|nan|[-+]?inf(inity)?"),
        "oid": r"\d+",
        "money": NUMBER,
        "bool": r"t|f|true|false|y|yes|n|no|on|off|1|0",
        "uuid": r"\{?[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}\}?",
        "date": rf"{DATE}.*",
        "timestamp": rf"{DATE}.*",
        "timestamptz": rf"{DATE}.*",
        "time": rf"({DATE} )?{TIME}",
        "timetz": rf"({DATE} )?{TIME}",
        "interval": rf"{NUMBER}|([-+]?\d+ days? )?[-+]?{TIME}",
        "inet": rf"({IPV4}|{IPV6})(/\d+)?",
        "cidr": rf"(\d+(\.\d+){{0,3}}|{IPV6})(/\d+)?",
        "bit": "[01]+",
        "varbit": "[01]+",
        "pg_lsn": "[0-9A-F]+/[0-9A-F]+",
        "macaddr": "([0-9a-f]{2}:){5}[0-9a-f]{2}",
        "macaddr8": "([0-9a-f]{2}:){7}[0-9a-f]{2}",
        "tsvector": r"[^:]*",
        "xid8": r"\d+",
        "xid": r"\d+",
        **dict.fromkeys(("point", "box", "line", "lseg", "path", "polygon", "circle"), r"[(\[{<].*"),
    }.items()
}

LISTS = (list, tuple, set, frozenset)

#: Annotations whose values may be a list, a tuple or a set.
LIST_LIKE = (
    abc.Sequence,
    abc.MutableSequence,
    abc.Collection,
    abc.Iterable,
    abc.Set,
    abc.MutableSet,
    abc.Container,
    abc.Reversible,
)


class _Pinned:
    """What a Transformer wants of a connection: psycopg's adapters as they are pinned at run time."""

    adapters = base_adapters()
    connection = None


def _transformer() -> psycopg_abc.Transformer:
    context: Any = _Pinned()
    return Transformer(context)


def send_as_text(value: Any, pgtype: PgType) -> Any:
    """Send one value as a parameter is sent."""
    dumped = DumpTable(pgtype, _transformer())[type(value)](value)
    return dumped if dumped is None or pgtype.name == "bytea" else dumped.decode()


def send_as_copied(types: Sequence[PgType]) -> dict[PgType, Send]:
    """Return how a value of each column of a copy is sent: in binary where all their types have such a form."""
    form = CopyFormat.of([0] * len(types), types, _transformer())
    return {pgtype: _encoded(encode, pgtype) for pgtype, encode in zip(types, form.encoders, strict=True)}


def _encoded(encode: Callable[[Any], Any], column: PgType) -> Send:
    def send(value: Any, pgtype: PgType) -> Any:
        if pgtype != column:  # a part of the column's values goes as a parameter's part does
            return send_as_text(value, pgtype)
        sent = encode(value)
        if isinstance(sent, bytes) and pgtype.name == "jsonb":
            return sent.removeprefix(b"\x01").decode()
        return sent if isinstance(sent, str) else None

    return send


def sending(annotation: Any, server: ServerType, send: Send = send_as_text) -> list[str]:
    """Return why values of an annotation cannot be sent as a type, a sentence's end for each; nothing where they can.

    ``send`` is how one value goes; of a union every member must go. None is not looked at.
    """
    return list(dict.fromkeys(_Sending(server, send).reasons(annotation, server.structure)))


class _Sending:
    def __init__(self, server: ServerType, send: Send) -> None:
        self.server = server
        self.send = send
        self._around: list[Any] = []

    def reasons(self, annotation: Any, pgtype: PgType) -> Iterator[str]:
        for part in without_unset(members(annotation)):
            if part is not type(None):
                yield from self._member(part, pgtype)

    def _member(self, part: Any, pgtype: PgType) -> Iterator[str]:
        origin: Any = get_origin(part) or part
        if origin is Literal:
            yield from self._named(part, get_args(part), pgtype)
        elif not isinstance(origin, type) or origin in (Any, object):
            return
        elif issubclass(origin, Enum):
            yield from self._named(part, list(origin), pgtype)
        elif issubclass(origin, str):
            yield from self._text(part, pgtype)
        elif issubclass(origin, Range | Multirange):
            yield from self._range(part, origin, pgtype)
        elif (known := _known(origin)) is not None:
            yield from self._plain(part, SAMPLES[known], pgtype)
        elif issubclass(origin, LISTS) and (pgtype.kind == "a" or not hasattr(origin, "_fields")):
            yield from self._list(part, origin, pgtype)
        elif origin in LIST_LIKE:
            if pgtype.kind != "c":  # which takes a tuple
                yield from self._list(part, list, pgtype)
        else:
            yield from self._object(part, origin, pgtype)

    def _cannot(self, part: Any, pgtype: PgType) -> str:
        return f"{spelled(part)} cannot be sent as {self._name(pgtype)}"

    def _name(self, pgtype: PgType) -> str:
        return self.server.name if pgtype is self.server.structure else str(pgtype)

    # Values of one class.

    def _plain(self, part: Any, samples: tuple[Any, ...], pgtype: PgType) -> Iterator[str]:
        if not any(self._goes(sample, pgtype) for sample in samples):
            yield self._cannot(part, pgtype)

    def _text(self, part: Any, pgtype: PgType) -> Iterator[str]:
        """Let a text go wherever any text does: it may spell whatever is read from one."""
        if not any(map(partial(self._is_sent, pgtype), TEXTS)):
            yield self._cannot(part, pgtype)

    def _is_sent(self, pgtype: PgType, text: str) -> bool:
        try:
            self.send(text, pgtype)
        except (Unfit, psycopg.Error):
            return False
        return True

    def _named(self, part: Any, values: Any, pgtype: PgType) -> Iterator[str]:
        """Look at each value of an Enum or a Literal, for they are known."""
        wrong = [value for value in values if value is not None and not self._goes(value, pgtype)]
        if not wrong:
            return
        listed = ", ".join(repr(getattr(value, "value", value)) for value in wrong)
        if pgtype.kind == "e":
            labels = ", ".join(map(repr, self.server.labels))
            yield f"{spelled(part)} has {listed}, and {self._name(pgtype)} has the labels {labels}"
        else:
            yield f"{listed} of {spelled(part)} cannot be sent as {self._name(pgtype)}"

    def _goes(self, value: Any, pgtype: PgType) -> bool:
        try:
            sent = self.send(value, pgtype)
        except (Unfit, psycopg.Error, OverflowError, ValueError):
            return False
        return not isinstance(sent, str) or self._is_read(sent, pgtype)

    def _is_read(self, text: str, pgtype: PgType) -> bool:
        if _is_json(pgtype):
            return _is_document(text)
        if pgtype.kind == "e":
            return not self.server.labels or text in self.server.labels
        if pgtype.kind == "a":
            return text.startswith("{")
        if pgtype.kind == "c":
            return text.startswith("(")
        if pgtype.kind in "rm":
            return text[:1] in "[({e"
        reads = READS.get(pgtype.name) if pgtype.kind == "b" else None
        return reads is None or reads.fullmatch(text) is not None

    # Values that are made of others.

    def _list(self, part: Any, origin: type, pgtype: PgType) -> Iterator[str]:
        if _is_json(pgtype) or pgtype.name == "record":
            return
        arguments = [each for each in get_args(part) if each is not Ellipsis]
        arguments = arguments or [annotation_at(part, (name,)) for name in getattr(origin, "_fields", ())]
        if pgtype.kind == "c" and origin is tuple:
            yield from self._tuple(part, arguments, pgtype)
        elif pgtype.kind != "a" or pgtype.element is None:
            yield self._cannot(part, pgtype)
        else:
            for argument in arguments:
                yield from self._element(argument, pgtype)

    def _element(self, argument: Any, pgtype: PgType) -> Iterator[str]:
        """Look at what a list holds; a list inside a list is one more dimension of the array."""
        element = pgtype.element
        assert element is not None  # noqa: S101 - an array has one
        takes_lists = element.kind in "ac" or _is_json(element)
        for inner in without_unset(members(argument)):
            if get_origin(inner) is list and not takes_lists:
                if inner not in self._around:  # an alias may name itself, as JsonValue does
                    self._around.append(inner)
                    yield from self._member(inner, pgtype)
                    self._around.pop()
            elif inner is not type(None):
                yield from self._member(inner, element)

    def _tuple(self, part: Any, arguments: list[Any], pgtype: PgType) -> Iterator[str]:
        if not arguments or Ellipsis in get_args(part):
            return
        if len(arguments) != len(pgtype.fields):
            yield f"{spelled(part)} has {len(arguments)} parts, {self._name(pgtype)} has {len(pgtype.fields)}"
            return
        for argument, (_, field) in zip(arguments, pgtype.fields, strict=True):
            yield from self.reasons(argument, field)

    def _range(self, part: Any, origin: type, pgtype: PgType) -> Iterator[str]:
        if pgtype.kind == "b" and pgtype.name not in READS and not _is_json(pgtype) and not _is_builtin(pgtype):
            return
        bound = pgtype.element
        if pgtype.kind == "m" and bound is not None:
            bound = bound.element
        wanted = {"r": Range, "m": Multirange}.get(pgtype.kind)
        if wanted is None or not issubclass(origin, wanted):
            yield self._cannot(part, pgtype)
        elif bound is not None:
            for argument in get_args(part):
                yield from self.reasons(argument, bound)

    # Objects with fields.

    def _object(self, part: Any, origin: type, pgtype: PgType) -> Iterator[str]:
        if _is_json(pgtype):
            if not _has_schema(part) and not issubclass(origin, Json | Jsonb):
                yield self._cannot(part, pgtype)
            return
        names = field_names(part)
        interface = getattr(origin, "_is_protocol", False) or getattr(origin, "__abstractmethods__", None)
        if pgtype.kind == "c" and (names is not None or not _is_foreign(origin)):
            yield from self._fields(part, names, pgtype)
        elif (
            names is not None or issubclass(origin, Mapping) or (not interface and not self._by_pydantic(part, pgtype))
        ):
            yield self._cannot(part, pgtype)

    def _fields(self, part: Any, names: Any, pgtype: PgType) -> Iterator[str]:
        if names is None:
            return
        missing = [name for name, _ in pgtype.fields if name not in names]
        if missing:
            yield f"{spelled(part)} has no {missing[0]!r}, which {self._name(pgtype)} has"
        for name, field in pgtype.fields:
            if name in names:
                yield from self.reasons(annotation_at(part, (name,)), field)

    def _by_pydantic(self, part: Any, pgtype: PgType) -> bool:
        """Tell whether a class of pydantic's (AwareDatetime, EmailStr), whose values are of another, goes."""
        try:
            schema: Any = adapter_of(part).core_schema
        except TypeError:
            return False
        while schema["type"] == "function-after":
            schema = schema["schema"]
        samples = PYDANTIC.get(schema["type"])
        if samples is None or not part.__module__.startswith("pydantic"):
            return False
        zone = schema.get("tz_constraint")
        if zone in ("aware", "naive"):
            samples = tuple(sample for sample in samples if (sample.tzinfo is not None) is (zone == "aware"))
        return any(self._goes(sample, pgtype) for sample in samples) or (
            schema["type"] == "str" and not list(self._text(str, pgtype))
        )


#: Samples of the values that pydantic's schemas give.
PYDANTIC: dict[str, tuple[Any, ...]] = {
    "datetime": SAMPLES[datetime],
    "date": SAMPLES[date],
    "time": SAMPLES[time],
    "timedelta": SAMPLES[timedelta],
    "int": SAMPLES[int],
    "str": ("1",),
}


def _known(cls: type) -> type | None:
    return next((parent for parent in cls.__mro__ if parent in SAMPLES), None)


def _is_foreign(cls: type) -> bool:
    """Tell whether a class is none of the project's own, whose values may have any attributes: Path, SecretStr."""
    package = cls.__module__.partition(".")[0]
    return (package in sys.stdlib_module_names or package == "pydantic") and not issubclass(cls, Mapping)


def _is_json(pgtype: PgType) -> bool:
    return pgtype.kind == "b" and pgtype.name in JSONS


def _is_builtin(pgtype: PgType) -> bool:
    return pgtype.name in ("text", "varchar", "bpchar", "name", "bytea", "citext", "xml")


def _is_document(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _has_schema(annotation: Any) -> bool:
    try:
        adapter_of(annotation)
    except TypeError:
        return False
    return True
