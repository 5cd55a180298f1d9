"""UNSET is never sent: where a line that stands wants a value that was not given, the call says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Protocol

import psycopg
import pytest

import sqlkit
from sqlkit import UNSET, ArgumentError, Executor, Unset

SQL = """
-- name: tunes
select title
from (values ('Solar', 'C'), ('Misty', 'Eb')) as tunes (title, key)
where
    true
    and key is not distinct from :key   --? optional
order by title                          --| order: title
-- order by key = :key, title           --| order: key
"""


class Tunes(Protocol):
    def tunes(
        self, db: Executor, *, key: str | Unset | None = UNSET, order: Literal["title", "key"] = "title"
    ) -> list[str]: ...


@pytest.fixture
def tunes(tmp_path: Path) -> Tunes:
    """Give the queries on a file of their own."""
    path = tmp_path / "tunes.sql"
    path.write_text(SQL, encoding="utf-8")
    loaded: Tunes = sqlkit.load(Tunes, path)
    return loaded


def test_unset_leaves_the_line_out_and_none_is_a_value(conn: psycopg.Connection[Any], tunes: Tunes) -> None:
    """A parameter whose default is UNSET is given when it is None."""
    assert tunes.tunes(conn) == ["Misty", "Solar"]
    assert tunes.tunes(conn, key=None) == []
    assert tunes.tunes(conn, key="C", order="key") == ["Solar"]


def test_unset_in_a_line_that_stands_is_refused(conn: psycopg.Connection[Any], tunes: Tunes) -> None:
    """A chosen line that wants the parameter makes it one that must be given."""
    with pytest.raises(ArgumentError, match=r"tunes.sql:2: tunes: parameter 'key': it is UNSET"):
        tunes.tunes(conn, order="key")
