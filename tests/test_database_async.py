"""AsyncDatabase: what test_database shows of Database, and what cancellation must not break."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from psycopg import errors as e
from psycopg import sql
from psycopg.rows import dict_row
from psycopg_pool import PoolClosed

from sqlkit import AsyncExecutor, AsyncRows, load
from sqlkit.connection import memory_of
from sqlkit.database import AsyncDatabase
from sqlkit.errors import ConfigurationError, PoolExhausted
from sqlkit.testing import TestServer

TENANTS = ("one", 'T"wo, x')


@pytest.fixture(scope="module")
def module_dsn(server: TestServer) -> Iterator[str]:
    """Give the DSN of one database for this module, with two tenants' schemas and some accounts."""
    name = server.create("database_async")
    dsn = server.dsn_for(name)
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("create schema extensions; create table accounts (account_id int primary key, amount bigint)")
        conn.execute("insert into accounts select n, 100 from generate_series(1, 8) as n")
        for tenant in TENANTS:
            conn.execute(sql.SQL("create schema {}").format(sql.Identifier(tenant)))
            table = sql.Identifier(tenant, "things")
            conn.execute(sql.SQL("create table {} (tenant text)").format(table))
            conn.execute(sql.SQL("insert into {} values ({})").format(table, tenant))
    yield dsn
    server.drop(name)


Test = Callable[[AsyncDatabase], Awaitable[None]]


@pytest.fixture
def run(module_dsn: str) -> Iterator[Callable[[Test], None]]:
    """Give a function that runs a coroutine with a database of three connections, and looks that none stays out."""

    def run_with_database(test: Test) -> None:
        async def main() -> None:
            async with opened(module_dsn) as db:
                await test(db)
                assert db.status().checked_out == 0
                assert db.status().waiting == 0

        asyncio.run(main())

    yield run_with_database
    with psycopg.connect(module_dsn) as conn:
        idle = conn.execute("select query from pg_stat_activity where state like 'idle in transaction%'").fetchall()
    assert idle == []


@asynccontextmanager
async def opened(dsn: str, **settings: Any) -> AsyncIterator[AsyncDatabase]:
    """Open a database of three connections."""
    async with AsyncDatabase.connect(dsn, **{"pool_max_size": 3, "pool_timeout": 5, **settings}) as db:
        yield db


async def one(conn: psycopg.AsyncConnection[Any], query: Any, *values: Any) -> Any:
    """Return the one value of a query."""
    row = await (await conn.execute(query, values or None)).fetchone()
    assert row is not None
    return row[0]


async def until(true: Callable[[], bool]) -> None:
    """Wait until something is true; fail after five seconds."""
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.002)


# Connecting.


def test_connect_is_awaited_or_entered(module_dsn: str) -> None:
    """``await AsyncDatabase.connect()`` and ``async with AsyncDatabase.connect()`` both open it."""

    async def main() -> None:
        db = await AsyncDatabase.connect(module_dsn)
        assert (await db.health()).healthy
        await db.close()
        async with AsyncDatabase.connect(db.settings) as again:
            assert again.status().size == 1
        assert "(closed)" in repr(again)

    asyncio.run(main())


def test_connect_says_why_it_cannot(caplog: pytest.LogCaptureFixture) -> None:
    """A server that is not there is an error with its cause and without the password, and so is the pool's log."""

    async def main() -> None:
        with pytest.raises(PoolExhausted, match=r"u:\*\*\*@127.0.0.1:1/d: the server cannot be reached: ") as caught:
            await AsyncDatabase.connect("postgresql://u:s3cr3t@127.0.0.1:1/d")
        assert isinstance(caught.value.__cause__, psycopg.OperationalError)
        with pytest.raises(ConfigurationError):
            await AsyncDatabase.connect("nonsense")

    asyncio.run(main())
    assert "error connecting in 'postgresql://u:***@127.0.0.1:1/d'" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_cancelled_connect_leaves_nothing(module_dsn: str) -> None:
    """A connect that is given up stops its workers."""

    async def main(port: int) -> None:
        before = len(asyncio.all_tasks())
        opening = AsyncDatabase.connect(f"postgresql://u@127.0.0.1:{port}/d")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(opening, 0.2)
        assert len(asyncio.all_tasks()) == before

    with socket.create_server(("127.0.0.1", 0)) as listener:  # accepts, and says nothing
        asyncio.run(main(listener.getsockname()[1]))


