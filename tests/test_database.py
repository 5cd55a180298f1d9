"""Database: lending, blocks, bound views, sizes, errors; on a real server."""

from __future__ import annotations

import logging
import os
import pickle
import re
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import psycopg
import psycopg_pool
import pytest
from psycopg import errors as e
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg_pool import PoolClosed

from sqlkit import Executor, Lender, Rows, load
from sqlkit.connection import memory_of
from sqlkit.database import Database, borrowing, sync_pool
from sqlkit.database.options import begins_with, narrowed
from sqlkit.errors import ArgumentError, ConfigurationError, PoolExhausted
from sqlkit.testing import TestServer


@pytest.fixture(scope="module")
def module_dsn(server: TestServer) -> Iterator[str]:
    """Give the DSN of one database for this module, with two tenants' schemas and some accounts."""
    name = server.create("database")
    dsn = server.dsn_for(name)
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("create schema extensions; create table accounts (account_id int primary key, amount bigint)")
        conn.execute("insert into accounts select n, 100 from generate_series(1, 8) as n")
        for tenant in ("one", 'T"wo, x'):
            conn.execute(sql.SQL("create schema {}").format(sql.Identifier(tenant)))
            table = sql.Identifier(tenant, "things")
            conn.execute(sql.SQL("create table {} (tenant text)").format(table))
            conn.execute(sql.SQL("insert into {} values ({})").format(table, tenant))
    yield dsn
    server.drop(name)


@pytest.fixture
def db(module_dsn: str) -> Iterator[Database]:
    """Give a Database of at most three connections, and look that none is out afterwards."""
    with Database.connect(module_dsn, pool_max_size=3, pool_timeout=5) as database:
        yield database
        assert database.status().checked_out == 0
    assert_left_nothing(module_dsn)


def assert_left_nothing(dsn: str) -> None:
    """Fail if a backend of this database is in a transaction."""
    with psycopg.connect(dsn) as conn:
        idle = conn.execute(
            "select pid, query from pg_stat_activity"
            " where datname = current_database() and state like 'idle in transaction%' and pid <> pg_backend_pid()"
        ).fetchall()
    assert idle == []


def one(conn: psycopg.Connection[Any], query: Any, *values: Any) -> Any:
    """Return the one value of a query."""
    row = conn.execute(query, values or None).fetchone()
    assert row is not None
    return row[0]


# Connecting.


def test_connect_takes_a_dsn(module_dsn: str) -> None:
    """A DSN is enough, and the pool has its first connection when connect returns."""
    with Database.connect(module_dsn) as db:
        assert db.status().size == 1


