"""Each type of PostgreSQL, there and back: by one parameter, by an array, by returning and by copy."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, Protocol, TypedDict
from uuid import UUID

import psycopg
import pytest
from psycopg.types import TypeInfo
from psycopg.types.hstore import register_hstore
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range
from pydantic import BaseModel, Field, NonNegativeInt

import sqlkit
from sqlkit import Affected, ArgumentError, Executor, PgMultirange, PgRange
from sqlkit.rows.shapes import describe_type
from sqlkit.testing import TestServer, dropped_afterwards
from tests.fetching import both, fetch, refused

PLUS_TWO = timezone(timedelta(hours=2))
EAST = timezone(timedelta(hours=5, minutes=30))

TYPES = """
create extension citext;
create extension hstore;
create extension ltree;
create type mood as enum ('happy', 'so so', 'it''s "bad", \\really');
create type colour as enum ('red', 'green');
create domain positive as int check (value > 0);
create domain small as positive check (value < 100);
create domain email as text check (value like '%@%');
create domain my_mood as mood;
create domain ints as int[];
create domain document as jsonb;
create type pair as (number int, word text);
create type holder as (
    pair pair, pairs pair[], mood mood, moods mood[], document jsonb, small small, price numeric, ints ints,
    my_mood my_mood
);
create type with_money as (number int, amount money, at timestamptz);
create domain positive_pair as pair check ((value).number > 0);
create type float_range as range (subtype = float8);
create type text_range as range (subtype = text);
create type mood_range as range (subtype = mood);
"""


class Mood(Enum):
    HAPPY = "happy"
    SO_SO = "so so"
    BAD = 'it\'s "bad", \\really'


class Colour(StrEnum):
    ROT = "red"
    GRUEN = "green"


class Level(IntEnum):
    LOW = 1
    HIGH = 10


class Pair(BaseModel):
    number: int | None
    word: str | None


@dataclasses.dataclass
class PairClass:
    number: int
    word: str


class PairTuple(NamedTuple):
    number: int
    word: str


class PairDict(TypedDict):
    number: int
    word: str


class Holder(BaseModel):
    pair: Pair
    pairs: list[Pair]
    mood: Mood
    moods: list[Mood]
    document: dict[str, Any]
    small: int
    price: Decimal
    ints: list[int]
    my_mood: Mood


SongId = NewType("SongId", int)

HOLDER = Holder(
    pair=Pair(number=1, word='a "quoted", (word) \\ with all'),
    pairs=[Pair(number=2, word=""), Pair(number=None, word=None)],
    mood=Mood.BAD,
    moods=[Mood.BAD, Mood.HAPPY],
    document={"price": Decimal("1.123456789012345678901234567890"), "text": 'a "b" \\ c'},
    small=5,
    price=Decimal("1.50"),
    ints=[1, 2],
    my_mood=Mood.SO_SO,
)

HOSTILE = [
    "",
    " ",
    "NULL",
    "null",
    "'; drop table there; --",
    '"',
    "\\",
    "\\N",
    "\\.",
    "/* -- */ $$ $1 :name %s {}",
    "tab\tnewline\nreturn\r",
    "\U0001f3b5 \u202e right to left \u05d0",
    "é" * 1000,
]

#: (type, annotation, values); what is in here goes by every way.
CASES: list[tuple[str, Any, list[Any]]] = [
    ("smallint", int, [-32768, 0, 32767]),
    ("int", int, [-2147483648, 0, 2147483647]),
    ("bigint", int, [-(2**63), 0, 100000, 2**63 - 1]),
    ("oid", int, [0, 4294967295]),
    ("real", float, [0.0, 1.5, float("inf"), float("-inf"), float("nan")]),
    ("float8", float, [0.1, -0.0, 1.7976931348623157e308, 5e-324, float("inf"), float("-inf"), float("nan")]),
    (
        "numeric",
        Decimal,
        [Decimal("0"), Decimal("1.10"), Decimal("-123456789012345.123456789012345"), Decimal("1E+400")],
    ),
    ("numeric(12, 4)", Decimal, [Decimal("0.0001"), Decimal("-99999999.9999")]),
    ("bool", bool, [True, False]),
    ("text", str, HOSTILE),
    ("varchar(10)", str, ["", "ten chars!"]),
    ("char(5)", str, ["abcde", "\\''\"\t"]),
    ('"char"', str, ["c"]),
    ("name", str, ["a name"]),
    ("uuid", UUID, [UUID(int=0), UUID("0123456789abcdef0123456789abcdef")]),
    ("bytea", bytes, [b"", b"\\", b"\\x41", bytes(range(256))]),
    ("date", date, [date.min, date(2026, 2, 28), date.max]),
    ("time", time, [time.min, time(23, 59, 59, 999999)]),
    ("timetz", time, [time(0, 0, tzinfo=UTC), time(23, 59, 59, 999999, tzinfo=EAST)]),
    ("timestamp", datetime, [datetime.min, datetime(2026, 3, 29, 2, 30), datetime.max]),
    ("timestamptz", datetime, [datetime(1, 1, 2, tzinfo=UTC), datetime(2026, 3, 29, 2, 30, 0, 1, tzinfo=PLUS_TWO)]),
    ("interval", timedelta, [timedelta(0), timedelta(days=-1, microseconds=1), timedelta.max, timedelta.min]),
    ("json", dict[str, Any], [{}, {"a": [1, 2.5, None, True, "x"]}]),
    ("jsonb", dict[str, Any], [{}, {"a": [1, 2.5, None, True, 'x "\\ \n é']}]),
    ("jsonb", Any, [[], {}, 5, True, [[1], [2]], Decimal("1.123456789012345678901234567890"), 10**400]),
    ("jsonb", Pair, [Pair(number=1, word="é")]),
    ("document", Pair, [Pair(number=1, word="é")]),
    ("mood", Mood, list(Mood)),
    ("mood", str, ["happy"]),
    ("colour", Colour, list(Colour)),
    ("text", Mood, list(Mood)),
    ("int", Level, list(Level)),
    ("text", Literal["a", "b"], ["a", "b"]),
    ("int", Literal[1, 2], [1, 2]),
    ("int", SongId, [SongId(1)]),
    ("int", NonNegativeInt, [0, 5]),
    ("text", Annotated[str, Field(max_length=3)], ["abc"]),
    ("positive", int, [1]),
    ("small", int, [99]),
    ("email", str, ["a@b"]),
    ("my_mood", Mood, list(Mood)),
    ("ints", list[int], [[], [1, 2]]),
    ("int[]", list[int], [[], [1, -2]]),
    ("int[]", list[int | None], [[None], [1, None, 3]]),
    ("int[]", list[list[int]], [[[1, 2], [3, 4]]]),
    ("int[]", tuple[int, int], [(1, 2)]),
    ("smallint[]", list[Level], [[Level.LOW, Level.HIGH]]),
    ("bigint[]", list[int], [[1, 2**62]]),
    ("numeric[]", list[Decimal], [[Decimal("1.10"), Decimal("123456789012345678901234567890")]]),
    ("float8[]", list[float], [[0.1, float("inf"), 3.0]]),
    ("text[]", list[str], [HOSTILE, []]),
    ("text[]", list[list[str]], [[["a", '"'], ["{}", ","]]]),
    ("bool[]", list[bool], [[True, False]]),
    ("uuid[]", list[UUID], [[UUID(int=7)]]),
    ("bytea[]", list[bytes], [[b"", b"\\x\x00\xff"]]),
    ("date[]", list[date], [[date.min, date.max]]),
    ("timestamptz[]", list[datetime], [[datetime(2026, 1, 1, tzinfo=UTC)]]),
    ("interval[]", list[timedelta], [[timedelta(days=-1, microseconds=1)]]),
    ("jsonb[]", list[dict[str, Any]], [[{"a": 'x "y" \\'}, {"b": [1, {}]}]]),
    ("jsonb[]", list[list[int]], [[[1, 2], []]]),
    ("mood[]", list[Mood], [list(Mood), []]),
    ("colour[]", list[Colour], [list(Colour)]),
    ("small[]", list[int], [[1, 2]]),
    ("my_mood[]", list[Mood], [list(Mood)]),
    (
        "int4range",
        PgRange[int],
        [Range(1, 5), Range(None, 5), Range(1, None), Range(None, None, "()"), Range(empty=True)],
    ),
    ("int8range", PgRange[int], [Range(-(2**62), 2**62)]),
    ("numrange", PgRange[Decimal], [Range(Decimal("1.10"), Decimal("2"), "(]")]),
    ("daterange", PgRange[date], [Range(date(2026, 1, 1), date(2027, 1, 1))]),
    ("tsrange", PgRange[datetime], [Range(datetime(2026, 1, 1), None)]),
    ("tstzrange", PgRange[datetime], [Range(datetime(2026, 1, 1, tzinfo=UTC), None)]),
    ("float_range", PgRange[float], [Range(0.1, 2.5, "[]"), Range(empty=True)]),
    ("text_range", PgRange[str], [Range('a"b\\, (c', "z", "[]"), Range("", "a")]),
    ("mood_range", PgRange[Mood], [Range(Mood.HAPPY, Mood.BAD, "[]")]),
    ("int4range[]", list[PgRange[int]], [[Range(1, 5), Range(empty=True)]]),
    ("text_range[]", list[PgRange[str]], [[Range('a"b\\, (c', "z", "[]")]]),
    ("int4multirange", PgMultirange[int], [Multirange([Range(1, 3), Range(5, None)]), Multirange([])]),
    ("datemultirange", PgMultirange[date], [Multirange([Range(date(2026, 1, 1), date(2027, 1, 1))])]),
    ("float_multirange", PgMultirange[float], [Multirange([Range(0.5, 2.5), Range(3.5, 4.0)])]),
    ("text_multirange", PgMultirange[str], [Multirange([Range('a"\\', "c,}"), Range("d", None)])]),
    ("float_multirange[]", list[PgMultirange[float]], [[Multirange([Range(0.5, 2.5)])]]),
    ("pair", Pair, [Pair(number=1, word="a"), Pair(number=None, word=None), Pair(number=1, word="")]),
    ("pair", PairClass, [PairClass(1, 'a "b", (c) \\')]),
    ("pair", PairTuple, [PairTuple(1, "a")]),
    ("pair", tuple[int, str], [(1, "a")]),
    ("pair", tuple[int | str, ...], [(1, "a")]),
    ("pair", PairDict, [{"number": 1, "word": "a"}]),
    ("pair", dict[str, Any], [{"number": 1, "word": "a"}]),
    ("positive_pair", Pair, [Pair(number=1, word="a")]),
    ("pair[]", list[Pair], [[Pair(number=1, word='a "b", {c} \\')], []]),
    ("pair[]", list[tuple[int, str]], [[(1, "a"), (2, "b")]]),
    ("pair[]", list[PairTuple], [[PairTuple(1, "a")]]),
    ("pair[]", list[Pair | None], [[None, Pair(number=1, word="a")]]),
    ("holder", Holder, [HOLDER]),
    ("holder[]", list[Holder], [[HOLDER]]),
    ("inet", IPv4Address, [IPv4Address("10.0.0.1")]),
    ("inet", IPv6Address, [IPv6Address("::1")]),
    ("inet", IPv4Interface, [IPv4Interface("10.0.0.1/8")]),
    ("cidr", IPv4Network, [IPv4Network("10.0.0.0/8")]),
    ("macaddr", str, ["08:00:2b:01:02:03"]),
    ("citext", str, HOSTILE),
    ("citext[]", list[str], [["A", "b"]]),
    ("hstore", str, ['"a"=>"1", "b"=>NULL']),
    ("ltree", str, ["top.middle"]),
    ("tsvector", str, ["'a' 'b':1"]),
    ("tsquery", str, ["'a' & 'b'"]),
    ("money", str, ["$5.00"]),
    ("bit(3)", str, ["101"]),
    ("varbit", str, ["1"]),
    ("point", str, ["(1,2)"]),
    ("box[]", list[str], [["(2,2),(1,1)", "(3,3),(1,1)"]]),
    ("regclass", str, ["pg_class"]),
    ("pg_lsn", str, ["1/2"]),
    ("jsonpath", str, ['$."a"']),
]


def name_of(case: tuple[str, Any, list[Any]]) -> str:
    """Name a case for pytest's report."""
    return f"{case[0]} as {describe_type(case[1])}".replace("tests.test_types.", "").replace(
        "datetime.datetime", "datetime"
    )


