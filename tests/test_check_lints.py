"""What ``sqlkit check`` finds without PostgreSQL: SK010 to SK014."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from pathlib import Path
from typing import Any, Literal, Protocol

import pytest
from pydantic import BaseModel

from sqlkit import Affected, AsyncExecutor, AsyncRows, Executor, Rows, load
from sqlkit.checking.findings import Finding
from sqlkit.checking.lints import lint
from sqlkit.checking.sources import LoadedQuery, ProjectFacts
from sqlkit.statements import parse_statements

HERE = Path(__file__)


class Song(BaseModel):
    """A row."""

    song_id: int
    title: str


class Title(BaseModel):
    """Another row."""

    title: str


def found(text: str, code: str) -> list[tuple[int, int, int | None, str]]:
    """Return line, column, end and the first word of the findings of one code about a body of SQL."""
    statements = parse_statements("-- name: q\n" + text, Path("q.sql"))
    findings = list(lint(ProjectFacts(statements=statements, declares=False)))
    assert {finding.code for finding in findings} <= {"SK012", "SK013"}
    return [
        (finding.sql.line, finding.sql.column, finding.sql.end, finding.message.split()[0])
        for finding in findings
        if finding.code == code and finding.sql
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("delete from t", [(2, 1, 7, "delete")]),
        ("update t\nset a = :a", [(2, 1, 7, "update")]),
        ("UPDATE t SET a = 1 RETURNING a", [(2, 1, 7, "update")]),
        ("update only t set a = 1", [(2, 1, 7, "update")]),
        ('update "t" set "where" = 1', [(2, 1, 7, "update")]),
        ("with gone as (\n    delete from t returning a\n)\nselect a from gone where a = 1", [(3, 5, 11, "delete")]),
        ("with kept as (select a from t where a = 1)\ndelete from u", [(3, 1, 7, "delete")]),
        ("update t set a = (select b from u where c = 1)", [(2, 1, 7, "update")]),
        ("update t set a = t.where", [(2, 1, 7, "update")]),
        ("delete from t using u", [(2, 1, 7, "delete")]),
        ("explain update t set a = 1", [(2, 9, 15, "update")]),
        (
            "update t set a = :a --| k: one\n-- delete from t --| k: two\nwhere a = 1",
            [],
        ),
        ("delete from t where a = 1", []),
        ("delete from t\nWHERE\na = :a\nreturning a", []),
        ("update t set a = 1 from u where t.a = u.a", []),
        ("delete from t where current of c", []),
        ("with gone as (delete from t where a = 1 returning a) select a from gone", []),
        ("insert into t (a) values (1) on conflict (a) do update set a = 2", []),
        ("merge into t using u on t.a = u.a when matched then delete when not matched then do nothing", []),
        ("select a from t for update", []),
        ("select 'delete from t'", []),
        ("truncate t", []),
    ],
)
def test_update_and_delete_without_where(text: str, expected: list[Any]) -> None:
    """Each update or delete has a where of its own, wherever it stands; what only looks like one is none."""
    assert found(text, "SK012") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select * from t", [(2, 8, 9, "*")]),
        ("select t.* from t", [(2, 8, 11, "t.*")]),
        ('select\n    s."T" . *\nfrom s."T"', [(3, 5, 14, 's."T".*')]),
        ("select a, t.*, b from t", [(2, 11, 14, "t.*")]),
        ("select distinct * from t", [(2, 17, 18, "*")]),
        ("select distinct on (a) * from t", [(2, 24, 25, "*")]),
        ("select (row(1, 2)::pair).*", [(2, 26, 27, "*")]),
        ("select a is distinct from b, * from t", [(2, 30, 31, "*")]),
        ("insert into t select * from u", [(2, 22, 23, "*")]),
        ("insert into t (a) values (1) returning *", [(2, 40, 41, "*")]),
        ("delete from t where a = 1 returning t.*;", [(2, 37, 40, "t.*")]),
        ("with c as (select a from t)\nselect * from c", [(3, 8, 9, "*")]),
        ("with c as (select * from t)\nselect a from c", [(2, 19, 20, "*")]),
        ("select a from (select * from t) as s", [(2, 23, 24, "*")]),
        ("select a from t where a in (select * from u)", [(2, 36, 37, "*")]),
        ("select a from t union all select * from u", [(2, 34, 35, "*")]),
        ("select *\nfrom t\nunion\nselect * from u", [(2, 8, 9, "*"), (5, 8, 9, "*")]),
        ("select * --| k: all\n-- select a --| k: some\nfrom t", [(2, 8, 9, "*")]),
        ("select a --| k: some\n-- select * --| k: all\nfrom t", [(3, 11, 12, "*")]),
        ("select count(*) from t", []),
        ("select count(*) over () from t", []),
        ("select count(t.*) from t", []),
        ("select a from t where exists (select * from u)", []),
        ("select a from t where not exists (select u.* from u union select * from u)", []),
        ("select 2 * 3, a * b, (a) * (b) from t", []),
        ("select to_jsonb(t.*) from t", []),
        ("select t.* is null from t", []),
        ("select a from t order by b * c", []),
        ("select a from t group by a, b * c", []),
        ("select 'select * from t'", []),
        ('select "*" from t', []),
        ("update t set a = a * 2 where a = 1", []),
    ],
)
def test_stars(text: str, expected: list[Any]) -> None:
    """A star of a select or returning list is found with its qualifier; one that multiplies or counts is none."""
    assert found(text, "SK013") == expected


FILE = """-- name: get_song
select song_id, title from songs where song_id = :song_id;

