"""Which rows are built without validation: those for which it is known to change nothing, and no others."""

from __future__ import annotations

import dataclasses
import warnings
from collections import namedtuple
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar
from uuid import UUID

import psycopg
import pytest
import typing_extensions
from pydantic import (
    AfterValidator,
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    SecretStr,
    SkipValidation,
    StringConstraints,
    WrapValidator,
    computed_field,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass

from sqlkit import PgRange
from sqlkit.testing import TestServer
from tests.fetching import both, is_trusted, refused

T = TypeVar("T")


class Mood(Enum):
    HAPPY = "happy"
    SAD = "sad"


class Colour(StrEnum):
    ROT = "red"


class Level(IntEnum):
    LOW = 1


class Mixed(Enum):
    WORD = "happy"
    NUMBER = 1


class Forgiving(Enum):
    HAPPY = "happy"

    @classmethod
    def _missing_(cls, value: object) -> Forgiving:
        return cls.HAPPY


# Rows that must be built without validation.


class Song(BaseModel):
    number: int
    word: str


class Documented(BaseModel):
    """A model with all that says nothing of values."""

    model_config = ConfigDict(title="A song", frozen=True, from_attributes=True, json_schema_extra={"example": 1})

    number: int = Field(description="a number", examples=[1], title="Number", serialization_alias="no")
    word: str = Field(alias="aWord", repr=False, exclude=True, deprecated=False)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        """Twice the number."""
        return self.number * 2

    @field_serializer("word")
    def serialise(self, word: str) -> str:
        """Write the word."""
        return word.upper()


class Forbidding(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int
    word: str


class Ignoring(BaseModel):
    model_config = ConfigDict(extra="ignore")

    number: int


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=AliasGenerator(alias=lambda name: name), populate_by_name=True)

    number: int
    word: str


class Child(Song):
    word: str | None = None  # type: ignore[assignment]


class Twice(BaseModel):
    number: int
    word: Mood
    other: Mood = Mood.SAD
    third: Mood | None = None


class Defaults(BaseModel):
    number: int
    word: str
    none: int | None = None
    text: str = "x"
    price: Decimal = Decimal("1.5")
    mood: Mood = Mood.SAD
    words: list[str] = Field(default_factory=list)
    day: date = date(2026, 1, 1)


class Page(BaseModel, Generic[T]):
    number: int
    word: T


@dataclasses.dataclass
class Plain:
    number: int
    word: str
    more: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tight:
    number: int
    word: str


@dataclasses.dataclass
class Box(Generic[T]):
    number: int
    word: T


class Point(NamedTuple):
    number: int
    word: str = "w"


Loose = namedtuple("Loose", ["number", "word"])


class Dict(typing_extensions.TypedDict):
    number: int
    word: typing_extensions.NotRequired[str]


ROW = "select 1 as number, 'happy' as word"

TRUSTED: list[tuple[str, Any, str]] = [
    ("decimals in a list", list[Decimal], "select array[1.5]"),
    ("members in a list", list[Mood], "select array['happy']"),
    ("a plain model", Song, ROW),
    ("what says nothing of values", Documented, ROW),
    ("extra=forbid: the columns are known", Forbidding, ROW),
    ("extra=ignore: so are those without a field", Ignoring, ROW),
    ("aliases only name columns", Camel, ROW),
    ("a child of a model", Child, ROW),
    ("one enum in several fields", Twice, ROW),
    ("defaults that may be shared, and factories", Defaults, ROW),
    ("a generic model", Page[str], ROW),
    ("a dataclass", Plain, ROW),
    ("frozen, slots, kw_only", Tight, ROW),
    ("a generic dataclass", Box[str], ROW),
    ("a NamedTuple", Point, ROW),
    ("a namedtuple without types", Loose, ROW),
    ("a TypedDict", Dict, ROW),
    ("a tuple", tuple[int, str], ROW),
    ("int", int, "select 1::int2"),
    ("int", int, "select 1::oid"),
    ("float", float, "select 1::float4"),
    ("str", str, "select 'a'::varchar"),
    ("str from citext, name, char", tuple[str, str], "select 'a'::name, 'a'::char(1)"),
    ("bool", bool, "select true"),
    ("UUID", UUID, "select '0123456789abcdef0123456789abcdef'::uuid"),
    ("datetime", tuple[datetime, datetime], "select '2026-01-01 10:00Z'::timestamptz, '2026-01-01'::timestamp"),
    ("date", date, "select now()::date"),
    ("time", tuple[time, time], "select '10:00'::time, '10:00+02'::timetz"),
    ("timedelta", timedelta, "select '1 day'::interval"),
    ("bytes", bytes, "select ''::bytea"),
    ("Decimal, looked at for NaN", Decimal, "select 1.5"),
    ("or None", int | None, "select 1"),
    ("an Enum of texts", Mood, "select 'happy'"),
    ("a StrEnum", Colour, "select 'red'"),
    ("a Literal of texts", Literal["a", "b"], "select 'a'"),
    ("Any", Any, "select 1"),
    ("no validation by wish", SkipValidation[int], "select 1"),
    ("a list", list[int], "select array[1]"),
    ("a list with None", list[int | None], "select array[1, null]"),
    ("a list of anything", list[Any], "select '{{1}}'::int[]"),
    ("a bare list", list, "select array[1]"),
    ("a document, read by itself", dict[str, Any], "select '{}'::jsonb"),
    ("a document with validators", list[Annotated[str, AfterValidator(str.upper)]], "select '[\"a\"]'::jsonb"),
]


@pytest.fixture(scope="module")
def db(server: TestServer) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection on which nothing is written."""
    with psycopg.connect(server.dsn, autocommit=True) as conn:
        yield conn


@pytest.mark.parametrize(("why", "annotation", "sql"), TRUSTED, ids=[case[0] for case in TRUSTED])
def test_rows_that_validation_would_not_change_are_trusted(
    db: psycopg.Connection[Any], why: str, annotation: Any, sql: str
) -> None:
    """What pydantic would neither refuse nor change is built directly, and equal to what it makes."""
    value = annotation is list
    assert is_trusted(db, annotation, sql, value=value)
    both(db, annotation, sql, value=value)


# Rows that must not.


def upper(value: Any) -> Any:
    """Change a value."""
    return value.upper() if isinstance(value, str) else value


class FieldAfter(Song):
    @field_validator("word")
    @classmethod
    def change(cls, value: str) -> str:
        """Change the word."""
        return upper(value)  # type: ignore[no-any-return]


class EveryField(Song):
    @field_validator("*", mode="before")
    @classmethod
    def change(cls, value: Any) -> Any:
        """Change each field."""
        return upper(value)


class ChildOfValidator(FieldAfter):
    pass


class ModelBefore(Song):
    @model_validator(mode="before")
    @classmethod
    def change(cls, values: Any) -> Any:
        """Change the row."""
        return {**values, "word": upper(values["word"])}


class ModelAfter(Song):
    @model_validator(mode="after")
    def change(self) -> ModelAfter:
        """Change the instance."""
        self.word = upper(self.word)
        return self


class ModelWrap(Song):
    @model_validator(mode="wrap")
    @classmethod
    def change(cls, values: Any, validate: Any) -> ModelWrap:
        """Change what comes out."""
        made: ModelWrap = validate(values)
        made.word = upper(made.word)
        return made


class PostInit(Song):
    def model_post_init(self, _context: Any) -> None:
        """Change the instance."""
        self.word = upper(self.word)


class OwnInit(Song):
    def __init__(self, **values: Any) -> None:
        super().__init__(**values | {"word": upper(values["word"])})


class OwnNew(Song):
    def __new__(cls, *_: Any, **__: Any) -> OwnNew:
        """Count, or whatever."""
        return super().__new__(cls)


class Private(Song):
    _seen: int = PrivateAttr(default=0)


class Allowing(BaseModel):
    model_config = ConfigDict(extra="allow")

    number: int
    word: str


class Stripping(Song):
    model_config = ConfigDict(str_strip_whitespace=True)


class Upper(Song):
    model_config = ConfigDict(str_to_upper=True)


class Strict(Song):
    model_config = ConfigDict(strict=True)


class Finite(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)

    number: float


class ValidatesDefaults(BaseModel):
    model_config = ConfigDict(validate_default=True)

    number: int
    word: str
    other: int = "5"  # type: ignore[assignment]


class ValidatesOneDefault(BaseModel):
    number: int
    word: str
    other: int = Field(default="5", validate_default=True)


class FactoryWithData(BaseModel):
    number: int
    word: str
    other: int = Field(default_factory=lambda data: data["number"] + 1)


class MutableDefault(BaseModel):
    number: int
    word: str
    others: list[int] = [1]


class Values(BaseModel):
    model_config = ConfigDict(use_enum_values=True)

    number: int
    word: Mood


class OwnSchema(Song):
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Wrap the schema."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(lambda song: song, handler(source))


class SetsItself(Song):
    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, upper(value))


with warnings.catch_warnings():
    warnings.simplefilter("ignore")

    class OnError(BaseModel):
        number: int
        word: Annotated[int, Field(default=3), WrapValidator(lambda value, _: upper(value))]


class Identifiers(RootModel[int]):
    pass


class Owner(BaseModel):
    name: str


class Nested(BaseModel):
    owner: Annotated[Owner, AfterValidator(lambda owner: Owner(name=upper(owner.name)))]


class NestedBehindNone(BaseModel):
    owner: Optional[Annotated[Owner, AfterValidator(lambda owner: Owner(name=upper(owner.name)))]]  # noqa: UP045


class NestedValidated(BaseModel):
    owner: FieldAfter


@dataclasses.dataclass
class NestedInDataclass:
    owner: Annotated[Owner, AfterValidator(lambda owner: Owner(name=upper(owner.name)))]


@dataclasses.dataclass
class PostInitDataclass:
    number: int
    word: str

    def __post_init__(self) -> None:
        self.word = upper(self.word)


@dataclasses.dataclass
class InitVarDataclass:
    number: int
    word: dataclasses.InitVar[str]

    def __post_init__(self, word: str) -> None:
        self.number += len(word)


@dataclasses.dataclass
class OwnInitDataclass:
    number: int
    word: str

    def __init__(self, number: int, word: str) -> None:
        self.number, self.word = number, upper(word)


@dataclasses.dataclass(init=False)
class NoInitDataclass:
    number: int
    word: str


@dataclasses.dataclass
class SetsItselfDataclass:
    number: int
    word: str

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, upper(value))


@dataclasses.dataclass
class NotInit:
    number: int
    word: str
    made: int = dataclasses.field(init=False, default=7)


@dataclasses.dataclass
class ValidatorInDataclass:
    number: int
    word: str

    @field_validator("word")
    @classmethod
    def change(cls, value: str) -> str:
        """Change the word."""
        return upper(value)  # type: ignore[no-any-return]


@dataclasses.dataclass
class ConfiguredDataclass:
    __pydantic_config__ = ConfigDict(str_to_upper=True)

    number: int
    word: str


@dataclasses.dataclass
class FieldInDataclass:
    number: int
    word: str = Field(default="x", max_length=100)


@dataclasses.dataclass
class MetadataInDataclass:
    number: int
    word: str = dataclasses.field(metadata={"max_length": 100})


@pydantic_dataclass
class PydanticDataclass:
    number: int
    word: str


class ConfiguredDict(typing_extensions.TypedDict):
    __pydantic_config__ = ConfigDict(str_to_upper=True)  # type: ignore[misc]

    number: int
    word: str


class OwnPoint(Point):
    def __new__(cls, number: int, word: str) -> OwnPoint:
        """Change the word."""
        return super().__new__(cls, number, upper(word))


NESTED = "select 'n' as \"owner.name\""

UNTRUSTED: list[tuple[str, Any, str]] = [
    ("a field validator", FieldAfter, ROW),
    ("a validator of every field", EveryField, ROW),
    ("a parent's validator", ChildOfValidator, ROW),
    ("a model validator before", ModelBefore, ROW),
    ("a model validator after", ModelAfter, ROW),
    ("a model validator around", ModelWrap, ROW),
    ("model_post_init", PostInit, ROW),
    ("an __init__ of its own", OwnInit, ROW),
    ("a __new__ of its own", OwnNew, ROW),
    ("a __setattr__ of its own", SetsItself, ROW),
    ("a core schema of its own", OwnSchema, ROW),
    ("private attributes", Private, ROW),
    ("extra=allow", Allowing, ROW + ", 5 as other"),
    ("stripped strings", Stripping, "select 1 as number, ' happy ' as word"),
    ("strings made upper", Upper, ROW),
    ("strict", Strict, ROW),
    ("no infinity", Finite, "select 1.5::float8 as number"),
    ("validated defaults", ValidatesDefaults, ROW),
    ("one validated default", ValidatesOneDefault, ROW),
    ("a default made of the data", FactoryWithData, ROW),
    ("a default that each instance copies", MutableDefault, ROW),
    ("enum values", Values, ROW),
    ("a wrapping validator", OnError, ROW),
    ("a nested field's validator", Nested, NESTED),
    ("a nested field's validator behind None", NestedBehindNone, NESTED),
    ("a nested model's validator", NestedValidated, 'select 1 as "owner.number", \'happy\' as "owner.word"'),
    ("a nested field's validator in a dataclass", NestedInDataclass, NESTED),
    ("__post_init__", PostInitDataclass, ROW),
    ("an InitVar", InitVarDataclass, ROW),
    ("a dataclass's own __init__", OwnInitDataclass, ROW),
    ("a dataclass without __init__", NoInitDataclass, ROW),
    ("a dataclass's own __setattr__", SetsItselfDataclass, ROW),
    ("a field that is not in __init__", NotInit, ROW),
    ("a validator in a dataclass", ValidatorInDataclass, ROW),
    ("a configured dataclass", ConfiguredDataclass, ROW),
    ("a described field of a dataclass", FieldInDataclass, ROW),
    ("metadata of a dataclass's field", MetadataInDataclass, ROW),
    ("pydantic's dataclass", PydanticDataclass, ROW),
    ("a configured TypedDict", ConfiguredDict, ROW),
    ("a NamedTuple that makes itself", OwnPoint, ROW),
    ("a RootModel", Identifiers, "select 1"),
    ("a constraint", Annotated[int, Field(gt=0)], "select 1"),
    ("a length", Annotated[str, Field(max_length=3)], "select 'a'"),
    ("a pattern", Annotated[str, StringConstraints(pattern="a")], "select 'a'"),
    ("a validator", Annotated[str, AfterValidator(upper)], "select 'a'"),
    ("a validator before", Annotated[str, BeforeValidator(upper)], "select 'a'"),
    ("a validator inside a list", list[Annotated[str, AfterValidator(upper)]], "select array['a']"),
    ("a validator behind None", Annotated[str, AfterValidator(upper)] | None, "select 'a'"),
    ("digits of a decimal", Annotated[Decimal, Field(max_digits=5)], "select 1.5"),
    ("a decimal that may be NaN", Annotated[Decimal, Field(allow_inf_nan=True)], "select 1.5"),
    ("members that may be None in a list", list[Mood | None], "select array['happy', null]"),
    ("numbers among an Enum's values", Mixed, "select 'happy'"),
    ("an IntEnum", Level, "select 1"),
    ("an IntEnum from text", Level, "select '1'"),
    ("an Enum that is never at a loss", Forgiving, "select 'anything'"),
    ("a Literal of numbers", Literal[1, 2], "select 1"),
    ("a secret", SecretStr, "select 'a'"),
    ("a union", int | str, "select 1"),
    ("another type than the column's", float, "select 1"),
    ("another type than the column's", int, "select 1::numeric"),
    (
        "another type than the column's",
        str,
        "select 'a'::char(1)::bytea::text::xml" if False else "select 'x'::tsvector",
    ),
    ("a datetime from a date", datetime, "select '2026-01-01'::date"),
    ("a set", set[int], "select array[1]"),
    ("a tuple in a column", tuple[list[int], tuple[int, ...]], "select array[1], array[1]"),
    ("a list of lists", list[list[int]], "select '{{1}}'::int[]"),
    ("a list of limited length", Annotated[list[int], Field(max_length=3)], "select array[1]"),
    ("a range", PgRange[int], "select int4range(1, 2)"),
    ("documents in an array", list[Any], "select array['{}'::jsonb]"),
]


@pytest.mark.parametrize(("why", "annotation", "sql"), UNTRUSTED, ids=[case[0] for case in UNTRUSTED])
def test_rows_that_validation_may_change_are_validated(
    db: psycopg.Connection[Any], why: str, annotation: Any, sql: str
) -> None:
    """What pydantic may refuse or change is left to it, and comes the same with ``validate="always"``."""
    value = annotation == list[Any]
    assert not is_trusted(db, annotation, sql, value=value)
    both(db, annotation, sql, value=value)


def test_validators_have_their_effect(db: psycopg.Connection[Any]) -> None:
    """Each class that changes a row changes it, once."""
    changing = [
        *(FieldAfter, EveryField, ChildOfValidator, ModelBefore, ModelAfter, ModelWrap, PostInit, Upper),
        *(PostInitDataclass, ValidatorInDataclass, ConfiguredDataclass),
    ]
    for annotation in changing:
        (row,) = both(db, annotation, ROW)
        assert row.word == "HAPPY"


def test_generated_source_shows_in_a_traceback(db: psycopg.Connection[Any]) -> None:
    """The source of a row maker is known to linecache, so that a traceback shows its line."""
    import linecache
    import traceback

    class Careless(Enum):
        HAPPY = "happy"

    def explode() -> str:
        raise ZeroDivisionError

    class Exploding(BaseModel):
        number: int
        word: str
        other: str = Field(default_factory=explode)

    with pytest.raises(ZeroDivisionError) as caught:
        both(db, Exploding, ROW)
    frames = traceback.extract_tb(caught.value.__traceback__)
    (frame,) = [frame for frame in frames if frame.filename.startswith("<sqlkit rows")]
    assert "Exploding" in frame.filename
    assert frame.line
    assert linecache.getline(frame.filename, 1).startswith("def many(rows):")


@pytest.mark.parametrize(
    ("annotation", "sql"),
    [
        (list[Mood], "select array['furious']"),
        (list[Mood], "select array['happy', null]"),
        (list[Mood], "select array[array['happy']]"),
        (list[Decimal], "select array['NaN'::numeric]"),
    ],
)
def test_each_of_a_list_is_looked_at(db: psycopg.Connection[Any], annotation: Any, sql: str) -> None:
    """A list of members or decimals that is built without validation still refuses what it cannot hold."""
    assert refused(db, annotation, sql, value=True).column == "array"
