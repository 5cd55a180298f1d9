"""What ``load`` refuses: Protocols that cannot be queries, and Protocols that disagree with their file."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypedDict, TypeVar

import psycopg
import pytest
from pydantic import BaseModel
from typing_extensions import TypeAliasType

import sqlkit
from sqlkit import Affected, AsyncDatabase, AsyncExecutor, AsyncRows, ContractError, Database, Executor, One, Rows
from sqlkit.contracts.contract import Cardinality, Contract, read_contracts
from tests.songbook import Mood, NewSong, Song, write_sql

if TYPE_CHECKING:
    from decimal import Decimal as Unknown

T = TypeVar("T")


class Point(NamedTuple):
    """Two columns."""

    x: int
    y: int


class Named(TypedDict):
    """One column."""

    title: str


@dataclass
class Pair:
    """Two columns."""

    x: int
    y: int


Alias = TypeAliasType("Alias", list[Song])
Db = TypeAliasType("Db", Executor)


def contract(interface: type) -> Contract:
    """Return the contract of a Protocol's one method."""
    (found,) = read_contracts(interface)
    return found


def refused(interface: type, path: Path) -> str:
    """Return what load says against a Protocol."""
    with pytest.raises(ContractError) as caught:
        sqlkit.load(interface, path)
    return str(caught.value)


def place(method: Any) -> str:
    """Return file and line of a method, with which an error about it begins."""
    name = ".".join(method.__qualname__.split(".")[-2:])
    return f"{method.__code__.co_filename}:{method.__code__.co_firstlineno}: {name}"


class Returns:
    """Protocols of one method each, by what it returns."""

    class Model(Protocol):
        """Exactly one."""

        def get(self, db: Executor) -> Song: ...

    class Optional(Protocol):
        """None or one."""

        def get(self, db: Executor) -> Song | None: ...

    class All(Protocol):
        """All."""

        def get(self, db: Executor) -> list[Song]: ...

    class Stream(Protocol):
        """A stream."""

        def get(self, db: Executor) -> Rows[Song]: ...

    class AsyncStream(Protocol):
        """A stream on asyncio."""

        def get(self, db: AsyncExecutor) -> AsyncRows[Song]: ...

    class Scalar(Protocol):
        """One value."""

        def get(self, db: Executor) -> int: ...

    class OptionalScalar(Protocol):
        """A value or none."""

        def get(self, db: Executor) -> int | None: ...

    class Scalars(Protocol):
        """One value of each row."""

        def get(self, db: Executor) -> list[str]: ...

    class Array(Protocol):
        """One array."""

        def get(self, db: Executor) -> One[list[str]]: ...

    class Nullable(Protocol):
        """One value that may be NULL."""

        def get(self, db: Executor) -> One[int | None]: ...

    class Tuple(Protocol):
        """A tuple."""

        def get(self, db: Executor) -> tuple[int, str]: ...

    class Tuples(Protocol):
        """Named tuples."""

        def get(self, db: Executor) -> list[Point]: ...

    class Dataclass(Protocol):
        """A dataclass or none."""

        def get(self, db: Executor) -> Pair | None: ...

    class Dict(Protocol):
        """A stream of typed dicts."""

        def get(self, db: Executor) -> Rows[Named]: ...

    class Number(Protocol):
        """How many."""

        def get(self, db: Executor) -> Affected: ...

    class Nothing(Protocol):
        """Nothing."""

        def get(self, db: Executor) -> None: ...

    class Alias(Protocol):
        """What an alias stands for."""

        def get(self, db: Db) -> Alias: ...


