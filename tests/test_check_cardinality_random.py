"""Queries made at random: none that is said to give one row at most gives two, whatever is in the tables."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from sqlkit.describing.describe import describe
from sqlkit.describing.description import Described
from sqlkit.statements import Statement, parse_statement
from sqlkit.testing import TestServer, dropped_afterwards

TABLES = """
create table t (id int primary key, a int, b int, c text unique, unique (a, b));
create table u (u_id int primary key, t_id int, x int, unique (x, t_id));
create table e (e_id int unique, gone int, code text);
create unique index e_code on e (code) where gone is null;
create unique index e_lower on e (lower(code), gone);
create table late (l_id int, k int unique deferrable initially deferred);
create table part (p_id int, day int, primary key (p_id, day)) partition by range (day);
create table part_1 partition of part for values from (0) to (2);
create table part_2 partition of part for values from (2) to (9);
create view named as select id as k, a, c from t where b is not null;
create view joined as select t.id, u.u_id, e.code from t left join u on u.t_id = t.id left join e on e.e_id = u.x;
create view grouped as select t_id, count(*)::int as n from u group by t_id;
"""

#: What can be joined: its columns of integers and those of text.
SOURCES: list[tuple[str, list[str], list[str]]] = [
    ("t", ["id", "a", "b"], ["c"]),
    ("t", ["id", "a", "b"], ["c"]),
    ("u", ["u_id", "t_id", "x"], []),
    ("u", ["u_id", "t_id", "x"], []),
    ("e", ["e_id", "gone"], ["code"]),
    ("late", ["l_id", "k"], []),
    ("part", ["p_id", "day"], []),
    ("named", ["k", "a"], ["c"]),
    ("joined", ["id", "u_id"], ["code"]),
    ("grouped", ["t_id", "n"], []),
    ("(select distinct a, b from t)", ["a", "b"], []),
    ("(select distinct on (x) x, t_id from u order by x, t_id)", ["x", "t_id"], []),
    ("(select id from t union select u_id from u)", ["id"], []),
    ("(select id, a from t union select u_id, x from u)", ["id", "a"], []),
    ("(select id, a from t intersect select u_id, x from u)", ["id", "a"], []),
    ("(select id from t union all select u_id from u)", ["id"], []),
    ("(select x, t_id, max(u_id) as m from u group by x, t_id)", ["x", "t_id", "m"], []),
    ("(select x, t_id from u group by rollup (x, t_id))", ["x", "t_id"], []),
    ("(values (1), (2))", ["column1"], []),
    ("(values (1, 2))", ["column1", "column2"], []),
    ("(select a, b from t order by id limit 1)", ["a", "b"], []),
    ("(select max(a) as a from t)", ["a"], []),
    ("(select u_id, generate_series(0, 1) as n from u)", ["u_id", "n"], []),
    ("(select t.id, u.x from t full join u on u.t_id = t.id)", ["id", "x"], []),
    ("(select id, row_number() over (order by id)::int as n from t)", ["id", "n"], []),
]

OFTEN, SELDOM = 0.8, 0.2

#: Conditions with a subquery, which may refer to the row around it.
SUBQUERIES = [
    "{column} in (select x from u where u_id = {other})",
    "{column} in (select x from u where t_id = {other})",
    "{column} = any(select max(x) from u where t_id = {other})",
    "{column} = (select max(x) from u where t_id = {other})",
    "{column} not in (select x from u where u_id = {other})",
    "exists (select from u where u_id = {other} and x = {column})",
    "({column}, {other}) in (select x, t_id from u where u_id = 1)",
]

#: Relations that refer to a column of one beside them.
LATERALS = [
    "lateral (select {column} as k, x as m from u where u_id = {column})",
    "lateral (select x as k, u_id as m from u where t_id = {column} order by u_id limit 1)",
    "lateral (select count(*)::int as k, max(x) as m from u where t_id = {column})",
    "lateral (select {column} as k, 1 as m)",
    "lateral (values ({column}, 2))",
]


@dataclass
class Scope:
    """The columns that can be named, by type."""

    chance: random.Random
    numbers: list[str]
    texts: list[str]

    def condition(self) -> str:
        """Return a condition on the columns, mostly an equality."""
        chance = self.chance
        if self.texts and chance.random() < SELDOM:
            column = chance.choice(self.texts)
            other = chance.choice([":s", "'a'", *self.texts])
            return chance.choice([f"{column} = {other}", f"lower({column}) = lower({other})", f"{column} is not null"])
        column = chance.choice(self.numbers)
        other = chance.choice(
            [":i", ":j", "1", "2", *self.numbers, *self.numbers, f"{chance.choice(self.numbers)} + 1"]
        )
        equal = f"{column} = {other}"
        if chance.random() < SELDOM / 2:
            return chance.choice(SUBQUERIES).format(column=column, other=other)
        unlike = [
            f"{column} >= 1",
            f"{column} is null",
            f"({equal} or {column} = 0)",
            f"coalesce({column}, 1) = {other}",
        ]
        return equal if chance.random() < OFTEN else chance.choice(unlike)

    def conditions(self, most: int, least: int = 0) -> str:
        """Return some conditions, which all must hold."""
        return " and ".join(self.condition() for _ in range(self.chance.randint(least, most)))


def tree(chance: random.Random, count: int, number: Iterator[int]) -> tuple[str, Scope]:
    """Return a FROM item that joins some sources, and its columns."""
    if count == 1:
        source, numbers, texts = chance.choice(SOURCES)
        name = f"s{next(number)}"
        columns = Scope(chance, [f"{name}.{column}" for column in numbers], [f"{name}.{column}" for column in texts])
        return f"{source} as {name}", columns
    left = chance.randint(1, count - 1)
    one, here = tree(chance, left, number)
    if chance.random() < SELDOM / 2:
        name = f"s{next(number)}"
        source = chance.choice(LATERALS).format(column=chance.choice(here.numbers))
        kind = chance.choice(["inner join", "left join"])
        scope = Scope(chance, [*here.numbers, f"{name}.k", f"{name}.m"], here.texts)
        return f"{one} {kind} {source} as {name} (k, m) on {chance.choice(['true', f'{name}.k = 1'])}", scope
    other, there = tree(chance, count - left, number)
    scope = Scope(chance, here.numbers + there.numbers, here.texts + there.texts)
    kind = chance.choice(
        ["inner join", "inner join", "left join", "left join", "right join", "full join", "cross join"]
    )
    other = f"({other})" if " join " in other and not other.startswith("(") else other
    if kind == "cross join":
        return f"{one} {kind} {other}", scope
    link = f"{chance.choice(here.numbers)} = {chance.choice(there.numbers)}"
    more = f" and {scope.condition()}" if chance.random() < SELDOM else ""
    return f"{one} {kind} {other} on {link}{more}", scope


def select(chance: random.Random) -> str:
    """Return a query."""
    source, scope = tree(chance, chance.choice([1, 1, 2, 2, 3, 4]), iter(range(9)))
    where = scope.conditions(4)
    text = f" from {source}" + (f" where {where}" if where else "")
    columns = chance.sample(scope.numbers, min(len(scope.numbers), chance.randint(1, 2)))
    form = chance.random()
    if form < 0.1:
        return f"select distinct {', '.join(columns)}{text}"
    if form < 0.2:
        return f"select {', '.join(columns)}, count(*){text} group by {', '.join(columns)}"
    if form < 0.25:
        return f"select distinct on ({columns[0]}) {', '.join(scope.numbers)}{text}"
    if form < 0.35:
        names = ", ".join(f"{column} as c{index}" for index, column in enumerate(scope.numbers))
        outer = Scope(chance, [f"q.c{index}" for index in range(len(scope.numbers))], [])
        return f"select 1 from (select {names}{text}) as q where {outer.conditions(3, 1)}"
    return f"select {', '.join(columns)}{text}"


def write(chance: random.Random) -> str:
    """Return an update or delete of a table that is joined with others."""
    name, numbers, texts = chance.choice(
        [source for source in SOURCES if source[0] in ("t", "u", "e", "part", "named")]
    )
    own = Scope(chance, [f"w.{column}" for column in numbers], [f"w.{column}" for column in texts])
    source, scope = tree(chance, chance.choice([1, 2]), iter(range(9)))
    both = Scope(chance, own.numbers * 2 + scope.numbers, own.texts + scope.texts)
    where = " and ".join(filter(None, [own.conditions(2), both.conditions(2, 1)]))
    if chance.random() < 0.5:
        return f"delete from {name} as w using {source} where {where} returning 1"
    column = numbers[0]
    return f"update {name} as w set {column} = w.{column} from {source} where {where} returning 1"


@pytest.fixture
def filling(server: TestServer) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection in autocommit to a database with the tables, empty."""
    with dropped_afterwards(server) as database, psycopg.connect(server.dsn_for(database), autocommit=True) as conn:
        conn.execute(TABLES)
        yield conn


