"""Whether a column's type loads into an annotation: always, only some of its values, or never."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cached_property
from types import NoneType
from typing import Any, get_args, get_origin
from uuid import UUID

from pydantic_core import SchemaError, SchemaValidator, ValidationError

from sqlkit.checking.description import ServerType
from sqlkit.checking.types.relaxing import relaxed, relaxed_config
from sqlkit.checking.types.samples import is_text, samples_of
from sqlkit.rows.shapes import RowField, adapter_of, classify, describe_type, without_none
from sqlkit.rows.trust import class_schema, inner_schemas
from sqlkit.values.catalog import JSONS, PgType

__all__ = ["Expected", "Misfit", "Share", "loading", "natural", "share_of"]

#: The Python type that holds each of PostgreSQL's without loss.
NATURAL = {
    "bool": "bool",
    "int2": "int",
    "int4": "int",
    "int8": "int",
    "oid": "int",
    "float4": "float",
    "float8": "float",
    "numeric": "Decimal",
    "uuid": "UUID",
    "date": "date",
    "time": "time",
    "timetz": "time",
    "timestamp": "datetime",
    "timestamptz": "datetime",
    "interval": "timedelta",
    "bytea": "bytes",
    "inet": "IPv4Address | IPv6Address | IPv4Interface | IPv6Interface",
    "cidr": "IPv4Network | IPv6Network",
}

INTEGERS = frozenset({"int2", "int4", "int8"})

#: What a column of its own type holds better than a text does. Other types of texts (a URL, a path) have none.
TYPED = frozenset({int, float, Decimal, bool, date, datetime, time, timedelta, UUID})


class Share(Enum):
    """How many of a type's values load."""

    ALL = "all"
    SOME = "some"
    NONE = "none"


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
        return describe_type(self.annotation)

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
        try:
            schema = adapter_of(owner).core_schema
        except TypeError:
            return cls(part.annotation)
        inside = _behind_validators(schema)
        if inside is None:
            return cls.anything(part.annotation)
        known = class_schema(owner, inside)
        if known is None or name not in known.fields:
            return cls(part.annotation)
        return cls(part.annotation, known.alone(name), known.config)

    @cached_property
    def schema(self) -> Any:
        """The relaxed schema."""
        return relaxed(adapter_of(self.annotation).core_schema if self._schema is None else self._schema)

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

    @cached_property
    def is_open(self) -> bool:
        """Whether nothing can be said: everything passes, or is made to pass by a validator of the author's."""
        return bool(_bare(self.schema).get("type") == "any")

    @cached_property
    def takes_none(self) -> bool:
        """Whether NULL passes."""
        return self.takes(None)

    @cached_property
    def named_values(self) -> tuple[Any, ...]:
        """The values of the Enums and Literals inside, which a text or a number may spell."""
        return tuple(_named_values(self.schema))

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


def _behind_validators(schema: Any) -> Any:
    """Return a class's schema without the validators behind it; None where one stands in front of it."""
    definitions = None
    if schema["type"] == "definitions":
        definitions, schema = schema["definitions"], schema["schema"]
    while schema["type"].startswith("function-"):
        if schema["type"] != "function-after":
            return None
        schema = schema["schema"]
    return schema if definitions is None else {"type": "definitions", "schema": schema, "definitions": definitions}


def _named_values(schema: Any) -> Iterator[Any]:
    if schema.get("type") == "enum":
        yield from (member.value for member in schema["members"])
    elif schema.get("type") == "literal":
        yield from (part.value if isinstance(part, Enum) else part for part in schema["expected"])
    for part in inner_schemas(schema):
        yield from _named_values(part)


def natural(pgtype: PgType) -> str:
    """Spell the Python type that a column of this type is read as."""
    if pgtype.kind == "a" and pgtype.element:
        return f"list[{natural(pgtype.element)}]"
    if pgtype.kind == "r" and pgtype.element:
        return f"PgRange[{natural(pgtype.element)}]"
    if pgtype.kind == "m" and pgtype.element and pgtype.element.element:
        return f"PgMultirange[{natural(pgtype.element.element)}]"
    if pgtype.kind == "c":
        return "a model of its fields"
    return NATURAL.get(pgtype.name, "str") if pgtype.kind == "b" else "str"


