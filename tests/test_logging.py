"""A Database with debug logs each statement by its name, and never a value."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import pytest
from pydantic import BaseModel

import sqlkit
from sqlkit import Affected, Database, Executor, Rows

SQL = """
-- name: echo
select :word::text;

-- name: letters
select unnest(array['a', 'b']);

-- name: make
create temporary table words (word text);

-- name: keep
insert into words (word) values (:word);

-- name: fill
copy words (word) from stdin;
"""


class Word(BaseModel):
    word: str


class Words(Protocol):
    def echo(self, db: Executor, *, word: str) -> str: ...
    def letters(self, db: Executor) -> Rows[str]: ...
    def make(self, db: Executor) -> None: ...
    def keep(self, db: Executor, words: Iterable[Word]) -> Affected: ...
    def fill(self, db: Executor, words: Iterable[Word]) -> Affected: ...


@pytest.mark.direct("such a statement is refused there: tests/test_pooler.py")
@pytest.mark.parametrize("debug", [True, False])
def test_statements_are_logged_by_name(dsn: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, debug: bool) -> None:
    """Each call is one line with file, line and name; without debug there is none."""
    path = tmp_path / "words.sql"
    path.write_text(SQL, encoding="utf-8")
    words: Words = sqlkit.load(Words, path)
    with caplog.at_level(logging.INFO, "sqlkit.queries"), Database.connect(dsn, debug=debug) as db:
        assert words.echo(db, word="secret") == "secret"
        assert list(words.letters(db)) == ["a", "b"]
        with db.connection() as conn:
            words.make(conn)
            words.keep(conn, [Word(word="secret")])
            words.fill(conn, [Word(word="secret")])
    names = ["2: echo", "5: letters", "8: make", "11: keep", "14: fill"]
    assert caplog.messages == ([f"{path}:{name}" for name in names] if debug else [])
