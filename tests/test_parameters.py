"""Values on their way to PostgreSQL: what they become, and what is refused because it would become something else."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Json, Jsonb
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range
from pydantic import BaseModel, ConfigDict, field_serializer

import sqlkit
from sqlkit import Affected, ArgumentError, Executor
from sqlkit.testing import TestServer, dropped_afterwards
from sqlkit.values.parameters import DumpTable
from tests.fetching import fetch

TYPES = """
create extension hstore;
create type mood as enum ('happy');
create type pair as (number int, word text);
create type moment as (at timestamptz);
create table there (
    small smallint, number int, amount numeric, flag bool, word text, code varchar(3), key uuid, day date,
    hour time, local timestamp, moment timestamptz, span interval, data bytea, document jsonb, plain json, mood mood,
    part real
);
create table made (numbers int[], pair pair, period tstzrange, hour timetz, words text[], word text, data bytea);
"""

PLUS_TWO = timezone(timedelta(hours=2))
AWARE, NAIVE = datetime(2026, 1, 2, 3, 4, tzinfo=PLUS_TWO), datetime(2026, 1, 2, 3, 4)
NAN = float("nan")


class Mood(Enum):
    HAPPY = "happy"


class Colour(StrEnum):
    ROT = "red"


class Text(str, Enum):  # noqa: UP042 - as it was written before StrEnum
    ROT = "red"


class Level(IntEnum):
    LOW = 1


class Price(BaseModel):
    amount: Decimal
    note: str | None = None


class Floating(BaseModel):
    number: float | None


class Loose(BaseModel):
    anything: Any


class NullForNan(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="null")

    number: float


class Shouting(BaseModel):
    word: str

    @field_serializer("word")
    def shout(self, word: str) -> str:
        """Write the word loudly."""
        return word.upper()


class Pair(BaseModel):
    number: int
    word: str
    other: int = 5


@dataclasses.dataclass
class PairClass:
    number: int
    word: str


@dataclasses.dataclass
class FloatingClass:
    number: float


class PairTuple(NamedTuple):
    word: str
    number: int


class Unknown:
    def __repr__(self) -> str:
        return "secret"


class Keyed(str):
    pass


@pytest.fixture(scope="module")
def db(server: TestServer) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection to a database with types of its own."""
    with dropped_afterwards(server) as database, psycopg.connect(server.dsn_for(database), autocommit=True) as conn:
        conn.execute(TYPES)
        yield conn