@pytest.mark.parametrize(
    ("interface", "cardinality", "row", "shape"),
    [
        (Returns.Model, Cardinality.ONE, Song, "model"),
        (Returns.Optional, Cardinality.OPTIONAL, Song, "model"),
        (Returns.All, Cardinality.ALL, Song, "model"),
        (Returns.Stream, Cardinality.STREAM, Song, "model"),
        (Returns.AsyncStream, Cardinality.STREAM, Song, "model"),
        (Returns.Scalar, Cardinality.ONE, int, "value"),
        (Returns.OptionalScalar, Cardinality.OPTIONAL, int | None, "value"),
        (Returns.Scalars, Cardinality.ALL, str, "value"),
        (Returns.Array, Cardinality.ONE, list[str], "value"),
        (Returns.Nullable, Cardinality.ONE, int | None, "value"),
        (Returns.Tuple, Cardinality.ONE, tuple[int, str], "tuple"),
        (Returns.Tuples, Cardinality.ALL, Point, "named tuple"),
        (Returns.Dataclass, Cardinality.OPTIONAL, Pair, "dataclass"),
        (Returns.Dict, Cardinality.STREAM, Named, "typed dict"),
        (Returns.Alias, Cardinality.ALL, Song, "model"),
    ],
)
def test_return_annotation_says_how_many_rows_of_what(
    interface: type, cardinality: Cardinality, row: Any, shape: str
) -> None:
    """Every row of the design's table is read as it says."""
    read = contract(interface)
    assert read.row is not None
    assert (read.cardinality, read.row.annotation, read.row.shape) == (cardinality, row, shape)


@pytest.mark.parametrize(
    ("interface", "cardinality"), [(Returns.Number, Cardinality.AFFECTED), (Returns.Nothing, Cardinality.NOTHING)]
)
def test_affected_and_none_return_no_rows(interface: type, cardinality: Cardinality) -> None:
    """Affected and None have no row type."""
    read = contract(interface)
    assert (read.cardinality, read.row) == (cardinality, None)


class Bad:
    """Protocols of one method each that cannot be queries."""

    class Silent(Protocol):
        """No return annotation."""

        def get(self, db: Executor): ...  # type: ignore[no-untyped-def]

    class BareList(Protocol):
        """A list of what."""

        def get(self, db: Executor) -> list: ...  # type: ignore[type-arg]

    class BareRows(Protocol):
        """A stream of what."""

        def get(self, db: Executor) -> Rows: ...  # type: ignore[type-arg]

    class Anything(Protocol):
        """Anything."""

        def get(self, db: Executor) -> Any: ...

    class Lazy(Protocol):
        """An iterator."""

        def get(self, db: Executor) -> Iterator[Song]: ...

    class Sequenced(Protocol):
        """A sequence."""

        def get(self, db: Executor) -> Sequence[Song]: ...

    class ListOrNone(Protocol):
        """Rows or None."""

        def get(self, db: Executor) -> list[Song] | None: ...

    class Unmappable(Protocol):
        """A class that pydantic does not know."""

        def get(self, db: Executor) -> psycopg.Connection[Any]: ...

    class OpenTuple(Protocol):
        """A tuple of any length."""

        def get(self, db: Executor) -> tuple[int, ...]: ...

    class Variable(Protocol):
        """A type variable."""

        def get(self, db: Executor, like: T) -> T: ...

    class MaybeAffected(Protocol):
        """How many, or None."""

        def get(self, db: Executor) -> Affected | None: ...

    class Deaf(Protocol):
        """No executor."""

        def get(self) -> int: ...

    class WrongExecutor(Protocol):
        """Something else first."""

        def get(self, song_id: int) -> int: ...

    class SyncExecutorAwaited(Protocol):
        """A coroutine on a sync executor."""

        async def get(self, db: Executor) -> int: ...

    class SyncConnectionAwaited(Protocol):
        """A coroutine on a sync connection."""

        async def get(self, db: psycopg.Connection[Any]) -> int: ...

    class AsyncExecutorCalled(Protocol):
        """A plain method on an async executor."""

        def get(self, db: AsyncExecutor) -> int: ...

    class AsyncDatabaseCalled(Protocol):
        """A plain method on an async database."""

        def get(self, db: AsyncDatabase) -> int: ...

    class AwaitedStream(Protocol):
        """A stream that is awaited."""

        async def get(self, db: AsyncExecutor) -> AsyncRows[Song]: ...

    class SyncStreamOnAsync(Protocol):
        """A sync stream on an async executor."""

        def get(self, db: AsyncExecutor) -> Rows[Song]: ...

    class AsyncStreamOnSync(Protocol):
        """An async stream on a sync executor."""

        def get(self, db: Executor) -> AsyncRows[Song]: ...

    class Stars(Protocol):
        """Arguments without names."""

        def get(self, db: Executor, *ids: int) -> int: ...

    class DoubleStars(Protocol):
        """Arguments of any name."""

        def get(self, db: Executor, **filters: int) -> int: ...

    class TypeCheckingOnly(Protocol):
        """A name that only type checkers know."""

        def get(self, db: Executor) -> Unknown: ...

    class Unreadable(Protocol):
        """An annotation that is none."""

        def get(self, db: Executor) -> "list[": ...  # type: ignore[valid-type]  # noqa: F722


