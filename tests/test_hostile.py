"""Hostile strings, by every way in: they come back equal or are refused clearly, and nothing but the row changes."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from psycopg import sql
from pydantic import BaseModel

import sqlkit
from sqlkit import Affected, ArgumentError, AsyncExecutor, Database, Executor, One, Rows
from tests import songbook
from tests.songbook import run, write_sql

module_database = songbook.module_database

Connection = psycopg.Connection[Any]

HOSTILE = {
    "empty": "",
    "quotes": 'O\'Brien "said" \'\' "" `x`',
    "injection": "'; drop table victims; --",
    "comment openers": "-- x /* y */ /* /* -- name: z",
    "markers": "--? optional\n--| order: x\n--@ replica: ok",
    "dollar quotes": "$$ $1 $2 $tag$ $tag$; select 1; $$",
    "parameters": ":x :title %s %(x)s %% {x} {0} ?",
    "backslashes": "\\ \\\\ \\' \\n \\x41 \\u0041 E'\\''",
    "copy signs": "\\. \\N \\r \\t",
    "line ends": "a\nb\r\nc\rd\te\x0b\x0c\x85\u2028\u2029",
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f",
    "emoji": "🎷🎺 👩‍👩‍👧‍👦 🇨🇭 e\u0301 \ufe0f",
    "right to left": "\u202e\u200f\u2066שלום\u2069 العربية \u061c",
    "byte-order marks": "\ufeffx\ufeff\ufffe\uffff",
    "beyond the plane": "\U0010ffff\U00010000",
    "braces and commas": '{a,b,NULL,"x\\"y"} (a,"b") [1,2)',
    "null in words": "NULL",
    "json": '{"x": "\\u0000", "y": [1, null]}',
    "blanks": "  \u00a0\u3000 x \t ",
    "megabytes": "ä' x" * 2_000_000 + '"\\',
}

#: So much of a string goes into lists and documents, whose escaping takes long.
PART = 200_000

REFUSED = {
    "NUL": "before\0after SECRET",
    "lone high surrogate": "before\ud800after SECRET",
    "lone low surrogate": "before\udc80after SECRET",
}

TABLES = """
set client_min_messages = warning;
drop table if exists notes, plain_notes, victims;
create table victims (victim_id int primary key);
insert into victims values (1), (2), (3);
create table notes (note_id int generated always as identity, body text, tags text[], doc jsonb, raw json);
create table plain_notes (body varchar, numbers int[]);
"""

STATEMENTS = """
-- name: echo
select :text::text;
-- name: compare
select :text = :other::text;
-- name: by_any
select :text = any(:texts::text[]);
-- name: texts
select :texts::text[];
-- name: insert_note
insert into notes (body, tags, doc, raw) values (:note.body, :note.tags, :note.doc, :note.raw)
returning body, tags, doc;
-- name: insert_notes
insert into notes (body, tags, doc, raw) values (:body, :tags, :doc, :raw) returning body, tags, doc;
-- name: copy_notes
copy notes (body, doc, raw) from stdin;
-- name: copy_plain
copy plain_notes (body, numbers) from stdin;
-- name: bodies
select body from notes order by note_id;
-- name: docs
select doc->>'x' from notes order by note_id;
-- name: raws
select raw->>'x' from notes order by note_id;
-- name: plain_bodies
select body from plain_notes;
-- name: find
select count(*) from notes
where
    true
    and body = :body                --? optional
    and doc @> :doc::jsonb          --? optional