@pytest.mark.parametrize(
    ("pgtype", "sent", "text"),
    [
        ("text", UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("text", 5, "5"),
        ("text", Decimal("1.50"), "1.50"),
        ("text", date(2026, 1, 1), "2026-01-01"),
        ("text", Mood.HAPPY, "happy"),
        ("text", Colour.ROT, "red"),
        ("text", Text.ROT, "red"),
        ("text", Keyed("a"), "a"),
        ("int", Level.LOW, "1"),
        ("bool", 1, "true"),
        ("int", "12", "12"),
        ("date", "2026-01-01", "2026-01-01"),
        ("timestamp", date(2026, 1, 1), "2026-01-01 00:00:00"),
        ("numeric", 5, "5"),
        ("numeric", 1.5, "1.5"),
        ("numeric", Decimal("NaN"), "NaN"),
        ("float8", 1, "1"),
        ("float8", Decimal("1.5"), "1.5"),
        ("bytea", bytearray(b"a"), "\\x61"),
        ("bytea", memoryview(b"a"), "\\x61"),
        ("int[]", "{1,2}", "{1,2}"),
        ("int[]", (1, 2), "{1,2}"),
        ("int[]", {1}, "{1}"),
        ("int[]", [Level.LOW, "2", 3], "{1,2,3}"),
        ("int[]", [[1], [2]], "{{1},{2}}"),
        ("numeric[]", [1, Decimal("1.5"), 2.5], "{1,1.5,2.5}"),
        ("text[]", [Mood.HAPPY, UUID(int=1)], "{happy,00000000-0000-0000-0000-000000000001}"),
        ("uuid[]", [UUID(int=1), str(UUID(int=2))], f"{{{UUID(int=1)},{UUID(int=2)}}}"),
        ("pair", "(1,a)", "(1,a)"),
        ("pair", Pair(number=1, word="a"), "(1,a)"),
        ("pair", PairTuple("a", 1), "(1,a)"),
        ("pair", {"word": "a", "number": 1}, "(1,a)"),
        ("pair", OrderedDict(number=1, word="a"), "(1,a)"),
        ("pair", MappingProxyType({"number": 1, "word": "a"}), "(1,a)"),
        ("pair[]", [PairTuple("a", 1), None, (2, None)], '{"(1,a)",NULL,"(2,)"}'),
        ("int4range", "[1,3)", "[1,3)"),
        ("int4range", Range(Level.LOW, 3), "[1,3)"),
        ("int4multirange", Multirange([Range(1, 3)]), "{[1,3)}"),
    ],
)
def test_a_value_goes_as_the_type_that_is_wanted(
    db: psycopg.Connection[Any], pgtype: str, sent: Any, text: str
) -> None:
    """What another type has a true form for goes as that; the rest is PostgreSQL's to say."""
    (found,) = fetch(db, str, f"select cast(cast(:sent as {pgtype}) as text)", sent=sent)
    assert found == text


REFUSED: list[tuple[str, Any, str]] = [
    ("timestamp", AWARE, "drop the zone"),
    ("timestamptz", NAIVE, "this datetime has none"),
    ("date", NAIVE, "drop this datetime's time"),
    ("time", NAIVE, "drop this datetime's date"),
    ("timetz", AWARE, "drop this datetime's date"),
    ("time", time(3, 4, tzinfo=UTC), "drop the zone of this time"),
    ("timetz", time(3, 4), "this time has none"),
    ("timestamp[]", [NAIVE, AWARE], "drop the zone"),
    ("timestamptz[]", [[NAIVE]], "this datetime has none"),
    ("tsrange", Range(AWARE, None), "drop the zone"),
    ("tstzrange", Range(None, NAIVE), "this datetime has none"),
    ("tstzmultirange", Multirange([Range(NAIVE, None)]), "this datetime has none"),
    ("daterange", Range(NAIVE, None), "drop this datetime's time"),
    ("moment", (NAIVE,), "this datetime has none"),
    ("text", b"secret", "a bytes cannot be sent as text"),
    ("text", {"secret": 1}, "a dict cannot be sent as text"),
    ("text", ["secret"], "a list cannot be sent as text"),
    ("text", ("secret",), "a tuple cannot be sent as text"),
    ("text", {"secret"}, "a set cannot be sent as text"),
    ("text", Price(amount=Decimal(1)), "a Price cannot be sent as text"),
    ("text", PairClass(1, "secret"), "a PairClass cannot be sent as text"),
    ("text", Range(1, 2), "a Range cannot be sent as text"),
    ("text[]", [b"secret"], "a bytes cannot be sent as text"),
    ("text", "half \ud800", "a character that the connection's encoding"),
    ("int", [1], "a list cannot be sent as int4"),
    ("mood", {"a": 1}, "a dict cannot be sent as mood"),
    ("hstore", {"secret": "1"}, "a dict cannot be sent as hstore"),
    ("bytea", "secret", "bytea takes bytes, not str"),
    ("bytea[]", ["secret"], "bytea takes bytes, not str"),
    ("pair", (1,), "pair has 2 fields, the tuple has 1"),
    ("pair", (1, "a", "secret"), "pair has 2 fields, the tuple has 3"),
    ("pair", {"number": 1}, "a dict has no 'word', which pair has"),
    ("pair", {"number": 1, "word": "a", "secret": 1}, "a dict has a key that pair has not (it has number, word)"),
    ("pair", Price(amount=Decimal(1)), "a Price has no 'number', which pair has"),
    ("pair", 5, "an int has no 'number', which pair has"),
    ("pair", (1, b"secret"), "a bytes cannot be sent as text"),
    ("int4range", (1, 2), "a tuple cannot be sent as int4range"),
    ("jsonb", NAN, "JSON has no NaN"),
    ("jsonb", {"a": [float("inf")]}, "JSON has no NaN"),
    ("jsonb", Decimal("NaN"), "JSON has no NaN"),
    ("jsonb", {"a": Decimal("-Infinity")}, "JSON has no NaN"),
    ("jsonb", Floating(number=NAN), "JSON has no NaN and no infinity, and Floating holds one"),
    ("jsonb", Loose(anything=[{"a": NAN}]), "Loose holds one"),
    ("jsonb", [Floating(number=float("inf"))], "Floating holds one"),
    ("jsonb", FloatingClass(NAN), "JSON has no NaN"),
    ("json", Unknown(), "an Unknown cannot be sent as JSON"),
    ("jsonb", {"a": Unknown()}, "an Unknown cannot be sent as JSON"),
    ("jsonb", {"a": "half \ud800"}, "half of a surrogate pair"),
    ("jsonb", "half \ud800", "half of a surrogate pair"),
    ("jsonb[]", [{"a": NAN}], "JSON has no NaN"),
]


@pytest.mark.parametrize(("pgtype", "sent", "reason"), REFUSED, ids=[f"{case[0]}-{case[2][:30]}" for case in REFUSED])
def test_what_would_silently_change_is_an_argument_error(
    db: psycopg.Connection[Any], pgtype: str, sent: Any, reason: str
) -> None:
    """A value that PostgreSQL would read as another is refused, with the place and parameter, without the value."""
    with pytest.raises(ArgumentError) as caught:
        fetch(db, Any, f"select cast(:sent as {pgtype})", value=True, sent=sent)
    assert str(caught.value).startswith("<sql>:1: <sql>: parameter 'sent': ")
    assert reason in str(caught.value)
    assert "secret" not in str(caught.value).replace("the tuple", "")
    assert "2026" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_refused_parameter_leaves_the_connection_as_it_was(db: psycopg.Connection[Any]) -> None:
    """Nothing was sent, so an open transaction goes on."""
    with db.transaction():
        with pytest.raises(ArgumentError):
            fetch(db, str, "select cast(:sent as text)", sent=["a"])
        assert fetch(db, str, "select cast(:sent as text)", sent="a") == ["a"]


@pytest.mark.parametrize("sent", ["a\0b", "\0"])
@pytest.mark.parametrize("pgtype", ["text", "varchar", "name", "mood", "hstore"])
def test_a_nul_in_a_text_is_a_data_error_with_the_place(db: psycopg.Connection[Any], pgtype: str, sent: str) -> None:
    """PostgreSQL's texts take no NUL; the driver's own error says so, with a note of the parameter."""
    with pytest.raises(psycopg.DataError, match="NUL") as caught:
        fetch(db, str, f"select cast(:sent as {pgtype})", sent=sent)
    assert any("parameter 'sent'" in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    ("sql", "sent"),
    [
        ("select cast(:sent as text[])", ["a", "b\0"]),
        ("select cast(:sent as pair)", (1, "b\0")),
        ("select cast(:sent as jsonb)", {"a": "b\0"}),
    ],
)
def test_a_nul_inside_other_values_is_a_data_error(db: psycopg.Connection[Any], sql: str, sent: Any) -> None:
    """A NUL is found inside arrays, composites and documents as well."""
    with pytest.raises(psycopg.DataError):
        fetch(db, Any, sql, value=True, sent=sent)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (None, None),
        (True, "true"),
        (5, "5"),
        (1.5, "1.5"),
        (10**400, str(10**400)),
        (Decimal("1.10"), "1.10"),
        (Decimal("0.123456789012345678901234567891"), "0.123456789012345678901234567891"),
        ({"a": [Decimal("1.10"), 1.5]}, '{"a": [1.10, 1.5]}'),
        ({"a": (1, 2)}, '{"a": [1, 2]}'),
        ({"a": {1}}, '{"a": [1]}'),
        ('{"raw":  1}', '{"raw":  1}'),
        ('"text"', '"text"'),
        (Mood.HAPPY, '"happy"'),
        (Colour.ROT, '"red"'),
        (Text.ROT, '"red"'),
        ([Mood.HAPPY, Colour.ROT, Text.ROT, Level.LOW], '["happy", "red", "red", 1]'),
        ({Mood.HAPPY: 1, 2: 2, 3: 4, False: 5, None: 6}, '{"happy": 1, "2": 2, "3": 4, "false": 5, "null": 6}'),
        ({UUID(int=1): UUID(int=2)}, f'{{"{UUID(int=1)}": "{UUID(int=2)}"}}'),
        (Price(amount=Decimal("1.10")), '{"amount":"1.10","note":null}'),
        ([Price(amount=Decimal("1.10"))], '[{"amount":"1.10","note":null}]'),
        (Floating(number=None), '{"number":null}'),
        (NullForNan(number=NAN), '{"number":null}'),
        (Shouting(word="a"), '{"word":"A"}'),
        (PairClass(1, "a"), '{"number":1,"word":"a"}'),
        (PairTuple("a", 1), '["a", 1]'),
        (date(2026, 1, 1), '"2026-01-01"'),
        ([AWARE], '["2026-01-02T03:04:00+02:00"]'),
        (MappingProxyType({"a": 1}), '{"a": 1}'),
        (Json({"a": 1}), '{"a": 1}'),
        (Jsonb([1, Mood.HAPPY]), '[1, "happy"]'),
        ({"é": "\U0001f3b5"}, '{"é": "\U0001f3b5"}'),
    ],
)
def test_json_parameters_take_what_json_can_hold(db: psycopg.Connection[Any], sent: Any, text: str | None) -> None:
    """Models go as they serialise themselves, enums by value, decimals with their digits, a str as it is."""
    (found,) = fetch(db, str | None, "select cast(cast(:sent as json) as text)", sent=sent)
    assert found == text
    fetch(db, Any, "select cast(:sent as jsonb)", value=True, sent=sent)


