"""Each statement carries its name to the server, in a comment behind its first keyword."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import sqlkit
from sqlkit import Affected, AsyncDatabase, AsyncExecutor, AsyncRows, Database, Executor, Rows, fetch_all
from sqlkit.apps import SQL
from sqlkit.embedded import Embedded
from sqlkit.embedded.scratch import scratch_server
from sqlkit.lexer import Kind, tokenize
from sqlkit.sqlfile.naming import command_of, full_name, with_name
from sqlkit.statements import read_statements
from sqlkit.testing import TestServer

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")

# The names themselves.


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("sql/soleil/songs.sql", "soleil.songs.get"),
        ("/usr/lib/python3/site-packages/sqlkit/sql/soleil/songs.sql", "soleil.songs.get"),
        ("sql/openai_frontend/usage/daily.sql", "openai_frontend.usage.daily.get"),
        ("sql/shop/sql/songs.sql", "songs.get"),
        ("sql/songs.sql", "songs.get"),
        ("src/shop/songs.sql", "shop.songs.get"),
        ("../songs.sql", "songs.get"),
        ("/songs.sql", "songs.get"),
        ("songs.sql", "songs.get"),
        ("sql/two words/a*b.sql", "two_words.a_b.get"),
    ],
)
def test_name_comes_from_the_place_of_the_file(path: str, name: str) -> None:
    """The folders below ``sql``, or the one folder of a file elsewhere, then the file, then the statement."""
    assert full_name(Path(path), "get") == name


def test_ad_hoc_sql_has_no_name() -> None:
    """What is given to ``fetch_all`` stands in no file."""
    assert sqlkit.statements.parse_statement("select 1").full_name == ""


def test_names_of_the_systems_are_their_own() -> None:
    """No two statements of the project have one name."""
    names = [statement.full_name for path in SQL.rglob("*.sql") for statement in read_statements(path)]
    assert len(names) > 200
    assert len(set(names)) == len(names)


# The comment.


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("select 1", "select /* a.b */ 1"),
        ("select(1)", "select /* a.b */(1)"),
        ("with recursive x as (select 1) select", "with /* a.b */ recursive x as (select 1) select"),
        ("((select 1) union (select 2))", "((select /* a.b */ 1) union (select 2))"),
        ("copy songs (title) from stdin", "copy /* a.b */ songs (title) from stdin"),
        ("-- select\n  /* a /* select */ b */ select 1", "-- select\n  /* a /* select */ b */ select /* a.b */ 1"),
        ("(/* a */ values (1))", "(/* a */ values /* a.b */ (1))"),
        ("--\r\nselect 1", "--\r\nselect /* a.b */ 1"),
        ("-- nothing else", "-- nothing else"),
        ("/* never ends: select", "/* never ends: select"),
        ("", ""),
    ],
)
def test_comment_stands_behind_the_first_keyword(text: str, named: str) -> None:
    """Behind the first word that is not in a comment; where there is none, the text is as it was."""
    assert with_name(text, "a.b") == named


def test_no_name_no_comment() -> None:
    """Ad hoc SQL goes to the server as it is."""
    assert with_name("select 1", "") == "select 1"


@given(st.text())
def test_no_name_ends_its_comment(name: str) -> None:
    """Whatever a folder is called: the comment is one comment, and the statement behind it the same."""
    named = with_name("select 1, 2", full_name(Path("sql", name.replace("/", ""), "a.sql"), "get"))
    kinds = [kind for kind, _, _ in tokenize(named) if kind is not Kind.SPACE]
    assert kinds == [Kind.WORD, Kind.BLOCK_COMMENT, Kind.NUMBER, Kind.PUNCTUATION, Kind.NUMBER]


def test_every_statement_of_the_project_can_carry_its_name() -> None:
    """In each variant the tokens that mean something are the same with the comment and without.

    ``sqlkit check`` describes the text without it, so that the server's positions are those of the file.
    """
    for path in SQL.rglob("*.sql"):
        for statement in read_statements(path):
            for chosen in statement.variants():
                text = statement.variant(*chosen).text
                named = with_name(text, statement.full_name)
                assert f"/* {statement.full_name} */" in named
                assert statement.full_name not in text
                assert significant(named) == significant(text)


def significant(text: str) -> list[str]:
    """Return the tokens that mean something."""
    return [text[start:end] for kind, start, end in tokenize(text) if kind not in (Kind.SPACE, Kind.BLOCK_COMMENT)]


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("select 1", "SELECT"),
        ("/* a */ (Values (1))", "VALUES"),
        ("with a as (delete from t returning 1), b as (select 1) insert into s select * from a", "INSERT"),
        ("with a as materialized (select 1) select * from a", "SELECT"),
        ("-- nothing", ""),
    ],
)
def test_command_of_a_statement(text: str, command: str) -> None:
    """It is the first word, or behind ``with`` the one that its parts lead to."""
    assert command_of(text) == command


# On servers.

WORDS = """
-- name: own_text
select query from pg_catalog.pg_stat_activity where pid = pg_catalog.pg_backend_pid();

