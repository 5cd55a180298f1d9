"""What ``sqlkit generate`` writes for statements and a schema: models, parameters, cardinalities, errors."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sqlkit.errors import ConfigurationError, SqlFileError
from sqlkit.generating.generate import generate
from sqlkit.generating.placing import layout_for
from sqlkit.statements import parse_statements
from sqlkit.testing import TestServer, dropped_afterwards

SCHEMA = """
create type mood as enum ('calm', 'wild');
create type place as (city text, seats integer);
create domain tempo as integer check (value between 20 and 400);
create table bands (
    band_id integer generated always as identity,
    name varchar(40) not null,
    constraint bands_pkey primary key (band_id),
    constraint bands_name_check check (name <> '')
);
comment on table bands is 'Who plays together.';
create table songs (
    song_id bigint generated always as identity,
    band_id integer,
    title text not null,
    mood mood not null default 'calm',
    key text not null default 'C',
    tempo tempo,
    fee numeric(10, 2) not null default 0,
    tags text[] not null default '{}',
    notes jsonb,
    added timestamptz not null default now(),
    constraint songs_pkey primary key (song_id),
    constraint songs_band_id_fkey foreign key (band_id) references bands (band_id),
    constraint songs_title_check check (title <> ''),
    constraint songs_key_check check (key in ('C', 'F', 'G')),
    constraint songs_fee_check check (fee >= 0.5)
);
create view calm_songs as select song_id, title, tempo from songs where mood = 'calm' and tempo is not null;
create table venues (
    venue_id integer not null,
    place place,
    played daterange,
    notes jsonb not null,
    plan jsonb not null,
    constraint venues_pkey primary key (venue_id),
    constraint venues_plan_check check (jsonb_typeof(plan) = 'array')
);
create table levels (
    low integer not null default -5,
    high bigint not null default 9223372036854775807,
    share numeric not null default -1.50,
    gain double precision not null default -0.5,
    step numeric not null default 10
);
alter table venues add constraint venues_notes_check check (jsonb_typeof(notes) = 'object') not valid;
"""

Write = Callable[..., str]


@pytest.fixture(scope="module")
def database(server: TestServer) -> Iterator[str]:
    """Give the DSN of a database with the tables."""
    with dropped_afterwards(server) as name:
        dsn = server.dsn_for(name)
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute(SCHEMA.encode())
        yield dsn


@pytest.fixture
def write(database: str) -> Iterator[Write]:
    """Give the function that generates the module for a file's text."""
    with psycopg.connect(database, autocommit=True) as conn:

        def generated(text: str, models_from: str | None = None, **options: Any) -> str:
            path = Path("songs.sql")
            headed = text if "-- name:" in text else f"-- name: q\n{text}"
            statements = parse_statements(textwrap.dedent(headed), path)
            return generate(conn, statements, layout_for(path, **options), models_from=models_from)

        yield generated


def signature(module: str, name: str = "q") -> str:
    """Return a method's signature on one line, from its first parameter behind the executor."""
    found = re.search(rf"def {name}\((.*?)\) -> (.*?):(?:\n|  #)", module, re.DOTALL)
    assert found, module
    parameters = re.sub(r"\s+", " ", found[1]).strip().rstrip(",")
    parameters = re.sub(r"^self, \w+: (Async)?Executor(, )?", "", parameters)
    return f"({parameters}) -> {found[2]}"


def class_body(module: str, name: str) -> list[str]:
    """Return the fields of a class, as they are written."""
    found = re.search(rf"^class {name}\b.*?:\n(.*?)(?:\n\n\n|\Z)", module, re.DOTALL | re.MULTILINE)
    assert found, module
    return [line.strip() for line in found[1].splitlines() if re.match(r"    \w+(: | = )", line)]


# Cardinality