;
-- name: stream
select body from notes where body = :body;
-- name: setting
select current_setting('app.text', true);
"""


class Note(BaseModel):
    """A note whose every part is the string."""

    body: str
    tags: list[str]
    doc: dict[str, Any]
    raw: dict[str, Any] = {}
    numbers: list[int] = []


class Read(BaseModel):
    """A note as it is read."""

    body: str
    tags: list[str]
    doc: dict[str, Any]


class Notes(Protocol):
    """Ways in and out."""

    def echo(self, db: Executor, text: str) -> str: ...
    def compare(self, db: Executor, text: str, other: str) -> bool: ...
    def by_any(self, db: Executor, text: str, texts: list[str]) -> bool: ...
    def texts(self, db: Executor, texts: list[str]) -> One[list[str]]: ...
    def insert_note(self, db: Executor, note: Note) -> Read: ...
    def insert_notes(self, db: Executor, notes: Iterable[Note]) -> list[Read]: ...
    def copy_notes(self, db: Executor, notes: Iterable[Note]) -> Affected: ...
    def copy_plain(self, db: Executor, notes: Iterable[Note]) -> Affected: ...
    def bodies(self, db: Executor) -> list[str]: ...
    def docs(self, db: Executor) -> list[str]: ...
    def raws(self, db: Executor) -> list[str]: ...
    def plain_bodies(self, db: Executor) -> list[str]: ...
    def find(self, db: Executor, body: str | None = None, doc: dict[str, Any] | None = None) -> int: ...
    def stream(self, db: Executor, body: str) -> Rows[str]: ...
    def setting(self, db: Executor) -> str: ...


class AsyncNotes(Protocol):
    """Some of them on asyncio."""

    async def echo(self, db: AsyncExecutor, text: str) -> str: ...
    async def insert_note(self, db: AsyncExecutor, note: Note) -> Read: ...
    async def insert_notes(self, db: AsyncExecutor, notes: Iterable[Note]) -> list[Read]: ...
    async def copy_notes(self, db: AsyncExecutor, notes: Iterable[Note]) -> Affected: ...
    async def bodies(self, db: AsyncExecutor) -> list[str]: ...


def note_of(text: str) -> Note:
    """Return a note with a string in every place; what is very long is cut in lists and documents."""
    part = text[:PART]
    return Note(body=text, tags=[part, part], doc={"x": part, part: [part]}, raw={"x": part})


def read_of(text: str) -> Read:
    """Return the note as it must come back."""
    part = text[:PART]
    return Read(body=text, tags=[part, part], doc={"x": part, part: [part]})


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    """Give the queries."""
    loaded: Notes = sqlkit.load(Notes, write_sql(tmp_path, STATEMENTS))
    return loaded


@pytest.fixture
def conn(module_database: str) -> Iterator[Connection]:
    """Give a connection to new tables; afterwards nothing but the notes has changed."""
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute(TABLES)
        before = outside(connection)
        yield connection
        assert outside(connection) == before


def outside(conn: Connection) -> list[Any]:
    """Return what no string may change: tables, roles, schemas, functions, the victims."""
    return [
        conn.execute(text).fetchall()
        for text in (
            "select oid::regclass::text from pg_class where relnamespace = 'public'::regnamespace order by 1",
            "select rolname from pg_roles order by 1",
            "select nspname from pg_namespace where nspname not like 'pg_%temp%' order by 1",
            "select count(*) from pg_proc",
            "select victim_id from victims order by 1",
        )
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_string_comes_back_equal(name: str, notes: Notes, conn: Connection) -> None:
    """Through a parameter, twice in a statement, in an array, in a filter: it is data and stays as it is."""
    text = HOSTILE[name]
    for _ in range(2):
        assert notes.echo(conn, text) == text
    assert notes.compare(conn, text, text)
    assert notes.by_any(conn, text, ["x", text])
    assert notes.texts(conn, [text, "", text]) == [text, "", text]


@pytest.mark.parametrize("name", HOSTILE)
def test_string_is_stored_equal(name: str, notes: Notes, conn: Connection) -> None:
    """Through a model's fields, a batch and a copy, in text, arrays and JSON."""
    text = HOSTILE[name]

    assert notes.insert_note(conn, note_of(text)) == read_of(text)
    assert notes.insert_notes(conn, [note_of(text), note_of(text)]) == [read_of(text)] * 2
    assert notes.copy_notes(conn, (note_of(text) for _ in range(2))) == 2
    assert notes.copy_plain(conn, [note_of(text)]) == 1
    assert notes.bodies(conn) == [text] * 5
    assert notes.docs(conn) == notes.raws(conn) == [text[:PART]] * 5
    assert notes.plain_bodies(conn) == [text]
    assert notes.find(conn, body=text) == 5
    assert notes.find(conn, doc={"x": text[:PART]}) == 5
    assert list(notes.stream(conn, text)) == [text] * 5


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "megabytes"])
def test_string_in_adhoc_sql(name: str, conn: Connection) -> None:
    """Ad hoc statements take it as a parameter too, of whatever shape."""
    text = HOSTILE[name]
    assert sqlkit.fetch_one(conn, str, "select :text::text", text=text) == text
    assert sqlkit.execute(conn, "insert into notes (body) values (:body)", body=text) == 1
    assert sqlkit.fetch_all(conn, str, "select body from notes where body = any(:texts)", texts=[text]) == [text]


@pytest.mark.parametrize("name", HOSTILE)
def test_string_on_asyncio(name: str, module_database: str, conn: Connection, tmp_path: Path) -> None:
    """On asyncio as well."""
    text = HOSTILE[name]
    notes: AsyncNotes = sqlkit.load(AsyncNotes, write_sql(tmp_path, STATEMENTS))

    async def main() -> None:
        async with await psycopg.AsyncConnection.connect(module_database, autocommit=True) as connection:
            assert await notes.echo(connection, text) == text
            assert await notes.insert_note(connection, note_of(text)) == read_of(text)
            assert await notes.insert_notes(connection, [note_of(text)]) == [read_of(text)]
            assert await notes.copy_notes(connection, [note_of(text)]) == 1
            assert await notes.bodies(connection) == [text] * 3

    run(main())