-- name: with_text
with own as (select query from pg_catalog.pg_stat_activity where pid = pg_catalog.pg_backend_pid())
select query from own;

-- name: texts
select query from pg_catalog.pg_stat_activity, generate_series(1, 2) where pid = pg_catalog.pg_backend_pid();

-- name: add
insert into words (word) values (:word);

-- name: keep
insert into words (word, query)
select :word, query from pg_catalog.pg_stat_activity where pid = pg_catalog.pg_backend_pid()
returning query;

-- name: fill
copy words (word) from stdin;

-- name: temporary_look
select count(*) from words;

-- name: fails
select 1 / length(:word);
"""


class Word(BaseModel):
    word: str


class WordQueries(Protocol):
    def own_text(self, db: Executor) -> str: ...
    def with_text(self, db: Executor) -> str: ...
    def texts(self, db: Executor) -> Rows[str]: ...
    def add(self, db: Executor, words: Iterable[Word]) -> Affected: ...
    def keep(self, db: Executor, *, word: str) -> str: ...
    def fill(self, db: Executor, words: Iterable[Word]) -> Affected: ...
    def temporary_look(self, db: Executor) -> int: ...
    def fails(self, db: Executor, *, word: str) -> int: ...


class AsyncWordQueries(Protocol):
    async def own_text(self, db: AsyncExecutor) -> str: ...
    def texts(self, db: AsyncExecutor) -> AsyncRows[str]: ...


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of two files with the same statements."""
    folder = tmp_path_factory.mktemp("project") / "sql" / "shop"
    folder.mkdir(parents=True)
    for name in ("words.sql", "more_words.sql"):
        (folder / name).write_text(WORDS, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def words(folder: Path) -> WordQueries:
    """Give the queries of the first file."""
    loaded: WordQueries = sqlkit.load(WordQueries, folder / "words.sql")
    return loaded


@pytest.fixture(scope="module", params=["own", "15"])
def watched(request: pytest.FixtureRequest, server: TestServer) -> Iterator[Embedded]:
    """Give a server that counts and logs its statements: of the tests' version, and PostgreSQL 15."""
    bindir = server.bindir
    if request.param == "15":
        if not DEBIAN_15.is_dir():
            pytest.skip("PostgreSQL 15 is not here: apt-get install postgresql-15")
        bindir = DEBIAN_15
    settings = {"shared_preload_libraries": "pg_stat_statements", "log_statement": "all"}
    with scratch_server("sqlkit-names-", bindir=bindir, settings=settings) as started:
        with psycopg.connect(started.dsn, autocommit=True) as conn:
            conn.execute("create extension pg_stat_statements")
            conn.execute("create table words (word text, query text)")
        yield started


@pytest.fixture
def db(watched: Embedded) -> Iterator[Database]:
    """Give a database with one connection."""
    with Database.connect(watched.dsn, pool_max_size=1) as database:
        yield database


def test_activity_leads_back_to_the_file(db: Database, words: WordQueries) -> None:
    """``pg_stat_activity`` shows the name, of single calls, ``with`` queries, streams and calls in a transaction."""
    assert words.own_text(db).startswith("select /* shop.words.own_text */ query")
    assert words.with_text(db).startswith("with /* shop.words.with_text */ own as")
    assert {text.partition(" query")[0] for text in words.texts(db)} == {"select /* shop.words.texts */"}
    with db.transaction() as conn:
        assert words.own_text(conn).startswith("select /* shop.words.own_text */ query")
    assert words.own_text(db.bound(settings={"app.tenant": "1"})).startswith("select /* shop.words.own_text */")
    assert words.keep(db, word="a").startswith("insert /* shop.words.keep */ into words")


def test_activity_leads_back_on_asyncio(watched: Embedded, folder: Path) -> None:
    """The same holds for an AsyncDatabase."""
    words: AsyncWordQueries = sqlkit.load(AsyncWordQueries, folder / "words.sql")

    async def texts() -> tuple[str, list[str]]:
        async with AsyncDatabase.connect(watched.dsn, pool_max_size=1) as db:
            return await words.own_text(db), [text async for text in words.texts(db)]

    one, several = asyncio.run(texts())
    assert one.startswith("select /* shop.words.own_text */")
    assert all(text.startswith("select /* shop.words.texts */") for text in several)
    assert len(several) == 2


def test_connection_of_ones_own_carries_names_too(watched: Embedded, words: WordQueries) -> None:
    """A psycopg connection that no Database lent is no exception."""
    with psycopg.connect(watched.dsn) as conn:
        assert words.own_text(conn).startswith("select /* shop.words.own_text */")


def test_batches_and_copies_carry_their_names(watched: Embedded, db: Database, words: WordQueries) -> None:
    """``pg_stat_statements`` shows the name of a statement that ran for many items, and of a COPY."""
    with psycopg.connect(watched.dsn, autocommit=True) as conn:
        conn.execute("select pg_stat_statements_reset()")
        words.add(db, [Word(word="a"), Word(word="b")])
        words.fill(db, [Word(word="a"), Word(word="b"), Word(word="c")])
        found = conn.execute(
            "select query, calls, rows from pg_stat_statements where query like '%/* shop%'"
        ).fetchall()
    assert {(query[: query.index("*/") + 2], calls, rows) for query, calls, rows in found} == {
        ("insert /* shop.words.add */", 2, 2),
        ("copy /* shop.words.fill */", 1, 3),
    }


def test_the_log_leads_back_to_the_file(watched: Embedded, db: Database, words: WordQueries) -> None:
    """The server's log shows the name with each statement that it logs, and beside an error."""
    words.temporary_look(db)
    with pytest.raises(psycopg.errors.DivisionByZero):
        words.fails(db, word="")
    log = watched.log.read_text(encoding="utf-8")
    assert "STATEMENT:  select /* shop.words.fails */ 1 / length($1)" in log
    assert re.search(r"LOG:  execute sqlkit_\d+: select /\* shop.words.temporary_look \*/ count", log)


def test_equal_texts_stay_one_prepared_statement(db: Database, words: WordQueries, folder: Path) -> None:
    """The name is no part of what is prepared: two files with one text share a statement, which has the first name."""
    more: WordQueries = sqlkit.load(WordQueries, folder / "more_words.sql")
    with db.connection() as conn:
        assert words.own_text(conn) == more.own_text(conn)
        found = conn.execute("select statement from pg_prepared_statements where name like 'sqlkit%'").fetchall()
    assert [text for (text,) in found if "own_text" in text] == [words.own_text(db)]


def test_ad_hoc_sql_goes_as_it_is(db: Database) -> None:
    """What is given to ``fetch_all`` has no name, so it gets no comment."""
    sql = "select query from pg_stat_activity where pid = pg_backend_pid()"
    assert fetch_all(db, str, sql) == [sql]


def test_names_can_be_switched_off(watched: Embedded, words: WordQueries) -> None:
    """With ``name_statements=False`` the server gets each text as it stands in the file."""
    with Database.connect(watched.dsn, name_statements=False) as db:
        assert words.own_text(db).startswith("select query from")
        with psycopg.connect(watched.dsn) as conn:
            conn.execute("select pg_stat_statements_reset()")  # it would keep the name that it met first
            assert words.fill(db, [Word(word="a")]) == 1
            found = conn.execute("select query from pg_stat_statements where query like 'copy words%'").fetchone()
    assert found


def test_a_name_is_not_what_the_statement_does(db: Database, words: WordQueries) -> None:
    """A statement called ``temporary_look`` makes no temporary table: nothing has to be put back after it."""
    from sqlkit.connection import memory_of

    conn = db.lend("test")
    try:
        assert words.temporary_look(conn) >= 0
        assert not memory_of(conn).touched
    finally:
        db.take_back(conn)


def test_without_prepared_statements_the_name_goes_with_each_call(watched: Embedded, words: WordQueries) -> None:
    """So a pooler in transaction mode shows it too, and its text costs no statement that would be kept."""
    with Database.connect(watched.dsn, pooler="transaction", pool_max_size=1) as db:
        assert words.own_text(db).startswith("select /* shop.words.own_text */")
        assert words.own_text(db).startswith("select /* shop.words.own_text */")
        with db.connection() as conn:
            found = conn.execute("select count(*) from pg_prepared_statements").fetchone()
    assert found == (0,)


def test_connection_of_another_encoding(watched: Embedded, tmp_path: Path) -> None:
    """What the connection's encoding lacks is replaced in the name: the statement runs all the same."""

    class Queries(Protocol):
        def größe_日(self, db: Executor) -> str: ...

    path = tmp_path / "maße.sql"
    path.write_text(
        "-- name: größe_日\nselect query from pg_stat_activity where pid = pg_backend_pid();", encoding="utf-8"
    )
    queries: Queries = sqlkit.load(Queries, path)
    with psycopg.connect(watched.dsn, client_encoding="latin1") as conn:
        assert ".maße.größe__ */" in queries.größe_日(conn)