def circle(*, decimal: bool) -> list[Any]:
    """Return a list that contains itself."""
    made: list[Any] = [Decimal(1)] if decimal else [1]
    made.append(made)
    return made


def depths(number: int) -> Any:
    """Return a list in a list in a list."""
    made: list[Any] = []
    for _ in range(number):
        made = [made]
    return made


MAKERS: dict[str, Callable[[], Any]] = {
    "plain": lambda: circle(decimal=False),
    "odd": lambda: circle(decimal=True),
    "deep": lambda: depths(10**5),
}


@pytest.mark.parametrize("name", MAKERS)
def test_json_that_never_ends_is_refused(db: psycopg.Connection[Any], name: str) -> None:
    """A value that contains itself, or is nested deeper than Python can write, is an ArgumentError."""
    with pytest.raises(ArgumentError, match="contains itself"):
        fetch(db, Any, "select cast(:sent as jsonb)", value=True, sent=MAKERS[name]())


def test_deep_json_comes_back(db: psycopg.Connection[Any]) -> None:
    """A document of some hundred levels is no trouble."""
    assert fetch(db, Any, "select cast(:sent as jsonb)", value=True, sent=depths(300)) == [depths(300)]


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")

    number: int


class Deriving(BaseModel):
    number: int

    @property
    def twice(self) -> int:
        """Twice the number."""
        return self.number * 2

    @cached_property
    def thrice(self) -> int:
        """Thrice the number."""
        return self.number * 3


