"""Whether a column's type loads into an annotation: always, only some of its values, or never."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any, get_args, get_origin
from uuid import UUID

from sqlkit.checking.types.expected import Expected, Misfit, bare
from sqlkit.checking.types.samples import is_text, samples_of
from sqlkit.checking.types.spelling import spelled
from sqlkit.describing.description import ServerType
from sqlkit.rows.shapes import RowField, classify
from sqlkit.values.catalog import JSONS, PgType

__all__ = ["Expected", "Misfit", "Share", "loading", "natural", "share_of"]

#: The Python type that holds each of PostgreSQL's without loss.
NATURAL = {
    "bool": "bool",
    "int2": "int",
    "int4": "int",
    "int8": "int",
    "oid": "int",
    "float4": "float",
    "float8": "float",
    "numeric": "Decimal",
    "uuid": "UUID",
    "date": "date",
    "time": "time",
    "timetz": "time",
    "timestamp": "datetime",
    "timestamptz": "datetime",
    "interval": "timedelta",
    "bytea": "bytes",
    "inet": "IPv4Address | IPv6Address | IPv4Interface | IPv6Interface",
    "cidr": "IPv4Network | IPv6Network",
}

INTEGERS = frozenset({"int2", "int4", "int8"})

#: What a column of its own type holds better than a text does. Other types of texts (a URL, a path) have none.
TYPED = frozenset({int, float, Decimal, bool, date, datetime, time, timedelta, UUID})


class Share(Enum):
    """How many of a type's values load."""

    ALL = "all"
    SOME = "some"
    NONE = "none"


def natural(pgtype: PgType) -> str:
    """Spell the Python type that a column of this type is read as."""
    if pgtype.kind == "a" and pgtype.element:
        return f"list[{natural(pgtype.element)}]"
    if pgtype.kind == "r" and pgtype.element:
        return f"PgRange[{natural(pgtype.element)}]"
    if pgtype.kind == "m" and pgtype.element and pgtype.element.element:
        return f"PgMultirange[{natural(pgtype.element.element)}]"
    if pgtype.kind == "c":
        return pgtype.name.capitalize()
    return NATURAL.get(pgtype.name, "str") if pgtype.kind == "b" else "str"


def loading(
    expected: Expected,
    server: ServerType,
    values: tuple[str | int, ...] | None = None,
    *,
    in_table: bool = True,
) -> list[Misfit]:
    """Return what is wrong with a column of a type for what is expected, NULL apart; nothing where all values load.

    ``values`` are those that a CHECK leaves to a text or an integer, None where there is no such CHECK; ``in_table``
    says that it could have one.
    """
    key = (server, values, in_table)
    found = expected.misfits.get(key)
    if found is None:
        said = _Loading(server, values, in_table).misfits(expected, server.structure, f"is {server.name}")
        found = expected.misfits[key] = list(said)
    return found


def share_of(expected: Expected, server: ServerType) -> Share:
    """Tell how many of a type's values load, composites and documents apart."""
    return _Loading(server).share(expected, server.structure)[0]


