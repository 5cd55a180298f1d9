"""Contracts that do not hold, one at a time, and what is said of them; the whole reports are in ``tests/wrong``."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, Protocol
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    NaiveDatetime,
    RootModel,
    field_validator,
    model_validator,
)
from typing_extensions import TypedDict

from sqlkit import UNSET, Affected, Executor, One, RowError, Rows
from sqlkit.annotations import Unset
from sqlkit.bindings import bind
from sqlkit.checking.matching import match_columns
from sqlkit.checking.sources import LoadedQuery
from sqlkit.checking.verify import verify
from sqlkit.contracts.contract import read_contracts
from sqlkit.describing.describe import describe
from sqlkit.describing.description import Described
from sqlkit.rows.groups import group_columns
from sqlkit.rows.shapes import Column, Mismatch, RowType
from sqlkit.statements import parse_statements
from sqlkit.testing import TestServer, dropped_afterwards
from sqlkit.values.catalog import PgType
from tests.fetching import fetch

SCHEMA = """
create type mood as enum ('happy', 'sad');
create type pair as (number int, word text);
create domain label as text check (value <> '');
create table users (
    user_id bigint primary key,
    name text not null,
    mail text,
    mood mood not null,
    role text not null check (role in ('leader', 'guest')),
    kind text not null,
    level int not null check (level in (1, 2)),
    total numeric not null,
    rate float8 not null,
    key uuid not null,
    tags text[] not null,
    moods mood[] not null,
    data jsonb not null,
    pair pair not null,
    picture bytea not null,
    label label not null,
    local timestamp not null,
    created_at timestamptz not null
);
create table songs (
    song_id bigint primary key,
    owner_id bigint references users,
    title text not null,
    artist text,
    tempo int
);
"""


#: One, of types that are variables here.
ONE: Any = One


class Mood(Enum):
    HAPPY = "happy"
    SAD = "sad"


class Glad(Enum):
    HAPPY = "happy"


class Role(Enum):
    LEADER = "leader"
    GUEST = "guest"


class Level(IntEnum):
    ONE = 1


class Song(BaseModel):
    song_id: int
    title: str
    artist: str | None


@dataclass
class SongData:
    song_id: int
    title: str
    artist: str | None


class SongDict(TypedDict):
    song_id: int
    title: str
    artist: str | None


class SongTuple(NamedTuple):
    song_id: int
    title: str
    artist: str | None


class Defaulted(BaseModel):
    song_id: int
    artist: str | None = None


class Careful(BaseModel):
    song_id: str
    artist: str

    @field_validator("song_id", "artist", mode="before")
    @classmethod
    def spell(cls, value: object) -> str:
        """Make a text of anything."""
        return str(value)


class Prepared(BaseModel):
    song_id: str
    artist: str

    @model_validator(mode="before")
    @classmethod
    def prepare(cls, value: Any) -> Any:
        """Make what is wanted of anything."""
        return value


class Checked(BaseModel):
    song_id: str
    artist: str

    @model_validator(mode="after")
    def check(self) -> Checked:
        """Look at what was made."""
        return self


class Named(BaseModel):
    artist: str


class Aliased(BaseModel):
    number: int = Field(validation_alias="song_id")
    title: str


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    song_id: int


class Name(BaseModel):
    title: str


class Owner(BaseModel):
    user_id: int
    name: str


class Contact(BaseModel):
    mail: str | None


class Owned(BaseModel):
    song_id: int
    owner: Owner | None


class MustBeOwned(BaseModel):
    song_id: int
    owner: Owner


class Reachable(BaseModel):
    song_id: int
    owner: Contact | None


class MustBeReachable(BaseModel):
    song_id: int
    owner: Contact


class Strictly(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str


class TextNumber(BaseModel):
    number: str


class Titles(NamedTuple):
    titles: str | None


class Moment(BaseModel):
    at: AwareDatetime


class Pair(BaseModel):
    number: int | None
    word: str | None


class WrongPair(BaseModel):
    number: UUID | None
    phrase: str


class Listing(BaseModel):
    songs: list[Name]


class NewSong(BaseModel):
    song_id: int
    title: str | None
    tempo: float | None = None


class SongChanges(BaseModel):
    title: str | None = None


@dataclass
class SongPatch:
    title: str | None = None


@pytest.fixture(scope="module")
def db(server: TestServer) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection to a database with the tables."""
    with (
        dropped_afterwards(server, None, "verify") as database,
        psycopg.connect(server.dsn_for(database), autocommit=True) as connection,
    ):
        connection.execute(SCHEMA)
        yield connection


