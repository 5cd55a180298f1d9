"""A schema that changes under prepared statements: calls go on, and in a transaction the error says what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest

import sqlkit
from sqlkit import Affected, AsyncDatabase, AsyncExecutor, AsyncRows, Database, Executor, Rows
from tests import songbook
from tests.songbook import kept, prepared_statements, run, write_sql

module_database = songbook.module_database

Connection = psycopg.Connection[Any]

#: The statements of every test, on whatever ``things`` is at the moment.
STATEMENTS = """
-- name: every
select * from things order by 1;

-- name: labels
select label::text from things order by 1;

-- name: by_label
select count(*) from things where label = :label;

-- name: by_number
select count(*) from things where number = :number;

-- name: add
insert into things (number) values (:number) returning number::text;

-- name: add_all
insert into things (number) values (:number) returning number::text;

-- name: copy_all
copy things (number) from stdin;

-- name: stream
select * from things order by 1;

-- name: answer
select answer();
"""


class Doing(Protocol):
    """Queries that do not mind what the columns are."""

    def labels(self, db: Executor) -> list[str]: ...
    def by_label(self, db: Executor, label: str) -> int: ...
    def by_number(self, db: Executor, number: Any) -> int: ...
    def add(self, db: Executor, number: Any) -> str: ...
    def add_all(self, db: Executor, items: Iterable[dict[str, Any]]) -> list[str]: ...
    def copy_all(self, db: Executor, items: Iterable[dict[str, Any]]) -> Affected: ...
    def every(self, db: Executor) -> Affected: ...
    def stream(self, db: Executor) -> Rows[tuple[Any, Any]]: ...
    def answer(self, db: Executor) -> Affected: ...


class AsyncDoing(Protocol):
    """The same on asyncio."""

    async def labels(self, db: AsyncExecutor) -> list[str]: ...
    async def by_label(self, db: AsyncExecutor, label: str) -> int: ...
    async def by_number(self, db: AsyncExecutor, number: Any) -> int: ...
    async def add(self, db: AsyncExecutor, number: Any) -> str: ...
    async def add_all(self, db: AsyncExecutor, items: Iterable[dict[str, Any]]) -> list[str]: ...
    async def copy_all(self, db: AsyncExecutor, items: Iterable[dict[str, Any]]) -> Affected: ...
    async def every(self, db: AsyncExecutor) -> Affected: ...
    def stream(self, db: AsyncExecutor) -> AsyncRows[tuple[Any, Any]]: ...
    async def answer(self, db: AsyncExecutor) -> Affected: ...


TABLE = """
drop table if exists things cascade;
drop type if exists label cascade;
create type label as enum ('red', 'blue');
create table things (number int, label label);
insert into things values (1, 'red'), (2, 'blue');
drop function if exists answer();
create function answer() returns int language sql as 'select 42';
"""

#: What may happen to the schema, and what a query makes of it afterwards.
CHANGES: dict[str, tuple[str, str, list[Any]]] = {
    "column added": ("alter table things add extra text", "every", []),
    "column dropped": ("alter table things drop label", "every", []),
    "column renamed": ("alter table things rename label to colour", "every", []),
    "column retyped": ("alter table things alter number type text", "every", []),
    "parameter widened": ("alter table things alter number type bigint", "by_number", [2**40]),
    "parameter of another type": ("alter table things alter number type text", "by_number", ["one"]),
    "parameter of another type, written": ("alter table things alter number type text", "add", ["one"]),
    "parameter widened, written": ("alter table things alter number type bigint", "add", [2**40]),
    "table made anew": (
        "drop table things; create table things (number int, label text); insert into things values (1, 'red')",
        "every",
        [],
    ),
    "table made anew, filtered": (
        "drop table things; create table things (number int, label text)",
        "by_label",
        ["violet"],
    ),
    "label added": ("alter type label add value 'green'", "by_label", ["green"]),
    "type made anew": (
        "alter table things drop label; drop type label; create type label as enum ('green');"
        " alter table things add label label default 'green'",
        "by_label",
        ["green"],
    ),
    "function replaced": (
        "create or replace function answer() returns int language sql as 'select 43'",
        "answer",
        [],
    ),
    "function of another type": (
        "drop function answer(); create function answer() returns text language sql as $$select 'x'$$",
        "answer",
        [],
    ),
}

#: What makes the server refuse a plan: inside a transaction that is too late to be healed.
ABORTING = [
    "column added",
    "column retyped",
    "parameter of another type",
    "table made anew",
    "table made anew, filtered",
    "type made anew",
    "function of another type",
]


@pytest.fixture
def dsn(module_database: str) -> str:
    """Give the DSN of a database whose schema is as the tests find it."""
    change(module_database, TABLE)
    return module_database


@pytest.fixture
def doing(tmp_path: Path) -> Doing:
    """Give the queries."""
    loaded: Doing = sqlkit.load(Doing, write_sql(tmp_path, STATEMENTS))
    return loaded


@pytest.fixture
def async_doing(tmp_path: Path) -> AsyncDoing:
    """Give the queries on asyncio."""
    loaded: AsyncDoing = sqlkit.load(AsyncDoing, write_sql(tmp_path, STATEMENTS))
    return loaded


def change(dsn: str, sql: str) -> None:
    """Change the schema, from a connection of its own."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("set client_min_messages = warning")
        conn.execute(sql)


