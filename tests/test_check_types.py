"""Which Python types go with which PostgreSQL types: what the check says is what happens at run time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypeVar
from uuid import UUID

import psycopg
import pytest
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    NaiveDatetime,
    SecretStr,
    computed_field,
    create_model,
)
from typing_extensions import TypedDict

from sqlkit import ArgumentError, PgMultirange, PgRange
from sqlkit.checking.types.expected import Expected
from sqlkit.checking.types.loading import Share, share_of
from sqlkit.checking.types.paths import annotation_at, members
from sqlkit.checking.types.sending import send_as_copied, sending
from sqlkit.checking.types.spelling import spelled
from sqlkit.contracts.contract import Cardinality
from sqlkit.describing.description import ServerType
from sqlkit.execution.calls import call
from sqlkit.execution.copies import CopyIn, copy_in
from sqlkit.execution.query import Query
from sqlkit.rows.maker import row_maker
from sqlkit.rows.shapes import Column, Mismatch, RowType
from sqlkit.statements import parse_statement
from sqlkit.testing import TestServer, dropped_afterwards
from sqlkit.values.catalog import PgType

TYPES = """
create type mood as enum ('happy', 'sad');
create type pair as (number int, word text);
create domain small_number as int check (value < 100000);
"""

UUID_TEXT = "8c2f4bd8-1f0c-4b0e-9d3a-1c6a4e1f9a55"

#: Values of each type, as they are written in SQL.
STORED: dict[str, list[str]] = {
    "bool": ["true", "false"],
    "int2": ["0", "1", "5", "-3"],
    "int4": ["0", "1", "5", "-3", "86400"],
    "int8": ["0", "1", "5", "-3", "9223372036854775807", "86400"],
    "oid": ["0", "1", "5", "86400"],
    "float4": ["0", "1", "1.5", "-2"],
    "float8": ["0", "1", "1.5", "-2"],
    "numeric": ["0", "1", "1.5", "12345678901234567890.123456789"],
    "uuid": [f"'{UUID_TEXT}'"],
    "date": ["'2026-01-02'", "'1969-12-31'"],
    "time": ["'03:04:05'", "'00:00'"],
    "timetz": ["'03:04:05+02'"],
    "timestamp": ["'2026-01-02 03:04:05'", "'2026-01-02'"],
    "timestamptz": ["'2026-01-02 03:04:05+00'", "'2026-01-02 00:00+00'"],
    "interval": ["'1 day 5 seconds'", "'0'", "'-2 days'"],
    "bytea": [r"'\x61'", r"'\x00ff'", r"'\x31'"],
    "inet": ["'10.0.0.1'", "'10.0.0.1/8'", "'::1'"],
    "cidr": ["'10.0.0.0/30'", "'::/126'"],
    "text": [
        "'a word'",
        "'1'",
        "'1.5'",
        f"'{UUID_TEXT}'",
        "'true'",
        "'2026-01-02'",
        "'03:04:05'",
        "'P1D'",
        "'2026-01-02T03:04:05Z'",
        "'2026-01-02T03:04:05'",
        "'happy'",
        "'10.0.0.1'",
        "'10.0.0.0/8'",
    ],
    "mood": ["'happy'", "'sad'"],
    "small_number": ["0", "1", "5", "-3", "86400"],
    "int4[]": ["'{1,5}'", "'{0,0}'"],
    "text[]": ["'{a,1}'", "'{1,2}'", "'{x,y}'", "'{happy,sad}'"],
    "mood[]": ["'{happy,sad}'", "'{sad,happy}'"],
    "int4range": ["'[1,5)'", "'[0,86400)'"],
    "daterange": ["'[2026-01-01,2026-02-01)'"],
    "int4multirange": ["'{[1,5)}'"],
}


class Mood(Enum):
    HAPPY = "happy"
    SAD = "sad"


class Glad(StrEnum):
    HAPPY = "happy"


class Level(IntEnum):
    ONE = 1


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    value: int


Amount = NewType("Amount", int)
Chosen = TypeVar("Chosen", int, str)

LOADED: list[Any] = [
    bool, int, float, Decimal, str, bytes, UUID, date, time, datetime, timedelta, AwareDatetime, NaiveDatetime,
    Mood, Glad, Level, Literal["happy", "sad"], Literal[1], Amount, int | str,
    datetime | None, IPv4Address, IPv4Address | IPv6Address, IPv4Network, IPv4Interface, list[int], list[str],
    list[Mood], list[Any], set[int], tuple[int, int], tuple[str, ...], Sequence[int], dict[str, Any],
    PgRange[int], PgRange[str], PgRange[date], PgMultirange[int], SecretStr, Path, Strict, Any, object, list[float],
]  # fmt: skip

NAIVE, AWARE = datetime(2026, 1, 2, 3, 4), datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


class Row(NamedTuple):
    number: int
    word: str


class Words(NamedTuple):
    word: str


class Pair(BaseModel):
    number: int
    word: str


@dataclass
class PairOfTexts:
    number: datetime
    word: str


class PairDict(TypedDict):
    number: int
    word: str


#: Annotations with values of them, as many as tell what can be sent.
SENT: list[tuple[Any, list[Any]]] = [
    (bool, [True, False]),
    (int, [1, 2]),
    (float, [1.5, 1.0]),
    (Decimal, [Decimal("1"), Decimal("1.5")]),
    (bytes, [b"1", b"a"]),
    (UUID, [UUID(UUID_TEXT)]),
    (date, [date(2026, 1, 2)]),
    (time, [time(3, 4), time(3, 4, tzinfo=UTC)]),
    (datetime, [NAIVE, AWARE]),
    (NaiveDatetime, [NAIVE]),
    (AwareDatetime, [AWARE]),
    (timedelta, [timedelta(hours=1), timedelta(days=2, seconds=1)]),
    (IPv4Address, [ip_address("10.0.0.1")]),
    (IPv4Interface, [ip_interface("10.0.0.1/8"), ip_interface("10.0.0.0/8")]),
    (IPv4Network, [ip_network("10.0.0.0/8")]),
    (Mood, [Mood.HAPPY, Mood.SAD]),
    (Glad, [Glad.HAPPY]),
    (Level, [Level.ONE]),
    (Literal["happy"], ["happy"]),
    (Literal["angry"], ["angry"]),
    (Literal[1], [1]),
    (Amount, [Amount(1)]),
    (list[int], [[1, 2], [3]]),
    (list[float], [[1.5], [2.0]]),
    (list[str], [["a"], ["1"], ["happy"], [UUID_TEXT], ["2026-01-02"], ["(1,a)"]]),
    (list[Mood], [[Mood.HAPPY]]),
    (list[list[int]], [[[1], [2]]]),
    (list[UUID], [[UUID(UUID_TEXT)]]),
    (list[date], [[date(2026, 1, 2)]]),
    (tuple[int, str], [(1, "a"), (1, "1")]),
    (tuple[int, ...], [(1, 2), (1,)]),
    (set[int], [{1, 2}]),
    (frozenset[int], [frozenset({1, 2})]),
    (Sequence[int], [[1, 2], (1, 2)]),
    (Collection[int], [[1, 2], {1, 2}, (1, 2)]),
    (Iterable[int], [[1, 2], {1, 2}, (1, 2)]),
    (dict[str, int], [{"number": 1, "word": 2}]),
    (Mapping[str, Any], [{"number": 1, "word": "a"}]),
    (Row, [Row(1, "a"), Row(1, "1")]),
    (Words, [Words(word) for word in ("a", "1", "happy", UUID_TEXT, "2026-01-02", "(1,a)")]),
    (Pair, [Pair(number=1, word="a")]),
    (PairOfTexts, [PairOfTexts(NAIVE, "a")]),
    (PairDict, [{"number": 1, "word": "a"}]),
    (PgRange[int], [Range(1, 2)]),
    (Range[int], [Range(1, 2)]),
    (Range[date], [Range(date(2026, 1, 2), None)]),
    (PgMultirange[int], [Multirange([Range(1, 2)])]),
    (Path, [Path("a")]),
    (SecretStr, [SecretStr("a")]),
    (complex, [1j]),
    (list[Path], [[Path("a")]]),
]

#: Texts of each type, for a str may spell anything.
SPELLED = [
    "1", "true", UUID_TEXT, "2026-01-02", "03:04", "happy", "{1}", "[1,2)", "{[1,2)}", "10.0.0.0", "(1,a)", "{happy}",
    "08:00:2b:01:02:03", "[2026-01-02,)", "[1]", "(1,2)", "{2026-01-02}", "a word", '{"(1,a)"}', f"{{{UUID_TEXT}}}",
]  # fmt: skip

WANTED = [
    "bool", "int2", "int4", "int8", "float4", "float8", "numeric", "oid", "uuid", "date", "time", "timetz", "timestamp",
    "timestamptz", "interval", "bytea", "inet", "cidr", "text", "varchar(20)", "json", "jsonb", "mood", "pair",
    "small_number", "int4[]", "text[]", "mood[]", "uuid[]", "date[]", "pair[]", "jsonb[]", "int4range", "daterange",
    "int4multirange", "money", "bit(1)", "tsvector", "float8[]", "point",
]  # fmt: skip


@pytest.fixture(scope="module")
def db(server: TestServer) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection to a database with types of its own."""
    with (
        dropped_afterwards(server, None, "types") as database,
        psycopg.connect(server.dsn_for(database), autocommit=True) as connection,
    ):
        connection.execute(TYPES)
        yield connection


