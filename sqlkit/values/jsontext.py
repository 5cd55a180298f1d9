"""Python values as JSON text: models as they serialise themselves, decimals as numbers with all their digits.

What JSON cannot hold is refused, for it would be another value on the other side: NaN and infinity (which pydantic
writes as null), a lone surrogate, a value that contains itself.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from math import isfinite
from typing import Any

import pydantic_core
from psycopg.types.json import Json, Jsonb
from pydantic import BaseModel, TypeAdapter

from sqlkit.rows.trust import inner_schemas

__all__ = ["Unfit", "document_bytes", "json_bytes", "json_text", "named"]

NOT_ASCII = re.compile(r"[^\x00-\x7f]")

#: Schemas of which a value may be a float, or anything.
OPEN = frozenset({"float", "any", "is-instance", "callable"})
#: json.dumps makes such an encoder at each call.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode

NO_NAN = "JSON has no NaN and no infinity"


class Unfit(Exception):
    """A value that cannot be sent as the type that the statement wants; the text never shows the value."""


def named(cls: type) -> str:
    """Return a type's name with its article, for a message."""
    return f"{'an' if cls.__name__[:1].lower() in 'aeiou' else 'a'} {cls.__name__}"


def json_bytes(value: Any, encoding: str) -> bytes:
    """Return a value as JSON in the connection's encoding; what that does not have is escaped."""
    try:
        text = json_text(value)
    except RecursionError:
        raise Unfit("a value that contains itself, or is nested that deep, cannot be sent as JSON") from None
    return document_bytes(text, encoding)


def document_bytes(text: str, encoding: str) -> bytes:
    """Return a JSON text in the connection's encoding."""
    try:
        if encoding == "utf-8":
            return text.encode()
        return NOT_ASCII.sub(lambda found: json.dumps(found.group())[1:-1], text).encode("ascii")
    except UnicodeEncodeError:
        raise Unfit("a text with half of a surrogate pair is no Unicode text") from None


def json_text(value: Any) -> str:
    """Return a value as JSON; Unfit for what JSON cannot hold."""
    if isinstance(value, Json | Jsonb):
        return json_text(value.obj)
    if isinstance(value, BaseModel):
        return _model_text(value)
    try:
        return _encode(value)
    except TypeError:
        return _text(value)
    except ValueError:
        raise Unfit(f"{NO_NAN}, and no value that contains itself") from None


def _model_text(model: BaseModel) -> str:
    text = model.model_dump_json()
    # pydantic writes NaN as null, if the author of the model has not said how to write it.
    if "null" in text and _may_hold_nan(type(model)) and _holds_nan(model.model_dump()):
        raise Unfit(f"{NO_NAN}, and {type(model).__name__} holds one: set ser_json_inf_nan if null stands for it")
    return text


@lru_cache(maxsize=1024)
def _may_hold_nan(cls: type[BaseModel]) -> bool:
    return "ser_json_inf_nan" not in cls.model_config and _reaches_open(TypeAdapter(cls).core_schema)


def _reaches_open(schema: Any) -> bool:
    kind = schema.get("type")
    if kind in OPEN or (kind == "list" and "items_schema" not in schema):
        return True
    if kind == "dict" and "values_schema" not in schema:
        return True
    return any(map(_reaches_open, inner_schemas(schema)))


def _holds_nan(value: Any) -> bool:
    if isinstance(value, float):
        return not isfinite(value)
    if isinstance(value, dict):
        return any(map(_holds_nan, value.values()))
    return isinstance(value, list | tuple | set | frozenset) and any(map(_holds_nan, value))


def _text(value: Any) -> str:
    """Write what ``json`` does not know, itself or inside."""
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(_key(key), ensure_ascii=False)}: {json_text(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(json_text(item) for item in value) + "]"
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise Unfit(NO_NAN)
        return format(value)
    if isinstance(value, Enum):
        return json_text(value.value)
    try:
        if dataclasses.is_dataclass(value) and _holds_nan(pydantic_core.to_jsonable_python(value)):
            raise Unfit(NO_NAN)
        return pydantic_core.to_json(value).decode()
    except pydantic_core.PydanticSerializationError:
        raise Unfit(f"{named(type(value))} cannot be sent as JSON") from None


def _key(key: Any) -> str:
    if isinstance(key, Enum):
        key = key.value
    if isinstance(key, bool) or key is None:
        return json.dumps(key)
    return str(key)
