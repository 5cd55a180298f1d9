"""Makers that let pydantic validate the rows, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from typing import Annotated, Any, get_args, get_origin

from pydantic import Strict, TypeAdapter, ValidationError
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic_core import ErrorDetails

from sqlkit.rows.collector import paused_collector
from sqlkit.rows.generated import LARGE_BATCH, compiled, target_of
from sqlkit.rows.groups import Group
from sqlkit.rows.shapes import Column, Mismatch, RowMaker, RowType, adapter_of, describe_type, validatable, without_none
from sqlkit.rows.trust import Distrust, class_schema
from sqlkit.values.catalog import PgType
from sqlkit.values.composites import composite_reader
from sqlkit.values.documents import NULL_LIST, UNREADABLE, Documents, plain_documents, reaches_decimal, telling

__all__ = ["validating_maker"]

Read = Callable[[Any], Any]


def validating_maker(row: RowType, group: Group, columns: tuple[Column, ...]) -> RowMaker:
    """Return the maker of a row type that pydantic validates."""
    return _Validating(row, columns).compile(group)


class _Validating:
    """Shapes rows into what pydantic takes: dicts by the names that it reads, tuples, or bare values."""

    def __init__(self, row: RowType, columns: tuple[Column, ...]) -> None:
        self.row = row
        self.columns = columns
        self.names: dict[str, Any] = {}

    def compile(self, group: Group) -> RowMaker:
        expression = self._expression(group)
        source = f"def shape(rows):\n    return [{expression} for {target_of(len(self.columns))} in rows]\n"
        shape = compiled("shape", source, self.names, describe_type(group.annotation))
        batch: Any = list[validatable(self.row.annotation)]  # type: ignore[misc]
        validator = TypeAdapter(batch).validator
        by_name = True if _wants_names(group) else None

        def many(rows: list[tuple[Any, ...]]) -> list[Any]:
            with _pause(len(rows)):
                shaped = shape(rows)
                try:
                    made: list[Any] = validator.validate_python(shaped, by_name=by_name)
                except ValidationError as error:
                    raise self._mismatch(group, first_of(error), 1) from None
                return made

        return RowMaker(many, False, source)

    # What pydantic is given.

    def _expression(self, group: Group) -> str:
        parts: list[tuple[str, str]] = []
        for name, entry in group.entries.items():
            if isinstance(entry, Group):
                parts.append((group.key(name), f"(None if {entry.absent()} else {self._expression(entry)})"))
            else:
                parts.append((group.key(name), self._column(group, name, entry)))
        if group.shape == "value":
            return parts[0][1]
        if group.shape == "tuple":
            return "(" + "".join(f"{value}, " for _, value in parts) + ")"
        shaped = "{" + ", ".join(f"{key!r}: {value}" for key, value in parts) + "}"
        return self._called(group, shaped) if _is_strict_dataclass(group) else shaped

    def _called(self, group: Group, shaped: str) -> str:
        """Make a strict dataclass by calling it: pydantic would take nothing but an instance."""

        def call(values: dict[str, Any]) -> Any:
            try:
                return group.annotation(**values)
            except ValidationError as error:
                raise self._mismatch(group, first_of(error), 0) from None

        name = f"call{len(self.names)}"
        self.names[name] = call
        return f"{name}({shaped})"

    def _column(self, group: Group, name: str, index: int) -> str:
        column = self.columns[index]
        part = group.fields.get(name)
        annotation = Any if part is None else part.annotation
        readers = [
            self._documents(group, name, annotation, column),
            composite_reader(annotation, column.type),
            _label_reader(group, annotation, column.type),
        ]
        expression = f"c{index}"
        for number, read in enumerate(reader for reader in readers if reader is not None):
            self.names[f"r{index}_{number}"] = read
            expression = f"r{index}_{number}({expression})"
        return expression

    def _documents(self, group: Group, name: str, annotation: Any, column: Column) -> Read | None:
        if not column.type.has_json():
            return None
        documents = _documents_of(group, name, annotation)
        if documents is not None and documents.settled and column.type.kind == "b":
            return _naming(column.name, annotation, documents.read)
        # pydantic reads the plain data together with the rest of the row: its validators want to see it.
        decimals = reaches_decimal(adapter_of(annotation).core_schema)
        return _naming(column.name, annotation, plain_documents(column.type, decimals=decimals))

    # What it says against them.

    def _mismatch(self, group: Group, error: ErrorDetails, depth: int) -> Mismatch:
        """Turn pydantic's first error into one that names the column; ``depth`` of its location is above it."""
        at, name, rest = _followed(group, error["loc"][depth:])
        got = "NULL" if error["input"] is None else type(error["input"]).__name__
        if name is None:
            if at.path and error["input"] is None:
                return at.missing()
            place = f"column {at.path!r}: " if at.path else ""
            expected = describe_type(at.annotation)
            return Mismatch(f"{place}a row does not fit {expected}: {telling(error)}", at.path or None, expected, got)
        entry = at.entries.get(name)
        expected = describe_type(at.fields[name].annotation) if name in at.fields else "Any"
        column = self.columns[entry].name if isinstance(entry, int) else f"{at.path}.{name}" if at.path else name
        if rest and isinstance(entry, int) and self.columns[entry].type.has_json():
            if error["input"] is None and rest[-1] == 0:
                return Mismatch(f"column {column!r}: expected {expected}, got {NULL_LIST}", column, expected, got)
            got = f"a JSON document that does not fit ({telling(error)})"
            return Mismatch(f"column {column!r}: expected {expected}, got {got}", column, expected, got)
        reason = f"column {column!r}: expected {expected}, got {got} ({telling(error)})"
        return Mismatch(reason, column, expected, got)