-- name: all_songs
select song_id, title
from songs
where true
    and genre = :genre      --? optional
order by title              --| order: title
-- order by song_id         --| order: newest
;

-- name: add_songs
insert into songs (title) values (:title);

-- name: count_songs
select count(*) from songs;
"""


class Queries(Protocol):
    """The synchronous side."""

    def get_song(self, db: Executor, *, song_id: int) -> Song | None: ...
    def all_songs(
        self, db: Executor, *, genre: str | None = None, order: Literal["title", "newest"] = "title"
    ) -> Rows[Song]: ...
    def add_songs(self, db: Executor, songs: Iterable[Title]) -> Affected: ...


class Twins(Protocol):
    """The asynchronous side, which agrees."""

    async def get_song(self, db: AsyncExecutor, *, song_id: int) -> Song | None: ...
    def all_songs(
        self, db: AsyncExecutor, *, genre: str | None = None, order: Literal["title", "newest"] = "title"
    ) -> AsyncRows[Song]: ...
    async def add_songs(self, db: AsyncExecutor, songs: AsyncIterable[Title] | Iterable[Title]) -> Affected: ...


class Unequal(Protocol):
    """The asynchronous side, which does not."""

    async def get_song(self, db: AsyncExecutor, song_id: int) -> Title | None: ...
    async def all_songs(
        self, db: AsyncExecutor, *, order: Literal["title", "newest"] = "newest", genre: str | None = None
    ) -> list[Song]: ...
    async def add_songs(self, db: AsyncExecutor, songs: AsyncIterable[Song]) -> None: ...


def project(folder: Path, *interfaces: type, **facts: Any) -> ProjectFacts:
    """Return a project of one file and Protocols on it, with one object for each statement."""
    path = folder / "songs.sql"
    path.write_text(FILE)
    statements: dict[str, Any] = {}
    queries = []
    for interface in interfaces:
        for member in vars(type(load(interface, path))).values():
            method: Any = getattr(member, "__func__", None)
            if hasattr(method, "sqlkit_contract"):
                statement = statements.setdefault(method.sqlkit_contract.name, method.sqlkit_statement)
                queries.append(LoadedQuery(method.sqlkit_contract, statement, method, __name__, "songs"))
    known = [statements.get(statement.name, statement) for statement in parse_statements(FILE, path)]
    return ProjectFacts(queries, known, **facts)


def said(findings: Iterable[Finding]) -> list[tuple[str, str, str]]:
    """Return code, query and message of findings."""
    return [(finding.code, finding.query, finding.message) for finding in findings]


def test_a_statement_that_nothing_declares(tmp_path: Path) -> None:
    """A statement without a method is found at its header."""
    (finding,) = lint(project(tmp_path, Queries))
    message = "no Protocol declares it: load one with a method count_songs, or remove the statement"
    assert said([finding]) == [("SK010", "count_songs", message)]
    assert finding.sql is not None
    assert str(finding.sql) == f"{tmp_path / 'songs.sql'}:16:1"
    assert finding.sql.end == 21


def test_nobody_declares_where_nothing_is_imported(tmp_path: Path) -> None:
    """Without modules every statement would be undeclared, which says nothing."""
    assert list(lint(project(tmp_path, declares=False))) == []


def test_a_query_that_nothing_calls(tmp_path: Path) -> None:
    """A method whose name no module reads is a hint, at the method and at the statement."""
    facts = project(tmp_path, Queries, called=frozenset({"get_song", "add_songs"}))
    (finding,) = [finding for finding in lint(facts) if finding.code == "SK011"]
    assert said([finding]) == [("SK011", "Queries.all_songs", "nothing in the project calls it")]
    assert finding.python is not None
    lines = HERE.read_text().splitlines()
    assert (finding.python.path, lines[finding.python.line - 1]) == (HERE, "    def all_songs(")
    assert finding.sql is not None
    assert finding.sql.line == 4


def test_twins_that_agree(tmp_path: Path) -> None:
    """A stream is a stream in either colour, and so are items."""
    assert [finding for finding in lint(project(tmp_path, Queries, Twins)) if finding.code == "SK014"] == []


def test_a_protocol_that_is_loaded_twice_agrees_with_itself(tmp_path: Path) -> None:
    """The same method from two objects is one."""
    assert [finding for finding in lint(project(tmp_path, Unequal, Unequal)) if finding.code == "SK014"] == []


def test_twins_that_do_not_agree(tmp_path: Path) -> None:
    """Whatever is different is said of the second Protocol, at the part that differs."""
    findings = [finding for finding in lint(project(tmp_path, Queries, Unequal)) if finding.code == "SK014"]
    assert said(findings) == [
        (
            "SK014",
            "Unequal.get_song",
            "song_id is positional or by name here and by name only in Queries.get_song: make them agree",
        ),
        ("SK014", "Unequal.get_song", "a row is Title here and Song in Queries.get_song: make them agree"),
        (
            "SK014",
            "Unequal.all_songs",
            "order is by default 'newest' here and by default 'title' in Queries.all_songs: make them agree",
        ),
        (
            "SK014",
            "Unequal.all_songs",
            "Queries.all_songs takes genre, order in this order, this order, genre: make them agree",
        ),
        (
            "SK014",
            "Unequal.all_songs",
            "it returns a list here and a stream in Queries.all_songs: make them agree",
        ),
        (
            "SK014",
            "Unequal.add_songs",
            "songs is Iterable[Song] here and Iterable[Title] in Queries.add_songs: make them agree",
        ),
        (
            "SK014",
            "Unequal.add_songs",
            "it returns None here and Affected in Queries.add_songs: make them agree",
        ),
    ]
    lines = HERE.read_text().splitlines()
    places = [finding.python for finding in findings if finding.python]
    words = [lines[place.line - 1][place.column - 1 : (place.end or 0) - 1] for place in places]
    assert words[0] == "int"
    assert words[1] == "Title | None"
    assert words[3] == "all_songs"
    assert words[6] == "None"


class Narrow(Protocol):
    """A Protocol whose method takes one of them."""

    def add_songs(self, db: Executor, title: str) -> Affected: ...


def test_parameters_that_one_of_them_lacks(tmp_path: Path) -> None:
    """A parameter that is missing is told from either side."""
    findings = [finding for finding in lint(project(tmp_path, Queries, Narrow)) if finding.code == "SK014"]
    assert said(findings) == [
        (
            "SK014",
            "Narrow.add_songs",
            "Queries.add_songs has no parameter title: make them agree",
        ),
        (
            "SK014",
            "Narrow.add_songs",
            "Queries.add_songs has a parameter songs, this has none: make them agree",
        ),
    ]
