"""Writers that meet a missing partition make it and go on: single rows, COPY, batches, transactions, both colours."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable, Iterator
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import psycopg
import pytest
from psycopg import errors, sql

import sqlkit
from sqlkit import Affected, AsyncDatabase, AsyncExecutor, Database, Executor
from sqlkit.errors import ArgumentError
from sqlkit.operations import Partitioned, is_missing_partition, list_partitions, make_partitions, with_partition
from tests.partitioned_tables import DAYS, MONTHS, NOW, counts, made_tables, utc

Connection = psycopg.Connection[Any]

STATEMENTS = """
-- name: add_log
insert into logs (message, created_at) values (:message, :created_at);

-- name: add_logs
insert into logs (message, created_at) values (:message, :created_at);

-- name: copy_logs
copy logs (message, created_at) from stdin;

-- name: add_now
insert into logs (message) values (:message);
"""


class Line(NamedTuple):
    message: str
    created_at: datetime


class LogQueries(Protocol):
    def add_log(self, db: Executor, *, message: str, created_at: datetime) -> Affected: ...
    def add_logs(self, db: Executor, lines: Iterable[Line]) -> Affected: ...
    def copy_logs(self, db: Executor, lines: Iterable[Line]) -> Affected: ...
    def add_now(self, db: Executor, *, message: str) -> Affected: ...


class AsyncLogQueries(Protocol):
    async def add_log(self, db: AsyncExecutor, *, message: str, created_at: datetime) -> Affected: ...
    async def copy_logs(self, db: AsyncExecutor, lines: Iterable[Line]) -> Affected: ...


LINES = [Line(f"line {number}", utc(2005, 10 + number % 3, 4)) for number in range(9)]
TIMES = [line.created_at for line in LINES]
THREE_EACH = {"logs_2005_10": 3, "logs_2005_11": 3, "logs_2005_12": 3}


@pytest.fixture
def statements(tmp_path: Path) -> Path:
    """Give the file of the statements."""
    path = tmp_path / "logs.sql"
    path.write_text(STATEMENTS, encoding="utf-8")
    return path


@pytest.fixture
def logs(statements: Path) -> LogQueries:
    """Give the statements."""
    loaded: LogQueries = sqlkit.load(LogQueries, statements)
    return loaded


@pytest.fixture
def db(dsn: str) -> Iterator[Connection]:
    """Give a connection in autocommit to a database with the tables, without any partition."""
    with made_tables(dsn) as conn:
        yield conn


WAYS = ["add_logs", "copy_logs"]


@pytest.mark.parametrize("way", WAYS)
def test_many_rows_in_autocommit(db: Connection, logs: LogQueries, way: str) -> None:
    """A batch or a COPY over three missing months is written whole, once."""
    write = getattr(logs, way)
    assert with_partition(db, lambda conn: write(conn, LINES), MONTHS, times=TIMES) == 9
    assert counts(db) == THREE_EACH


@pytest.mark.parametrize("way", WAYS)
def test_many_rows_in_a_transaction(db: Connection, logs: LogQueries, way: str) -> None:
    """Inside a transaction the failed try is undone alone: what was written before stays, and all goes together."""
    write = getattr(logs, way)
    make_partitions(db, MONTHS, [NOW])
    with db.transaction(force_rollback=True):
        logs.add_log(db, message="before", created_at=NOW)
        assert with_partition(db, lambda conn: write(conn, LINES), MONTHS, times=TIMES) == 9
        logs.add_log(db, message="after", created_at=NOW)
        assert counts(db) == {**THREE_EACH, "logs_2026_11": 2}
    assert counts(db) == {}
    assert len(list_partitions(db, MONTHS)) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_database_lends_a_connection(dsn: str, db: Connection, logs: LogQueries, way: str) -> None:
    """Given a Database, the write and the making each take a connection and give it back."""
    write = getattr(logs, way)
    with Database.connect(dsn, pool_max_size=1) as database:
        assert with_partition(database, lambda lender: write(lender, LINES), MONTHS, times=TIMES) == 9
        assert database.status().checked_out == 0
    assert counts(db) == THREE_EACH


def test_a_connection_that_begins_on_first_use(dsn: str, db: Connection, logs: LogQueries) -> None:
    """In a block of ``connection()`` the write is part of its transaction, which ends where the block does."""
    with Database.connect(dsn) as database:
        with database.connection() as conn:
            with_partition(conn, lambda c: logs.add_log(c, message="m", created_at=NOW), MONTHS, times=[NOW])
            conn.rollback()
        assert counts(db) == {}
        with database.connection() as conn:
            with_partition(conn, lambda c: logs.add_log(c, message="m", created_at=NOW), MONTHS, times=[NOW])
    assert counts(db) == {"logs_2026_11": 1}


def test_rows_of_now_need_no_times(db: Connection, logs: LogQueries) -> None:
    """Without times, the partition of the server's now is made, in autocommit and in a transaction."""
    assert with_partition(db, lambda conn: logs.add_now(conn, message="m"), MONTHS) == 1
    db.execute("truncate logs; create table kept (message text)")
    for one in list_partitions(db, MONTHS):
        db.execute(sql.SQL("drop table {}").format(sql.Identifier(one.name)))
    with db.transaction():
        assert with_partition(db, lambda conn: logs.add_now(conn, message="m"), MONTHS) == 1
    assert sum(counts(db).values()) == 1