@pytest.mark.parametrize("name", [name for name in HOSTILE if name not in ("megabytes", "empty")])
def test_string_in_a_bound_view(name: str, notes: Notes, module_database: str, conn: Connection) -> None:
    """As a setting's value it reaches the server as it is, in a call's pipeline and in a block's BEGIN."""
    text = HOSTILE[name]
    with Database.connect(module_database, pool_max_size=1) as db:
        view = db.bound(settings={"app.text": text})
        for _ in range(2):
            assert notes.setting(view) == text
            with view.connection() as lent:
                assert notes.setting(lent) == text
                assert notes.echo(lent, text) == text


@pytest.mark.parametrize(
    "schema", ["O'Brien", 'a"b', "x; drop table victims", "-- x", "$$", "%s", "ünïcode 🎷", "Upper", "a.b", "\\"]
)
def test_schema_of_any_name(schema: str, notes: Notes, module_database: str, conn: Connection) -> None:
    """A tenant's schema may have any name that PostgreSQL takes."""
    conn.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
    try:
        conn.execute(sql.SQL("create table {}.notes (note_id int, body text)").format(sql.Identifier(schema)))
        with Database.connect(module_database, pool_max_size=1) as db:
            view = db.bound(schema=schema)
            for number in range(2):
                assert sqlkit.execute(view, "insert into notes values (:n, 'theirs')", n=number) == 1
                assert notes.bodies(view) == ["theirs"] * (number + 1)
                with view.transaction() as lent:
                    assert notes.bodies(lent) == ["theirs"] * (number + 1)
        with Database.connect(module_database, schema=schema, pool_max_size=1) as db:
            assert notes.bodies(db) == ["theirs"] * 2
        assert notes.bodies(conn) == []
    finally:
        conn.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(schema)))


WAYS: dict[str, Callable[[Notes, Connection, str], object]] = {
    "parameter": lambda notes, conn, text: notes.echo(conn, text),
    "array": lambda notes, conn, text: notes.texts(conn, ["fine", text]),
    "JSON": lambda notes, conn, text: notes.find(conn, doc={"x": [text]}),
    "JSON key": lambda notes, conn, text: notes.find(conn, doc={text: 1}),
    "model": lambda notes, conn, text: notes.insert_note(conn, Note(body=text, tags=[], doc={})),
    "batch": lambda notes, conn, text: notes.insert_notes(conn, [note_of("fine"), note_of(text)]),
    "copy": lambda notes, conn, text: notes.copy_notes(conn, [note_of("fine"), Note(body=text, tags=[], doc={})]),
    "copy of JSON": lambda notes, conn, text: notes.copy_notes(
        conn, [note_of("fine"), Note(body="x", tags=[], doc={"x": text})]
    ),
    "copy as text": lambda notes, conn, text: notes.copy_plain(conn, [note_of("fine"), note_of(text)]),
    "stream": lambda notes, conn, text: list(notes.stream(conn, text)),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("way", WAYS)
def test_what_postgresql_cannot_hold_is_refused(way: str, name: str, notes: Notes, conn: Connection) -> None:
    """NUL and lone surrogates are errors that name query and place, without the text; nothing is written."""
    with pytest.raises((ArgumentError, psycopg.DataError)) as caught:
        WAYS[way](notes, conn, REFUSED[name])
    said = "".join(traceback.format_exception_only(caught.value))
    assert "songs.sql:" in said
    assert "SECRET" not in said
    if way == "parameter":
        assert "'text'" in said
    if way in ("batch", "copy", "copy of JSON", "copy as text") and name != "NUL":
        assert "item 2" in said
    assert notes.bodies(conn) == notes.plain_bodies(conn) == []
    assert notes.echo(conn, "fine") == "fine"


@pytest.mark.parametrize("name", REFUSED)
def test_refusal_inside_a_transaction_leaves_it_alive(
    name: str, notes: Notes, module_database: str, conn: Connection
) -> None:
    """What is refused before it is sent costs nothing: the transaction goes on."""
    with psycopg.connect(module_database) as connection:
        notes.insert_note(connection, note_of("kept"))
        with pytest.raises((ArgumentError, psycopg.DataError)):
            notes.echo(connection, REFUSED[name])
        with pytest.raises((ArgumentError, psycopg.DataError)):
            notes.insert_notes(connection, [note_of("undone"), note_of(REFUSED[name])])
        assert notes.bodies(connection) == ["kept"]
    assert notes.bodies(conn) == ["kept"]


def test_hostile_strings_side_by_side(module_database: str, conn: Connection, tmp_path: Path) -> None:
    """Many tasks on one database, each with its own string: none gets another's."""
    notes: AsyncNotes = sqlkit.load(AsyncNotes, write_sql(tmp_path, STATEMENTS))
    texts = [text for name, text in HOSTILE.items() if name != "megabytes"]

    async def main() -> list[str]:
        async with await sqlkit.AsyncDatabase.connect(module_database, pool_max_size=3) as db:
            return await asyncio.gather(*(notes.echo(db, text) for text in texts * 5))

    assert run(main()) == texts * 5
