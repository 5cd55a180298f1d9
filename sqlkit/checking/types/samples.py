"""Samples of what psycopg's loaders yield for each type, as far as pydantic could tell values of one type apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any
from uuid import UUID

from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from sqlkit.rows.trust import TEXTS as TEXT_TYPES
from sqlkit.values.catalog import PgType, builtin_types

__all__ = ["TEXTS", "is_text", "samples_of"]

#: Texts that spell a value of each type that could be read from a text, and some that spell none.
TEXTS: tuple[str, ...] = (
    "a word",
    "",
    "1",
    "1.5",
    "true",
    "2026-01-02",
    "2026-01-02T03:04:05",
    "2026-01-02T03:04:05Z",
    "03:04:05",
    "P1D",
    "8c2f4bd8-1f0c-4b0e-9d3a-1c6a4e1f9a55",
    "10.0.0.1",
    "10.0.0.0/8",
    "http://example.org/",
    "someone@example.org",
    '{"a": 1}',
    "[1]",
)

# Networks are small: pydantic walks through one where a list is wanted.
VALUES: dict[str, tuple[Any, ...]] = {
    "bool": (True, False),
    "int2": (0, 1, 2, -3, 32767),
    "int4": (0, 1, 2, -3, 86400, 2**31 - 1),
    "int8": (0, 1, 2, -3, 86400, 2**63 - 1),
    "oid": (0, 1, 2, 86400),
    "float4": (0.0, 1.0, 1.5, -2.25),
    "float8": (0.0, 1.0, 1.5, -2.25),
    "numeric": (Decimal("0"), Decimal("1"), Decimal("1.50"), Decimal("-12345678901234567890.123456789")),
    "uuid": (UUID("8c2f4bd8-1f0c-4b0e-9d3a-1c6a4e1f9a55"),),
    "date": (date(2026, 1, 2), date(1969, 12, 31)),
    "time": (time(3, 4, 5), time(0, 0)),
    "timetz": (time(3, 4, 5, tzinfo=UTC), time(0, 0, tzinfo=UTC)),
    "timestamp": (datetime(2026, 1, 2, 3, 4, 5), datetime(2026, 1, 2)),
    "timestamptz": (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)),
    "interval": (timedelta(days=1, seconds=5), timedelta(0), timedelta(days=-2)),
    "bytea": (b"a word", b"\x00\xff", b"1"),
    "inet": (ip_address("10.0.0.1"), ip_interface("10.0.0.1/8"), ip_address("::1"), ip_interface("::1/64")),
    "cidr": (ip_network("10.0.0.0/30"), ip_network("::/126")),
}


def is_text(pgtype: PgType) -> bool:
    """Tell whether a column of this type is loaded as a text: text types, and those that psycopg has no loader for."""
    return pgtype.kind == "b" and pgtype.name not in VALUES and (pgtype.name in TEXT_TYPES or _is_known(pgtype))


def _is_known(pgtype: PgType) -> bool:
    return pgtype.name not in ("record", "json", "jsonb") and any(
        known.name == pgtype.name for known in builtin_types().values()
    )


def samples_of(pgtype: PgType, labels: Sequence[str] = (), hints: Sequence[Any] = ()) -> list[Any] | None:
    """Return values of a type as they are loaded, without NULL; None where it cannot be told (an extension's type).

    ``labels`` are those of an enum, ``hints`` further values that the annotation names: the members of an Enum.
    Arrays are not sampled here, nor are composites and documents, which are looked at part by part.
    """
    if pgtype.kind == "e":
        return list(labels) or None
    if pgtype.kind in "rm" and pgtype.element:
        return list(_ranges(pgtype, labels)) or None
    if pgtype.kind != "b":
        return None
    if is_text(pgtype):
        return [*TEXTS, *(hint for hint in hints if isinstance(hint, str))]
    values = VALUES.get(pgtype.name)
    return None if values is None else [*values, *_fitting(hints, type(values[0]))]


def _fitting(hints: Sequence[Any], cls: type) -> Iterator[Any]:
    yield from (hint for hint in hints if type(hint) is cls)


def _ranges(pgtype: PgType, labels: Sequence[str]) -> Iterator[Any]:
    element = pgtype.element
    if element is None:
        return
    bounds = samples_of(element, labels) or []
    if pgtype.kind == "m":
        yield from (Multirange([bound]) for bound in bounds)
    else:
        yield from (Range(bound, bound) for bound in bounds)