def fill(conn: psycopg.Connection[Any], chance: random.Random) -> None:
    """Fill the tables at random, as densely as their constraints let."""
    small, texts = [None, 0, 1, 2], [None, "a", "A", "b"]

    def add(table: str, columns: str, *kinds: list[Any]) -> None:
        rows = [[chance.choice(kind) for kind in kinds] for _ in range(chance.choice([0, 3, 9, 15]))]
        query = f"insert into {table} ({columns}) values ({', '.join(['%s'] * len(kinds))}) on conflict do nothing"
        with conn.cursor() as cursor:
            cursor.executemany(query, rows)

    add("t", "id, a, b, c", [*range(6)], small, small, [None, *texts])
    add("u", "u_id, t_id, x", [*range(6)], small, small)
    add("e", "e_id, gone, code", [*range(6), None], small, texts)
    add("part", "p_id, day", small[1:], small[1:])
    conn.execute("insert into late values (0, 1), (1, 1), (1, 2)")


def proved(
    conn: psycopg.Connection[Any], make: Callable[[random.Random], str], seed: int, count: int
) -> list[Statement]:
    """Return, of so many statements made at random, those of which one row at most is proved."""
    chance = random.Random(seed)
    statements = [parse_statement(make(chance), name=f"q{index}") for index in range(count)]
    return [
        description.statement
        for description in describe(conn, statements)
        if isinstance(description.outcome, Described) and description.outcome.single
    ]


