"""The fields of arguments and of a batch's items: how ``:song.title`` and a batch's ``:title`` are read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from operator import attrgetter, itemgetter
from typing import Any, get_origin

from pydantic import BaseModel
from typing_extensions import is_typeddict

from sqlkit.annotations import UNSET
from sqlkit.rows.shapes import describe_type

__all__ = ["access", "field_names", "is_given", "is_mapping", "read_path", "reader_of_all"]


def field_names(annotation: Any) -> Collection[str] | None:
    """Return the names that can be read from values of a type, or None where the annotation does not tell."""
    if type(annotation) is type and annotation.__module__ == "builtins":
        return None  # as most are
    cls = get_origin(annotation) or annotation
    if not isinstance(cls, type):
        return None
    if issubclass(cls, BaseModel):
        if cls.model_config.get("extra") == "allow":
            return None
        return {*cls.model_fields, *cls.model_computed_fields, *_properties(cls)}
    if is_typeddict(cls):
        return set(cls.__annotations__)
    if issubclass(cls, Mapping):
        return None
    if dataclasses.is_dataclass(cls) or hasattr(cls, "_fields"):
        names = {*getattr(cls, "__dataclass_fields__", ()), *getattr(cls, "_fields", ())}
        return {*names, *_properties(cls)}
    return None


def _properties(cls: type) -> set[str]:
    parents = [parent for parent in cls.__mro__ if parent is not BaseModel]
    return {
        name
        for parent in parents
        for name, member in vars(parent).items()
        if isinstance(member, property | cached_property)
    }


def is_mapping(annotation: Any) -> bool:
    """Tell whether values of a type are read by key."""
    cls = get_origin(annotation) or annotation
    return isinstance(cls, type) and (is_typeddict(cls) or issubclass(cls, Mapping))


def access(expression: str, annotation: Any, path: tuple[str, ...]) -> str:
    """Return the Python expression that reads a path; ``sqlkit_read_path`` in it where the type does not tell how."""
    if not path:
        return expression
    if len(path) == 1 and field_names(annotation) is not None:
        return f"{expression}[{path[0]!r}]" if is_mapping(annotation) else f"{expression}.{path[0]}"
    return f"sqlkit_read_path({expression}, {path!r})"


def read_path(value: Any, path: tuple[str, ...]) -> Any:
    """Read attributes or keys, one behind the other; None ends the path with None."""
    for name in path:
        if value is None:
            return None
        value = value[name] if isinstance(value, Mapping) else getattr(value, name)
    return value


def reader_of_all(read: Callable[[Any], Sequence[Any]], annotation: Any) -> Callable[[list[Any]], list[Sequence[Any]]]:
    """Return what reads a list of items as ``read`` reads one.

    A model keeps its fields in its ``__dict__``, from which they are read in half the time of an attribute each. That
    is done where each item is of just the class that the annotation names.
    """
    names = read.__reduce__()[1] if isinstance(read, attrgetter) else ()
    if not _are_plain_fields(annotation, names):
        return lambda items: list(map(read, items))
    pick = itemgetter(*names)

    def read_all(items: list[Any]) -> list[Sequence[Any]]:
        if list(map(type, items)).count(annotation) == len(items):
            return list(map(pick, map(DICT, items)))
        return list(map(read, items))

    return read_all


DICT = attrgetter("__dict__")


def _are_plain_fields(annotation: Any, names: Sequence[Any]) -> bool:
    """Tell whether names are fields of a model that nothing stands before."""
    return (
        len(names) > 1
        and isinstance(annotation, type)
        and issubclass(annotation, BaseModel)
        and annotation.__getattribute__ is object.__getattribute__
        and all(name in annotation.model_fields and not hasattr(annotation, name) for name in names)
    )


def is_given(path: tuple[str, ...], default: Any) -> Callable[[Any], bool]:
    """Return the test whether an optional reference is given, for a parameter with this default.

    None is "not given" where the default is None, UNSET where it is UNSET. Of a model's attribute, set is given
    (``model_fields_set``); of a mapping, a key that is there; of a dataclass, what differs from None or UNSET, as the
    field's default is.
    """
    if not path:
        return (lambda value: value is not UNSET) if default is UNSET else (lambda value: value is not None)

    def attribute_is_given(value: Any) -> bool:
        owner = read_path(value, path[:-1])
        name = path[-1]
        if owner is None or owner is UNSET:
            return False
        if isinstance(owner, BaseModel):
            return name in owner.model_fields_set and getattr(owner, name) is not UNSET
        if isinstance(owner, Mapping):
            return name in owner and owner[name] is not UNSET
        part = getattr(type(owner), "__dataclass_fields__", {}).get(name)
        found = getattr(owner, name)
        return found is not UNSET and not (found is None and part is not None and part.default is None)

    return attribute_is_given


def describe_fields(annotation: Any) -> str:
    """Spell a type and what can be read from it."""
    names = field_names(annotation)
    return f"{describe_type(annotation)} ({', '.join(sorted(names))})" if names else describe_type(annotation)
