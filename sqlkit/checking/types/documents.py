"""Whether a JSON document that a statement builds fits an annotation, as far as its top-level shape is known."""

from __future__ import annotations

import collections
from collections import abc
from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

import pydantic_core
from pydantic import RootModel

from sqlkit.checking.types.expected import Expected, Misfit, class_without_validators
from sqlkit.checking.types.loading import natural
from sqlkit.checking.types.samples import samples_of
from sqlkit.checking.types.spelling import spelled
from sqlkit.describing.description import JsonShape
from sqlkit.rows.shapes import RowField, classify, without_none
from sqlkit.values.catalog import builtin_types

__all__ = ["document_misfits"]

#: The types whose values PostgreSQL writes into JSON as Python's are written.
SPELLED = frozenset({"bool", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "varchar", "uuid", "date"})
SPELLED |= {"timestamp", "timestamptz"}

SCALARS = (str, int, float, bytes, Decimal, UUID, date, time, timedelta, Enum)

ARRAYS = (list, set, frozenset, tuple, collections.deque, abc.Sequence, abc.Set, abc.MutableSequence, abc.MutableSet)

FILTERED = "write coalesce(json_agg(...) filter (where key is not null), '[]')"


def document_misfits(expected: Expected, shape: JsonShape, told: str) -> Iterator[Misfit]:
    """Yield what is wrong with a document of a shape for what is expected; ``told`` says what it is: ``is a json``."""
    if expected.is_open:
        return
    annotation = _rootless(expected.inner)
    origin: Any = get_origin(annotation) or annotation
    kind = _kind_of(annotation, origin)
    if kind is None:
        return
    if shape.kind not in kind:
        keys = f" ({', '.join(shape.keys)})" if shape.keys else ""
        advice = f"a model of its keys{keys}" if shape.kind == "object" else "a list of what it holds"
        yield Misfit("SK006", f"{told}, which does not load into {expected.name}: make it {advice}")
    elif shape.kind == "array":
        yield from _array(annotation, shape, told)
    elif issubclass(origin, Mapping):
        yield from _mapping(annotation, shape, told)
    else:
        yield from _object(annotation, shape, told)


def _rootless(annotation: Any) -> Any:
    while isinstance(annotation, type) and issubclass(annotation, RootModel):
        annotation = without_none(annotation.model_fields["root"].annotation)[0]
    return annotation


def _kind_of(annotation: Any, origin: Any) -> tuple[str, ...] | None:
    """Return the kinds of documents that an annotation takes, none for a scalar, None where that is not known."""
    if origin is Literal:
        return ()
    if not isinstance(origin, type):
        return None
    if issubclass(origin, Mapping):
        return ("object",)
    if hasattr(origin, "_fields"):  # a NamedTuple takes either
        return ("object", "array")
    if issubclass(origin, SCALARS):
        return ()
    if origin in ARRAYS:
        return ("array",)
    try:
        shape, _ = classify(annotation)
    except TypeError:
        return None
    return ("object",) if shape in ("model", "dataclass", "typed dict") else None


def _array(annotation: Any, shape: JsonShape, told: str) -> Iterator[Misfit]:
    parts = [part for part in get_args(annotation) if part is not Ellipsis]
    if len(parts) != 1:
        return
    element = Expected(parts[0])
    if shape.null_elements and not element.takes_none:
        yield Misfit("SK007", f"{told} that can hold null, and {element} takes no None: {FILTERED}")
    if shape.element is not None:
        yield from document_misfits(element, shape.element, f"{told} of {shape.element.kind}s")
    else:
        yield from _plain(element, shape.element_type, f"{told} whose elements are")


def _mapping(annotation: Any, shape: JsonShape, told: str) -> Iterator[Misfit]:
    parts = get_args(annotation)
    if len(parts) != 2:
        return
    value = Expected(parts[1])
    for key, nullable in shape.keys.items():
        if nullable and not value.takes_none:
            wanted = f"dict[{spelled(parts[0])}, {value} | None]"
            yield Misfit("SK007", f"{told} whose key {key!r} can be null, and {value} takes no None: make it {wanted}")
        yield from _value(value, shape, key, f"{told} whose key {key!r}")


def _object(annotation: Any, shape: JsonShape, told: str) -> Iterator[Misfit]:
    if class_without_validators(annotation) is None:
        return
    _, fields = classify(annotation)
    owner, config = spelled(annotation), _config(annotation)
    read: dict[str, str] = {}
    for name, part in fields.items():
        keys = _keys(name, part, config)
        read |= dict.fromkeys(keys, name)
        if part.required and not part.by_name and not keys & shape.keys.keys():
            yield Misfit(
                "SK006",
                f"{told} without the key {sorted(keys)[0]!r}, which {owner} requires: add the key, or give the field "
                f"{name!r} a default",
            )
    for key, nullable in shape.keys.items():
        if key not in read:
            if config.get("extra") == "forbid":
                advice = "add the field or drop the key"
                yield Misfit("SK006", f"{told} with the key {key!r}, which {owner} forbids: {advice}")
            continue
        expected = Expected.of_field(annotation, read[key], fields[read[key]])
        if nullable and not expected.takes_none:
            taker = f"the field {read[key]!r} of {owner}"
            yield Misfit(
                "SK007", f"{told} whose key {key!r} can be null, and {taker} takes no None: make it {expected} | None"
            )
        yield from _value(expected, shape, key, f"{told} whose key {key!r}")


def _value(expected: Expected, shape: JsonShape, key: str, told: str) -> Iterator[Misfit]:
    """Look at the value of a key: a document that is built there too, or of a type that JSON has a form for."""
    if key in shape.parts:
        yield from document_misfits(expected, shape.parts[key], f"{told} is an {shape.parts[key].kind}")
    else:
        yield from _plain(expected, shape.types.get(key, 0), f"{told} is")


def _plain(expected: Expected, oid: int, told: str) -> Iterator[Misfit]:
    pgtype = builtin_types().get(oid)
    if pgtype is None or pgtype.kind != "b" or pgtype.name not in SPELLED or expected.is_open:
        return
    samples = samples_of(pgtype, hints=expected.named_values) or []
    if not any(map(expected.takes_document, map(_written, samples))):
        advice = f"make it {natural(pgtype)}"
        yield Misfit("SK006", f"{told} {pgtype.name}, which does not load into {expected.name}: {advice}")


def _written(value: Any) -> str:
    return format(value) if isinstance(value, Decimal) else pydantic_core.to_json(value).decode()


def _config(annotation: Any) -> Mapping[str, Any]:
    cls = get_origin(annotation) or annotation
    return getattr(cls, "model_config", None) or getattr(cls, "__pydantic_config__", None) or {}


def _keys(name: str, part: RowField, config: Mapping[str, Any]) -> set[str]:
    """Return the keys under which pydantic takes a field from a document."""
    by_alias = config.get("validate_by_alias", True)
    keys = set(part.columns) if by_alias else set()
    if not keys or config.get("validate_by_name") or config.get("populate_by_name"):
        keys.add(name)
    return keys
