"""What PostgreSQL's types are, and how psycopg loads them here.

A type is known by its OID, and OIDs of a database's own types differ from database to database and from schema to
schema. So what is learnt of them is kept with the connection; what is compiled from it (row makers) is keyed by the
structure, a ``PgType``, which says nothing of OIDs and may be shared.

Loaders are psycopg's own, pinned here, whatever a program has registered globally: the annotation says what a column
becomes. Only types that psycopg's defaults do not know are taken from the connection's own adapters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from psycopg import postgres
from psycopg.adapt import AdaptersMap
from psycopg.pq import Format
from psycopg.types import TypeInfo, TypesRegistry
from psycopg.types.array import register_all_arrays, register_array
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.multirange import MultirangeInfo, register_multirange
from psycopg.types.range import RangeInfo, register_range
from psycopg.types.string import TextBinaryLoader, TextLoader

__all__ = ["CATALOG_QUERY", "JSONS", "CatalogRow", "PgType", "base_adapters", "learn", "unknown"]

JSONS = frozenset({"json", "jsonb"})

#: The types whose binary form is their text; an enum's label is one too.
TEXT_IN_BINARY = frozenset({"citext", "xml"})

#: Where the fields of a composite type are joined in one text.
SEPARATOR = "\x1f"

#: A row for each type that is asked for ($1, an oid[]) and each that it is made of.
CATALOG_QUERY = b"""
with recursive wanted (type_id) as (
    select pg_catalog.unnest($1::pg_catalog.oid[])
    union
    select part.type_id
    from wanted
    inner join pg_catalog.pg_type as made on made.oid = wanted.type_id
    cross join lateral (
        select made.typelem where made.typelem <> 0
        union all
        select made.typbasetype where made.typbasetype <> 0
        union all
        select rngsubtype from pg_catalog.pg_range where rngtypid = made.oid
        union all
        select rngtypid from pg_catalog.pg_range where rngmultitypid = made.oid
        union all
        select atttypid from pg_catalog.pg_attribute
        where attrelid = made.typrelid and made.typtype = 'c' and attnum > 0 and not attisdropped
    ) as part (type_id)
)
select
    t.oid::text,
    t.typname::text,
    case when t.typcategory = 'A' and t.typlen = -1 and t.typelem <> 0 then 'a' else t.typtype::text end,
    t.typelem::text,
    t.typbasetype::text,
    t.typarray::text,
    t.typdelim::text,
    coalesce(
        (select rngsubtype from pg_catalog.pg_range where rngtypid = t.oid),
        (select rngtypid from pg_catalog.pg_range where rngmultitypid = t.oid),
        0
    )::text,
    pg_catalog.array_to_string(array(
        select attname::text from pg_catalog.pg_attribute
        where attrelid = t.typrelid and t.typtype = 'c' and attnum > 0 and not attisdropped order by attnum
    ), E'\\x1f'),
    pg_catalog.array_to_string(array(
        select atttypid::text from pg_catalog.pg_attribute
        where attrelid = t.typrelid and t.typtype = 'c' and attnum > 0 and not attisdropped order by attnum
    ), E'\\x1f')
from wanted
inner join pg_catalog.pg_type as t on t.oid = wanted.type_id
"""


@dataclass(frozen=True, slots=True)
class PgType:
    """A PostgreSQL type by structure: two types of one structure are equal, whatever their OIDs.

    ``kind`` is b (base), e (enum), a (array), c (composite), r (range), m (multirange) or p (pseudo). Domains are
    seen through: a result names their base type. ``element`` is an array's element, a range's bound or a multirange's
    range; ``fields`` are a composite type's columns.
    """

    name: str
    kind: str = "b"
    element: PgType | None = None
    fields: tuple[tuple[str, PgType], ...] = ()

    def has_json(self) -> bool:
        """Tell whether a JSON document can stand somewhere inside."""
        if self.name in JSONS and self.kind == "b":
            return True
        inner = [self.element] if self.element else [field for _, field in self.fields]
        return any(part.has_json() for part in inner)

    def has_composite(self) -> bool:
        """Tell whether a composite type stands somewhere inside, whose columns may change under its OID."""
        return self.kind == "c" or (self.element is not None and self.element.has_composite())

    def __str__(self) -> str:
        return f"{self.element}[]" if self.kind == "a" and self.element else self.name


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """One row of ``CATALOG_QUERY``."""

    oid: int
    name: str
    kind: str
    element: int
    base: int
    array: int
    delimiter: str
    range: int
    field_names: tuple[str, ...]
    field_types: tuple[int, ...]

    @classmethod
    def read(cls, row: Sequence[str]) -> CatalogRow:
        """Read a row of texts."""
        oid, name, kind, element, base, array, delimiter, bound, names, types = row
        return cls(
            int(oid),
            name,
            kind,
            int(element),
            int(base),
            int(array),
            delimiter,
            int(bound),
            tuple(names.split(SEPARATOR)) if names else (),
            tuple(int(part) for part in types.split(SEPARATOR)) if types else (),
        )


@cache
def base_adapters() -> AdaptersMap:
    """Return psycopg's adapters as it ships them, with JSON left as the text that it is.

    ``rows`` reads JSON itself, for psycopg's loader would round its numbers.
    """
    types = TypesRegistry()
    postgres.register_default_types(types)
    adapters = AdaptersMap(types=types)
    postgres.register_default_adapters(adapters)
    register_all_arrays(adapters)
    for info in types:
        if info.array_oid and adapters.get_loader(info.oid, Format.BINARY) is None:
            _forget_binary(info.array_oid, adapters)
    for name in (*sorted(JSONS), "xml"):
        adapters.register_loader(name, TextLoader)
        adapters.register_loader(name, TextBinaryLoader)
    return adapters


@cache
def builtin_types() -> dict[int, PgType]:
    """Return the types that every PostgreSQL has under one OID, as far as psycopg knows them."""
    known: dict[int, PgType] = {}
    infos = [info for info in base_adapters().types if isinstance(info, TypeInfo)]
    for info in infos:
        kind, element = "b", None
        if isinstance(info, MultirangeInfo):
            kind = "m"
        elif isinstance(info, RangeInfo):
            kind, element = "r", known.get(info.subtype_oid)
        known[info.oid] = PgType(info.name, kind, element)
    for info in infos:
        if isinstance(info, MultirangeInfo):
            known[info.oid] = PgType(info.name, "m", known.get(info.range_oid))
        if info.array_oid:
            known[info.array_oid] = PgType(f"{info.name}[]", "a", known[info.oid])
    return known


def unknown(oids: Iterable[int], types: dict[int, PgType]) -> list[int]:
    """Return the OIDs that neither this connection nor PostgreSQL's own list explains."""
    builtin = builtin_types()
    return sorted({oid for oid in oids if oid and oid not in builtin and oid not in types})


