"""The methods that ``load`` makes: what they look like, how they are called, what a call's arguments choose."""

from __future__ import annotations

import dataclasses
import inspect
import linecache
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NotRequired, Protocol, TypedDict, runtime_checkable

import psycopg
import pytest
from pydantic import BaseModel

import sqlkit
from sqlkit import UNSET, Affected, ArgumentError, AsyncExecutor, Executor, One, Rows, Unset
from tests import songbook
from tests.songbook import AsyncSongs, Changes, Mood, NewSong, Song, Songs, fill, kept, prepared_statements, write_sql

book, book_dsn, module_database = songbook.book, songbook.book_dsn, songbook.module_database
book_path, songs, async_songs = songbook.book_path, songbook.songs, songbook.async_songs

Connection = psycopg.Connection[Any]


def parameters(function: Any) -> list[inspect.Parameter]:
    """Return the parameters of a function's signature."""
    return list(inspect.signature(function).parameters.values())


def methods(interface: type) -> list[str]:
    """Return the names of a Protocol's methods."""
    return [name for name, member in vars(interface).items() if inspect.isfunction(member) and name[0] != "_"]


# What a method looks like.


@pytest.mark.parametrize("name", methods(Songs))
def test_method_has_the_signature_of_the_protocol(name: str, songs: Songs) -> None:
    """Parameters, kinds, defaults, annotations: all but self are the Protocol's own."""
    declared, made = getattr(Songs, name), getattr(songs, name)
    assert parameters(made) == parameters(declared)[1:]
    assert inspect.signature(made).return_annotation == inspect.signature(declared).return_annotation


@pytest.mark.parametrize("name", methods(AsyncSongs))
def test_async_method_has_the_signature_of_the_protocol(name: str, async_songs: AsyncSongs) -> None:
    """An asynchronous method too, and it is a coroutine function where the Protocol's is."""
    declared, made = getattr(AsyncSongs, name), getattr(async_songs, name)
    assert parameters(made) == parameters(declared)[1:]
    assert inspect.iscoroutinefunction(made) == inspect.iscoroutinefunction(declared)


class Kinds(Protocol):
    """Every kind of parameter."""

    def pick(self, db: Executor, /, a: int, b: int = 2, *, c: int = 3, d: int) -> tuple[int, int, int, int]:
        """Pick four."""

    def first(self, db: Executor, a: int, /, b: int) -> tuple[int, int]: ...


KINDS = """
-- name: pick
-- Not the Protocol's words.
select :a::int, :b::int, :c::int, :d::int;

-- name: first
-- The SQL's words.
select :a::int, :b::int;
"""


@pytest.fixture
def kinds(tmp_path: Path) -> Kinds:
    """Give queries with every kind of parameter."""
    loaded: Kinds = sqlkit.load(Kinds, write_sql(tmp_path, KINDS))
    return loaded


def test_kinds_and_defaults_of_parameters_are_kept(kinds: Kinds, book: Connection) -> None:
    """Positional-only, keyword-only and defaults work as they are declared."""
    assert kinds.pick(book, 1, d=4) == (1, 2, 3, 4)
    assert kinds.pick(book, a=1, b=5, c=6, d=7) == (1, 5, 6, 7)
    assert kinds.first(book, 1, b=2) == (1, 2)
    assert parameters(kinds.pick) == parameters(Kinds.pick)[1:]
    assert parameters(kinds.first) == parameters(Kinds.first)[1:]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda q, conn: q.pick(conn, 1), r"Kinds\.pick\(\) missing 1 required keyword-only argument: 'd'"),
        (lambda q, conn: q.pick(conn, 1, 2, 3, d=4), r"Kinds\.pick\(\) takes from 2 to 3 positional arguments but 4"),
        (lambda q, conn: q.pick(conn, 1, d=4, e=5), r"Kinds\.pick\(\) got an unexpected keyword argument 'e'"),
        (lambda q, conn: q.first(conn, a=1, b=2), r"Kinds\.first\(\) .*positional-only arguments passed as keyword"),
        (lambda q, conn: q.pick(db=conn, a=1, d=4), r"Kinds\.pick\(\) .*positional-only arguments passed as keyword"),
    ],
)
def test_wrong_argument_is_pythons_type_error(call: Any, message: str, kinds: Kinds, book: Connection) -> None:
    """What does not fit the signature is what Python says of any function."""
    with pytest.raises(TypeError, match=message):
        call(kinds, book)


