"""What is to be checked: configuration, modules, files, calls, and where things stand in SQL and in Python."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, TypedDict

import pytest
from pydantic import BaseModel

from sqlkit import ConfigurationError, Executor
from sqlkit.checking.calls import called_names
from sqlkit.checking.findings import Place
from sqlkit.checking.outputs import output_items
from sqlkit.checking.positions import SqlPlaces, common_words, variant_words
from sqlkit.checking.project import Project, find_config, read_projects
from sqlkit.checking.python_places import PythonPlaces
from sqlkit.checking.sources import Sources, read_sources
from sqlkit.contracts.contract import Contract, read_contracts
from sqlkit.lexer import Kind, tokenize
from sqlkit.statements import Statement, parse_statements

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Give the function that writes a file; modules imported from there are forgotten afterwards."""
    before = set(sys.modules)

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    yield write_file
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


# Configuration


def test_one_project(write: Write, tmp_path: Path) -> None:
    """A table says what is checked, with paths relative to its file."""
    write(
        "pyproject.toml",
        '[tool.sqlkit]\nmodules = ["app.*"]\nmigrations = "db/migrations"\nschema = "app"\nsql = ["sql", "more.sql"]\n'
        'hints = true\nignore = ["SK013"]\nplans = "plans.json"\nlarge_table = 500\n',
    )
    assert read_projects(start=tmp_path) == [
        Project(
            tmp_path,
            "",
            ("app.*",),
            (tmp_path / "db/migrations",),
            "app",
            (tmp_path / "sql", tmp_path / "more.sql"),
            True,
            frozenset({"SK013"}),
            tmp_path / "plans.json",
            500,
        )
    ]


def test_several_projects_share_what_stands_above_them(write: Write, tmp_path: Path) -> None:
    """An array of tables is several projects; the table's own keys are said for all of them."""
    write(
        "pyproject.toml",
        '[tool.sqlkit]\nhints = true\nignore = ["SK013"]\nmigrations = "all"\n'
        '[[tool.sqlkit.project]]\nname = "a"\nmodules = ["a"]\nignore = ["SK012"]\n'
        '[[tool.sqlkit.project]]\nname = "b"\nmodules = ["b"]\nmigrations = ["own", "x"]\n',
    )
    first, second = read_projects(start=tmp_path)
    assert (first.name, first.modules, first.migrations) == ("a", ("a",), (tmp_path / "all",))
    assert (first.hints, sorted(first.ignore)) == (True, ["SK012", "SK013"])
    assert (second.name, second.migrations, sorted(second.ignore)) == (
        "b",
        (tmp_path / "own", tmp_path / "x"),
        ["SK013"],
    )


def test_no_migrations_are_something_to_say(write: Write, tmp_path: Path) -> None:
    """An empty list of migrations says that no tables are needed, nothing says nothing."""
    path = write("pyproject.toml", "[tool.sqlkit]\nmigrations = []\n")
    assert [project.migrations for project in read_projects(path)] == [()]
    write("pyproject.toml", "[tool.sqlkit]\n")
    assert [project.migrations for project in read_projects(path)] == [None]


def test_the_project_checks_all_of_its_own() -> None:
    """Each application, with its statements and its migrations, is a project that ``make lint`` checks."""
    root = Path(__file__).parent.parent
    projects = {project.name: project for project in read_projects(root / "pyproject.toml")}
    for app in (path.parent.name for path in (root / "sqlkit/apps").glob("*/__init__.py")):
        assert projects[app].modules == (f"sqlkit.apps.{app}.*",)
        assert {path.parent for path in (root / "migrations" / app).rglob("*.sql")} == set(
            projects[app].migrations or ()
        )
    assert "\t$(BIN)/sqlkit check\n" in (root / "Makefile").read_text(encoding="utf-8")