@pytest.mark.parametrize(
    ("text", "returns"),
    [
        ("select title from songs where song_id = 1", "str | None"),
        ("select title from songs", "list[str]"),
        ("select title from songs limit 1", "str | None"),
        ("select count(*) from songs", "int"),
        ("select max(title) from songs", "One[str | None]"),
        ("select tags from songs", "list[list[str]]"),
        ("select array_agg(title) from songs", "One[list[str] | None]"),
        ("select tags from songs where song_id = 1", "QRow | None"),
        ("select mood from songs where song_id = 1", "Mood | None"),
        ("select notes from songs where song_id = 1", "QRow | None"),
        ("select place from venues", "list[QRow]"),
        ("select song_id, title from songs where song_id = 1", "QRow | None"),
        ("insert into bands (name) values ('x') returning band_id", "int"),
        ("insert into bands (name) values ('x') on conflict do nothing returning band_id", "int | None"),
        ("insert into bands (name) values ('x')", "Affected"),
        ("with gone as (delete from songs returning song_id) select count(*) from gone", "int"),
        ("delete from songs", "Affected"),
        ("lock table songs", "None"),
        ("select pg_advisory_lock(1)", "None"),
    ],
)
def test_cardinality_from_the_proof(write: Write, text: str, returns: str) -> None:
    """What PostgreSQL proves of the number of rows is what the method promises."""
    assert signature(write(text)).partition(" -> ")[2] == returns


@pytest.mark.parametrize(
    ("word", "returns"),
    [
        ("one", "str"),
        ("optional", "str | None"),
        ("many", "list[str]"),
        ("stream", "Rows[str]"),
        ("exec", "None"),
        ("execrows", "Affected"),
        ("execresult", "Affected"),
        ("batchmany", "list[str]"),
        ("batchone", "list[str]"),
        ("batchexec", "Affected"),
        ("copyfrom", "Affected"),
    ],
)
def test_a_word_behind_the_name_wins(write: Write, word: str, returns: str) -> None:
    """Sqlc's words say what the proof does not."""
    module = write(f"-- name: q :{word}\nselect title from songs where key = :key")
    assert signature(module).partition(" -> ")[2] == returns


def test_optional_is_one_where_a_row_always_comes(write: Write) -> None:
    """Aiosql's operators say "one row" for both, and a proof may say more."""
    assert signature(write("-- name: q :optional\nselect count(*) from songs")) == "() -> int"


def test_rows_that_no_statement_returns(write: Write) -> None:
    """A word that promises rows of a statement without any is refused."""
    with pytest.raises(SqlFileError, match=re.escape("songs.sql:1:1: q: :one promises rows")):
        write("-- name: q :one\ndelete from songs")


