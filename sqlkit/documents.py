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

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from sqlkit.catalog import JSONS, PgType
from sqlkit.shapes import adapter_of, describe_type
from sqlkit.trust import Distrust, Step

__all__ = [
    "NULL_LIST",
    "UNREADABLE",
    "document_reader",
    "document_step",
    "exact_document",
    "is_closed",
    "plain_documents",
    "reaches_decimal",
    "reads_text",
    "telling",
]

#: What json raises for a text that PostgreSQL takes: too deep, too many digits, too large an exponent.
UNREADABLE = (ValueError, ArithmeticError, RecursionError)

NULL_LIST = (
    "[null], which json_agg makes of an outer join without a match: write "
    "coalesce(json_agg(...) filter (where key is not null), '[]')"
)

#: pydantic's errors whose message holds what was expected and nothing of the input.
TELLING = frozenset(
    [
        "greater_than",
        "greater_than_equal",
        "less_than",
        "less_than_equal",
        "multiple_of",
        "string_too_short",
        "string_too_long",
        "string_pattern_mismatch",
        "too_short",
        "too_long",
        "finite_number",
        "enum",
        "literal_error",
        "missing",
        "none_required",
        "extra_forbidden",
        "timezone_naive",
        "timezone_aware",
        "decimal_max_digits",
        "decimal_max_places",
        "int_from_float",
        "date_from_datetime_inexact",
    ]
)

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
    """Tell whether pydantic may read a type from JSON text itself: no Decimal and no open type can be reached.

    No validator either, so that what was read passes a second validation as it is.
    """
    return is_closed(adapter.core_schema)


def is_closed(schema: Any) -> bool:
    """Tell whether a schema holds nothing but what is known to be closed."""
    if isinstance(schema, Mapping):
        kind = schema.get("type")
        if isinstance(kind, str) and kind not in CLOSED:
            return False
        if schema.get("revalidate_instances") or "revalidate_instances" in (schema.get("config") or ()):
            return False
        return all(
            is_closed(part)
            for key, part in schema.items()
            if key not in ("metadata", "config", "cls", "default", "expected", "members", "serialization")
        )
    if isinstance(schema, list | tuple):
        return all(is_closed(part) for part in schema)
    return True


# From the text of a column to a value.


def document_reader(annotation: Any) -> Callable[[Any], Any]:
    """Return how the text of a JSON column becomes a validated value; Distrust where it does not fit."""
    adapter = adapter_of(annotation)
    validator = adapter.validator
    takes_text = reads_text(adapter)
    decimals = reaches_decimal(adapter.core_schema)
    expected = describe_type(annotation)

    def read(text: Any) -> Any:
        try:
            if text is None:
                return validator.validate_python(None)
            if takes_text:
                return validator.validate_json(strip_version(text))
            return validator.validate_python(exact_document(text, decimals=decimals))
        except ValidationError as error:
            raise Distrust(expected, _fault(error, text)) from None
        except UNREADABLE as error:
            raise Distrust(expected, f"a JSON document that Python cannot read ({type(error).__name__})") from None

    return read


def document_step(annotation: Any) -> Step | None:
    """Return the step of a JSON column that needs no validation again, or None where NULL becomes something else."""
    read = document_reader(annotation)
    try:
        absent = adapter_of(annotation).validator.validate_python(None)
    except Exception:  # a validator of the author's own may raise anything at a None
        return Step(False, read)
    return Step(True, read) if absent is None else None


def _fault(error: ValidationError, text: str | None) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    if text is None:
        return "NULL"
    if first["input"] is None and first["loc"] and first["loc"][-1] == 0:
        return NULL_LIST
    return f"a JSON document that does not fit ({telling(first)})"


def telling(error: ErrorDetails) -> str:
    """Spell one of pydantic's errors, by its message where that shows nothing of the input."""
    return str(error["msg"] if error["type"] in TELLING else error["type"])