def loading(
    expected: Expected,
    server: ServerType,
    values: tuple[str | int, ...] | None = None,
    *,
    in_table: bool = True,
) -> list[Misfit]:
    """Return what is wrong with a column of a type for what is expected, NULL apart; nothing where all values load.

    ``values`` are those that a CHECK leaves to a text or an integer, None where there is no such CHECK; ``in_table``
    says that it could have one.
    """
    key = (server, values, in_table)
    found = expected.misfits.get(key)
    if found is None:
        said = _Loading(server, values, in_table).misfits(expected, server.structure, f"is {server.name}")
        found = expected.misfits[key] = list(said)
    return found


def share_of(expected: Expected, server: ServerType) -> Share:
    """Tell how many of a type's values load, composites and documents apart."""
    return _Loading(server).share(expected, server.structure)[0]


class _Loading:
    def __init__(self, server: ServerType, values: tuple[str | int, ...] | None = None, in_table: bool = True) -> None:
        self.labels = server.labels
        self.values = values
        self.in_table = in_table

    def misfits(self, expected: Expected, pgtype: PgType, told: str) -> Iterator[Misfit]:
        if pgtype.kind == "b" and pgtype.name in JSONS:
            return
        if pgtype.kind == "c":
            yield from self._composite(expected, pgtype, told)
            return
        share, refused = self.share(expected, pgtype)
        if share is Share.NONE:
            yield Misfit("SK006", f"{told}, which does not load into {expected}: {self._advice(expected, pgtype)}")
        elif share is Share.SOME:
            yield from self._some(expected, pgtype, told, refused)
        else:
            yield from self._loss(expected, pgtype, told)

    def share(self, expected: Expected, pgtype: PgType) -> tuple[Share, list[Any]]:
        """Tell how many of a type's values load, and which samples do not."""
        samples = list(self._samples(expected, pgtype))
        refused = [sample for sample, _ in samples if not expected.takes(sample)]
        if samples and len(refused) == len(samples):
            # An array of two dimensions, which the type does not tell from one of one.
            refused = [nested for _, nested in samples if not expected.takes(nested)] if pgtype.kind == "a" else refused
            if len(refused) == len(samples):
                return Share.NONE, refused
        return Share.SOME if refused else Share.ALL, refused

    def _samples(self, expected: Expected, pgtype: PgType) -> Iterator[tuple[Any, Any]]:
        """Yield samples; of an array, each with the same in two dimensions."""
        if pgtype.kind == "a" and pgtype.element:
            for element, _ in self._samples(expected, pgtype.element):
                for length in _lengths(expected.inner):
                    yield [element] * length, [[element] * length]
            return
        if pgtype.kind == "e":
            found: list[Any] | None = list(self.labels)
        elif self.values is not None and (is_text(pgtype) or pgtype.name in INTEGERS):
            found = list(self.values)
        else:
            found = samples_of(pgtype, self.labels, expected.named_values)
        yield from ((sample, sample) for sample in found or ())

    def _advice(self, expected: Expected, pgtype: PgType) -> str:
        if pgtype.kind == "b" and pgtype.name in ("timestamp", "timestamptz"):
            other, wanted = ("timestamp", "NaiveDatetime")
            if pgtype.name == "timestamp":
                other, wanted = ("timestamptz", "AwareDatetime")
            if expected.takes(samples_of(PgType(other), ())[0]):  # type: ignore[index]
                return f"make it datetime, or the column {other}"
            del wanted
        return f"make it {natural(pgtype)}, or cast the column"

    def _some(self, expected: Expected, pgtype: PgType, told: str, refused: list[Any]) -> Iterator[Misfit]:
        element = pgtype
        while element.kind == "a" and element.element:
            element = element.element
        if element.kind == "e" or self.values is not None:
            spelled = ", ".join(dict.fromkeys(repr(_innermost(sample)) for sample in refused))
            kind = "labels" if element.kind == "e" else "checked values"
            yield Misfit("SK006", f"{told}, whose {kind} {spelled} {expected} does not take: add them to it")
        elif expected.named_values and element.name in INTEGERS:
            if self.in_table:
                told = f"{told}, and any number can stand in it that {expected} does not take"
                yield Misfit("SK021", f"{told}: limit it by a check")
        elif not is_text(element):
            advice = self._advice(expected, pgtype)
            yield Misfit("SK021", f"{told}, and not every value of it loads into {expected}: {advice}")
        elif expected.named_values:
            if not self.in_table:
                return
            yield Misfit(
                "SK021",
                f"{told}, and any text can stand in it that {expected} does not take: make the column an enum, or "
                "limit it by a check",
            )
        elif _element_type(expected.inner) in TYPED:
            yield Misfit(
                "SK021", f"{told}, and not every text loads into {expected}: give the column that type, or cast it"
            )

    def _loss(self, expected: Expected, pgtype: PgType, told: str) -> Iterator[Misfit]:
        schema, element = _bare(expected.schema), pgtype
        while element.kind == "a" and element.element:
            element = element.element
            schema = _bare(schema.get("items_schema", {}))
        if element.kind != "b" or schema.get("type") != "float":
            return
        if element.name == "numeric":
            yield Misfit("SK021", f"{told}, which loses digits in {expected}: make it {natural(pgtype)}")
        elif element.name == "int8":
            yield Misfit("SK021", f"{told}, which loses digits above 2^53 in {expected}: make it {natural(pgtype)}")

    # Composite values, field by field.

    def _composite(self, expected: Expected, pgtype: PgType, told: str) -> Iterator[Misfit]:
        inner = expected.inner
        origin = get_origin(inner) or inner
        if origin is tuple:
            yield from self._tuple(get_args(inner), pgtype, told, expected)
            return
        try:
            shape, fields = classify(inner)
        except TypeError:
            return
        if shape == "value":
            if not expected.takes({name: None for name, _ in pgtype.fields}) and not _is_mapping(origin):
                yield Misfit("SK006", f"{told}, which does not load into {expected}: make it a model of its fields")
            return
        yield from self._fields(inner, fields, pgtype, told)

    def _tuple(self, parts: tuple[Any, ...], pgtype: PgType, told: str, expected: Expected) -> Iterator[Misfit]:
        if Ellipsis in parts:
            return
        if len(parts) != len(pgtype.fields):
            yield Misfit("SK006", f"{told}, which has {len(pgtype.fields)} fields, and {expected} {len(parts)}")
            return
        for part, (name, field) in zip(parts, pgtype.fields, strict=True):
            yield from self._inside(Expected(part), name, field, told)

    def _fields(self, owner: Any, fields: Mapping[str, RowField], pgtype: PgType, told: str) -> Iterator[Misfit]:
        columns = dict(pgtype.fields)
        for name, field in pgtype.fields:
            found = next((own for own, part in fields.items() if name in part.columns or name == own), None)
            if found is not None:
                columns.pop(name)
                yield from self._inside(Expected.of_field(owner, found, fields[found]), name, field, told)
        filled = {name for name, _ in pgtype.fields}
        for own, part in fields.items():
            if part.required and own not in filled and not part.columns & filled:
                yield Misfit("SK006", f"{told}, which has no field {own!r} for {describe_type(owner)}")

    def _inside(self, expected: Expected, name: str, pgtype: PgType, told: str) -> Iterator[Misfit]:
        yield from self.misfits(expected, pgtype, f"{told}, whose field {name!r} is {pgtype}")


def _is_mapping(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _bare(schema: Any) -> Any:
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


def _lengths(inner: Any) -> tuple[int, ...]:
    """Return the lengths of sample arrays: what a tuple wants, which the type does not tell, or one."""
    parts = get_args(inner)
    return (len(parts),) if get_origin(inner) is tuple and parts and Ellipsis not in parts else (1,)


def _innermost(sample: Any) -> Any:
    while isinstance(sample, list) and sample:
        sample = sample[0]
    return sample


def _element_type(annotation: Any) -> Any:
    """Return the one type inside lists and options."""
    while get_args(annotation):
        parts = [part for part in get_args(annotation) if part not in (NoneType, Ellipsis)]
        if len(parts) != 1:
            return None
        annotation = parts[0]
    return annotation