# Parameters


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("select 1 from songs where song_id = :id", "*, id: int"),
        ("select 1 from songs where song_id = any(:ids)", "*, ids: list[int]"),
        ("select 1 from songs where mood = :mood and added < :now", "*, mood: Mood, now: datetime"),
        ("select 1 from venues where played @> :day::date", "*, day: date"),
        ("select 1 from venues where played && :days", "*, days: PgRange[date]"),
        ("select 1 from songs limit :limit", "*, limit: int"),
        ("select 1 from songs\nwhere true\nand key = :key --? optional", "*, key: str | None = None"),
        ("update songs set notes = :notes where song_id = :id", "*, notes: Any, id: int"),
        ("update songs set tempo = :tempo where song_id = :id", "*, tempo: int | None, id: int"),
        (
            "update songs\nset\ntempo = :tempo, --? optional\ntitle = :title, --? optional\nfee = 1\nwhere fee = :fee",
            "*, tempo: int | Unset | None = UNSET, title: str | None = None, fee: Decimal",
        ),
        (
            "insert into songs (title, tempo, key, fee) values (:title, :tempo, :key, :fee)",
            '*, title: str, tempo: int | None = None, key: SongKey = "C", fee: Decimal = Decimal(0)',
        ),
        ("insert into songs (added) values (coalesce(:added, now()))", "*, added: datetime | None = None"),
        (
            "select 1 from songs\norder by title --| by: title\n-- order by added --| by: newest",
            '*, by: Literal["title", "newest"] = "title"',
        ),
        ("select 1 from songs where key = :db and title = :conn", "*, db: str, conn: str"),
        ("insert into songs (title) values (:song.title)", "*, song: NewSong"),
        (
            "update songs\nset\ntitle = :changes.title, --? optional\nfee = 1\nwhere song_id = :id",
            "*, changes: SongChanges, id: int",
        ),
        (
            "select 1 from songs\nwhere true\nand (title, song_id) > (:after.title, :after.id) --? optional",
            "*, after: QAfter | None = None",
        ),
        ("select 1 from songs where title = :song.title", "*, song: QSong"),
        ("copy songs (title, key) from stdin", "songs: Iterable[NewSong]"),
        ("-- name: q :batchexec\nupdate songs set key = :key where song_id = :songs", "items: Iterable[QItem]"),
    ],
)  # fmt: skip
def test_parameters(write: Write, text: str, parameters: str) -> None:
    """Each parameter has the type that PostgreSQL wants, None where its column takes it, a default where it may go."""
    assert signature(write(text)).partition(") -> ")[0] == f"({parameters}"


# Models


def test_a_table_has_one_model(write: Write) -> None:
    """Statements that select a whole row share the table's model, whatever the order of their columns."""
    module = write(
        """
        -- name: one
        select band_id, name from bands where band_id = :band_id;
        -- name: all_of_them
        select name, band_id from bands;
        -- name: of_name
        select bands.name, bands.band_id from bands where bands.name is not null;
        """
    )
    assert class_body(module, "Band") == ["band_id: int", "name: str"]
    assert '"""Who plays together."""' in module
    assert [signature(module, name).split(" -> ")[1] for name in ("one", "all_of_them", "of_name")] == [
        "Band | None",
        "list[Band]",
        "list[Band]",
    ]
    assert module.count("(BaseModel)") == 1


def test_one_model_though_a_condition_proves_more(write: Write) -> None:
    """A column that a condition keeps from being NULL takes None in the table's model all the same."""
    columns = "song_id, band_id, title, mood, key, tempo, fee, tags, notes, added"
    module = write(
        f"""
        -- name: fast
        select {columns} from songs where tempo > 100;
        -- name: every
        select {columns} from songs;
        """
    )
    assert "tempo: int | None" in class_body(module, "Song")
    assert module.count("(BaseModel)") == 1


def test_models_of_views(write: Write) -> None:
    """A view says nothing of its columns' NULLs, so what is proved of them counts."""
    module = write("select song_id, title, tempo from calm_songs")
    assert class_body(module, "CalmSong") == ["song_id: int", "title: str", "tempo: int"]


def test_what_is_written_through_a_view(write: Write) -> None:
    """A view's own columns take anything, so only what PostgreSQL's tree tells is known of what is behind them."""
    found = signature(write("insert into calm_songs (title, tempo) values (:title, :tempo)"))
    assert "tempo: int | None = None" in found


def test_documents_by_a_check(write: Write) -> None:
    """A CHECK says what a document is: for rows one that is validated, for what comes in any."""
    module = write(
        """
        -- name: rows
        select notes, plan from venues;
        -- name: bring
        copy venues (venue_id, notes, plan) from stdin;
        """
    )
    assert class_body(module, "RowsRow") == ["notes: Any", "plan: list[Any]"]
    assert class_body(module, "NewVenue")[2:] == ["notes: dict[str, Any]", "plan: list[Any]"]


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ("song_id, band_id, title, mood, key, tempo, fee, tags, added", "SongWithoutNotes"),
        ("song_id, band_id, title, mood, key, tempo, fee, tags, notes, added, 1 as one", "SongWithOne"),
        ("song_id, title", "QRow"),
        ("title, count(*) over () as songs", "QRow"),
    ],
)
def test_names_of_models_for_other_shapes(write: Write, columns: str, name: str) -> None:
    """What nearly is a table's row says what is missing or beside, any other shape is named for its statement."""
    assert f"class {name}(BaseModel)" in write(f"select {columns} from songs")


