"""What an annotation asks for: the shape of a row, its fields, and the columns that may fill them."""

from __future__ import annotations

import dataclasses
import typing
from collections import namedtuple
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, TypedDict, TypeVar

import pytest
import typing_extensions
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, RootModel
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass as pydantic_dataclass

from sqlkit import PgRange
from sqlkit.rows.shapes import RowField, RowType, adapter_of, classify, describe_type, without_none

T = TypeVar("T")


class Song(BaseModel):
    song_id: int
    title: str = "untitled"
    kind: ClassVar[str] = "song"


class Page(BaseModel, Generic[T]):
    items: list[T]


class Ids(RootModel[list[int]]):
    pass


@dataclasses.dataclass
class Plain:
    number: int
    words: list[str] = dataclasses.field(default_factory=list)
    late: dataclasses.InitVar[int] = 0
    made: int = dataclasses.field(init=False, default=0)
    shared: ClassVar[int] = 0

    def __post_init__(self, late: int) -> None:
        self.made = late


@pydantic_dataclass
class Described:
    number: int = Field(alias="numberOf")
    word: str = Field(default="w", description="a word")


class Point(NamedTuple):
    x: int
    y: int = 0


Loose = namedtuple("Loose", ["x", "y"])


class Open(TypedDict, total=False):
    number: typing.Required[int]
    word: str


class Half(typing_extensions.TypedDict):
    number: int
    word: typing_extensions.NotRequired[str]


@dataclasses.dataclass
class Box(Generic[T]):
    content: T
    more: list[T] = dataclasses.field(default_factory=list)


class Couple(NamedTuple, Generic[T]):
    first: T
    second: Annotated[T | None, "a note"] = None


class Annotations(typing_extensions.TypedDict, total=False):
    number: Annotated[typing_extensions.Required[int], "a note"]


class Crate(typing_extensions.TypedDict, Generic[T]):
    content: T


@pytest.mark.parametrize(
    ("annotation", "shape", "fields"),
    [
        (Song, "model", {"song_id": int, "title": str}),
        (Page[int], "model", {"items": list[int]}),
        (Plain, "dataclass", {"number": int, "words": list[str], "late": int}),
        (Described, "dataclass", {"number": int, "word": str}),
        (Open, "typed dict", {"number": int, "word": str}),
        (Half, "typed dict", {"number": int, "word": str}),
        (Annotations, "typed dict", {"number": Annotated[int, "a note"]}),
        (Point, "named tuple", {"x": int, "y": int}),
        (Loose, "named tuple", {"x": Any, "y": Any}),
        (tuple[int, str | None], "tuple", {"0": int, "1": str | None}),
        (Box[int], "dataclass", {"content": int, "more": list[int]}),
        (Couple[str], "named tuple", {"first": str, "second": Annotated[str | None, "a note"]}),
        (Crate[Decimal], "typed dict", {"content": Decimal}),
        (int, "value", {}),
        (int | None, "value", {}),
        (list[int], "value", {}),
        (dict[str, Any], "value", {}),
        (Ids, "value", {}),
        (Literal["a"], "value", {}),
        (PgRange[int], "value", {}),
    ],
)
def test_an_annotation_is_a_shape_with_fields(annotation: Any, shape: str, fields: dict[str, Any]) -> None:
    """Each annotation has its shape, and its fields have their annotations with generics filled in."""
    found, parts = classify(annotation)
    assert found == shape
    assert {name: part.annotation for name, part in parts.items()} == fields


@pytest.mark.parametrize(
    ("annotation", "required"),
    [
        (Song, {"song_id"}),
        (Plain, {"number"}),
        (Described, {"number"}),
        (Open, {"number"}),
        (Half, {"number"}),
        (Annotations, {"number"}),
        (Point, {"x"}),
        (Loose, {"x", "y"}),
        (tuple[int, int], {"0", "1"}),
    ],
)
def test_a_field_without_a_default_is_required(annotation: Any, required: set[str]) -> None:
    """What has a default, or may be left out of a TypedDict, needs no column."""
    assert {name for name, part in RowType.of(annotation).fields.items() if part.required} == required


class Aliased(BaseModel):
    plain: int
    alias: int = Field(alias="aliasOf")
    validation: int = Field(validation_alias="validationOf", serialization_alias="nothing")
    choices: int = Field(validation_alias=AliasChoices("one", AliasPath("two"), AliasPath("three", 0)))
    path: int = Field(validation_alias=AliasPath("deep", "down"))


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)

    song_id: int


class NoAlias(BaseModel):
    model_config = ConfigDict(validate_by_alias=False, validate_by_name=True)

    song_id: int = Field(alias="songId")


