"""Two tenants in two schemas of one database, with the same names, other OIDs and other labels.

Whoever switches between them and however: never a row of the other, never a stale plan or type.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from pydantic import BaseModel

import sqlkit
from sqlkit import Affected, AsyncDatabase, AsyncExecutor, AsyncRows, Database, Executor, Rows
from tests import songbook
from tests.songbook import run, write_sql

module_database = songbook.module_database

Connection = psycopg.Connection[Any]
TENANTS = ["one", "two"]

#: Unqualified names only. What differs: labels and their order, a column's type, a function's result.
SCHEMAS = """
set client_min_messages = warning;
drop schema if exists one cascade;
drop schema if exists two cascade;
create schema one;
create schema two;
create type two.padding as (x int);
create type one.mood as enum ('calm', 'wild');
create type two.mood as enum ('wild', 'odd', 'calm');
create table one.songs (
    song_id int primary key, tenant text not null, mood one.mood not null, moods one.mood[], code int
);
create table two.songs (
    song_id int primary key, tenant text not null, mood two.mood not null, moods two.mood[], code text
);
create function one.whoami() returns text language sql as $$ select 'one'::text $$;
create function two.whoami() returns text language sql as $$ select 'two'::text $$;
insert into one.songs values (1, 'one', 'wild', '{calm,wild}', 7), (2, 'one', 'calm', '{}', 8);
insert into two.songs values
    (1, 'two', 'wild', '{odd}', '7'), (2, 'two', 'calm', '{calm}', 'x'), (3, 'two', 'odd', null, 'y');
"""

STATEMENTS = """
-- name: who
select whoami();
-- name: get_song
select song_id, tenant, mood, moods from songs where song_id = :song_id;
-- name: by_mood
select song_id, tenant, mood, moods from songs where mood = any(:moods) order by song_id;
-- name: in_order
select mood from songs order by mood;
-- name: every
select song_id, tenant, mood, moods from songs order by song_id;
-- name: code
select code from songs where song_id = :song_id;
-- name: by_code
select count(*) from songs where code = :code;
-- name: add
insert into songs (song_id, tenant, mood) values (:song_id, whoami(), :mood)
returning song_id, tenant, mood, moods;
-- name: add_all
insert into songs (song_id, tenant, mood) values (:song_id, whoami(), :mood)
returning song_id, tenant, mood, moods;
-- name: copy_all
copy songs (song_id, tenant, mood) from stdin;
-- name: remove
delete from songs where song_id = any(:song_ids);
"""


class Mood(Enum):
    """All labels of both tenants."""

    CALM = "calm"
    WILD = "wild"
    ODD = "odd"


class Song(BaseModel):
    """A song says whose it is."""

    song_id: int
    tenant: str
    mood: Mood
    moods: list[Mood] | None


class Songs(Protocol):
    """Queries that each tenant has."""

    def who(self, db: Executor) -> str: ...
    def get_song(self, db: Executor, song_id: int) -> Song: ...
    def by_mood(self, db: Executor, moods: list[Mood]) -> list[Song]: ...
    def in_order(self, db: Executor) -> list[Mood]: ...
    def every(self, db: Executor) -> Rows[Song]: ...
    def code(self, db: Executor, song_id: int) -> int | str | None: ...
    def by_code(self, db: Executor, code: Any) -> int: ...
    def add(self, db: Executor, song_id: int, mood: Mood) -> Song: ...
    def add_all(self, db: Executor, items: Iterable[dict[str, Any]]) -> list[Song]: ...
    def copy_all(self, db: Executor, items: Iterable[dict[str, Any]]) -> Affected: ...
    def remove(self, db: Executor, song_ids: list[int]) -> Affected: ...


class AsyncSongs(Protocol):
    """The same on asyncio."""

    async def who(self, db: AsyncExecutor) -> str: ...
    async def get_song(self, db: AsyncExecutor, song_id: int) -> Song: ...
    async def by_mood(self, db: AsyncExecutor, moods: list[Mood]) -> list[Song]: ...
    async def in_order(self, db: AsyncExecutor) -> list[Mood]: ...
    def every(self, db: AsyncExecutor) -> AsyncRows[Song]: ...
    async def code(self, db: AsyncExecutor, song_id: int) -> int | str | None: ...
    async def by_code(self, db: AsyncExecutor, code: Any) -> int: ...
    async def add(self, db: AsyncExecutor, song_id: int, mood: Mood) -> Song: ...
    async def add_all(self, db: AsyncExecutor, items: Iterable[dict[str, Any]]) -> list[Song]: ...
    async def copy_all(self, db: AsyncExecutor, items: Iterable[dict[str, Any]]) -> Affected: ...
    async def remove(self, db: AsyncExecutor, song_ids: list[int]) -> Affected: ...


SONGS = {
    "one": [
        Song(song_id=1, tenant="one", mood=Mood.WILD, moods=[Mood.CALM, Mood.WILD]),
        Song(song_id=2, tenant="one", mood=Mood.CALM, moods=[]),
    ],
    "two": [
        Song(song_id=1, tenant="two", mood=Mood.WILD, moods=[Mood.ODD]),
        Song(song_id=2, tenant="two", mood=Mood.CALM, moods=[Mood.CALM]),
        Song(song_id=3, tenant="two", mood=Mood.ODD, moods=None),
    ],
}
ORDER = {"one": [Mood.CALM, Mood.WILD], "two": [Mood.WILD, Mood.ODD, Mood.CALM]}
CODES: dict[str, int | str] = {"one": 8, "two": "x"}


@pytest.fixture
def dsn(module_database: str) -> str:
    """Give the DSN of a database with both tenants."""
    with psycopg.connect(module_database, autocommit=True) as conn:
        conn.execute(SCHEMAS)
    return module_database


@pytest.fixture
def songs(tmp_path: Path) -> Songs:
    """Give the queries."""
    loaded: Songs = sqlkit.load(Songs, write_sql(tmp_path, STATEMENTS))
    return loaded


@pytest.fixture
def async_songs(tmp_path: Path) -> AsyncSongs:
    """Give the queries on asyncio."""
    loaded: AsyncSongs = sqlkit.load(AsyncSongs, write_sql(tmp_path, STATEMENTS))
    return loaded


def check(songs: Songs, executor: Executor, tenant: str) -> None:
    """Read in many ways, and see only what is this tenant's."""
    assert songs.who(executor) == tenant
    assert songs.get_song(executor, 1) == SONGS[tenant][0]
    assert songs.by_mood(executor, [Mood.WILD, Mood.CALM]) == SONGS[tenant][:2]
    assert songs.in_order(executor) == ORDER[tenant]
    assert list(songs.every(executor)) == SONGS[tenant]
    assert songs.code(executor, 2) == CODES[tenant]
    assert songs.by_code(executor, CODES[tenant]) == 1