def loaded(sql: str, returns: Any, parameters: Mapping[str, Any], defaults: Mapping[str, Any]) -> LoadedQuery:
    """Return a query whose method takes and returns what is asked."""
    names = ", ".join(f"{name}=defaults[{name!r}]" if name in defaults else name for name in parameters)
    space: dict[str, Any] = {"defaults": defaults}
    exec(f"def query(self, db, *, {names}): ..." if names else "def query(self, db): ...", space)
    method = space["query"]
    method.__annotations__ = {"db": Executor, "return": returns, **parameters}
    interface = types.new_class("Queries", (Protocol,), {}, lambda names: names.update(query=method))
    (contract,) = read_contracts(interface)
    (statement,) = parse_statements(f"-- name: query\n{sql}\n;\n", Path("query.sql"))
    bind(contract, statement)
    return LoadedQuery(contract, statement, method, "tests", "queries")


def said(
    db: psycopg.Connection[Any],
    sql: str,
    returns: Any,
    defaults: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> list[str]:
    """Return what is said of a query."""
    query = loaded(inspect.cleandoc(sql), returns, parameters, defaults or {})
    found = verify([query], {query.statement: list(describe(db, [query.statement]))})
    return sorted(
        " ".join(
            [finding.code, finding.message]
            + ([f"({finding.reason})"] if finding.reason else [])
            + ([f"[{finding.variant}]"] if finding.variant else [])
        )
        for finding in found
    )


# Columns and fields

SHAPES = [Song, SongData, SongDict, SongTuple]


@pytest.mark.parametrize("shape", SHAPES)
def test_what_fits_is_not_mentioned(db: psycopg.Connection[Any], shape: Any) -> None:
    """A row type of any shape whose fields are the columns is right."""
    assert said(db, "select song_id, title, artist from songs", list[shape]) == []


def test_columns_without_a_name(db: psycopg.Connection[Any]) -> None:
    """An expression without a name gets the advice to name it: no field could be called that."""
    assert said(db, "select song_id, title, artist, song_id + 1 from songs", list[Song]) == [
        "SK004 column '?column?' has no field in Song: give it a field's name with as, or drop it"
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_columns_and_fields_left_over(db: psycopg.Connection[Any], shape: Any) -> None:
    """A column without a field and a field without a column are both named, with the name that may be meant."""
    name = shape.__name__
    assert said(db, "select song_id, title as titel, artist, tempo from songs", list[shape]) == [
        f"SK004 column 'tempo' has no field in {name}: add the field or drop the column",
        f"SK004 column 'titel' has no field in {name}: name it 'title', add the field, or drop the column",
        f"SK005 no column for the field 'title' of {name}: name the column 'titel' so",
    ]


@pytest.mark.parametrize(
    ("sql", "returns", "expected"),
    [
        (
            "select song_id, title from songs",
            list[tuple[int, str, str]],
            "SK005 tuple[int, str, str] takes 3 columns, the statement returns 2 (song_id, title): make both agree",
        ),
        (
            "select song_id, title, tempo from songs",
            list[tuple[int, str]],
            "SK004 tuple[int, str] takes 2 columns, the statement returns 3 (song_id, title, tempo): make both agree",
        ),
        (
            "select song_id, title from songs",
            list[int],
            "SK004 int takes one column, the statement returns 2 (song_id, title): drop a column, or return a row "
            "with a field for each",
        ),
        (
            "select song_id, title, title, artist from songs",
            list[Song],
            "SK004 two columns are named 'title': give one of them another name with as",
        ),
        (
            "select song_id, song_id as number, title from songs",
            list[Aliased],
            "SK004 column 'number' fills the field 'number', which another column fills too: drop one of them",
        ),
        (
            """select songs.song_id, users.user_id as "song_id.user_id" from songs, users""",
            list[Open],
            "SK004 columns 'song_id' and 'song_id.user_id' both fill the field 'song_id': drop one of them",
        ),
        (
            """select title as "title.name" from songs""",
            list[Name],
            "SK004 column 'title.name' wants a field inside 'title' of Name, and str has none: make it a model, or "
            "name the column title",
        ),
        (
            """select song_id, song_id as "owner.user_id", title as "owner.nam" from songs""",
            list[MustBeOwned],
            [
                "SK004 column 'owner.nam' has no field in Owner: name it 'owner.name', add the field, or drop the "
                "column",
                "SK005 no column for the field 'owner.name' of Owner: name the column 'owner.nam' so",
            ],
        ),
        (
            "insert into songs (song_id, title) values (1, '')",
            Song,
            "SK005 the statement returns no columns, and Song is promised: add returning, or return Affected or None",
        ),
        (
            "insert into songs (song_id, title) values (1, '') returning song_id, title",
            Affected,
            "SK004 the statement returns song_id, title, and -> Affected drops it: return the rows, or take "
            "returning away",
        ),
        (
            "delete from songs where song_id = 1 returning song_id",
            None,
            "SK004 the statement returns song_id, and -> None drops it: return the rows, or take returning away",
        ),
    ],
)
def test_names_and_numbers(db: psycopg.Connection[Any], sql: str, returns: Any, expected: str | list[str]) -> None:
    """What is left over, doubled or dropped is named with what to do."""
    assert said(db, sql, returns) == ([expected] if isinstance(expected, str) else expected)


@pytest.mark.parametrize(
    ("sql", "returns"),
    [
        ("select song_id, title, tempo from songs", list[Open]),
        ("select song_id from songs", list[Defaulted]),
        ("select song_id, title from songs", list[Aliased]),
        ("select song_id as number, title from songs", list[Aliased]),
        ("select set_config('sqlkit.test', '', true)", None),
        ("select count(*) from songs", int),
        ("select song_id, title from songs", Rows[tuple[int, str]]),
    ],
)
def test_right_names_and_numbers(db: psycopg.Connection[Any], sql: str, returns: Any) -> None:
    """What the row maker takes is not mentioned: extra fields, defaults, aliases, a select for its effect."""
    assert said(db, sql, returns) == []


# Types of columns


@pytest.mark.parametrize(
    ("column", "annotation", "expected"),
    [
        (
            "user_id",
            str,
            "SK006 column 'user_id' is bigint, which does not load into str: make it int, or cast the column",
        ),
        ("user_id", float, "SK021 column 'user_id' is bigint, which loses digits above 2^53 in float: make it int"),
        ("total", float, "SK021 column 'total' is numeric, which loses digits in float: make it Decimal"),
        (
            "total",
            int,
            "SK021 column 'total' is numeric, and not every value of it loads into int: make it Decimal, or cast the "
            "column",
        ),
        (
            "local",
            AwareDatetime,
            "SK006 column 'local' is timestamp without time zone, which does not load into AwareDatetime: make it "
            "datetime, or the column timestamptz",
        ),
        (
            "created_at",
            NaiveDatetime,
            "SK006 column 'created_at' is timestamp with time zone, which does not load into NaiveDatetime: make it "
            "datetime, or the column timestamp",
        ),
        (
            "created_at",
            date,
            "SK021 column 'created_at' is timestamp with time zone, and not every value of it loads into date: make "
            "it datetime, or cast the column",
        ),
        ("key", str, "SK006 column 'key' is uuid, which does not load into str: make it UUID, or cast the column"),
        (
            "picture",
            str,
            "SK021 column 'picture' is bytea, and not every value of it loads into str: make it bytes, or cast the "
            "column",
        ),
        ("mood", Glad, "SK006 column 'mood' is mood, and Glad lacks its label 'sad': add it"),
        ("mood", Role, "SK006 column 'mood' is mood, and Role lacks its labels 'happy', 'sad': add them"),
        ("moods", list[Glad], "SK006 column 'moods' is mood[], and list[Glad] lacks its label 'sad': add it"),
        (
            "role",
            Literal["guest"],
            "SK006 column 'role' is text, and Literal['guest'] lacks its checked value 'leader': add it",
        ),
        ("level", Level, "SK006 column 'level' is integer, and Level lacks its checked value 2: add it"),
        (
            "level",
            bool,
            "SK006 column 'level' is integer, which can be 2, and that does not load into bool: make it int, or cast "
            "the column",
        ),
        (
            "kind",
            Role,
            "SK021 column 'kind' is text, and may hold a text that Role lacks: limit the column by a check, or make "
            "it an enum",
        ),
        (
            "user_id",
            Level,
            "SK021 column 'user_id' is bigint, and may hold a number that Level lacks: limit the column by a check",
        ),
        (
            "kind",
            UUID,
            "SK021 column 'kind' is text, and not every text loads into UUID: give the column that type, or cast it",
        ),
        (
            "tags",
            str,
            "SK006 column 'tags' is text[], which does not load into str: make it list[str], or cast the column",
        ),
        (
            "tags",
            list[int],
            "SK021 column 'tags' is text[], and not every text loads into list[int]: give the column that type, or "
            "cast it",
        ),
        (
            "array[total]",
            list[float],
            "SK021 column 'array' is numeric[], which loses digits in list[float]: make it list[Decimal]",
        ),
        (
            "label",
            int,
            "SK021 column 'label' is text, and not every text loads into int: give the column that type, or cast it",
        ),
        (
            "pair",
            WrongPair,
            [
                "SK006 column 'pair' is pair, which has no field 'phrase' for WrongPair: add it to the type, or give "
                "the field a default",
                "SK006 column 'pair' is pair, whose field 'number' is int4, which does not load into UUID: make it "
                "int, or cast the column",
            ],
        ),
        (
            "array[pair]",
            list[WrongPair],
            [
                "SK006 column 'array' is pair[], which has no field 'phrase' for WrongPair: add it to the type, or "
                "give the field a default",
                "SK006 column 'array' is pair[], whose field 'number' is int4, which does not load into UUID: make "
                "it int, or cast the column",
            ],
        ),
        ("pair", int, "SK006 column 'pair' is pair, which does not load into int: make it a model of its fields"),
        (
            "pair",
            tuple[int],
            "SK006 column 'pair' is pair, which has 2 fields (number, word), and tuple[int] 1: make both agree",
        ),
    ],
)
def test_types(db: psycopg.Connection[Any], column: str, annotation: Any, expected: str | list[str]) -> None:
    """A column that does not load into an annotation, or not always, is named with a type that would do."""
    sql = f"select {column} from users where user_id = 1"
    assert said(db, sql, ONE[annotation]) == ([expected] if isinstance(expected, str) else expected)


@pytest.mark.parametrize(
    ("column", "annotation"),
    [
        ("user_id", int),
        ("total", Decimal),
        ("local", datetime),
        ("created_at", AwareDatetime),
        ("mood", Mood),
        ("mood", str),
        ("mood", Literal["happy", "sad", "angry"]),
        ("moods", list[Mood]),
        ("role", Role),
        ("role", str),
        ("upper(kind)", Role),
        ("level", int),
        ("tags", list[str]),
        ("tags", list[list[str]]),
        ("label", str),
        ("pair", Pair),
        ("pair", tuple[int, str]),
        ("pair", dict[str, Any]),
        ("array[pair]", list[Pair]),
        ("data", int),
        ("data", Song),
        ("kind", Annotated[int, BeforeValidator(len)]),
        ("kind", Annotated[str, Field(min_length=100, pattern="^$")]),
        ("level", Annotated[int, Field(ge=100)]),
        ("rate", Decimal),
    ],
)
def test_right_types(db: psycopg.Connection[Any], column: str, annotation: Any) -> None:
    """What loads is not mentioned, and an author's constraints and validators are not run."""
    assert said(db, f"select {column} from users where user_id = 1", ONE[annotation]) == []


@pytest.mark.parametrize("model", [Careful, Prepared])
def test_validators_that_come_first(db: psycopg.Connection[Any], model: Any) -> None:
    """A validator in front of a field or of its model may make anything of a value: nothing is said of its type."""
    assert said(db, "select song_id, artist from songs", list[model]) == []


def test_a_model_that_checks_afterwards(db: psycopg.Connection[Any]) -> None:
    """A validator behind a model changes nothing of what its fields take."""
    assert said(db, "select song_id, artist from songs", list[Checked]) == [
        "SK006 column 'song_id' is bigint, which does not load into str: make it int, or cast the column",
        "SK007 column 'artist' can be NULL, and the field 'artist' of Checked takes no None: make it str | None "
        "(nullable: column songs.artist)",
    ]


# JSON


@pytest.mark.parametrize(
    ("expression", "annotation", "expected"),
    [
        (
            "json_build_object('titel', title)",
            Name,
            "SK006 column 'document' is a json object without the key 'title', which Name requires: add the key, or "
            "give the field 'title' a default",
        ),
        (
            "jsonb_build_object('title', title, 'tempo', tempo)",
            Strictly,
            "SK006 column 'document' is a jsonb object with the key 'tempo', which Strictly forbids: add the field "
            "or drop the key",
        ),
        (
            "json_build_object('title', artist)",
            Name,
            "SK007 column 'document' is a json object whose key 'title' can be null, and the field 'title' of Name "
            "takes no None: make it str | None",
        ),
        (
            "json_build_object('title', artist)",
            dict[str, str],
            "SK007 column 'document' is a json object whose key 'title' can be null, and str takes no None: make it "
            "dict[str, str | None]",
        ),
        (
            "json_build_object('title', title)",
            list[Name],
            "SK006 column 'document' is a json object, which does not load into list[Name]: make it a model of its "
            "keys (title)",
        ),
        (
            "json_build_object('title', title)",
            str,
            "SK006 column 'document' is a json object, which does not load into str: make it a model of its keys "
            "(title)",
        ),
        (
            "json_build_object('number', song_id, 'title', title)",
            TextNumber,
            "SK006 column 'document' is a json object whose key 'number' is int8, which does not load into str: make "
            "it int",
        ),
        (
            "json_build_object('song_id', song_id, 'owner', json_build_object('mail', 1, 'name', title))",
            MustBeOwned,
            "SK006 column 'document' is a json object whose key 'owner' is an object without the key 'user_id', "
            "which Owner requires: add the key, or give the field 'user_id' a default",
        ),
        (
            "json_build_object('song_id', song_id, 'owner', json_build_object('user_id', title, 'name', song_id))",
            MustBeOwned,
            "SK006 column 'document' is a json object whose key 'owner' is an object whose key 'name' is int8, which "
            "does not load into str: make it int",
        ),
        (
            "json_build_array(title)",
            Name,
            "SK006 column 'document' is a json array, which does not load into Name: make it a list of what it holds",
        ),
    ],
)
def test_documents(db: psycopg.Connection[Any], expression: str, annotation: Any, expected: str) -> None:
    """A document that a statement builds is compared with the model that it is read into."""
    sql = f"select {expression} as document from songs where song_id = 1"
    assert said(db, sql, ONE[annotation]) == [expected]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("json_agg(json_build_object('title', title))", []),
        (
            "json_agg(json_build_object('titel', title))",
            [
                "SK006 column 'songs' is a json array of objects without the key 'title', which Name requires: add "
                "the key, or give the field 'title' a default"
            ],
        ),
        (
            "json_agg(case when tempo > 1 then json_build_object('title', title) end)",
            [
                "SK007 column 'songs' is a json array that can hold null, and Name takes no None: write "
                "coalesce(json_agg(...) filter (where key is not null), '[]')"
            ],
        ),
    ],
)
def test_lists_of_documents(db: psycopg.Connection[Any], expression: str, expected: list[str]) -> None:
    """The elements of an array are compared as the documents that they are."""
    assert said(db, f"select coalesce({expression}, '[]') as songs from songs", Listing) == expected


