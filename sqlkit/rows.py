"""A row type and the columns of a result become a compiled row maker.

A maker takes rows as tuples, as psycopg loads them, and gives objects of the row type. It is generated once for each
(row type, columns): where every column is trusted (see ``trust``) the objects are built directly, else pydantic
validates the batch. Both give equal objects. What does not fit is a ``Mismatch``, which ``execution`` turns into a
``RowError`` with the query's name; the values themselves are in neither.
"""

from __future__ import annotations

import dataclasses
import linecache
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import typing_extensions
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from sqlkit.catalog import JSONS
from sqlkit.collector import paused_collector
from sqlkit.documents import exact_document, plain_documents, reaches_decimal, reads_text, strip_version
from sqlkit.shapes import Column, Mismatch, RowMaker, RowType, adapter_of, classify, describe_type
from sqlkit.trust import Distrust, Step, trusted_dataclass, trusted_model, trusted_step

__all__ = ["row_maker"]

#: From how many rows on the collector is paused: below, the pause costs as much as it saves.
LARGE_BATCH = 200

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

_serial = count(1)


def row_maker(row: RowType, columns: tuple[Column, ...]) -> RowMaker:
    """Return the maker for these columns, compiled at the first call; Mismatch if they cannot fit the row type."""
    maker = row.makers.get(columns)
    if maker is None:
        maker = row.makers[columns] = _compile(row, columns)
    return maker


@dataclass(slots=True)
class Group:
    """A row type, or a nested one, with the columns (by index) and groups that fill its fields."""

    annotation: Any
    shape: str
    fields: Mapping[str, Any]
    nullable: bool = False
    entries: dict[str, int | Group] = field(default_factory=dict)

    def columns(self) -> list[int]:
        """Return the indexes of all columns of the group, nested ones included."""
        found: list[int] = []
        for entry in self.entries.values():
            found.extend(entry.columns() if isinstance(entry, Group) else [entry])
        return found


def _compile(row: RowType, columns: tuple[Column, ...]) -> RowMaker:
    group = _positional(row, columns) if row.shape in ("value", "tuple") else _named(row, columns)
    if not row.validate:
        maker = _Trusted(columns).compile(group)
        if maker is not None:
            return maker
    return _Validated(row, columns).compile(group)


# Which column fills which field.


def _positional(row: RowType, columns: tuple[Column, ...]) -> Group:
    if row.shape == "value":
        if len(columns) != 1:
            raise Mismatch(f"{row} takes one column, the statement returns {len(columns)}")
        return Group(row.annotation, "value", {"0": row.annotation}, entries={"0": 0})
    if len(columns) != len(row.fields):
        raise Mismatch(f"{row} takes {len(row.fields)} columns, the statement returns {len(columns)}")
    return Group(row.annotation, "tuple", row.fields, entries={str(index): index for index in range(len(columns))})


def _named(row: RowType, columns: tuple[Column, ...]) -> Group:
    twice = [name for name, number in Counter(column.name for column in columns).items() if number > 1]
    if twice:
        raise Mismatch(f"two columns are named {twice[0]!r}: give one of them another name with as", twice[0])
    root = Group(row.annotation, row.shape, row.fields)
    for index, column in enumerate(columns):
        _place(root, column.name, column.name.split("."), index)
    _require(root, "")
    return root


def _place(group: Group, whole: str, parts: list[str], index: int) -> None:
    name = _field_named(group, parts[0])
    if name is None:
        if group.shape == "model" and _model(group).model_config.get("extra") in ("allow", "ignore"):
            group.entries[parts[0]] = index
            return
        raise Mismatch(
            f"column {whole!r} has no field in {describe_type(group.annotation)}: add the field or drop the column",
            whole,
        )
    if len(parts) == 1:
        if name in group.entries:
            raise Mismatch(f"two columns fill the field {name!r} of {describe_type(group.annotation)}", whole)
        group.entries[name] = index
        return
    nested = group.entries.get(name)
    if nested is None:
        nested = group.entries[name] = _nested(group, name, whole)
    if not isinstance(nested, Group):
        raise Mismatch(f"columns {parts[0]!r} and {whole!r} both fill the field {name!r}", whole)
    _place(nested, whole, parts[1:], index)