def test_configuration_is_found_by_walking_up(write: Write, tmp_path: Path) -> None:
    """The nearest pyproject.toml that says something of sqlkit counts."""
    path = write("pyproject.toml", "[tool.sqlkit]\n")
    write("below/pyproject.toml", "[tool.other]\n")
    assert find_config(tmp_path / "below" / "further") == path
    assert find_config(tmp_path.parent) is None
    assert read_projects(start=tmp_path.parent) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[tool.sqlkit]\nmodule = []", "tool.sqlkit.module: is no key, did you mean modules?"),
        ("[tool.sqlkit]\ncolour = 1", r"tool.sqlkit.colour: is no key \(there are hints, ignore, .*, sql\)"),
        ("[tool.sqlkit]\nname = 'a'", r"tool.sqlkit.name: is no key"),
        ("[tool.sqlkit]\nlarge_table = '10'", r"tool.sqlkit.large_table: is a number of rows: large_table = 10000"),
        ("[tool.sqlkit]\nmodules = 'a'", r'tool.sqlkit.modules: is a list of texts: modules = \["app.queries"\]'),
        ("[tool.sqlkit]\nsql = ['']", "tool.sqlkit.sql: is a list of texts"),
        ("[tool.sqlkit]\nschema = 1", 'tool.sqlkit.schema: is a text: schema = "app"'),
        ("[tool.sqlkit]\nmigrations = [1]", r"tool.sqlkit.migrations: is a list of texts"),
        ("[tool.sqlkit]\nhints = 'yes'", "tool.sqlkit.hints: is true or false: hints = true"),
        ("[tool.sqlkit]\nignore = ['SK13']", "tool.sqlkit.ignore: 'SK13' is no code, did you mean SK013?"),
        ("[tool.sqlkit]\nproject = 1", r"tool.sqlkit.project: is an array of tables: \[\[tool.sqlkit.project\]\]"),
        ("[[tool.sqlkit.project]]\nmodules = []", 'tool.sqlkit.project 1: has no name: name = "app"'),
        (
            "[[tool.sqlkit.project]]\nname = 'a'\nmodul = []",
            "tool.sqlkit.project 1.modul: is no key, did you mean modules",
        ),
        ("[[tool.sqlkit.project]]\nname='a'\n[[tool.sqlkit.project]]\nname='a'", "two projects are named 'a'"),
        ("[tool]\nsqlkit = 1", r"tool.sqlkit: is a table: \[tool.sqlkit\]"),
        ("[tool.sqlkit", "is no TOML: "),
        ("[tool.other]", r"has no \[tool.sqlkit\]"),
    ],
)
def test_configuration_that_cannot_be(write: Write, text: str, reason: str) -> None:
    """What nobody knows is an error that begins with the file and the key."""
    path = write("pyproject.toml", text)
    with pytest.raises(ConfigurationError, match=f"^{re.escape(str(path))}: .*{reason}"):
        read_projects(path)


def test_configuration_that_is_missing(tmp_path: Path) -> None:
    """A file that is named and not there is an error."""
    with pytest.raises(ConfigurationError, match=r"nope.toml: cannot be read: No such file"):
        read_projects(tmp_path / "nope.toml")


# Modules and files

SONGS_SQL = "-- name: get\nselect 1 as x;\n\n-- name: other\nselect 2 as x;\n"
SONGS = """
from types import SimpleNamespace
from typing import Protocol
from pathlib import Path
import sqlkit
from sqlkit import Executor

class Queries(Protocol):
    def get(self, db: Executor) -> int: ...

class Further(Protocol):
    def other(self, db: Executor) -> int: ...

SQL = Path(__file__).parent / "songs.sql"
"""


def read(tmp_path: Path, *modules: str, sql: tuple[str, ...] = ()) -> Sources:
    """Read the sources of a project."""
    return read_sources(tmp_path, modules, [tmp_path / folder for folder in sql])


