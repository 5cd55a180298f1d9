"""Python values on their way to PostgreSQL, by the type that the server wants.

The server says what type each ``$n`` has when it prepares a statement. So values go as text, which every type reads,
and one text is one prepared statement whatever the size of an integer. (``bytea`` goes in binary: its text form is
twice as long.) What would be silently changed on the way is refused with an ``Unfit``, which the caller turns into an
``ArgumentError`` that names the query and the parameter.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any, TypeAlias
from uuid import UUID

import pydantic_core
from psycopg.abc import Transformer
from psycopg.adapt import PyFormat
from psycopg.pq import Format
from psycopg.types.json import Json, Jsonb
from pydantic import BaseModel

from sqlkit.catalog import JSONS, PgType

__all__ = ["DumpTable", "Unfit", "json_text", "plain_value"]

Dump: TypeAlias = Callable[[Any], bytes | None]


class Unfit(Exception):  # noqa: N818 - never leaves the package: ArgumentError is made of it
    """A value that cannot be sent as the type that the statement wants; the text never shows the value."""


class DumpTable(dict[type, Dump]):
    """How values of each Python type are sent as one PostgreSQL type, learnt as types turn up.

    ``format`` is the wire format of what the functions return.
    """

    __slots__ = ("format", "pgtype", "transformer")

    def __init__(self, pgtype: PgType, transformer: Transformer) -> None:
        super().__init__()
        self.pgtype = pgtype
        self.transformer = transformer
        self.format = Format.BINARY if pgtype.name == "bytea" and pgtype.kind == "b" else Format.TEXT
        self[NoneType] = lambda _: None

    def __missing__(self, cls: type) -> Dump:
        dump = self[cls] = self._choose(cls)
        return dump

    def _choose(self, cls: type) -> Dump:
        pgtype = self.pgtype
        if self.format == Format.BINARY:
            return _dump_bytes
        if issubclass(cls, Enum):
            return lambda member: self[type(member.value)](member.value)
        if pgtype.kind == "b" and pgtype.name in JSONS:
            return self._any if issubclass(cls, str) else lambda value: json_text(value).encode()
        if pgtype.kind in "ac" or issubclass(cls, BaseModel | Mapping) or dataclasses.is_dataclass(cls):
            return lambda value: self._any(plain_value(value, pgtype))
        if issubclass(cls, datetime):
            return self._datetime
        if cls is int:
            return lambda value: b"%d" % value
        if cls is UUID:
            return lambda value: value.hex.encode()
        return self._any

    def _any(self, value: Any) -> bytes | None:
        dumped = self.transformer.get_dumper(value, PyFormat.TEXT).dump(value)
        return None if dumped is None else bytes(dumped)

    def _datetime(self, value: datetime) -> bytes | None:
        check_zone(value, self.pgtype)
        return self._any(value)


def _dump_bytes(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise Unfit(f"bytea takes bytes, not {type(value).__name__}")


def check_zone(value: datetime, pgtype: PgType) -> None:
    """Refuse a time that PostgreSQL would read as another: with a zone it drops, or without the zone it wants."""
    if pgtype.name == "timestamp" and value.tzinfo is not None:
        raise Unfit(
            "the statement takes a timestamp without time zone, and PostgreSQL would drop the zone of this "
            "datetime: pass a naive one, or write :name::timestamptz"
        )
    if pgtype.name == "timestamptz" and value.tzinfo is None:
        raise Unfit(
            "the statement takes a timestamp with time zone, and this datetime has none: pass an aware one "
            "(datetime.now(timezone.utc)), or write :name::timestamp"
        )


def plain_value(value: Any, pgtype: PgType) -> Any:
    """Return a value that psycopg can send as this type: enums by value, models as tuples or JSON texts."""
    if value is None or type(value) in (str, int, float, bool, UUID):
        return value
    if isinstance(value, Enum):
        return plain_value(value.value, pgtype)
    if pgtype.kind == "b" and pgtype.name in JSONS:
        return value if isinstance(value, str) else json_text(value)
    if pgtype.kind == "a" and isinstance(value, list | tuple | set | frozenset):
        element = pgtype.element or pgtype
        return [plain_value(item, pgtype if isinstance(item, list) else element) for item in value]
    if pgtype.kind == "c":
        return _composite(value, pgtype)
    if isinstance(value, datetime):
        check_zone(value, pgtype)
    if isinstance(value, BaseModel | Mapping) or dataclasses.is_dataclass(value):
        raise Unfit(f"a {type(value).__name__} cannot be sent as {pgtype}")
    return value


def _composite(value: Any, pgtype: PgType) -> tuple[Any, ...]:
    names = [name for name, _ in pgtype.fields]
    if isinstance(value, Mapping):
        parts = [value.get(name) for name in names]
    elif isinstance(value, tuple) and not hasattr(value, "_fields"):
        parts = list(value)
    else:
        missing = [name for name in names if not hasattr(value, name)]
        if missing:
            raise Unfit(f"a {type(value).__name__} has no {missing[0]!r}, which {pgtype.name} has")
        parts = [getattr(value, name) for name in names]
    if len(parts) != len(names):
        raise Unfit(f"{pgtype.name} has {len(names)} fields, the tuple has {len(parts)}")
    return tuple(plain_value(part, field) for part, (_, field) in zip(parts, pgtype.fields, strict=True))


def json_text(value: Any) -> str:
    """Return a value as JSON: models as they serialise themselves, decimals as numbers with all their digits."""
    if isinstance(value, Json | Jsonb):
        return json_text(value.obj)
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except TypeError:
        return _json(value)
    except ValueError:
        raise Unfit("JSON has no NaN and no infinity (and no value that contains itself)") from None


def _json(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(_key(key), ensure_ascii=False)}: {json_text(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(json_text(item) for item in value) + "]"
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise Unfit("JSON has no NaN and no infinity")
        return format(value)
    if isinstance(value, Enum):
        return json_text(value.value)
    try:
        return pydantic_core.to_json(value).decode()
    except pydantic_core.PydanticSerializationError:
        raise Unfit(f"a {type(value).__name__} cannot be sent as JSON") from None


def _key(key: Any) -> str:
    if isinstance(key, Enum):
        key = key.value
    if isinstance(key, bool) or key is None:
        return json.dumps(key)
    return str(key)