def raw(db: psycopg.Connection[Any], expression: str) -> tuple[Any, Column]:
    """Return a value as it is loaded, and its column."""
    row = RowType.value(Any)
    statement = parse_statement(f"select {expression} as value")
    values = call(db, Query(statement, Cardinality.ALL, row), statement.variant(), [])
    return values[0], next(iter(row.makers))[0]


def server_type(name: str, structure: PgType) -> ServerType:
    """Return what the server says of a type."""
    labels = ("happy", "sad") if "mood" in name else ()
    return ServerType(0, name, structure, labels, domain=name == "small_number")


def makes(row: RowType, column: Column, value: Any) -> bool:
    """Tell whether a row of one value is really made."""
    try:
        row_maker(row, (column,)).many([(value,)])
    except Mismatch:
        return False
    return True


@pytest.mark.parametrize("name", ["int8", "text", "mood", "timestamptz", "uuid", "text[]", "mood[]", "date"])
def test_what_is_said_of_strict_fields_is_what_happens(db: psycopg.Connection[Any], name: str) -> None:
    """A field is judged with its model's configuration."""
    stored = [raw(db, f"{literal}::{name}") for literal in STORED[name]]
    column = stored[0][1]
    wrong = []
    for annotation in LOADED:
        model: Any = create_model("Strictly", __config__=ConfigDict(strict=True), value=(annotation, ...))
        row = RowType.of(model)
        passed = [makes(row, column, value) for value, _ in stored]
        truth = Share.ALL if all(passed) else Share.SOME if any(passed) else Share.NONE
        expected = Expected.of_field(model, "value", row.fields["value"])
        said = share_of(expected, server_type(name, column.type))
        if said is not truth:
            wrong.append(f"{name} into {annotation}: said {said}, is {truth}")
    assert wrong == []


