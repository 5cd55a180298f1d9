"""Behind PgBouncer in transaction mode: tenants stay apart, and what a session would have to keep is refused.

The tests of the query layer run through PgBouncer as well: see ``tests/pooled.py``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from typer.testing import CliRunner

import sqlkit
from sqlkit import Affected, AsyncDatabase, AsyncExecutor, ConfigurationError, Database, Executor, Rows
from sqlkit.caching import Listener
from sqlkit.cli.app import app
from sqlkit.poolers import lasting
from sqlkit.testing import TestServer, dropped_afterwards
from tests import pooled
from tests.conftest import ROOT
from tests.pgbouncer import TURNS, PgBouncer
from tests.songbook import eventually, write_sql

TENANTS = 50

STATEMENTS = """
-- name: whose
select tenant from rooms order by room_id limit 1;

-- name: every
select tenant from rooms order by room_id;

-- name: stream
select tenant from rooms order by room_id;

-- name: add
insert into rooms (tenant) values (:tenant) returning tenant;

-- name: add_all
insert into rooms (tenant) values (:tenant);

-- name: copy_all
copy rooms (tenant) from stdin;

-- name: tenants
select distinct tenant from rooms order by tenant;
"""


class Rooms(Protocol):
    """What each tenant does in a schema of its own."""

    def whose(self, db: Executor) -> str: ...
    def every(self, db: Executor) -> list[str]: ...
    def stream(self, db: Executor) -> Rows[str]: ...
    def add(self, db: Executor, tenant: str) -> str: ...
    def add_all(self, db: Executor, rooms: Iterable[dict[str, Any]]) -> Affected: ...
    def copy_all(self, db: Executor, rooms: Iterable[dict[str, Any]]) -> Affected: ...
    def tenants(self, db: Executor) -> list[str]: ...


class AsyncRooms(Protocol):
    """The same on asyncio, as far as it is asked there."""

    async def whose(self, db: AsyncExecutor) -> str: ...
    async def add(self, db: AsyncExecutor, tenant: str) -> str: ...
    async def copy_all(self, db: AsyncExecutor, rooms: Iterable[dict[str, Any]]) -> Affected: ...


@pytest.fixture(scope="module")
def pgbouncer(sqlkit_server: TestServer) -> Iterator[PgBouncer]:
    """Give a PgBouncer with three connections to each database, which take turns."""
    started = PgBouncer(sqlkit_server, size=TURNS)
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def database(sqlkit_server: TestServer, pgbouncer: PgBouncer) -> Iterator[str]:
    """Give the name of a database with a schema for each tenant."""
    with dropped_afterwards(sqlkit_server) as name:
        with psycopg.connect(sqlkit_server.dsn_for(name), autocommit=True) as conn:
            for number in range(TENANTS):
                schema = f"tenant_{number}"
                conn.execute(f"create schema {schema}".encode())
                columns = "room_id bigint generated always as identity primary key, tenant text not null"
                conn.execute(f"create table {schema}.rooms ({columns})".encode())
                conn.execute(f"insert into {schema}.rooms (tenant) values ('{schema}')".encode())
        pgbouncer.warm(name)
        yield name


@pytest.fixture
def direct_dsn(sqlkit_server: TestServer, database: str) -> str:
    """Give the DSN of that database on the server itself."""
    return sqlkit_server.dsn_for(database)


@pytest.fixture
def pooled_dsn(pgbouncer: PgBouncer, database: str) -> str:
    """Give the DSN of that database through PgBouncer."""
    return pgbouncer.dsn(database)


@pytest.fixture
def db(pooled_dsn: str) -> Iterator[Database]:
    """Give a Database behind the pooler."""
    with Database.connect(pooled_dsn, pooler="transaction", pool_max_size=16) as opened:
        yield opened


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    """Give the queries."""
    loaded: Rooms = sqlkit.load(Rooms, write_sql(tmp_path, STATEMENTS))
    return loaded


# Tenants.


def test_a_session_is_shared_here(pooled_dsn: str) -> None:
    """The trap is real: a path that one client sets is another's, who never asked for it."""
    with (
        psycopg.connect(pooled_dsn, autocommit=True, prepare_threshold=None) as one,
        psycopg.connect(pooled_dsn, autocommit=True, prepare_threshold=None) as other,
    ):
        for _ in range(2 * TURNS):
            one.execute("set search_path = tenant_7")
        seen = {other.execute("show search_path").fetchone() for _ in range(2 * TURNS)}
        for _ in range(2 * TURNS):
            one.execute("reset search_path")
    assert ("tenant_7",) in seen


