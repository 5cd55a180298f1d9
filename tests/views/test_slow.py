"""The slowest statements, and what is said where an extension or a right is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import psycopg
import pytest

import sqlkit
from sqlkit import AsyncDatabase, Database, Executor
from sqlkit.embedded.scratch import scratch_server
from sqlkit.operations import look
from sqlkit.operations.names import RESERVED, written
from sqlkit.operations.rates import statements_between
from sqlkit.operations.slow import SlowBy, slow
from sqlkit.testing import TestServer
from tests.views.busy_server import actors, eventually

ONLOOKER = "sqlkit_test_onlooker"


@pytest.fixture(scope="module")
def counting(server: TestServer) -> Iterator[TestServer]:
    """Give a server that counts statements, its extension in a schema of no path, and a role without rights."""
    loaded = {"shared_preload_libraries": "pg_stat_statements", "max_prepared_transactions": "2"}
    with scratch_server("sqlkit-views-", bindir=server.bindir, settings=loaded) as started:
        with psycopg.connect(started.dsn, autocommit=True) as conn:
            conn.execute('create schema "Counts"')
            conn.execute('create extension pg_stat_statements with schema "Counts"')
            conn.execute("create table songs (song_id integer primary key, title text)")
            conn.execute("insert into songs select n, 'song ' || n from generate_series(1, 1000) as n")
            conn.execute("analyze")
            conn.execute(f"create role {ONLOOKER} login")
            conn.execute('grant usage on schema "Counts" to public')
        yield TestServer(started.dsn, server.version, started.bindir)


@pytest.fixture
def conn(counting: TestServer) -> Iterator[psycopg.Connection]:
    """Give a connection to a server that has counted nothing yet."""
    with psycopg.connect(counting.dsn, autocommit=True) as connection:
        connection.execute('select "Counts".pg_stat_statements_reset()')
        yield connection


def onlooker(server: TestServer) -> str:
    """Return a DSN of the role without rights."""
    return server.dsn.replace("postgres@", f"{ONLOOKER}@")


SONGS = """
-- name: count_songs
select count(*) from songs where title like :like;

-- name: get_title
select title from songs where song_id = :song_id;
"""


class SongQueries(Protocol):
    """Two statements, one of them slow."""

    def count_songs(self, db: Executor, *, like: str) -> int:
        """Count."""
        ...

    def get_title(self, db: Executor, *, song_id: int) -> str | None:
        """Look up."""
        ...


def test_slowest_with_their_names(conn: psycopg.Connection, tmp_path: Path) -> None:
    """Statements of a file are told by the names that they have in it, with calls and times, the slowest first."""
    path = tmp_path / "sql" / "shop" / "songs.sql"
    path.parent.mkdir(parents=True)
    path.write_text(SONGS)
    songs: SongQueries = sqlkit.load(SongQueries, path)
    with Database.connect(conn.info.dsn, pool_max_size=1) as db:
        for number in range(60):
            songs.get_title(db, song_id=number)
        for _ in range(5):
            songs.count_songs(db, like="%9%")
        seen = look(db, ["statements"])
    found = {one.name: one for one in seen.statements if one.name}
    assert found["shop.songs.get_title"].calls == 60
    assert (found["shop.songs.count_songs"].calls, found["shop.songs.count_songs"].rows) == (5, 5)
    count = found["shop.songs.count_songs"]
    assert count.mean_ms == pytest.approx(count.total_ms / 5)
    assert count.max_ms >= count.mean_ms
    assert 0 < count.share < 1
    assert [one.total_ms for one in seen.statements] == sorted((one.total_ms for one in seen.statements), reverse=True)
    assert seen.missing == []


@pytest.mark.parametrize(("by", "first"), [("total", "often"), ("mean", "rarely"), ("calls", "often")])
def test_orders(conn: psycopg.Connection, by: SlowBy, first: str) -> None:
    """The slowest are those that took most in all, on average, or ran most often."""
    for _ in range(30):
        conn.execute("select /* often */ count(*), pg_sleep(0.002) from songs")
    conn.execute("select /* rarely */ pg_sleep(0.03)")
    seen = look(conn, ["statements"], slow_by=by, slow_limit=1)
    assert [one.name for one in seen.statements] == [first]


def test_between_two_looks(conn: psycopg.Connection) -> None:
    """Between two looks only what ran then counts."""
    both = "select /* both */ count(title) from songs"
    conn.execute("select /* before */ count(*) from songs")
    conn.execute(both)
    before = look(conn, ["statements"], slow_limit=100)
    for _ in range(3):
        conn.execute(both)
    found = {one.name: one for one in statements_between(before, look(conn, ["statements"], slow_limit=100))}
    assert found["both"].calls == 3
    assert found["both"].total_ms > 0
    assert "before" not in found


def test_names_are_a_hint(conn: psycopg.Connection) -> None:
    """Statements that differ in nothing but their comments are one, under the name of the first."""
    for name in ("first", "second"):
        conn.execute(f"select /* {name} */ count(*) as merged from songs")
    (found,) = [one for one in look(conn, ["statements"], slow_limit=100).statements if "merged" in one.query]
    assert (found.name, found.calls) == ("first", 2)


@pytest.mark.parametrize(
    "text",
    [
        "(select /* shop.behind_bracket */ 41 as bracket) limit 1",
        "-- first\nselect /* shop.behind_comment */ 42 as line",
    ],
)
def test_names_behind_the_first_keyword(conn: psycopg.Connection, text: str) -> None:
    """A name is found wherever the first keyword stands: behind a bracket, behind a comment."""
    conn.execute(text.encode())
    names = {one.name for one in look(conn, ["statements"], slow_limit=500).statements}
    assert text.split()[text.split().index("/*") + 1] in names


def test_statements_of_another_database_are_not_told(counting: TestServer, conn: psycopg.Connection) -> None:
    """Only what ran in this database is told."""
    other = counting.create("elsewhere")
    with psycopg.connect(counting.dsn_for(other), autocommit=True) as elsewhere:
        elsewhere.execute("select 1 as only_there")
        assert all("only_there" not in one.query for one in look(conn, ["statements"], slow_limit=100).statements)
        seen = look(elsewhere, ["statements"])
    assert [str(one) for one in seen.missing] == [
        "statements: the server does not count them: create extension pg_stat_statements"
    ]
    counting.drop(other)


def test_async(conn: psycopg.Connection) -> None:
    """The slowest statements are found on asyncio, too, wherever the extension is."""
    conn.execute("select /* shop.slowest */ pg_sleep(0.01)")

    async def asked() -> list[str | None]:
        async with AsyncDatabase.connect(conn.info.dsn, pool_max_size=1) as db:
            return [one.name for one in (await look(db, ["statements"])).statements]

    assert "shop.slowest" in asyncio.run(asked())


# What is missing.


def test_server_that_does_not_count(dsn: str) -> None:
    """Where nothing counts statements it is said which setting and which command mend it, and the rest is shown."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        if slow.find_statistics(conn).is_loaded:
            pytest.skip("the standing server loads pg_stat_statements")
        seen = look(conn)
    (missing,) = seen.missing
    assert str(missing) == (
        "statements: the server does not count them: set shared_preload_libraries = 'pg_stat_statements' in"
        " postgresql.conf and restart the server, then create extension pg_stat_statements"
    )
    assert seen.server is not None
    assert seen.databases != []