def test_right_documents(db: psycopg.Connection[Any]) -> None:
    """Keys may come by alias, and more of them than a model reads."""
    sql = "select json_build_object('song_id', song_id, 'title', title, 'tempo', tempo) from songs where song_id = 1"
    assert said(db, sql, ONE[Aliased]) == []
    assert said(db, sql, One[dict[str, Any]]) == []


@pytest.mark.parametrize(
    ("expression", "annotation"),
    [
        ("json_build_object('name', title)", Prepared),
        ("json_build_object('name', title)", Name | Owner),
        ("json_build_object('name', title)", Any),
        ("json_build_object('name', title)", JsonValue),
        ("json_build_object('name', title)", RootModel[dict[str, str]]),
        ("json_build_array(title)", RootModel[list[str]]),
        ("json_build_array(title)", Titles),
        ("json_build_object('titles', artist)", Titles),
        ("to_jsonb(artist)", str | None),
    ],
)
def test_documents_of_which_nothing_is_known(db: psycopg.Connection[Any], expression: str, annotation: Any) -> None:
    """What may take a document is not mentioned: open types, unions, root models, a validator that comes first."""
    found = said(db, f"select {expression} from songs where song_id = 1", ONE[annotation])
    assert [code for code in found if not code.startswith("SK008")] == []