class Twins(Protocol):
    """Two methods of one shape, the second with names that stand in the code of both."""

    def one(self, db: Executor, left: int, *, right: int) -> tuple[int, int]: ...
    def other(self, sqlkit_run: Executor, sqlkit_query: int, *, sqlkit_variant: int) -> tuple[int, int]: ...


def test_methods_of_one_shape_share_their_code_and_nothing_else(tmp_path: Path, book: Connection) -> None:
    """Each has its own names, whatever they are; the code behind them is compiled once."""
    text = """
    -- name: one
    select :left::int, :right::int;
    -- name: other
    select :sqlkit_query::int, :sqlkit_variant::int;
    """
    twins: Any = sqlkit.load(Twins, write_sql(tmp_path, text))
    assert twins.one(book, left=1, right=2) == (1, 2)
    assert twins.other(sqlkit_run=book, sqlkit_query=1, sqlkit_variant=2) == (1, 2)
    assert twins.one.__code__.co_code == twins.other.__code__.co_code
    with pytest.raises(TypeError, match="keyword-only argument: 'sqlkit_variant'"):
        twins.other(book, 1)
    with pytest.raises(TypeError, match="keyword-only argument: 'right'"):
        twins.one(book, 1)


def test_method_says_its_address(kinds: Kinds) -> None:
    """Name, qualified name and module are the Protocol's method's."""
    method: Any = kinds.pick
    assert (method.__name__, method.__qualname__, method.__module__) == ("pick", "Kinds.pick", Kinds.__module__)


def test_docstring_is_the_protocols_or_the_files(kinds: Kinds, songs: Songs) -> None:
    """The Protocol's docstring comes first, then the comment in the file."""
    assert kinds.pick.__doc__ == "Pick four."
    assert kinds.first.__doc__ == "The SQL's words."
    assert songs.count_songs.__doc__ is None


@runtime_checkable
class Counting(Protocol):
    """One query."""

    def count_songs(self, db: Executor) -> int:
        """Count the songs."""


class More(Counting, Protocol):
    """Inherits one query and adds another."""

    def get_title(self, db: Executor, song_id: int) -> str | None: ...


def test_loaded_object_is_an_instance_of_its_protocol(book_path: Path) -> None:
    """A runtime-checkable Protocol says yes, for it is implemented."""
    assert isinstance(sqlkit.load(Counting, book_path), Counting)


def test_inherited_methods_are_implemented(book_path: Path, book: Connection) -> None:
    """What a Protocol inherits is loaded from the same file."""
    more: More = sqlkit.load(More, book_path)
    fill(book, 2)
    assert (more.count_songs(book), more.get_title(book, 2)) == (2, "song 2")
    assert more.count_songs.__doc__ == "Count the songs."
    assert isinstance(more, Counting)


def test_traceback_shows_the_file_and_the_line(songs: Songs, book: Connection, book_path: Path) -> None:
    """A traceback through a query passes the .sql file, at the line of its name."""
    with pytest.raises(psycopg.Error) as caught:
        songs.get_song(book, song_id="x")  # type: ignore[arg-type]
    frames = [frame for frame in traceback.extract_tb(caught.tb) if frame.filename == str(book_path)]
    (frame,) = frames
    assert (frame.name, frame.line) == ("get_song", "-- name: get_song")
    assert linecache.getline(str(book_path), frame.lineno or 0).strip() == "-- name: get_song"


def test_driver_error_keeps_its_class_and_names_the_query(songs: Songs, book: Connection, book_path: Path) -> None:
    """``except psycopg.errors.UniqueViolation`` works, and a note says file, line and name."""
    songs.add_title(book, "Solar")
    with pytest.raises(psycopg.errors.UniqueViolation) as caught:
        songs.add_title(book, "Solar")
    line = book_path.read_text().splitlines().index("-- name: add_title") + 1
    assert caught.value.__notes__ == [f"{book_path}:{line}: add_title"]


class Awkward(Protocol):
    """Parameters that are named as sqlkit's own code might name things."""

    def get(
        self, query: Executor, run: int, variant: int, *, choose: int, item: int, read_path: int, db: int, conn: int
    ) -> list[int]: ...

    def put(self, items: Executor, item: Iterable[dict[str, int]], *, reader: int, batch: int) -> list[int]: ...