def test_extension_that_is_not_loaded(server: TestServer, dsn: str) -> None:
    """Where the extension is created and the server does not load it, that alone is said."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        if slow.find_statistics(conn).is_loaded:
            pytest.skip("the standing server loads pg_stat_statements")
        conn.execute("create extension pg_stat_statements")
        (missing,) = look(conn, ["statements"]).missing
    assert missing.remedy == (
        "set shared_preload_libraries = 'pg_stat_statements' in postgresql.conf and restart the server"
    )


def test_counting_that_is_switched_off(conn: psycopg.Connection) -> None:
    """Where counting is switched off it is said, with what switches it on."""
    conn.execute("set pg_stat_statements.track = 'none'")
    (missing,) = look(conn, ["statements"]).missing
    assert missing.remedy == "alter system set pg_stat_statements.track = 'top' and select pg_reload_conf()"


def test_settings_that_are_off(conn: psycopg.Connection) -> None:
    """Where the server counts neither rows nor activity, the views say so."""
    conn.execute("set track_counts = off")
    conn.execute("set track_activities = off")
    assert [str(one) for one in look(conn, ["sessions"]).missing] == [
        "tables, indexes: the server does not count: track_counts is off: "
        "alter system set track_counts = on; select pg_reload_conf()",
        "sessions: the server does not count: track_activities is off: "
        "alter system set track_activities = on; select pg_reload_conf()",
    ]


def test_role_without_rights(counting: TestServer, conn: psycopg.Connection) -> None:
    """A role without rights is told what it does not see and the grant that shows it; all else is shown."""
    conn.execute("select count(*) from songs")
    with actors(counting.dsn, "a secret one") as (secret,), psycopg.connect(onlooker(counting), autocommit=True) as own:
        secret.do("select 'a secret'")
        own.execute("select 1 as mine")
        seen = look(own)
    assert seen.server is not None
    assert seen.server.reads_all is False
    assert {one.view: one.remedy for one in seen.missing} == {
        "sessions, statements": f"grant pg_read_all_stats to {ONLOOKER}",
        "tables": f"grant select on them, or grant pg_read_all_data to {ONLOOKER}, "
        "which lets it read every row there is",
    }
    hidden = next(one for one in seen.sessions if one.pid == secret.pid)
    assert (hidden.is_hidden, hidden.state, hidden.name) == (True, None, None)
    assert "a secret" not in seen.model_dump_json().replace("a secret one", "")
    (others,) = [one for one in seen.statements if one.is_hidden]
    assert others.calls >= 1
    assert any(one.query == "select $1 as mine" for one in seen.statements)
    (songs,) = [one for one in seen.tables if one.table_name == "songs"]
    assert (songs.bloat_bytes, songs.is_readable) == (None, False)
    assert songs.total_bytes > 0
    assert [one.index_name for one in seen.indexes] == ["songs_pkey"]


def test_locks_without_rights(counting: TestServer) -> None:
    """Who waits for whom is shown to a role without rights, too."""
    with (
        actors(counting.dsn, "holder", "waiting") as (holder, waiting),
        psycopg.connect(onlooker(counting), autocommit=True) as own,
    ):
        holder.do("select pg_advisory_xact_lock(1)")
        waiting.start("select pg_advisory_xact_lock(1)")
        while not (trees := look(own, ["sessions"]).trees):
            pass
    assert (trees[0].pid, [one.pid for one in trees[0].waiting]) == (holder.pid, [waiting.pid])


def test_prepared_transaction(counting: TestServer) -> None:
    """Who waits for a prepared transaction, which has no session, stands below it."""
    with actors(counting.dsn, "waiting") as (waiting,), psycopg.connect(counting.dsn, autocommit=True) as conn:
        conn.execute("begin")
        conn.execute("update songs set title = '' where song_id = 7")
        conn.execute("prepare transaction 'forgotten'")
        try:
            waiting.start("update songs set title = 'new' where song_id = 7")
            (tree,) = eventually(lambda: look(conn, ["sessions"]).trees)
        finally:
            conn.execute("rollback prepared 'forgotten'")
    assert (tree.pid, tree.session, [one.pid for one in tree.waiting]) == (0, None, [waiting.pid])


def test_granted_rights(counting: TestServer, conn: psycopg.Connection) -> None:
    """With the rights that were named nothing is missing."""
    role = f"{ONLOOKER}_2"
    conn.execute(f"create role {role} login")
    for right in ("pg_read_all_stats", "pg_read_all_data"):
        conn.execute(f"grant {right} to {role}")
    with psycopg.connect(counting.dsn.replace("postgres@", f"{role}@"), autocommit=True) as own:
        assert look(own).missing == []


def test_a_view_that_is_locked_is_not_waited_for(counting: TestServer, conn: psycopg.Connection) -> None:
    """Where somebody locks what a view reads, that is said within a moment, and all else is shown."""
    with actors(counting.dsn, "locker") as (locker,):
        locker.do('lock table "Counts".pg_stat_statements in access exclusive mode')
        seen = look(conn, ["sessions", "statements", "tables"], within=30)
    (missing,) = [one for one in seen.missing if one.view == "statements"]
    assert missing.reason == "somebody holds a lock that it needs, see sqlkit locks"
    assert [one.application_name for one in seen.sessions if one.pid == locker.pid] == ["locker"]
    assert "songs" in [one.table_name for one in seen.tables]


def test_schema_that_may_not_be_used(counting: TestServer) -> None:
    """A view that is refused says which right is missing, and those after it are shown."""
    database = counting.create("closed")
    dsn = counting.dsn_for(database)
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("create schema closed; create extension pg_stat_statements with schema closed")
    with psycopg.connect(dsn.replace("postgres@", f"{ONLOOKER}@"), autocommit=True) as own:
        seen = look(own)
    refused = next(one for one in seen.missing if one.view == "statements")
    assert "UndefinedTable" in refused.reason or "InsufficientPrivilege" in refused.reason
    assert seen.databases != []
    assert [one.schema_name for one in seen.tables] == []
    counting.drop(database)


def test_view_that_takes_too_long(counting: TestServer) -> None:
    """A view that does not answer within its time is left out, and those after it are shown."""
    database = counting.create("slow")
    dsn = counting.dsn_for(database)
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("create extension pg_stat_statements")
        conn.execute("create schema slow")
        conn.execute(
            "create view slow.pg_stat_statements as"
            " select counted.* from public.pg_stat_statements as counted cross join (select pg_sleep(20)) as rest"
        )
        conn.execute("set search_path = slow, public")
        seen = look(conn, ["statements", "databases", "tables"], within=0.3)
    (refused,) = seen.missing
    assert str(refused) == "statements: the server did not answer within 0.3 s"
    assert seen.databases != []
    counting.drop(database)


@pytest.mark.parametrize("word", ["user", "order", "plain", "Mixed", 'a"b', "1st", "naïve"])
def test_names_are_written_as_a_statement_takes_them(conn: psycopg.Connection, word: str) -> None:
    """A remedy can be run as it stands: reserved words and whatever is not plain are quoted."""
    conn.execute(f"create temporary table {written(word)} ({written(word)} integer)")
    conn.execute(f"select {written(word, word)} from {written('pg_temp', word)}")


def test_every_reserved_word_is_known(conn: psycopg.Connection) -> None:
    """No word that this server reserves is taken for a plain name."""
    words = conn.execute("select word from pg_get_keywords() where catcode in ('R', 'T')").fetchall()
    assert {word for (word,) in words} <= RESERVED