def check_writing(songs: Songs, executor: Executor, tenant: str) -> None:
    """Write in many ways, and see it arrive at this tenant's."""
    mood = ORDER[tenant][1]
    assert songs.add(executor, 10, mood) == Song(song_id=10, tenant=tenant, mood=mood, moods=None)
    items = [{"song_id": number, "mood": mood, "tenant": tenant} for number in (11, 12)]
    assert [song.tenant for song in songs.add_all(executor, items)] == [tenant, tenant]
    copied = [{"song_id": number, "mood": mood, "tenant": tenant} for number in (13, 14)]
    assert songs.copy_all(executor, copied) == 2
    assert [song.song_id for song in songs.by_mood(executor, [mood])][-5:] == [10, 11, 12, 13, 14]
    assert songs.remove(executor, [10, 11, 12, 13, 14]) == 5


async def check_async(songs: AsyncSongs, executor: AsyncExecutor, tenant: str) -> None:
    """Read in many ways on asyncio, and see only what is this tenant's."""
    assert await songs.who(executor) == tenant
    assert await songs.get_song(executor, 1) == SONGS[tenant][0]
    assert await songs.by_mood(executor, [Mood.WILD, Mood.CALM]) == SONGS[tenant][:2]
    assert await songs.in_order(executor) == ORDER[tenant]
    assert [song async for song in songs.every(executor)] == SONGS[tenant]
    assert await songs.code(executor, 2) == CODES[tenant]
    assert await songs.by_code(executor, CODES[tenant]) == 1


async def check_writing_async(songs: AsyncSongs, executor: AsyncExecutor, tenant: str) -> None:
    """Write in many ways on asyncio, and see it arrive at this tenant's."""
    mood = ORDER[tenant][1]
    assert await songs.add(executor, 10, mood) == Song(song_id=10, tenant=tenant, mood=mood, moods=None)
    items = [{"song_id": number, "mood": mood, "tenant": tenant} for number in (11, 12)]
    assert [song.tenant for song in await songs.add_all(executor, items)] == [tenant, tenant]
    copied = [{"song_id": number, "mood": mood, "tenant": tenant} for number in (13, 14)]
    assert await songs.copy_all(executor, copied) == 2
    assert await songs.remove(executor, [10, 11, 12, 13, 14]) == 5


