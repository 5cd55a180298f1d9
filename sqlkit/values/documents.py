"""JSON documents from a row, validated into the annotated type with nothing lost.

pydantic reads JSON fastest from its text, but passes numbers through floats: 30 digits become 17. So where a
``Decimal`` can be reached, or where the annotation leaves the type open, the text goes through ``json`` with exact
numbers first. Texts of jsonb columns in binary begin with a version, which is taken off here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import CoreConfig, ErrorDetails, SchemaValidator

from sqlkit.rows.shapes import adapter_of, describe_type
from sqlkit.rows.trust import ClassSchema, Distrust, Step, inner_schemas
from sqlkit.values.catalog import JSONS, PgType

__all__ = [
    "NULL_LIST",
    "UNREADABLE",
    "Documents",
    "exact_document",
    "is_closed",
    "plain_documents",
    "reaches_decimal",
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


#: Schemas that change nothing of what they gave once: those, and the exact and the open ones.
SETTLED = CLOSED | {"decimal", "any"}


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
    return schema.get("type") == "decimal" or any(map(reaches_decimal, inner_schemas(schema)))


def is_closed(schema: Any) -> bool:
    """Tell whether pydantic may read JSON text itself: no Decimal and no open type can be reached, by no schema."""
    return _holds_only(CLOSED, schema)


def is_settled(schema: Any) -> bool:
    """Tell whether what a schema gives passes a second validation as it is: it holds no validator."""
    return _holds_only(SETTLED, schema)


def _holds_only(kinds: frozenset[str], schema: Any) -> bool:
    kind = schema.get("type")
    if kind is not None and kind not in kinds:
        return False
    if schema.get("revalidate_instances") or "revalidate_instances" in (schema.get("config") or ()):
        return False
    return all(_holds_only(kinds, part) for part in inner_schemas(schema))


# From the text of a column to a value.


class Documents:
    """How the documents of a JSON column become validated values.

    ``read`` takes the text of one, or None; Distrust where it does not fit. ``closed`` says that pydantic may read the
    text itself, ``decimals`` that a Decimal can be reached, ``settled`` that what ``read`` gives may be validated
    again.
    """

    def __init__(self, annotation: Any, schema: Any, config: Any = None) -> None:
        self.expected = describe_type(annotation)
        self.validator = SchemaValidator(schema, config)
        self.closed = is_closed(schema)
        self.settled = is_settled(schema)
        self.decimals = reaches_decimal(schema)

    @classmethod
    def of(cls, annotation: Any) -> Documents:
        """Read documents by an annotation alone."""
        return cls(annotation, adapter_of(annotation).core_schema)

    @classmethod
    def of_field(cls, annotation: Any, known: ClassSchema, name: str) -> Documents:
        """Read documents as the class of a field would, with its configuration."""
        return cls(annotation, known.alone(name), cast("CoreConfig", known.config))

    def read(self, text: Any) -> Any:
        """Return the value of a document's text."""
        try:
            if text is None:
                return self.validator.validate_python(None)
            if self.closed:
                return self.validator.validate_json(strip_version(text))
            return self._read_exactly(text)
        except ValidationError as error:
            raise Distrust(self.expected, _fault(error, text)) from None
        except UNREADABLE as error:
            got = f"a JSON document that Python cannot read ({type(error).__name__})"
            raise Distrust(self.expected, got) from None

    def _read_exactly(self, text: str) -> Any:
        document = exact_document(text, decimals=self.decimals)
        try:
            return self.validator.validate_python(document)
        except ValidationError:
            # A strict field takes a date's text from JSON and not from Python. So JSON says whether the document fits,
            # and its values, which may have lost digits, are read again without strictness.
            try:
                self.validator.validate_json(strip_version(text))
                return self.validator.validate_python(document, strict=False)
            except ValidationError:
                pass
            raise

    def step(self) -> Step | None:
        """Return the step of a column that needs no validation again, or None where NULL becomes something else."""
        try:
            absent = self.validator.validate_python(None)
        except Exception:  # a validator of the author's own may raise anything at a None
            return Step(False, self.read)
        return Step(True, self._read_closed() if self.closed else self.read) if absent is None else None

    def _read_closed(self) -> Callable[[str], Any]:
        """Return what reads a document in as few steps as there can be."""
        validate, read = self.validator.validate_json, self.read

        def read_closed(text: str) -> Any:
            try:
                return validate(text[1:] if text[0] == "\x01" else text)
            except Exception:
                return read(text)  # which says what is wrong

        return read_closed


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