def test_fifty_tenants_never_read_each_others_rows(db: Database, rooms: Rooms) -> None:
    """16 threads on 3 server connections, in every form of a call: each tenant sees and writes its own rows."""

    def in_a_block(view: Any, tenant: str) -> set[str]:
        with view.transaction() as conn:
            return {rooms.add(conn, tenant), rooms.whose(conn), *rooms.every(conn)}

    def batch(view: Any, tenant: str) -> set[str]:
        rooms.add_all(view, [{"tenant": tenant}] * 3)
        return set(rooms.every(view))

    def copy(view: Any, tenant: str) -> set[str]:
        rooms.copy_all(view, [{"tenant": tenant}] * 3)
        return set(rooms.stream(view))

    def raw(view: Any, tenant: str) -> set[str]:
        with view.connection() as conn:
            return {value for (value,) in conn.execute("select tenant from rooms")}

    forms: list[Callable[[Any, str], set[str]]] = [
        lambda view, _: {rooms.whose(view)},
        lambda view, tenant: {rooms.add(view, tenant)},
        lambda view, _: set(rooms.stream(view)),
        in_a_block,
        batch,
        copy,
        raw,
    ]

    def work(number: int) -> bool:
        tenant = f"tenant_{number * 7 % TENANTS}"
        return forms[number % len(forms)](db.bound(schema=tenant), tenant) == {tenant}

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(work, range(1_400)))
    for number in range(TENANTS):
        assert rooms.tenants(db.bound(schema=f"tenant_{number}")) == [f"tenant_{number}"]


def test_fifty_tenants_on_asyncio(pooled_dsn: str, tmp_path: Path) -> None:
    """The same with 50 tasks at once."""
    queries: AsyncRooms = sqlkit.load(AsyncRooms, write_sql(tmp_path, STATEMENTS))

    async def main() -> None:
        async with await AsyncDatabase.connect(pooled_dsn, pooler="transaction", pool_max_size=8) as db:

            async def work(number: int) -> None:
                tenant = f"tenant_{number}"
                view = db.bound(schema=tenant)
                for _ in range(10):
                    assert await queries.whose(view) == tenant
                    async with view.transaction() as conn:
                        assert await queries.add(conn, tenant) == tenant
                        assert await queries.whose(conn) == tenant

            await asyncio.gather(*map(work, range(TENANTS)))

    asyncio.run(main())


def test_a_pool_for_each_tenant(pooled_dsn: str, rooms: Rooms) -> None:
    """A schema in the settings holds for each call too, without the DSN's ``options``, which PgBouncer refuses."""
    with (
        Database.connect(pooled_dsn, schema="tenant_1", pooler="transaction") as one,
        Database.connect(pooled_dsn, schema="tenant_2", pooler="transaction", statement_timeout=7) as two,
    ):
        for _ in range(2 * TURNS):
            assert (rooms.whose(one), rooms.whose(two)) == ("tenant_1", "tenant_2")
            assert sqlkit.fetch_one(two, str, "select current_setting('statement_timeout')") == "7s"
            assert sqlkit.fetch_one(one, str, "select current_setting('statement_timeout')") == "0"