def other(tenant: str) -> str:
    """Return the other tenant."""
    return TENANTS[1 - TENANTS.index(tenant)]


# By bound views of one pool.


@pytest.mark.parametrize("size", [1, 3])
def test_bound_views_of_one_pool_interleaved(size: int, dsn: str, songs: Songs) -> None:
    """Call by call, on the same connections."""
    with Database.connect(dsn, pool_min_size=1, pool_max_size=size) as db:
        views = {tenant: db.bound(schema=tenant) for tenant in TENANTS}
        for _ in range(3):
            for tenant in TENANTS:
                check(songs, views[tenant], tenant)
                check_writing(songs, views[tenant], tenant)


def test_blocks_of_bound_views_interleaved(dsn: str, songs: Songs) -> None:
    """Blocks of one view between calls of the other, with raw SQL in them or not."""
    with Database.connect(dsn, pool_max_size=1) as db:
        views = {tenant: db.bound(schema=tenant) for tenant in TENANTS}
        for number in range(4):
            for tenant in TENANTS:
                for block in (views[tenant].connection, views[tenant].transaction):
                    with block() as conn:
                        check(songs, conn, tenant)
                        if number % 2:
                            assert conn.execute("select whoami()").fetchone() == (tenant,)
                        check_writing(songs, conn, tenant)
                    check(songs, views[other(tenant)], other(tenant))


def test_threads_on_both_tenants(dsn: str, songs: Songs) -> None:
    """Eight threads switch between the tenants at random on three connections."""
    with Database.connect(dsn, pool_max_size=3) as db:
        views = {tenant: db.bound(schema=tenant) for tenant in TENANTS}

        def work(seed: int) -> int:
            chance = random.Random(seed)
            for _ in range(15):
                tenant = chance.choice(TENANTS)
                if chance.random() < 0.3:
                    with views[tenant].connection() as conn:
                        check(songs, conn, tenant)
                else:
                    check(songs, views[tenant], tenant)
            return 1

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(work, range(8))) == 8


def test_views_of_views(dsn: str, songs: Songs) -> None:
    """A view that is narrowed further keeps its tenant, or takes the new one."""
    with Database.connect(dsn, pool_max_size=1) as db:
        one = db.bound(schema="one", settings={"app.user": "7"})
        for _ in range(2):
            check(songs, one.bound(settings={"app.user": "8"}), "one")
            check(songs, one.bound(schema="two"), "two")
            check(songs, one, "one")


# By pools of their own.


def test_two_pools_interleaved(dsn: str, songs: Songs) -> None:
    """Two Databases, each with its schema: the same methods, other types."""
    with (
        Database.connect(dsn, schema="one", pool_max_size=1) as one,
        Database.connect(dsn, schema="two", pool_max_size=1) as two,
    ):
        for _ in range(3):
            for tenant, db in (("one", one), ("two", two)):
                check(songs, db, tenant)
                check_writing(songs, db, tenant)
                check(songs, db.bound(schema=other(tenant)), other(tenant))


# By raw SQL of a borrower.


def set_session(conn: Connection, tenant: str) -> None:
    """Set the path of the session."""
    conn.execute(f"set search_path = {tenant}")


def set_local(conn: Connection, tenant: str) -> None:
    """Set the path of the transaction."""
    conn.execute(f"set local search_path = {tenant}")


def set_by_function(conn: Connection, tenant: str) -> None:
    """Set the path by a function, with a parameter."""
    conn.execute("select set_config('search_path', %s, false)", [tenant])


def set_behind_others(conn: Connection, tenant: str) -> None:
    """Set the path behind other statements of one message."""
    conn.execute(f"select 1; /* set */ set search_path to {tenant}; select 2")


def set_by_client_cursor(conn: Connection, tenant: str) -> None:
    """Set the path by another kind of cursor."""
    psycopg.ClientCursor(conn).execute("select set_config('search_path', %s, false)", [tenant])


def set_prepared(conn: Connection, tenant: str) -> None:
    """Set the path by a statement that psycopg has prepared."""
    conn.execute("select set_config('search_path', %s, false)", [tenant], prepare=True)


SETTERS: list[Callable[[Connection, str], None]] = [
    set_session,
    set_local,
    set_by_function,
    set_behind_others,
    set_by_client_cursor,
    set_prepared,
]


