"""Rows in each shape, nested ones, and what a row that does not fit says."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, Protocol, TypedDict, TypeVar

import psycopg
import pytest
import typing_extensions
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    Strict,
    computed_field,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass

import sqlkit
from sqlkit import Executor, RowError
from sqlkit.testing import TestServer
from tests.fetching import both, fetch, is_trusted, refused

T = TypeVar("T")


class Mood(Enum):
    HAPPY = "happy"
    SAD = "sad"


class Colour(StrEnum):
    ROT = "red"


@pytest.fixture(scope="module")
def db(server: TestServer) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection on which nothing is written."""
    with psycopg.connect(server.dsn, autocommit=True) as conn:
        yield conn


# Shapes.


class Song(BaseModel):
    song_id: int
    title: str
    mood: Mood = Mood.HAPPY
    tempo: int | None = None
    words: list[str] = Field(default_factory=list)


class Aliased(BaseModel):
    song_id: int = Field(alias="songId")
    title: str = Field(validation_alias=AliasChoices("name", "heading"))
    mood: Mood = Field(default=Mood.SAD, validation_alias="moodOf")


class Deep(BaseModel):
    number: int = Field(validation_alias=AliasPath("a", "b"))


class Crossed(BaseModel):
    one: int = Field(alias="two")
    two: int = Field(alias="three")


class Validated(BaseModel):
    song_id: int
    title: str = Field(max_length=10)

    @field_validator("title", mode="before")
    @classmethod
    def trim(cls, value: Any) -> Any:
        """Take blanks off."""
        return value.strip()

    @model_validator(mode="after")
    def mark(self) -> Validated:
        """Mark the title."""
        self.title += "!"
        return self


class StrictSong(BaseModel):
    model_config = ConfigDict(strict=True)

    song_id: int
    mood: Mood
    colours: list[Colour]
    day: date | None = None


class Extra(BaseModel):
    model_config = ConfigDict(extra="allow")

    song_id: int


class Ignoring(BaseModel):
    model_config = ConfigDict(extra="ignore")

    song_id: int


class Frozen(BaseModel, frozen=True):
    song_id: int


class Private(BaseModel):
    song_id: int
    _seen: list[int] = PrivateAttr(default_factory=list)

    def model_post_init(self, _context: Any) -> None:
        """Note the song."""
        self._seen.append(self.song_id)


class Computed(BaseModel):
    song_id: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        """Twice the number."""
        return self.song_id * 2


class Page(BaseModel, Generic[T]):
    number: int
    content: T


class Parent(BaseModel):
    kind: ClassVar[str] = "parent"
    song_id: int


class Child(Parent):
    title: str


class Late(BaseModel):
    model_config = ConfigDict(defer_build=True)

    song_id: int


class Ids(RootModel[list[int]]):
    pass


@pydantic_dataclass
class Described:
    song_id: int = Field(alias="songId", gt=0)
    title: str = "untitled"


@pydantic_dataclass(config=ConfigDict(strict=True))
class StrictDescribed:
    song_id: int
    mood: Mood


@dataclasses.dataclass
class Plain:
    song_id: int
    title: str
    words: list[str] = dataclasses.field(default_factory=list)
    mood: Mood = Mood.HAPPY


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tight:
    title: str = "untitled"
    song_id: int


@dataclasses.dataclass
class Marked:
    song_id: int
    title: str
    late: dataclasses.InitVar[int] = 3

    def __post_init__(self, late: int) -> None:
        self.title += "!" * late


@dataclasses.dataclass
class Box(Generic[T]):
    number: int
    content: T


class Point(NamedTuple):
    number: int
    word: str = "w"


class Couple(NamedTuple, Generic[T]):
    number: int
    content: T


class OldDict(TypedDict):
    number: int
    word: typing.NotRequired[str]


class NewDict(typing_extensions.TypedDict, total=False):
    number: typing_extensions.Required[int]
    word: str


class AliasedDict(TypedDict):
    number: Annotated[int, Field(alias="numberOf")]