def first_arguments(name: str) -> list[Any]:
    """Return arguments that fit the schema as it was."""
    return {"by_label": ["red"], "by_number": [1], "add": [3]}.get(name, [])  # type: ignore[return-value]


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("where", ["connection", "database", "bound", "own transaction"])
def test_call_goes_on_after_the_schema_changed(where: str, what: str, dsn: str, doing: Doing) -> None:
    """Where no transaction is open, a query whose plan is stale is prepared anew and answers at once."""
    sql, name, arguments = CHANGES[what]
    query = getattr(doing, name)
    with (
        psycopg.connect(dsn, autocommit=where != "own transaction") as conn,
        Database.connect(dsn, pool_max_size=1) as db,
    ):
        executor: Any = {"database": db, "bound": db.bound(schema="public")}.get(where, conn)
        query(executor, *first_arguments(name))
        conn.commit()
        change(dsn, sql)
        with psycopg.connect(dsn) as other:
            expected = query(other, *arguments)
        for _ in range(3):
            assert query(executor, *arguments) == expected
        conn.commit()
        with db.connection() as lent:
            assert len(prepared_statements(lent)) + len(prepared_statements(conn)) == kept(1)


@pytest.mark.parametrize("what", CHANGES)
def test_async_call_goes_on_after_the_schema_changed(what: str, dsn: str, async_doing: AsyncDoing) -> None:
    """On asyncio as well."""
    sql, name, arguments = CHANGES[what]
    query = getattr(async_doing, name)

    async def main() -> None:
        async with await AsyncDatabase.connect(dsn, pool_max_size=1) as db:
            await query(db, *first_arguments(name))
            change(dsn, sql)
            for _ in range(3):
                await query(db, *arguments)

    run(main())


@pytest.mark.direct("nothing stays prepared, so nothing is stale")
@pytest.mark.parametrize("what", ABORTING)
def test_stale_plan_in_a_transaction_says_what_to_do(what: str, dsn: str, doing: Doing) -> None:
    """In an open transaction the error is the server's, with a note; run again, the transaction succeeds."""
    sql, name, arguments = CHANGES[what]
    query = getattr(doing, name)
    with psycopg.connect(dsn) as conn:
        query(conn, *first_arguments(name))
        conn.rollback()
        change(dsn, sql)
        conn.execute("select 1")
        with pytest.raises(psycopg.Error) as caught:
            query(conn, *arguments)
        assert any("run the transaction again" in note for note in caught.value.__notes__)
        assert any(f": {name}" in note for note in caught.value.__notes__)
        conn.rollback()
        conn.execute("select 1")
        query(conn, *arguments)


@pytest.mark.direct("nothing stays prepared, so nothing is stale")
def test_stale_plan_in_an_async_transaction_says_what_to_do(dsn: str, async_doing: AsyncDoing) -> None:
    """On asyncio as well."""

    async def main() -> None:
        async with await AsyncDatabase.connect(dsn, pool_max_size=1) as db:
            async with db.transaction() as conn:
                await async_doing.every(conn)
            change(dsn, CHANGES["column added"][0])
            async with db.transaction() as conn:
                await conn.execute("select 1")
                with pytest.raises(psycopg.errors.FeatureNotSupported) as caught:
                    await async_doing.every(conn)
            assert any("run the transaction again" in note for note in caught.value.__notes__)
            async with db.transaction() as conn:
                await conn.execute("select 1")
                await async_doing.every(conn)

    run(main())


