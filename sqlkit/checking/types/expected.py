"""What a field or a value of a row takes, as pydantic sees it."""

from __future__ import annotations

import json
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from types import NoneType
from typing import Any

from pydantic_core import SchemaError, SchemaValidator, ValidationError

from sqlkit.checking.types.paths import members
from sqlkit.checking.types.relaxing import relaxed, relaxed_config
from sqlkit.checking.types.spelling import spelled
from sqlkit.rows.shapes import RowField, adapter_of, without_none
from sqlkit.rows.trust import class_schema, inner_schemas

__all__ = ["Expected", "Misfit", "bare", "class_without_validators"]


@dataclass(frozen=True, slots=True)
class Misfit:
    """What is wrong with a column for an annotation: ``code`` of the finding, and what to say behind the column's name.

    ``told`` goes on after ``column 'x'``: ``is bigint, which does not load into str: make it int``.
    """

    code: str
    told: str


class Expected:
    """What a field or a value takes: its annotation, and pydantic's schema of it without the author's constraints."""

    def __init__(self, annotation: Any, schema: Any = None, config: Any = None) -> None:
        self.annotation = annotation
        self.misfits: dict[tuple[object, ...], list[Misfit]] = {}
        self._schema = schema
        self._config = config

    def __str__(self) -> str:
        return spelled(self.annotation)

    @classmethod
    def anything(cls, annotation: Any) -> Expected:
        """Return what takes every value: a field of a class whose own validator comes first."""
        return cls(annotation, {"type": "any"})

    @classmethod
    def of_field(cls, owner: Any, name: str, part: RowField) -> Expected:
        """Return what a field of a class takes, with the class's configuration; made once for each."""
        try:
            return _known_field(owner, name) or _remember(owner, name, cls._of_field(owner, name, part))
        except TypeError:  # an annotation that cannot be hashed
            return cls._of_field(owner, name, part)

    @classmethod
    def _of_field(cls, owner: Any, name: str, part: RowField) -> Expected:
        plain = class_without_validators(owner)
        if plain is None:
            return cls.anything(part.annotation)
        known = class_schema(owner, plain)
        if known is None or name not in known.fields:
            return cls(part.annotation)
        return cls(part.annotation, known.alone(name), known.config)

    @cached_property
    def schema(self) -> Any:
        """The relaxed schema."""
        schema = adapter_of(self.annotation).core_schema if self._schema is None else self._schema
        return relaxed(schema, strict=bool((self._config or {}).get("strict")))

    @cached_property
    def validator(self) -> SchemaValidator | None:
        """What tries samples; None where pydantic cannot build it from the relaxed schema."""
        config: Any = relaxed_config(self._config)
        try:
            return SchemaValidator(self.schema, config)
        except SchemaError:
            return None

    def takes(self, value: Any) -> bool:
        """Tell whether a value passes; True where that cannot be tried."""
        if self.validator is None:
            return True
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.validator.validate_python(value)
        except ValidationError:
            return False
        except Exception:  # a class's own code, which we do not judge
            return True
        return True

    def takes_document(self, text: str) -> bool:
        """Tell whether a JSON text passes, as it stands or read by Python."""
        if self.validator is None:
            return True
        try:
            self.validator.validate_json(text)
        except ValidationError:
            return self.takes(json.loads(text))
        except Exception:  # a class's own code, which we do not judge
            return True
        return True

    @cached_property
    def is_open(self) -> bool:
        """Whether nothing can be said: everything passes, or is made to pass by a validator of the author's."""
        return bool(bare(self.schema).get("type") == "any")

    @cached_property
    def takes_none(self) -> bool:
        """Whether NULL passes."""
        return self.takes(None)

    @cached_property
    def says_none(self) -> bool:
        """Whether the annotation names None."""
        return NoneType in members(self.annotation)

    @cached_property
    def named_values(self) -> tuple[Any, ...]:
        """The values of the Enums and Literals inside, which a text or a number may spell."""
        return tuple(_named_values(self.schema))

    @property
    def name(self) -> str:
        """The annotation's spelling without ``| None``."""
        return spelled(self.inner)

    @property
    def inner(self) -> Any:
        """The annotation without ``| None`` and what is said of it."""
        return without_none(self.annotation)[0]


#: What the fields of classes take, the latest ones.
_fields: OrderedDict[tuple[Any, str], Expected] = OrderedDict()
FIELDS_MAX = 4096


def _known_field(owner: Any, name: str) -> Expected | None:
    return _fields.get((owner, name))


def _remember(owner: Any, name: str, expected: Expected) -> Expected:
    _fields[owner, name] = expected
    if len(_fields) > FIELDS_MAX:
        _fields.popitem(last=False)
    return expected


def class_without_validators(owner: Any) -> Any:
    """Return the schema of a class without validators; None where one of the author's comes first."""
    return _without_validators(adapter_of(owner).core_schema)


def _without_validators(schema: Any) -> Any:
    """Return a class's schema without the validators behind it or its fields; None where one stands in front."""
    kind = schema["type"]
    if kind == "definitions":
        named = schema["schema"].get("schema_ref")
        plain = [_without_validators(part) for part in schema["definitions"]]
        if named is not None and any(
            new is None for old, new in zip(schema["definitions"], plain, strict=True) if old.get("ref") == named
        ):
            return None
        kept = [new or old for old, new in zip(schema["definitions"], plain, strict=True)]
        inner = _without_validators(schema["schema"])
        return None if inner is None else {**schema, "schema": inner, "definitions": kept}
    if kind.startswith("function-"):
        inner = _without_validators(schema["schema"]) if kind == "function-after" else None
        return inner and {**inner, **({"ref": schema["ref"]} if "ref" in schema else {})}
    if kind in ("model", "dataclass"):
        inner = _without_validators(schema["schema"])
        return inner and {**schema, "schema": inner}
    return schema


def _named_values(schema: Any) -> Iterator[Any]:
    if schema.get("type") == "enum":
        yield from (member.value for member in schema["members"])
    elif schema.get("type") == "literal":
        yield from (part.value if isinstance(part, Enum) else part for part in schema["expected"])
    for part in inner_schemas(schema):
        yield from _named_values(part)


def bare(schema: Any) -> Any:
    """Return what a schema is apart from its default and from None."""
    definitions: dict[str, Any] = {}
    while True:
        kind = schema.get("type")
        if kind == "definitions":
            definitions = {part["ref"]: part for part in schema["definitions"]}
            schema = schema["schema"]
        elif kind == "definition-ref" and schema["schema_ref"] in definitions:
            schema = definitions[schema["schema_ref"]]
        elif kind in ("nullable", "default"):
            schema = schema["schema"]
        else:
            return schema
