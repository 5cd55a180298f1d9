"""What one row becomes: the shapes that an annotation can ask for, and their fields."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import typing_extensions
from pydantic import AliasChoices, AliasPath, BaseModel, TypeAdapter
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic.fields import FieldInfo
from typing_extensions import is_typeddict

from sqlkit.values.catalog import PgType

__all__ = [
    "Column",
    "Mismatch",
    "RowField",
    "RowMaker",
    "RowType",
    "Shape",
    "adapter_of",
    "classify",
    "describe_type",
    "is_annotated",
    "validatable",
    "without_none",
]

Shape = Literal["model", "dataclass", "typed dict", "named tuple", "tuple", "value"]

#: What stands around the type of a TypedDict's field.
QUALIFIERS = (typing_extensions.Required, typing_extensions.NotRequired, typing_extensions.ReadOnly)


class Mismatch(Exception):  # never leaves the package: RowError is made of it
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


@dataclass(frozen=True, slots=True)
class RowField:
    """A field of a row type.

    ``key`` is the name under which pydantic takes its value, ``columns`` the names that a column for it may have
    beside the field's own, ``by_name`` says that pydantic must be told to take it by its own name (its aliases are
    paths).
    """

    annotation: Any
    key: str
    columns: frozenset[str] = frozenset()
    required: bool = True
    by_name: bool = False


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

    ``fields`` are by name, for the shapes that have them. ``validate`` is True where nothing is to be trusted. Makers
    are kept here, by columns (``rows.row_maker`` compiles them).
    """

    annotation: Any
    shape: Shape
    fields: Mapping[str, RowField] = field(default_factory=dict)
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


def classify(annotation: Any) -> tuple[Shape, Mapping[str, RowField]]:
    """Return the shape that an annotation asks for, and its fields."""
    origin = get_origin(annotation) or annotation
    if origin is tuple and (not get_args(annotation) or Ellipsis in get_args(annotation)):
        raise TypeError("a tuple names the type of each column: tuple[int, str]")
    adapter_of(annotation)
    if isinstance(origin, type):
        if issubclass(origin, BaseModel) and not origin.__pydantic_root_model__:
            return "model", _described_fields(annotation, annotation.model_fields)
        if is_typeddict(origin):
            return "typed dict", _typed_dict_fields(annotation, origin)
        if issubclass(origin, tuple) and hasattr(origin, "_fields"):
            return "named tuple", _named_tuple_fields(annotation, origin)
        if dataclasses.is_dataclass(origin):
            return "dataclass", _dataclass_fields(annotation, origin)
        if origin is tuple:
            parts = get_args(annotation)
            return "tuple", {str(index): RowField(part, str(index)) for index, part in enumerate(parts)}
    return "value", {}


# The fields of each shape.


def _described_fields(cls: Any, infos: Mapping[str, FieldInfo]) -> dict[str, RowField]:
    """Return the fields of a class for which pydantic keeps a description of each."""
    config = getattr(cls, "model_config", None) or getattr(cls, "__pydantic_config__", None) or {}
    by_alias = config.get("validate_by_alias", True)
    by_name = config.get("validate_by_name") or config.get("populate_by_name") or not by_alias
    fields = {}
    for name, info in infos.items():
        if info.init is False:
            continue
        fields[name] = _field(name, info, _annotation_of(info), info.is_required(), bool(by_alias), bool(by_name))
    return fields


def _field(
    name: str, info: FieldInfo, annotation: Any, required: bool, by_alias: bool = True, by_name: bool = False
) -> RowField:
    aliases = list(_spelled(info.validation_alias))
    key = aliases[0] if aliases and by_alias else name
    unreachable = info.validation_alias is not None and key == name and name not in aliases and not by_name
    columns = {*aliases, *([info.alias] if info.alias else [])}
    return RowField(annotation, key, frozenset(columns), required, by_name=unreachable)


def _spelled(alias: str | AliasChoices | AliasPath | None) -> Iterator[str]:
    """Yield the names among aliases: a column has a name and no path."""
    if isinstance(alias, str):
        yield alias
    elif isinstance(alias, AliasChoices):
        for choice in alias.choices:
            yield from _spelled(choice)
    elif isinstance(alias, AliasPath) and len(alias.path) == 1:
        yield str(alias.path[0])


def _annotation_of(info: FieldInfo) -> Any:
    annotation: Any = info.rebuild_annotation()
    if info.discriminator is not None:
        return Annotated[annotation, FieldInfo(discriminator=info.discriminator)]
    return annotation


def _typed_dict_fields(annotation: Any, cls: Any) -> dict[str, RowField]:
    required = _required_keys(cls)
    return {
        name: _field(name, FieldInfo.from_annotation(hint), hint, name in required)
        for name, hint in _hints(annotation, cls).items()
    }


def _required_keys(cls: Any) -> frozenset[str]:
    """Return a TypedDict's required keys; Python itself does not see what annotations say that are still text."""
    required = set(cls.__required_keys__)
    for name, hint in typing_extensions.get_type_hints(cls, include_extras=True).items():
        said = _said_of_field(hint)
        if typing_extensions.Required in said:
            required.add(name)
        elif typing_extensions.NotRequired in said:
            required.discard(name)
    return frozenset(required)


def _said_of_field(hint: Any) -> list[Any]:
    origin: Any = get_origin(hint)
    if origin is Annotated or origin in QUALIFIERS:
        return [origin, *_said_of_field(get_args(hint)[0])]
    return []