class Crate(TypedDict, Generic[T]):
    number: int
    content: T


SONG = "select 1 as song_id, 'a' as title"

SHAPES: list[tuple[Any, str, Any]] = [
    (Song, SONG, Song(song_id=1, title="a")),
    (Song, SONG + ", null as tempo, 'sad' as mood", Song(song_id=1, title="a", tempo=None, mood=Mood.SAD)),
    (Aliased, "select 1 as \"songId\", 'a' as heading, 'happy' as \"moodOf\"", None),
    (Aliased, "select 1 as song_id, 'a' as title, 'happy' as mood", None),
    (Deep, "select 1 as number", Deep.model_construct(number=1)),
    (Crossed, "select 1 as two, 2 as three", Crossed(two=1, three=2)),
    (Validated, "select 1 as song_id, ' a ' as title", Validated(song_id=1, title="a")),
    (
        StrictSong,
        "select 1 as song_id, 'sad' as mood, array['red'] as colours, '2026-01-01'::date as day",
        StrictSong(song_id=1, mood=Mood.SAD, colours=[Colour.ROT], day=date(2026, 1, 1)),
    ),
    (Extra, 'select 1 as song_id, 2 as other, \'{"a": 1.10}\'::jsonb as "the.document"', None),
    (Ignoring, "select 1 as song_id, 2 as other", Ignoring(song_id=1)),
    (Frozen, "select 1 as song_id", Frozen(song_id=1)),
    (Private, "select 1 as song_id", Private(song_id=1)),
    (Computed, "select 1 as song_id", Computed(song_id=1)),
    (Page[int], "select 1 as number, 2 as content", Page[int](number=1, content=2)),
    (Page[list[str]], "select 1 as number, array['a'] as content", Page[list[str]](number=1, content=["a"])),
    (Child, SONG, Child(song_id=1, title="a")),
    (Late, "select 1 as song_id", Late(song_id=1)),
    (Ids, "select array[1, 2]", Ids([1, 2])),
    (Described, 'select 1 as "songId"', Described(songId=1)),
    (Described, SONG, Described(songId=1, title="a")),
    (StrictDescribed, "select 1 as song_id, 'sad' as mood", StrictDescribed(song_id=1, mood=Mood.SAD)),
    (Plain, SONG, Plain(1, "a")),
    (Plain, SONG + ", 'sad' as mood, array['w'] as words", Plain(1, "a", ["w"], Mood.SAD)),
    (Tight, "select 1 as song_id", Tight(song_id=1)),
    (Marked, SONG, Marked(1, "a")),
    (Marked, SONG + ", 1 as late", Marked(1, "a", 1)),
    (Box[str], "select 'x' as content, 1 as number", Box(1, "x")),
    (Point, "select 1 as number", Point(1)),
    (Point, "select 'x' as word, 1 as number", Point(1, "x")),
    (Couple[str], "select 'x' as content, 1 as number", Couple(1, "x")),
    (OldDict, "select 1 as number", {"number": 1}),
    (OldDict, "select 'x' as word, 1 as number", {"number": 1, "word": "x"}),
    (NewDict, "select 1 as number", {"number": 1}),
    (AliasedDict, "select 1 as number", {"number": 1}),
    (AliasedDict, 'select 1 as "numberOf"', {"number": 1}),
    (Crate[str], "select 'x' as content, 1 as number", {"number": 1, "content": "x"}),
    (tuple[int, str], "select 1, 'x'", (1, "x")),
    (tuple[int, str | None], "select 1 as same, null as same", (1, None)),
    (tuple[Mood], "select 'sad'", (Mood.SAD,)),
    (int, "select 1", 1),
    (int | None, "select null::int", None),
    (Mood, "select 'sad'", Mood.SAD),
    (Annotated[Mood, Strict()], "select 'sad'", Mood.SAD),
    (Any, "select 1", 1),
]


