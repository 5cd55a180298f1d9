"""BEGIN and the first statement of a transaction: one round trip, and what is left where that statement fails."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from psycopg.pq import TransactionStatus

import sqlkit
from sqlkit import UNSET, ArgumentError, AsyncDatabase, AsyncExecutor, Database, Executor
from tests import songbook
from tests.songbook import open_transactions, run, write_sql
from tests.talking import Talk, listening

module_database = songbook.module_database

Connection = psycopg.Connection[Any]
IDLE, INTRANS, INERROR = TransactionStatus.IDLE, TransactionStatus.INTRANS, TransactionStatus.INERROR

STATEMENTS = """
-- name: setting
select current_setting(:name);

-- name: count_methods
select count(*) from pg_catalog.pg_am;

-- name: divide
select 10 / :number::int;

-- name: nap
select pg_sleep(:seconds)::text;

-- name: tell
select tell(:what);
"""

TELLS = """
create or replace function tell(what text) returns text language plpgsql as $$
begin
    raise notice '%', what;
    return what;
end
$$
"""


class Asking(Protocol):
    """Queries that need no tables."""

    def setting(self, db: Executor, name: str) -> str: ...
    def count_methods(self, db: Executor) -> int: ...
    def divide(self, db: Executor, number: int) -> int: ...
    def nap(self, db: Executor, seconds: float) -> str: ...
    def tell(self, db: Executor, what: str) -> str: ...


class AsyncAsking(Protocol):
    """The same on asyncio."""

    async def count_methods(self, db: AsyncExecutor) -> int: ...
    async def divide(self, db: AsyncExecutor, number: int) -> int: ...
    async def nap(self, db: AsyncExecutor, seconds: float) -> str: ...


@pytest.fixture
def asking(tmp_path: Path) -> Asking:
    """Give the queries."""
    loaded: Asking = sqlkit.load(Asking, write_sql(tmp_path, STATEMENTS))
    return loaded


@pytest.fixture
def async_asking(tmp_path: Path) -> AsyncAsking:
    """Give the queries on asyncio."""
    loaded: AsyncAsking = sqlkit.load(AsyncAsking, write_sql(tmp_path, STATEMENTS))
    return loaded


@pytest.fixture
def one(module_database: str) -> Iterator[Database]:
    """Give a Database with a single connection."""
    with Database.connect(module_database, pool_min_size=1, pool_max_size=1) as database:
        yield database
        assert database.status().checked_out == 0


def test_begin_rides_with_the_first_query_of_a_block(one: Database, asking: Asking) -> None:
    """BEGIN with its options, what the view is bound to and the first statement are one round trip."""
    view = one.bound(settings={"app.number": "7"})
    for _ in range(2):
        with view.transaction("serializable") as conn, listening(conn) as talk:
            assert asking.setting(conn, "app.number") == "7"
            assert asking.setting(conn, "transaction_isolation") == "serializable"
            assert conn.info.transaction_status == INTRANS
    assert talk().round_trips == 2
    begins = [line for line in talk().text.splitlines() if "BEGIN" in line]
    assert len(begins) == 1
    assert "SERIALIZABLE" in begins[0]


def test_begin_rides_outside_autocommit(module_database: str, asking: Asking) -> None:
    """So it does on a plain connection that is not in autocommit, once the statement is prepared."""
    with psycopg.connect(module_database) as conn:
        asking.count_methods(conn)
        conn.rollback()
        with listening(conn) as talk:
            asking.count_methods(conn)
        assert conn.info.transaction_status == INTRANS
    assert talk().round_trips == 1


def test_async_begin_rides_with_the_first_query_of_a_block(module_database: str, async_asking: AsyncAsking) -> None:
    """On asyncio as well."""

    async def main() -> Talk:
        async with await AsyncDatabase.connect(module_database, pool_min_size=1, pool_max_size=1) as database:
            for _ in range(2):
                async with database.transaction() as conn:
                    with listening(conn) as talk:
                        await async_asking.count_methods(conn)
                    assert conn.info.transaction_status == INTRANS
            return talk()

    assert run(main()).round_trips == 1


def test_bound_view_of_another_schema_reads_its_own_tables_from_the_first_query(one: Database, tmp_path: Path) -> None:
    """The search path that rides along is that of the statement: the same text finds each tenant's own table."""

    class Reading(Protocol):
        def whose(self, db: Executor) -> str: ...

    reading: Reading = sqlkit.load(Reading, write_sql(tmp_path, "-- name: whose\nselect name from whose;"))
    with one.connection() as conn:
        for tenant in ("red", "blue"):
            conn.execute(f"create schema {tenant}")
            conn.execute(f"create table {tenant}.whose as select '{tenant}' as name")
    for _ in range(3):
        for tenant in ("red", "blue"):
            with one.bound(schema=tenant).connection() as conn:
                assert reading.whose(conn) == tenant


def test_empty_search_path_is_one_of_its_own(one: Database, tmp_path: Path) -> None:
    """What raw SQL sets in a block of a bound view holds for the next query, an empty path too."""

    class Reading(Protocol):
        def whose(self, db: Executor) -> str: ...

    reading: Reading = sqlkit.load(Reading, write_sql(tmp_path, "-- name: whose\nselect name from names;"))
    with one.connection() as conn:
        conn.execute("create schema green")
        conn.execute("create table green.names as select 'green' as name")
    for _ in range(2):
        with one.bound(schema="green").connection() as conn:
            assert reading.whose(conn) == "green"
            conn.execute("select set_config('search_path', '', true)")
            with pytest.raises(psycopg.errors.UndefinedTable):
                reading.whose(conn)


