"""Blanks that become models: instances like those that pydantic makes, whatever is done with them."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import warnings
import weakref
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from sqlkit.rows.blanks import blank_of
from sqlkit.rows.maker import row_maker
from sqlkit.rows.shapes import Column, RowType
from sqlkit.values.catalog import PgType

T = TypeVar("T")


class Song(BaseModel):
    """A plain model."""

    song_id: int
    title: str
    note: str | None = None

    @cached_property
    def shout(self) -> str:
        """Keep something in the instance's dict."""
        return self.title.upper()


class Frozen(Song):
    """A model that nobody changes, and that has a hash."""

    model_config = ConfigDict(frozen=True)


class Mixin:
    """A parent that is no model."""

    def kind(self) -> str:
        """Return the class's name."""
        return type(self).__name__


class Mixed(Mixin, Song):
    """A model with another parent."""


class Page(BaseModel, Generic[T]):
    """A generic model."""

    song_id: int
    title: T
    note: str | None = None


class Slotted(Song):
    """A model with a slot of its own, whose layout is another."""

    __slots__ = ("aside",)


MODELS = [Song, Frozen, Mixed, Page[str]]
COLUMNS = (Column("song_id", PgType("int4")), Column("title", PgType("text")), Column("note", PgType("text")))


def made(model: Any, *rows: tuple[Any, ...]) -> list[Any]:
    """Make rows into models by the trusted path."""
    maker = row_maker(RowType.of(model), COLUMNS)
    assert maker.trusted
    return maker.many(list(rows) or [(1, "So What", None)])


@pytest.mark.parametrize("model", MODELS)
def test_it_is_what_pydantic_makes(model: Any) -> None:
    """Class, fields, their order, what was set, extras and private attributes are those of a validated instance."""
    assert blank_of(model) is not None
    (one,) = made(model)
    other = model.model_validate({"song_id": 1, "title": "So What", "note": None})
    assert type(one) is type(other) is model
    assert one == other
    assert repr(one) == repr(other)
    assert list(one.__dict__.items()) == list(other.__dict__.items())
    assert type(one.model_fields_set) is set
    assert one.model_fields_set == other.model_fields_set
    assert (one.__pydantic_extra__, one.__pydantic_private__) == (None, None)
    assert one.model_dump_json() == other.model_dump_json()


@pytest.mark.parametrize("model", [Song, Frozen, Mixed])
def test_it_is_copied_and_pickled(model: Any) -> None:
    """Copies of all kinds are equal and of the same class."""
    (one,) = made(model)
    for other in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one)), one.model_copy()):
        assert type(other) is model
        assert other == one


def test_each_has_its_own_set_of_fields_and_dict() -> None:
    """What is changed of one instance is not changed of another, of this batch or the next."""
    first, second = made(Song, (1, "a", None), (2, "b", "c"))
    first.model_fields_set.discard("note")
    first.title = "changed"
    first.__dict__["song_id"] = 7
    assert first.model_dump(exclude_unset=True) == {"song_id": 7, "title": "changed"}
    assert second == Song(song_id=2, title="b", note="c")
    assert second.model_fields_set == made(Song)[0].model_fields_set == {"song_id", "title", "note"}


def test_pydantic_guards_it() -> None:
    """A frozen one refuses a change and has a hash; no attribute is invented."""
    (frozen,) = made(Frozen)
    with pytest.raises(ValidationError, match="frozen"):
        frozen.title = "other"
    assert hash(frozen) == hash(Frozen(song_id=1, title="So What", note=None))
    (song,) = made(Song)
    with pytest.raises(ValueError, match="no field"):
        song.nothing = 1
    with pytest.raises(AttributeError, match="nothing"):
        song.nothing  # noqa: B018


def test_it_is_referred_to_weakly_and_keeps_what_is_cached() -> None:
    """Weak references and cached properties work."""
    (one,) = made(Song)
    reference = weakref.ref(one)
    assert id(reference()) == id(one)
    del reference
    assert (one.shout, one.shout) == ("SO WHAT", "SO WHAT")
    del one.title
    with pytest.raises(AttributeError):
        one.title  # noqa: B018


def test_other_models_are_still_models() -> None:
    """That there are blanks spoils no question of what is a model, also of classes that were asked before."""
    made(Song)

    class Later(BaseModel):
        """A model that is made after blanks."""

    assert issubclass(Later, BaseModel)
    assert not issubclass(Later, Song)
    assert not issubclass(int, BaseModel)
    assert isinstance(Later(), BaseModel)
    assert not isinstance(Later(), Song)
    assert Song in BaseModel.__subclasses__()


