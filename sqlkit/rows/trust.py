"""Which values need no validation: the allow-list over pydantic's core schema.

A column is trusted when, for everything that psycopg's loader of its type can yield, pydantic would neither refuse
nor change the value. That is decided once for a column, not once for a value; NULL and the few things that a type
leaves open (a NaN among decimals, a label without a member, a NULL inside an array) are looked for by a check that is
cheaper than validation. Whatever is not known to be harmless is not trusted, so a new kind of schema costs time and
never truth.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Generic, get_origin

from pydantic import BaseModel
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic.fields import FieldInfo

from sqlkit.values.catalog import PgType

__all__ = ["ClassSchema", "Distrust", "Step", "class_schema", "inner_schemas", "trusted_step"]

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
HARMLESS_CLASS = frozenset(
    {"cls", "config", "schema", "fields", "frozen", "slots", "generic_origin", "computed_fields"}
)
HARMLESS_CLASS_IF_FALSE = frozenset({"custom_init", "root_model", "post_init", "strict", "total", "collect_init_only"})
HARMLESS_FIELDS = frozenset({"fields", "model_name", "dataclass_name", "computed_fields"})
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
        "extra_fields_behavior",
        "hide_input_in_errors",
        "use_attribute_docstrings",
    }
)
HARMLESS_FIELD = frozenset(
    {
        "type",
        "name",
        "schema",
        "metadata",
        "serialization_alias",
        "serialization_exclude",
        "validation_alias",
        "frozen",
        "required",
        "kw_only",
    }
)

Schema = Mapping[str, Any]

#: The schema of a list's items where nothing is said of them.
ANYTHING: Schema = MappingProxyType({"type": "any"})


class Distrust(Exception):  # a value that a check refuses; RowError is made of it
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


def trusted_step(
    schema: Schema, pgtype: PgType, definitions: Mapping[str, Schema] = MappingProxyType({})
) -> Step | None:
    """Return how values of this type pass a schema without validation, or None if they must be validated.

    ``definitions`` are what the schema refers to, by reference.
    """
    kind = schema["type"]
    if kind == "definition-ref" and _only(schema, {"schema_ref"}) and schema["schema_ref"] in definitions:
        return trusted_step(definitions[schema["schema_ref"]], pgtype, definitions)
    if kind == "default" and schema.get("on_error", "raise") == "raise":
        return trusted_step(schema["schema"], pgtype, definitions)
    if kind == "nullable" and _only(schema, {"schema"}):
        inner = trusted_step(schema["schema"], pgtype, definitions)
        return inner and Step(True, inner.convert)
    if kind == "any" and _only(schema, set()) and not pgtype.has_json():
        return Step(nullable=True)
    if kind == "list" and pgtype.kind == "a" and pgtype.element and _only(schema, {"items_schema"}):
        return _list_step(schema.get("items_schema", ANYTHING), pgtype.element, definitions)
    if kind in ("enum", "literal"):
        return _label_step(schema) if _is_text(pgtype) else None
    if not _only(schema, {"strict"}) or not _is_exact(kind, pgtype):
        return None
    return Step(convert=_finite if kind == "decimal" else None)


def _only(schema: Schema, allowed: set[str]) -> bool:
    return all(key in HARMLESS or key in allowed for key in schema)


def _is_text(pgtype: PgType) -> bool:
    return pgtype.kind == "e" or (pgtype.kind == "b" and pgtype.name in TEXTS)


def _is_exact(kind: str, pgtype: PgType) -> bool:
    if kind == "str":
        return _is_text(pgtype)
    return pgtype.kind == "b" and pgtype.name in EXACT.get(kind, ())


def _label_step(schema: Schema) -> Step | None:
    """Return the step from a label to a member, where every member's value is a str: pydantic converts others."""
    if schema["type"] == "enum":
        cls: Any = schema["cls"]
        makes_members = cls._missing_.__func__ is not vars(Enum)["_missing_"].__func__  # of other values
        if makes_members or not _only(schema, {"cls", "members", "sub_type"}):
            return None
        members = {member.value: member for member in schema["members"] if type(member.value) is str}
        return Step(convert=_by_value(members)) if len(members) == len(schema["members"]) else None
    if not _only(schema, {"expected"}) or any(type(value) is not str for value in schema["expected"]):
        return None
    return Step(convert=_by_value({value: value for value in schema["expected"]}))


def _list_step(items: Schema, element: PgType, definitions: Mapping[str, Schema]) -> Step | None:
    step = trusted_step(items, element, definitions)
    if step is None or (step.convert is not None and step.nullable):
        return None
    if step.convert is not None:
        return Step(convert=_each(step.convert))
    if items["type"] == "any":
        return Step()
    return Step(convert=_one_dimension if step.nullable else _one_dimension_of_values)