@pytest.mark.parametrize(
    ("interface", "reason"),
    [
        (Bad.Silent, "say what it returns: -> Model | None, list[Model], Affected, None, ..."),
        (Bad.BareList, "list cannot be mapped: say of what: list[...]"),
        (Bad.BareRows, "Rows cannot be mapped: say of what: Rows[Model]"),
        (Bad.Anything, "Any cannot be mapped: say what it returns: a model, a scalar type, Affected, None"),
        (Bad.Lazy, "rows are list[...], or Rows[...] and AsyncRows[...] for a stream"),
        (Bad.Sequenced, "rows are list[...], or Rows[...] and AsyncRows[...] for a stream"),
        (Bad.ListOrNone, "rows are list[...], empty for none; an array that may be NULL is One[list[...] | None]"),
        (Bad.Unmappable, "cannot be mapped: pydantic has no schema for"),
        (Bad.OpenTuple, "a tuple names the type of each column: tuple[int, str]"),
        (Bad.Variable, "a type variable says nothing at run time: declare the method with the type itself"),
        (Bad.MaybeAffected, "cannot be mapped"),
        (Bad.Deaf, "the first parameter behind self is the executor: db: Executor"),
        (Bad.WrongExecutor, "the first parameter is the executor: db: Executor, or db: AsyncExecutor"),
        (Bad.SyncExecutorAwaited, "an asynchronous query takes db: AsyncExecutor"),
        (Bad.SyncConnectionAwaited, "an asynchronous query takes db: AsyncExecutor"),
        (Bad.AsyncExecutorCalled, "a query on an AsyncExecutor is declared with async def (or returns AsyncRows)"),
        (Bad.AsyncDatabaseCalled, "a query on an AsyncExecutor is declared with async def (or returns AsyncRows)"),
        (Bad.AwaitedStream, "a stream is declared with plain def, for it is iterated, not awaited"),
        (Bad.SyncStreamOnAsync, "a query on an AsyncExecutor is declared with async def (or returns AsyncRows)"),
        (Bad.AsyncStreamOnSync, "an asynchronous query takes db: AsyncExecutor"),
        (Bad.Stars, "*ids is no parameter of a query: name each one"),
        (Bad.DoubleStars, "**filters is no parameter of a query: name each one"),
        (Bad.TypeCheckingOnly, "the annotation names 'Unknown', which is not known when load runs"),
        (Bad.Unreadable, "an annotation cannot be read"),
    ],
)
def test_method_that_cannot_be_a_query_is_refused(interface: Any, reason: str, tmp_path: Path) -> None:
    """A signature that says nothing, or what cannot be, is a ContractError that begins with the method's place."""
    message = refused(interface, write_sql(tmp_path, "-- name: get\nselect 1"))
    assert message.startswith(place(interface.get))
    assert reason in message


class Plain:
    """No Protocol."""

    def get(self, db: Executor) -> int:
        """Return 1."""
        return 1


class Empty(Protocol):
    """No methods."""


class WithAttribute(Protocol):
    """An attribute."""

    name: str

    def get(self, db: Executor) -> int: ...


class WithProperty(Protocol):
    """A property."""

    @property
    def name(self) -> str: ...


class WithStatic(Protocol):
    """A static method."""

    @staticmethod
    def get(db: Executor) -> int: ...


class WithClassMethod(Protocol):
    """A class method."""

    @classmethod
    def get(cls, db: Executor) -> int: ...