@pytest.mark.direct("such a statement is refused there: tests/test_pooler.py")
@pytest.mark.parametrize("setter", SETTERS)
def test_raw_set_within_one_block(setter: Callable[[Connection, str], None], dsn: str, songs: Songs) -> None:
    """Queries before and after a raw change of the path see the tenant of the moment; then all is as before."""
    with Database.connect(dsn, schema="one", pool_max_size=1) as db:
        for _ in range(2):
            with db.transaction() as conn:
                check(songs, conn, "one")
                setter(conn, "two")
                check(songs, conn, "two")
                setter(conn, "one")
                check_writing(songs, conn, "one")
                setter(conn, "two")
                check_writing(songs, conn, "two")
            check(songs, db, "one")
            check(songs, db.bound(schema="two"), "two")


@pytest.mark.direct("such a statement is refused there: tests/test_pooler.py")
@pytest.mark.parametrize("setter", SETTERS)
def test_raw_set_within_a_bound_block(setter: Callable[[Connection, str], None], dsn: str, songs: Songs) -> None:
    """In a bound view's block too, and its next call is its own tenant's again."""
    with Database.connect(dsn, pool_max_size=1) as db:
        view = db.bound(schema="two")
        for _ in range(2):
            with view.transaction() as conn:
                check(songs, conn, "two")
                setter(conn, "one")
                check(songs, conn, "one")
            check(songs, view, "two")


@pytest.mark.direct("it sets the path of a session, or names it in the DSN, which PgBouncer refuses")
@pytest.mark.parametrize("setter", [setter for setter in SETTERS if setter is not set_local])
def test_raw_set_on_a_plain_connection(setter: Callable[[Connection, str], None], dsn: str, songs: Songs) -> None:
    """A psycopg connection of the user's own may be switched at any time."""
    with psycopg.connect(dsn, autocommit=True, options="-c search_path=one") as conn:
        check(songs, conn, "one")
        for tenant in ("two", "one", "two", "two", "one"):
            setter(conn, tenant)
            check(songs, conn, tenant)
            check_writing(songs, conn, tenant)


@pytest.mark.direct("it sets the path of a session, or names it in the DSN, which PgBouncer refuses")
def test_rollback_takes_the_path_back(dsn: str, songs: Songs) -> None:
    """What a transaction set is undone with it, and so are a savepoint's settings."""
    with psycopg.connect(dsn, options="-c search_path=one") as conn:
        for _ in range(2):
            check(songs, conn, "one")
            conn.execute("set search_path = two")
            check(songs, conn, "two")
            conn.rollback()
            check(songs, conn, "one")
            with contextlib.suppress(ZeroDivisionError), conn.transaction():
                conn.execute("set search_path = two")
                check(songs, conn, "two")
                raise ZeroDivisionError
            check(songs, conn, "one")
            conn.execute("set local search_path = two")
            check(songs, conn, "two")
            conn.commit()
            check(songs, conn, "one")


@pytest.mark.direct("it sets the path of a session, or names it in the DSN, which PgBouncer refuses")
def test_path_that_was_set_before_the_first_query(dsn: str, songs: Songs) -> None:
    """A `set local` before sqlkit has seen the connection holds for its transaction alone."""
    with psycopg.connect(dsn, options="-c search_path=one") as conn:
        conn.execute("set local search_path = two")
        check(songs, conn, "two")
        conn.commit()
        check(songs, conn, "one")


@pytest.mark.direct("it sets the path of a session, or names it in the DSN, which PgBouncer refuses")
def test_raw_set_in_a_pipeline(dsn: str, songs: Songs) -> None:
    """A change of the path whose answer is not there yet counts for the query behind it."""
    with psycopg.connect(dsn, autocommit=True, options="-c search_path=one") as conn:
        check(songs, conn, "one")
        for tenant in ("two", "one", "two"):
            with conn.pipeline():
                conn.execute(f"set search_path = {tenant}")
                assert songs.get_song(conn, 1).tenant == tenant
                assert songs.in_order(conn) == ORDER[tenant]


@pytest.mark.direct("such a statement is refused there: tests/test_pooler.py")
def test_session_set_by_a_borrower_does_not_reach_the_next(dsn: str, songs: Songs) -> None:
    """A pool's connection comes back with its own path."""
    with Database.connect(dsn, schema="one", pool_max_size=1) as db:
        for _ in range(2):
            with db.connection() as conn:
                conn.execute("set search_path = two")
            check(songs, db, "one")
            with contextlib.suppress(ZeroDivisionError), db.connection() as conn:
                conn.execute("set search_path = two")
                conn.commit()
                raise ZeroDivisionError
            check(songs, db, "one")


