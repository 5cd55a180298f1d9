"""Composite values, which come as dicts, in the form that an annotation wants: tuples, or other names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args, get_origin

from sqlkit.rows.shapes import RowField, classify, without_none
from sqlkit.values.catalog import PgType

__all__ = ["composite_reader"]

Read = Callable[[Any], Any]


def composite_reader(annotation: Any, pgtype: PgType) -> Read | None:
    """Return what turns the dicts inside a value into what pydantic takes for an annotation; None for nothing to do."""
    inner, _ = without_none(annotation)
    if pgtype.kind == "a" and pgtype.element and get_args(inner):
        return _list_reader(composite_reader(get_args(inner)[0], pgtype.element))
    if pgtype.kind != "c":
        return None
    if (get_origin(inner) or inner) is tuple:
        return _tuple_reader(get_args(inner), pgtype)
    try:
        _, fields = classify(inner)
    except TypeError:
        return None
    return _dict_reader(fields, pgtype)


def _list_reader(read: Read | None) -> Read | None:
    if read is None:
        return None

    def read_list(value: Any) -> Any:
        return value and [read_list(item) if isinstance(item, list) else read(item) for item in value]

    return read_list


def _tuple_reader(parts: tuple[Any, ...], pgtype: PgType) -> Read:
    if Ellipsis in parts or len(parts) != len(pgtype.fields):
        return lambda value: value and tuple(value.values())
    readers = [
        composite_reader(part, field) or (lambda value: value)
        for part, (_, field) in zip(parts, pgtype.fields, strict=True)
    ]
    return lambda value: value and tuple(read(item) for read, item in zip(readers, value.values(), strict=True))


def _dict_reader(fields: dict[str, RowField] | Any, pgtype: PgType) -> Read | None:
    keys: dict[str, str] = {}
    readers: dict[str, Read] = {}
    for name, field in pgtype.fields:
        found = next((part for own, part in fields.items() if name in part.columns or name == own), None)
        keys[name] = found.key if found else name
        read = composite_reader(found.annotation, field) if found else None
        if read is not None:
            readers[name] = read
    if not readers and all(name == key for name, key in keys.items()):
        return None

    def read_dict(value: Any) -> Any:
        return value and {keys[name]: readers[name](item) if name in readers else item for name, item in value.items()}

    return read_dict