@pytest.mark.parametrize(
    ("code", "attributes"),
    [
        ("songs = sqlkit.load(Queries, SQL)", ["songs"]),
        ("class App:\n    songs = sqlkit.load(Queries, SQL)\n    class In:\n        x = 1", ["App.songs"]),
        ("class App:\n    class In:\n        songs = sqlkit.load(Queries, SQL)", ["App.In.songs"]),
        ("all = {'songs': sqlkit.load(Queries, SQL)}", ["all"]),
        ("all = [sqlkit.load(Queries, SQL), sqlkit.load(Further, SQL)]", ["all", "all"]),
        ("all = SimpleNamespace(songs=sqlkit.load(Queries, SQL))", ["all"]),
        ("songs = again = sqlkit.load(Queries, SQL)", ["songs"]),
        ("def late():\n    return sqlkit.load(Queries, SQL)", []),
    ],
)
def test_what_load_returned_is_found(write: Write, tmp_path: Path, code: str, attributes: list[str]) -> None:
    """Loaded objects are found as attributes of modules and classes and in containers there, each once."""
    write("songs.sql", SONGS_SQL)
    write("loaded_songs.py", SONGS + code)
    sources = read(tmp_path, "loaded_songs")
    assert [query.attribute for query in sources.queries] == attributes
    assert {query.module for query in sources.queries} <= {"loaded_songs"}
    assert (sources.obstacles, sources.findings, sources.complete) == ([], [], True)


def test_statements_are_one_object_each(write: Write, tmp_path: Path) -> None:
    """However often and by whatever path a file is loaded, its statements are read once, the undeclared ones too."""
    write("songs.sql", SONGS_SQL)
    write("twice.py", SONGS + "a = sqlkit.load(Queries, SQL)\nb = sqlkit.load(Queries, SQL.parent / '.' / 'songs.sql')")
    sources = read(tmp_path, "twice", sql=("songs.sql", "."))
    assert [statement.name for statement in sources.statements] == ["get", "other"]
    assert [query.statement for query in sources.queries] == [sources.statements[0]] * 2


def test_a_package_with_all_below_it(write: Write, tmp_path: Path) -> None:
    """A star means a package and its modules, in ``src`` too; a program's entry is not run."""
    write("src/starred/songs.sql", SONGS_SQL)
    write("src/starred/__init__.py", "")
    write("src/starred/__main__.py", "raise SystemExit('run')")
    write("src/starred/queries.py", SONGS + "songs = sqlkit.load(Queries, SQL)")
    write("src/starred/deep/__init__.py", "")
    write("src/starred/deep/more.py", "from starred.queries import *\nagain = songs\nmore = sqlkit.load(Further, SQL)")
    sources = read(tmp_path, "starred.*")
    assert [(query.module, query.attribute) for query in sources.queries] == [
        ("starred.deep.more", "songs"),
        ("starred.deep.more", "more"),
    ]
    assert sources.obstacles == []
    assert str(tmp_path / "src") not in sys.path


@pytest.mark.parametrize(
    ("code", "obstacle"),
    [
        ("x = 1\nraise ValueError('secret')", "{0}:2: broken does not import: ValueError"),
        ("import nowhere", "{0}:1: broken does not import: ModuleNotFoundError: No module named 'nowhere'"),
        ("x = (1,\n", "{0}:1: broken does not import: SyntaxError: '(' was never closed"),
        ("\nx = y", "{0}:2: broken does not import: NameError: name 'y' is not defined"),
        ("raise SystemExit(3)", "{0}:1: broken does not import: SystemExit"),
        ("import sqlkit\nsqlkit.Settings(nope=1)", "{0}:2: broken does not import: ConfigurationError: .*nope.*"),
        ("import json\njson.loads('{{secret')", "{0}:2: broken does not import: JSONDecodeError"),
    ],
)
def test_modules_that_do_not_import(write: Write, tmp_path: Path, code: str, obstacle: str) -> None:
    """A module that does not import is said with place and class, without values; the others are read."""
    path = write("broken.py", code.replace("{{", "{"))
    write("songs.sql", SONGS_SQL)
    write("sound.py", SONGS + "songs = sqlkit.load(Queries, SQL)")
    sources = read(tmp_path, "broken", "sound")
    (said,) = sources.obstacles
    assert re.fullmatch(obstacle.replace("(", r"\(").format(re.escape(str(path))), said)
    assert [query.attribute for query in sources.queries] == ["songs"]
    assert not sources.complete


