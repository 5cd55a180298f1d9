"""What the catalogue says beside the tree: the values that a CHECK leaves to a column, and what a copy takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sqlkit.describing.describe import describe
from sqlkit.describing.description import Described, DescribedColumn, Description, Refused
from sqlkit.statements import parse_statements
from sqlkit.testing import TestServer, dropped_afterwards

SCHEMA = """
create type mood as enum ('happy', 'sad');
create domain short as varchar(3) not null;
create table checked (
    listed text check (listed in ('a', 'b')),
    one text check (one in ('a')),
    any_of text check (any_of = any('{a,"b c",déjà}'::text[])),
    limited varchar(9) check (limited in ('a', 'b')),
    padded char(2) check (padded in ('ab', 'cd')),
    chosen text check (chosen = 'a' or chosen is null or chosen in ('b', 'c')),
    both_of text check (both_of in ('a', 'b', 'c') and both_of <> 'd' and both_of in ('b', 'c', 'd')),
    twice text check (twice in ('a', 'b')) check (twice in ('b', 'c')),
    elements text[] check (elements <@ array['a', 'b']),
    short_elements varchar(3)[] check (short_elements <@ '{a,b}'),
    number int check (number in (1, -2)),
    small smallint check (small in (1, 2)),
    pattern text check (pattern ~ '^a'),
    either_of text check (either_of in ('a') or either_of like 'b%'),
    of_another text check (number > 1 or of_another in ('a')),
    lowered text check (lower(lowered) in ('a', 'b')),
    denied text check (denied not in ('a', 'b')),
    unchecked text
);
create view shown as select listed as renamed, upper(listed) as changed, unchecked from checked;
create view shown_again as select * from shown;
create table loose (value text);
alter table loose add constraint loose_value_check check (value in ('a')) not valid;
create table parts (value text check (value in ('a', 'b'))) partition by list (value);
create table parts_a partition of parts for values in ('a');
create table songs (
    song_id bigint primary key,
    title text not null,
    "Mood" mood,
    length numeric(5, 2),
    label short,
    doubled bigint generated always as (song_id * 2) stored
);
"""


@pytest.fixture(scope="module")
def db(server: TestServer) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection to a database with the tables."""
    with (
        dropped_afterwards(server, None, "copied") as database,
        psycopg.connect(server.dsn_for(database), autocommit=True) as connection,
    ):
        connection.execute(SCHEMA)
        yield connection


def described(db: psycopg.Connection[Any], sql: str) -> Description:
    """Return the description of a statement."""
    (description,) = describe(db, parse_statements(f"-- name: query\n{sql}\n", Path("query.sql")))
    return description


def column(db: psycopg.Connection[Any], sql: str) -> DescribedColumn:
    """Return the one column of a statement."""
    outcome = described(db, sql).outcome
    assert isinstance(outcome, Described)
    (found,) = outcome.columns
    return found


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("listed", ("a", "b")),
        ("one", ("a",)),
        ("any_of", ("a", "b c", "déjà")),
        ("limited", ("a", "b")),
        ("padded", ("ab", "cd")),
        ("chosen", ("a", "b", "c")),
        ("both_of", ("b", "c")),
        ("twice", ("b",)),
        ("elements", ("a", "b")),
        ("short_elements", ("a", "b")),
        ("number", (1, -2)),
        ("small", (1, 2)),
        ("pattern", None),
        ("either_of", None),
        ("of_another", None),
        ("lowered", None),
        ("denied", None),
        ("unchecked", None),
        ("upper(listed)", None),
    ],
)
def test_values_of_checks(db: psycopg.Connection[Any], name: str, values: tuple[object, ...] | None) -> None:
    """A check with constants leaves those values; any other check leaves any."""
    assert column(db, f"select {name} from checked").values == values


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("select renamed from shown", ("a", "b")),
        ("select renamed from shown_again", ("a", "b")),
        ("select changed from shown", None),
        ("select unchecked from shown", None),
        ("select value from loose", None),
        ("select value from parts", ("a", "b")),
        ("select listed from (select listed from checked) as inside", ("a", "b")),
        ("insert into checked (listed) values ('a') returning listed", ("a", "b")),
    ],
)
def test_where_checks_hold(db: psycopg.Connection[Any], sql: str, values: tuple[object, ...] | None) -> None:
    """A check is followed through views and partitions; one that is not validated says nothing."""
    assert column(db, sql).values == values


def test_what_a_copy_takes(db: psycopg.Connection[Any]) -> None:
    """A copy takes a parameter for each column, with its type, and the column where it is NOT NULL."""
    outcome = described(db, 'copy songs (song_id, title, "Mood", length, label) from stdin').outcome
    assert isinstance(outcome, Described)
    assert [(str(part.reference), part.type.name, part.target) for part in outcome.parameters] == [
        ("song_id", "bigint", "songs.song_id"),
        ("title", "text", "songs.title"),
        ("Mood", "mood", None),
        ("length", "numeric(5,2)", None),
        ("label", "short", None),
    ]
    assert outcome.parameters[2].type.labels == ("happy", "sad")
    assert (outcome.columns, outcome.unproved) == ((), "copy has no tree")


@pytest.mark.parametrize(
    ("sql", "sqlstate"),
    [
        ("copy songs (song_id, titel) from stdin", "42703"),
        ("copy song (song_id) from stdin", "42P01"),
        ("copy songs (song_id, doubled) from stdin", "42P10"),
    ],
)
def test_a_copy_that_will_be_refused(db: psycopg.Connection[Any], sql: str, sqlstate: str) -> None:
    """What PostgreSQL will say against a copy is said beforehand, as it says it."""
    outcome = described(db, sql).outcome
    with pytest.raises(psycopg.Error) as caught, db.cursor().copy(sql.encode()):
        pass
    assert isinstance(outcome, Refused)
    assert (outcome.sqlstate, outcome.message) == (sqlstate, caught.value.diag.message_primary)
    assert caught.value.sqlstate == sqlstate