def test_parameter_may_have_any_name(tmp_path: Path, book: Connection) -> None:
    """No name of a parameter gets in the way of the method's own code."""
    path = write_sql(
        tmp_path,
        """
        -- name: get
        select unnest(array[:run, :variant, :choose, :item, :read_path, :db, :conn]::int[]);
        -- name: put
        select :x::int + :reader::int + :batch::int;
        """,
    )
    queries: Awkward = sqlkit.load(Awkward, path)
    assert queries.get(book, 1, 2, choose=3, item=4, read_path=5, db=6, conn=7) == [1, 2, 3, 4, 5, 6, 7]
    assert queries.put(book, [{"x": 1}, {"x": 2}], reader=10, batch=100) == [111, 112]


@pytest.mark.parametrize("wrong", [None, 3, "postgresql://", object()])
def test_executor_that_is_none_is_refused(wrong: Any, songs: Songs) -> None:
    """A first argument that is neither a connection nor a lender is a TypeError with the query's place."""
    with pytest.raises(TypeError, match=r"songs\.sql:\d+: count_songs: takes a psycopg Connection or a Database, not"):
        songs.count_songs(wrong)


# What comes back.


class Point(BaseModel):
    """Two numbers."""

    x: int
    y: int | None


class Table(Protocol):
    """Every row of the design's table."""

    def one(self, db: Executor, number: int) -> Point: ...
    def optional(self, db: Executor, number: int) -> Point | None: ...
    def all(self, db: Executor, number: int) -> list[Point]: ...
    def stream(self, db: Executor, number: int) -> Rows[Point]: ...
    def scalar(self, db: Executor, number: int) -> int: ...
    def scalar_or_none(self, db: Executor, number: int) -> int | None: ...
    def scalars(self, db: Executor, number: int) -> list[int]: ...
    def nullable(self, db: Executor, number: int) -> One[int | None]: ...
    def array(self, db: Executor, number: int) -> One[list[int]]: ...
    def pair(self, db: Executor, number: int) -> tuple[int, int | None]: ...
    def pairs(self, db: Executor, number: int) -> Rows[tuple[int, int | None]]: ...
    def mood(self, db: Executor, number: int) -> Mood | None: ...
    def affected(self, db: Executor, number: int) -> Affected: ...
    def nothing(self, db: Executor, number: int) -> None: ...


ROWS = "select i as x, nullif(i, 3) as y from generate_series(1, :number::int) as i"
NUMBERS = "select nullif(i, 3) from generate_series(1, :number::int) as i"
TABLE = "".join(
    f"-- name: {name}\n{text};\n"
    for name, text in {
        **dict.fromkeys(["one", "optional", "all", "stream", "pair", "pairs", "affected", "nothing"], ROWS),
        **dict.fromkeys(["scalar", "scalar_or_none", "scalars", "nullable"], NUMBERS),
        "array": "select array_agg(i) from generate_series(1, :number::int) as i",
        "mood": "select 'wild'::mood from generate_series(1, :number::int)",
    }.items()
)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Give a query for each row of the design's table."""
    loaded: Table = sqlkit.load(Table, write_sql(tmp_path, TABLE))
    return loaded


@pytest.mark.parametrize(
    ("name", "number", "answer"),
    [
        ("one", 1, Point(x=1, y=1)),
        ("optional", 0, None),
        ("optional", 1, Point(x=1, y=1)),
        ("all", 0, []),
        ("all", 3, [Point(x=1, y=1), Point(x=2, y=2), Point(x=3, y=None)]),
        ("scalar", 1, 1),
        ("scalar_or_none", 0, None),
        ("scalar_or_none", 1, 1),
        ("scalars", 2, [1, 2]),
        ("nullable", 1, 1),
        ("array", 3, [1, 2, 3]),
        ("pair", 1, (1, 1)),
        ("mood", 0, None),
        ("mood", 1, Mood.WILD),
        ("affected", 2, Affected(2)),
        ("affected", 0, Affected(0)),
        ("nothing", 2, None),
    ],
)
def test_answer_is_what_the_annotation_says(
    name: str, number: int, answer: Any, table: Table, book: Connection
) -> None:
    """Each kind of return annotation gives its kind of answer, at the first call and at later ones."""
    for _ in range(3):
        came = getattr(table, name)(book, number)
        assert (came, type(came)) == (answer, type(answer))


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("stream", [Point(x=1, y=1), Point(x=2, y=2), Point(x=3, y=None)]),
        ("pairs", [(1, 1), (2, 2), (3, None)]),
    ],
)
def test_stream_gives_each_row(name: str, answer: list[Any], table: Table, book: Connection) -> None:
    """A stream is an iterator over the rows."""
    assert list(getattr(table, name)(book, 3)) == answer