def test_a_module_that_is_not_there(tmp_path: Path) -> None:
    """A module that nobody has is said with where it was looked for."""
    assert read(tmp_path, "nowhere.queries").obstacles == [
        f"nowhere.queries: there is no such module below {tmp_path} (ModuleNotFoundError: nowhere)"
    ]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("pathed.py", "pathed.py: is no module's name: write pathed"),
        ("./app/pathed.py", "./app/pathed.py: is no module's name: write app.pathed"),
        (".pathed", ".pathed: is no module's name"),
        ("", "'': is no module's name"),
    ],
)
def test_a_path_is_no_module(write: Write, tmp_path: Path, written: str, said: str) -> None:
    """A path in the place of a module's name is said, with the name, and nothing of it is imported."""
    write("pathed.py", "raise ValueError('imported')")
    sources = read(tmp_path, written)
    assert (sources.obstacles, sources.complete) == ([said], False)


def test_what_modules_print_goes_to_stderr(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a module prints while it is imported does not mix with a report on stdout."""
    write("loud.py", "print('hello')")
    assert read(tmp_path, "loud").obstacles == []
    assert capsys.readouterr() == ("", "hello\n")


def test_folders_without_statements(tmp_path: Path) -> None:
    """A folder of statements that has none is most likely a slip."""
    assert read(tmp_path, sql=("nope",)).obstacles == [f"{tmp_path / 'nope'}: no .sql file there"]


def test_files_that_do_not_parse(write: Write, tmp_path: Path) -> None:
    """A file that does not parse is one finding, in the statement that it is about; others are read."""
    path = write("sql/a.sql", "-- name: first\nselect 1;\n-- name: second\nselect 'x;\n")
    write("sql/b.sql", "-- name: third\nselect 1;")
    sources = read(tmp_path, sql=("sql",))
    (finding,) = sources.findings
    assert (finding.code, finding.query, finding.message) == ("SK020", "second", "unterminated string")
    assert str(finding.sql) == f"{path}:4:8"
    assert [statement.name for statement in sources.statements] == ["third"]


def test_calls(write: Write, tmp_path: Path) -> None:
    """A name read from any object counts as called, not in tests, environments and hidden folders."""
    write("app/__init__.py", "songs.get_song(db)\nfind = songs.find_song\ngetattr(songs, 'list_songs')")
    write("app/tests/test_it.py", "songs.in_a_test(db)")
    write("app/.hidden/x.py", "songs.hidden(db)")
    write("app/env/pyvenv.cfg", "")
    write("app/env/x.py", "songs.in_an_environment(db)")
    write("app/broken.py", "songs.broken(")
    write("other.py", "songs.elsewhere(db)")
    assert called_names(tmp_path, ["app.queries"]) == {"get_song", "find_song", "list_songs"}
    assert called_names(tmp_path, ["other"]) == {"get_song", "find_song", "list_songs", "elsewhere"}


# Places in SQL

STATEMENT = """\
-- name: search
--@ replica: ok
-- Doc.
  select s.id, s.*, like:name::text as "owner.name", count(*) n
  from songs as s
  where true
    and a = :song.title and b = :low   --? optional
    and c = :tempo      --? optional
  order by a            --| order: title
  -- order by b, :x     --| order: newest
  limit :limit;
"""


@pytest.fixture
def statement(write: Write) -> Statement:
    """Give a statement with everything in it, in a file."""
    path = write("a.sql", STATEMENT)
    (found,) = parse_statements(STATEMENT, path)
    return found


def marked(place: Place | None) -> str:
    """Return the text that a place means."""
    assert place is not None
    line = place.path.read_text(encoding="utf-8").split("\n")[place.line - 1]
    return f"{place.line}: {line[place.column - 1 : place.end and place.end - 1]}"


def test_every_token_of_every_variant_leads_back(statement: Statement) -> None:
    """Whatever stands in a variant is found in the file, a parameter's number as the parameter."""
    checked = 0
    for given, chosen in statement.variants():
        variant = statement.variant(given, chosen)
        for token in tokenize(variant.text):
            if token.kind is Kind.SPACE:
                continue
            offset = statement.locate(given, chosen, token.start)
            word = variant.text[token.start : token.end]
            if token.kind is Kind.POSITIONAL:
                word = f":{variant.references[int(word[1:]) - 1]}"
            assert statement.text.startswith(word, offset)
            place = SqlPlaces().in_variant(statement, given, chosen, token.start)
            assert marked(place).partition(": ")[2] == word.split("\n")[0]
            checked += 1
        assert statement.locate(given, chosen, len(variant.text)) == len(statement.text)
    assert checked > 300


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("name", "4: :name"),
        ("song.title", "7: :song.title"),
        ("song", "7: :song.title"),
        ("tempo", "8: :tempo"),
        ("x", "10: :x"),
        ("nowhere", "4: select"),
    ],
)
def test_places_of_parameters(statement: Statement, reference: str, text: str) -> None:
    """A parameter is found where it is first used, also in a line that is commented out."""
    assert marked(SqlPlaces().parameter(statement, reference)) == text


