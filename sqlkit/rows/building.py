"""Makers that build objects without validation, where every column is trusted (see ``trust``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import count
from typing import Any, get_origin
from uuid import UUID

from pydantic import BaseModel

from sqlkit.rows.blanks import blank_of, blank_of_dataclass, is_generated_tuple
from sqlkit.rows.collector import paused_collector
from sqlkit.rows.generated import LARGE_BATCH, compiled, target_of
from sqlkit.rows.groups import Group
from sqlkit.rows.shapes import Column, Mismatch, RowMaker, adapter_of, describe_type
from sqlkit.rows.trust import ClassSchema, Distrust, Step, class_schema, trusted_step
from sqlkit.values.catalog import JSONS
from sqlkit.values.documents import Documents

__all__ = ["building_maker"]

#: Defaults that instances may share.
Immutable = str | int | float | bool | bytes | Decimal | Enum | date | time | timedelta | UUID | None


class Untrusted(Exception):  # control flow within this module
    """Something must be validated."""


def building_maker(group: Group, columns: tuple[Column, ...]) -> RowMaker | None:
    """Return the maker of a row type, or None where something must be validated."""
    try:
        return _Building(columns).compile(group)
    except Untrusted:
        return None


class _Building:
    def __init__(self, columns: tuple[Column, ...]) -> None:
        self.columns = columns
        self.serial = count(1)
        self.steps: dict[int, Step] = {}
        self.names: dict[str, Any] = {
            "null": self._null,
            "new": object.__new__,
            "new_tuple": tuple.__new__,
            "set_dict": BaseModel.__dict__["__dict__"].__set__,
            "set_fields": BaseModel.__dict__["__pydantic_fields_set__"].__set__,
            "set_extra": BaseModel.__dict__["__pydantic_extra__"].__set__,
            "set_private": BaseModel.__dict__["__pydantic_private__"].__set__,
        }
        self.lines: list[str] = []

    def compile(self, group: Group) -> RowMaker:
        result = self._build(group, "        ")
        lines = [
            "def many(rows):",
            "    made = []",
            "    append = made.append",
            f"    for {target_of(len(self.columns))} in rows:",
            *self.lines,
            f"        append({result})",
            "    return made",
            "",
        ]
        source = "\n".join(lines)
        function = compiled("many", source, self.names, describe_type(group.annotation))

        def many(rows: list[tuple[Any, ...]]) -> list[Any]:
            try:
                if len(rows) < LARGE_BATCH:
                    return function(rows)  # type: ignore[no-any-return]
                with paused_collector():
                    return function(rows)  # type: ignore[no-any-return]
            except Distrust:
                raise self._blame(rows) from None

        return RowMaker(many, True, source)

    # What is raised for values that do not fit.

    def _null(self, index: int, annotation: str) -> None:
        name = self.columns[index].name
        raise Mismatch(f"column {name!r}: expected {annotation}, got NULL", name, annotation, "NULL")

    def _blame(self, rows: list[tuple[Any, ...]]) -> Mismatch:
        for row in rows:
            for index, step in self.steps.items():
                try:
                    if row[index] is not None and step.convert:
                        step.convert(row[index])
                except Distrust as distrust:
                    name = self.columns[index].name
                    return Mismatch(f"column {name!r}: {distrust}", name, distrust.expected, distrust.got)
        return Mismatch("a row does not fit")

    # The lines that check and convert, and the expressions that make.

    def _build(self, group: Group, indent: str) -> str:
        if group.shape == "value":
            return self._alone(0, group.annotation, indent)
        if group.shape in ("tuple", "named tuple"):
            if group.shape == "named tuple" and "_fields" not in vars(_class_of(group)):
                raise Untrusted  # a subclass, which may make itself in its own way
            read = {
                name: self._group(entry, indent)
                if isinstance(entry, Group)
                else self._alone(entry, group.fields[name].annotation, indent)
                for name, entry in group.entries.items()
            }
            return self._construct(group, read, indent)
        known = class_schema(group.annotation, adapter_of(group.annotation).core_schema)
        if known is None or not known.trusted or any(name not in known.fields for name in group.entries):
            raise Untrusted
        values = {
            name: self._group(entry, indent)
            if isinstance(entry, Group)
            else self._field(entry, group.fields[name].annotation, known, name, indent)
            for name, entry in group.entries.items()
        }
        if group.shape == "model":
            return self._construct_model(group, values, known, indent)
        if any(part.get("validate_default") for name, part in known.fields.items() if name not in values):
            raise Untrusted
        return self._construct(group, values, indent)

    def _alone(self, index: int, annotation: Any, indent: str) -> str:
        """Return the value of a column whose annotation is all that pydantic knows of it."""
        if _is_document(self.columns[index]):
            return self._value(index, Documents.of(annotation).step(), annotation, indent)
        schema: Any = adapter_of(annotation).core_schema
        definitions: dict[str, Any] = {}
        if schema["type"] == "definitions":
            definitions = {part["ref"]: part for part in schema["definitions"]}
            schema = schema["schema"]
        step = trusted_step(schema, self.columns[index].type, definitions)
        return self._value(index, step, annotation, indent)

    def _field(self, index: int, annotation: Any, known: ClassSchema, name: str, indent: str) -> str:
        """Return the value of a column that is a field of a class."""
        if _is_document(self.columns[index]):
            step = Documents.of_field(annotation, known, name).step()
        else:
            step = trusted_step(known.fields[name], self.columns[index].type, known.definitions)
        return self._value(index, step, annotation, indent)

    def _value(self, index: int, step: Step | None, annotation: Any, indent: str) -> str:
        """Write the lines that look at a column's value and convert it; return its name."""
        if step is None:
            raise Untrusted
        self.steps[index] = step
        name = f"c{index}"
        if not step.nullable:
            self.lines.append(f"{indent}if {name} is None: null({index}, {describe_type(annotation)!r})")
        if step.convert is not None:
            self.names[f"s{index}"] = step.convert
            guard = f"if {name} is not None: " if step.nullable else ""
            self.lines.append(f"{indent}{guard}{name} = s{index}({name})")
        return name

    def _group(self, group: Group, indent: str) -> str:
        """Return the name of a nested object, or of the None that stands for it where all its columns are NULL."""
        if not group.bare:
            raise Untrusted
        number = next(self.serial)
        result = f"g{number}"
        self.lines.append(f"{indent}if {group.absent()}:")
        if group.nullable:
            self.lines.append(f"{indent}    {result} = None")
        else:
            self.names[f"missing{number}"] = _raising(group)
            self.lines.append(f"{indent}    missing{number}()")
        self.lines.append(f"{indent}else:")
        built = self._build(group, indent + "    ")
        self.lines.append(f"{indent}    {result} = {built}")
        return result

    def _construct(self, group: Group, values: dict[str, str], indent: str) -> str:
        if group.shape == "tuple":
            return "(" + "".join(f"{value}, " for value in values.values()) + ")"
        if group.shape == "typed dict":
            return "{" + ", ".join(f"{name!r}: {value}" for name, value in values.items()) + "}"
        number = next(self.serial)
        cls = self.names[f"t{number}"] = _class_of(group)
        if group.shape == "named tuple" and set(values) == set(cls._fields) and is_generated_tuple(cls):
            return f"new_tuple(t{number}, ({', '.join(values[name] for name in cls._fields)},))"
        if group.shape == "dataclass" and len(values) == len(dataclasses.fields(cls)):
            blank = blank_of_dataclass(cls)
            if blank is not None:
                return self._store(number, blank, values, indent)
        return f"t{number}(" + ", ".join(f"{name}={value}" for name, value in values.items()) + ")"

    def _store(self, number: int, blank: type, values: dict[str, str], indent: str) -> str:
        """Write the lines that set the attributes of a new object; return its name."""
        made = f"m{number}"
        self.names[f"b{number}"] = blank
        self.lines += [
            f"{indent}{made} = new(b{number})",
            *(f"{indent}{made}.{name} = {value}" for name, value in values.items()),
        ]
        if blank is not self.names[f"t{number}"]:
            self.lines.append(f"{indent}{made}.__class__ = t{number}")
        return made

    def _construct_model(self, group: Group, values: dict[str, str], known: ClassSchema, indent: str) -> str:
        number = next(self.serial)
        made, cls, copied = f"m{number}", f"t{number}", f"f{number}"
        self.names[cls] = group.annotation
        self.names[copied] = set(values).copy().copy  # of a copy, whose table is no larger than it must be
        fields = {name: values.get(name) or self._default(name, known) for name in group.annotation.model_fields}
        blank = blank_of(group.annotation)
        if blank is None:
            pairs = ", ".join(f"{name!r}: {value}" for name, value in fields.items())
            lines = [
                f"{made} = new({cls})",
                f"set_dict({made}, {{{pairs}}})",
                f"set_fields({made}, {copied}())",
                f"set_extra({made}, None)",
                f"set_private({made}, None)",
            ]
        else:
            self.names[f"b{number}"] = blank
            lines = [
                f"{made} = b{number}()",
                *(f"{made}.{name} = {value}" for name, value in fields.items()),
                f"{made}.__pydantic_fields_set__ = {copied}()",
                f"{made}.__pydantic_extra__ = {made}.__pydantic_private__ = None",
                f"{made}.__class__ = {cls}",
            ]
        self.lines += [indent + line for line in lines]
        return made

    def _default(self, name: str, known: ClassSchema) -> str:
        """Return the expression of a default; Untrusted where pydantic would copy, compute or validate it."""
        schema = known.fields[name]
        if schema["type"] != "default" or schema.get("validate_default"):
            raise Untrusted
        variable = f"d{next(self.serial)}"
        if "default_factory" in schema:
            if schema.get("default_factory_takes_data"):
                raise Untrusted
            self.names[variable] = schema["default_factory"]
            return f"{variable}()"
        if not isinstance(schema["default"], Immutable):
            raise Untrusted
        self.names[variable] = schema["default"]
        return variable


def _is_document(column: Column) -> bool:
    return column.type.kind == "b" and column.type.name in JSONS


def _class_of(group: Group) -> Any:
    return get_origin(group.annotation) or group.annotation


def _raising(group: Group) -> Callable[[], None]:
    def missing() -> None:
        raise group.missing()

    return missing