def test_a_model_of_another_layout_is_made_without_a_blank() -> None:
    """A slot of the model's own is in the way, and the model is made as before."""
    assert blank_of(Slotted) is None
    assert made(Slotted) == [Slotted(song_id=1, title="So What", note=None)]


@pytest.mark.parametrize("name", ["class", "a-b", "copy", "schema", "lambda", "ﬁsh", "größe", "model_dump", "self"])
def test_a_field_of_any_name(name: str) -> None:
    """Names that are no names in source, or are something else in pydantic, are fields all the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pydantic says that a field stands before a method
        fields: Any = {name: (str, ...), "song_id": (int, 7)}
        model = create_model("Odd", __config__=ConfigDict(protected_namespaces=()), **fields)
    maker = row_maker(RowType.of(model), (Column(name, PgType("text")),))
    assert maker.trusted
    (one,) = maker.many([("x",)])
    assert one.__dict__ == model.model_validate({name: "x"}).__dict__ == {name: "x", "song_id": 7}
    assert one.model_fields_set == {name}


def test_a_model_of_many_fields() -> None:
    """More fields than instances share keys for are in their order all the same."""
    fields: Any = {f"field_{number}": (int, ...) for number in range(100)}
    model = create_model("Wide", **fields)
    maker = row_maker(RowType.of(model), tuple(Column(name, PgType("int4")) for name in fields))
    rows = [tuple(range(start, start + 100)) for start in range(5)]
    made_of_rows = maker.many(rows)
    assert [tuple(one.__dict__.values()) for one in made_of_rows] == rows
    assert [tuple(one.__dict__) for one in made_of_rows] == [tuple(fields)] * 5


# Dataclasses and named tuples.


@dataclasses.dataclass
class Plain:
    """A dataclass whose fields may be set."""

    song_id: int
    note: str | None = dataclasses.field(kw_only=True)
    title: str


@dataclasses.dataclass(frozen=True)
class Fixed:
    """A frozen dataclass."""

    song_id: int
    title: str
    note: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Tight:
    """A frozen dataclass with slots, which only its own ``__init__`` can fill."""

    song_id: int
    title: str
    note: str | None


@dataclasses.dataclass(slots=True)
class Slots:
    """A dataclass with slots."""

    song_id: int
    title: str
    note: str | None


@dataclasses.dataclass
class Default:
    """A dataclass with a field that no column fills."""

    song_id: int
    title: str
    note: str | None
    tags: list[str] = dataclasses.field(default_factory=list)


class Descriptor:
    """Keeps what is set under another name."""

    def __set__(self, instance: Any, value: str) -> None:
        vars(instance)["kept"] = value.upper()

    def __get__(self, instance: Any, owner: type) -> Any:
        return "" if instance is None else vars(instance)["kept"]


@dataclasses.dataclass
class Described:
    """A dataclass with a descriptor for a field, as the documentation of dataclasses shows it."""

    song_id: int
    title: Any = Descriptor()
    note: str | None = None


@dataclasses.dataclass(frozen=True)
class FixedDescribed:
    """The same, frozen."""

    song_id: int
    title: Any = Descriptor()
    note: str | None = None


class Tuple(NamedTuple):
    """A named tuple with a default."""

    song_id: int
    title: str
    note: str | None = "none"


CLASSES = [Plain, Fixed, Tight, Slots, Default, Described, FixedDescribed, Tuple]


@pytest.mark.parametrize("cls", CLASSES)
def test_a_class_is_what_its_own_init_makes(cls: Any) -> None:
    """Whichever way it is made, it is equal, of the class, with its attributes in their order."""
    (one,) = made(cls, (1, "So What", "x"))
    other = cls(song_id=1, title="So What", note="x")
    assert type(one) is cls
    assert one == other
    assert repr(one) == repr(other)
    if hasattr(other, "__dict__"):
        assert list(vars(one).items()) == list(vars(other).items())
    for copied in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert copied == other
        assert type(copied) is cls


def test_a_frozen_dataclass_stays_frozen() -> None:
    """It refuses a change and has the hash of its values."""
    (one,) = made(Fixed, (1, "So What", None))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.title = "other"
    assert hash(one) == hash(Fixed(1, "So What", None))
    assert dataclasses.replace(one, title="other") == Fixed(1, "other", None)


def test_each_has_its_own_default() -> None:
    """A list of a field that no column fills is each instance's own."""
    first, second = made(Default, (1, "a", None), (2, "b", None))
    first.tags.append("x")
    assert second.tags == []