@pytest.mark.parametrize(
    ("index", "name", "text"),
    [
        (0, "id", "4: s.id"),
        (2, "title", "4: s.*"),
        (5, "owner.name", '4: like:name::text as "owner.name"'),
        (6, "n", "4: count(*) n"),
    ],
)
def test_places_of_columns(statement: Statement, index: int, name: str, text: str) -> None:
    """A column is found by its number before a star, by its name behind it, else as the star."""
    assert marked(SqlPlaces().column(statement, index, name)) == text


def test_places_of_a_statement(statement: Statement) -> None:
    """A statement has a header, directives and a first word."""
    places = SqlPlaces()
    assert marked(places.header(statement)) == "1: -- name: search"
    assert marked(places.directive(statement, "replica")) == "2: --@ replica: ok"
    assert marked(places.directive(statement, "nope")) == "1: -- name: search"
    assert marked(places.statement(statement)) == "4: select"


def test_places_of_what_spans_lines(write: Write) -> None:
    """Of an expression on several lines the first is meant."""
    text = "-- name: a\nselect\n    case\n        when true then 1\n    end as x\n"
    (found,) = parse_statements(text, write("a.sql", text))
    assert marked(SqlPlaces().column(found, 0, "x")) == "3: case"


def test_places_of_copied_columns(write: Write) -> None:
    """The columns of a copy are found in its list."""
    text = '-- name: a\ncopy songs (title, "Key") from stdin;\n'
    (found,) = parse_statements(text, write("a.sql", text))
    assert marked(SqlPlaces().copied(found, "title")) == "2: title"
    assert marked(SqlPlaces().copied(found, "Key")) == '2: "Key"'
    assert marked(SqlPlaces().copied(found, "nope")) == "2: copy"


LISTS = {
    "select a, b as c, count(*) n, o.x, f(a, b) over (w) from t": (
        ["a|a", "b as c|c", "count(*) n|n", "o.x|x", "f(a, b) over (w)|None"]
    ),
    "with x as (select 1), y(a) as materialized (select 2) select a from x": ["a|a"],
    "with d as (delete from t returning a) select count(*) from d": ["count(*)|None"],
    "select a is distinct from b as d, mode() within group (order by a) p from t": (
        ["a is distinct from b as d|d", "mode() within group (order by a) p|p"]
    ),
    "insert into t (a) select a from b returning id, a as from": ["id|id", "a as from|from"],
    "(select a, b from x) union select c, d from y": ["a|a", "b|b"],
    "select distinct on (a, b) a, t.*, z from t": ["a|a", "t.*|*", "z|z"],
    "select all a": ["a|a"],
    "select extract(year from x), 'a', 1": ["extract(year from x)|None", "'a'|None", "1|None"],
    "update t set a = 1 where b returning with (old as o) o.a, new.b c": ["o.a|a", "new.b c|c"],
    'select "a""b", x::int': ['"a""b"|a"b', "x::int|None"],
    "values (1, 2)": None,
    "delete from t": None,
    "table t": None,
    "with": None,
}


@pytest.mark.parametrize(("text", "items"), LISTS.items())
def test_items_of_the_outermost_list(text: str, items: list[str] | None) -> None:
    """What a statement selects or returns is cut at its own commas and ends at its own clauses."""
    found = output_items(text)
    spelt = [f"{text[item.start : item.end]}|{'*' if item.star else item.label}" for item in found or []]
    assert (spelt if found is not None else None) == items