@pytest.mark.parametrize(
    ("interface", "message"),
    [
        (Plain, "Plain: load takes a typing.Protocol: class Plain(Protocol)"),
        (Empty, "Empty: the Protocol has no methods, so there is nothing to load"),
        (WithAttribute, "WithAttribute.name: a Protocol for load has methods only, no attributes"),
        (WithProperty, "WithProperty.name: a query is a plain method, not a property"),
        (WithStatic, "WithStatic.get: a query is a plain method, not a staticmethod"),
        (WithClassMethod, "WithClassMethod.get: a query is a plain method, not a classmethod"),
    ],
)
def test_class_that_is_no_set_of_queries_is_refused(interface: type, message: str, tmp_path: Path) -> None:
    """What is no Protocol of plain methods is a ContractError that says what it is."""
    assert refused(interface, write_sql(tmp_path, "-- name: get\nselect 1")) == message


class Disagree:
    """Protocols that disagree with the file of the test below."""

    class NoStatement(Protocol):
        """A statement that is not there."""

        def get_sogn(self, db: Executor, song_id: int) -> int: ...

    class FarStatement(Protocol):
        """A statement that is not there, nor one like it."""

        def zzz(self, db: Executor) -> int: ...

    class Surplus(Protocol):
        """A parameter that the statement lacks."""

        def get_song(self, db: Executor, song_idd: int) -> int: ...

    class SurplusList(Protocol):
        """A batch that is no Iterable."""

        def get_song(self, db: Executor, song_id: int, songs: list[NewSong]) -> int: ...

    class Lacking(Protocol):
        """A parameter that the method lacks."""

        def find(self, db: Executor, title: str) -> int: ...

    class LackingPath(Protocol):
        """An attribute that the parameter's type lacks."""

        def add(self, db: Executor, song: Song) -> int: ...

    class ChoiceMissing(Protocol):
        """No parameter for a choice."""

        def ordered(self, db: Executor) -> list[int]: ...

    class ChoiceDiffers(Protocol):
        """Other labels."""

        def ordered(self, db: Executor, order: Literal["title", "oldest"]) -> list[int]: ...

    class ChoiceIsText(Protocol):
        """Any label."""

        def ordered(self, db: Executor, order: str) -> list[int]: ...

    class ChoiceDefault(Protocol):
        """A default that is no label."""

        def ordered(
            self,
            db: Executor,
            order: Literal["title", "newest"] = "x",  # type: ignore[assignment]
        ) -> list[int]: ...

    class OptionalWithout(Protocol):
        """An optional parameter without a default."""

        def filtered(self, db: Executor, title: str) -> list[int]: ...

    class OptionalOther(Protocol):
        """An optional parameter with another default."""

        def filtered(self, db: Executor, title: str = "x") -> list[int]: ...

    class UnsetRequired(Protocol):
        """UNSET where a value is needed."""

        def get_song(self, db: Executor, song_id: int | sqlkit.Unset = sqlkit.UNSET) -> int: ...

    class TwoBatches(Protocol):
        """Two batches."""

        def put(self, db: Executor, songs: Iterable[NewSong], others: Iterable[NewSong]) -> None: ...

    class AsyncItems(Protocol):
        """Items that a sync query cannot await."""

        def put(self, db: Executor, songs: AsyncIterable[NewSong]) -> None: ...

    class BatchOfOne(Protocol):
        """A batch with one result."""

        def put(self, db: Executor, songs: Iterable[NewSong]) -> Song: ...

    class BatchStream(Protocol):
        """A batch as a stream."""

        def put(self, db: Executor, songs: Iterable[NewSong]) -> Rows[Song]: ...

    class ItemLacks(Protocol):
        """Items without a field that the statement wants."""

        def put(self, db: Executor, songs: Iterable[Point]) -> None: ...

    class ItemIsPlain(Protocol):
        """Items without fields."""

        def put(self, db: Executor, songs: Iterable[str]) -> None: ...

    class OptionalBatch(Protocol):
        """A batch with optional lines."""

        def filtered(self, db: Executor, songs: Iterable[NewSong]) -> None: ...

    class CopyNothing(Protocol):
        """A copy without rows."""

        def copied(self, db: Executor) -> Affected: ...

    class CopyList(Protocol):
        """A copy from a list."""

        def copied(self, db: Executor, songs: list[NewSong]) -> Affected: ...

    class CopyReturning(Protocol):
        """A copy that returns rows."""

        def copied(self, db: Executor, songs: Iterable[NewSong]) -> list[int]: ...

    class CopyLacks(Protocol):
        """A copy of items that lack a column."""

        def copied(self, db: Executor, songs: Iterable[Named]) -> Affected: ...

    class CopyUnnamed(Protocol):
        """A copy without columns."""

        def copied_whole(self, db: Executor, songs: Iterable[NewSong]) -> Affected: ...