def _named_tuple_fields(annotation: Any, cls: Any) -> dict[str, RowField]:
    hints = _hints(annotation, cls)
    return {
        name: _field(name, FieldInfo.from_annotation(hint), hint, name not in cls._field_defaults)
        for name, hint in ((name, hints.get(name, Any)) for name in cls._fields)
    }


def _dataclass_fields(annotation: Any, cls: Any) -> dict[str, RowField]:
    hints = _hints(annotation, cls)
    if is_pydantic_dataclass(cls):
        infos: dict[str, FieldInfo] = cls.__pydantic_fields__
        fields = _described_fields(cls, infos)
        if annotation is cls:
            return fields
        return {name: dataclasses.replace(part, annotation=hints[name]) for name, part in fields.items()}
    found = {}
    for part in cls.__dataclass_fields__.values():  # dataclasses.fields leaves out what is only for __post_init__
        hint = hints.get(part.name, Any)
        if not part.init or part._field_type is dataclasses._FIELD_CLASSVAR:  # type: ignore[attr-defined]
            continue
        if isinstance(part.default, FieldInfo):
            info = FieldInfo.from_annotated_attribute(hint, part.default)
            found[part.name] = _field(part.name, info, _annotation_of(info), info.is_required())
        else:
            required = part.default is dataclasses.MISSING and part.default_factory is dataclasses.MISSING
            found[part.name] = _field(part.name, FieldInfo.from_annotation(hint), hint, required)
    return found


def _hints(annotation: Any, cls: Any) -> dict[str, Any]:
    """Return the annotations of a class's fields, with a generic's parameters filled in."""
    filled = dict(zip(getattr(cls, "__parameters__", ()), get_args(annotation), strict=False))
    hints = typing_extensions.get_type_hints(cls, include_extras=True)
    return {name: _fill(_unqualified(hint), filled) for name, hint in hints.items()}


def _unqualified(hint: Any) -> Any:
    """Take off what is said of the field and not of its type."""
    if isinstance(hint, dataclasses.InitVar):
        return hint.type
    if get_origin(hint) in QUALIFIERS:
        return _unqualified(get_args(hint)[0])
    if get_origin(hint) is Annotated and get_origin(hint.__origin__) in QUALIFIERS:
        return Annotated[(_unqualified(hint.__origin__), *hint.__metadata__)]
    return hint


def _fill(hint: Any, filled: Mapping[Any, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return filled.get(hint, hint)
    parameters = () if isinstance(hint, type) else getattr(hint, "__parameters__", ())
    if not filled or not parameters:
        return hint
    generic: Any = hint
    return generic[tuple(filled.get(parameter, parameter) for parameter in parameters)]


def without_none(annotation: Any) -> tuple[Any, bool]:
    """Take ``| None`` and ``Annotated`` off; tell whether None was allowed."""
    if get_origin(annotation) is Annotated:
        return without_none(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        others = [part for part in get_args(annotation) if part is not NoneType]
        if len(others) == 1:
            inner, nullable = without_none(others[0])
            return inner, nullable or len(others) < len(get_args(annotation))
    return annotation, False


def is_annotated(annotation: Any) -> bool:
    """Tell whether something is said of a type beside ``| None``."""
    if get_origin(annotation) is Annotated:
        return True
    return get_origin(annotation) in (Union, UnionType) and any(map(is_annotated, get_args(annotation)))


def adapter_of(annotation: Any) -> TypeAdapter[Any]:
    """Return pydantic's adapter for an annotation; TypeError where there is no schema for it."""
    try:
        return TypeAdapter(validatable(annotation))
    except Warning:  # where warnings are errors
        raise
    except Exception as error:
        raise TypeError(f"pydantic has no schema for {describe_type(annotation)}: {error}".split("\n")[0]) from None


def validatable(annotation: Any, _around: tuple[Any, ...] = ()) -> Any:
    """Return the annotation as pydantic takes it: before Python 3.12 it wants typing_extensions' TypedDict."""
    if sys.version_info >= (3, 12):
        return annotation
    cls = get_origin(annotation) or annotation
    if is_typeddict(cls) and type(cls).__module__ == "typing" and cls not in _around:
        return _retyped(annotation, cls, (*_around, cls))
    if get_origin(annotation) is Annotated:
        inner = validatable(annotation.__origin__, _around)
        return annotation if inner is annotation.__origin__ else Annotated[(inner, *annotation.__metadata__)]
    parts = get_args(annotation)
    changed = tuple(validatable(part, _around) for part in parts)
    if all(new is old for new, old in zip(changed, parts, strict=True)):
        return annotation
    if get_origin(annotation) is UnionType:
        return Union[changed]  # noqa: UP007 - of a tuple
    return annotation.copy_with(changed) if hasattr(annotation, "copy_with") else cls[changed]


def _retyped(annotation: Any, cls: Any, around: tuple[Any, ...]) -> Any:
    required = _required_keys(cls)
    hints = {
        name: hint if name in required else typing_extensions.NotRequired[hint]
        for name, hint in ((name, validatable(hint, around)) for name, hint in _hints(annotation, cls).items())
    }
    make: Any = typing_extensions.TypedDict
    made = make(cls.__name__, hints)
    if hasattr(cls, "__pydantic_config__"):
        made.__pydantic_config__ = cls.__pydantic_config__
    return made
