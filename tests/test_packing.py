"""A batch of rows for a binary COPY: what is packed a column at a time is what psycopg writes of each row."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg._copy_base import format_row_binary
from psycopg.adapt import Transformer
from psycopg.pq import Format
from pydantic import BaseModel

from sqlkit.contracts.items import reader_of_all
from sqlkit.execution.prepared import Context
from sqlkit.values.catalog import PgType, base_adapters
from sqlkit.values.encoders import CopyFormat
from sqlkit.values.packing import Packer
from sqlkit.values.parameters import Unfit
from tests import songbook

module_database = songbook.module_database


class Colour(Enum):
    """A label."""

    RED = "red"
    BLUE = "blue"


class Kind(int, Enum):
    """A number with a name."""

    ONE = 1
    TWO = 2


ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30)), ZoneInfo("Europe/Berlin")])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)

#: By type: the values that go as they are. Years are those that every zone can show.
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int2": st.integers(-(2**15), 2**15 - 1),
    "int4": st.integers(-(2**31), 2**31 - 1),
    "int8": st.integers(-(2**63), 2**63 - 1),
    "float4": st.floats(width=32),
    "float8": st.floats() | st.integers(-(2**53), 2**53),
    "numeric": st.decimals(allow_nan=True, allow_infinity=True, places=4),
    "bool": st.booleans(),
    "text": TEXT,
    "varchar": TEXT,
    "bytea": st.binary(max_size=20),
    "uuid": st.uuids(),
    "date": st.dates(),
    "time": st.times(),
    "timestamp": st.datetimes(),
    "timestamptz": st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=ZONES),
    "interval": st.timedeltas(timedelta(days=-9999), timedelta(days=9999)),
    "jsonb": st.dictionaries(TEXT, st.integers() | TEXT, max_size=3),
    "mood": st.sampled_from(["red", "blue"]) | st.sampled_from(Colour),
}

#: What is of another type than the column, or out of its range: converted, or refused, by each way alike.
ODD = st.sampled_from(
    [
        "7", "no", "", "2024-02-29", "2024-02-29T12:00:00Z", "12:30", b"", b"7", 0, 1, 2, -1, 2**15, 2**31, -(2**63),
        2**63, 2**200, 0.5, 1.0, math.inf, math.nan, 1e300, Decimal("1"), Decimal("1.5"), Decimal("NaN"), True, False,
        Colour.RED, Kind.TWO, [], [1], {}, (), object, UUID(int=7), date(2024, 2, 29), time(1, 2, 3),
        time(1, tzinfo=UTC), datetime(2024, 2, 29, 1), datetime(2024, 2, 29, 1, tzinfo=UTC), timedelta(1),
        "half \ud800",
    ]
)  # fmt: skip


class Bench:
    """Encodes rows for some types in both ways, on one connection."""

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self.conn = conn

    def form(self, names: list[str]) -> CopyFormat:
        """Return the format of columns of these types."""
        types = base_adapters().types
        known = [PgType(name, "e" if name == "mood" else "b") for name in names]
        oids = [25 if name == "mood" else types[name].oid for name in names]
        form = CopyFormat.of(oids, known, self.transformer())
        assert form.types is not None
        return form

    def transformer(self) -> Any:
        """Return what writes values, by psycopg's own adapters."""
        return Transformer(Context(base_adapters(), self.conn))

    def packed(self, names: list[str], rows: list[tuple[Any, ...]]) -> bytes | None:
        """Return what the batch is packed to, or None where it is not."""
        data = bytearray()
        try:
            Packer(self.form(names), self.transformer()).pack(list(rows), data)
        except Exception:
            return None
        return bytes(data)

    def singly(self, names: list[str], rows: list[tuple[Any, ...]]) -> bytes | None:
        """Return what the rows are encoded to one by one, or None where one of them is refused."""
        data, form, transformer = bytearray(), self.form(names), self.transformer()
        transformer.set_dumper_types(form.types, Format.BINARY)
        try:
            for row in rows:
                format_row_binary(form.encode(row), transformer, data)
        except (Unfit, UnicodeEncodeError, OverflowError, psycopg.DataError):
            return None
        return bytes(data)