def test_more_clients_than_connections(pooled_dsn: str, direct_dsn: str, rooms: Rooms) -> None:
    """Sixty connections of clients are served by three of the server."""
    with Database.connect(
        pooled_dsn, pooler="transaction", schema="tenant_3", pool_min_size=60, pool_max_size=60
    ) as db:
        held = [db.lend(number) for number in range(60)]
        for conn in held:
            assert sqlkit.fetch_one(conn, int, "select 1") == 1
        with psycopg.connect(direct_dsn) as conn:
            served = (
                "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            )
            assert conn.execute(served).fetchone() == (TURNS,)
        for conn in held:
            db.take_back(conn)


# Copies.


@pytest.fixture
def one_wide(sqlkit_server: TestServer, database: str) -> Iterator[PgBouncer]:
    """Give a PgBouncer with one server connection to each database."""
    started = PgBouncer(sqlkit_server, size=1)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def narrow(one_wide: PgBouncer, database: str) -> str:
    """Give the DSN of that database through one server connection."""
    return one_wide.dsn(database)


def refused(mark: int) -> Iterator[dict[str, Any]]:
    """Give rooms of which one, early, middle or late, is none: behind it, the client goes on sending."""
    size = 3000
    return ({"tenant": None if number == size * (mark % 3) // 2 else "x" * 100} for number in range(size + 1))


def test_copies_that_are_refused_leave_one_server_connection_to_others(narrow: str, rooms: Rooms) -> None:
    """Two clients in autocommit, whose copies are refused at any row, take turns and read what they asked for."""

    def work(client: int) -> None:
        with psycopg.connect(narrow, autocommit=True, prepare_threshold=None) as conn:
            conn.execute("set search_path = tenant_8")  # for all, here: it is one and the same server connection
            for turn in range(12):
                with pytest.raises(psycopg.errors.NotNullViolation):
                    rooms.copy_all(conn, refused(turn))
                assert conn.execute("select %s::int", [turn * 2 + client]).fetchone() == (turn * 2 + client,)
            assert rooms.tenants(conn) == ["tenant_8"]

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, range(2)))


def test_copies_that_are_refused_on_asyncio(narrow: str, tmp_path: Path) -> None:
    """The same with two tasks."""
    queries: AsyncRooms = sqlkit.load(AsyncRooms, write_sql(tmp_path, STATEMENTS))

    async def work(client: int) -> None:
        async with await psycopg.AsyncConnection.connect(narrow, autocommit=True, prepare_threshold=None) as conn:
            await conn.execute("set search_path = tenant_8")
            for turn in range(12):
                with pytest.raises(psycopg.errors.NotNullViolation):
                    await queries.copy_all(conn, refused(turn))
                got = await (await conn.execute("select %s::int", [turn * 2 + client])).fetchone()
                assert got == (turn * 2 + client,)

    async def main() -> None:
        await asyncio.gather(work(0), work(1))

    asyncio.run(main())


@pytest.mark.parametrize("place", ["autocommit", "transaction", "database"])
def test_a_refused_copy_keeps_no_server_connection(one_wide: PgBouncer, narrow: str, rooms: Rooms, place: str) -> None:
    """While its client stays connected, PgBouncer has its server connection back, as 1.22 to 1.25 would not."""

    def is_free() -> bool:
        return not any("active" in server for server in one_wide.ask("show servers"))

    if place == "database":
        with Database.connect(narrow, schema="tenant_8", pooler="transaction", pool_max_size=1) as db:
            with pytest.raises(psycopg.errors.NotNullViolation):
                rooms.copy_all(db, refused(1))
            assert eventually(is_free, 5)
        return
    with psycopg.connect(narrow, autocommit=place == "autocommit", prepare_threshold=None) as conn:
        conn.execute("set search_path = tenant_8")
        with pytest.raises(psycopg.errors.NotNullViolation):
            rooms.copy_all(conn, refused(1))
        conn.rollback()
        assert eventually(is_free, 5)


# What would last in a session.

LASTING = [
    "listen news",
    "set search_path = tenant_1",
    "set session statement_timeout = 5",
    "select set_config('search_path', 'tenant_1', false)",
    "select pg_advisory_lock(1)",
    "select pg_try_advisory_lock(1)",
    "create temp table mine (number int)",
    "prepare mine as select 1",
    "declare mine cursor with hold for select 1",
    "/* a comment */ -- another\n listen news",
]
PASSING = [
    "set local search_path = tenant_1",
    "select set_config('search_path', 'tenant_1', true)",
    "select pg_advisory_xact_lock(1)",
    "create temp table mine (number int) on commit drop",
    "declare mine cursor for select 1",
    "notify news, 'hello'",
    "set constraints all immediate",
    "select 'listen, set'",
]


@pytest.mark.parametrize("statement", LASTING)
def test_what_would_last_is_refused(statement: str, db: Database, tmp_path: Path) -> None:
    """LISTEN, SET and their like are a ConfigurationError before they are sent, as a query and raw."""

    class Queries(Protocol):
        def last(self, db: Executor) -> None: ...

    queries: Queries = sqlkit.load(Queries, write_sql(tmp_path, f"-- name: last\n{statement};"))
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"\.last: .* behind a pooler in transaction mode"):
            queries.last(db)
        with pytest.raises(ConfigurationError, match="behind a pooler in transaction mode"), db.connection() as conn:
            conn.execute(statement.encode())
    assert sqlkit.fetch_one(db, int, "select 1") == 1