def most_rows(conn: psycopg.Connection[Any], statement: Statement, chance: random.Random) -> int:
    """Run a statement with random arguments and undo it; return how many rows came."""
    given = {"i": chance.choice([None, 0, 1, 2]), "j": chance.choice([0, 1]), "s": chance.choice("aAb")}
    variant = statement.variant()
    arguments = [given[reference.name] for reference in variant.references]
    with conn.transaction(force_rollback=True):
        return len(psycopg.RawCursor(conn).execute(variant.text.encode(), arguments).fetchall())


@pytest.mark.parametrize(
    ("make", "count", "enough"),
    [(select, 800, 100), (write, 300, 40)],
)
def test_no_random_query_refutes_its_proof(
    filling: psycopg.Connection[Any], make: Callable[[random.Random], str], count: int, enough: int
) -> None:
    """Whatever is proved of statements made at random holds for many fillings and arguments."""
    statements = proved(filling, make, 1, count)
    assert len(statements) >= enough
    chance = random.Random(2)
    came = 0
    filling.autocommit = False
    for _ in range(6):
        with filling.transaction(force_rollback=True):
            fill(filling, chance)
            for statement in statements:
                rows = most_rows(filling, statement, chance)
                assert rows <= 1, statement.text
                came += rows
    assert came > len(statements) // 4