@pytest.mark.parametrize("where", ["connection", "database", "bound", "transaction"])
def test_stream_goes_on_after_the_schema_changed(where: str, dsn: str, doing: Doing) -> None:
    """A stream whose plan is stale starts again before its first row, in a transaction too: a savepoint keeps it."""
    with psycopg.connect(dsn, autocommit=where == "connection") as conn, Database.connect(dsn, pool_max_size=1) as db:
        executor: Any = {"database": db, "bound": db.bound(schema="public")}.get(where, conn)
        assert list(doing.stream(executor)) == [(1, "red"), (2, "blue")]
        conn.commit()
        change(dsn, "alter table things alter number type text")
        if where == "transaction":
            conn.execute("select 1")
        for _ in range(3):
            assert list(doing.stream(executor)) == [("1", "red"), ("2", "blue")]


@pytest.mark.parametrize("bound", [False, True])
def test_async_stream_goes_on_after_the_schema_changed(bound: bool, dsn: str, async_doing: AsyncDoing) -> None:
    """On asyncio as well."""

    async def main() -> list[Any]:
        async with await AsyncDatabase.connect(dsn, pool_max_size=1) as db:
            executor = db.bound(schema="public") if bound else db
            async for _ in async_doing.stream(executor):
                pass
            change(dsn, "alter table things alter number type text")
            return [row async for row in async_doing.stream(executor)]

    assert run(main()) == [("1", "red"), ("2", "blue")]


@pytest.mark.parametrize("name", ["add_all", "copy_all"])
@pytest.mark.parametrize(
    ("sql", "item", "stored"),
    [
        ("alter table things alter number type bigint", 2**40, str(2**40)),
        ("alter table things alter number type text", "one", "one"),
        ("alter table things alter number type real", 1.5, "1.5"),
        ("alter table things alter number type date using current_date", "2020-01-01", "2020-01-01"),
        ("drop table things; create table things (number text)", "one", "one"),
    ],
)
@pytest.mark.parametrize("where", ["connection", "database", "bound", "transaction"])
def test_batch_and_copy_go_on_after_the_schema_changed(
    where: str, sql: str, item: Any, stored: str, name: str, dsn: str, doing: Doing
) -> None:
    """A batch starts again, a copy asks for the types each time: nothing is written by the old types."""
    query = getattr(doing, name)
    with psycopg.connect(dsn, autocommit=where != "transaction") as conn, Database.connect(dsn, pool_max_size=1) as db:
        executor: Any = {"database": db, "bound": db.bound(schema="public")}.get(where, conn)
        query(executor, [{"number": 7}])
        conn.commit()
        change(dsn, sql)
        if where == "transaction":
            conn.execute("select 1")
        for _ in range(2):
            query(executor, [{"number": item}, {"number": item}])
        conn.commit()
        found = conn.execute("select count(*) from things where number::text = %s", [stored]).fetchone()
        assert found == (4,)


