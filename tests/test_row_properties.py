"""Properties: both paths make the same of any row, and any value comes back as it was sent."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import psycopg
import pytest
import typing_extensions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model
from pydantic.dataclasses import dataclass as pydantic_dataclass

from sqlkit.rows.maker import row_maker
from sqlkit.rows.shapes import Column, Mismatch, RowType
from sqlkit.testing import TestServer, dropped_afterwards
from sqlkit.values.catalog import PgType
from tests.fetching import fetch

NO_DEADLINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


class Mood(Enum):
    HAPPY = "happy"
    SAD = "sad"


class Colour(StrEnum):
    ROT = "red"


class Price(BaseModel):
    amount: Decimal
    note: str | None = None


class Count(BaseModel):
    number: int


def document(value: Any) -> str:
    """Spell a document as it comes in binary jsonb."""
    return "\x01" + json.dumps(value)


def midnight(day: date) -> datetime:
    """Return the moment at which a day begins."""
    return datetime(day.year, day.month, day.day)


INT, TEXT = PgType("int4"), PgType("text")
JSONB = PgType("jsonb")
INTS = PgType("int4[]", "a", INT)
PAIR = PgType("pair", "c", None, (("number", INT), ("word", TEXT)))

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
finite = st.decimals(allow_nan=False, allow_infinity=False)
moments = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]))
numbers = st.integers(-(2**31), 2**31 - 1)
floats = st.floats(allow_nan=False)
composites = st.fixed_dictionaries({"number": numbers, "word": texts})

#: (type, annotation, what fits, what does not).
KINDS: list[tuple[PgType, Any, st.SearchStrategy[Any], st.SearchStrategy[Any]]] = [
    (INT, int, numbers, st.none()),
    (INT, float, numbers, st.none()),
    (INT, bool, st.integers(0, 1), st.integers(2, 5)),
    (INT, Any, numbers, st.nothing()),
    (INT, Literal[1, 2], st.integers(1, 2), st.just(3)),
    (INT, Annotated[int, Field(ge=0)], st.integers(0, 9), st.integers(-9, -1)),
    (INT, str, st.nothing(), numbers),
    (TEXT, str, texts, st.none()),
    (TEXT, int, st.integers().map(str), st.just("x")),
    (TEXT, Mood, st.sampled_from(["happy", "sad"]), st.sampled_from(["HAPPY", "", "other"])),
    (PgType("mood", "e"), Mood, st.sampled_from(["happy", "sad"]), st.just("other")),
    (TEXT, Colour, st.just("red"), st.just("ROT")),
    (TEXT, Literal["a", "b"], st.sampled_from(["a", "b"]), st.just("c")),
    (TEXT, Annotated[str, Field(max_length=3)], st.text("ab", max_size=3), st.text("ab", min_size=4)),
    (TEXT, Annotated[str, AfterValidator(str.upper)], texts, st.none()),
    (PgType("numeric"), Decimal, finite, st.sampled_from([Decimal("nan"), Decimal("inf"), None])),
    (PgType("numeric"), int, st.integers().map(Decimal), st.just(Decimal("1.5"))),
    (PgType("float8"), float, st.floats(), st.none()),
    (PgType("bool"), bool, st.booleans(), st.none()),
    (PgType("uuid"), UUID, st.uuids(), st.none()),
    (PgType("bytea"), bytes, st.binary(max_size=5), st.none()),
    (PgType("timestamptz"), datetime, moments, st.none()),
    (PgType("timestamp"), datetime, st.datetimes(), st.none()),
    (PgType("timestamp"), date, st.dates().map(midnight), st.just(datetime.max)),
    (PgType("date"), date, st.dates(), st.none()),
    (PgType("time"), time, st.times(), st.none()),
    (PgType("interval"), timedelta, st.timedeltas(), st.none()),
    (INTS, list[int], st.lists(numbers, max_size=3), st.sampled_from([[None], [[1], [2]], None])),
    (INTS, list[int | None], st.lists(numbers | st.none(), max_size=3), st.just([[1]])),
    (INTS, list[list[int]], st.lists(st.lists(numbers), max_size=3), st.just([1])),
    (INTS, list, st.lists(numbers | st.none() | st.lists(numbers), max_size=3), st.none()),
    (INTS, set[int], st.lists(numbers, max_size=3), st.just([None])),
    (PAIR, Count, composites, st.just({"number": None, "word": "a"})),
    (PAIR, tuple[int, str], composites, st.just({"number": 1, "word": None})),
    (JSONB, dict[str, int], st.dictionaries(texts, numbers, max_size=3).map(document), st.just(document([1]))),
    (JSONB, Any, st.recursive(texts | floats | st.booleans(), st.lists).filter(json.dumps).map(document), st.nothing()),
    (JSONB, Count, numbers.map(lambda number: document({"number": number})), st.just(document({"number": "x"}))),
    (JSONB, Price, numbers.map(lambda number: document({"amount": number})), st.just(document({"amount": "x"}))),
    (JSONB, list[Count], st.lists(numbers.map(lambda n: {"number": n})).map(document), st.just(document([None]))),
    (JSONB, Decimal, st.decimals(-9, 9, places=20).map(lambda number: f"\x01{number:f}"), st.just(document("x"))),
    (JSONB, Annotated[list[str], AfterValidator(sorted)], st.lists(texts).map(document), st.just(document(5))),
]

CONFIGS: list[Any] = [
    {},
    {"frozen": True},
    {"extra": "forbid"},
    {"validate_default": True},
    {"str_strip_whitespace": True},
    {"strict": True},
]
DEFAULTS = {int: 5, str: "default", Mood: Mood.SAD, float: 0.5, bool: True, Decimal: Decimal("1.5")}


@dataclass
class Case:
    """A row type, its columns, and rows for them; ``bad`` says that one value does not fit."""

    annotation: Any
    columns: tuple[Column, ...]
    rows: list[tuple[Any, ...]]
    bad: bool


def of_model(names: list[str], annotations: list[Any], extra: dict[str, Any], draw: Any) -> Any:
    """Make a model with these fields."""
    config = draw(st.sampled_from(CONFIGS))
    fields: Any = {name: (annotation, ...) for name, annotation in zip(names, annotations, strict=True)} | extra
    return create_model("Model", __config__=ConfigDict(**config), **fields)  # type: ignore[typeddict-item]


def of_dataclass(names: list[str], annotations: list[Any], extra: dict[str, Any], draw: Any) -> Any:
    """Make a dataclass with these fields, pydantic's or Python's."""
    fields: list[Any] = [(name, kind) for name, kind in zip(names, annotations, strict=True)]
    fields += [(name, kind, dataclasses.field(default=default)) for name, (kind, default) in extra.items()]
    frozen = draw(st.booleans())
    plain = dataclasses.make_dataclass("Class", fields, frozen=frozen, kw_only=draw(st.booleans()))
    return pydantic_dataclass(plain, frozen=frozen) if draw(st.booleans()) else plain


def of_tuple(names: list[str], annotations: list[Any], extra: dict[str, Any], draw: Any) -> Any:
    """Make a NamedTuple with these fields."""
    return NamedTuple("Named", list(zip(names, annotations, strict=True)))


def of_dict(names: list[str], annotations: list[Any], extra: dict[str, Any], draw: Any) -> Any:
    """Make a TypedDict with these fields."""
    hints = dict(zip(names, annotations, strict=True))
    hints |= {name: typing_extensions.NotRequired[kind] for name, (kind, _) in extra.items()}
    make: Any = typing_extensions.TypedDict
    return make("Dict", hints)


def of_positions(names: list[str], annotations: list[Any], extra: dict[str, Any], draw: Any) -> Any:
    """Make a tuple of these types."""
    return tuple[tuple(annotations)]  # type: ignore[misc]


@st.composite
def cases(draw: Any) -> Case:
    """Draw a row type with columns and rows; in some one value does not fit."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
    nullable = [draw(st.booleans()) or kind[2].is_empty for kind in kinds]
    annotations = [kind[1] | None if null else kind[1] for kind, null in zip(kinds, nullable, strict=True)]
    names = [f"f{index}" for index in range(len(kinds))]
    defaults = draw(st.lists(st.sampled_from(list(DEFAULTS)), max_size=2))
    extra = {f"d{index}": (kind, DEFAULTS[kind]) for index, kind in enumerate(defaults)}
    make = draw(st.sampled_from([of_model, of_model, of_dataclass, of_tuple, of_dict, of_positions]))
    annotation = make(names, annotations, extra, draw)
    columns = [Column(name, kind[0]) for name, kind in zip(names, kinds, strict=True)]
    good = [kind[2] | st.none() if null else kind[2] for kind, null in zip(kinds, nullable, strict=True)]
    rows = draw(st.lists(st.tuples(*good), min_size=1, max_size=3))
    bad = False
    wrong = [index for index, kind in enumerate(kinds) if not kind[3].is_empty]
    if wrong and draw(st.booleans()):
        place, index = draw(st.integers(0, len(rows) - 1)), draw(st.sampled_from(wrong))
        row = list(rows[place])
        row[index] = draw(kinds[index][3])
        rows[place], bad = tuple(row), row[index] is not None or not nullable[index]
    if make is not of_positions and draw(st.booleans()):
        order = draw(st.permutations(range(len(columns))))
        columns, rows = [columns[i] for i in order], [tuple(row[i] for i in order) for row in rows]
    if make is not of_positions and draw(st.booleans()):
        inner = annotation | None if draw(st.booleans()) else annotation
        bad = bad and (inner is annotation or all(any(part is not None for part in row) for row in rows))
        annotation = create_model("Outer", first=(int, ...), inner=(inner, ...))
        columns = [Column("first", INT), *(Column(f"inner.{column.name}", column.type) for column in columns)]
        rows = [(number, *row) for number, row in enumerate(rows)]
    return Case(annotation, tuple(columns), rows, bad)