def test_input_models(write: Write) -> None:
    """A model for what comes in demands what the database demands, and has the defaults that are plain values."""
    module = write("copy songs (band_id, title, mood, key, tempo, fee, tags, notes, added) from stdin")
    assert class_body(module, "NewSong") == [
        'model_config = ConfigDict(extra="forbid")',
        "band_id: int | None = None",
        "title: str = Field(min_length=1)",
        "mood: Mood = Mood.CALM",
        'key: SongKey = "C"',
        "tempo: int | None = Field(None, ge=20, le=400)",
        'fee: Decimal = Field(Decimal(0), ge=Decimal("0.5"))',
        "tags: list[str] = []",
        "notes: Any = None",
        "added: datetime",
    ]
    assert 'SongKey = Literal["C", "F", "G"]' in module


def test_defaults_that_are_numbers(write: Write) -> None:
    """A default that PostgreSQL spells in quotes (a negative number, one of many digits) is a number, too."""
    module = write("copy levels (low, high, share, gain, step) from stdin")
    assert class_body(module, "NewLevel")[1:] == [
        "low: int = -5",
        "high: int = 9223372036854775807",
        'share: Decimal = Decimal("-1.50")',
        "gain: float = -0.5",
        "step: Decimal = Decimal(10)",
    ]


def test_lengths_and_patterns(write: Write) -> None:
    """The n of varchar(n) and a CHECK stand side by side."""
    module = write("insert into bands (name) values (:band.name)")
    assert class_body(module, "NewBand")[1:] == ["name: str = Field(min_length=1, max_length=40)"]


def test_changes(write: Write) -> None:
    """What is optional in an update is written only where it is given; None clears where the column takes it."""
    module = write(
        """
        -- name: q
        update songs
        set
            title = :changes.title,     --? optional
            tempo = :changes.tempo,     --? optional
            added = now()
        where song_id = :song_id;
        """
    )
    assert "class SongChanges(Changes):" in module
    assert class_body(module, "SongChanges") == [
        "title: Annotated[str, Field(min_length=1)] = UNCHANGED",
        "tempo: Annotated[int | None, Field(ge=20, le=400)] = UNCHANGED",
    ]
    assert "from sqlkit.patches import UNCHANGED, Changes" in module


def test_input_models_are_shared(write: Write) -> None:
    """An insert, a batch and a copy of the same columns take one model."""
    module = write(
        """
        -- name: add
        insert into bands (name) values (:band.name);
        -- name: add_many :batchexec
        insert into bands (name) values (:name);
        -- name: bring
        copy bands (name) from stdin;
        """
    )
    assert module.count("(BaseModel)") == 1
    assert "bands: Iterable[NewBand]" in signature(module, "add_many")
    assert "bands: Iterable[NewBand]" in signature(module, "bring")


def test_texts_that_a_check_lists(write: Write) -> None:
    """Rows and what comes in have one name for the texts that a column may have; a document's are any."""
    module = write(
        """
        -- name: row
        select key, tempo from songs;
        -- name: add
        insert into songs (title, key) values (:title, :key);
        -- name: document
        select jsonb_build_object('key', key, 'tempo', tempo) as song, 1 as one from songs;
        """
    )
    assert class_body(module, "RowRow") == ["key: SongKey", "tempo: int | None"]
    assert 'key: SongKey = "C"' in signature(module, "add")
    assert class_body(module, "DocumentRow") == ["song: RowRow", "one: int"]


