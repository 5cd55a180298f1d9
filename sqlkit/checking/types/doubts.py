"""Texts that are sent as another type: PostgreSQL reads some of them, and refuses the others while a query runs."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args, get_origin

from sqlkit.checking.types.paths import members
from sqlkit.checking.types.spelling import spelled
from sqlkit.describing.description import ServerType
from sqlkit.values.catalog import PgType

__all__ = ["doubts"]

#: Types that Python has classes of its own for, whose values are always read.
SPELLED = frozenset(
    {"int2", "int4", "int8", "float4", "float8", "numeric", "bool", "uuid", "date", "timestamp", "timestamptz"}
)


def doubts(annotation: Any, server: ServerType) -> list[str]:
    """Return which values of an annotation a type may not read, a sentence's end for each: ``str`` for an integer."""
    return list(dict.fromkeys(_doubts(annotation, server.structure, server.name)))


def _doubts(annotation: Any, pgtype: PgType, name: str) -> Iterator[str]:
    for part in members(annotation):
        origin: Any = get_origin(part) or part
        if pgtype.kind == "a" and pgtype.element is not None and origin in (list, tuple, set, frozenset):
            for inner in get_args(part):
                yield from _doubts(inner, pgtype.element, str(pgtype.element))
        elif pgtype.kind == "b" and pgtype.name in SPELLED and _is_any_text(origin):
            yield f"not every {spelled(part)} is read as {name}"


def _is_any_text(origin: Any) -> bool:
    """Tell whether values are texts that nobody knows beforehand, as those of an Enum are."""
    return isinstance(origin, type) and issubclass(origin, str) and not issubclass(origin, Enum)