def outcome(case: Case, *, validate: bool) -> tuple[Any, Any]:
    """Return what a path makes of a case: the objects, or the column that it blames."""
    maker = row_maker(RowType.of(case.annotation, validate=validate), case.columns)
    assert not (validate and maker.trusted)
    try:
        made = maker.many(case.rows)
    except Mismatch as mismatch:
        return "column", mismatch.column
    return "rows", made


def told(value: Any) -> Any:
    """Return all that can be told of an object: its type, what was set, and what is in it."""
    if isinstance(value, BaseModel):
        return type(value), value.model_fields_set, list(map(told, vars(value).items())), value.model_extra
    if dataclasses.is_dataclass(value):
        return type(value), [(part.name, told(getattr(value, part.name))) for part in dataclasses.fields(value)]
    if isinstance(value, dict):
        return dict, [(key, told(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), list(map(told, value))
    if isinstance(value, float) and math.isnan(value):
        return float, "nan"
    return type(value), value, repr(value) if isinstance(value, Decimal | float) else None


@given(cases())
@settings(NO_DEADLINE, max_examples=200)
def test_both_paths_make_the_same_of_any_row(case: Case) -> None:
    """Rows of any shape and columns become equal objects, or the same column is to blame."""
    for row in case.rows:
        alone = dataclasses.replace(case, rows=[row])
        trusted, validated = outcome(alone, validate=False), outcome(alone, validate=True)
        assert trusted[0] == validated[0]
        assert trusted[0] == "rows" or trusted[1] == validated[1]
    trusted, validated = outcome(case, validate=False), outcome(case, validate=True)
    assert trusted[0] == validated[0]
    if trusted[0] == "rows":
        assert list(map(told, trusted[1])) == list(map(told, validated[1]))
        assert not case.bad  # what does not fit was found


def test_the_cases_reach_both_paths_and_both_outcomes() -> None:
    """The property says something: many of its cases are trusted, many are not, and some do not fit."""
    seen: set[tuple[bool, str]] = set()

    @given(cases())
    @settings(NO_DEADLINE, max_examples=150, database=None)
    def look(case: Case) -> None:
        trusted = row_maker(RowType.of(case.annotation), case.columns).trusted
        seen.add((trusted, outcome(case, validate=False)[0]))

    look()
    assert seen == {(True, "rows"), (True, "column"), (False, "rows"), (False, "column")}


# There and back.


@pytest.fixture(scope="module")
def db(server: TestServer) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection to a database with types of its own."""
    with dropped_afterwards(server) as database, psycopg.connect(server.dsn_for(database), autocommit=True) as conn:
        conn.execute("create type pair as (number int, word text)")
        conn.execute("create type nest as (pair pair, pairs pair[], words text[])")
        conn.execute("create type text_range as range (subtype = text, collation = 'C')")
        yield conn


class Pair(BaseModel):
    number: int | None
    word: str | None


class Nest(BaseModel):
    pair: Pair | None
    pairs: list[Pair | None] | None
    words: list[str | None] | None


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
pairs = st.builds(Pair, number=st.none() | numbers, word=st.none() | words)
nests = st.builds(
    Nest,
    pair=st.none() | pairs,
    pairs=st.none() | st.lists(st.none() | pairs, max_size=3),
    words=st.none() | st.lists(st.none() | words, max_size=3),
)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(-(10**20), 10**20, places=15) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


def exactly(value: Any) -> Any:
    """Return a document with its floats as the decimals that they spell; other values as they are."""
    if isinstance(value, dict):
        return {key: exactly(item) for key, item in value.items()}
    if isinstance(value, list):
        return [exactly(item) for item in value]
    return Decimal(repr(value)) if isinstance(value, float) else value


@pytest.mark.parametrize(
    ("pgtype", "annotation", "values"),
    [
        ("text", str, words),
        ("text[]", list[str | None], st.lists(st.none() | words, max_size=5)),
        ("text[]", list[list[str]], st.lists(st.lists(words, min_size=2, max_size=2), min_size=1, max_size=3)),
        ("bytea", bytes, st.binary()),
        ("bytea[]", list[bytes], st.lists(st.binary(), max_size=3)),
        ("numeric", Decimal, st.decimals(allow_nan=False, allow_infinity=False, places=20)),
        ("float8", float, st.floats(allow_nan=False)),
        ("float8[]", list[float], st.lists(st.floats(allow_nan=False), max_size=4)),
        ("interval", timedelta, st.timedeltas()),
        ("timestamptz", datetime, moments.filter(lambda at: 1 < at.year < 9999)),
        ("timestamp", datetime, st.datetimes()),
        ("date", date, st.dates()),
        ("time", time, st.times()),
        ("pair", Pair, pairs),
        ("pair[]", list[Pair | None], st.lists(st.none() | pairs, max_size=3)),
        ("nest", Nest, nests),
        ("jsonb", dict[str, Any], st.dictionaries(words, documents, max_size=3)),
        ("json", list[Any], st.lists(documents, max_size=3)),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_any_value_comes_back(db: psycopg.Connection[Any], pgtype: str, annotation: Any, values: Any) -> None:
    """Whatever is sent as a type comes back equal."""

    @given(values)
    @settings(NO_DEADLINE, max_examples=40)
    def comes_back(sent: Any) -> None:
        sql = f"select cast(:sent as {pgtype})"
        (found,) = fetch(db, annotation, sql, value=True, sent=sent)
        assert exactly(found) == exactly(sent)

    comes_back()