def test_value_that_never_fits_is_an_error_each_time(dsn: str, doing: Doing) -> None:
    """Where nothing changed, a value that does not fit is refused as it was, and nothing piles up."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        for _ in range(5):
            with pytest.raises(psycopg.errors.NumericValueOutOfRange):
                doing.by_number(conn, 2**40)
        assert len(prepared_statements(conn)) == kept(1)


def test_table_that_is_gone_is_an_error_until_it_is_back(dsn: str, doing: Doing) -> None:
    """While a table is away its queries say so; when it is back they answer."""
    with Database.connect(dsn, pool_max_size=1) as db:
        assert doing.every(db) == 2
        change(dsn, "drop table things")
        for _ in range(2):
            with pytest.raises(psycopg.errors.UndefinedTable) as caught:
                doing.every(db)
            assert any("every" in note for note in caught.value.__notes__)
        change(dsn, TABLE)
        assert doing.every(db) == 2


def test_migration_under_many_connections(dsn: str, doing: Doing) -> None:
    """Every connection of a pool heals by itself."""
    with Database.connect(dsn, pool_min_size=3, pool_max_size=3) as db:
        for _ in range(2):
            held = [db.lend(str(number)) for number in range(3)]
            for conn in held:
                assert doing.every(conn) == 2
            for conn in held:
                db.take_back(conn)
            change(dsn, "alter table things add if not exists extra text")


class Adding(Protocol):
    """What writes and returns what it wrote, or how much."""

    def add(self, db: Executor, number: int) -> list[Any]: ...
    def count(self, db: Executor, number: int) -> Affected: ...
    def stream(self, db: Executor, number: int) -> Rows[tuple[int]]: ...


ADDING = """
-- name: add
insert into things (number) values (:number) returning number;
-- name: count
insert into things (number) values (:number) returning number;
-- name: stream
insert into things (number) values (:number) returning number;
"""


@pytest.mark.parametrize("name", ["add", "count", "stream"])
@pytest.mark.parametrize("where", ["autocommit", "first in a transaction", "later in a transaction", "bound"])
def test_statement_that_nobody_keeps_prepared_writes_once(where: str, name: str, dsn: str, tmp_path: Path) -> None:
    """Behind a pooler changed columns are seen in the result: it is read by a new description, and nothing runs twice.

    Only a stream in a caller's transaction cannot be read anew: its error says to run the transaction again.
    """
    queries: Any = sqlkit.load(Adding, write_sql(tmp_path, ADDING))
    with (
        psycopg.connect(dsn, autocommit=where == "autocommit", prepare_threshold=None) as conn,
        Database.connect(dsn, pool_max_size=1, pooler="transaction") as db,
    ):
        executor: Any = db.bound(schema="public") if where == "bound" else conn

        def add(number: int) -> Any:
            found = getattr(queries, name)(executor, number)
            return list(found) if name == "stream" else found

        add(3)
        conn.commit()
        change(dsn, "alter table things alter number type bigint")
        if where == "later in a transaction":
            conn.execute("select 1")
        if name == "stream" and "transaction" in where:
            with pytest.raises(psycopg.errors.FeatureNotSupported) as caught:
                add(4)
            assert any("run the transaction again" in note for note in caught.value.__notes__)
            conn.rollback()
        assert add(4) == {"add": [4], "count": 1, "stream": [(4,)]}[name]
        conn.commit()
        assert conn.execute("select count(*) from things where number = 4").fetchone() == (1,)


class Composite(Protocol):
    """A composite type that changes."""

    def get(self, db: Executor) -> dict[str, Any]: ...
    def all(self, db: Executor) -> list[dict[str, Any]]: ...
    def put(self, db: Executor, pair: dict[str, Any]) -> str: ...
    def stream(self, db: Executor) -> Rows[dict[str, Any]]: ...
    def copy(self, db: Executor, items: Iterable[dict[str, Any]]) -> Affected: ...
    def put_all(self, db: Executor, items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]: ...


COMPOSITE = """
-- name: get
select things from things order by number limit 1;
-- name: all
select things from things order by number;
-- name: put
select (:pair::things)::text;
-- name: stream
select thing from kept;
-- name: copy
copy kept (thing) from stdin;
-- name: put_all
insert into kept (thing) values (:thing) returning thing;
"""


def test_composite_type_that_changes(dsn: str, tmp_path: Path) -> None:
    """A composite type with a new field has one OID still: its fields are learnt again."""
    queries: Composite = sqlkit.load(Composite, write_sql(tmp_path, COMPOSITE))
    with Database.connect(dsn, pool_max_size=1) as db:
        assert queries.get(db) == {"number": 1, "label": "red"}
        assert queries.put(db, {"number": 5, "label": "red"}) == "(5,red)"
        change(dsn, "alter table things add extra text default 'x'")
        for _ in range(2):
            assert queries.get(db) == {"number": 1, "label": "red", "extra": "x"}
            assert [row["extra"] for row in queries.all(db)] == ["x", "x"]
            assert queries.put(db, {"number": 5, "label": "red", "extra": "y"}) == "(5,red,y)"


@pytest.mark.parametrize("name", ["stream", "copy", "put_all"])
def test_composite_type_that_changes_under_many_rows(name: str, dsn: str, tmp_path: Path) -> None:
    """A stream, a copy or a batch may fail once where a composite type changed; the next one is right."""
    queries: Composite = sqlkit.load(Composite, write_sql(tmp_path, COMPOSITE))
    change(dsn, "drop type if exists pair cascade; drop table if exists kept; create type pair as (x int)")
    change(dsn, "create table kept (thing pair); insert into kept values (row(1))")
    with Database.connect(dsn, pool_max_size=1) as db:

        def use(item: dict[str, Any]) -> Any:
            return list(queries.stream(db)) if name == "stream" else getattr(queries, name)(db, [{"thing": item}])

        use({"x": 1})
        change(dsn, "alter type pair add attribute y int")
        with contextlib.suppress(sqlkit.RowError, sqlkit.ArgumentError, psycopg.DataError):
            use({"x": 1, "y": 2})
        use({"x": 1, "y": 2})
