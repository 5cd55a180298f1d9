"""Annotations as their authors write them: ``list[Mood]``, ``UUID | None``, without the modules they come from."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, ForwardRef, Literal, TypeVar, Union, get_args, get_origin

from psycopg.types.multirange import Multirange
from psycopg.types.range import Range
from typing_extensions import TypeAliasType

__all__ = ["spelled"]

SPELLED = {Range: "PgRange", Multirange: "PgMultirange"}


def spelled(annotation: Any) -> str:
    """Spell an annotation."""
    if annotation is None or annotation is NoneType:
        return "None"
    if annotation is Ellipsis:
        return "..."
    if isinstance(annotation, list):  # the arguments of a Callable
        return f"[{', '.join(map(spelled, annotation))}]"
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    origin = get_origin(annotation)
    if origin is Annotated:
        return spelled(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return " | ".join(dict.fromkeys(map(spelled, get_args(annotation))))
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, get_args(annotation)))}]"
    if origin is not None:
        return f"{_name(origin)}[{', '.join(map(spelled, get_args(annotation)))}]"
    return _name(annotation)


def _name(annotation: Any) -> str:
    if annotation in SPELLED:
        return SPELLED[annotation]
    if isinstance(annotation, type | TypeVar | TypeAliasType) or hasattr(annotation, "__supertype__"):
        return str(annotation.__name__)
    return str(annotation).replace("typing.", "")
