"""JSON columns: every digit, any model, and what a document that does not fit says."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, Union
from uuid import UUID

import psycopg
import pytest
import typing_extensions
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    create_model,
    field_validator,
    model_validator,
)

from sqlkit import RowError
from sqlkit.rows.shapes import adapter_of
from sqlkit.testing import TestServer
from sqlkit.values.documents import Documents, exact_document, is_closed
from tests.fetching import both, fetch, is_trusted, refused

THIRTY = "0.123456789012345678901234567891"


class Mood(Enum):
    HAPPY = "happy"


class Price(BaseModel):
    amount: Decimal
    note: str = ""


class Event(BaseModel):
    at: datetime
    day: date
    key: UUID
    mood: Mood
    lasting: timedelta
    tags: set[str]
    place: tuple[int, int]
    data: bytes
    by_number: dict[int, str]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    price: Decimal


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


class PricedTree(BaseModel):
    price: Decimal
    children: list[PricedTree] = []


class OddNames(BaseModel):
    metadata: Decimal
    default: dict[str, Decimal]
    cls: Decimal = Decimal(0)
    config: Any = None
    members: list[Decimal] = []
    expected: Decimal = Decimal(0)
    type: Decimal = Decimal(0)
    serialization: Decimal = Decimal(0)


class Money(RootModel[Decimal]):
    pass


class Owner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(alias="ownedBy")


@dataclasses.dataclass
class Point:
    x: int
    y: Decimal


class Pair(NamedTuple):
    x: int
    y: str


class Options(typing_extensions.TypedDict, total=False):
    size: int


Pet = Annotated[Union[Cat, Dog], Field(discriminator="kind")]  # noqa: UP007 - as an author may spell it


@pytest.fixture(scope="module")
def db(server: TestServer) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection on which nothing is written."""
    with psycopg.connect(server.dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture(params=["json", "jsonb"])
def pgtype(request: pytest.FixtureRequest) -> str:
    """Give each of the two types."""
    kind: str = request.param
    return kind


EVENT = """{
    "at": "2026-01-01T10:00:00+02:00", "day": "2026-01-01", "key": "00000000-0000-0000-0000-000000000001",
    "mood": "happy", "lasting": "P1DT5S", "tags": ["a", "a"], "place": [1, 2], "data": "é", "by_number": {"1": "a"}
}"""

DOCUMENTS: list[tuple[Any, str, Any]] = [
    (Decimal, THIRTY, Decimal(THIRTY)),
    (Decimal, "1.10", Decimal("1.10")),
    (Decimal, "5", Decimal(5)),
    (Any, THIRTY, Decimal(THIRTY)),
    (Any, "1.5", 1.5),
    (Any, "1.10", 1.1),
    (Any, "123456789012345678901234567890", 123456789012345678901234567890),
    (int, "1" + "0" * 400, 10**400),
    (float, "0.1", 0.1),
    (float, "1", 1.0),
    (str, '"\\u00e9 \\ud83c\\udfb5 \\" \\\\ \\n"', 'é \U0001f3b5 " \\ \n'),
    (bool, "true", True),
    (str | None, "null", None),
    (list[int], "[]", []),
    (
        dict[str, Any],
        f'{{"a": {{"b": [{THIRTY}, 2.5, 3, null, "x"]}}}}',
        {"a": {"b": [Decimal(THIRTY), 2.5, 3, None, "x"]}},
    ),
    (dict[str, Decimal], f'{{"a": {THIRTY}, "b": 2.50}}', {"a": Decimal(THIRTY), "b": Decimal("2.50")}),
    (dict[str, float], '{"a": 0.1}', {"a": 0.1}),
    (list[Decimal | str], f'[{THIRTY}, "1.5"]', [Decimal(THIRTY), "1.5"]),
    (Price, f'{{"amount": {THIRTY}}}', Price(amount=Decimal(THIRTY))),
    (Price, '{"amount": "1.10"}', Price(amount=Decimal("1.10"))),
    (list[Price], '[{"amount": 1.10}]', [Price(amount=Decimal("1.10"))]),
    (Event, EVENT, None),
    (
        OddNames,
        f'{{"metadata": {THIRTY}, "default": {{"a": {THIRTY}}}, "config": {THIRTY}, "members": [1.10]}}',
        OddNames(
            metadata=Decimal(THIRTY), default={"a": Decimal(THIRTY)}, config=Decimal(THIRTY), members=[Decimal("1.10")]
        ),
    ),
    *[
        (create_model("One", **{name: (Decimal, ...)}), f'{{"{name}": {THIRTY}}}', None)  # type: ignore[call-overload]
        for name in ("metadata", "config", "cls", "default", "members", "fields", "choices", "serialization")
    ],
    (Money, "1.10", Money(Decimal("1.10"))),
    (Pet, '{"kind": "cat", "lives": 9}', Cat(kind="cat", lives=9)),
    (Pet, f'{{"kind": "dog", "price": {THIRTY}}}', Dog(kind="dog", price=Decimal(THIRTY))),
    (list[Pet], '[{"kind": "cat", "lives": 9}]', [Cat(kind="cat", lives=9)]),
    (Tree, '{"name": "a", "children": [{"name": "b"}]}', Tree(name="a", children=[Tree(name="b")])),
    (
        PricedTree,
        f'{{"price": 1, "children": [{{"price": {THIRTY}}}]}}',
        PricedTree(price=Decimal(1), children=[PricedTree(price=Decimal(THIRTY))]),
    ),
    (Owner, '{"ownedBy": "a"}', Owner(ownedBy="a")),
    (Point, '{"x": 1, "y": 1.10}', Point(1, Decimal("1.10"))),
    (Pair, '{"x": 1, "y": "a"}', Pair(1, "a")),
    (Pair, '[1, "a"]', Pair(1, "a")),
    (Options, '{"size": 1}', {"size": 1}),
    (Mood, '"happy"', Mood.HAPPY),
    (date, '"2026-01-01"', date(2026, 1, 1)),
    (Literal["a", 1], "1", 1),
    (Annotated[list[str], Field(max_length=2)], '["a"]', ["a"]),
    (Annotated[str, AfterValidator(str.upper)], '"a"', "A"),
    (list[Annotated[str, AfterValidator(lambda text: text + "!")]], '["a"]', ["a!"]),
    (Annotated[dict[str, Any], BeforeValidator(lambda value: value["a"])], '{"a": {"a": {"b": 1}}}', {"a": {"b": 1}}),
]


@pytest.mark.parametrize(
    ("annotation", "text", "wanted"), DOCUMENTS, ids=[f"{index}-{case[1][:20]}" for index, case in enumerate(DOCUMENTS)]
)
def test_a_document_becomes_its_type_with_nothing_lost(
    db: psycopg.Connection[Any], pgtype: str, annotation: Any, text: str, wanted: Any
) -> None:
    """A JSON column becomes what is annotated, alone, as a model's field and where the whole result is text."""
    if wanted is None and annotation is Event:
        wanted = Event(
            at=datetime(2026, 1, 1, 10, tzinfo=timezone(timedelta(hours=2))),
            day=date(2026, 1, 1),
            key=UUID(int=1),
            mood=Mood.HAPPY,
            lasting=timedelta(days=1, seconds=5),
            tags={"a"},
            place=(1, 2),
            data="é".encode(),
            by_number={1: "a"},
        )
    elif wanted is None and getattr(annotation, "__name__", "") == "One":
        wanted = annotation(**{name: Decimal(THIRTY) for name in annotation.model_fields})
    column = "$json$" + text + "$json$::" + pgtype
    (alone,) = both(db, annotation, f"select {column}", value=True)
    (beside,) = both(db, tuple[annotation, str], f"select {column}, 5::money")

    class Holder(BaseModel):
        document: annotation
        other: int = 0

    class ValidatedHolder(Holder):
        @field_validator("other")
        @classmethod
        def keep(cls, value: int) -> int:
            """Have pydantic look at the row."""
            return value

    (held,) = both(db, Holder, f"select {column} as document, 1 as other")
    (validated,) = both(db, ValidatedHolder, f"select {column} as document, 1 as other")
    for made in (alone, beside[0], held.document, validated.document):
        assert made == wanted
        assert type(made) is type(wanted)
        assert str(made) == str(wanted) or annotation is Event  # whose zone pydantic spells in its own way


def test_a_number_out_of_the_range_of_floats_is_exact(db: psycopg.Connection[Any]) -> None:
    """1e400 is no infinity: json keeps its spelling, jsonb its value."""
    assert both(db, Any, "select '1e400'::json", value=True) == [Decimal("1E+400")]
    assert both(db, dict[str, Any], "select '{\"a\": -1e400}'::json", value=True) == [{"a": Decimal("-1E+400")}]
    assert both(db, Any, "select '1e400'::jsonb", value=True) == [10**400]
    assert both(db, Decimal, "select '1e-400'::jsonb", value=True) == [Decimal("1E-400")]


@pytest.mark.parametrize(
    ("text", "number"),
    [("1.5", 1.5), ("0.1", 0.1), ("-0.0", -0.0), ("1e3", 1000.0), ("0.30000000000000004", 0.30000000000000004)],
)
def test_a_number_that_a_float_keeps_is_a_float(text: str, number: float) -> None:
    """Where the type is open, what a float holds exactly as it is written is a float."""
    found = exact_document(text)
    assert type(found) is float
    assert repr(found) == repr(number)


@pytest.mark.parametrize("text", ["0.1234567890123456789", "1e400", "-1e-400", "9007199254740993.0"])
def test_a_number_that_a_float_would_change_is_a_decimal(text: str) -> None:
    """Where the type is open, what a float would change is a Decimal."""
    assert exact_document(text) == Decimal(text)


@pytest.mark.parametrize(
    ("annotation", "closed"),
    [
        (int, True),
        (dict[str, list[float]], True),
        (Tree, True),
        (Event, True),
        (Pet, False),
        (Decimal, False),
        (dict[str, Any], False),
        (list, False),
        (PricedTree, False),
        (Annotated[str, AfterValidator(str.upper)], False),
        (object, False),
    ],
)
def test_pydantic_reads_text_itself_where_nothing_can_be_lost(annotation: Any, closed: bool) -> None:
    """The fast way is taken where neither a Decimal nor an open type nor a validator can be reached."""
    assert is_closed(adapter_of(annotation).core_schema) is closed


# Aggregates, NULL and what does not fit.


class Album(BaseModel):
    title: str
    songs: list[Price]


class ValidatedAlbum(Album):
    @model_validator(mode="after")
    def look(self) -> ValidatedAlbum:
        """Have pydantic look at the row."""
        return self


AGGREGATE = """
select 'a' as title, {aggregate} as songs
from (values ('a'), ('b')) as album (title)
left join (values ('a', 1.10), ('a', 2.5)) as song (title, amount) on song.title = album.title
where album.title = '{album}'
"""


@pytest.mark.parametrize("model", [Album, ValidatedAlbum])
def test_an_aggregate_becomes_models(db: psycopg.Connection[Any], model: Any) -> None:
    """``json_agg`` of objects is a list of models."""
    sql = AGGREGATE.format(aggregate="json_agg(jsonb_build_object('amount', song.amount))", album="a")
    (made,) = both(db, model, sql)
    assert [str(price.amount) for price in made.songs] == ["1.10", "2.5"]


@pytest.mark.parametrize("aggregate", ["json_agg(song)", "jsonb_agg(song)"])
@pytest.mark.parametrize("model", [Album, ValidatedAlbum])
def test_the_null_list_of_an_outer_join_says_how_to_write_it(
    db: psycopg.Connection[Any], model: Any, aggregate: str
) -> None:
    """``[null]`` is an error that names the column and tells of coalesce and filter."""
    error = refused(db, model, AGGREGATE.format(aggregate=aggregate, album="b"))
    assert error.column == "songs"
    for validate in (False, True):
        with pytest.raises(RowError, match=r"\[null\].*coalesce\(json_agg\(\.\.\.\) filter \(where .* '\[\]'\)"):
            fetch(db, model, AGGREGATE.format(aggregate=aggregate, album="b"), validate=validate)


def test_a_filtered_aggregate_is_an_empty_list(db: psycopg.Connection[Any]) -> None:
    """Written as the error says, an outer join without a match is an empty list."""
    aggregate = "coalesce(json_agg(song) filter (where song.title is not null), '[]')"
    (made,) = both(db, Album, AGGREGATE.format(aggregate=aggregate, album="b"))
    assert made.songs == []


class Optional(BaseModel):
    document: Price | None


class Needed(BaseModel):
    document: Price


class Anything(BaseModel):
    document: Any


class Filled(BaseModel):
    document: Annotated[list[int], BeforeValidator(lambda value: value or [7])]


class Careless(BaseModel):
    document: Annotated[list[int], BeforeValidator(lambda value: value["numbers"])]


@pytest.mark.parametrize(
    ("annotation", "document", "wanted"),
    [
        (Optional, "null::jsonb", None),
        (Optional, "'null'::jsonb", None),
        (Anything, "null::jsonb", None),
        (Filled, "null::jsonb", [7]),
        (Filled, "'[]'::jsonb", [7]),
        (Careless, "'{\"numbers\": [1]}'::jsonb", [1]),
    ],
)
def test_null_is_what_the_annotation_makes_of_none(
    db: psycopg.Connection[Any], annotation: Any, document: str, wanted: Any
) -> None:
    """SQL's NULL and JSON's null are None, unless a validator makes something else of it."""
    (made,) = both(db, annotation, f"select {document} as document")
    assert made.document == wanted


@pytest.mark.parametrize(
    ("annotation", "document"),
    [
        (Needed, "null::jsonb"),
        (Needed, "'null'::jsonb"),
        (Needed, "'{}'::jsonb"),
        (Needed, '\'{"amount": "secret"}\'::jsonb'),
        (Needed, '\'{"amount": 1, "note": 5}\'::jsonb'),
        (Needed, "'[1]'::jsonb"),
        (Careless, '\'{"numbers": ["secret"]}\'::jsonb'),
        (Filled, "'[\"secret\"]'::json"),
        (Anything, "'1e99999999999999999999'::json"),
        (Anything, "('1' || repeat('0', 5000))::json"),
        (Anything, "(repeat('[', 12000) || repeat(']', 12000))::json"),
    ],
)
def test_a_document_that_does_not_fit_is_a_row_error(
    db: psycopg.Connection[Any], annotation: Any, document: str
) -> None:
    """A document that is no such thing, or that Python cannot read, is a RowError that names the column only."""
    error = refused(db, annotation, f"select {document} as document")
    assert error.column == "document"
    assert "secret" not in str(error)


def test_documents_inside_arrays_and_composites_are_read_too(server: TestServer) -> None:
    """A document that is part of another value keeps its digits as well."""
    with psycopg.connect(server.dsn) as conn:
        conn.execute("create type pg_temp.holder as (number int, document jsonb)")
        array = f"array['{{\"a\": {THIRTY}}}'::jsonb, null]"
        assert both(conn, list[dict[str, Any] | None], f"select {array}", value=True) == [
            [{"a": Decimal(THIRTY)}, None]
        ]
        row = f"row(1, '{{\"amount\": {THIRTY}}}')::pg_temp.holder"
        price = Price(amount=Decimal(THIRTY))
        assert both(conn, tuple[int, Price], f"select {row}", value=True) == [(1, price)]
        assert both(conn, list[tuple[int, Price]], f"select array[{row}]", value=True) == [[(1, price)]]
        refused(conn, list[tuple[int, Cat]], f"select array[{row}] as which", value=True)
        refused(conn, list[int], "select array['1e99999999999999999999'::json] as which", value=True)


def test_validators_of_documents_run_once(db: psycopg.Connection[Any]) -> None:
    """What a validator does to a document it does once, however the row is made."""
    seen: list[Any] = []

    def note(value: Any) -> Any:
        seen.append(value)
        return value

    class Counted(BaseModel):
        document: Annotated[dict[str, Any], AfterValidator(note)]

    for validate in (False, True):
        seen.clear()
        fetch(db, Counted, "select '{\"a\": 1}'::jsonb as document", validate=validate)
        assert seen == [{"a": 1}]


class Configured(BaseModel):
    model_config = ConfigDict(use_enum_values=True, val_json_bytes="base64", ser_json_bytes="base64")

    moods: list[Mood]
    data: dict[str, bytes]


class ValidatedConfigured(Configured):
    @field_validator("moods")
    @classmethod
    def keep(cls, value: Any) -> Any:
        """Have pydantic look at the row."""
        return value


@pytest.mark.parametrize("annotation", [Configured, ValidatedConfigured])
def test_a_document_is_read_with_the_configuration_of_its_class(db: psycopg.Connection[Any], annotation: Any) -> None:
    """What a model's configuration says of its fields holds for their documents as well."""
    sql = 'select \'["happy"]\'::jsonb as moods, \'{"a": "aGk="}\'::json as data'
    (made,) = both(db, annotation, sql)
    assert made == annotation.model_validate_json('{"moods": ["happy"], "data": {"a": "aGk="}}')
    assert (made.moods, made.data) == (["happy"], {"a": b"hi"})


class StrictOffer(BaseModel):
    model_config = ConfigDict(strict=True)

    price: Decimal
    at: datetime
    mood: Mood
    number: int = 0
    anything: Any = None


class OfferHolder(BaseModel):
    document: StrictOffer


class StrictOfferHolder(BaseModel):
    model_config = ConfigDict(strict=True)

    document: StrictOffer


OFFER = f'{{"price": {THIRTY}, "at": "2026-01-01T00:00:00Z", "mood": "happy", "anything": {THIRTY}'


@pytest.mark.parametrize("annotation", [OfferHolder, StrictOfferHolder])
def test_strict_documents_are_strict_as_json_is_and_exact(db: psycopg.Connection[Any], annotation: Any) -> None:
    """A strict model takes from a document what it takes from JSON, and its decimals keep their digits."""
    (made,) = both(db, annotation, f"select '{OFFER}}}'::jsonb as document")
    assert made.document == StrictOffer(
        price=Decimal(THIRTY), at=datetime(2026, 1, 1, tzinfo=UTC), mood=Mood.HAPPY, anything=Decimal(THIRTY)
    )
    refused(db, annotation, f'select \'{OFFER}, "number": "5"}}\'::jsonb as document')
    refused(db, annotation, f"select '{OFFER}, \"number\": 5.5}}'::jsonb as document")


class Recursive(BaseModel):
    number: int
    children: list[Recursive] = []
    price: Decimal = Decimal(0)


def test_a_recursive_model_is_a_row_too(db: psycopg.Connection[Any]) -> None:
    """A model that holds itself is trusted as others are, and its documents are read with its definitions."""
    sql = f'select 1 as number, \'[{{"number": 2, "price": {THIRTY}}}]\'::jsonb as children'
    assert is_trusted(db, Recursive, sql)
    assert both(db, Recursive, sql) == [Recursive(number=1, children=[Recursive(number=2, price=Decimal(THIRTY))])]


def test_a_step_tells_whether_null_passes() -> None:
    """NULL passes where the annotation takes None, and is looked at by pydantic where it becomes something else."""
    assert Documents.of(Price | None).step().nullable  # type: ignore[union-attr]
    assert not Documents.of(Price).step().nullable  # type: ignore[union-attr]
    assert Documents.of(Annotated[list[int], BeforeValidator(lambda value: value or [])]).step() is None


def test_a_large_document_comes_whole(db: psycopg.Connection[Any]) -> None:
    """A document of some megabytes comes back equal."""
    sent = {"words": ["é" * 100] * 10_000, "numbers": list(range(100_000))}
    assert both(db, dict[str, list[str] | list[int]], "select :sent::jsonb", value=True, sent=sent) == [sent]