@pytest.mark.filterwarnings("ignore:__int__ returned non-int:DeprecationWarning")  # ipaddress, of a bool
@pytest.mark.parametrize("name", STORED)
def test_what_is_said_of_columns_is_what_happens(db: psycopg.Connection[Any], name: str) -> None:
    """A type is said to load always, sometimes or never into an annotation as its values really do."""
    stored = [raw(db, f"{literal}::{name}") for literal in STORED[name]]
    column = stored[0][1]
    wrong = []
    for annotation in LOADED:
        passed = [makes(RowType.value(annotation), column, value) for value, _ in stored]
        truth = Share.ALL if all(passed) else Share.SOME if any(passed) else Share.NONE
        said = share_of(Expected(annotation), server_type(name, column.type))
        if said is not truth:
            wrong.append(f"{name} into {annotation}: said {said}, is {truth}")
    assert wrong == []


def taken(db: psycopg.Connection[Any], name: str, values: Iterable[Any]) -> bool:
    """Tell whether one of some values is really sent as a type."""
    statement = parse_statement(f"select (:value::{name}) is null as missing")
    query = Query(statement, Cardinality.ALL, RowType.value(bool))
    for value in values:
        try:
            call(db, query, statement.variant(), [value])
        except (ArgumentError, psycopg.Error):
            continue
        return True
    return False


