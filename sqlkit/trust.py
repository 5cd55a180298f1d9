"""Which values need no validation: the allow-list over pydantic's core schema.

A column is trusted when, for everything that psycopg's loader of its type can yield, pydantic would neither refuse
nor change the value. That is decided once for a column, not once for a value; NULL and the few things that a type
leaves open (a NaN among decimals, a label without a member, a NULL inside an array) are looked for by a check that is
cheaper than validation. Whatever is not known to be harmless is not trusted, so a new kind of schema costs time and
never truth.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from sqlkit.catalog import PgType

__all__ = ["Distrust", "Step", "trusted_dataclass", "trusted_model", "trusted_step"]

TEXTS = frozenset({"text", "varchar", "bpchar", "name", "citext", "xml"})

#: What psycopg's loaders yield exactly, by pydantic's name for the type.
EXACT: Mapping[str, frozenset[str]] = {
    "int": frozenset({"int2", "int4", "int8", "oid"}),
    "str": TEXTS,
    "float": frozenset({"float4", "float8"}),
    "bool": frozenset({"bool"}),
    "uuid": frozenset({"uuid"}),
    "datetime": frozenset({"timestamp", "timestamptz"}),
    "date": frozenset({"date"}),
    "time": frozenset({"time", "timetz"}),
    "timedelta": frozenset({"interval"}),
    "bytes": frozenset({"bytea"}),
    "decimal": frozenset({"numeric"}),
}

#: Keys of a schema that say nothing of which values pass.
HARMLESS = frozenset({"type", "ref", "metadata", "serialization", "microseconds_precision"})
HARMLESS_CONFIG = frozenset(
    {
        "title",
        "frozen",
        "from_attributes",
        "populate_by_name",
        "validate_by_name",
        "validate_by_alias",
        "serialize_by_alias",
        "ser_json_timedelta",
        "ser_json_bytes",
        "hide_input_in_errors",
        "use_attribute_docstrings",
    }
)
HARMLESS_FIELD = frozenset({"type", "schema", "metadata", "serialization_alias", "validation_alias", "frozen"})


class Distrust(Exception):  # noqa: N818 - a value that a check refuses; RowError is made of it
    """A value that a check of a trusted column refuses: ``expected`` and ``got`` in words, never the value."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected = expected
        self.got = got


@dataclass(frozen=True, slots=True)
class Step:
    """How a trusted column becomes a field: None passes or not, and a check or conversion, if any."""

    nullable: bool = False
    convert: Callable[[Any], Any] | None = None


def trusted_step(schema: Mapping[str, Any], pgtype: PgType) -> Step | None:
    """Return how values of this type pass a schema without validation, or None if they must be validated."""
    kind = schema["type"]
    if kind == "default" and schema.get("on_error", "raise") == "raise":
        return trusted_step(schema["schema"], pgtype)
    if kind == "nullable" and _only(schema, {"schema"}):
        inner = trusted_step(schema["schema"], pgtype)
        return inner and Step(True, inner.convert)
    if kind == "any" and _only(schema, set()) and not pgtype.has_json():
        return Step(nullable=True)
    if kind == "list" and pgtype.kind == "a" and pgtype.element and _only(schema, {"items_schema"}):
        return _list_step(schema.get("items_schema"), pgtype.element)
    if kind == "enum" and _is_text(pgtype) and _only(schema, {"cls", "members", "sub_type"}):
        return Step(convert=_by_value({member.value: member for member in schema["members"]}))
    if kind == "literal" and _is_text(pgtype) and _only(schema, {"expected"}):
        if all(type(value) is str for value in schema["expected"]):
            return Step(convert=_by_value({value: value for value in schema["expected"]}))
        return None
    if not _only(schema, {"strict"}) or not _is_exact(kind, pgtype):
        return None
    return Step(convert=_finite if kind == "decimal" else None)


def _only(schema: Mapping[str, Any], allowed: set[str]) -> bool:
    return all(key in HARMLESS or key in allowed for key in schema)


def _is_text(pgtype: PgType) -> bool:
    return pgtype.kind == "e" or (pgtype.kind == "b" and pgtype.name in TEXTS)


def _is_exact(kind: str, pgtype: PgType) -> bool:
    if kind == "str":
        return _is_text(pgtype)
    return pgtype.kind == "b" and pgtype.name in EXACT.get(kind, ())


def _list_step(items: Mapping[str, Any] | None, element: PgType) -> Step | None:
    step = trusted_step(items or {"type": "any"}, element)
    if step is None or step.convert is not None:
        return None
    return Step(convert=_one_dimension if step.nullable else _one_dimension_of_values)


def _finite(value: Any) -> Any:
    if not value.is_finite():
        raise Distrust("a finite decimal", "NaN or infinity")
    return value


def _by_value(members: dict[Any, Any]) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        try:
            return members[value]
        except KeyError:
            raise Distrust(f"one of {len(members)} known values", "another text") from None

    return convert


def _one_dimension(value: list[Any]) -> list[Any]:
    if any(type(item) is list for item in value):
        raise Distrust("a list", "an array of several dimensions")
    return value


def _one_dimension_of_values(value: list[Any]) -> list[Any]:
    if None in value:
        raise Distrust("a list without None", "an array that holds NULL")
    return _one_dimension(value)


def trusted_model(model: type[BaseModel]) -> dict[str, Mapping[str, Any]] | None:
    """Return the schemas of a model's fields if instances may be built without validation, else None."""
    schema: Any = model.__pydantic_core_schema__
    if schema["type"] == "definitions":
        schema = schema["schema"]
    if schema["type"] != "model" or schema.get("cls") is not model:
        return None
    if schema.get("custom_init") or schema.get("root_model") or schema.get("post_init"):
        return None
    if any(key not in HARMLESS_CONFIG for key in schema.get("config", {})) or schema.get("strict"):
        return None
    fields: Any = schema["schema"]
    if fields["type"] != "model-fields" or fields.get("extras_schema") or fields.get("extra_behavior") == "allow":
        return None
    if not _is_plain_class(model):
        return None
    if any(key not in HARMLESS_FIELD for field in fields["fields"].values() for key in field):
        return None
    return {name: field["schema"] for name, field in fields["fields"].items()}


def _is_plain_class(model: type[BaseModel]) -> bool:
    decorators = model.__pydantic_decorators__
    return (
        model.__init__ is BaseModel.__init__
        and _makes_plainly(model)
        and not model.__private_attributes__
        and not decorators.validators
        and not decorators.field_validators
        and not decorators.root_validators
        and not decorators.model_validators
        and model.model_config.get("extra") != "allow"
        and model.__setattr__ is BaseModel.__setattr__
    )


def _makes_plainly(cls: type) -> bool:
    return all("__new__" not in vars(parent) for parent in cls.__mro__ if parent not in (BaseModel, object))


def trusted_dataclass(cls: type[Any]) -> bool:
    """Tell whether a dataclass only keeps what it is given: no ``__post_init__``, no ``__init__`` of its own."""
    parameters = getattr(cls, "__dataclass_params__", None)
    return (
        parameters is not None
        and parameters.init
        and "__pydantic_core_schema__" not in cls.__dict__
        and not hasattr(cls, "__post_init__")
        and _makes_plainly(cls)
        and all(field.init for field in dataclasses.fields(cls))
    )
