"""Which reads a replica serves, and what goes to the primary."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from math import inf
from pathlib import Path

import psycopg
import pytest
from psycopg import errors as e

from sqlkit import AsyncDatabase, Database, load
from sqlkit.checking.directives import check_directives
from sqlkit.errors import SqlFileError
from sqlkit.statements import parse_statements, read_statements
from tests.replicas.queries import Queries, async_queries, queries
from tests.replicas.stage import POOL, in_loop, of_replica, serving, wait_until
from tests.replicas.standby import Pair


def test_marked_reads_go_to_a_replica(db: Database) -> None:
    """A statement marked `replica: ok`, run on the Database itself, is answered by the replica."""
    assert of_replica(queries.here(db))


def test_unmarked_reads_go_to_the_primary(db: Database) -> None:
    """A statement without the mark is answered by the primary."""
    assert not of_replica(queries.unmarked(db))


@pytest.mark.parametrize("block", ["transaction", "connection"])
def test_blocks_are_the_primarys(db: Database, block: str) -> None:
    """Everything inside `transaction()` and `connection()` goes to the primary, marked or not."""
    with getattr(db, block)() as conn:
        assert not of_replica(queries.here(conn))
        assert conn.execute("select pg_is_in_recovery()").fetchone() == (False,)


def test_run_is_the_primarys(db: Database) -> None:
    """The work of `run` goes to the primary."""
    assert not of_replica(db.run(queries.here))


def test_writes_go_to_the_primary(db: Database, pair: Pair) -> None:
    """A write on the Database itself reaches the primary."""
    assert queries.write(db, author="writes", n=1) == 1
    with psycopg.connect(pair.dsn) as conn:
        assert conn.execute("select n from notes where author = 'writes'").fetchall() == [(1,)]


def test_bound_views_use_replicas(db: Database) -> None:
    """A bound view's marked reads go to the replica, with the view's schema and settings."""
    view = db.bound(schema="tenant_7", settings={"app.n": "7"})
    found = queries.tenant(view)
    assert (of_replica(found.server), found.n) == (True, 7)


def test_streams_use_replicas(db: Database) -> None:
    """A marked stream is read from the replica, whose connection comes back at its end."""
    with queries.counting(db, last=3000) as rows:
        found = next(iter(rows))
        assert (of_replica(found.server), found.n) == (True, 1)
        assert db.status().replicas[0].checked_out == 1
    assert db.status().replicas[0].checked_out == 0


def test_a_lag_that_cannot_be_known_is_the_primarys(db: Database) -> None:
    """A read that asks for less lag than the replica can be known to have goes to the primary."""
    time.sleep(0.01)
    assert Counter(of_replica(queries.here_at_once(db)) for _ in range(20))[False] > 15


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("delete from songs", "the statement writes"),
        ("insert into songs (title) values (:title) returning song_id", "the statement writes"),
        ("with gone as (delete from songs returning song_id) select song_id from gone", "the statement writes"),
        ("select song_id from songs for no key update", "the statement locks rows"),
        ("call refresh()", "the statement writes"),
    ],
)
def test_a_marked_write_is_an_error_at_load(tmp_path: Path, sql: str, reason: str) -> None:
    """A statement that writes or locks and is marked `replica: ok` is refused, with the place of the mark."""
    path = tmp_path / "q.sql"
    path.write_text(f"-- name: q\n-- Doc.\n--@ replica: ok 2s\n{sql};\n")
    with pytest.raises(SqlFileError, match=f"q.sql:3:1: replica: ok, but {reason}"):
        load(Queries, path)


@pytest.mark.parametrize(
    ("value", "lag"),
    [
        ("ok", inf),
        ("ok 500ms", 0.5),
        ("ok 2s", 2.0),
        ("ok 1.5 s", 1.5),
        ("ok 2min", 120.0),
        ("ok 5", None),
        ("ok 0s", None),
        ("ok -1s", None),
        ("ok 1h", None),
        ("okay", None),
        ("ok1s", None),
        ("yes", None),
    ],
)
def test_the_mark_names_a_lag(value: str, lag: float | None) -> None:
    """A lag is a number with ms, s or min; under what means nothing a statement is the primary's, as check says."""
    (statement,) = parse_statements(f"-- name: q\n--@ replica: {value}\nselect 1", Path("q.sql"))
    assert statement.replica == lag
    assert [finding.code for finding in check_directives([statement])] == (["SK018"] if lag is None else [])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("-- replica: ok", True),
        ("-- replica: ok 500ms", True),
        ("--  cardinality: one", True),
        ("-- allow: SK012", True),
        ("-- Whether the replica: ok or not.", False),
        ("-- replica: okay, as ever", False),
        ("-- replica: ok for as long as nobody writes to it", False),
    ],
)
def test_a_directive_without_its_sign_is_told(line: str, told: bool, tmp_path: Path) -> None:
    """A comment that can only be meant as a directive is documentation, and check says so, with its place."""
    path = tmp_path / "q.sql"
    path.write_text(f"-- name: q\n{line}\nselect 1")
    findings = list(check_directives(read_statements(path)))
    assert [(finding.code, finding.sql and (finding.sql.line, finding.sql.column)) for finding in findings] == (
        [("SK018", (2, 1))] if told else []
    )