@pytest.mark.parametrize("name", WANTED)
def test_what_is_said_of_parameters_is_what_happens(db: psycopg.Connection[Any], name: str) -> None:
    """A type of values is called right where one of them can really be sent, and wrong where none can."""
    wanted = server_type(name, raw(db, f"null::{name}")[1].type)
    wrong = [
        f"{annotation} as {name}: said {not reasons}"
        for annotation, values in [*SENT, (str, SPELLED)]
        if taken(db, name, values) is bool(reasons := sending(annotation, wanted))
    ]
    assert wrong == []


COPIED = [
    "bool", "int4", "int8", "float4", "float8", "numeric", "uuid", "date", "time", "timestamp", "timestamptz",
    "interval", "bytea", "text", "jsonb", "mood", "small_number", "inet", "int4[]", "pair", "int4range",
]  # fmt: skip


def copied(db: psycopg.Connection[Any], values: Iterable[Any]) -> bool:
    """Tell whether one of some values is really copied into the table's column."""
    statement = parse_statement("copy copied (value) from stdin")
    query = Query(statement, Cardinality.AFFECTED, None)
    copy = CopyIn(
        query,
        statement.variant().text,
        "copied",
        ("value",),
        lambda item: (item,),
        lambda items: [(item,) for item in items],
    )
    for value in values:
        try:
            copy_in(db, copy, [value])
        except (ArgumentError, psycopg.Error):
            continue
        return True
    return False


@pytest.mark.parametrize("name", COPIED)
def test_what_is_said_of_copies_is_what_happens(db: psycopg.Connection[Any], name: str) -> None:
    """A copy takes other values than a parameter does, in binary or as text, and what is said of them is so."""
    db.execute(f"drop table if exists copied; create table copied (value {name})".encode())
    wanted = server_type(name, raw(db, f"null::{name}")[1].type)
    (send,) = send_as_copied([wanted.structure]).values()
    wrong = [
        f"{annotation} as {name}: said {not reasons}"
        for annotation, values in [*SENT, (str, SPELLED)]
        if copied(db, values) is bool(reasons := sending(annotation, wanted, send))
    ]
    assert wrong == []


@dataclass
class Person:
    name: str
    age: int = 0

    @property
    def initial(self) -> str | None:
        """The first letter."""
        return self.name[:1] or None


class Company(BaseModel):
    owner: Person | None
    staff: dict[str, Person]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def size(self) -> int:
        """How many work there."""
        return len(self.staff)


Box = TypeVar("Box")


class Boxed(BaseModel, Generic[Box]):
    value: Box


@pytest.mark.parametrize(
    ("annotation", "path", "expected"),
    [
        (Person, ("name",), str),
        (Person, ("initial",), str | None),
        (Person | None, ("age",), int | None),
        (Company, ("owner", "name"), str | None),
        (Company, ("staff", "anyone", "age"), int),
        (Company, ("size",), int),
        (PairDict, ("word",), str),
        (Row, ("number",), int),
        (Boxed[date], ("value",), date),
        (dict[str, Any], ("a", "b"), Any),
        (Any, ("a",), Any),
        (Person, (), Person),
    ],
)
def test_annotations_at_paths(annotation: Any, path: tuple[str, ...], expected: Any) -> None:
    """What a path reads has the annotation of the field; a None on the way is None."""
    assert set(members(annotation_at(annotation, path))) == set(members(expected))


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (list[Mood], "list[Mood]"),
        (UUID | None, "UUID | None"),
        (PgRange[int], "PgRange[int]"),
        (Literal["a", 1], "Literal['a', 1]"),
        (dict[str, list[Pair | None]], "dict[str, list[Pair | None]]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Annotated[int, Field(ge=1)], "int"),
        (Amount, "Amount"),
        (Callable[[int], Mood], "Callable[[int], Mood]"),
        (Boxed[date], "Boxed[date]"),
        (Any, "Any"),
        (None, "None"),
    ],
)
def test_spelling(annotation: Any, expected: str) -> None:
    """Annotations are spelled without their modules."""
    assert spelled(annotation) == expected


def test_types_that_name_themselves() -> None:
    """A type that holds itself is looked at once."""
    array = PgType("int4[]", "a", PgType("int4"))
    assert "dict[str, JsonValue] cannot be sent as int4" in sending(list[JsonValue], ServerType(0, "int4[]", array))