def _each(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda values: [convert(value) for value in _one_dimension_of_values(values)]


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


#: Keys whose values are no schemas.
PLAIN_KEYS = frozenset({"metadata", "config", "cls", "default", "expected", "members", "serialization"})


def inner_schemas(schema: Any) -> Iterator[Schema]:
    """Yield the schemas that stand directly in another, or in a list of them."""
    if isinstance(schema, Mapping):
        for key, part in schema.items():
            if key in ("fields", "choices") and isinstance(part, Mapping):  # by names, which may be any
                yield from part.values()
            elif key not in PLAIN_KEYS:
                yield from inner_schemas(part) if not isinstance(part, Mapping) else (part,)
    elif isinstance(schema, list | tuple):
        for part in schema:
            yield from inner_schemas(part) if not isinstance(part, Mapping) else (part,)


@dataclass(frozen=True, slots=True)
class ClassSchema:
    """What pydantic's core schema says of a class with fields: the schema of each, and what they refer to.

    ``trusted`` says that instances may be built without validation, as far as the class itself is concerned.
    """

    fields: Mapping[str, Schema]
    definitions: Mapping[str, Schema]
    config: Schema
    trusted: bool

    def alone(self, name: str) -> Any:
        """Return the schema of a field with all that it refers to."""
        field = self.fields[name]
        needed: dict[str, Schema] = {}
        pending = [field]
        while pending:
            schema = pending.pop()
            reference: Any = schema.get("schema_ref")
            if reference in self.definitions and reference not in needed:
                needed[reference] = self.definitions[reference]
                pending.append(needed[reference])
            pending.extend(inner_schemas(schema))
        return {"type": "definitions", "schema": field, "definitions": list(needed.values())} if needed else field


def class_schema(annotation: Any, core_schema: Any) -> ClassSchema | None:
    """Return the fields of a model, dataclass or TypedDict, or None where validators stand around them."""
    definitions: dict[str, Schema] = {}
    if core_schema["type"] == "definitions":
        definitions = {part["ref"]: part for part in core_schema["definitions"]}
        core_schema = core_schema["schema"]
    outer: Any = definitions.get(core_schema.get("schema_ref"), core_schema)
    if outer["type"] not in ("model", "dataclass", "typed-dict"):
        return None
    inner = outer if outer["type"] == "typed-dict" else outer["schema"]
    if inner["type"] not in ("model-fields", "dataclass-args", "typed-dict"):
        return None
    listed = inner["fields"]
    fields = listed if isinstance(listed, Mapping) else {part["name"]: part for part in listed}
    cls: Any = get_origin(annotation) or annotation
    trusted = (
        (outer["type"] == "typed-dict" or outer["cls"] is cls)
        and _is_harmless(outer, inner, fields)
        and _is_plain_class(cls)
    )
    schemas = {name: part["schema"] for name, part in fields.items()}
    return ClassSchema(schemas, definitions, _config(outer), trusted)


def _is_harmless(outer: Schema, inner: Schema, fields: Mapping[str, Schema]) -> bool:
    """Tell whether nothing that a class's schema says could refuse or change a value."""
    open_to = (outer.get("extra_behavior"), inner.get("extra_behavior"), _config(outer).get("extra_fields_behavior"))
    if "allow" in open_to:
        return False  # columns without a field are looked for before, so what is forbidden or ignored never comes
    around = (HARMLESS_CLASS, HARMLESS_FIELDS, HARMLESS, {"extra_behavior"})
    for schema in (outer, inner):
        for key, value in schema.items():
            if not any(key in allowed for allowed in around) and (key not in HARMLESS_CLASS_IF_FALSE or value):
                return False
    return all(key in HARMLESS_CONFIG for key in _config(outer)) and not any(
        key not in HARMLESS_FIELD and not _is_init(key, value)
        for part in fields.values()
        for key, value in part.items()
    )


def _config(schema: Schema) -> Schema:
    found: Schema = schema.get("config") or {}
    return found


def _is_init(key: str, value: Any) -> bool:
    return (key == "init" and value is True) or (key == "init_only" and value is False)


def _is_plain_class(cls: Any) -> bool:
    if issubclass(cls, BaseModel):
        return _is_plain_model(cls)
    return not dataclasses.is_dataclass(cls) or _is_plain_dataclass(cls)


def _is_plain_model(model: type[BaseModel]) -> bool:
    decorators = model.__pydantic_decorators__
    return (
        model.__init__ is BaseModel.__init__
        and model.__setattr__ is BaseModel.__setattr__
        and _makes_plainly(model)
        and not model.__private_attributes__
        and not decorators.validators
        and not decorators.field_validators
        and not decorators.root_validators
        and not decorators.model_validators
    )


def _makes_plainly(cls: type) -> bool:
    return all("__new__" not in vars(parent) for parent in cls.__mro__ if parent not in (BaseModel, Generic, object))


def _is_generated(init: Any) -> bool:
    """Tell whether an ``__init__`` is the one that ``dataclasses`` wrote, as source, and no other."""
    code = getattr(init, "__code__", None)
    return code is not None and code.co_filename == "<string>"


def _is_plain_dataclass(cls: Any) -> bool:
    """Tell whether a dataclass only keeps what it is given, so that calling it is what pydantic does."""
    return (
        not is_pydantic_dataclass(cls)
        and _is_generated(cls.__init__)
        and not hasattr(cls, "__post_init__")
        and (cls.__dataclass_params__.frozen or cls.__setattr__ is object.__setattr__)
        and _makes_plainly(cls)
        and not any(part.metadata or isinstance(part.default, FieldInfo) for part in dataclasses.fields(cls))
        and all(part.init for part in dataclasses.fields(cls))
    )