def test_embedded_starts_and_stops_its_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    """AsyncDatabase.embedded starts a server and gives it up when it closes."""

    async def main() -> None:
        async with AsyncDatabase.embedded(tmp_path_factory.mktemp("pg"), schema="app") as db, db.connection() as conn:
            assert await one(conn, "show search_path") == '"app", extensions'

    asyncio.run(main())


# Blocks.


def test_blocks_commit_and_roll_back(run: Callable[[Test], None]) -> None:
    """A block commits when it ends well and leaves nothing when it does not."""

    async def test(db: AsyncDatabase) -> None:
        async with db.connection() as conn:
            await conn.execute("create table kept (n int)")
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with db.connection() as conn:
                await conn.execute("drop table kept")
                raise ZeroDivisionError
        async with db.transaction("serializable", read_only=True) as conn:
            assert await one(conn, "select count(*) from kept") == 0
            assert await one(conn, "show transaction_isolation") == "serializable"
            assert await one(conn, "show transaction_read_only") == "on"
        async with db.connection() as conn:
            assert await one(conn, "show transaction_isolation") == "read committed"
            await conn.execute("drop table kept")

    run(test)


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_session_and_psycopg_side_are_put_back(module_dsn: str, ends: str) -> None:
    """What a borrower changed on either side of the wire is gone for the next."""

    async def main() -> None:
        async with opened(module_dsn, pool_max_size=1) as db:
            try:
                async with db.connection() as conn:
                    await conn.execute("set search_path = pg_temp; create temporary table left_over (n int)")
                    await conn.execute("select pg_advisory_lock(7); listen something; set role pg_monitor")
                    await conn.commit()
                    conn.row_factory = dict_row
                    conn.add_notice_handler(print)
                    await conn.set_read_only(True)
                    if ends == "badly":
                        raise ZeroDivisionError
            except ZeroDivisionError:
                pass
            async with db.connection() as conn:
                assert await one(conn, "select current_setting('search_path')") != "pg_temp"
                assert await one(conn, "select to_regclass('pg_temp.left_over')") is None
                assert await one(conn, "select count(*) from pg_locks where locktype = 'advisory'") == 0
                assert await one(conn, "select count(*) from pg_listening_channels()") == 0
                assert await one(conn, "select current_user = session_user")
                assert conn.read_only is None
                assert conn._notice_handlers == []

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_connection_left_unusable_is_replaced(module_dsn: str) -> None:
    """A borrower who closes a connection or leaves it busy is told where, and the pool has a new one."""

    async def close(conn: psycopg.AsyncConnection[Any]) -> object:
        return await conn.close()  # type: ignore[func-returns-value]

    async def pipeline(conn: psycopg.AsyncConnection[Any]) -> object:
        left = conn.pipeline()
        await left.__aenter__()
        return left

    async def copy(conn: psycopg.AsyncConnection[Any]) -> object:
        left = conn.cursor().copy("copy accounts from stdin")
        await left.__aenter__()
        return left

    async def main() -> None:
        async with opened(module_dsn, pool_max_size=1) as db:
            cases = ((close, "closed inside its block"), (pipeline, "in pipeline mode"), (copy, "of a COPY"))
            for leave, says in cases:
                kept = None
                with pytest.raises(psycopg.ProgrammingError, match=says):
                    async with db.connection() as conn:
                        kept = await leave(conn)
                del kept
                async with db.connection() as conn:
                    assert await one(conn, "select 1") == 1

    asyncio.run(main())