def _model(group: Group) -> type[BaseModel]:
    model: type[BaseModel] = group.annotation
    return model


def _field_named(group: Group, name: str) -> str | None:
    if name in group.fields:
        return name
    if group.shape == "model":
        for field_name, info in _model(group).model_fields.items():
            if name in (info.alias, info.validation_alias):
                return field_name
    return None


def _nested(group: Group, name: str, whole: str) -> Group:
    inner, nullable = _without_none(group.fields[name])
    try:
        shape, fields = classify(inner)
    except TypeError:
        shape, fields = "value", {}
    if shape in ("value", "tuple"):
        raise Mismatch(
            f"column {whole!r}: the field {name!r} of {describe_type(group.annotation)} is "
            f"{describe_type(group.fields[name])}, which has no fields of its own",
            whole,
        )
    return Group(inner, shape, fields, nullable)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """Take ``| None`` and ``Annotated`` off."""
    if get_origin(annotation) is Annotated:
        return _without_none(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        others = [part for part in get_args(annotation) if part is not type(None)]
        if len(others) == 1:
            return _without_none(others[0])[0], len(others) < len(get_args(annotation))
    return annotation, False


def _require(group: Group, prefix: str) -> None:
    for name in group.fields:
        entry = group.entries.get(name)
        if isinstance(entry, Group):
            _require(entry, f"{prefix}{name}.")
        elif entry is None and _is_required(group, name):
            raise Mismatch(
                f"no column for the field {prefix + name!r} of {describe_type(group.annotation)}: select it, or give "
                "the field a default",
                prefix + name,
            )


def _is_required(group: Group, name: str) -> bool:
    cls: Any = get_origin(group.annotation) or group.annotation
    if group.shape == "model":
        return _model(group).model_fields[name].is_required()
    if group.shape == "typed dict":
        return name in cls.__required_keys__
    if group.shape == "named tuple":
        return name not in cls._field_defaults
    part = next(part for part in dataclasses.fields(cls) if part.name == name)
    return part.default is dataclasses.MISSING and part.default_factory is dataclasses.MISSING


# Makers that build objects without validation.


class _Untrusted(Exception):  # noqa: N818 - control flow within this module
    pass


class _Trusted:
    """Generates the maker of a row type all of whose columns are trusted."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self.columns = columns
        self.steps: dict[int, Step] = {}
        self.names: dict[str, Any] = {
            "null": self._null,
            "new": object.__new__,
            "set_dict": BaseModel.__dict__["__dict__"].__set__,
            "set_fields": BaseModel.__dict__["__pydantic_fields_set__"].__set__,
            "set_extra": BaseModel.__dict__["__pydantic_extra__"].__set__,
            "set_private": BaseModel.__dict__["__pydantic_private__"].__set__,
        }
        self.lines: list[str] = []

    def compile(self, group: Group) -> RowMaker | None:
        """Return the maker, or None where something must be validated."""
        try:
            result = self._build(group, "        ")
        except _Untrusted:
            return None
        target = ", ".join(f"c{index}" for index in range(len(self.columns))) + ","
        source = "\n".join(
            [
                "def many(rows):",
                "    made = []",
                "    append = made.append",
                f"    for {target} in rows:",
                *self.lines,
                f"        append({result})",
                "    return made",
                "",
            ]
        )
        function = _execute(source, self.names, describe_type(group.annotation))

        def many(rows: list[tuple[Any, ...]]) -> list[Any]:
            try:
                if len(rows) < LARGE_BATCH:
                    return function(rows)  # type: ignore[no-any-return]
                with paused_collector():
                    return function(rows)  # type: ignore[no-any-return]
            except Distrust:
                raise self._blame(rows) from None

        return RowMaker(many, True, source)

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

    def _column(self, index: int, annotation: Any, schema: Any, indent: str) -> str:
        pgtype = self.columns[index].type
        if pgtype.kind == "b" and pgtype.name in JSONS:
            step: Step | None = document_step(annotation)
        else:
            step = trusted_step(schema, pgtype)
        if step is None:
            raise _Untrusted
        self.steps[index] = step
        name = f"c{index}"
        if not step.nullable:
            self.lines.append(f"{indent}if {name} is None: null({index}, {describe_type(annotation)!r})")
        if step.convert is not None:
            self.names[f"s{index}"] = step.convert
            guard = f"if {name} is not None: " if step.nullable else ""
            self.lines.append(f"{indent}{guard}{name} = s{index}({name})")
        return name

    def _build(self, group: Group, indent: str) -> str:
        if group.shape == "value":
            return self._column(0, group.annotation, adapter_of(group.annotation).core_schema, indent)
        schemas, annotations = _field_schemas(group)
        values: dict[str, str] = {}
        for name, entry in group.entries.items():
            if isinstance(entry, Group):
                if group.shape == "model" and not _is_bare(_model(group).model_fields[name]):
                    raise _Untrusted
                values[name] = self._group(entry, indent)
            else:
                values[name] = self._column(entry, annotations[name], schemas[name], indent)
        return self._construct(group, values, indent)

    def _group(self, group: Group, indent: str) -> str:
        result = f"g{next(_serial)}"
        if not group.nullable:
            self.lines.append(f"{indent}{result} = {self._build(group, indent)}")
            return result
        absent = " and ".join(f"c{index} is None" for index in group.columns())
        self.lines.append(f"{indent}if {absent}: {result} = None")
        self.lines.append(f"{indent}else:")
        built = self._build(group, indent + "    ")
        self.lines.append(f"{indent}    {result} = {built}")
        return result

    def _construct(self, group: Group, values: dict[str, str], indent: str) -> str:
        number = next(_serial)
        made, cls = f"m{number}", f"t{number}"
        if group.shape == "tuple":
            return "(" + "".join(f"{value}, " for value in values.values()) + ")"
        if group.shape == "typed dict":
            return "{" + ", ".join(f"{name!r}: {value}" for name, value in values.items()) + "}"
        self.names[cls] = group.annotation
        if group.shape in ("named tuple", "dataclass"):
            return f"{cls}(" + ", ".join(f"{name}={value}" for name, value in values.items()) + ")"
        model = _model(group)
        ordered = []
        for name, info in model.model_fields.items():
            if name in values:
                ordered.append(f"{name!r}: {values[name]}")
            else:
                self.names[f"d{number}_{name}"] = _plain_default(info)
                ordered.append(f"{name!r}: d{number}_{name}")
        self.names[f"f{number}"] = set(values)
        self.lines += [
            f"{indent}{made} = new({cls})",
            f"{indent}set_dict({made}, {{{', '.join(ordered)}}})",
            f"{indent}set_fields({made}, f{number}.copy())",
            f"{indent}set_extra({made}, None)",
            f"{indent}set_private({made}, None)",
        ]
        return made


def _plain_default(info: FieldInfo) -> Any:
    """Return a default that instances may share; others take the validated path."""
    if info.default_factory is None and isinstance(info.default, str | int | float | bool | None):
        return info.default
    raise _Untrusted


def _is_bare(info: FieldInfo) -> bool:
    return not info.metadata


def _field_schemas(group: Group) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the schema and the annotation of each field, or raise _Untrusted."""
    if group.shape == "model":
        model = _model(group)
        schemas = trusted_model(model)
        if schemas is None or any(name not in schemas for name in group.entries):
            raise _Untrusted
        return schemas, {name: info.rebuild_annotation() for name, info in model.model_fields.items()}
    if group.shape == "dataclass" and not trusted_dataclass(group.annotation):
        raise _Untrusted
    if group.shape == "typed dict" and getattr(group.annotation, "__pydantic_config__", None):
        raise _Untrusted
    plain = {name: _without_required(annotation) for name, annotation in group.fields.items()}
    schemas = {
        name: adapter_of(plain[name]).core_schema
        for name, entry in group.entries.items()
        if not isinstance(entry, Group)
    }
    return schemas, plain


def _without_required(annotation: Any) -> Any:
    if get_origin(annotation) in (typing_extensions.Required, typing_extensions.NotRequired):
        return get_args(annotation)[0]
    return annotation


def document_step(annotation: Any) -> Step:
    """Return how the text of a JSON column becomes a validated value; what it gives needs no validation again."""
    adapter = adapter_of(annotation)
    validator = adapter.validator
    takes_text = reads_text(adapter)
    decimals = reaches_decimal(adapter.core_schema)
    expected = describe_type(annotation)

    def convert(text: Any) -> Any:
        try:
            if text is None:
                return validator.validate_python(None)
            if takes_text:
                return validator.validate_json(strip_version(text))
            return validator.validate_python(exact_document(text, decimals=decimals))
        except ValidationError as error:
            raise Distrust(expected, _document_fault(error, text)) from None
        except (ValueError, RecursionError) as error:
            raise Distrust(expected, f"a JSON document that Python cannot read ({type(error).__name__})") from None

    try:
        validator.validate_python(None)
    except ValidationError:
        return Step(False, convert)
    return Step(True, convert)


def _document_fault(error: ValidationError, text: str | None) -> str:
    if text is None:
        return "NULL"
    if strip_version(text).lstrip()[:5] in ("[null", "[ nul"):
        return (
            "[null], which json_agg makes of an outer join without a match: write "
            "coalesce(json_agg(...) filter (where key is not null), '[]')"
        )
    first = error.errors(include_url=False, include_context=False)[0]
    return f"a JSON document that does not fit ({_telling(first)})"


def _telling(error: Any) -> str:
    return str(error["msg"] if error["type"] in TELLING else error["type"])


# Makers that let pydantic validate a batch.


class _Validated:
    """Generates the maker of a row type that pydantic validates, a batch at a time."""

    def __init__(self, row: RowType, columns: tuple[Column, ...]) -> None:
        self.row = row
        self.columns = columns
        self.names: dict[str, Any] = {}

    def compile(self, group: Group) -> RowMaker:
        """Return the maker."""
        target = ", ".join(f"c{index}" for index in range(len(self.columns))) + ","
        source = f"def shape(rows):\n    return [{self._expression(group)} for {target} in rows]\n"
        shape = _execute(source, self.names, describe_type(group.annotation))
        batch: Any = list[_validatable(self.row)]  # type: ignore[misc]
        validator = TypeAdapter(batch).validator

        def many(rows: list[tuple[Any, ...]]) -> list[Any]:
            with paused_collector() if len(rows) >= LARGE_BATCH else _NOTHING:
                shaped = shape(rows)
                try:
                    made: list[Any] = validator.validate_python(shaped, by_alias=True, by_name=True)
                except ValidationError as error:
                    raise self._mismatch(error) from None
                return made

        return RowMaker(many, False, source)

    def _expression(self, group: Group) -> str:
        parts: list[tuple[str, str]] = []
        for name, entry in group.entries.items():
            if isinstance(entry, Group):
                absent = " and ".join(f"c{index} is None" for index in entry.columns())
                parts.append((name, f"(None if {absent} else {self._expression(entry)})"))
            else:
                parts.append((name, self._column(group, name, entry)))
        if group.shape == "value":
            return parts[0][1]
        if group.shape == "tuple":
            return "(" + "".join(f"{value}, " for _, value in parts) + ")"
        return "{" + ", ".join(f"{name!r}: {value}" for name, value in parts) + "}"

    def _column(self, group: Group, name: str, index: int) -> str:
        pgtype = self.columns[index].type
        annotation = group.fields.get(name, Any)
        if not pgtype.has_json():
            if pgtype.kind == "c" and get_origin(_without_none(annotation)[0]) is tuple:
                return f"(c{index} and tuple(c{index}.values()))"
            return f"c{index}"
        column = self.columns[index].name
        if pgtype.kind == "b" and self._reads_alone(group, name):
            read = document_step(annotation).convert
        else:
            # pydantic reads the plain data together with the rest of the row: its validators want to see it.
            read = plain_documents(pgtype, decimals=reaches_decimal(adapter_of(annotation).core_schema))
        self.names[f"r{index}"] = _naming(column, read)
        return f"r{index}(c{index})"

    def _reads_alone(self, group: Group, name: str) -> bool:
        if group.shape != "model":
            return True
        model = _model(group)
        if name not in model.model_fields or model.model_fields[name].metadata:
            return False
        decorators = model.__pydantic_decorators__
        return not decorators.model_validators and not any(
            name in validator.info.fields or "*" in validator.info.fields
            for validator in decorators.field_validators.values()
        )

    def _mismatch(self, error: ValidationError) -> Mismatch:
        first = error.errors(include_url=False, include_context=False)[0]
        path = [str(part) for part in first["loc"][1:]]
        column = self._column_at(path)
        got = "NULL" if first["input"] is None else type(first["input"]).__name__
        if column is None:
            return Mismatch(f"a row does not fit {self.row}: {_telling(first)}", None, str(self.row), got)
        expected = self._expected(path)
        reason = f"column {column!r}: expected {expected}, got {got} ({_telling(first)})"
        return Mismatch(reason, column, expected, got)

    def _column_at(self, path: list[str]) -> str | None:
        if self.row.shape == "value":
            return self.columns[0].name
        if self.row.shape == "tuple":
            return self.columns[int(path[0])].name if path else None
        names = {column.name for column in self.columns}
        for length in range(len(path), 0, -1):
            if ".".join(path[:length]) in names:
                return ".".join(path[:length])
        if path and path[0] in self.row.fields:
            return path[0]
        return None

    def _expected(self, path: list[str]) -> str:
        if self.row.shape == "value" or not path:
            return str(self.row)
        return describe_type(self.row.fields.get(path[0], self.row.annotation))


class _Nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


_NOTHING = _Nothing()


def _validatable(row: RowType) -> Any:
    """Return the annotation as pydantic takes it: before Python 3.12 it wants typing_extensions' TypedDict."""
    cls = row.annotation
    if row.shape != "typed dict" or type(cls).__module__ != "typing" or sys.version_info >= (3, 12):
        return cls
    hints = {
        name: hint if name in cls.__required_keys__ else typing_extensions.NotRequired[hint]
        for name, hint in typing_extensions.get_type_hints(cls, include_extras=True).items()
    }
    make: Any = typing_extensions.TypedDict
    return make(cls.__name__, hints)


def _naming(column: str, read: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    def read_named(value: Any) -> Any:
        try:
            return read(value) if read else value
        except Distrust as distrust:
            raise Mismatch(f"column {column!r}: {distrust}", column, distrust.expected, distrust.got) from None
        except (ValueError, RecursionError) as error:
            reason = f"column {column!r}: a JSON document that Python cannot read ({type(error).__name__})"
            raise Mismatch(reason, column) from None

    return read_named


def _execute(source: str, names: dict[str, Any], title: str) -> Callable[..., Any]:
    """Compile generated source so that a traceback shows it."""
    filename = f"<sqlkit rows {next(_serial)}: {title}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    namespace = dict(names)
    exec(compile(source, filename, "exec"), namespace)  # noqa: S102 - our own source, of field names and indexes
    function: Callable[..., Any] = namespace["many" if "many" in namespace else "shape"]
    return function