def test_connect_reads_the_environment(module_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments the settings come from the environment."""
    monkeypatch.setenv("DATABASE_URL", module_dsn)
    with Database.connect() as db, db.connection() as conn:
        assert one(conn, "select 1") == 1


def test_keywords_are_settings(module_dsn: str) -> None:
    """A keyword of connect is a setting, over a Settings object too."""
    with Database.connect(module_dsn, application_name="first") as db:
        settings = db.settings
    with Database.connect(settings, application_name="second") as db, db.connection() as conn:
        assert one(conn, "show application_name") == "second"


def test_pool_without_a_smallest_size_still_tries(module_dsn: str) -> None:
    """With pool_min_size 0 connect opens one connection all the same, to know that it can."""
    with Database.connect(module_dsn, pool_min_size=0) as db:
        assert db.status().size == 1
    with pytest.raises(PoolExhausted):
        Database.connect("postgresql://u@127.0.0.1:1/d", pool_min_size=0)


def test_unreachable_server_is_a_clear_error() -> None:
    """A server that is not there is told at once, with psycopg's error as the cause and no password."""
    started = time.monotonic()
    with pytest.raises(PoolExhausted, match=r"u:\*\*\*@127.0.0.1:1/d: the server cannot be reached: ") as caught:
        Database.connect("postgresql://u:s3cr3t@127.0.0.1:1/d")
    assert time.monotonic() - started < 5
    assert isinstance(caught.value.__cause__, psycopg.OperationalError)
    assert "\t" in str(caught.value.__cause__)
    assert "Is the server" not in str(caught.value)  # libpq's hint, on a line of its own
    assert "s3cr3t" not in str(caught.value) + str(caught.value.__cause__)


def test_log_lines_of_the_pool_name_the_server(module_dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    """What psycopg's pool logs says which server is meant, the primary or a replica, without its password."""
    with pytest.raises(PoolExhausted):
        Database.connect("postgresql://u:s3cr3t@127.0.0.1:1/d")
    with Database.connect(module_dsn, replicas=["postgresql://u:s3cr3t@127.0.0.1:2/d"]):
        deadline = time.monotonic() + 10
        while "127.0.0.1:2" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.01)
    told = {line.getMessage().partition(": ")[0] for line in caplog.records if line.name == "psycopg.pool"}
    assert any(text.startswith("error connecting in 'postgresql://u:***@127.0.0.1:1/d'") for text in told), told
    assert any(text.startswith("error connecting in 'postgresql://u:***@127.0.0.1:2/d") for text in told), told
    assert "s3cr3t" not in caplog.text


def test_second_host_is_tried(module_dsn: str) -> None:
    """A DSN with several hosts connects to one that answers."""
    address = conninfo_to_dict(module_dsn)
    port = address.get("port", 5432)
    address |= {"host": f"/nowhere,{address.get('host', '127.0.0.1')}", "port": f"{port},{port}"}
    with Database.connect(make_conninfo(**address)) as db:  # type: ignore[arg-type]
        assert db.health().healthy


def test_missing_database_is_a_clear_error(server: TestServer) -> None:
    """What the server says against connecting is in the message."""
    with pytest.raises(psycopg.OperationalError, match="no_such_database"):
        Database.connect(server.dsn_for("no_such_database"))


def test_silent_server_is_given_up_after_the_connect_timeout() -> None:
    """A server that accepts and says nothing does not hang connect."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        started = time.monotonic()
        with pytest.raises(PoolExhausted, match="cannot be reached"):
            Database.connect(f"postgresql://u@127.0.0.1:{port}/d", connect_timeout=1)
        assert time.monotonic() - started < 6


def test_embedded_starts_and_stops_its_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Database.embedded starts a server, keeps it while it is open, and gives it up when it closes."""
    folder = tmp_path_factory.mktemp("pg", numbered=True)
    with Database.embedded(folder, schema="app") as db, db.connection() as conn:
        pid = one(conn, "select pg_backend_pid()")
        assert one(conn, "show search_path") == '"app", extensions'
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_repr_and_errors_show_no_password(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    """Neither repr, settings nor log lines hold the password."""
    caplog.set_level(logging.DEBUG)
    secret = Database(db.settings.replace(password="s3cr3t"))
    with secret, pytest.raises(PoolClosed) as caught:
        secret.lend("test")
    text = f"{secret!r} {secret.settings!r} {secret.settings} {caught.value} {secret._pool!r} {caplog.text}"
    assert "s3cr3t" not in text
    assert ":***@" in repr(secret)


def test_database_cannot_be_pickled(db: Database) -> None:
    """Pickling says what to do instead."""
    with pytest.raises(TypeError, match="pickle the settings"):
        pickle.dumps(db)


# What a connection is like.


@pytest.mark.parametrize(
    ("setting", "keyword", "value", "shown"),
    [
        ("timezone", "timezone", "UTC", "UTC"),
        ("search_path", "schema", "one", '"one", extensions'),
        ("search_path", "schema", 'T"wo, x', '"T""wo, x", extensions'),
        ("search_path", "schema", "a b\\c ' ü", '"a b\\c \' ü", extensions'),
        ("statement_timeout", "statement_timeout", 1.5, "1500ms"),
        ("idle_in_transaction_session_timeout", "idle_in_transaction_timeout", 60, "1min"),
        ("application_name", "application_name", "it's an app", "it's an app"),
        ("client_encoding", "pool_min_size", 1, "UTF8"),
    ],
)
def test_session_settings_survive_reset(module_dsn: str, setting: str, keyword: str, value: Any, shown: str) -> None:
    """What the settings say holds for every connection, and after a RESET ALL too."""
    with Database.connect(module_dsn, **{keyword: value}) as db:
        for _ in range(2):
            with db.connection() as conn:
                assert one(conn, "select current_setting(%s)", setting) == shown
                conn.execute(sql.SQL("set {} to default").format(sql.Identifier(setting)))
                conn.execute("reset all")
                assert one(conn, "select current_setting(%s)", setting) == shown


def test_options_of_the_dsn_are_kept(module_dsn: str) -> None:
    """Libpq options in the DSN stand beside the settings' own."""
    separator = "&" if "?" in module_dsn else "?"
    with Database.connect(f"{module_dsn}{separator}options=-c%20work_mem%3D5MB") as db, db.connection() as conn:
        assert one(conn, "show work_mem") == "5MB"
        assert one(conn, "show timezone") == "UTC"


def test_lent_connection_is_idle_and_in_autocommit(db: Database) -> None:
    """A query gets a connection in autocommit, and each statement stands by itself."""
    conn = db.lend("test")
    assert conn.autocommit
    conn.execute("select 1")
    assert conn.info.transaction_status == TransactionStatus.IDLE
    db.take_back(conn)


def test_a_connection_is_given_back_once(db: Database) -> None:
    """Giving back twice is an error, not a connection that two borrow."""
    conn = db.lend("test")
    db.take_back(conn)
    with pytest.raises(ValueError, match="given back already"):
        db.take_back(conn)


def test_the_last_one_back_is_lent_first(db: Database) -> None:
    """The connection with the most prepared statements is the one in use."""
    first, second = db.lend("a"), db.lend("b")
    db.take_back(first)
    db.take_back(second)
    again = db.lend("c")
    assert again is second
    db.take_back(again)


# Blocks.


def test_block_commits_when_it_ends_well(db: Database) -> None:
    """What a block wrote is there afterwards, and within it a transaction was open."""
    with db.connection() as conn:
        assert conn.info.transaction_status == TransactionStatus.IDLE
        conn.execute("create table committed (n int)")
        assert conn.info.transaction_status == TransactionStatus.INTRANS  # type: ignore[comparison-overlap]
    with db.connection() as conn:
        assert one(conn, "select count(*) from committed") == 0
        conn.execute("drop table committed")


def test_block_rolls_back_on_an_error(db: Database) -> None:
    """An exception leaves nothing behind and arrives unchanged."""
    with pytest.raises(ZeroDivisionError), db.connection() as conn:  # noqa: PT012
        conn.execute("create table rolled_back (n int)")
        raise ZeroDivisionError
    with db.connection() as conn:
        assert one(conn, "select to_regclass('rolled_back')") is None


def test_block_rolls_back_on_keyboard_interrupt(db: Database) -> None:
    """Ctrl-C inside a block gives the connection back, clean."""
    with pytest.raises(KeyboardInterrupt), db.connection() as conn:  # noqa: PT012
        conn.execute("update accounts set amount = 0")
        raise KeyboardInterrupt
    with db.connection() as conn:
        assert one(conn, "select min(amount) from accounts") == 100


def test_interrupted_statement_gives_the_connection_back(db: Database) -> None:
    """Ctrl-C in the middle of a statement cancels it, and the connection is good again."""
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), db.connection() as conn:  # noqa: PT012
        timer.start()
        conn.execute("select pg_sleep(20)")
    assert time.monotonic() - started < 10
    assert db.status().checked_out == 0
    with db.connection() as conn:
        assert one(conn, "select 1") == 1


def test_failed_transaction_is_rolled_back_with_a_warning(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    """A block whose error was swallowed cannot commit; the log says where."""
    with db.connection() as conn, pytest.raises(e.DivisionByZero):
        conn.execute("select 1 / 0")
    assert "test_database.py" in caplog.text
    assert "rolled back at its end" in caplog.text


def test_borrower_may_commit_and_roll_back(db: Database) -> None:
    """Explicit commits and rollbacks inside a block are fine."""
    with db.connection() as conn:
        conn.execute("create table by_hand (n int)")
        conn.commit()
        conn.execute("insert into by_hand values (1)")
        conn.rollback()
        assert one(conn, "select count(*) from by_hand") == 0
        conn.execute("drop table by_hand")


def test_nested_transactions_are_savepoints(db: Database) -> None:
    """conn.transaction() inside a transaction undoes its own part only."""
    with db.transaction() as conn:
        conn.execute("create temporary table nested (n int)")
        with pytest.raises(ZeroDivisionError), conn.transaction():  # noqa: PT012
            conn.execute("insert into nested values (1)")
            raise ZeroDivisionError
        assert one(conn, "select count(*) from nested") == 0


def test_transaction_always_takes_another_connection(db: Database) -> None:
    """Two blocks at once are two connections."""
    with db.transaction() as outer, db.transaction() as inner:
        assert outer is not inner


@pytest.mark.parametrize(
    ("options", "setting", "shown"),
    [
        ({"isolation": "serializable"}, "transaction_isolation", "serializable"),
        ({"isolation": "Repeatable_Read"}, "transaction_isolation", "repeatable read"),
        ({"isolation": psycopg.IsolationLevel.SERIALIZABLE}, "transaction_isolation", "serializable"),
        ({"read_only": True}, "transaction_read_only", "on"),
        ({"deferrable": True}, "transaction_deferrable", "on"),
        ({}, "transaction_isolation", "read committed"),
    ],
)
def test_transaction_options(db: Database, options: dict[str, Any], setting: str, shown: str) -> None:
    """Options hold for the block, and the next block has the defaults again."""
    with db.transaction(**options) as conn:
        assert one(conn, "select current_setting(%s)", setting) == shown
    with db.connection() as conn:
        assert one(conn, "show transaction_isolation") == "read committed"
        assert one(conn, "show transaction_read_only") == "off"


def test_unknown_isolation_level_is_named(db: Database) -> None:
    """A level that there is not lists those that there are."""
    with pytest.raises(ArgumentError, match="there are read uncommitted, read committed"):
        db.transaction(isolation="snapshot")  # type: ignore[arg-type]


# Put back as it was.

TRACES: dict[str, tuple[str, str, Any]] = {
    "setting": ("set work_mem = '7MB'", "select current_setting('work_mem')", None),
    "search path": ("set search_path = pg_temp", "show search_path", None),
    "role": ("set role pg_monitor", "select current_user", None),
    "session authorization": ("set session authorization pg_monitor", "select session_user", None),
    "listening": ("listen something", "select count(*) from pg_listening_channels()", 0),
    "temporary table": ("create temporary table left_over (n int)", "select to_regclass('pg_temp.left_over')", None),
    "cursor": ("declare c cursor with hold for select 1", "select count(*) from pg_cursors where name = 'c'", 0),
    "advisory lock": ("select pg_advisory_lock(7)", "select count(*) from pg_locks where locktype = 'advisory'", 0),
    "characteristics": (
        "set session characteristics as transaction read only",
        "show transaction_read_only",
        None,
    ),
}


@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("ends", ["well", "badly"])
def test_session_state_is_put_back(module_dsn: str, trace: str, ends: str) -> None:
    """Whatever a borrower's raw SQL left in the session is gone for the next."""
    leave, look, expected = TRACES[trace]
    with Database.connect(module_dsn, pool_max_size=1) as db:
        with db.connection() as conn:
            pid = conn.info.backend_pid
            before = one(conn, look)
        try:
            with db.connection() as conn:
                conn.execute(leave)
                conn.commit()
                assert one(conn, look) != before
                if ends == "badly":
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        with db.connection() as conn:
            assert one(conn, look) == before
            assert expected is None or before == expected
            assert conn.info.backend_pid == pid


def test_psycopg_side_is_put_back(module_dsn: str) -> None:
    """Attributes, handlers and adapters that a borrower changed are as before for the next."""
    calls: list[object] = []

    class Shout(psycopg.adapt.Dumper):
        def dump(self, obj: str) -> bytes:
            return obj.upper().encode()

    with Database.connect(module_dsn, pool_max_size=1) as db:
        with db.connection() as conn:
            conn.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
            conn.read_only = True
            conn.deferrable = True
            conn.row_factory = dict_row
            conn.cursor_factory = psycopg.ClientCursor
            conn.prepare_threshold = 0
            conn.prepared_max = 3
            conn.add_notice_handler(calls.append)
            conn.adapters.register_dumper(str, Shout)
            conn.execute("select 1")
            conn.commit()
            conn.autocommit = True
        with db.connection() as conn:
            assert not conn.autocommit
            assert (conn.isolation_level, conn.read_only, conn.deferrable) == (None, None, None)
            assert (conn.prepare_threshold, conn.prepared_max) == (5, 100)
            assert conn.execute("select %s", ["quiet"]).fetchone() == ("quiet",)
            conn.execute("do $$ begin raise notice 'hello'; end $$")
        assert calls == []


@contextmanager
def traced(conn: psycopg.Connection[Any]) -> Iterator[list[str]]:
    """Give the list of what libpq sends on a connection, and an entry "ready" for each answer; filled at the end."""
    sent: list[str] = []
    with tempfile.TemporaryFile("w+") as file:
        conn.pgconn.trace(file.fileno())
        yield sent
        conn.pgconn.untrace()
        file.seek(0)
        for line in file:
            direction, _, message, *rest = re.sub(r"^[\d:. -]{20,}\t", "", line).rstrip("\n").split("\t")
            if direction == "F":
                sent.append(" ".join([message, *rest]))
            elif message == "ReadyForQuery":
                sent.append("ready")


def test_untouched_connection_costs_no_round_trip(module_dsn: str) -> None:
    """A connection on which nobody ran raw SQL is lent and goes back without a word to the server."""
    with Database.connect(module_dsn, pool_max_size=1) as db:
        conn = db.lend("test")
        with traced(conn) as sent:
            db.take_back(conn)
            for _ in range(3):
                db.take_back(db.lend("test"))
            with db.connection():
                pass
        assert sent == []


def test_one_block_is_three_round_trips(module_dsn: str) -> None:
    """BEGIN, the statement, and COMMIT together with the reset."""
    with Database.connect(module_dsn, pool_max_size=1) as db:
        conn = db.lend("test")
        db.take_back(conn)
        with traced(conn) as sent, db.connection() as borrowed:
            assert borrowed is conn
            borrowed.execute("select 1")
        assert sent.count("ready") == 3
        assert "commit; close all" in sent[-2]


def test_prepared_statements_stay(module_dsn: str) -> None:
    """Putting a session back does not throw away what is prepared."""
    with Database.connect(module_dsn, pool_max_size=1) as db:
        with db.connection() as conn:
            conn.execute("select 1", prepare=True)
        with db.connection() as conn:
            assert one(conn, "select count(*) from pg_prepared_statements") == 1


@pytest.mark.parametrize("statement", ["deallocate all", "DISCARD ALL", "  Deallocate all"])
def test_deallocated_statements_are_forgotten(db: Database, statement: str) -> None:
    """Raw DEALLOCATE ALL and DISCARD ALL make sqlkit forget what it had prepared there."""
    conn = db.lend("test")
    memory = memory_of(conn)
    for _ in range(3):
        memory.prepared["path", "select 1"] = object()
        conn.execute(statement)
        assert memory.prepared == {}
    db.take_back(conn)


def test_rollback_that_deallocates_is_noticed(db: Database) -> None:
    """Psycopg's own DEALLOCATE ALL after a rollback makes sqlkit forget too."""
    with db.connection() as conn:
        memory_of(conn).prepared["path", "select 1"] = object()
        conn.execute("select 1", prepare=True)
        conn.rollback()
        assert memory_of(conn).prepared == {}


def _left_closed(conn: psycopg.Connection[Any]) -> object:
    return conn.close()  # type: ignore[func-returns-value]


def _left_in_pipeline(conn: psycopg.Connection[Any]) -> object:
    pipeline = conn.pipeline()
    pipeline.__enter__()
    return pipeline


def _left_in_copy(conn: psycopg.Connection[Any]) -> object:
    copy = conn.cursor().copy("copy accounts from stdin")
    copy.__enter__()
    return copy


def _left_active(conn: psycopg.Connection[Any]) -> object:
    return conn.pgconn.send_query(b"select 1")  # type: ignore[func-returns-value]


def _left_in_transaction(conn: psycopg.Connection[Any]) -> object:
    transaction = conn.transaction()
    transaction.__enter__()
    return transaction


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(
    ("leave", "says"),
    [
        (_left_closed, "was closed inside its block"),
        (_left_in_pipeline, "left in pipeline mode"),
        (_left_in_copy, "in the middle of a COPY"),
        (_left_active, "in the middle of a COPY or of a statement"),
        (_left_in_transaction, "inside conn.transaction"),
    ],
)
def test_connection_left_unusable_is_replaced(
    module_dsn: str, leave: Callable[[psycopg.Connection[Any]], object], says: str
) -> None:
    """A borrower who leaves a connection in no state to be used is told where, and the pool has a new one."""
    with Database.connect(module_dsn, pool_max_size=1) as db:
        kept: list[object] = []
        place = rf"test_database.py:\d+ in .*: .*{says}"
        with pytest.raises(psycopg.ProgrammingError, match=place), db.connection() as conn:  # noqa: PT012
            pid = conn.info.backend_pid
            kept.append(leave(conn))  # what is dropped would be cleaned up by Python
        with db.connection() as conn:
            assert conn.info.backend_pid != pid
            assert one(conn, "select 1") == 1


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("leave", [_left_closed, _left_in_pipeline, _left_active, _left_in_transaction])
def test_query_connection_left_unusable_is_replaced(
    module_dsn: str, leave: Callable[[psycopg.Connection[Any]], object]
) -> None:
    """What a query's connection suffered is the pool's matter: the next one is a good one."""
    with Database.connect(module_dsn, pool_max_size=1) as db:
        conn = db.lend("test")
        kept = leave(conn)
        db.take_back(conn)
        del kept
        again = db.lend("test")
        assert again is not conn
        assert one(again, "select 1") == 1
        db.take_back(again)


class Stream:
    """A stream as sqlkit's own leaves it in a connection's memory."""

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self.conn = conn
        self.closed = False

    def describe(self) -> str:
        return "the stream"

    def close(self) -> None:
        self.closed = True
        memory_of(self.conn).stream = None


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_open_stream_is_closed_at_the_end_of_a_block(db: Database, ends: str) -> None:
    """A stream that is still open when its block ends is closed before COMMIT or ROLLBACK."""
    stream = None
    try:
        with db.connection() as conn:
            stream = memory_of(conn).stream = Stream(conn)
            if ends == "badly":
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert stream is not None
    assert stream.closed


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_connection_that_cannot_be_put_back_is_replaced(
    module_dsn: str, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """A reset that fails is no reason to keep the session, nor to lose what was committed."""
    for module in (borrowing, sync_pool):
        monkeypatch.setattr(module, "RESET", b"select 1 / 0")
    with Database.connect(module_dsn, pool_max_size=1) as db:
        with suppress(ZeroDivisionError), db.connection() as conn:
            pid = conn.info.backend_pid
            conn.execute("update accounts set amount = amount where account_id = 1")
            if ends == "badly":
                raise ZeroDivisionError
        assert db.status().checked_out == 0
        with db.connection() as conn:
            assert conn.info.backend_pid != pid


def test_with_conn_does_not_close_a_lent_connection(db: Database) -> None:
    """Psycopg's `with conn` inside a block commits, and leaves the connection to the pool."""
    with db.connection() as conn:
        with conn:
            conn.execute("select 1")
        assert one(conn, "select 2") == 2


# Bound views.


def test_view_sets_its_path_for_each_transaction(db: Database) -> None:
    """A view's connection finds its tenant's tables, also after the borrower's own commit and rollback."""
    with db.bound(schema='T"wo, x').connection() as conn:
        for end in (conn.commit, conn.rollback, conn.commit):
            assert one(conn, "select tenant from things") == 'T"wo, x'
            end()
        with conn.transaction():
            assert one(conn, "select tenant from things") == 'T"wo, x'
    with db.connection() as conn, pytest.raises(e.UndefinedTable):
        conn.execute("select tenant from things")


def test_view_rides_along_with_begin(module_dsn: str) -> None:
    """BEGIN and the settings are one message."""
    with Database.connect(module_dsn, pool_max_size=1) as db:
        conn = db.lend("test")
        db.take_back(conn)
        with traced(conn) as sent, db.bound(schema="one", settings={"app.owner": "7"}).connection() as borrowed:
            assert one(borrowed, "select current_setting('app.owner')") == "7"
        assert "BEGIN; select pg_catalog.set_config('search_path'" in sent[0]
        assert sent.count("ready") == 3


def test_view_works_in_pipeline_mode(db: Database) -> None:
    """A borrower's pipeline begins with the view's settings too."""
    with db.bound(schema="one").connection() as conn, conn.pipeline():
        assert one(conn, "select tenant from things") == "one"


@pytest.mark.parametrize("value", ["plain", "it's", "back\\slash", "'; drop table accounts; --", "E'\\'", "ü\n\t\x01"])
def test_settings_arrive_as_they_are(db: Database, value: str) -> None:
    """A setting's value is a value, whatever is in it and whatever standard_conforming_strings says."""
    with db.bound(settings={"app.value": value}).connection() as conn:
        assert one(conn, "select current_setting('app.value')") == value
        conn.commit()
        conn.execute("set standard_conforming_strings = off")
        conn.commit()
        assert one(conn, "select current_setting('app.value')") == value


def test_view_of_a_view_has_both(db: Database) -> None:
    """Views add up, the later one over the earlier, the role last."""
    view = db.bound(schema="one", role="pg_monitor", settings={"app.a": "1", "app.b": "1"})
    inner = view.bound(schema='T"wo, x', settings={"app.b": "2"})
    assert inner.local is not None
    assert inner.local.settings == (
        ("search_path", '"T""wo, x", extensions'),
        ("app.a", "1"),
        ("app.b", "2"),
        ("role", "pg_monitor"),
    )
    assert inner.local.path == '"T""wo, x", extensions'
    with inner.connection() as conn:
        assert one(conn, "select current_user || current_setting('app.b')") == "pg_monitor2"
    with db.connection() as conn:
        assert one(conn, "select current_user") != "pg_monitor"


@pytest.mark.parametrize("schema", ["", "a\0b", "x" * 64, "ü" * 32])
def test_impossible_schema_is_refused(db: Database, schema: str) -> None:
    """A name that the server would cut off or refuse never becomes another tenant's."""
    with pytest.raises(ArgumentError, match="no schema's name"):
        db.bound(schema=schema)


def test_autocommit_is_refused_on_a_view(db: Database) -> None:
    """Without a transaction a view's settings would silently be left out, so that is an error."""
    with db.bound(schema="one").connection() as conn, pytest.raises(psycopg.ProgrammingError, match="bound view"):
        conn.autocommit = True


def test_view_lends_with_its_local(db: Database) -> None:
    """A query gets the view's connection and what to set, and gives both back."""
    view = db.bound(schema="one")
    conn = view.lend("test")
    assert view.local is not None
    assert db.local is None
    view.take_back(conn)


def test_tenants_do_not_meet(db: Database) -> None:
    """Two tenants' views and a borrower who sets the path by hand share three connections; each sees its own."""
    names = ["one", 'T"wo, x']

    def look(number: int) -> tuple[str, str]:
        tenant = names[number % 2]
        if number % 5 == 0:
            with db.connection() as conn:
                conn.execute(sql.SQL("set search_path = {}").format(sql.Identifier(names[(number + 1) % 2])))
                conn.execute("select tenant from things", prepare=True)
        with db.bound(schema=tenant).connection() as conn:
            return tenant, one(conn, "select tenant from things")

    with ThreadPoolExecutor(8) as threads:
        for wanted, seen in threads.map(look, range(400)):
            assert seen == wanted


def test_behind_a_pooler_nothing_is_set_in_the_session(module_dsn: str) -> None:
    """With pooler="transaction" path and timeouts go with each transaction, and nothing is prepared."""
    settings = {"schema": "one", "statement_timeout": 7, "pooler": "transaction"}
    with Database.connect(module_dsn, **settings) as db:
        conn = db.lend("test")
        assert conn.prepare_threshold is None
        assert one(conn, "show search_path") != '"one", extensions'
        db.take_back(conn)
        with db.connection() as conn:
            assert one(conn, "select tenant from things") == "one"
            assert one(conn, "show statement_timeout") == "7s"
        assert db.local is not None
        assert db.local.path == '"one", extensions'


def test_database_and_views_are_lenders(db: Database) -> None:
    """What a query takes is what these are, as type checkers see it too."""
    lenders: list[Lender] = [db, db.bound(schema="one")]
    assert all(lender.lend for lender in lenders)


def test_no_settings_are_no_statement() -> None:
    """A view of nothing adds nothing to BEGIN."""
    assert begins_with(narrowed(None, None, None, {})).statement == b""


# run.


def test_run_returns_the_result_and_commits(db: Database) -> None:
    """The work's result comes back when its transaction is committed."""
    assert db.run(lambda conn: one(conn, "select 7")) == 7


@pytest.mark.parametrize("error", [e.SerializationFailure, e.DeadlockDetected])
def test_run_calls_again_after_a_conflict(db: Database, error: type[psycopg.Error]) -> None:
    """A conflict is tried again, on a transaction of its own."""
    calls = 0

    def work(conn: psycopg.Connection[Any]) -> int:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise error("again")
        return calls

    assert db.run(work) == 3


def test_run_gives_up_with_a_note(db: Database) -> None:
    """After its attempts the last error comes, and says how many there were and where."""

    def work(conn: psycopg.Connection[Any]) -> None:
        raise e.SerializationFailure("again")

    with pytest.raises(e.SerializationFailure) as caught:
        db.run(work, attempts=2)
    assert "test_database.py" in caught.value.__notes__[0]
    assert "given up after 2 attempts" in caught.value.__notes__[0]


def test_run_calls_again_after_a_conflict_in_commit(db: Database) -> None:
    """A serialization failure that only COMMIT finds is tried again."""
    calls = 0

    def work(conn: psycopg.Connection[Any]) -> None:
        nonlocal calls
        calls += 1
        amount = one(conn, "select sum(amount) from accounts")
        if calls == 1:
            with db.transaction("serializable") as other:
                one(other, "select sum(amount) from accounts")
                other.execute("update accounts set amount = amount where account_id = 2")
        conn.execute("update accounts set amount = %s - 300 where account_id = 1", [amount])

    db.run(work, isolation="serializable")
    assert calls == 2


def test_run_calls_again_after_a_lost_connection(db: Database) -> None:
    """A connection that dies before COMMIT is replaced, and the work done again."""
    pids: list[int] = []

    def work(conn: psycopg.Connection[Any]) -> int:
        pids.append(conn.info.backend_pid)
        if len(pids) == 1:
            with db.connection() as other:
                other.execute("select pg_terminate_backend(%s, 5000)", [pids[0]])
        return int(one(conn, "select 1"))

    assert db.run(work) == 1
    assert len(set(pids)) == 2


def test_run_does_not_repeat_what_may_be_committed(db: Database) -> None:
    """A connection that dies after a COMMIT was sent ends the call, for a part of the work may stand."""
    calls = 0

    def work(conn: psycopg.Connection[Any]) -> None:
        nonlocal calls
        calls += 1
        conn.execute("select 1")
        conn.commit()
        with db.connection() as other:
            other.execute("select pg_terminate_backend(%s, 5000)", [conn.info.backend_pid])
        conn.execute("select 1")

    with pytest.raises(psycopg.OperationalError) as caught:
        db.run(work)
    assert calls == 1
    assert "may have taken effect" in caught.value.__notes__[0]


def test_run_raises_other_errors_at_once(db: Database) -> None:
    """Anything but a conflict or a loss is not tried again."""
    calls = 0

    def work(conn: psycopg.Connection[Any]) -> None:
        nonlocal calls
        calls += 1
        conn.execute("select 1 / 0")

    with pytest.raises(e.DivisionByZero):
        db.run(work)
    assert calls == 1


def test_run_wants_an_attempt(db: Database) -> None:
    """No attempts make no sense."""
    with pytest.raises(ValueError, match="attempts"):
        db.run(lambda conn: None, attempts=0)


def test_bank_transfer_keeps_the_sum(module_dsn: str) -> None:
    """Sixteen threads transfer under SERIALIZABLE: each call succeeds or ends in a clear error, the sum stays."""
    with Database.connect(module_dsn, pool_max_size=16) as db:
        with db.connection() as conn:
            conn.execute("update accounts set amount = 100")

        def transfer(number: int) -> str:
            source, target = number % 8 + 1, (number * 5 + 3) % 8 + 1

            def work(conn: psycopg.Connection[Any]) -> None:
                amount = one(conn, "select amount from accounts where account_id = %s", source)
                conn.execute("update accounts set amount = %s where account_id = %s", [amount - 1, source])
                conn.execute("update accounts set amount = amount + 1 where account_id = %s", [target])

            try:
                db.run(work, isolation="serializable", attempts=10)
            except (e.SerializationFailure, e.DeadlockDetected) as error:
                return error.__notes__[0].partition(": ")[2]
            return "done"

        with ThreadPoolExecutor(16) as threads:
            ends = list(threads.map(transfer, range(160)))
        with db.connection() as conn:
            assert one(conn, "select sum(amount) from accounts") == 800
            conn.execute("update accounts set amount = 100")
        assert set(ends) <= {"done", "given up after 10 attempts"}
        assert ends.count("done") > 80
        assert db.status().checked_out == 0


# An exhausted pool.


def test_exhausted_pool_names_the_holders(db: Database) -> None:
    """The error says who holds each connection: a place in the caller's code or a query, the thread, how long."""
    ready, go = threading.Event(), threading.Event()

    def hold() -> None:
        with db.connection():
            ready.set()
            go.wait(10)

    keeper = threading.Thread(target=hold, name="keeper")
    keeper.start()
    ready.wait(10)
    lent = [db.lend("songs.sql:3: get_song"), db.lend("songs.sql:9: search")]

    def starve() -> PoolExhausted:
        with pytest.raises(PoolExhausted, match=r"no connection within 0\.1 s: all 3 of the pool") as caught:
            db._pool.lend("starving", 0.1)
        return caught.value

    with ThreadPoolExecutor(1) as threads:
        error = threads.submit(starve).result()
    go.set()
    keeper.join()
    for conn in lent:
        db.take_back(conn)
    assert len(error.holders) == 3
    assert error.holders[0].place.startswith("tests/test_database.py:")
    assert error.holders[0].place.endswith("in test_exhausted_pool_names_the_holders.<locals>.hold")
    assert error.holders[0].owner == "thread keeper"
    assert {holder.place for holder in error.holders[1:]} == {"songs.sql:3: get_song", "songs.sql:9: search"}
    assert all(0 <= holder.seconds < 10 for holder in error.holders)
    assert isinstance(error, psycopg_pool.PoolTimeout)
    assert "held by songs.sql:3: get_song (thread MainThread" in str(error)


def test_waiting_for_oneself_is_detected_at_once(db: Database) -> None:
    """A thread that holds all connections and wants another is told so, with the place of the first."""
    started = time.monotonic()
    with db.connection(), db.connection(), db.connection():  # noqa: SIM117
        with pytest.raises(PoolExhausted, match=r"would wait for ever: .* taken at tests/test_database.py:\d+"):
            db.lend("one more")
    assert time.monotonic() - started < 1


def test_waiting_for_oneself_through_a_context_manager_is_detected(module_dsn: str) -> None:
    """It does not matter that a generator stands between the caller and the block."""

    @contextmanager
    def dressed_up(db: Database) -> Iterator[psycopg.Connection[Any]]:
        with db.connection() as conn:
            yield conn

    with Database.connect(module_dsn, pool_max_size=1) as db, dressed_up(db):  # noqa: SIM117
        with pytest.raises(PoolExhausted, match="would wait for ever"), dressed_up(db):
            pass


def test_statement_in_the_loop_of_a_stream_is_detected(module_dsn: str, tmp_path: Path) -> None:
    """A loop over a stream that wants another connection from a pool of one is told at once."""
    (tmp_path / "n.sql").write_text("-- name: numbers\nselect n from generate_series(1, 5000) as n;\n")

    class Numbers(Protocol):
        def numbers(self, db: Executor) -> Rows[int]: ...

    queries: Numbers = load(Numbers, tmp_path / "n.sql")
    with Database.connect(module_dsn, pool_max_size=1) as db:
        started = time.monotonic()
        with queries.numbers(db) as rows:
            assert next(rows) == 1
            with pytest.raises(PoolExhausted, match=r"would wait for ever: .*n.sql:1: numbers"):
                db.lend("inside")
        assert time.monotonic() - started < 1
        assert db.status().checked_out == 0
        assert sum(1 for _ in queries.numbers(db)) == 5000


def test_thread_that_works_for_many_is_no_deadlock(module_dsn: str) -> None:
    """A connection taken by one call of a worker thread may come back by another thread, so waiting is right."""

    def dependency(db: Database) -> Iterator[psycopg.Connection[Any]]:
        with db.connection() as conn:
            yield conn

    with Database.connect(module_dsn, pool_max_size=1) as db, ThreadPoolExecutor(1) as worker:
        held = dependency(db)
        worker.submit(next, held).result()
        waiting = worker.submit(db.lend, "another request")
        time.sleep(0.1)
        assert not waiting.done()
        with pytest.raises(StopIteration):
            next(held)
        db.take_back(waiting.result())


def test_threads_that_wait_for_each_other_are_detected(module_dsn: str) -> None:
    """Two threads that hold one each and want a second: one is told at once, the other goes on."""
    with Database.connect(module_dsn, pool_max_size=2, pool_timeout=20) as db:
        both = threading.Barrier(2)

        def greedy(_: int) -> str:
            with db.connection():
                both.wait(10)
                try:
                    with db.connection():
                        return "served"
                except PoolExhausted:
                    return "told"

        started = time.monotonic()
        with ThreadPoolExecutor(2) as threads:
            assert "told" in list(threads.map(greedy, range(2)))
        assert time.monotonic() - started < 5


def test_waiting_for_another_is_no_deadlock(module_dsn: str) -> None:
    """A thread that holds one connection may wait for a second that somebody else holds for a moment."""
    with Database.connect(module_dsn, pool_max_size=2) as db:
        taken = threading.Event()

        def briefly() -> None:
            with db.connection():
                taken.set()
                time.sleep(0.1)

        with db.connection(), ThreadPoolExecutor(1) as threads:
            other = threads.submit(briefly)
            taken.wait(10)
            with db.connection() as conn:
                assert one(conn, "select 1") == 1
            other.result()


def test_interrupted_wait_loses_nothing(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A KeyboardInterrupt in the queue leaves no ghost to which a connection would be given."""
    lent = [db.lend("one"), db.lend("two"), db.lend("three")]
    lent_by_another = {id(conn): ("x", -1, 0.0, conn) for conn in lent}
    db._pool.holders.lent.update(lent_by_another)  # type: ignore[arg-type]
    threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        db.lend("four")
    assert db.status().waiting == 0
    for conn in lent:
        db.take_back(conn)
    assert db.status().available == 3


# Sizes and states.


def test_status_counts(db: Database) -> None:
    """The figures add up."""
    with db.connection(), db.connection():
        status = db.status()
        assert (status.size, status.checked_out, status.overflow) == (2, 2, 1)
        assert (status.available, status.waiting, status.min_size, status.max_size) == (0, 0, 1, 3)


def test_resize_takes_effect_while_in_use(db: Database) -> None:
    """A smaller pool closes what is idle now and what is out when it comes back; a larger one opens its minimum."""
    lent = [db.lend(n) for n in range(3)]
    db.take_back(lent.pop())
    db.resize(max_size=1)
    assert db.status().available == 0
    for conn in lent:
        db.take_back(conn)
    assert db.status().size == 1
    db.resize(min_size=2, max_size=4)
    deadline = time.monotonic() + 5
    while db.status().size < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (db.status().size, db.settings.pool_max_size) == (2, 4)


def test_impossible_sizes_are_refused(db: Database) -> None:
    """A smallest size above the largest is an error, and nothing changes."""
    with pytest.raises(ConfigurationError, match="9 connections at least"):
        db.resize(min_size=9)
    assert db.status().max_size == 3


def test_health_of_a_good_database(db: Database, server: TestServer) -> None:
    """A server that answers is healthy."""
    health = db.health()
    assert health.healthy
    assert health.reasons == ()
    assert health.server_version is not None
    assert health.server_version.startswith(str(server.version // 10000))
    assert health.in_recovery is False
    assert health.latency_ms is not None


def test_health_never_raises(db: Database) -> None:
    """An exhausted or closed pool is unhealthy, with the reason, in bounded time."""
    with db.connection(), db.connection(), db.connection(), ThreadPoolExecutor(1) as threads:
        health = threads.submit(db.health, 0.2).result()
    assert not health.healthy
    assert "all 3 of the pool are taken" in health.reasons[0]
    db.close()
    assert "closed" in db.health().reasons[0]


def test_closed_database_says_so(db: Database) -> None:
    """After close nothing is lent, and a second close does nothing."""
    db.close()
    db.close()
    with pytest.raises(PoolClosed, match="the database is closed"):
        db.lend("test")


def test_close_waits_for_borrowers(module_dsn: str) -> None:
    """Close lets others finish, and their work is committed."""
    db = Database.connect(module_dsn)
    taken = threading.Event()

    def work() -> int:
        with db.connection() as conn:
            taken.set()
            time.sleep(0.2)
            return int(one(conn, "select 7"))

    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(work)
        taken.wait(10)
        db.close()
        assert db.status().checked_out == 0
        assert result.result() == 7


def test_close_says_who_still_holds(module_dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    """What does not come back in time is logged with its holder, and closed when it comes."""
    db = Database.connect(module_dsn)
    conn = db.lend("songs.sql:1: slow")
    db.close(timeout=0.1)
    assert "songs.sql:1: slow (thread MainThread" in caplog.text
    assert not conn.closed
    db.take_back(conn)
    assert conn.closed


def test_close_ends_the_wait_of_others(module_dsn: str) -> None:
    """Whoever waits when the database closes is told."""
    db = Database.connect(module_dsn, pool_max_size=1)
    conn = db.lend("test")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(db.lend, "other")
        while db.status().waiting == 0:
            time.sleep(0.001)
        db.close(timeout=0.1)
        with pytest.raises(PoolClosed, match="closed"):
            waiting.result()
    db.take_back(conn)


def test_expired_connections_are_replaced(module_dsn: str) -> None:
    """A connection past its lifetime is replaced when it comes back."""
    with Database.connect(module_dsn, pool_max_lifetime=0.05) as db:
        with db.connection() as conn:
            pid = conn.info.backend_pid
            time.sleep(0.1)
        with db.connection() as conn:
            assert conn.info.backend_pid != pid


def test_long_idle_connection_is_asked(module_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a connection that idled for long costs a round trip before it is lent."""
    with Database.connect(module_dsn, pool_ask_after=0.05) as db:
        asked: list[object] = []
        plain = sync_pool.Pool._answers

        def counted(*args: Any) -> Any:
            asked.append(1)
            return plain(*args)

        monkeypatch.setattr(sync_pool.Pool, "_answers", counted)
        db.take_back(db.lend("test"))
        assert asked == []
        time.sleep(0.1)
        db.take_back(db.lend("test"))
        assert asked == [1]


def test_notifications_do_not_kill_a_connection(module_dsn: str) -> None:
    """A socket that speaks while idle belongs to a live connection if it answers."""
    with Database.connect(module_dsn, pool_max_size=1) as db:
        conn = db.lend("test")
        db.take_back(conn)
        conn.pgconn.exec_(b"listen something")
        with psycopg.connect(module_dsn, autocommit=True) as other:
            other.execute("notify something")
        while not memory_of(conn).readable():
            time.sleep(0.001)
        assert db.lend("test") is conn
        db.take_back(conn)


def test_growth_and_shrinking(module_dsn: str) -> None:
    """A pool grows with its callers up to the largest size and shrinks when they are gone."""
    with Database.connect(module_dsn, pool_max_size=3, pool_max_idle=0.2) as db:
        lent = [db.lend(n) for n in range(3)]
        assert db.status().size == 3
        for conn in lent:
            db.take_back(conn)
        deadline = time.monotonic() + 5
        while db.status().size > 1 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert db.status().size == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_child_is_told_and_the_parent_goes_on(db: Database) -> None:
    """A child cannot use its parent's connections, and its end does not harm them."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        try:
            db.lend("child")
        except PoolClosed as error:
            os.write(write, str(error).encode())
        finally:
            db.close()
            os._exit(0)
    os.waitpid(child, 0)
    assert b"opened before a fork" in os.read(read, 1000)
    os.close(read)
    os.close(write)
    with db.connection() as conn:
        assert one(conn, "select 1") == 1


def test_the_page_on_databases_runs(dsn: str) -> None:
    """The program of docs/database.md does what the page says."""
    page = (Path(__file__).parent.parent / "docs/database.md").read_text(encoding="utf-8")
    program = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    names: dict[str, Any] = {"dsn": dsn}
    exec(compile(program, "docs/database.md", "exec"), names)
    with names["db"] as db, db.connection() as conn:
        assert conn.execute("select amount from accounts order by account_id").fetchall() == [(90,), (110,)]


def test_names_of_psycopg_are_still_there() -> None:
    """The private names on which the pools and connections build exist; if not, psycopg has changed."""
    from psycopg._connection_base import BaseConnection
    from psycopg._preparing import PrepareManager

    for name in (
        "_exec_command",
        "_set_autocommit_gen",
        "_deallocate",
        "_start_query",
        "_get_tx_start_command",
        "_check_connection_ok",
    ):
        assert callable(getattr(BaseConnection, name))
    assert callable(PrepareManager.maybe_add_to_cache)
    for pool in (psycopg_pool.ConnectionPool, psycopg_pool.AsyncConnectionPool):
        for name in ("_connect", "_maybe_grow_pool", "_add_to_pool", "run_task", "reconnect_failed", "_check_size"):
            assert callable(getattr(pool, name))
    pool_ = psycopg_pool.ConnectionPool(open=False)
    assert {"_waiting", "_pool", "_nconns", "_nconns_min", "_drained_at", "_lock", "_closed"} <= vars(pool_).keys()