def test_a_function_that_writes_is_refused(db: Database) -> None:
    """A marked select whose function writes is refused by the replica, and a note says what to do."""
    with pytest.raises(e.ReadOnlySqlTransaction) as caught:
        queries.next_number(db)
    assert any("take its `replica: ok` away" in note for note in caught.value.__notes__)


def test_few_rights_are_enough(pair: Pair) -> None:
    """A role without any right but to read uses replicas, too."""
    plain = [dsn.replace("postgres@", "plain@") for dsn in (pair.dsn, pair.standby.dsn)]
    with Database.connect(plain[0], replicas=plain[1:]) as db:
        wait_until(lambda: of_replica(queries.here(db)))


def test_a_replica_inherits_the_schema(pair: Pair) -> None:
    """A replica's connections have the search path and timeouts of the settings, are read-only, and soon give up."""
    with Database.connect(pair.dsn, replicas=[pair.standby.dsn], schema="tenant_7", statement_timeout=7) as db:
        wait_until(lambda: serving(db))
        conn = db._pool.pools[0].lend("test")  # type: ignore[attr-defined]
        try:
            shown = [conn.execute(f"show {name}").fetchone() for name in ("search_path", "statement_timeout")]
            assert shown == [('"tenant_7", extensions',), ("7s",)]
            assert conn.execute("show default_transaction_read_only").fetchone() == ("on",)
            assert conn.info.get_parameters()["tcp_user_timeout"] == "5000"
        finally:
            db._pool.take_back(conn)


def test_reads_are_spread_by_fewest_in_use(pair: Pair) -> None:
    """Of two replicas each read goes to the one with fewer connections in use."""
    with ExitStack() as stack:
        second = pair.add()
        stack.callback(lambda: pair.standbys.remove(second))
        stack.callback(second.stop)
        pair.catch_up()
        with Database.connect(pair.dsn, replicas=[pair.standby.dsn, second.dsn], **POOL) as db, ExitStack() as open_:
            wait_until(lambda: serving(db))
            servers: Counter[str] = Counter()
            for _ in range(8):
                rows = iter(open_.enter_context(queries.counting(db, last=5000)))
                servers[next(rows).server] += 1
            assert servers == {"standby_0": 4, second.name: 4}


def test_statements_go_where_they_belong_on_asyncio(pair: Pair) -> None:
    """On asyncio, too, marked reads, views and streams go to the replica, and all else to the primary."""

    async def work(db: AsyncDatabase) -> list[bool]:
        view = db.bound(schema="tenant_7", settings={"app.n": "7"})
        servers = [await async_queries.here(db), (await async_queries.tenant(view)).server]
        async with async_queries.counting(db, last=2000) as rows:
            servers.append((await anext(aiter(rows))).server)
        servers.append(await async_queries.unmarked(db))
        async with db.transaction() as conn:
            servers.append(await async_queries.here(conn))
        servers.append(await db.run(async_queries.here))
        return [of_replica(server) for server in servers]

    assert in_loop(pair, work) == [True, True, True, False, False, False]