def learn(rows: Iterable[CatalogRow], types: dict[int, PgType], adapters: AdaptersMap) -> None:
    """Add what the catalogue says of types to what a connection knows, with loaders for them."""
    by_oid = {row.oid: row for row in rows}
    for row in by_oid.values():
        _resolve(row.oid, by_oid, types, adapters)


def _resolve(oid: int, rows: dict[int, CatalogRow], types: dict[int, PgType], adapters: AdaptersMap) -> PgType:
    if oid in types:
        return types[oid]
    builtin = builtin_types().get(oid)
    if builtin is not None:
        types[oid] = builtin
        return builtin
    row = rows.get(oid)
    if row is None:
        return PgType("unknown")
    types[oid] = PgType(row.name)  # a composite type may hold arrays of itself
    if row.kind == "d":
        found = _resolve(row.base, rows, types, adapters)
    elif row.kind == "a":
        element = _resolve(row.element, rows, types, adapters)
        found = PgType(f"{element.name}[]", "a", element)
    elif row.kind == "r":
        found = PgType(row.name, "r", _resolve(row.range, rows, types, adapters))
    elif row.kind == "m":
        found = PgType(row.name, "m", _resolve(row.range, rows, types, adapters))
    elif row.kind == "c":
        fields = zip(row.field_names, row.field_types, strict=True)
        found = PgType(
            row.name, "c", None, tuple((name, _resolve(part, rows, types, adapters)) for name, part in fields)
        )
    else:
        found = PgType(row.name, row.kind)
    types[oid] = found
    _register(row, rows, adapters)
    return found


def _register(row: CatalogRow, rows: dict[int, CatalogRow], adapters: AdaptersMap) -> None:
    """Register loaders for one type that psycopg does not know by itself."""
    if row.kind == "e" or (row.kind == "b" and row.name in TEXT_IN_BINARY):
        adapters.register_loader(row.oid, TextLoader)
        adapters.register_loader(row.oid, TextBinaryLoader)
    elif row.kind == "d":
        for form in (Format.TEXT, Format.BINARY):
            loader = adapters.get_loader(row.base, form)
            if loader is not None:
                adapters.register_loader(row.oid, loader)
    elif row.kind == "a":
        element = rows.get(row.element)
        name = element.name if element else f"type_{row.element}"
        delimiter = element.delimiter if element else ","
        register_array(TypeInfo(name, row.element, row.oid, delimiter=delimiter), adapters)
        if adapters.get_loader(row.element, Format.BINARY) is None:
            _forget_binary(row.oid, adapters)
    elif row.kind == "r":
        register_range(RangeInfo(row.name, row.oid, row.array, subtype_oid=row.range), adapters)
        if adapters.get_loader(row.range, Format.BINARY) is None:
            _forget_binary(row.oid, adapters)
    elif row.kind == "m":
        subtype = rows[row.range].range if row.range in rows else 0
        info = MultirangeInfo(row.name, row.oid, row.array, range_oid=row.range, subtype_oid=subtype)
        register_multirange(info, adapters)
        if adapters.get_loader(subtype, Format.BINARY) is None:
            _forget_binary(row.oid, adapters)
    elif row.kind == "c":
        _register_composite(row, adapters)


def _as_dict(values: Sequence[Any], info: CompositeInfo) -> dict[str, Any]:
    return dict(zip(info.field_names, values, strict=True))


@lru_cache(maxsize=1024)
def _composite_info(row: CatalogRow) -> CompositeInfo:
    # One object for each type: psycopg keeps the loaders that it makes for an info for ever.
    return CompositeInfo(row.name, row.oid, row.array, field_names=row.field_names, field_types=row.field_types)


def _register_composite(row: CatalogRow, adapters: AdaptersMap) -> None:
    register_composite(_composite_info(row), adapters, factory=_no_factory, make_object=_as_dict)
    if any(adapters.get_loader(part, Format.BINARY) is None for part in row.field_types):
        _forget_binary(row.oid, adapters)


def _no_factory(*_: object) -> object:
    raise TypeError("composite values are made by make_object")  # psycopg wants some factory that is no type


def _forget_binary(oid: int, adapters: AdaptersMap) -> None:
    """Take the binary loader away again: what it is made of has none, so the whole result comes as text."""
    adapters._loaders[Format.BINARY].pop(oid, None)
