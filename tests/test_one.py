"""``One[...]`` is exactly one value, with whatever else its annotation says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Protocol

import psycopg
import pytest
from psycopg.types.range import Range
from pydantic import Field

import sqlkit
from sqlkit import Executor, NoRow, One, PgRange, RowError

SQL = """
-- name: numbers
select int4range(1, 5);

-- name: large
select :number::integer;

-- name: letters
select array['a', 'b'] where :there::boolean;

-- name: styled
select interval '1 day', point '(1,2)';
"""


class Ones(Protocol):
    def numbers(self, db: Executor) -> One[PgRange[int]]: ...
    def large(self, db: Executor, *, number: int) -> One[Annotated[int, Field(gt=5)]]: ...
    def letters(self, db: Executor, *, there: bool) -> One[list[str]]: ...
    def styled(self, db: Executor) -> tuple[Any, str]: ...


@pytest.fixture
def ones(tmp_path: Path) -> Ones:
    """Give the queries on a file of their own."""
    path = tmp_path / "ones.sql"
    path.write_text(SQL, encoding="utf-8")
    loaded: Ones = sqlkit.load(Ones, path)
    return loaded


def test_an_annotated_type_keeps_what_it_says(conn: psycopg.Connection[Any], ones: Ones) -> None:
    """A range and a constraint inside One are what they are outside."""
    assert ones.numbers(conn) == Range(1, 5)
    assert ones.large(conn, number=6) == 6
    with pytest.raises(RowError, match="greater than 5"):
        ones.large(conn, number=5)


def test_an_array_is_one_value(conn: psycopg.Connection[Any], ones: Ones) -> None:
    """A list inside One is one array, and no row is NoRow."""
    assert ones.letters(conn, there=True) == ["a", "b"]
    with pytest.raises(NoRow):
        ones.letters(conn, there=False)


def test_a_style_that_psycopg_cannot_read_names_the_column(conn: psycopg.Connection[Any], ones: Ones) -> None:
    """A result in text under a foreign IntervalStyle is a RowError, not psycopg's NotImplementedError."""
    conn.execute("set local intervalstyle to 'sql_standard'")
    with pytest.raises(RowError, match="column 'interval': Python cannot hold this interval") as caught:
        ones.styled(conn)
    assert caught.value.column == "interval"