def test_enums(write: Write) -> None:
    """An enum type is a StrEnum by its labels."""
    assert class_body(write("select mood from songs"), "Mood") == ['CALM = "calm"', 'WILD = "wild"']


def test_composites_ranges_and_arrays(write: Write) -> None:
    """A composite type is a model whose fields may be None, a range says of what."""
    module = write("select place, played, array[place] as places from venues")
    assert class_body(module, "Place") == ["city: str | None", "seats: int | None"]
    assert class_body(module, "QRow") == [
        "place: Place | None",
        "played: PgRange[date] | None",
        "places: list[Place]",
    ]


def test_nested_models(write: Write) -> None:
    """Dotted names are a nested model: None where an outer join finds nothing, its columns as they are otherwise."""
    module = write(
        """
        select songs.title, bands.band_id as "band.band_id", bands.name as "band.name"
        from songs left join bands on bands.band_id = songs.band_id and bands.name <> 'x'
        """
    )
    assert class_body(module, "QRow") == ["title: str", "band: Band | None"]
    assert class_body(module, "Band") == ["band_id: int", "name: str"]


def test_nested_models_inside_of_others(write: Write) -> None:
    """A join inside an optional model may find nothing where that of the model found a row."""
    module = write(
        """
        select songs.title, bands.band_id as "band.band_id", other.song_id as "band.song.song_id"
        from songs
        left join bands on bands.band_id = songs.band_id
        left join songs as other on other.song_id = bands.band_id * 2
        """
    )
    assert class_body(module, "QRow") == ["title: str", "band: QBand | None"]
    assert class_body(module, "QBand") == ["band_id: int", "song: QBandSong | None"]
    assert class_body(module, "QBandSong") == ["song_id: int"]


def test_nested_models_of_inner_joins(write: Write) -> None:
    """Where the row is always there, so is the nested model."""
    module = write(
        """
        select songs.title, bands.name as "band.name"
        from songs inner join bands on bands.band_id = songs.band_id
        """
    )
    assert class_body(module, "QRow") == ["title: str", "band: QBand"]
    assert class_body(module, "QBand") == ["name: str"]


def test_documents_that_the_statement_builds(write: Write) -> None:
    """JSON that is built in the statement becomes models, with what its values are in SQL."""
    module = write(
        """
        select
            bands.name,
            coalesce((
                select jsonb_agg(jsonb_build_object(
                    'title', songs.title, 'tempo', songs.tempo, 'mood', songs.mood, 'fee', songs.fee,
                    'inner', jsonb_build_object('added', songs.added)
                ))
                from songs where songs.band_id = bands.band_id
            ), '[]') as songs,
            array_to_json(array[1]) as numbers
        from bands
        """
    )
    assert class_body(module, "QRow") == ["name: str", "songs: list[QSong]", "numbers: Any"]
    assert class_body(module, "QSong") == [
        "title: str",
        "tempo: int | None",
        "mood: Mood",
        "fee: Decimal",
        "inner: QSongInner",
    ]
    assert class_body(module, "QSongInner") == ["added: datetime"]


def test_columns_that_some_variants_lack(write: Write) -> None:
    """A column in an optional line has a default."""
    module = write(
        """
        select
            band_id
            , name like :pattern as fits    --? optional
        from bands
        """
    )
    assert class_body(module, "QRow") == ["band_id: int", "fits: bool | None = None"]


# The module as a whole