def test_open_stream_is_closed_at_the_end_of_a_block(run: Callable[[Test], None]) -> None:
    """A stream that is still open when its block ends is closed first."""
    closed: list[object] = []

    class Stream:
        def __init__(self, conn: psycopg.AsyncConnection[Any]) -> None:
            self.conn = conn

        async def close(self) -> None:
            await asyncio.sleep(0)
            closed.append(self)
            memory_of(self.conn).stream = None

    async def test(db: AsyncDatabase) -> None:
        async with db.connection() as conn:
            memory_of(conn).stream = Stream(conn)
        assert len(closed) == 1

    run(test)


# Views.


def test_tenants_do_not_meet(run: Callable[[Test], None]) -> None:
    """Tasks of two tenants and borrowers who set the path by hand share three connections; each sees its own."""

    async def test(db: AsyncDatabase) -> None:
        async def look(number: int) -> None:
            tenant = TENANTS[number % 2]
            if number % 5 == 0:
                async with db.connection() as conn:
                    other = sql.Identifier(TENANTS[(number + 1) % 2])
                    await conn.execute(sql.SQL("set search_path = {}").format(other))
                    await conn.execute("select tenant from things", prepare=True)
            async with db.bound(schema=tenant).connection() as conn:
                assert await one(conn, "select tenant from things") == tenant
                await conn.commit()
                assert await one(conn, "select tenant from things") == tenant

        await asyncio.gather(*map(look, range(200)))

    run(test)


def test_autocommit_is_refused_on_a_view(run: Callable[[Test], None]) -> None:
    """Without a transaction a view's settings would be left out."""

    async def test(db: AsyncDatabase) -> None:
        async with db.bound(schema="one").connection() as conn:
            with pytest.raises(psycopg.ProgrammingError, match="bound view"):
                await conn.set_autocommit(True)

    run(test)


# run.


def test_run_calls_again_after_conflicts_and_losses(run: Callable[[Test], None]) -> None:
    """A conflict and a lost connection are tried again; a result comes back."""

    async def test(db: AsyncDatabase) -> None:
        pids: list[int] = []

        async def work(conn: psycopg.AsyncConnection[Any]) -> int:
            pids.append(conn.info.backend_pid)
            if len(pids) == 1:
                raise e.DeadlockDetected("again")
            if len(pids) == 2:
                async with db.connection() as other:
                    await other.execute("select pg_terminate_backend(%s, 5000)", [pids[-1]])
            return int(await one(conn, "select 7"))

        assert await db.run(work) == 7
        assert len(pids) == 3

    run(test)


def test_bank_transfer_keeps_the_sum(module_dsn: str) -> None:
    """Fifty tasks transfer under SERIALIZABLE: each call succeeds or gives up clearly, the sum stays."""

    async def main() -> None:
        async with opened(module_dsn, pool_max_size=8) as db:

            async def transfer(number: int) -> str:
                async def work(conn: psycopg.AsyncConnection[Any]) -> None:
                    source, target = number % 8 + 1, (number * 5 + 3) % 8 + 1
                    amount = await one(conn, "select amount from accounts where account_id = %s", source)
                    await conn.execute("update accounts set amount = %s where account_id = %s", [amount - 1, source])
                    await conn.execute("update accounts set amount = amount + 1 where account_id = %s", [target])

                try:
                    await db.run(work, isolation="serializable", attempts=10)
                except (e.SerializationFailure, e.DeadlockDetected) as error:
                    return error.__notes__[0].partition(": ")[2]
                return "done"

            ends = await asyncio.gather(*map(transfer, range(50)))
            assert set(ends) <= {"done", "given up after 10 attempts"}
            assert ends.count("done") > 25
            async with db.connection() as conn:
                assert await one(conn, "select sum(amount) from accounts") == 800

    asyncio.run(main())


# Exhaustion.