DOCUMENTS = [
    "json_build_object('title', 'a')",
    "json_build_object('titel', 'a')",
    "json_build_object('title', 'a', 'tempo', 1)",
    "json_build_object('title', 1)",
    "jsonb_build_object('number', '1'::text)",
    "jsonb_build_object('number', 1)",
    "jsonb_build_object('song_id', 1, 'title', 'a', 'artist', 'b')",
    "json_build_object('song_id', 1, 'owner', json_build_object('user_id', 1, 'name', 'a'))",
    "json_build_object('song_id', 1, 'owner', json_build_object('user_id', current_date, 'name', 'a'))",
    "json_build_object('songs', (select json_agg(json_build_object('title', 'a'))))",
    "json_build_object('songs', 'a'::text)",
    "(select json_agg(title) from (values ('a'::text)) as titles (title))",
    "(select json_agg(number) from (values (1)) as numbers (number))",
    "(select json_agg(json_build_object('title', 'a')))",
    "(select json_agg(json_build_object('titel', 'a')))",
    "json_build_object('at', '2026-01-02'::timestamp)",
    "json_build_object('at', '2026-01-02'::timestamptz)",
    "json_build_object('at', 1.5)",
]


@pytest.mark.parametrize("expression", DOCUMENTS)
def test_what_is_said_of_documents_is_what_happens(db: psycopg.Connection[Any], expression: str) -> None:
    """A document is said not to fit where it really does not, and only there."""
    annotations: list[Any] = [
        Name, Strictly, Song, TextNumber, MustBeOwned, Listing, Moment, list[str], list[Name],
        dict[str, Any], dict[str, str], str, int, set[str], Name | None, RootModel[list[Name]], Any, JsonValue,
    ]  # fmt: skip
    wrong = []
    for annotation in annotations:
        found = [each for each in said(db, f"select {expression} as document", ONE[annotation]) if "SK006" in each]
        try:
            fetch(db, annotation, f"select {expression} as document", value=True)
        except RowError:
            fits = False
        else:
            fits = True
        if fits is bool(found):
            wrong.append(f"{annotation}: {found}")
    assert wrong == []


