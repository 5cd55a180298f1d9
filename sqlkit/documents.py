"""JSON documents from a row, validated into the annotated type with nothing lost.

pydantic reads JSON fastest from its text, but passes numbers through floats: 30 digits become 17. So where a
``Decimal`` can be reached, or where the annotation leaves the type open, the text goes through ``json`` with exact
numbers first. Texts of jsonb columns in binary begin with a version, which is taken off here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter

from sqlkit.catalog import JSONS, PgType

__all__ = ["exact_document", "plain_documents", "reads_text"]

#: Schemas through which no Decimal can be reached, with the keys under which they hold others.
CLOSED = frozenset(
    [
        "int",
        "float",
        "bool",
        "str",
        "bytes",
        "none",
        "uuid",
        "date",
        "time",
        "datetime",
        "timedelta",
        "enum",
        "literal",
        "url",
        "multi-host-url",
        "list",
        "set",
        "frozenset",
        "tuple",
        "dict",
        "nullable",
        "default",
        "model",
        "model-fields",
        "model-field",
        "dataclass",
        "dataclass-args",
        "dataclass-field",
        "typed-dict",
        "typed-dict-field",
        "named-tuple",
        "named-tuple-field",
        "union",
        "tagged-union",
        "definitions",
        "definition-ref",
        "json-or-python",
        "chain",
        "lax-or-strict",
    ]
)


def strip_version(text: str) -> str:
    """Take the version off a jsonb text that came in binary."""
    return text[1:] if text[:1] == "\x01" else text


def exact_number(text: str) -> float | Decimal:
    """Read a JSON number as a float where that keeps its value, else as a Decimal."""
    number = float(text)
    exact = Decimal(text)
    return number if exact == Decimal(repr(number)) else exact


def exact_document(text: str, *, decimals: bool = False) -> Any:
    """Read JSON with every digit: all fractions as Decimals, or only those that a float would change."""
    return json.loads(strip_version(text), parse_float=Decimal if decimals else exact_number)


def plain_documents(pgtype: PgType, *, decimals: bool) -> Callable[[Any], Any]:
    """Return a function that reads the JSON texts inside a value: a document, an array or a composite of them."""
    if pgtype.kind == "b" and pgtype.name in JSONS:
        return lambda value: None if value is None else exact_document(value, decimals=decimals)
    if pgtype.kind == "a" and pgtype.element:
        inner = plain_documents(pgtype.element, decimals=decimals)

        def read_list(value: Any) -> Any:
            if value is None:
                return None
            return [read_list(item) if isinstance(item, list) else inner(item) for item in value]

        return read_list
    if pgtype.kind == "c":
        readers = {name: plain_documents(field, decimals=decimals) for name, field in pgtype.fields}

        def read_composite(value: Any) -> Any:
            return value and {name: readers[name](item) for name, item in value.items()}

        return read_composite
    return lambda value: value


def reaches_decimal(schema: Any) -> bool:
    """Tell whether a schema has a Decimal somewhere inside."""
    if isinstance(schema, Mapping):
        if schema.get("type") == "decimal":
            return True
        return any(reaches_decimal(part) for key, part in schema.items() if key not in ("metadata", "cls"))
    if isinstance(schema, Sequence) and not isinstance(schema, str | bytes):
        return any(reaches_decimal(part) for part in schema)
    return False


def reads_text(adapter: TypeAdapter[Any]) -> bool:
    """Tell whether pydantic may read a type from JSON text itself: no Decimal and no open type can be reached."""
    return _is_closed(adapter.core_schema)


def _is_closed(schema: Any) -> bool:
    if isinstance(schema, Mapping):
        kind = schema.get("type")
        if isinstance(kind, str) and kind not in CLOSED:
            return False
        return all(
            _is_closed(part)
            for key, part in schema.items()
            if key not in ("metadata", "config", "cls", "default", "expected", "members", "serialization")
        )
    if isinstance(schema, list | tuple):
        return all(_is_closed(part) for part in schema)
    return True