@pytest.mark.parametrize(
    ("annotation", "name", "field"),
    [
        (Aliased, "plain", RowField(int, "plain")),
        (Aliased, "alias", RowField(int, "aliasOf", frozenset({"aliasOf"}))),
        (Aliased, "validation", RowField(int, "validationOf", frozenset({"validationOf"}))),
        (Aliased, "choices", RowField(int, "one", frozenset({"one", "two"}))),
        (Aliased, "path", RowField(int, "path", by_name=True)),
        (Camel, "song_id", RowField(int, "songId", frozenset({"songId"}))),
        (NoAlias, "song_id", RowField(int, "song_id", frozenset({"songId"}))),
        (Described, "number", RowField(int, "numberOf", frozenset({"numberOf"}))),
    ],
)
def test_an_alias_names_a_column_too(annotation: Any, name: str, field: RowField) -> None:
    """A field is filled by a column of its own name or of an alias, and pydantic gets it by the name it reads."""
    assert RowType.of(annotation).fields[name] == field


@pytest.mark.filterwarnings("ignore:Item 'word' on TypedDict class 'Kept' is using the `ReadOnly` qualifier")
def test_a_read_only_item_is_read_as_any_other() -> None:
    """``ReadOnly`` says nothing of the type."""

    class Kept(typing_extensions.TypedDict):
        word: typing_extensions.NotRequired[typing_extensions.ReadOnly[str]]

    assert RowType.of(Kept).fields == {"word": RowField(str, "word", required=False)}


def test_constraints_belong_to_the_annotation_of_a_field() -> None:
    """What a model says of a field beside its type is kept, for documents are read by it."""

    class Kinds(BaseModel):
        short: str = Field(max_length=3)

    (part,) = RowType.of(Kinds).fields.values()
    with pytest.raises(ValueError, match="at most 3"):
        adapter_of(part.annotation).validate_python("long")


class Unknown:
    pass


class UnknownTuple(NamedTuple):
    field: Unknown


class UnknownDict(TypedDict):
    field: Unknown


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (tuple, "a tuple names the type of each column"),
        (tuple[int, ...], "a tuple names the type of each column"),
        (Unknown, "pydantic has no schema for Unknown"),
        (list[Unknown], "pydantic has no schema for list"),
        (tuple[int, Unknown], "pydantic has no schema for tuple"),
        (UnknownTuple, "pydantic has no schema for UnknownTuple"),
        (UnknownDict, "pydantic has no schema for UnknownDict"),
    ],
)
def test_what_is_no_row_type_is_a_type_error(annotation: Any, reason: str) -> None:
    """An annotation that pydantic cannot read, or a tuple of unknown length, is refused with the reason."""
    with pytest.raises(TypeError, match=reason):
        RowType.of(annotation)


def test_a_type_without_a_schema_says_so_in_one_line() -> None:
    """Pydantic's advice, which fills lines, is left out."""
    with pytest.raises(TypeError) as caught:
        RowType.value(Unknown)
    assert "\n" not in str(caught.value)


def test_a_value_takes_the_one_column_whatever_its_type() -> None:
    """``RowType.value`` reads a model, too, from one column."""
    assert RowType.value(Song).shape == "value"
    assert RowType.of(Song).shape == "model"


@pytest.mark.parametrize(
    ("annotation", "spelled"),
    [
        (int, "int"),
        (None, "None"),
        (type(None), "None"),
        (Annotated[int, Field(gt=1)], "int"),
        (list[int], "list[int]"),
        (int | None, "int | None"),
        (typing.Optional[int], "Optional[int]"),  # noqa: UP045 - as an author may spell it
        (Song, "Song"),
        (Any, "Any"),
    ],
)
def test_a_type_is_spelled_as_its_author_would(annotation: Any, spelled: str) -> None:
    """Messages name a type without the modules and notes around it."""
    assert describe_type(annotation) == spelled
    assert str(RowType.value(annotation)) == spelled


@pytest.mark.parametrize(
    ("annotation", "inner", "nullable"),
    [
        (int, int, False),
        (int | None, int, True),
        (Annotated[int | None, 1], int, True),
        (typing.Optional[Annotated[int, 1]], int, True),  # noqa: UP045 - as an author may spell it
        (int | str, int | str, False),
        (int | str | None, int | str | None, False),
    ],
)
def test_none_is_taken_off_an_annotation(annotation: Any, inner: Any, nullable: bool) -> None:
    """``| None`` and notes are taken off; a union of more types is left alone."""
    assert without_none(annotation) == (inner, nullable)


class OldNode(TypedDict):
    number: int
    inner: list[Open]


def test_typing_typed_dicts_are_read_inside_others() -> None:
    """Typing's TypedDict serves on every Python, also in a list, behind ``| None`` and inside another."""
    document = {"number": 1, "inner": [{"number": 2}]}
    for annotation in (OldNode, OldNode | None, typing.Optional[OldNode]):  # noqa: UP045 - as an author may spell it
        assert adapter_of(annotation).validate_python(document) == document
    assert adapter_of(list[OldNode]).validate_python([document]) == [document]
    assert adapter_of(dict[str, Annotated[OldNode, "note"]]).validate_python({"a": document}) == {"a": document}
