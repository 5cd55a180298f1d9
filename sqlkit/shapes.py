"""What one row becomes: the shapes that an annotation can ask for, and their fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args, get_origin

import typing_extensions
from pydantic import BaseModel, TypeAdapter
from typing_extensions import is_typeddict

from sqlkit.catalog import PgType

__all__ = ["Column", "Mismatch", "RowMaker", "RowType", "adapter_of", "classify", "describe_type"]

Shape = Literal["model", "dataclass", "typed dict", "named tuple", "tuple", "value"]


class Mismatch(Exception):  # noqa: N818 - never leaves the package: RowError is made of it
    """A row or a result that does not fit: ``column`` (None for the whole), ``expected``, ``got``, in words."""

    def __init__(self, reason: str, column: str | None = None, expected: str | None = None, got: str | None = None):
        super().__init__(reason)
        self.reason = reason
        self.column = column
        self.expected = expected
        self.got = got


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result."""

    name: str
    type: PgType


@dataclass(frozen=True, slots=True)
class RowMaker:
    """``many`` turns rows (tuples) into objects; ``trusted`` says whether without validation."""

    many: Callable[[list[tuple[Any, ...]]], list[Any]]
    trusted: bool
    source: str = ""


def describe_type(annotation: Any) -> str:
    """Spell an annotation as its author would."""
    if annotation is None or annotation is type(None):
        return "None"
    if get_origin(annotation) is Annotated:
        return describe_type(get_args(annotation)[0])
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "")


@dataclass(eq=False, slots=True)
class RowType:
    """What one row becomes: a model, another shape with fields, or the one value of the one column.

    ``fields`` maps field names to annotations, for the shapes that have them. ``validate`` is True where nothing is
    to be trusted. Makers are kept here, by columns
    (``rows.row_maker`` compiles them).
    """

    annotation: Any
    shape: Shape
    fields: Mapping[str, Any] = field(default_factory=dict)
    validate: bool = False
    makers: dict[tuple[Column, ...], RowMaker] = field(default_factory=dict)

    @classmethod
    def of(cls, annotation: Any, *, validate: bool = False) -> RowType:
        """Classify an annotation; TypeError says why it is no row type."""
        shape, fields = classify(annotation)
        return cls(annotation, shape, fields, validate)

    @classmethod
    def value(cls, annotation: Any, *, validate: bool = False) -> RowType:
        """Return the type of a result with one column, whatever the annotation would mean as a row."""
        adapter_of(annotation)
        return cls(annotation, "value", {}, validate)

    def __str__(self) -> str:
        return describe_type(self.annotation)


def classify(annotation: Any) -> tuple[Shape, Mapping[str, Any]]:
    """Return the shape that an annotation asks for, and its fields with their annotations."""
    origin = get_origin(annotation) or annotation
    if isinstance(origin, type):
        if issubclass(origin, BaseModel) and not origin.__pydantic_root_model__:
            adapter_of(annotation)
            return "model", {name: info.annotation for name, info in annotation.model_fields.items()}
        if is_typeddict(origin):
            return "typed dict", typing_extensions.get_type_hints(origin, include_extras=True)
        if issubclass(origin, tuple) and hasattr(origin, "_fields"):
            hints = typing_extensions.get_type_hints(origin, include_extras=True)
            return "named tuple", {name: hints.get(name, Any) for name in vars(origin)["_fields"]}
        if dataclasses.is_dataclass(origin):
            hints = typing_extensions.get_type_hints(origin, include_extras=True)
            return "dataclass", {part.name: hints[part.name] for part in dataclasses.fields(origin) if part.init}
        if origin is tuple:
            parts = get_args(annotation)
            if not parts or Ellipsis in parts:
                raise TypeError("a tuple names the type of each column: tuple[int, str]")
            return "tuple", {str(index): part for index, part in enumerate(parts)}
    adapter_of(annotation)
    return "value", {}


def adapter_of(annotation: Any) -> TypeAdapter[Any]:
    """Return pydantic's adapter for an annotation; TypeError where there is no schema for it."""
    try:
        return TypeAdapter(annotation)
    except Exception as error:
        raise TypeError(f"pydantic has no schema for {describe_type(annotation)}: {error}".split("\n")[0]) from None