FILE = """
-- name: get_song
select 1 where :song_id > 0;

-- name: find
select 1 where :titel = 'x';

-- name: add
insert into songs (mood) values (:song.moods) returning 1;

-- name: ordered
select 1
order by 1 --| order: title
-- order by 1 desc --| order: newest
;

-- name: filtered
select 1 where true
    and title = :title --? optional
;

-- name: put
insert into songs (title, mood) values (:title, :mood);

-- name: copied
copy songs (title, mood) from stdin;

-- name: copied_whole
copy songs from stdin;
"""


@pytest.mark.parametrize(
    ("interface", "line", "reason"),
    [
        (Disagree.NoStatement, None, "has no statement of this name, did you mean get_song?"),
        (Disagree.FarStatement, None, "has no statement of this name (it has get_song, find, add, ordered, "),
        (Disagree.Surplus, 2, "the statement has no :song_idd, did you mean :song_id?"),
        (Disagree.SurplusList, 2, "the statement has no :songs; if 'songs' is a batch, annotate it Iterable[...]"),
        (Disagree.Lacking, 5, "the statement has no :title, did you mean :titel?"),
        (Disagree.LackingPath, 8, "the statement wants :song.moods, which Song (mood, song_id, tempo, title) has not"),
        (Disagree.ChoiceMissing, 11, "the statement has the choice 'order': add order: Literal['title', 'newest']"),
        (Disagree.ChoiceDiffers, 11, "'order' is Literal['title', 'oldest'], the file has Literal['title', 'newest']"),
        (Disagree.ChoiceIsText, 11, "'order' is str, the file has Literal['title', 'newest']"),
        (Disagree.ChoiceDefault, 11, "the default of 'order' is none of 'title', 'newest'"),
        (Disagree.OptionalWithout, 17, "'title' is optional at line 19: give it the default None, or sqlkit.UNSET"),
        (Disagree.OptionalOther, 17, "'title' is optional at line 19: give it the default None, or sqlkit.UNSET"),
        (Disagree.UnsetRequired, 2, "'song_id' is not optional in the statement, so UNSET is no default for it"),
        (Disagree.TwoBatches, 22, "'songs' and 'others' cannot both be the batch"),
        (Disagree.AsyncItems, 22, "'songs' is an AsyncIterable, which needs an asynchronous query"),
        (Disagree.BatchOfOne, 22, "a batch returns list[...], Affected or None: one result for each item"),
        (Disagree.BatchStream, 22, "a batch returns list[...], Affected or None: one result for each item"),
        (
            Disagree.ItemLacks,
            22,
            "the statement wants :title, which is neither a parameter nor a field of 'songs', whose items are Point",
        ),
        (Disagree.ItemIsPlain, 22, "the items of 'songs' have no fields: a batch takes models, dataclasses, mappings"),
        (Disagree.OptionalBatch, 17, "a batch takes no optional lines: each item runs the same text"),
        (Disagree.CopyNothing, 25, "copy ... from stdin takes a parameter Iterable[...] with the rows"),
        (Disagree.CopyList, 25, "copy ... from stdin takes a parameter Iterable[...] with the rows"),
        (Disagree.CopyReturning, 25, "copy returns Affected or None"),
        (Disagree.CopyLacks, 25, "the statement wants :mood, which is neither a parameter nor a field of 'songs'"),
        (Disagree.CopyUnnamed, 28, "name the columns: copy songs (...) from stdin"),
    ],
)
def test_disagreement_of_protocol_and_file_is_refused(
    interface: Any, line: int | None, reason: str, tmp_path: Path
) -> None:
    """What Protocol and file disagree on is a ContractError with the places of both."""
    path = write_sql(tmp_path, FILE)
    (method,) = [member for name, member in vars(interface).items() if not name.startswith("_")]
    message = refused(interface, path)
    assert message.startswith(place(method))
    assert reason in message
    assert f"{path}:{line}" in message if line else str(path) in message


