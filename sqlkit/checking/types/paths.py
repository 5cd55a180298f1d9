"""The annotation of what a statement reads from an argument: ``:song.title``, and the fields of a batch's items."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from functools import cached_property
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel
from typing_extensions import TypeAliasType

from sqlkit.annotations import Unset
from sqlkit.rows.shapes import classify

__all__ = ["annotation_at", "members", "without_unset"]


def members(annotation: Any) -> tuple[Any, ...]:
    """Return the types that a union is of, aliases, NewTypes, type variables and ``Annotated`` seen through."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, TypeAliasType):
            annotation = annotation.__value__
        elif isinstance(get_origin(annotation), TypeAliasType):
            annotation = get_origin(annotation).__value__[get_args(annotation)]
        elif hasattr(annotation, "__supertype__"):  # a NewType
            annotation = annotation.__supertype__
        elif isinstance(annotation, TypeVar):
            constraints = annotation.__constraints__
            annotation = Union[constraints] if constraints else annotation.__bound__ or Any  # noqa: UP007 - of a tuple
        else:
            break
    if get_origin(annotation) in (Union, UnionType):
        return tuple(dict.fromkeys(inner for part in get_args(annotation) for inner in members(part)))
    return (NoneType if annotation is None else annotation,)


def without_unset(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Leave out what is never sent."""
    return tuple(part for part in parts if part is not Unset)


def annotation_at(annotation: Any, path: tuple[str, ...]) -> Any:
    """Return the annotation of what a path reads from a value; a None on the way ends it with None.

    Any where the type does not tell.
    """
    for name in path:
        parts = without_unset(members(annotation))
        found = [NoneType if part is NoneType else _attribute(part, name) for part in parts]
        annotation = Union[tuple(found)] if found else Any  # noqa: UP007 - of a tuple
    return annotation


def _attribute(annotation: Any, name: str) -> Any:
    cls: Any = get_origin(annotation) or annotation
    if not isinstance(cls, type):
        return Any
    if issubclass(cls, Mapping) and get_args(annotation):
        return get_args(annotation)[1]
    try:
        _, fields = classify(annotation)
    except TypeError:
        fields = {}
    if name in fields:
        return fields[name].annotation
    return _declared(cls, name)


def _declared(cls: type, name: str) -> Any:
    if issubclass(cls, BaseModel) and name in cls.model_computed_fields:
        return cls.model_computed_fields[name].return_type
    member = getattr(cls, name, None)
    function: Any = None
    if isinstance(member, property):
        function = member.fget
    elif isinstance(member, cached_property):
        function = member.func
    try:
        if function is not None:
            return typing.get_type_hints(function, include_extras=True).get("return", Any)
        return typing.get_type_hints(cls, include_extras=True).get(name, Any)
    except (NameError, TypeError):
        return Any