def test_what_would_last_is_refused_on_asyncio(pooled_dsn: str) -> None:
    """On asyncio as well."""

    async def main() -> None:
        async with await AsyncDatabase.connect(pooled_dsn, pooler="transaction") as db:
            with pytest.raises(ConfigurationError, match="LISTEN lasts in its session"):
                await sqlkit.execute(db, "listen news")
            async with db.connection() as conn:
                with pytest.raises(ConfigurationError, match="LISTEN lasts in its session"):
                    await conn.execute("listen news")

    asyncio.run(main())


@pytest.mark.parametrize("statement", PASSING)
def test_what_ends_with_its_transaction_passes(statement: str, db: Database) -> None:
    """What ends with its transaction is nobody else's."""
    assert lasting(statement) is None
    with db.transaction() as conn:
        conn.execute(statement.encode())


def test_on_the_server_itself_nothing_is_refused(direct_dsn: str) -> None:
    """Without a pooler a borrower may listen and set, and the pool puts it back."""
    with Database.connect(direct_dsn, pool_max_size=1) as db:
        for statement in LASTING:
            with db.connection() as conn:
                conn.execute(statement.encode())


def test_a_listener_hears_what_is_notified_through_the_pooler(db: Database, direct_dsn: str) -> None:
    """NOTIFY goes through, with its transaction; who listens has a direct connection."""
    heard: list[str] = []
    with Listener(direct_dsn).start() as listener, psycopg.connect(direct_dsn, autocommit=True) as other:
        assert listener.hears
        other.execute("listen news")
        with db.transaction() as conn:
            conn.execute("notify news, 'hello'")
        heard = [note.payload for note in other.notifies(timeout=5, stop_after=1)]
    assert heard == ["hello"]


# What needs the server itself.


def test_migrations_want_the_server_itself(pooled_dsn: str, direct_dsn: str, tmp_path: Path, rooms: Rooms) -> None:
    """Through the pooler ``migrate`` is refused; what is migrated on the server itself is used behind it."""
    table = "create table rooms (room_id bigint generated always as identity primary key, tenant text);"
    folder = tmp_path / "migrations"
    folder.mkdir()
    write_sql(folder, table, "0001.rooms.sql")
    write_sql(folder, "drop table rooms;", "0001.rooms.rollback.sql")
    with (
        Database.connect(pooled_dsn, schema="newcomer", pooler="transaction") as db,
        Database.connect(direct_dsn, schema="newcomer") as direct,
    ):
        with pytest.raises(ConfigurationError, match="migrate: not through a pooler"):
            db.migrate(folder)
        direct.migrate(folder)
        assert rooms.add(db, "newcomer") == "newcomer"

    async def main() -> None:
        async with await AsyncDatabase.connect(pooled_dsn, schema="newcomer", pooler="transaction") as db:
            with pytest.raises(ConfigurationError, match="migrate: not through a pooler"):
                await db.migrate(folder)

    asyncio.run(main())