# NULL


@pytest.mark.parametrize(
    ("returns", "subject", "wanted"),
    [
        (list[str], "str", "str | None"),
        (One[str], "str", "str | None"),
        (list[tuple[str]], "str", "str | None"),
        (list[Named], "the field 'artist' of Named", "str | None"),
    ],
)
def test_null(db: psycopg.Connection[Any], returns: Any, subject: str, wanted: str) -> None:
    """A column that can be NULL is named with the reason, for a field that takes no None."""
    assert said(db, "select artist from songs where song_id = 1", returns) == [
        f"SK007 column 'artist' can be NULL, and {subject} takes no None: make it {wanted} (nullable: column "
        "songs.artist)"
    ]


def test_null_of_an_optional_scalar(db: psycopg.Connection[Any]) -> None:
    """A scalar or None is None for NULL too."""
    assert said(db, "select artist from songs where song_id = 1", str | None) == []


def test_null_that_hangs_on_an_argument(db: psycopg.Connection[Any]) -> None:
    """A column is never NULL where that hangs on a parameter whose argument is never None."""
    assert said(db, "select upper(:name)", One[str], name=str) == []
    expected = [
        "SK007 column 'upper' can be NULL, and str takes no None: make it str | None (nullable: parameter :name may be "
        "NULL)"
    ]
    assert said(db, "select upper(:name)", One[str], name=str | None) == expected
    assert said(db, "select upper(:name)", One[str], name=Any) == expected