def test_words_for_variants(statement: Statement) -> None:
    """A variant is told by what is given and chosen; several by what they alone have in common."""
    assert variant_words(statement, 0, ("title",)) == "without song.title, low and tempo, order: title"
    assert variant_words(statement, 3, ("newest",)) == "with song.title, low and tempo, order: newest"
    every = list(statement.variants())
    assert common_words(statement, every) is None
    newest = [each for each in every if each[1] == ("newest",)]
    assert common_words(statement, newest) == "order: newest"
    assert common_words(statement, [each for each in every if each[0] & 2]) == "with tempo"
    assert common_words(statement, [every[0], every[-1]]) == variant_words(statement, *every[0])


# Places in Python


class Base(BaseModel):
    """A model."""

    inherited: int = 0


class Model(Base):
    """A model that inherits."""

    title: str | None = None
    größe: int


class Point(NamedTuple):
    """Two numbers."""

    x: int
    y: list[int]


class Parent(TypedDict):
    """A dictionary."""

    above: int


class Child(Parent, total=False):
    """A dictionary that inherits."""

    below: str


@dataclass
class Pair:
    """A pair."""

    left: dict[
        str,
        int,
    ]


def decorated(function: Callable[..., None]) -> Callable[..., None]:
    """Return the same."""
    return function


class Queries(Protocol):
    """Methods in all forms."""

    def get(self, db: Executor, *, song_id: int, größe: str = "ä", plain=1) -> Model | None: ...  # type: ignore[no-untyped-def]

    @decorated
    def put(
        self,
        db: Executor,
        song: Model,
    ) -> None:
        """Put."""


def contracts() -> dict[str, Contract]:
    """Return the contracts of the methods."""
    return {contract.name: contract for contract in read_contracts(Queries)}


def shown(place: Place | None) -> str:
    """Return what a place means, without its line."""
    return marked(place).partition(": ")[2]


def test_places_of_methods() -> None:
    """A method is found by its name, with its annotations, decorated or not."""
    places, get, put = PythonPlaces(), contracts()["get"], contracts()["put"]
    assert [shown(places.method(each)) for each in (get, put)] == ["get", "put"]
    assert [shown(places.returns(each)) for each in (get, put)] == ["Model | None", "None"]
    assert shown(places.parameter(get, "song_id")) == "int"
    assert shown(places.parameter(get, "größe")) == "str"
    assert shown(places.parameter(get, "plain")) == "plain"
    assert shown(places.parameter(put, "song")) == "Model"
    assert shown(places.parameter(put, "nope")) == "put"


@pytest.mark.parametrize(
    ("cls", "name", "text"),
    [
        (Model, "title", "title: str | None"),
        (Model, "größe", "größe: int"),
        (Model, "inherited", "inherited: int"),
        (Point, "y", "y: list[int]"),
        (Child, "below", "below: str"),
        (Child, "above", "above: int"),
        (Pair, "left", "left: dict["),
    ],
)
def test_places_of_fields(cls: type, name: str, text: str) -> None:
    """A field is found in its class, or in the one that it is inherited from."""
    assert shown(PythonPlaces().field(cls, name)) == text


WRITTEN = True


def test_places_of_local_classes() -> None:
    """A class in a function is found, under a condition too."""
    if WRITTEN:

        class Local(NamedTuple):
            """Local."""

            here: int

    assert shown(PythonPlaces().field(Local, "here")) == "here: int"
    assert shown(PythonPlaces().cls(Local)) == "Local"


def test_places_without_source() -> None:
    """What was made without a source has no place, a method its file's first line."""
    names: dict[str, object] = {"Protocol": Protocol, "Executor": Executor, "__name__": __name__}
    exec("class Made(Protocol):\n    def get(self, db: Executor) -> int: ...", names)
    (contract,) = read_contracts(names["Made"])  # type: ignore[arg-type]
    assert str(PythonPlaces().method(contract)) == "<string>:2:1"
    assert PythonPlaces().field(type("Loose", (Base,), {}), "nope") is None
    assert PythonPlaces().cls(type("Loose", (), {})) is None