@pytest.mark.parametrize(
    ("name", "number", "error", "message"),
    [
        ("one", 0, sqlkit.NoRow, "no row came, one Point is promised"),
        ("one", 2, sqlkit.TooManyRows, "2 rows came, one Point is promised"),
        ("optional", 2, sqlkit.TooManyRows, "2 rows came, one Point is promised"),
        ("scalar", 0, sqlkit.NoRow, "no row came, one int is promised"),
        ("scalar", 2, sqlkit.TooManyRows, "2 rows came, one int is promised"),
        ("scalar_or_none", 2, sqlkit.TooManyRows, r"2 rows came, one int \| None is promised"),
        ("nullable", 0, sqlkit.NoRow, r"no row came, one int \| None is promised"),
        ("nullable", 2, sqlkit.TooManyRows, "2 rows came"),
        ("array", 0, sqlkit.RowError, "NULL"),
        ("pair", 2, sqlkit.TooManyRows, r"2 rows came, one tuple\[int, int \| None\] is promised"),
        ("scalars", 3, sqlkit.RowError, "NULL"),
        ("mood", 2, sqlkit.TooManyRows, "2 rows came"),
    ],
)
def test_broken_promise_is_an_error(
    name: str, number: int, error: type[Exception], message: str, table: Table, book: Connection, tmp_path: Path
) -> None:
    """Too few rows, too many, or a NULL where none is promised: an error that begins with the place."""
    for _ in range(2):
        with pytest.raises(error, match=message) as caught:
            getattr(table, name)(book, number)
        assert str(caught.value).startswith(f"{tmp_path}/songs.sql:")
        assert f": {name}: " in str(caught.value)


def test_optional_scalar_is_none_for_null_too(tmp_path: Path, book: Connection) -> None:
    """``int | None`` is None for no row and for NULL; ``One[int | None]`` tells them apart."""

    class Q(Protocol):
        def loose(self, db: Executor) -> int | None: ...
        def strict(self, db: Executor) -> One[int | None]: ...

    path = write_sql(tmp_path, "-- name: loose\nselect null::int;\n-- name: strict\nselect null::int")
    queries: Q = sqlkit.load(Q, path)
    assert queries.loose(book) is None
    assert queries.strict(book) is None


def test_statement_without_rows_cannot_promise_any(tmp_path: Path, book: Connection) -> None:
    """A model from a statement that returns no columns is a RowError, and nothing is written."""

    class Q(Protocol):
        def add(self, db: Executor) -> Song | None: ...

    queries: Q = sqlkit.load(Q, write_sql(tmp_path, "-- name: add\ninsert into songs (title) values ('x')"))
    with pytest.raises(sqlkit.RowError, match=r"add: the statement returns no rows, Song is promised"):
        queries.add(book)
    assert book.execute("select count(*) from songs").fetchone() == (0,)


# Optional lines and choices.


@pytest.mark.parametrize(
    ("arguments", "titles"),
    [
        ({}, ["song 1", "song 2", "song 3", "song 4"]),
        ({"title": "song 2"}, ["song 2"]),
        ({"slowest": 2, "fastest": 3}, ["song 2", "song 3"]),
        ({"slowest": 3, "fastest": 4, "title": "song 4"}, ["song 4"]),
        ({"order": "newest"}, ["song 4", "song 3", "song 2", "song 1"]),
        ({"order": "newest", "slowest": 2, "fastest": 3}, ["song 3", "song 2"]),
        ({"limit": 1}, ["song 1"]),
        ({"title": None, "limit": 2}, ["song 1", "song 2"]),
    ],
)
def test_line_stands_while_its_parameters_are_given(
    arguments: dict[str, Any], titles: list[str], songs: Songs, book: Connection
) -> None:
    """An optional line counts only where its parameters are given, a choice line where its label is passed."""
    fill(book, 4)
    assert [song.title for song in songs.search_songs(book, **arguments)] == titles