@pytest.mark.parametrize(
    ("annotation", "sql", "wanted"), SHAPES, ids=[f"{index}-{case[0]}" for index, case in enumerate(SHAPES)]
)
def test_a_row_takes_the_shape_of_its_annotation(
    db: psycopg.Connection[Any], annotation: Any, sql: str, wanted: Any
) -> None:
    """A row becomes what is annotated, the same on both paths and the same as its author would make."""
    (made,) = both(db, annotation, sql, value=annotation is Any)
    if wanted is None and annotation is Aliased:
        wanted = Aliased(songId=1, name="a", moodOf="happy")  # type: ignore[call-arg]
    elif annotation is Extra:
        assert made.model_extra == {"other": 2, "the.document": {"a": 1.1}}
        return
    assert made == wanted
    assert type(made) is type(wanted)
    if isinstance(made, BaseModel):
        assert vars(made) == vars(wanted)


def test_each_row_has_its_own_defaults(db: psycopg.Connection[Any]) -> None:
    """A default that is made by a factory, and the set of fields that were given, are not shared by rows."""
    one, two = both(db, Song, "select n as song_id, 'a' as title from generate_series(1, 2) as n")
    one.words.append("x")
    one.title = "b"
    one.tempo = 5
    assert two.words == []
    assert (one.model_fields_set, two.model_fields_set) == ({"song_id", "title", "tempo"}, {"song_id", "title"})


def test_trusted_instances_live_as_others_do(db: psycopg.Connection[Any]) -> None:
    """An instance that was built without validation can be copied, pickled, changed, compared, dumped."""
    import pickle

    (made,) = fetch(db, Song, SONG)
    assert is_trusted(db, Song, SONG)
    assert pickle.loads(pickle.dumps(made)) == made == made.model_copy() == made.model_copy(deep=True)
    assert made.model_dump(exclude_unset=True) == {"song_id": 1, "title": "a"}
    assert made.model_dump_json() == Song(song_id=1, title="a").model_dump_json()
    assert made.__pydantic_private__ is None
    assert made.__pydantic_extra__ is None
    assert Song.model_validate(made) is made


def test_a_statement_without_columns_fills_what_has_defaults(db: psycopg.Connection[Any]) -> None:
    """``select`` of nothing is a row of no columns."""

    class AllDefaults(BaseModel):
        number: int = 1

    assert both(db, AllDefaults, "select") == [AllDefaults()]


def test_fields_may_have_odd_names(db: psycopg.Connection[Any]) -> None:
    """A field's name may be a keyword, have blanks, or letters that Python would normalise."""
    from pydantic import create_model

    fields: Any = {"class": (int, ...), "two words": (int, 5), "ﬁn": (int, 6), "'": (int, ...)}
    odd: Any = create_model("Odd", **fields)
    (made,) = both(db, odd, 'select 1 as class, 2 as "ﬁn", 3 as "\'"')
    assert vars(made) == {"class": 1, "two words": 5, "ﬁn": 2, "'": 3}


def test_many_rows_come_in_order(db: psycopg.Connection[Any]) -> None:
    """A large batch comes whole and in order on both paths."""
    made = both(db, Song, "select n as song_id, n::text as title from generate_series(1, 3000) as n")
    assert [song.song_id for song in made] == list(range(1, 3001))