def test_error_of_the_query_that_begins_leaves_the_block_aborted(one: Database, asking: Asking) -> None:
    """What the server says against the first statement is its error alone, and the transaction it began is over."""
    for _ in range(2):
        with one.connection() as conn:
            with pytest.raises(psycopg.errors.DivisionByZero) as caught:
                asking.divide(conn, 0)
            assert conn.info.transaction_status == INERROR
        assert len(caught.value.__notes__) == 1
        assert caught.value.__notes__[0].endswith(": divide")
        with one.connection() as conn:
            assert asking.divide(conn, 5) == 2


def test_async_error_of_the_query_that_begins(module_database: str, async_asking: AsyncAsking) -> None:
    """On asyncio as well; the next block begins anew."""

    async def main() -> None:
        async with await AsyncDatabase.connect(module_database, pool_min_size=1, pool_max_size=1) as database:
            for _ in range(2):
                with pytest.raises(psycopg.errors.DivisionByZero):
                    async with database.connection() as conn:
                        await async_asking.divide(conn, 0)
                async with database.connection() as conn:
                    assert await async_asking.divide(conn, 5) == 2

    run(main())


def test_argument_that_does_not_fit_leaves_the_block_usable(one: Database, asking: Asking) -> None:
    """An argument that is refused before anything is sent costs no more than the call."""
    with one.connection() as conn:
        assert asking.divide(conn, 5) == 2
    with one.connection() as conn:
        with pytest.raises(ArgumentError):
            asking.divide(conn, UNSET)  # type: ignore[arg-type]
        assert asking.divide(conn, 2) == 5
        assert conn.info.transaction_status == INTRANS


def test_timeout_of_the_query_that_begins(one: Database, asking: Asking) -> None:
    """A statement timeout that a bound view sets holds for the statement that begins, too."""
    slow = one.bound(settings={"statement_timeout": "1"})
    query = "select count(*) from generate_series(1, 100000000)"
    for _ in range(2):
        with pytest.raises(psycopg.errors.QueryCanceled), slow.connection() as conn:
            sqlkit.fetch_one(conn, int, query)
    with one.connection() as conn:
        assert asking.count_methods(conn) > 0


def test_own_pipeline_of_the_borrower_begins_as_before(one: Database, asking: Asking) -> None:
    """In a pipeline of the borrower's own the statement begins the transaction, and its answer comes at once."""
    for _ in range(2):
        with one.connection() as conn, conn.pipeline():
            assert asking.divide(conn, 5) == 2
            assert conn.info.transaction_status == INTRANS


@pytest.mark.parametrize("where", ["connection", "database", "block"])
def test_notices_reach_their_handlers(where: str, module_database: str, one: Database, asking: Asking) -> None:
    """A notice comes with the call that caused it, each time."""
    heard: list[str | None] = []
    with psycopg.connect(module_database, autocommit=True) as plain:
        plain.execute(TELLS)
        for number in range(3):
            with one.connection() if where == "block" else contextlib.nullcontext(plain) as conn:
                listener: Connection = conn
                if where == "database":
                    listener = one.lend("the test")
                    one.take_back(listener)
                listener.add_notice_handler(lambda notice: heard.append(notice.message_primary))
                asking.tell(one if where == "database" else conn, f"number {number}")
                listener._notice_handlers.clear()
    assert heard == ["number 0", "number 1", "number 2"]


INTERRUPTED = """
import os, signal, sys, threading, time
import sqlkit
from sqlkit import Database
from tests.test_begin import Asking

dsn, path = sys.argv[1:]
asking: Asking = sqlkit.load(Asking, path)
with Database.connect(dsn, pool_max_size=1) as db:
    assert asking.count_methods(db) > 0
    threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT]).start()
    started = time.monotonic()
    try:
        with db.transaction() as conn:
            asking.nap(conn, 30)
    except KeyboardInterrupt:
        assert time.monotonic() - started < 10
        with db.transaction() as conn:
            assert asking.nap(conn, 0) == ""
            print("interrupted", conn.info.transaction_status.name, db.status().checked_out)
    print(db.status().checked_out)
"""


def test_interrupt_of_the_query_that_begins(module_database: str, tmp_path: Path) -> None:
    """Ctrl-C while BEGIN and the first query are under way ends both; the next block begins anew."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(INTERRUPTED), module_database, str(write_sql(tmp_path, STATEMENTS))],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parent.parent,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (done.stdout, done.returncode) == ("interrupted INTRANS 1\n0\n", 0), done.stderr
    assert open_transactions(module_database) == []


def test_cancelled_task_during_the_query_that_begins(module_database: str, async_asking: AsyncAsking) -> None:
    """A task that is cancelled there ends both on the server, and the next block begins anew."""

    async def main() -> None:
        async with await AsyncDatabase.connect(module_database, pool_max_size=1) as db:
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1), db.transaction() as conn:
                        await async_asking.nap(conn, 30)
                async with db.transaction() as conn:
                    assert await async_asking.nap(conn, 0) == ""
                assert db.status().checked_out == 0
            assert open_transactions(module_database) == []

    run(main())