# asyncio.


def test_async_bound_views_interleaved(dsn: str, async_songs: AsyncSongs) -> None:
    """Tasks switch between the tenants on two connections."""

    async def main() -> None:
        async with await AsyncDatabase.connect(dsn, pool_max_size=2) as db:
            views = {tenant: db.bound(schema=tenant) for tenant in TENANTS}
            for tenant in TENANTS * 2:
                await check_async(async_songs, views[tenant], tenant)
                await check_writing_async(async_songs, views[tenant], tenant)
            await asyncio.gather(
                *(check_async(async_songs, views[tenant], tenant) for _ in range(15) for tenant in TENANTS)
            )

    run(main())


def test_async_two_pools_interleaved(dsn: str, async_songs: AsyncSongs) -> None:
    """Two AsyncDatabases, each with its schema."""

    async def main() -> None:
        async with (
            await AsyncDatabase.connect(dsn, schema="one", pool_max_size=1) as one,
            await AsyncDatabase.connect(dsn, schema="two", pool_max_size=1) as two,
        ):
            for _ in range(2):
                for tenant, db in (("one", one), ("two", two)):
                    await check_async(async_songs, db, tenant)
                    await check_writing_async(async_songs, db, tenant)
                    await check_async(async_songs, db.bound(schema=other(tenant)), other(tenant))

    run(main())


@pytest.mark.direct("such a statement is refused there: tests/test_pooler.py")
def test_async_raw_set_within_one_block(dsn: str, async_songs: AsyncSongs) -> None:
    """Queries before and after a raw change of the path, and the next borrower."""

    async def main() -> None:
        async with await AsyncDatabase.connect(dsn, schema="one", pool_max_size=1) as db:
            for _ in range(2):
                async with db.transaction() as conn:
                    await check_async(async_songs, conn, "one")
                    await conn.execute("set search_path = two")
                    await check_async(async_songs, conn, "two")
                    await check_writing_async(async_songs, conn, "two")
                    await conn.execute("set local search_path = one")
                    await check_async(async_songs, conn, "one")
                await check_async(async_songs, db, "one")
                await check_async(async_songs, db.bound(schema="two"), "two")

    run(main())


# Row-level security by a setting.


class Secured(Protocol):
    """What a policy lets through."""

    def visible(self, db: Executor) -> list[int]: ...
    def hide(self, db: Executor) -> Affected: ...


@pytest.fixture
def secured(dsn: str) -> Iterator[str]:
    """Give the DSN of a database with a policy, and a role that it binds."""
    role = "tenant_of_the_test"
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("set client_min_messages = warning; drop table if exists public.notes")
        conn.execute(f"drop role if exists {role}; create role {role}")
        conn.execute(
            f"""
            create table public.notes (note_id int, owner_id int);
            insert into public.notes values (1, 7), (2, 7), (3, 8);
            alter table public.notes enable row level security;
            create policy own on public.notes using (owner_id = nullif(current_setting('app.owner_id', true), '')::int);
            grant select, update on public.notes to {role};
            """
        )
        yield role
        conn.execute(f"drop table public.notes; drop role {role}")


def test_role_and_settings_hold_for_their_call_alone(secured: str, dsn: str, tmp_path: Path) -> None:
    """A policy sees the owner of the view that calls, and nothing of the one before."""
    text = "-- name: visible\nselect note_id from notes order by 1;\n-- name: hide\nupdate notes set note_id = note_id;"
    queries: Secured = sqlkit.load(Secured, write_sql(tmp_path, text))
    with Database.connect(dsn, pool_max_size=1) as db:
        views = {owner: db.bound(role=secured, settings={"app.owner_id": str(owner)}) for owner in (7, 8, 9)}
        for _ in range(3):
            assert queries.visible(views[7]) == [1, 2]
            assert queries.visible(views[8]) == [3]
            assert queries.visible(views[9]) == []
            assert queries.visible(db.bound(role=secured)) == []
            assert queries.visible(db) == [1, 2, 3]
            assert (queries.hide(views[7]), queries.hide(views[8]), queries.hide(views[9])) == (2, 1, 0)
            with views[8].transaction() as conn:
                assert queries.visible(conn) == [3]
            assert list(sqlkit.stream(views[7], int, "select note_id from notes order by 1")) == [1, 2]