def test_none_that_never_comes(db: psycopg.Connection[Any]) -> None:
    """A field that takes None for a column that is never NULL is a hint."""
    assert said(db, "select count(*) from songs", int | None) == [
        "SK008 column 'count' is never NULL, and int | None takes None: take None off (not null: count)"
    ]
    (found,) = said(db, "select song_id, title, title as artist from songs", list[Song])
    assert found == (
        "SK008 column 'artist' is never NULL, and the field 'artist' of Song takes None: take None off (not null: "
        "column songs.title)"
    )


def test_none_that_a_default_or_a_missing_row_needs(db: psycopg.Connection[Any]) -> None:
    """No hint is given for a field with a default, for no row, or where one variant gives None."""
    assert said(db, "select song_id, title as artist from songs", list[Defaulted]) == []
    assert said(db, "select song_id from songs where song_id = :song_id", int | None, song_id=int) == []
    sql = """
        select song_id, title, artist from songs
        where true
            and artist = :artist --? optional
    """
    assert said(db, sql, list[Song], {"artist": None}, artist=str | None) == []


def test_none_that_another_query_gives(db: psycopg.Connection[Any]) -> None:
    """No hint is given for a field of a model that takes None for another query."""
    queries = [
        loaded("select song_id, title, title as artist from songs", list[Song], {}, {}),
        loaded("select song_id, title, artist from songs", list[Song], {}, {}),
    ]
    described = {query.statement: list(describe(db, [query.statement])) for query in queries}
    assert list(verify(queries, described)) == []
    assert [finding.code for finding in verify(queries[:1], described)] == ["SK008"]


LEFT = "from songs left join users on songs.owner_id = users.user_id"
INNER = "from songs inner join users on songs.owner_id = users.user_id"
OWNER = 'users.user_id as "owner.user_id", users.name as "owner.name"'
BECAUSE = "(nullable: right side of the left join at line 2)"


@pytest.mark.parametrize(
    ("columns", "tables", "row", "expected"),
    [
        (OWNER, LEFT, Owned, []),
        (OWNER, INNER, MustBeOwned, []),
        (
            OWNER,
            LEFT,
            MustBeOwned,
            [
                f"SK007 all columns of 'owner' can be NULL, and the field 'owner' of MustBeOwned takes no None: make "
                f"it Owner | None {BECAUSE}"
            ],
        ),
        (
            OWNER,
            INNER,
            Owned,
            [
                "SK008 column 'owner.user_id' is never NULL, and the field 'owner' of Owned takes None: take None off "
                "(not null: column users.user_id)"
            ],
        ),
        (
            'users.mail as "owner.mail"',
            LEFT,
            Reachable,
            [
                "SK017 'owner' has no column that is never NULL while its row is there: select one (its key), or a "
                "row of NULLs reads as no Contact"
            ],
        ),
        (
            'users.mail as "owner.mail"',
            INNER,
            MustBeReachable,
            [
                "SK007 all columns of 'owner' can be NULL, and the field 'owner' of MustBeReachable takes no None: "
                "make it Contact | None (nullable: column users.mail)"
            ],
        ),
        (
            'users.user_id as "owner.user_id", users.mail as "owner.name"',
            LEFT,
            Owned,
            [
                f"SK007 column 'owner.name' can be NULL, and the field 'name' of Owner takes no None: make it str | "
                f"None {BECAUSE}"
            ],
        ),
        (
            'users.user_id as "owner.user_id", users.mail as "owner.name"',
            INNER,
            MustBeOwned,
            [
                "SK007 column 'owner.name' can be NULL, and the field 'name' of Owner takes no None: make it str | "
                "None (nullable: column users.mail)"
            ],
        ),
    ],
)
def test_nested_groups(db: psycopg.Connection[Any], columns: str, tables: str, row: Any, expected: list[str]) -> None:
    """An outer join's columns are NULL together: that is None for an optional group, and only that."""
    assert said(db, f"select songs.song_id, {columns} {tables}", list[row]) == expected


# Arguments