def test_parts_of_a_parameter_may_be_derived_or_extra(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    """``:item.name`` reads fields, properties, cached properties, and what a model with extra=allow has got."""

    class Parts(Protocol):
        def derived(self, db: Executor, *, item: Deriving) -> list[int]: ...
        def extra(self, db: Executor, *, item: Open) -> int: ...

    path = tmp_path / "parts.sql"
    path.write_text(
        "-- name: derived\nselect unnest(array[:item.number, :item.twice, :item.thrice]::int[]);\n"
        "-- name: extra\nselect :item.other::int;\n"
    )
    parts: Parts = sqlkit.load(Parts, path)
    assert parts.derived(db, item=Deriving(number=1)) == [1, 2, 3]
    assert parts.extra(db, item=Open(number=1, other=5)) == 5  # type: ignore[call-arg]


@pytest.mark.direct("it is about what a session keeps prepared")
def test_one_statement_serves_integers_of_any_size(db: psycopg.Connection[Any]) -> None:
    """The server says what a parameter is, so the size of a value prepares nothing anew."""
    for number in (1, 100_000, 2**40, None):
        fetch(db, int | None, "select cast(:sent as bigint) as one_statement", sent=number)
    prepared = db.execute("select count(*) from pg_prepared_statements where statement like '%one_statement'")
    assert prepared.fetchone() == (1,)


def test_a_wrong_text_is_the_servers_own_error(db: psycopg.Connection[Any]) -> None:
    """What PostgreSQL refuses stays psycopg's error, with the place as a note."""
    with pytest.raises(psycopg.errors.InvalidTextRepresentation) as caught:
        fetch(db, int, "select cast(:sent as int)", sent="x")
    assert caught.value.__notes__ == ["<sql>:1: <sql>"]
    with pytest.raises(psycopg.errors.NumericValueOutOfRange):
        fetch(db, int, "select cast(:sent as smallint)", sent=70_000)
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        fetch(db, int, "select cast(:sent as int)", sent=True)


def test_a_type_without_a_dumper_is_psycopgs_error(db: psycopg.Connection[Any]) -> None:
    """An object that nobody can send is an error of its own, with the parameter."""
    with pytest.raises(psycopg.ProgrammingError, match="cannot adapt type") as caught:
        fetch(db, str, "select cast(:sent as text)", sent=Unknown())
    assert any("parameter 'sent', a Unknown" in note for note in caught.value.__notes__)


def test_tables_of_dumps_are_learnt_by_type(db: psycopg.Connection[Any]) -> None:
    """A table chooses once for each Python type, and says nothing for None."""
    from psycopg.adapt import Transformer

    from sqlkit.values.catalog import PgType

    table = DumpTable(PgType("int4"), Transformer(db))
    assert table[int](5) == b"5"
    assert table[type(None)](None) is None
    assert table[int] is table[int]


# Copy, which sends by the same rules.


def copy_of(folder: Path, table: str, column: str) -> Any:
    """Load a query that copies one column."""

    class Copies(Protocol):
        def copy_in(self, db: Executor, items: Iterable[dict[str, Any]]) -> Affected: ...

    path = folder / "copies.sql"
    path.write_text(f"-- name: copy_in\ncopy {table} ({column}) from stdin;\n")
    return sqlkit.load(Copies, path)


@pytest.mark.parametrize(
    ("column", "sent"),
    [
        ("small", 70_000),
        ("number", 2**31),
        ("number", "not a number"),
        ("number", 1.5),
        ("number", b"1"),
        ("amount", NAN),
        ("amount", "secret"),
        ("flag", "secret"),
        ("word", 5),
        ("word", b"secret"),
        ("word", ["secret"]),
        ("word", "half \ud800"),
        ("key", "secret"),
        ("day", NAIVE),
        ("day", 5),
        ("hour", time(3, 4, tzinfo=UTC)),
        ("hour", NAIVE),
        ("hour", 5),
        ("local", AWARE),
        ("local", 5),
        ("local", "2026-01-01T00:00Z"),
        ("moment", NAIVE),
        ("moment", 5.5),
        ("moment", date(2026, 1, 1)),
        ("span", 5),
        ("data", "secret"),
        ("document", NAN),
        ("document", Unknown()),
        ("document", "half \ud800"),
        ("plain", Floating(number=NAN)),
        ("mood", 5),
        ("part", 1e300),
        ("part", 1e-300),
        pytest.param("part", 10**400, id="part-huge"),
    ],
)
def test_copy_refuses_what_would_change_in_binary(
    db: psycopg.Connection[Any], tmp_path: Path, column: str, sent: Any
) -> None:
    """A value that its column cannot hold is an ArgumentError with item and column, and nothing is copied."""
    copies = copy_of(tmp_path, "there", column)
    with pytest.raises(ArgumentError) as caught:
        copies.copy_in(db, [{column: None}, {column: sent}])
    assert f"copy_in: item 2, column {column!r}: " in str(caught.value)
    assert "secret" not in str(caught.value)
    assert fetch(db, int, "select count(*) from there") == [0]


@pytest.mark.parametrize("number", [2**31 - 1, -(2**31)])
@pytest.mark.parametrize("small", [2**15 - 1, -(2**15)])
def test_copy_of_several_integers(db: psycopg.Connection[Any], tmp_path: Path, small: int, number: int) -> None:
    """Integers beside each other hold their bounds; one past them is an ArgumentError that names its column."""
    copies = copy_of(tmp_path, "there", "small, number")
    with db.transaction(force_rollback=True):
        copies.copy_in(db, [{"small": small, "number": number}, {"small": None, "number": number}])
        kept = fetch(db, tuple[int | None, int], "select small, number from there order by small nulls last")
        assert kept == [(small, number), (None, number)]
        for item, column in (
            ({"small": small, "number": number + (1 if number > 0 else -1)}, "number"),
            ({"small": small + (1 if small > 0 else -1), "number": number}, "small"),
        ):
            with pytest.raises(ArgumentError, match=f"item 1, column '{column}': a number out of the range of"):
                copies.copy_in(db, [item])


@pytest.mark.parametrize(
    ("column", "sent"),
    [
        ("numbers", [[1], "secret", {}]),
        ("numbers", {"secret": 1}),
        ("pair", (1, 2, 3)),
        ("period", Range(NAIVE, None)),
        ("hour", time(3, 4)),
        ("words", [b"secret"]),
        ("words", ["half \ud800"]),
    ],
)
def test_copy_refuses_what_would_change_in_text(
    db: psycopg.Connection[Any], tmp_path: Path, column: str, sent: Any
) -> None:
    """The same holds where the copy goes as text, for columns whose types have no binary form here."""
    copies = copy_of(tmp_path, "made", column)
    with pytest.raises((ArgumentError, psycopg.DataError)) as caught:
        copies.copy_in(db, [{column: sent}])
    if isinstance(caught.value, ArgumentError):
        assert f"copy_in: item 1, column {column!r}: " in str(caught.value)
        assert "secret" not in str(caught.value)
    assert fetch(db, int, "select count(*) from made") == [0]


@pytest.mark.parametrize(
    ("table", "column", "sent", "text"),
    [
        ("there", "number", "12", "12"),
        ("there", "number", Level.LOW, "1"),
        ("there", "number", Decimal(3), "3"),
        ("there", "amount", 5, "5"),
        ("there", "amount", 1.5, "1.5"),
        ("there", "amount", Decimal("NaN"), "NaN"),
        ("there", "flag", True, "true"),
        ("there", "word", Mood.HAPPY, "happy"),
        ("there", "word", Keyed("a"), "a"),
        ("there", "code", "abc", "abc"),
        ("there", "key", "00000000000000000000000000000001", "00000000-0000-0000-0000-000000000001"),
        ("there", "day", "2026-01-01", "2026-01-01"),
        ("there", "local", date(2026, 1, 1), "2026-01-01 00:00:00"),
        ("there", "moment", AWARE, "2026-01-02 01:04:00+00"),
        ("there", "span", timedelta(days=1), "1 day"),
        ("there", "data", bytearray(b"a"), "\\x61"),
        ("there", "document", {"a": Mood.HAPPY}, '{"a": "happy"}'),
        ("there", "document", Colour.ROT, '"red"'),
        ("there", "document", '{"a": 1}', '{"a": 1}'),
        ("there", "document", Price(amount=Decimal(1)), '{"note": null, "amount": "1"}'),
        ("there", "mood", Mood.HAPPY, "happy"),
        ("there", "mood", "happy", "happy"),
        ("made", "numbers", [1, None], "{1,NULL}"),
        ("made", "pair", {"number": 1, "word": "\t\\N\n"}, '(1,"\t\\\\N\n")'),
        ("made", "words", ["\\N", "\\.", "\t"], '{"\\\\N","\\\\.","\t"}'),
        ("made", "word", "\\N", "\\N"),
        ("made", "word", Mood.HAPPY, "happy"),
        ("made", "data", b"\\N\0", "\\x5c4e00"),
    ],
)
def test_copy_converts_as_parameters_do(
    db: psycopg.Connection[Any], tmp_path: Path, table: str, column: str, sent: Any, text: str
) -> None:
    """Enums go by value, texts are read, documents are written: in binary and as text."""
    columns = column if table == "there" or column == "numbers" else f"numbers, {column}"
    copies = copy_of(tmp_path, table, columns)
    with db.transaction(force_rollback=True):
        db.execute("set local timezone = 'UTC'")
        copies.copy_in(db, [{"numbers": [], column: sent}])
        assert fetch(db, str, f"select cast({column} as text) from {table}") == [text]