def test_the_whole_module(write: Write, tmp_path: Path) -> None:
    """A module says what it is, imports what it needs, and loads the statements from beside itself."""
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    module = write(
        """
        -- name: get_band
        -- One band.
        -- Without its songs.
        select band_id, name from bands where band_id = :band_id;
        """,
        output=tmp_path / "app" / "queries.py",
        colours=("sync", "async"),
        protocol="Bands",
    )
    assert module.partition("songs: ")[0] == textwrap.dedent(
        '''\
        """The statements of ``songs.sql``, typed."""

        from __future__ import annotations

        from pathlib import Path
        from typing import Protocol

        import sqlkit
        from pydantic import BaseModel
        from sqlkit import AsyncExecutor, Executor


        class Band(BaseModel):
            """Who plays together."""

            band_id: int
            name: str


        class Bands(Protocol):
            """The statements of ``songs.sql``."""

            def get_band(self, db: Executor, *, band_id: int) -> Band | None:
                """Return one band.

                Without its songs.
                """
                ...


        class AsyncBands(Protocol):
            """The statements of ``songs.sql`` on asyncio."""

            async def get_band(self, db: AsyncExecutor, *, band_id: int) -> Band | None:
                """Return one band.

                Without its songs.
                """
                ...


        '''
    )
    assert module.count("sqlkit.load(") == 2


def test_a_stream_on_asyncio(write: Write) -> None:
    """A stream is declared with plain def, in either colour."""
    module = write("-- name: q :stream\nselect title from songs", colours=("async",))
    assert "    def q(self, db: AsyncExecutor) -> AsyncRows[str]:" in module


def test_types_that_a_field_would_hide(write: Write) -> None:
    """A field or a method of a type's name leaves the type within reach."""
    module = write(
        """
        -- name: list
        select band_id as int, name as str, now()::date as date from bands;
        -- name: rest
        select now()::date as day, name from bands;
        """
    )
    assert class_body(module, "ListRow") == ["int: builtins.int", "str: builtins.str", "date: dt.date"]
    assert class_body(module, "RestRow") == ["day: date", "name: str"]
    assert "-> builtins.list[ListRow]:" in module


@pytest.mark.parametrize(
    ("config", "signature_line"),
    [
        (
            "[tool.ruff]\nline-length = 60\n",
            "def getSong(\n        self, db: Executor, *, id: int\n    ) -> str | None:",
        ),
        ("[tool.ruff.lint]\nselect = ['A', 'N']\n", "id: int) -> str | None:  # noqa: A002, N802\n"),
        ("[tool.ruff.lint]\nselect = ['ALL']\nignore = ['N80']\n", "id: int) -> str | None:  # noqa: A002\n"),
        ("[tool.ruff.lint]\nselect = ['A00']\nignore = ['A']\n", "id: int) -> str | None:  # noqa: A002\n"),
        ("[tool.black]\nline-length = 60\n", "    def getSong(\n"),
        ("no = TOML = at all", "    def getSong(self, db: Executor, *, id: int) -> str | None:\n"),
    ],
)
def test_the_projects_style(write: Write, tmp_path: Path, config: str, signature_line: str) -> None:
    """Lines are as wide as the project has them, and names that its rules are against say why they stand."""
    (tmp_path / "pyproject.toml").write_text(config)
    text = "-- name: getSong\nselect title from songs where song_id = :id"
    assert signature_line in write(text, output=tmp_path / "queries.py")


def test_ruffs_own_file(write: Write, tmp_path: Path) -> None:
    """``ruff.toml`` counts before ``pyproject.toml``, as for ruff."""
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 40\n")
    (tmp_path / "ruff.toml").write_text("line-length = 88\nlint.select = ['A']\n")
    module = write("select title from songs where song_id = :id", output=tmp_path / "queries.py")
    assert "    def q(self, db: Executor, *, id: int) -> str | None:  # noqa: A002\n" in module


@pytest.mark.parametrize(
    ("name", "variable"), [("list.sql", "list_queries"), ("my songs.sql", "my_songs"), ("sqlkit.sql", "sqlkit_queries")]
)
def test_what_the_statements_are_loaded_as(database: str, name: str, variable: str) -> None:
    """The variable is named for the file, unless it would hide something."""
    with psycopg.connect(database, autocommit=True) as conn:
        path = Path(name)
        module = generate(conn, parse_statements("-- name: q\nselect 1", path), layout_for(path))
    assert re.search(rf"^{variable}: \w+ = sqlkit.load", module, re.MULTILINE)