cases = pytest.mark.parametrize(("pgtype", "annotation", "values"), CASES, ids=[name_of(case) for case in CASES])
_serial = count()


@pytest.fixture(scope="module")
def db(server: TestServer) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection to a database with types of its own."""
    with dropped_afterwards(server) as database, psycopg.connect(server.dsn_for(database), autocommit=True) as conn:
        conn.execute(TYPES)
        yield conn


@dataclasses.dataclass
class Item:
    v: Any


def equal(found: Any, sent: Any) -> bool:
    """Tell whether values are equal and of one type; a NaN equals itself."""
    return type(found) is type(sent) and (found == sent or (found != found and sent != sent))


def api(folder: Path, table: str, annotation: Any) -> Any:
    """Load queries that put values of an annotation into a table, and get them back."""

    class There(Protocol):
        def put(self, db: Executor, *, v: annotation) -> tuple[annotation]: ...
        def copy_in(self, db: Executor, items: Iterable[Item]) -> Affected: ...
        def put_all(self, db: Executor, items: Iterable[Item]) -> list[tuple[annotation]]: ...
        def get_all(self, db: Executor) -> list[tuple[annotation]]: ...

    path = folder / "there.sql"
    path.write_text(
        f"-- name: put\ninsert into {table} (v) values (:v) returning v;\n"
        f"-- name: put_all\ninsert into {table} (v) values (:v) returning v;\n"
        f"-- name: copy_in\ncopy {table} (v) from stdin;\n"
        f"-- name: get_all\nselect v from {table} order by place;\n"
    )
    return sqlkit.load(There, path)


@pytest.fixture
def there(db: psycopg.Connection[Any], tmp_path: Path) -> Iterator[Any]:
    """Give a function that makes a table of one type, with its queries."""
    name = f"there_{next(_serial)}"

    def make(pgtype: str, annotation: Any) -> Any:
        db.execute(f"create table {name} (place int generated always as identity, v {pgtype})")
        return api(tmp_path, name, annotation)

    yield make
    db.execute(f"drop table if exists {name}")


@cases
def test_a_value_comes_back_from_a_parameter(
    db: psycopg.Connection[Any], pgtype: str, annotation: Any, values: list[Any]
) -> None:
    """What is sent as a parameter of a type comes back equal, on both paths."""
    for sent in values:
        (found,) = both(db, annotation, f"select cast(:sent as {pgtype})", value=True, sent=sent)
        assert equal(found, sent)


@cases
def test_a_value_comes_back_beside_a_type_without_binary(
    db: psycopg.Connection[Any], pgtype: str, annotation: Any, values: list[Any]
) -> None:
    """A column that only has a text form makes the whole result text, and the others come back as they do in binary."""
    for sent in values:
        (found,) = both(db, tuple[annotation, str], f"select cast(:sent as {pgtype}), '5'::money", sent=sent)
        assert equal(found[0], sent)


@pytest.mark.parametrize(
    ("pgtype", "annotation", "values"),
    [case for case in CASES if not case[0].endswith("[]")],
    ids=[name_of(case) for case in CASES if not case[0].endswith("[]")],
)
def test_values_come_back_from_an_array(
    db: psycopg.Connection[Any], pgtype: str, annotation: Any, values: list[Any]
) -> None:
    """A list of values of a type is an array of that type."""
    sql = f"select item from unnest(cast(:sent as {pgtype}[])) with ordinality as list (item, place) order by place"
    if pgtype in ("pair", "holder", "positive_pair"):
        # unnest would make a column of each field.
        arrays = f"(select cast(:sent as {pgtype}[])) as one (items)"
        sql = f"select items[i] from {arrays}, generate_subscripts(items, 1) as i"
    found = fetch(db, annotation, sql, value=True, sent=values)
    assert len(found) == len(values)
    assert all(map(equal, found, values))


@cases
def test_a_value_comes_back_from_returning(
    db: psycopg.Connection[Any], there: Any, pgtype: str, annotation: Any, values: list[Any]
) -> None:
    """What is inserted comes back from returning, one by one and as a batch."""
    queries = there(pgtype, annotation)
    for sent in values:
        (found,) = queries.put(db, v=sent)
        assert equal(found, sent)
    rows = queries.put_all(db, [Item(sent) for sent in values])
    assert len(rows) == len(values)
    assert all(equal(found, sent) for (found,), sent in zip(rows, values, strict=True))


@cases
def test_a_value_comes_back_from_copy(
    db: psycopg.Connection[Any], there: Any, pgtype: str, annotation: Any, values: list[Any]
) -> None:
    """What is copied in comes out equal."""
    queries = there(pgtype, annotation)
    assert queries.copy_in(db, [Item(sent) for sent in values]) == len(values)
    rows = queries.get_all(db)
    assert all(equal(found, sent) for (found,), sent in zip(rows, values, strict=True))


@cases
def test_null_comes_back_by_every_way(
    db: psycopg.Connection[Any], there: Any, pgtype: str, annotation: Any, values: list[Any]
) -> None:
    """None is NULL and comes back as None, whatever the type."""
    queries = there(pgtype, annotation | None)
    assert queries.put(db, v=None) == (None,)
    assert queries.put_all(db, [Item(None)]) == [(None,)]
    queries.copy_in(db, [Item(None)])
    assert queries.get_all(db) == [(None,)] * 3


@pytest.mark.parametrize(
    ("pgtype", "annotation"),
    [case[:2] for case in CASES if case[1] is not Any],
    ids=[name_of(case) for case in CASES if case[1] is not Any],
)
def test_null_is_refused_where_none_is_not_annotated(db: psycopg.Connection[Any], pgtype: str, annotation: Any) -> None:
    """NULL for an annotation without None is a RowError that names the column."""
    error = refused(db, annotation, f"select cast(null as {pgtype}) as which", value=True)
    assert (error.column, error.got) == ("which", "NULL")


@pytest.mark.parametrize(
    ("pgtype", "annotation", "given", "wanted"),
    [
        ("int", int, [3, 1], [1, 3]),
        ("bigint", int, [1, 2**40], [1, 2**40]),
        ("text", str, ["it's", "{b}"], ["it's", "{b}"]),
        ("uuid", UUID, [UUID(int=1)], [UUID(int=1)]),
        ("date", date, [date(2026, 1, 1)], [date(2026, 1, 1)]),
        ("numeric", Decimal, [Decimal("1.5"), 2], [Decimal("1.5"), Decimal(2)]),
        ("float8", float, [1, 2.5], [1.0, 2.5]),
        ("mood", Mood, [Mood.BAD, Mood.HAPPY], [Mood.HAPPY, Mood.BAD]),
        ("inet", IPv4Address, [IPv4Address("10.0.0.1")], [IPv4Address("10.0.0.1")]),
        ("bool", bool, [False, True], [False, True]),
    ],
)
@pytest.mark.parametrize("kind", [list, tuple, set])
def test_any_is_the_in_list(
    db: psycopg.Connection[Any], pgtype: str, annotation: Any, given: list[Any], wanted: list[Any], kind: Any
) -> None:
    """``= any(:ids)`` finds what a list, tuple or set holds, and nothing for an empty one."""
    sql = f"select v from unnest(cast(:there as {pgtype}[])) as there (v) where v = any(:ids) order by v"
    assert fetch(db, annotation, sql, there=given, ids=kind(given)) == wanted
    assert fetch(db, annotation, sql, there=given, ids=kind()) == []


@pytest.mark.parametrize(
    ("pgtype", "annotation", "sent"),
    [("bytea", bytes, bytes(range(256)) * 40960), ("text", str, "é'\\ " * 2_000_000)],
    ids=["bytea", "text"],
)
def test_ten_megabytes_come_back(
    db: psycopg.Connection[Any], there: Any, pgtype: str, annotation: Any, sent: Any
) -> None:
    """10 MB of bytes and of text go by a parameter, by returning and by copy."""
    queries = there(pgtype, annotation)
    assert queries.put(db, v=sent) == (sent,)
    queries.copy_in(db, [Item(sent)])
    assert queries.get_all(db) == [(sent,), (sent,)]


# What a value becomes besides.


@pytest.mark.parametrize(
    ("sql", "annotation"),
    [
        ("select 'infinity'::timestamptz as which", datetime),
        ("select '-infinity'::timestamp as which", datetime),
        ("select '0044-03-15 BC'::timestamp as which", datetime),
        ("select '0044-03-15 BC'::timestamptz as which", datetime),
        ("select 'infinity'::date as which", date),
        ("select '0044-03-15 BC'::date as which", date),
        ("select '10000-01-01'::date as which", date),
        ("select '24:00'::time as which", time),
        ("select '24:00+00'::timetz as which", time),
        ("select '1000000000 days'::interval as which", timedelta),
        ("select array['infinity'::date] as which", list[date]),
        ("select '[2026-01-01,infinity)'::daterange as which", PgRange[date]),
        ("select 'nan'::numeric as which", Decimal),
        ("select '{1,nan}'::numeric[] as which", list[Decimal]),
        ("select 'nan'::numeric as which", Annotated[Decimal, Field(ge=0)]),
        ("select 'nan'::float8 as which", Annotated[float, Field(allow_inf_nan=False)]),
        ("select 'so so'::mood as which", Literal["happy"]),
        ("select 'so so'::mood as which", Colour),
        ("select array['so so']::mood[] as which", list[Colour]),
        ("select 5 as which", Level),
        ("select array[1, null] as which", list[int]),
        ("select '{{1},{2}}'::int[] as which", list[int]),
        ("select row(1, null)::pair as which", PairClass),
        ("select 'x' as which", int),
        ("select 1 as which", str),
        ("select 1.5 as which", int),
        ("select int4range(1, 2) as which", int),
        ("select 1 as which", PgRange[int]),
        ("select '[1.5,2)'::numrange as which", PgRange[int]),
        ("select 1 as which", PgMultirange[int]),
    ],
)
@pytest.mark.parametrize("beside", ["", ", '5'::money as money"], ids=["binary", "text"])
def test_what_python_cannot_hold_is_a_row_error(
    db: psycopg.Connection[Any], sql: str, annotation: Any, beside: str
) -> None:
    """A value that the annotation cannot hold is a RowError that names place and column and shows no value."""
    wanted = tuple[annotation, str] if beside else tuple[annotation]
    error = refused(db, wanted, sql + beside)
    assert error.column == "which"
    assert str(error).startswith("<sql>:1: <sql>: column 'which': ")
    assert not any(part in str(error) for part in ("infinity'", "0044", "24:00", "2026", "1000000000", "so so", "nan"))


def test_an_infinite_interval_is_a_row_error(db: psycopg.Connection[Any], server: TestServer) -> None:
    """PostgreSQL 17 and later have intervals without end, which timedelta has not."""
    if server.version < 170000:
        pytest.skip("intervals have been infinite since PostgreSQL 17")
    assert refused(db, timedelta, "select 'infinity'::interval as which").column == "which"


@pytest.mark.parametrize(
    ("sql", "annotation", "value"),
    [
        ("select 'nan'::numeric", Annotated[Decimal, Field(allow_inf_nan=True)], Decimal("nan")),
        ("select '1 mon'::interval", timedelta, timedelta(days=30)),
        ("select 'x'", str, "x"),
        ("select null", str | None, None),
        ("select row(1, 'x'::text)", tuple[int, str], (1, "x")),
        ("select '1 2'::int2vector", str, "1 2"),
        ("select '10:00'::time", str | time, time(10)),
        ("select 1", int | str, 1),
        ("select 1", float, 1.0),
        ("select 1", Decimal, Decimal(1)),
        ("select 1", bool, True),
        ("select 1.0", int, 1),
        ("select '2026-01-01'::date", datetime, datetime(2026, 1, 1)),
        ("select '0123456789abcdef0123456789abcdef'", UUID, UUID("0123456789abcdef0123456789abcdef")),
        ("select '{{1,2},{3,4}}'::int[]", list[Any], [[1, 2], [3, 4]]),
        ("select '[5:6]={1,2}'::int[]", list[int], [1, 2]),
        ("select array[1, 2]", tuple[int, ...], (1, 2)),
        ("select array[1, 1]", set[int], {1}),
        ("select array[1, 1]", frozenset[int], frozenset({1})),
        ("select pg_notify('nobody', '')", str, ""),
        ("select row(1, 2, '2026-01-01 00:00Z')::with_money", dict[str, Any], None),
    ],
)
def test_a_value_is_read_as_annotated(db: psycopg.Connection[Any], sql: str, annotation: Any, value: Any) -> None:
    """A value becomes what its annotation says, where pydantic has a way from one to the other."""
    (found,) = both(db, annotation, sql, value=True)
    if value is None and "with_money" in sql:
        assert (found["number"], found["amount"], type(found["at"])) == (1, "$2.00", datetime)
    else:
        assert equal(found, value) or str(found) == str(value) == "NaN"


def test_a_moment_keeps_its_instant_in_any_session_time_zone(server: TestServer) -> None:
    """An aware datetime comes back as the same instant, in the session's time zone."""
    with psycopg.connect(server.dsn) as conn:
        conn.execute("set local timezone = 'America/St_Johns'")
        for sent in (datetime(2026, 7, 1, 12, tzinfo=PLUS_TWO), datetime(2026, 11, 1, 5, 30, tzinfo=UTC)):
            (found,) = both(conn, datetime, "select :sent::timestamptz", sent=sent)
            assert found == sent
            assert found.utcoffset() in (timedelta(hours=-2.5), timedelta(hours=-3.5))