@pytest.mark.parametrize(
    ("condition", "annotation", "expected"),
    [
        ("user_id = :it", float, "parameter 'it': float cannot be sent as bigint: make it int, or cast :it"),
        ("user_id = :it", int | UUID, "parameter 'it': UUID cannot be sent as bigint: make it int, or cast :it"),
        (
            "user_id = any(:it)",
            list[UUID],
            "parameter 'it': UUID cannot be sent as int8: make it list[int], or cast :it",
        ),
        ("user_id = any(:it)", int, "parameter 'it': int cannot be sent as bigint[]: make it list[int], or cast :it"),
        (
            "mood = :it",
            Literal["happy", "angry"],
            "parameter 'it': Literal['happy', 'angry'] has 'angry', and mood has the labels 'happy', 'sad': leave "
            "out what the type has not, or add the label to it",
        ),
        (
            "moods @> :it",
            list[Role],
            "parameter 'it': Role has 'leader', 'guest', and mood has the labels 'happy', 'sad': leave out what the "
            "type has not, or add the label to it",
        ),
        (
            "created_at > :it",
            NaiveDatetime,
            "parameter 'it': NaiveDatetime cannot be sent as timestamp with time zone: make it datetime, or cast :it",
        ),
        ("name = :it", Song, "parameter 'it': Song cannot be sent as text: make it str, or cast :it"),
        ("name = :it.song_id", Song, None),
        (
            "key = :it.song_id",
            Song,
            "parameter 'it.song_id': int cannot be sent as uuid: make it UUID, or cast :it.song_id",
        ),
        ("user_id = :it", Path, "parameter 'it': Path cannot be sent as bigint: make it int, or cast :it"),
        ("created_at > :it", datetime, None),
        ("mood = :it", str, None),
        ("mood = :it", Glad, None),
        ("user_id = :it", Any, None),
        ("data @> :it", Song, None),
        ("user_id = :it", int | None, None),
    ],
)
def test_arguments(db: psycopg.Connection[Any], condition: str, annotation: Any, expected: str | None) -> None:
    """An argument that cannot be sent as what the statement wants is named with what would do."""
    found = said(db, f"select user_id from users where {condition}", list[int], it=annotation)
    assert found == ([f"SK002 {expected}"] if expected else [])


@pytest.mark.parametrize(
    ("condition", "annotation", "expected"),
    [
        ("user_id = :it", str, "not every str is read as bigint: make it int"),
        ("user_id = :it", int | str | None, "not every str is read as bigint: make it int"),
        ("user_id = any(:it)", list[str], "not every str is read as int8: make it list[int]"),
        ("created_at > :it", str, "not every str is read as timestamp with time zone: make it datetime"),
        ("key = :it", NewType("Key", str), "not every str is read as uuid: make it UUID"),
        ("user_id = :it", Literal["1", "2"], None),
        ("data @> :it", str, None),
        ("name = :it", str, None),
    ],
)
def test_texts_for_other_types(
    db: psycopg.Connection[Any], condition: str, annotation: Any, expected: str | None
) -> None:
    """A text for what Python has a class of its own for fails for some texts, but only while it runs."""
    found = said(db, f"select user_id from users where {condition}", list[int], it=annotation)
    assert found == ([f"SK021 parameter 'it': {expected}"] if expected else [])


INSERT = "insert into songs (song_id, title, tempo) values (:song_id, :title, :tempo)"
NOT_NULL = "can be None, and is written to songs.title, which is NOT NULL: take None off"


def test_none_for_what_is_not_null(db: psycopg.Connection[Any]) -> None:
    """None for a parameter that is only written to a NOT NULL column will fail."""
    types_ = {"song_id": int, "title": str | None, "tempo": int | None}
    assert said(db, INSERT, Affected, {}, **types_) == [f"SK003 parameter 'title' {NOT_NULL}"]
    assert said(db, INSERT, Affected, {}, **{**types_, "title": str}) == []


def test_items_of_a_batch(db: psycopg.Connection[Any]) -> None:
    """The fields of a batch's items are looked at as arguments are."""
    assert said(db, INSERT, Affected, songs=Iterable[NewSong]) == [
        "SK002 field 'tempo' of NewSong: float cannot be sent as integer: make it int, or cast :tempo",
        f"SK003 field 'title' of NewSong {NOT_NULL}",
    ]


def test_rows_of_a_copy(db: psycopg.Connection[Any]) -> None:
    """A copy's columns are looked at by what goes in binary; arguments fill what the items lack."""
    sql = "copy songs (song_id, title, owner_id) from stdin"
    assert said(db, sql, Affected, songs=Iterable[NewSong], owner_id=UUID) == [
        "SK002 parameter 'owner_id': UUID cannot be sent as bigint: make it int",
        f"SK003 field 'title' of NewSong {NOT_NULL}",
    ]


UPDATE = """
    update songs set
        title = :{}, --? optional
        tempo = tempo
    where song_id = :song_id
"""