class _Loading:
    def __init__(self, server: ServerType, values: tuple[str | int, ...] | None = None, in_table: bool = True) -> None:
        self.labels = server.labels
        self.values = values
        self.in_table = in_table

    def misfits(self, expected: Expected, pgtype: PgType, told: str) -> Iterator[Misfit]:
        if pgtype.kind == "b" and pgtype.name in JSONS:
            return
        if pgtype.kind == "c":
            yield from self._composite(expected, pgtype, told)
            return
        if pgtype.kind == "a" and pgtype.element and pgtype.element.kind == "c":
            yield from self._composites(expected, pgtype, told)
            return
        share, refused = self.share(expected, pgtype)
        if refused and expected.named_values and self._are_known(_element_of(pgtype)):
            yield self._lacking(expected, pgtype, told, refused)
        elif share is Share.NONE:
            yield Misfit("SK006", f"{told}, which does not load into {expected.name}: {self._advice(expected, pgtype)}")
        elif share is Share.SOME:
            yield from self._some(expected, pgtype, told, refused)
        else:
            yield from self._loss(expected, pgtype, told)

    def _are_known(self, element: PgType) -> bool:
        """Tell whether all values of a type are known: the labels of an enum, what a check leaves."""
        return element.kind == "e" or self.values is not None

    def share(self, expected: Expected, pgtype: PgType) -> tuple[Share, list[Any]]:
        """Tell how many of a type's values load, and which samples do not."""
        samples = list(self._samples(expected, pgtype))
        refused = [sample for sample, _ in samples if not expected.takes(sample)]
        if samples and len(refused) == len(samples):
            # An array of two dimensions, which the type does not tell from one of one.
            refused = [nested for _, nested in samples if not expected.takes(nested)] if pgtype.kind == "a" else refused
            if len(refused) == len(samples):
                return Share.NONE, refused
        return Share.SOME if refused else Share.ALL, refused

    def _samples(self, expected: Expected, pgtype: PgType) -> Iterator[tuple[Any, Any]]:
        """Yield samples; of an array, each with the same in two dimensions."""
        if pgtype.kind == "a" and pgtype.element:
            for element, _ in self._samples(expected, pgtype.element):
                for length in _lengths(expected.inner):
                    yield [element] * length, [[element] * length]
            return
        if pgtype.kind == "e":
            found: list[Any] | None = list(self.labels)
        elif self.values is not None and (is_text(pgtype) or pgtype.name in INTEGERS):
            found = list(self.values)
        else:
            found = samples_of(pgtype, self.labels, expected.named_values)
        yield from ((sample, sample) for sample in found or ())

    def _advice(self, expected: Expected, pgtype: PgType) -> str:
        other = {"timestamp": "timestamptz", "timestamptz": "timestamp"}.get(pgtype.name)
        if other is not None and all(map(expected.takes, samples_of(PgType(other)) or ())):
            return f"make it datetime, or the column {other}"
        return f"make it {natural(pgtype)}, or cast the column"

    def _lacking(self, expected: Expected, pgtype: PgType, told: str, refused: list[Any]) -> Misfit:
        lacking = list(dict.fromkeys(repr(_innermost(sample)) for sample in refused))
        kind = "label" if _element_of(pgtype).kind == "e" else "checked value"
        kind, them = (kind, "it") if len(lacking) == 1 else (f"{kind}s", "them")
        return Misfit("SK006", f"{told}, and {expected.name} lacks its {kind} {', '.join(lacking)}: add {them}")

    def _some(self, expected: Expected, pgtype: PgType, told: str, refused: list[Any]) -> Iterator[Misfit]:
        element = _element_of(pgtype)
        if self._are_known(element):
            listed = ", ".join(dict.fromkeys(repr(_innermost(sample)) for sample in refused))
            advice = self._advice(expected, pgtype)
            yield Misfit(
                "SK006", f"{told}, which can be {listed}, and that does not load into {expected.name}: {advice}"
            )
        elif expected.named_values and (is_text(element) or element.name in INTEGERS):
            if self.in_table:  # where there could be a check
                kind = "text" if is_text(element) else "number"
                told = f"{told}, and may hold a {kind} that {expected.name} lacks"
                yield Misfit(
                    "SK021", f"{told}: limit the column by a check" + (", or make it an enum" * (kind == "text"))
                )
        elif not is_text(element):
            advice = self._advice(expected, pgtype)
            yield Misfit("SK021", f"{told}, and not every value of it loads into {expected.name}: {advice}")
        elif _element_type(expected.inner) in TYPED and bare(expected.schema).get("type") != "json":
            advice = "give the column that type, or cast it"
            yield Misfit("SK021", f"{told}, and not every text loads into {expected.name}: {advice}")

    def _loss(self, expected: Expected, pgtype: PgType, told: str) -> Iterator[Misfit]:
        schema, element = bare(expected.schema), _element_of(pgtype)
        if pgtype.kind == "a":
            schema = bare(schema.get("items_schema", {}))
        if element.kind != "b" or schema.get("type") != "float":
            return
        if element.name == "numeric":
            yield Misfit("SK021", f"{told}, which loses digits in {expected.name}: make it {natural(pgtype)}")
        elif element.name == "int8":
            yield Misfit(
                "SK021", f"{told}, which loses digits above 2^53 in {expected.name}: make it {natural(pgtype)}"
            )

    # Composite values, field by field.

    def _composite(self, expected: Expected, pgtype: PgType, told: str) -> Iterator[Misfit]:
        inner = expected.inner
        origin = get_origin(inner) or inner
        if origin is tuple:
            yield from self._tuple(get_args(inner), pgtype, told, expected)
            return
        try:
            shape, fields = classify(inner)
        except TypeError:
            return
        if shape == "value":
            if not expected.takes({name: None for name, _ in pgtype.fields}) and not _is_mapping(origin):
                yield Misfit(
                    "SK006", f"{told}, which does not load into {expected.name}: make it a model of its fields"
                )
            return
        yield from self._fields(inner, fields, pgtype, told)

    def _composites(self, expected: Expected, pgtype: PgType, told: str) -> Iterator[Misfit]:
        """Look at an array of composite values: each is looked at as one."""
        parts = [part for part in get_args(expected.inner) if part is not Ellipsis]
        if not expected.takes([]):
            yield Misfit("SK006", f"{told}, which does not load into {expected.name}: make it {natural(pgtype)}")
        elif len(parts) == 1 and pgtype.element:
            yield from self._composite(Expected(parts[0]), pgtype.element, told)

    def _tuple(self, parts: tuple[Any, ...], pgtype: PgType, told: str, expected: Expected) -> Iterator[Misfit]:
        if Ellipsis in parts:
            return
        if len(parts) != len(pgtype.fields):
            fields = ", ".join(name for name, _ in pgtype.fields)
            counts = f"{len(pgtype.fields)} fields ({fields}), and {expected.name} {len(parts)}"
            yield Misfit("SK006", f"{told}, which has {counts}: make both agree")
            return
        for part, (name, field) in zip(parts, pgtype.fields, strict=True):
            yield from self._inside(Expected(part), name, field, told)

    def _fields(self, owner: Any, fields: Mapping[str, RowField], pgtype: PgType, told: str) -> Iterator[Misfit]:
        for name, field in pgtype.fields:
            found = next((own for own, part in fields.items() if name in part.columns or name == own), None)
            if found is not None:
                yield from self._inside(Expected.of_field(owner, found, fields[found]), name, field, told)
        filled = {name for name, _ in pgtype.fields}
        for own, part in fields.items():
            if part.required and own not in filled and not part.columns & filled:
                advice = "add it to the type, or give the field a default"
                yield Misfit("SK006", f"{told}, which has no field {own!r} for {spelled(owner)}: {advice}")

    def _inside(self, expected: Expected, name: str, pgtype: PgType, told: str) -> Iterator[Misfit]:
        yield from self.misfits(expected, pgtype, f"{told}, whose field {name!r} is {pgtype}")


def _is_mapping(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _lengths(inner: Any) -> tuple[int, ...]:
    """Return the lengths of sample arrays: what a tuple wants, which the type does not tell, or one."""
    parts = get_args(inner)
    return (len(parts),) if get_origin(inner) is tuple and parts and Ellipsis not in parts else (1,)


def _element_of(pgtype: PgType) -> PgType:
    while pgtype.kind == "a" and pgtype.element:
        pgtype = pgtype.element
    return pgtype


def _innermost(sample: Any) -> Any:
    while isinstance(sample, list) and sample:
        sample = sample[0]
    return sample


def _element_type(annotation: Any) -> Any:
    """Return the one type inside lists and options."""
    while get_args(annotation):
        parts = [part for part in get_args(annotation) if part not in (NoneType, Ellipsis)]
        if len(parts) != 1:
            return None
        annotation = parts[0]
    return annotation