def test_half_an_optional_line_is_refused(songs: Songs, book: Connection, book_path: Path) -> None:
    """One of two parameters of a line would silently widen the answer."""
    line = next(i for i, text in enumerate(book_path.read_text().splitlines(), 1) if "tempo between" in text)
    message = f"the optional line {line} has slowest but not fastest: give all of them or none"
    with pytest.raises(ArgumentError, match=message):
        songs.search_songs(book, slowest=1)


@pytest.mark.parametrize("label", ["", "TITLE", "title; drop table songs", None, 1, ["title"], b"title"])
def test_unknown_label_is_refused(label: Any, songs: Songs, book: Connection) -> None:
    """Only the labels of the file are taken, and what came instead is not shown."""
    with pytest.raises(ArgumentError, match=r"songs\.sql:\d+: search_songs: order is one of: title, newest$"):
        songs.search_songs(book, order=label)


@pytest.mark.direct("it is about what a session keeps prepared")
def test_each_variant_is_a_prepared_statement_of_its_own(songs: Songs, book: Connection) -> None:
    """Every combination is prepared once, however often it is called."""
    calls: list[dict[str, Any]] = [
        {},
        {"title": "x"},
        {"slowest": 1, "fastest": 2},
        {"title": "x", "slowest": 1, "fastest": 2},
        {"order": "newest"},
        {"order": "newest", "title": "x"},
    ]
    for _ in range(3):
        for call in calls:
            songs.search_songs(book, **call)
    texts = prepared_statements(book)
    assert len(texts) == len(set(texts)) == len(calls)
    assert [("and title = $1" in text, "between" in text) for text in texts[:4]] == [
        (False, False),
        (True, False),
        (False, True),
        (True, True),
    ]
    assert "order by title" not in texts[4]


def test_one_text_is_one_prepared_statement_whatever_the_values(songs: Songs, book: Connection) -> None:
    """Integers of every size, None and strings share one statement, for its types come from the server."""
    for song_id in (1, 40_000, 2**31 - 1, -5):
        songs.get_song(book, song_id=song_id)
    for title in ("", "x" * 10_000, "ü"):
        songs.search_songs(book, title=title)
    for tempo in (None, 7, 2**20):
        songs.set_tempo(book, 1, tempo)
    assert len(prepared_statements(book)) == kept(3)


def test_none_is_a_value_where_unset_is_the_default(songs: Songs, book: Connection) -> None:
    """UNSET leaves the line out, None sets NULL."""
    fill(book, 1)
    songs.set_tempo(book, 1)
    assert book.execute("select tempo from songs").fetchone() == (1,)
    songs.set_tempo(book, 1, None)
    assert book.execute("select tempo from songs").fetchone() == (None,)
    songs.set_tempo(book, 1, 9)
    assert book.execute("select tempo from songs").fetchone() == (9,)


@pytest.mark.parametrize(
    ("changes", "title", "tempo"),
    [
        (Changes(), "song 1", 1),
        (Changes(title="new"), "new", 1),
        (Changes(tempo=5), "song 1", 5),
        (Changes(tempo=None), "song 1", None),
        (Changes(title="new", tempo=None), "new", None),
    ],
)
def test_partial_update_takes_the_fields_that_are_set(
    changes: Changes, title: str, tempo: int | None, songs: Songs, book: Connection
) -> None:
    """Of a model the fields that were set stand, None among them; the others stay as they are."""
    fill(book, 1)
    assert songs.update_song(book, 1, changes) == 1
    assert book.execute("select title, tempo from songs").fetchone() == (title, tempo)


@dataclasses.dataclass
class Partial:
    """Changes as a dataclass: UNSET is not given where None is a value."""

    title: str | None = None
    tempo: int | Unset | None = UNSET


class PartialDict(TypedDict):
    """Changes as a mapping: what is there is given."""

    title: NotRequired[str]
    tempo: NotRequired[int | None]


class Updates(Protocol):
    """Partial updates from other shapes."""

    def from_dataclass(self, db: Executor, changes: Partial) -> Affected: ...
    def from_mapping(self, db: Executor, changes: PartialDict) -> Affected: ...
    def from_object(self, db: Executor, changes: Any) -> Affected: ...


UPDATE = """
update songs set
    title = :changes.title,  --? optional
    tempo = :changes.tempo,  --? optional
    doc = doc
where true;
"""


@pytest.fixture
def updates(tmp_path: Path) -> Updates:
    """Give partial updates from several shapes."""
    text = "".join(f"-- name: {name}{UPDATE}" for name in ("from_dataclass", "from_mapping", "from_object"))
    loaded: Updates = sqlkit.load(Updates, write_sql(tmp_path, text))
    return loaded