def test_exhausted_pool_names_the_holders(run: Callable[[Test], None]) -> None:
    """The error names places, queries and tasks."""

    async def test(db: AsyncDatabase) -> None:
        over = asyncio.Event()

        async def hold() -> None:
            async with db.connection():
                await over.wait()

        keeper = asyncio.create_task(hold(), name="keeper")
        lent = [await db.lend("songs.sql:3: get_song"), await db.lend("songs.sql:9: search")]
        await until(lambda: db.status().checked_out == 3)

        async def starve() -> None:
            await db._pool.lend("starving", 0.1)

        with pytest.raises(PoolExhausted, match=r"no connection within 0.1 s: all 3 of the pool") as caught:
            await asyncio.create_task(starve())
        over.set()
        await keeper
        for conn in lent:
            await db.take_back(conn)
        by_owner = {holder.owner: holder.place for holder in caught.value.holders}
        assert by_owner["task keeper"].startswith("tests/test_database_async.py:")
        assert by_owner["task keeper"].endswith("test.<locals>.hold")

    run(test)


def test_waiting_for_oneself_is_detected_at_once(run: Callable[[Test], None]) -> None:
    """A task that holds all connections and wants another is told so at once."""

    async def test(db: AsyncDatabase) -> None:
        started = time.monotonic()
        async with db.connection(), db.connection(), db.connection():
            with pytest.raises(PoolExhausted, match="would wait for ever"):
                await db.lend("one more")
        assert time.monotonic() - started < 1

    run(test)


def test_statements_and_the_loop_of_a_stream(module_dsn: str, tmp_path: Path) -> None:
    """Inside the loop over a stream a pool of one has nothing to give; behind a loop that was left it soon has."""
    (tmp_path / "n.sql").write_text("-- name: numbers\nselect n from generate_series(1, 5000) as n;\n")

    class Numbers(Protocol):
        def numbers(self, db: AsyncExecutor) -> AsyncRows[int]: ...

    queries: Numbers = load(Numbers, tmp_path / "n.sql")

    async def main() -> None:
        async with opened(module_dsn, pool_max_size=1) as db:
            async with queries.numbers(db) as rows:
                assert await anext(rows) == 1
                with pytest.raises(PoolExhausted, match="would wait for ever"):
                    await db.lend("inside")
            async for number in queries.numbers(db):
                if number == 3:
                    break
            async with db.connection() as conn:
                assert await one(conn, "select 1") == 1

    asyncio.run(main())


def test_tasks_that_wait_for_each_other_are_detected(module_dsn: str) -> None:
    """Of three tasks that hold one each and want a second, one is told, and the others are served in turn."""

    async def main() -> None:
        async with opened(module_dsn, pool_timeout=20) as db:
            holding = 0

            async def greedy() -> str:
                nonlocal holding
                async with db.connection():
                    holding += 1
                    await until(lambda: holding == 3)
                    try:
                        async with db.connection():
                            return "served"
                    except PoolExhausted:
                        return "told"

            started = time.monotonic()
            ends = await asyncio.gather(greedy(), greedy(), greedy())
            assert sorted(ends) == ["served", "served", "told"]
            assert time.monotonic() - started < 5

    asyncio.run(main())


# Cancellation.


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel a task and see it end so."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_cancelled_statement_gives_the_connection_back(run: Callable[[Test], None]) -> None:
    """A task cancelled in the middle of a statement: rolled back, given back, usable."""

    async def test(db: AsyncDatabase) -> None:
        async def slow() -> None:
            async with db.connection() as conn:
                await conn.execute("update accounts set amount = 0")
                await conn.execute("select pg_sleep(10)")

        task = asyncio.create_task(slow())
        await asyncio.sleep(0.1)
        await cancelled(task)
        assert db.status().checked_out == 0
        async with db.connection() as conn:
            assert await one(conn, "select min(amount) > 0 from accounts")

    run(test)


def test_cancelled_wait_loses_nothing(run: Callable[[Test], None]) -> None:
    """A task cancelled in the queue, also at the moment when its connection comes, leaves it to the next."""

    async def test(db: AsyncDatabase) -> None:
        async def take() -> psycopg.AsyncConnection[Any]:
            return await db.lend("waiting")

        lent = [await db.lend(n) for n in range(3)]
        waiting = [asyncio.create_task(take()) for _ in range(3)]
        await until(lambda: db.status().waiting == 3)
        await cancelled(waiting[0])
        assert db.status().waiting == 2
        await db.take_back(lent.pop())  # promised to the second, which is cancelled before it hears of it
        await cancelled(waiting[1])
        lent.append(await waiting[2])
        for conn in lent:
            await db.take_back(conn)

    run(test)