# Errors


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("select 1, 2", "songs.sql:1:1: q: a column has no name: give it one with as"),
        ("select 1 as a, 2 as a", "songs.sql:1:1: q: two columns are named 'a'"),
        ("select name as b, name as \"b.name\" from bands", "songs.sql:1:1: q: the column 'b' and the columns of b.*"),
        ("select titel from songs", 'songs.sql:2:8: q: column "titel" does not exist'),
        ("select 1\nfrom nowhere", 'songs.sql:3:6: q: relation "nowhere" does not exist'),
        (
            "select title, nullif(name, '') as \"b.name\" from songs left join bands on name = title",
            "songs.sql:1:1: q: the columns of b.* can all be NULL: select one that never is, such as the key",
        ),
        ("copy songs from stdin", "songs.sql:1:1: q: name the columns: copy songs (band_id, title, mood, key, tempo"),
        ("copy songs (titel) from stdin", "songs.sql:"),
        ("copy nowhere (a) from stdin", "songs.sql:"),
        (
            "-- name: q :batchexec\nupdate songs\nset\ntitle = :title, --? optional\nkey = key\nwhere song_id = :id",
            "songs.sql:1:1: q: a batch takes no optional lines",
        ),
        ("select 1 from songs where title = :self", "songs.sql:1:1: q: :self is what a method's own object is called"),
        ("select 1 from songs where title = :_song._title", "songs.sql:1:1: q: '_title' would be private in a model"),
    ],
)  # fmt: skip
def test_what_cannot_be_written(write: Write, text: str, message: str) -> None:
    """What no Python can be written for is an error with its place, which says what to change."""
    with pytest.raises(SqlFileError, match=re.escape(message)):
        write(text)


# Models that exist


def test_models_from_a_module(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose fields match is imported; one that differs is written."""
    (tmp_path / "reused_models.py").write_text(
        textwrap.dedent(
            """
            from enum import Enum
            from pydantic import BaseModel

            class Feeling(Enum):
                QUIET = "calm"
                LOUD = "wild"

            class Group(BaseModel):
                band_id: int
                name: str

            class Song(BaseModel):
                title: str
                mood: str
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = write(
        """
        -- name: band
        select band_id, name from bands where band_id = 1;
        -- name: song
        select title, mood from songs;
        """,
        models_from="reused_models",
    )
    assert "from reused_models import Feeling, Group" in module
    assert signature(module, "band") == "() -> Group | None"
    assert class_body(module, "SongRow") == ["title: str", "mood: Feeling"]


def test_a_module_that_does_not_import(write: Write) -> None:
    """A module for models that is not there is an error."""
    with pytest.raises(ConfigurationError, match="--models-from nowhere_at_all: does not import"):
        write("select 1 as a, 2 as b", models_from="nowhere_at_all")


def test_a_module_that_fails(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A module for models that raises is said by its error's class, and what it prints is not mixed with the result."""
    (tmp_path / "failing_models.py").write_text("print('loading')\nraise ValueError('a secret')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigurationError, match=r"^--models-from failing_models: does not import: ValueError$"):
        write("select 1 as a, 2 as b", models_from="failing_models")
    assert capsys.readouterr() == ("", "loading\n")


@pytest.mark.parametrize("name", ["my queries", "class", "BaseModel", "Any", "list"])
def test_names_that_a_protocol_cannot_have(database: str, name: str) -> None:
    """What is no name, or the name of what the module imports, is refused as that of the Protocol."""
    statements = parse_statements("-- name: q\nselect 1;\n", Path("songs.sql"))
    with (
        psycopg.connect(database, autocommit=True) as conn,
        pytest.raises(ConfigurationError, match=f"^--protocol {name}: cannot be the Protocol's name"),
    ):
        generate(conn, statements, layout_for(Path("songs.sql"), protocol=name))