def test_missing_parameter_is_named(tmp_path: Path) -> None:
    """A parameter that the method lacks is named, with the one that looks like it."""

    class Lacking(Protocol):
        def find(self, db: Executor, *, title: str, songs_id: int) -> int: ...

    path = write_sql(tmp_path, "-- name: find\nselect 1 where :title = 'x' and :song_id = 1 and :songs_id = 2")
    assert "the statement wants :song_id, and the method has no such parameter, did you mean 'songs_id'?" in refused(
        Lacking, path
    )


def test_no_method_is_left_out(tmp_path: Path) -> None:
    """One method that fits does not excuse another that does not."""

    class Two(Protocol):
        def one(self, db: Executor) -> int: ...
        def two(self, db: Executor) -> int: ...

    assert re.search(
        r"Two\.two: .* has no statement of this name", refused(Two, write_sql(tmp_path, "-- name: one\nselect 1"))
    )


def test_local_classes_are_known_where_load_is_called(tmp_path: Path) -> None:
    """A Protocol and a model that are defined in a function can be loaded there."""

    class Local(BaseModel):
        x: int

    class Queries(Protocol):
        def get(self, db: Executor) -> list[Local]: ...

    queries: Queries = sqlkit.load(Queries, write_sql(tmp_path, "-- name: get\nselect 1 as x"))
    assert queries.get.sqlkit_contract.row.annotation is Local  # type: ignore[attr-defined]


def test_class_of_the_caller_does_not_replace_that_of_the_protocol(tmp_path: Path) -> None:
    """A name means what it means in the Protocol's module, whatever load's caller calls so."""

    class Song(BaseModel):  # not the one of Returns.All
        other: int

    queries = sqlkit.load(Returns.All, write_sql(tmp_path, "-- name: get\nselect 1"))
    assert queries.get.sqlkit_contract.row.annotation is not Song


class Shadowing(Protocol):
    """A query may be named as a type is that a later one returns."""

    def list(self, db: Executor) -> Affected: ...
    def get(self, db: Executor) -> list[int]: ...  # type: ignore[valid-type]


def test_query_that_is_named_like_a_type_does_not_hide_it(tmp_path: Path) -> None:
    """In an annotation, list is Python's list though a query is called so."""
    sqlkit.load(Shadowing, write_sql(tmp_path, "-- name: list\nselect 1;\n-- name: get\nselect 1"))


class Base(Protocol):
    """What another Protocol inherits."""

    def count(self, db: Executor) -> int: ...
    def get(self, db: Executor) -> int: ...


class Derived(Base, Protocol):
    """Adds a query and changes another."""

    def get(self, db: Executor) -> int | None: ...  # type: ignore[override]
    def other(self, db: Executor) -> str: ...


def test_protocols_inherit() -> None:
    """The methods of the bases are there, each as the nearest class declares it."""
    read = {one.name: one for one in read_contracts(Derived)}
    assert set(read) == {"count", "get", "other"}
    assert read["get"].cardinality is Cardinality.OPTIONAL


@pytest.mark.parametrize(
    "executor", [Executor, Database, psycopg.Connection[Any], Database | psycopg.Connection[Any]], ids=str
)
def test_executor_may_be_any_that_lends_or_connects(executor: Any) -> None:
    """The first parameter may be narrower than Executor."""

    def get(self: Any, db: Any) -> int: ...  # type: ignore[empty-body]

    get.__annotations__ = {"db": executor, "return": int}
    interface = type(Protocol)("Q", (Protocol,), {"get": get})  # type: ignore[misc]
    assert contract(interface).asynchronous is False


class Boxed(BaseModel, Generic[T]):
    """A generic model."""

    value: T


def test_generic_model_with_its_argument_is_a_model() -> None:
    """``Boxed[int]`` is a row type as any model is."""

    class Q(Protocol):
        def get(self, db: Executor) -> list[Boxed[int]]: ...

    (read,) = read_contracts(Q, locals())
    assert read.row is not None
    assert read.row.shape == "model"


def test_enum_is_a_scalar() -> None:
    """An Enum reads one column."""

    class Q(Protocol):
        def get(self, db: Executor) -> Mood | None: ...

    (read,) = read_contracts(Q, locals())
    assert (read.cardinality, read.row and read.row.shape) == (Cardinality.OPTIONAL, "value")