@pytest.fixture(scope="module")
def bench(module_database: str) -> Iterator[Bench]:
    """Give both ways on one connection."""
    with psycopg.connect(module_database, autocommit=True) as conn:
        yield Bench(conn)


def rows_of(draw: st.DrawFn, odd: bool) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Draw some types and some rows of them, of NULLs and perhaps of what does not belong there."""
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=6))
    values = [st.none() | VALUES[name] | (ODD if odd else st.nothing()) for name in names]
    return names, draw(st.lists(st.tuples(*values), min_size=1, max_size=6))


SETTINGS = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SETTINGS
@given(data=st.data())
def test_packed_rows_are_those_that_are_encoded_singly(bench: Bench, data: st.DataObject) -> None:
    """Whatever the types and however many NULLs, both ways write the same bytes."""
    names, rows = data.draw(st.composite(rows_of)(odd=False))
    packed = bench.packed(names, rows)
    assert packed is not None
    assert packed == bench.singly(names, rows)


@SETTINGS
@given(data=st.data())
def test_what_is_packed_is_never_another_value(bench: Bench, data: st.DataObject) -> None:
    """Of values that must be converted or refused, what is packed at all is what the careful way writes."""
    names, rows = data.draw(st.composite(rows_of)(odd=True))
    packed = bench.packed(names, rows)
    assert packed is None or packed == bench.singly(names, rows), (names, rows)


class Song(BaseModel):
    """A model whose fields are read from its ``__dict__``."""

    title: str
    tempo: int = 60


class Loud(Song):
    """A model that reads a field in its own way."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        return value.upper() if name == "title" else value


@pytest.mark.parametrize(
    ("annotation", "items", "wanted"),
    [
        (Song, [Song(title="a"), Song(title="b", tempo=90)], [("a", 60), ("b", 90)]),
        (Song, [Song(title="a"), Loud(title="b")], [("a", 60), ("B", 60)]),
        (Loud, [Loud(title="b")], [("B", 60)]),
        (Song, [], []),
    ],
    ids=["of the class", "a subclass among them", "with its own way", "none"],
)
def test_fields_of_models_are_read_as_attributes(
    annotation: type[Any], items: list[Any], wanted: list[tuple[Any, ...]]
) -> None:
    """The short way to a model's fields gives what its attributes give, also where a subclass has other ideas."""
    read = attrgetter("title", "tempo")
    assert reader_of_all(read, annotation)(items) == wanted == list(map(read, items))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("float4", [1.5, 1e300]),
        ("float4", [0.0, 1e-300]),
        ("float4", [10**400]),
        ("int2", [1, 2**15]),
        ("int4", [None, -(2**31) - 1]),
        ("int8", [2**63]),
        ("bool", [True, 2]),
        ("bool", [None, "no"]),
        ("timestamptz", [datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1)]),
        ("timestamp", [None, datetime(2024, 1, 1, tzinfo=UTC)]),
        ("time", [time(1, tzinfo=UTC)]),
        ("date", [datetime(2024, 1, 1)]),
        ("uuid", ["7" * 32]),
        ("text", [b"bytes"]),
        ("bytea", ["text"]),
        ("interval", [5]),
    ],
)
def test_what_must_be_converted_or_refused_is_not_packed(bench: Bench, name: str, values: list[Any]) -> None:
    """One value among many that its column does not take as it is sends all of them the careful way."""
    assert bench.packed([name], [(value,) for value in values]) is None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("float4", [0.0, -0.0, math.inf, math.nan, None, 1.5, 2**100]),
        ("float8", [0, 1.5, None, True, Decimal("1.5")]),
        ("int4", [True, Kind.TWO, None, -(2**31)]),
        ("bool", [1, 0, None, False]),
        ("mood", [Colour.RED, "blue", None]),
    ],
)
def test_what_is_another_type_of_the_same_value_is_packed(bench: Bench, name: str, values: list[Any]) -> None:
    """What conversion would make of a value is what is written of it."""
    rows = [(value,) for value in values]
    assert bench.packed([name], rows) == bench.singly([name], rows) is not None