def test_validate_always_validates(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    """``load(..., validate="always")`` makes the same rows by the other path."""

    class Songs(Protocol):
        def get_song(self, db: Executor) -> Song: ...

    path = tmp_path / "songs.sql"
    path.write_text(f"-- name: get_song\n{SONG};\n")
    trusting: Any = sqlkit.load(Songs, path)
    validating: Any = sqlkit.load(Songs, path, validate="always")
    assert trusting.get_song(db) == validating.get_song(db) == Song(song_id=1, title="a")
    for queries, trusted in ((trusting, True), (validating, False)):
        row = queries.get_song.sqlkit_contract.row
        assert [maker.trusted for maker in row.makers.values()] == [trusted]


# Nested.


class City(BaseModel):
    name: str
    since: int | None = None


class Owner(BaseModel):
    name: str
    city: City | None = None


class Tune(BaseModel):
    title: str
    owner: Owner | None


class OwnedTune(BaseModel):
    title: str
    owner: Owner


class Vague(BaseModel):
    name: str | None


class VagueTune(BaseModel):
    vague: Vague


@dataclasses.dataclass
class TuneClass:
    title: str
    owner: Owner | None = None


class TuneTuple(NamedTuple):
    title: str
    owner: TuneClass


class TuneDict(TypedDict):
    title: str
    owner: typing.NotRequired[Owner]
    inner: typing.NotRequired[typing.Annotated[OldDict, "note"]]


class ValidatedTune(Tune):
    @field_validator("title")
    @classmethod
    def keep(cls, value: str) -> str:
        """Keep the title, but have pydantic look."""
        return value


class AliasedTune(BaseModel):
    owner: Owner = Field(alias="ownedBy")


DEEP = 'select \'a\' as title, {name} as "owner.name", {city} as "owner.city.name", {since} as "owner.city.since"'


@pytest.mark.parametrize(
    ("annotation", "sql", "wanted"),
    [
        (Tune, DEEP.format(name="'n'", city="'c'", since=1), {"name": "n", "city": {"name": "c", "since": 1}}),
        (
            Tune,
            DEEP.format(name="'n'", city="'c'", since="null::int"),
            {"name": "n", "city": {"name": "c", "since": None}},
        ),
        (Tune, DEEP.format(name="'n'", city="null", since="null::int"), {"name": "n", "city": None}),
        (Tune, DEEP.format(name="null", city="null", since="null::int"), None),
        (ValidatedTune, DEEP.format(name="'n'", city="'c'", since=1), {"name": "n", "city": {"name": "c", "since": 1}}),
        (ValidatedTune, DEEP.format(name="null", city="null", since="null::int"), None),
        (OwnedTune, DEEP.format(name="'n'", city="null", since="null::int"), {"name": "n", "city": None}),
    ],
)
def test_dotted_columns_fill_nested_models(db: psycopg.Connection[Any], annotation: Any, sql: str, wanted: Any) -> None:
    """Aliases with dots fill models three levels deep; a group whose columns are all NULL is None."""
    (made,) = both(db, annotation, sql)
    assert made.model_dump() == {"title": "a", "owner": wanted}


@pytest.mark.parametrize(
    ("annotation", "sql", "wanted"),
    [
        (TuneClass, "select 'a' as title, 'n' as \"owner.name\"", TuneClass("a", Owner(name="n"))),
        (TuneClass, "select 'a' as title", TuneClass("a")),
        (
            TuneTuple,
            "select 'a' as title, 'b' as \"owner.title\", 'n' as \"owner.owner.name\"",
            TuneTuple("a", TuneClass("b", Owner(name="n"))),
        ),
        (TuneDict, "select 'a' as title, 'n' as \"owner.name\"", {"title": "a", "owner": Owner(name="n")}),
        (TuneDict, "select 'a' as title, 1 as \"inner.number\"", {"title": "a", "inner": {"number": 1}}),
        (AliasedTune, "select 'n' as \"ownedBy.name\"", AliasedTune(ownedBy=Owner(name="n"))),
        (AliasedTune, "select 'n' as \"owner.name\"", AliasedTune(ownedBy=Owner(name="n"))),
    ],
)
def test_other_shapes_nest_too(db: psycopg.Connection[Any], annotation: Any, sql: str, wanted: Any) -> None:
    """Dataclasses, NamedTuples and TypedDicts nest as models do, in each other."""
    assert both(db, annotation, sql) == [wanted]


@pytest.mark.parametrize(
    ("annotation", "sql", "column"),
    [
        (Tune, DEEP.format(name="null", city="'c'", since=1), "owner.name"),
        (Tune, DEEP.format(name="'n'", city="null", since=1), "owner.city.name"),
        (ValidatedTune, DEEP.format(name="'n'", city="null", since=1), "owner.city.name"),
        (OwnedTune, DEEP.format(name="null", city="null", since="null::int"), "owner"),
        (VagueTune, 'select null as "vague.name"', "vague"),
        (Tune, "select 'a' as title, 1 as \"owner.name\"", "owner.name"),
        (AliasedTune, 'select null::text as "ownedBy.name", \'c\' as "owner.city.name"', "ownedBy.name"),
        (TuneTuple, "select 'a' as title, 'b' as \"owner.title\", 1 as \"owner.owner.name\"", "owner.owner.name"),
    ],
)
def test_half_a_nested_row_names_its_column(
    db: psycopg.Connection[Any], annotation: Any, sql: str, column: str
) -> None:
    """NULL where a nested field takes none, in a group that is there or must be, names the column or the group."""
    assert refused(db, annotation, sql).column == column


@pytest.mark.parametrize(
    ("annotation", "sql", "column", "reason"),
    [
        (Song, "select 1 as song_id, 'a' as title, 'b' as title", "title", "two columns are named 'title'"),
        (Song, "select 1 as song_id", "title", "no column for the field 'title' of Song"),
        (Plain, "select 1 as song_id", "title", "no column for the field 'title' of Plain"),
        (Point, "select 'x' as word", "number", "no column for the field 'number' of Point"),
        (OldDict, "select 'x' as word", "number", "no column for the field 'number' of OldDict"),
        (Described, "select 'x' as title", "song_id", "no column for the field 'song_id' of Described"),
        (Song, SONG + ", 1 as other", "other", "column 'other' has no field in Song"),
        (Song, SONG + ", 1", "?column?", "column '?column?' has no field in Song"),
        (Plain, SONG + ", 1 as other", "other", "column 'other' has no field in Plain"),
        (OldDict, "select 1 as number, 2 as other", "other", "column 'other' has no field in OldDict"),
        (
            Aliased,
            "select 1 as song_id, 2 as \"songId\", 'a' as name",
            "songId",
            "two columns fill the field 'song_id'",
        ),
        (tuple[int, str], "select 1", None, "takes 2 columns, the statement returns 1"),
        (int, "select 1, 2", None, "int takes one column, the statement returns 2"),
        (int, "select", None, "int takes one column, the statement returns 0"),
        (Tune, "select 'a' as title, 'n' as owner, 'm' as \"owner.name\"", "owner.name", "both fill the field 'owner'"),
        (
            Tune,
            "select 'a' as title, 'm' as \"owner.name\", 'n' as owner",
            "owner",
            "two columns fill the field 'owner'",
        ),
        (Tune, "select 'a' as \"title.x\", 'n' as \"owner.name\"", "title.x", "has no fields of its own"),
        (Tune, "select 'a' as title, 'c' as \"owner.city.name\"", "owner.name", "no column for the field 'owner.name'"),
        (Tune, "select 'a' as title, 'c' as \"owner.other\"", "owner.other", "has no field in Owner"),
    ],
)
def test_columns_that_do_not_fit_the_fields_are_a_row_error(
    db: psycopg.Connection[Any], annotation: Any, sql: str, column: str | None, reason: str
) -> None:
    """Two columns of one name, a missing and an extra one say so, with the place and what to do."""
    error = refused(db, annotation, sql)
    assert error.column == column
    assert str(error).startswith("<sql>:1: <sql>: ")
    assert reason in str(error)


@pytest.mark.parametrize(
    ("annotation", "sql", "column", "expected", "got"),
    [
        (Song, "select 1 as song_id, null as title", "title", "str", "NULL"),
        (Song, "select 1 as song_id, 5 as title", "title", "str", "int"),
        (Plain, "select null::int as song_id, 'a' as title", "song_id", "int", "NULL"),
        (Point, "select null::int as number", "number", "int", "NULL"),
        (OldDict, "select 'x' as number", "number", "int", "str"),
        (tuple[int, str], "select 1 as one, null as two", "two", "str", "NULL"),
        (tuple[int, int], "select 1 as one, 'secret' as two", "two", "int", "str"),
        (int, "select null::int as one", "one", "int", "NULL"),
        (Described, 'select 0 as "songId"', "songId", "int", "int"),
        (Described, "select 0 as song_id", "song_id", "int", "int"),
        (Validated, "select 1 as song_id, 'much too long a secret' as title", "title", "str", "str"),
        (StrictSong, "select 1 as song_id, 'secret' as mood, array['red'] as colours", "mood", "Mood", "str"),
        (StrictDescribed, "select 1 as song_id, 'secret' as mood", "mood", "Mood", "str"),
        (Box[int], "select 1 as number, 'secret' as content", "content", "int", "str"),
        (Page[int], "select 1 as number, 'secret' as content", "content", "int", "str"),
    ],
)
def test_a_value_that_does_not_fit_names_column_and_types(
    db: psycopg.Connection[Any], annotation: Any, sql: str, column: str, expected: str, got: str
) -> None:
    """A RowError has the query, the column, what was expected and the type that came, and never the value."""
    error = refused(db, annotation, sql)
    assert (error.column, error.expected, error.got) == (column, expected, got)
    assert error.query == "<sql>:1: <sql>"
    assert "secret" not in str(error)


def test_validators_errors_show_no_value(db: psycopg.Connection[Any]) -> None:
    """What a validator of the author's own says may hold the value, so only its kind is told."""

    class Loud(BaseModel):
        title: str

        @field_validator("title")
        @classmethod
        def complain(cls, value: str) -> str:
            """Complain with the value."""
            raise ValueError(f"bad {value}")

    class LoudModel(BaseModel):
        title: str

        @model_validator(mode="after")
        def complain(self) -> LoudModel:
            """Complain with the value."""
            raise ValueError(f"bad {self.title}")

    error = refused(db, Loud, "select 'secret' as title")
    assert (error.column, "secret" in str(error)) == ("title", False)
    error = refused(db, LoudModel, "select 'secret' as title")
    assert (error.column, "secret" in str(error)) == (None, False)


def test_a_row_among_many_is_found(db: psycopg.Connection[Any]) -> None:
    """One bad row in a large batch is an error on both paths, and nothing of the batch is returned."""
    sql = "select n as song_id, nullif(n, 2500)::text as title from generate_series(1, 3000) as n"
    assert refused(db, Song, sql).column == "title"


def test_a_connection_is_usable_after_a_row_error(db: psycopg.Connection[Any]) -> None:
    """The statement has run; only its rows did not fit."""
    with pytest.raises(RowError):
        fetch(db, int, "select 'x'")
    assert fetch(db, str, "select 'x'") == ["x"]


@pytest.mark.direct("its table is a temporary one")
def test_columns_that_change_their_type_get_another_maker(server: TestServer) -> None:
    """After a change of the table, rows are made for the columns as they are now."""
    with psycopg.connect(server.dsn) as conn:
        conn.execute("create temp table changing (number int)")
        conn.execute("insert into changing values (1)")
        conn.commit()
        assert fetch(conn, int | str, "select number from changing") == [1]
        conn.commit()
        conn.execute("alter table changing alter number type text")
        conn.commit()
        assert fetch(conn, int | str, "select number from changing") == ["1"]


def test_literals_are_shown_in_an_error(db: psycopg.Connection[Any]) -> None:
    """What an annotation allows is no secret."""
    error = refused(db, Literal["a", "b"], "select 'secret'::text as which")
    assert "secret" not in str(error)
    with pytest.raises(RowError, match="'a' or 'b'"):
        fetch(db, Literal["a", "b"], "select 'c'::text as which", validate=True)


def test_decimals_of_any_length_are_exact(db: psycopg.Connection[Any]) -> None:
    """A numeric keeps all its digits and its scale."""
    for text in ("1.10", "0.123456789012345678901234567890", "123456789012345678901234567890.10"):
        assert str(both(db, Decimal, f"select {text}::numeric")[0]) == text