def test_the_command_wants_the_servers_own_dsn(
    pooled_dsn: str, direct_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``sqlkit migrate`` with the settings of a pooler says so; ``--dsn`` names the server."""
    folder = tmp_path / "halls"
    folder.mkdir()
    write_sql(folder, "create table halls (hall_id int primary key);", "0001.halls.sql")
    write_sql(folder, "drop table halls;", "0001.halls.rollback.sql")
    monkeypatch.setenv("DATABASE_URL", pooled_dsn)
    monkeypatch.setenv("SQLKIT_POOLER", "transaction")
    refused = CliRunner().invoke(app, ["migrate", "--migrations", str(folder), "--schema", "halls"])
    assert refused.exit_code != 0
    assert "not through a pooler" in refused.output
    done = CliRunner().invoke(app, ["migrate", "--migrations", str(folder), "--schema", "halls", "--dsn", direct_dsn])
    assert done.exit_code == 0, done.output


# A pooler that goes away.


def test_a_pooler_that_is_restarted(sqlkit_server: TestServer, database: str, rooms: Rooms) -> None:
    """While PgBouncer is away calls fail as with a server that is away; when it is back they go on by themselves."""
    pgbouncer = PgBouncer(sqlkit_server, size=TURNS)
    pgbouncer.start()
    try:
        with Database.connect(
            pgbouncer.dsn(database), schema="tenant_4", pooler="transaction", pool_max_size=2, pool_timeout=1
        ) as db:
            assert rooms.whose(db) == "tenant_4"
            pgbouncer.kill()
            with pytest.raises(psycopg.OperationalError):
                rooms.whose(db)
            pgbouncer.start()

            def answers() -> bool:
                try:
                    return rooms.whose(db) == "tenant_4"
                except psycopg.OperationalError:
                    return False

            assert eventually(answers, 10)
    finally:
        pgbouncer.stop()


# The page.


def test_the_page_on_scaling_runs(
    pooled_dsn: str,
    direct_dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The blocks of docs/scaling.md are one program, behind a PgBouncer."""
    page = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    folder = tmp_path / "migrations"
    folder.mkdir()
    write_sql(folder, "create table orders (order_id int primary key);", "0001.orders.sql")
    write_sql(folder, "drop table orders;", "0001.orders.rollback.sql")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    exec("".join(blocks), {"pooled": pooled_dsn, "direct": direct_dsn})
    said = capsys.readouterr().out
    assert said.count("lasts in its session, which behind a pooler in transaction mode is another client's next") == 3
    assert "migrate: not through a pooler of transactions" in said


# The run through PgBouncer.


def test_the_modules_of_the_query_layer_are_there() -> None:
    """Each module that is named is there, and each that uses the song book is named."""
    modules = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("test_*.py")}
    assert set(pooled.QUERY_LAYER) <= set(modules)
    using = {name for name, text in modules.items() if "songbook.book," in text or "= songbook.module_database" in text}
    assert using - set(pooled.QUERY_LAYER) == {Path(__file__).stem}


def test_few_tests_of_the_query_layer_are_about_a_session() -> None:
    """What is not run through PgBouncer is the exception, and says why."""
    texts = [(ROOT / "tests" / f"{name}.py").read_text(encoding="utf-8") for name in pooled.QUERY_LAYER]
    marked = sum(text.count("@pytest.mark.direct(") for text in texts)
    assert 0 < marked < 0.1 * sum(text.count("\ndef test_") for text in texts)


def test_ci_runs_it() -> None:
    """``make test`` runs the query layer's tests through PgBouncer, and what CI runs installs it first."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "SQLKIT_TEST_POOLER=pgbouncer" in makefile.partition("\ntest:")[2].partition("\n\n")[0]
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert script.index("pgbouncer") < script.index("make lint test")