@pytest.mark.parametrize(
    ("name", "parameters", "defaults", "wrong"),
    [
        ("title", {"title": str | None}, {"title": None}, False),
        ("title", {"title": str | None | Unset}, {"title": UNSET}, True),
        ("title", {"title": str | Unset}, {"title": UNSET}, False),
        ("change.title", {"change": SongChanges}, {}, True),
        ("change.title", {"change": SongPatch}, {}, False),
    ],
)
def test_none_that_is_not_given(
    db: psycopg.Connection[Any], name: str, parameters: dict[str, Any], defaults: dict[str, Any], wrong: bool
) -> None:
    """A None that only says "not given" is never written."""
    found = said(db, UPDATE.format(name), Affected, defaults, **parameters, song_id=int)
    advice = ", and make sqlkit.UNSET its default" if "." in name else ""
    assert found == ([f"SK003 parameter '{name}' {NOT_NULL}{advice} [with {name}]"] if wrong else [])


# How many rows


@pytest.mark.parametrize(
    ("returns", "promised"), [(Song, "Song"), (Song | None, "Song | None"), (int, "int"), (int | None, "int | None")]
)
def test_one_row_of_many(db: psycopg.Connection[Any], returns: Any, promised: str) -> None:
    """One row that nothing proves to be the only one is a warning."""
    columns, row = ("song_id", "int") if promised.startswith("int") else ("song_id, title, artist", "Song")
    sql = f"select {columns} from songs where title = :title"
    assert said(db, sql, returns, title=str) == [
        f"SK009 {promised} is promised, and nothing proves that one row at most comes: select by a unique key, add "
        f"limit 1, or return list[{row}]"
    ]
    assert said(db, sql.replace("title = :title", "song_id = :title"), returns, title=int) == []


# Variants


def test_a_finding_of_some_variants(db: psycopg.Connection[Any]) -> None:
    """What is true of some variants only says of which."""
    sql = """
        select
            song_id,
            artist --| shape: short
            -- title --| shape: long
        from songs
        where true
            and artist = :artist --? optional
            and title = :title --? optional
    """
    parameters = {"artist": str | None, "title": UUID | None, "shape": Literal["short", "long"]}
    found = said(db, sql, list[tuple[int, str]], {"artist": None, "title": None, "shape": "short"}, **parameters)
    assert found == [
        "SK007 column 'artist' can be NULL, and str takes no None: make it str | None (nullable: column "
        "songs.artist) [without artist, shape: short]",
    ]


# What is not proved


def test_what_is_not_proved(db: psycopg.Connection[Any]) -> None:
    """Without a tree nothing is said of NULL, of nested groups and of the number of rows; types are still compared."""
    query = loaded(f"select songs.song_id, {OWNER} {LEFT}", MustBeReachable | None, {}, {})
    (description,) = describe(db, [query.statement])
    assert isinstance(description.outcome, Described)
    outcome = replace(description.outcome, unproved="no TEMP right")
    codes = [finding.code for finding in verify([query], {query.statement: [replace(description, outcome=outcome)]})]
    assert sorted(codes) == ["SK004", "SK004", "SK005"]
    query = loaded("select total, mail from users", tuple[float, str], {}, {})
    (description,) = describe(db, [query.statement])
    assert isinstance(description.outcome, Described)
    outcome = replace(description.outcome, unproved="no TEMP right")
    assert [
        finding.code for finding in verify([query], {query.statement: [replace(description, outcome=outcome)]})
    ] == ["SK021"]


def test_what_was_refused(db: psycopg.Connection[Any]) -> None:
    """A variant that PostgreSQL refuses is passed over, the others are compared."""
    sql = """
        select artist
        from songs
        order by
            song_id --| order: number
            -- nobody --| order: nobody
    """
    assert said(db, sql, list[str], order=Literal["number", "nobody"]) == [
        "SK007 column 'artist' can be NULL, and str takes no None: make it str | None (nullable: column songs.artist)"
    ]


@pytest.mark.parametrize(
    "shape", [Song, Aliased, Open, Owned, MustBeOwned, Reachable, Defaulted, Listing, SongDict, SongTuple]
)
@given(
    names=st.lists(
        st.sampled_from(
            [
                "song_id",
                "title",
                "artist",
                "number",
                "owner",
                "owner.user_id",
                "owner.name",
                "owner.mail",
                "songs",
                "x.y",
            ]
        ),
        max_size=5,
    )
)
@settings(max_examples=60, deadline=None)
def test_columns_are_matched_as_rows_are_made(shape: Any, names: list[str]) -> None:
    """Columns are said to be misplaced where the row maker refuses them, and only there."""
    row = RowType.of(shape)
    match = match_columns(row, names)
    try:
        group = group_columns(row, tuple(Column(name, PgType("int4")) for name in names))
    except Mismatch:
        assert match.misplaced
    else:
        assert match.misplaced == []
        filled = [each.column for each in match.filled]
        assert filled == sorted(group.columns()) or shape is Open  # which keeps what has no field