def _followed(group: Group, location: tuple[int | str, ...]) -> tuple[Group, str | None, tuple[int | str, ...]]:
    """Follow a location of pydantic's: the group, the field in it (None for the group itself), and what lies inside."""
    if group.shape == "value":
        return group, "0", location
    for position, part in enumerate(location):
        name = _name_of(group, str(part))
        if name is None:
            return group, None, ()
        entry = group.entries.get(name)
        if not isinstance(entry, Group):
            return group, name, location[position + 1 :]
        group = entry
    return group, None, ()


def _name_of(group: Group, key: str) -> str | None:
    for name in (*group.entries, *group.fields):
        if key in (group.key(name), name):
            return name
    return None


def first_of(error: ValidationError) -> ErrorDetails:
    """Return the first of pydantic's errors."""
    return error.errors(include_url=False, include_context=False)[0]


def _pause(number: int) -> AbstractContextManager[object]:
    return paused_collector() if number >= LARGE_BATCH else nullcontext()


def _wants_names(group: Group) -> bool:
    """Tell whether a field can only be reached by its own name, which its class does not allow by itself."""
    return any(
        _wants_names(entry) if isinstance(entry, Group) else name in group.fields and group.fields[name].by_name
        for name, entry in group.entries.items()
    )


def _is_strict_dataclass(group: Group) -> bool:
    cls: Any = get_origin(group.annotation) or group.annotation
    return group.shape == "dataclass" and is_pydantic_dataclass(cls) and bool(group.config().get("strict"))


def _documents_of(group: Group, name: str, annotation: Any) -> Documents | None:
    """Return how a field's documents may be read before the row, None where validators want to see it as it is."""
    if group.shape in ("value", "tuple", "named tuple"):
        return Documents.of(annotation)
    known = class_schema(group.annotation, adapter_of(group.annotation).core_schema)
    return Documents.of_field(annotation, known, name) if known and name in known.fields else None


def _naming(column: str, annotation: Any, read: Read) -> Read:
    """Name the column in what a document's reader raises."""
    expected = describe_type(annotation)

    def read_named(value: Any) -> Any:
        try:
            return read(value)
        except Distrust as distrust:
            raise Mismatch(f"column {column!r}: {distrust}", column, distrust.expected, distrust.got) from None
        except UNREADABLE as error:
            got = f"a JSON document that Python cannot read ({type(error).__name__})"
            raise Mismatch(f"column {column!r}: expected {expected}, got {got}", column, expected, got) from None

    return read_named


def _label_reader(group: Group, annotation: Any, pgtype: PgType) -> Read | None:
    """Return what turns labels into members for strict fields: pydantic would take nothing but a member."""
    if not group.config().get("strict") and not _says_strict(annotation):
        return None
    inner, _ = without_none(annotation)
    if get_origin(inner) is list and pgtype.kind == "a" and pgtype.element:
        read = _label_reader(group, Annotated[get_args(inner)[0], Strict()], pgtype.element)
        return read and (lambda value: value and [read(item) for item in value])
    if not (isinstance(inner, type) and issubclass(inner, Enum)):
        return None
    members: Mapping[Any, Any] = inner._value2member_map_
    return lambda value: members.get(value, value) if isinstance(value, str | int) else value


def _says_strict(annotation: Any) -> bool:
    if get_origin(annotation) is not Annotated:
        return any(map(_says_strict, get_args(annotation)))
    said: Sequence[Any] = annotation.__metadata__
    return any(isinstance(part, Strict) and part.strict for part in said)