@pytest.mark.parametrize("style", ["postgres", "postgres_verbose", "sql_standard", "iso_8601"])
def test_an_interval_goes_whatever_the_style_of_the_session(server: TestServer, style: str) -> None:
    """IntervalStyle and DateStyle change nothing of what goes and comes in binary."""
    sent = timedelta(days=-3, hours=5, microseconds=7)
    with psycopg.connect(server.dsn) as conn:
        conn.execute(f"set local intervalstyle = {style}")
        conn.execute("set local datestyle = 'SQL, DMY'")
        assert both(conn, timedelta, "select :sent::interval", sent=sent) == [sent]
        assert both(conn, date, "select :sent::date", sent=date(2026, 2, 1)) == [date(2026, 2, 1)]
        moment = datetime(2026, 2, 1, 10, 30, tzinfo=UTC)
        assert both(conn, datetime, "select :sent::timestamptz", sent=moment) == [moment]


def test_a_void_function_returns_nothing(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    """A query that is annotated with None runs a function that returns void."""

    class Functions(Protocol):
        def run_nothing(self, db: Executor, *, number: int) -> None: ...

    db.execute("create function nothing(number int) returns void language plpgsql as 'begin end'")
    path = tmp_path / "functions.sql"
    path.write_text("-- name: run_nothing\nselect nothing(:number);\n")
    functions: Functions = sqlkit.load(Functions, path)
    assert functions.run_nothing(db, number=1) is None  # type: ignore[func-returns-value]
    assert fetch(db, str, "select nothing(1)") == [""]


def test_a_loader_of_the_borrowers_serves_a_type_that_nobody_else_knows(server: TestServer) -> None:
    """What psycopg was told of an extension's type on the connection is used, for there is nothing better."""
    with dropped_afterwards(server) as database, psycopg.connect(server.dsn_for(database)) as conn:
        conn.execute("create extension hstore")
        info = TypeInfo.fetch(conn, "hstore")
        assert info is not None
        register_hstore(info, conn)
        assert both(conn, dict[str, str | None], "select 'a=>1,b=>null'::hstore", value=True) == [{"a": "1", "b": None}]


def test_xml_comes_back(db: psycopg.Connection[Any]) -> None:
    """An xml column is its text, alone and in an array."""
    try:
        db.execute("select '<a/>'::xml")
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this PostgreSQL was built without libxml")
    assert both(db, str, "select :sent::xml", sent="<a>é</a>") == ["<a>é</a>"]
    assert both(db, list[str], "select array['<a/>'::xml]", value=True) == [["<a/>"]]


def test_other_client_encodings_carry_text_and_json(server: TestServer) -> None:
    """In a client encoding other than UTF-8, text and documents come back equal, and what it has not is refused."""
    with psycopg.connect(server.dsn, client_encoding="latin1") as conn:
        assert both(conn, str, "select :sent::text", sent="é") == ["é"]
        assert both(conn, dict[str, str], "select :sent::jsonb", value=True, sent={"é": "é"}) == [{"é": "é"}]
        assert both(conn, dict[str, str], "select :sent::json", value=True, sent={"é": "\n"}) == [{"é": "\n"}]
        assert both(conn, int, "select length(:sent::jsonb ->> 'a')", sent={"a": "\U0001f3b5"}) == [1]
        with pytest.raises(ArgumentError, match="parameter 'sent'"):
            fetch(conn, str, "select :sent::text", sent="\U0001f3b5")


GLOBAL_ADAPTERS = """
import sys
from decimal import Decimal
from datetime import date
import psycopg
from psycopg.adapt import Loader
from psycopg.pq import Format
from psycopg.types.numeric import FloatLoader
from psycopg.types.string import TextLoader
from psycopg.types.json import set_json_loads
import sqlkit

class Zero(Loader):
    format = Format.BINARY

    def load(self, data):
        return 0.0

psycopg.adapters.register_loader("numeric", FloatLoader)
psycopg.adapters.register_loader("numeric", Zero)
psycopg.adapters.register_loader("date", TextLoader)
set_json_loads(lambda text: "changed")
with psycopg.connect(sys.argv[1]) as conn:
    conn.adapters.register_loader("int4", TextLoader)
    sql = "select 1.10 as price, '2026-01-01'::date as day, '{\\"a\\": 1.5}'::jsonb as document, 1 as number"
    print(sqlkit.fetch_one(conn, tuple[Decimal, date, dict[str, float], int], sql))
"""


def test_global_adapters_change_nothing(server: TestServer) -> None:
    """What a program registers with psycopg globally, or on the connection, does not change what sqlkit loads."""
    ran = subprocess.run(
        [sys.executable, "-c", GLOBAL_ADAPTERS, server.dsn], capture_output=True, text=True, check=False
    )
    assert (ran.stderr, ran.returncode) == ("", 0)
    assert ran.stdout == "(Decimal('1.10'), datetime.date(2026, 1, 1), {'a': 1.5}, 1)\n"