@pytest.mark.parametrize(
    ("name", "changes", "title", "tempo"),
    [
        ("from_dataclass", Partial(), "song 1", 1),
        ("from_dataclass", Partial(title="new"), "new", 1),
        ("from_dataclass", Partial(tempo=None), "song 1", None),
        ("from_mapping", {}, "song 1", 1),
        ("from_mapping", {"tempo": None}, "song 1", None),
        ("from_mapping", {"title": "new", "tempo": 3}, "new", 3),
        ("from_object", Changes(tempo=None), "song 1", None),
        ("from_object", {"title": "new"}, "new", 1),
        ("from_object", Partial(tempo=4), "song 1", 4),
    ],
)
def test_partial_update_from_other_shapes(
    name: str, changes: Any, title: str, tempo: int | None, updates: Updates, book: Connection
) -> None:
    """A dataclass gives what differs from its absent default, a mapping the keys that it has."""
    fill(book, 1)
    getattr(updates, name)(book, changes)
    assert book.execute("select title, tempo from songs").fetchone() == (title, tempo)


class Blocks(Protocol):
    """An optional block."""

    def find(self, db: Executor, *, mood: Mood, tempo: int | None = None, title: str | None = None) -> list[str]: ...


BLOCKS = """
-- name: find
select title
from songs
where
    mood = :mood
    --? optional {
    and (
        tempo = :tempo
        or title = :title
    )
    --? }
order by title;
"""


def test_block_stands_or_leaves_whole(tmp_path: Path, book: Connection) -> None:
    """The lines between the braces are one: all of their parameters are given, or none."""
    queries: Blocks = sqlkit.load(Blocks, write_sql(tmp_path, BLOCKS))
    fill(book, 3)
    assert queries.find(book, mood=Mood.CALM) == ["song 1", "song 2", "song 3"]
    assert queries.find(book, mood=Mood.CALM, tempo=1, title="song 3") == ["song 1", "song 3"]
    with pytest.raises(ArgumentError, match="the optional line 7 has tempo but not title"):
        queries.find(book, mood=Mood.CALM, tempo=1)


def test_values_never_show_in_messages_of_sqlkit(songs: Songs, book: Connection) -> None:
    """What is given for a parameter is a secret to every message."""
    with pytest.raises(ArgumentError) as caught:
        songs.search_songs(book, slowest="SECRET")  # type: ignore[arg-type]
    assert "SECRET" not in "".join(traceback.format_exception_only(caught.value))


def test_load_reads_a_path_of_either_kind(book_path: Path) -> None:
    """A path may be a string."""
    assert sqlkit.load(Counting, str(book_path)).count_songs.__name__ == "count_songs"


def test_missing_file_is_an_error_of_load(tmp_path: Path) -> None:
    """A file that is not there is a SqlFileError when the module is imported."""
    with pytest.raises(sqlkit.SqlFileError, match=r"none\.sql:1:1: no such file"):
        sqlkit.load(Counting, tmp_path / "none.sql")


class Validated(BaseModel):
    """A model whose validation would not change what comes."""

    x: int


def test_validate_always_switches_trust_off(tmp_path: Path, book: Connection) -> None:
    """With ``validate="always"`` pydantic sees every row."""

    class Q(Protocol):
        def get(self, db: Executor) -> Validated: ...

    path = write_sql(tmp_path, "-- name: get\nselect 1 as x")
    trusted, validated = sqlkit.load(Q, path), sqlkit.load(Q, path, validate="always")
    assert trusted.get(book) == validated.get(book) == Validated(x=1)
    assert validated.get.sqlkit_contract.row.validate
    assert not trusted.get.sqlkit_contract.row.validate


def test_double_can_stand_in_for_a_protocol() -> None:
    """A test's own class satisfies the Protocol without a database."""

    class Double:
        def count_songs(self, db: Executor) -> int:
            return 7

    double: Counting = Double()
    assert isinstance(double, Counting)


def test_new_song_and_async_protocols_are_the_same_file(book_path: Path) -> None:
    """A sync and an async Protocol read one file."""

    class Awaiting(Protocol):
        async def count_songs(self, db: AsyncExecutor) -> int: ...

    assert inspect.iscoroutinefunction(sqlkit.load(Awaiting, book_path).count_songs)
    assert NewSong(title="x").mood is Mood.CALM