def test_cancelled_end_of_a_block_loses_nothing(run: Callable[[Test], None]) -> None:
    """Cancellation while COMMIT or ROLLBACK is under way, and again while that is cleaned up."""

    async def test(db: AsyncDatabase) -> None:
        async def block(ends_well: bool, ending: asyncio.Event) -> None:
            async with db.connection() as conn:
                await conn.execute("select 1")
                ending.set()
                if not ends_well:
                    raise ZeroDivisionError

        for number in range(60):
            ending = asyncio.Event()
            task = asyncio.create_task(block(number % 2 == 0, ending))
            await ending.wait()
            for _ in range(1 + number % 3):
                task.cancel()
                await asyncio.sleep(0)
            await asyncio.wait([task])
            assert db.status().checked_out == 0
        async with db.connection() as conn:
            assert await one(conn, "select 1") == 1

    run(test)


def test_storm_of_cancellations(module_dsn: str) -> None:
    """Two hundred tasks, each cancelled at some moment: afterwards the pool is whole and clean."""
    chance = random.Random(7)

    async def main() -> None:
        async with opened(module_dsn) as db:

            async def call(number: int) -> None:
                while True:
                    async with db.bound(settings={"app.number": str(number)}).connection() as conn:
                        assert await one(conn, "select current_setting('app.number')") == str(number)
                        await conn.execute("create temporary table t (n int)")
                    conn = await db.lend(number)
                    try:
                        assert await one(conn, "select to_regclass('pg_temp.t')") is None
                    finally:
                        await db.take_back(conn)

            async def doomed(number: int) -> None:
                task = asyncio.create_task(call(number))
                await asyncio.sleep(chance.uniform(0, 1))
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

            await asyncio.gather(*map(doomed, range(200)))
            assert db.status().checked_out == db.status().waiting == 0
            lent = [await db.lend(n) for n in range(3)]
            for conn in lent:
                assert await one(conn, "select 1") == 1
                await db.take_back(conn)

    asyncio.run(main())


# Sizes and states.


def test_resize_status_health_close(module_dsn: str) -> None:
    """The figures add up, sizes change in use, health never raises, a closed database says so."""

    async def main() -> None:
        async with opened(module_dsn) as db:
            lent = [await db.lend(n) for n in range(3)]
            assert (db.status().size, db.status().overflow, db.status().max_size) == (3, 2, 3)
            assert "all 3 of the pool" in (await asyncio.create_task(db.health(0.1))).reasons[0]
            await db.resize(max_size=1)
            for conn in lent:
                await db.take_back(conn)
            assert db.status().size == 1
            health = await db.health()
            assert (health.healthy, health.reasons, health.in_recovery) == (True, (), False)
            with pytest.raises(ConfigurationError):
                await db.resize(min_size=-1)
        await db.close()
        with pytest.raises(PoolClosed, match="the database is closed"):
            await db.lend("test")
        assert not (await db.health()).healthy

    asyncio.run(main())


def test_close_waits_for_borrowers_and_names_the_late(module_dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    """Others may finish; who is still late is logged, and its connection closed when it comes."""

    async def main() -> None:
        async with opened(module_dsn) as db:

            async def briefly() -> int:
                async with db.connection() as conn:
                    await asyncio.sleep(0.1)
                    return int(await one(conn, "select 7"))

            async def late() -> psycopg.AsyncConnection[Any]:
                return await db.lend("songs.sql:1: slow")

            task: Coroutine[Any, Any, int] = briefly()
            working = asyncio.create_task(task)
            conn = await asyncio.create_task(late(), name="late")
            await until(lambda: db.status().checked_out == 2)
            await db.close(timeout=0.3)
            assert await working == 7
            assert not conn.closed
            await db.take_back(conn)
            assert conn.closed

    asyncio.run(main())
    assert "songs.sql:1: slow (task late" in caplog.text