def test_midnight_between_the_two_tries(db: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of now that is tried again after midnight finds the partition of the new day, too."""

    def clocks(scene: object) -> Generator[Any, Any, tuple[datetime, datetime]]:
        return last_moment, last_moment
        yield

    last_moment = utc(2005, 12, 31, 23, 59, 59, 999999)
    monkeypatch.setattr("sqlkit.operations.partitions.clocks", clocks)
    moments = iter([last_moment, utc(2006)])
    with_partition(db, lambda conn: conn.execute("insert into events values ('e', %s)", [next(moments)]), DAYS)
    assert counts(db, "events") == {"events_2006_01_01": 1}


def test_nothing_is_asked_where_nothing_is_missing(db: Connection, logs: LogQueries) -> None:
    """Where the partition stands, the work is called once and the times are not read."""
    make_partitions(db, MONTHS, [NOW])

    def times() -> Iterator[datetime]:
        raise AssertionError
        yield NOW

    calls = []

    def work(conn: Connection) -> int:
        calls.append(conn)
        return logs.add_log(conn, message="m", created_at=NOW)

    assert with_partition(db, work, MONTHS, times=times()) == 1
    assert calls == [db]


def test_two_tables_in_one_work(db: Connection) -> None:
    """A work that writes into two partitioned tables gets the partitions of both."""

    def work(conn: Connection) -> None:
        conn.execute("insert into logs (message, created_at) values ('m', '2005-12-04+00')")
        conn.execute("insert into events values ('e', '2005-12-04+00')")

    with db.transaction():
        with_partition(db, work, [MONTHS, DAYS], times=[utc(2005, 12, 4)])
    assert counts(db) == {"logs_2005_12": 1}
    assert counts(db, "events") == {"events_2005_12_04": 1}


def test_times_that_are_not_the_rows(db: Connection, logs: LogQueries) -> None:
    """With times that are not those of the rows, the work is tried once more and its error is raised."""
    with pytest.raises(errors.CheckViolation, match="no partition"):
        with_partition(db, lambda conn: logs.add_log(conn, message="m", created_at=utc(2005)), MONTHS, times=[NOW])


OTHER_ERRORS = [
    ("insert into logs (message, level, created_at) values ('m', 'loud', '2026-11-21+00')", errors.CheckViolation),
    ("insert into logs (message, user_id, created_at) values ('m', 9, '2026-11-21+00')", errors.ForeignKeyViolation),
    (
        "insert into logs_2026_11 (log_id, message, created_at) overriding system value"
        " values (1, 'm', '2005-12-04+00')",
        errors.CheckViolation,
    ),
    ("select (-1)::positive", errors.CheckViolation),
    ("insert into events values ('e', '2005-12-04+00')", errors.CheckViolation),
]


@pytest.mark.parametrize(("statement", "error"), OTHER_ERRORS)
@pytest.mark.parametrize("inside", [False, True])
def test_other_errors_are_not_taken_for_it(
    db: Connection, statement: str, error: type[psycopg.Error], inside: bool
) -> None:
    """A CHECK, a domain, a row that does not belong into its partition, another table: raised, and tried once."""
    db.execute("create domain positive as int constraint positive_check check (value > 0)")
    make_partitions(db, MONTHS, [NOW])
    calls = []

    def work(conn: Connection) -> None:
        calls.append(conn)
        conn.execute(statement.encode())

    with db.transaction() if inside else nullcontext():
        with pytest.raises(error) as raised:
            with_partition(db, work, MONTHS, times=[utc(2005, 12)])
        assert db.execute("select 1").fetchone() == (1,)
    assert not is_missing_partition(raised.value, MONTHS)
    assert len(calls) == 1
    assert [one.name for one in list_partitions(db, MONTHS)] == ["logs_2026_11"]


def test_an_update_that_moves_a_row(db: Connection) -> None:
    """An update into a month that has no partition gets one too."""
    make_partitions(db, MONTHS, [NOW])
    db.execute("insert into logs (message, created_at) values ('m', %s)", [NOW])
    with_partition(
        db, lambda conn: conn.execute("update logs set created_at = '2005-12-04+00'"), MONTHS, times=[utc(2005, 12)]
    )
    assert counts(db) == {"logs_2005_12": 1}


@pytest.mark.parametrize("inside", [False, True])
def test_a_role_that_may_not_make_tables(dsn: str, db: Connection, inside: bool) -> None:
    """One who may write rows only has them made by another, whose right it is."""
    db.execute("create role sqlkit_log_writer; grant insert, select on events to sqlkit_log_writer")
    try:
        with Database.connect(dsn) as database:
            writer = database.bound(role="sqlkit_log_writer")

            def work(where: Executor) -> Affected:
                return sqlkit.execute(where, "insert into events values ('e', :created_at)", created_at=utc(2005))

            with pytest.raises(errors.InsufficientPrivilege):
                with_partition(writer, work, DAYS, times=[utc(2005)])
            if inside:
                with writer.transaction() as conn:
                    assert with_partition(conn, work, DAYS, times=[utc(2005)], maker=database) == 1
            else:
                assert with_partition(writer, work, DAYS, times=[utc(2005)], maker=database) == 1
        assert counts(db, "events") == {"events_2005_01_01": 1}
    finally:
        db.execute("drop owned by sqlkit_log_writer; drop role sqlkit_log_writer")


def test_a_tenants_writer(dsn: str, db: Connection) -> None:
    """Through a bound view the partition of its own schema is made."""
    db.execute("create schema tenant_1")
    db.execute("create table tenant_1.events (name text, created_at timestamptz) partition by range (created_at)")
    with Database.connect(dsn) as database:
        tenant = database.bound(schema="tenant_1")
        insert = "insert into events values ('e', :created_at)"
        with_partition(tenant, lambda where: sqlkit.execute(where, insert, created_at=NOW), DAYS, times=[NOW])
    assert counts(db, "tenant_1.events") == {"tenant_1.events_2026_11_21": 1}
    assert list_partitions(db, DAYS) == []


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_in_every_isolation(dsn: str, db: Connection, logs: LogQueries, isolation: Any) -> None:
    """A transaction with an old snapshot finds the partition that it made itself, or had made."""
    with Database.connect(dsn) as database:
        for maker, month in ((None, 10), (database, 11)):
            moment = utc(2005, month)
            with database.transaction(isolation) as conn:
                conn.execute("select count(*) from logs")
                with_partition(
                    conn,
                    lambda c, moment=moment: logs.add_log(c, message="m", created_at=moment),
                    MONTHS,
                    times=[moment],
                    maker=maker,
                )
    assert counts(db) == {"logs_2005_10": 1, "logs_2005_11": 1}


def test_not_in_a_pipeline(db: Connection) -> None:
    """In a pipeline the error would come after the block, so it is refused at once."""
    with db.pipeline(), pytest.raises(ArgumentError, match="not in a pipeline"):
        with_partition(db, lambda conn: conn.execute("select 1"), MONTHS)


def test_the_same_on_asyncio(dsn: str, db: Connection, statements: Path) -> None:
    """Given an asynchronous database or connection, the work is awaited: single rows, COPY, in transactions."""
    queries: AsyncLogQueries = sqlkit.load(AsyncLogQueries, statements)
    monthly = Partitioned("logs", by="month")

    async def main() -> None:
        async with AsyncDatabase.connect(dsn) as database:
            await with_partition(database, lambda where: queries.copy_logs(where, LINES), monthly, times=TIMES)
            async with database.transaction() as conn:
                await queries.add_log(conn, message="before", created_at=LINES[0].created_at)
                await with_partition(
                    conn, lambda c: queries.add_log(c, message="m", created_at=NOW), monthly, times=[NOW]
                )
            with pytest.raises(errors.CheckViolation):
                await with_partition(
                    database, lambda where: queries.add_log(where, message="m", created_at=utc(1999)), monthly
                )

    asyncio.run(main())
    assert counts(db) == {**THREE_EACH, "logs_2005_10": 4, "logs_2026_11": 1}
