"""The cache's tables: their CHECKs through the functions and around them, versions by chance, the way up and down."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sqlkit import AsyncDatabase, Database
from sqlkit.caching import (
    Cache,
    DatabaseTags,
    PostgresTier,
    install,
    invalidate,
    invalidate_all,
    opened_async_cache,
    opened_cache,
    sweep,
)
from sqlkit.errors import ArgumentError
from sqlkit.migrate import rollback

ROOT = Path(__file__).parent.parent

#: The CHECKs that are violated here, through the functions that write and around them.
BROKEN = {"cache_tags_tag_check", "cache_entries_cache_key_check"}

TABLES = {
    "analysis_shared_dsn": ("cache_tags",),
    "soleil_shared_dsn": ("cache_tags", "cache_entries"),
    "voxstitch_shared_dsn": ("cache_tags",),
}
COLUMNS = (
    "select attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid) from pg_attribute "
    "left join pg_attrdef on adrelid = attrelid and adnum = attnum "
    "where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attname"
)


@pytest.fixture
def cache_dsn(dsn: str) -> str:
    """Give a database with the tables of the cache."""
    install(dsn)
    return dsn


@pytest.fixture
def db(cache_dsn: str) -> Iterator[Database]:
    """Give that database."""
    with Database.connect(cache_dsn, pool_max_size=2) as db:
        yield db


def versions_of(db: Database, *tags: str) -> dict[str, int]:
    """Return the versions of tags."""
    found = DatabaseTags(db).read(list(tags))
    assert found is not None
    return found


@pytest.mark.parametrize("tag", ["", "x" * 501])
def test_a_tag_that_is_none_is_refused_twice(db: Database, tag: str) -> None:
    """What the CHECK refuses is an ArgumentError before it reaches the database."""
    with pytest.raises(ArgumentError, match=r"^tags: "):
        invalidate(db, tag)
    with db.connection() as conn, pytest.raises(psycopg.errors.CheckViolation) as violated:
        conn.execute("insert into cache_tags (tag) values (%s)", [tag])
    assert violated.value.diag.constraint_name == "cache_tags_tag_check"


@pytest.mark.parametrize("key", ["", "x" * 501])
def test_a_key_that_is_none_is_refused_twice(db: Database, key: str) -> None:
    """What the CHECK refuses is an ArgumentError before it reaches the database."""
    with pytest.raises(ArgumentError, match=r"^key: "):
        Cache(PostgresTier(db)).set(key, 1)
    with db.connection() as conn, pytest.raises(psycopg.errors.CheckViolation) as violated:
        conn.execute("insert into cache_entries (cache_key, body, expires_at) values (%s, '', now())", [key])
    assert violated.value.diag.constraint_name == "cache_entries_cache_key_check"


def test_no_other_check_is_there(db: Database) -> None:
    """The two CHECKs above are all that the cache's tables have."""
    with db.connection() as conn:
        found = conn.execute("select conname from pg_constraint where contype = 'c' and conrelid <> 0").fetchall()
    assert {name for (name,) in found if name.startswith("cache_")} == BROKEN


def test_no_version_comes_twice(db: Database, cache_dsn: str) -> None:
    """Versions are random: they are not those of another database, nor those of before once its tables are anew."""
    seen = set()
    for _ in range(20):
        invalidate(db, "a", "b")
        seen |= set(versions_of(db, "a", "b", "never").values())
    assert len(seen) == 41
    rollback(cache_dsn, ROOT / "migrations" / "caching", count=None)
    install(cache_dsn)
    assert not seen & set(versions_of(db, "a", "never").values())


def test_tags_that_were_never_invalidated_have_one_version(db: Database) -> None:
    """It is that of all tags without a row, and stays while others change."""
    before = versions_of(db, "x", "y")
    invalidate(db, "z")
    assert versions_of(db, "x", "y") == before
    assert len(set(before.values())) == 1


def test_everything_is_invalidated_at_once(db: Database) -> None:
    """All tags get another version, with a row and without, in the transaction of the caller."""
    invalidate(db, "a")
    before = versions_of(db, "a", "never")
    with db.transaction() as conn:
        invalidate_all(conn)
        conn.rollback()
    assert versions_of(db, "a", "never") == before
    invalidate_all(db)
    after = versions_of(db, "a", "never")
    assert not set(before.values()) & set(after.values())


def test_a_sweep_keeps_what_may_be_asked_for(db: Database) -> None:
    """Versions go when no entry can be older than they are; the one of all others stays."""
    invalidate(db, "old", "new")
    others = versions_of(db, "never")["never"]
    with db.connection() as conn:
        conn.execute("update cache_tags set updated_at = now() - interval '15 days' where tag <> 'new'")
    kept = versions_of(db, "new")
    sweep(db)
    assert versions_of(db, "old", "new", "never") == {"old": others, "never": others, **kept}


def test_a_sweep_on_asyncio(cache_dsn: str) -> None:
    """The same function is awaited with an asynchronous database; so is invalidating everything."""

    async def run() -> int:
        async with AsyncDatabase.connect(cache_dsn, pool_max_size=1) as db:
            await invalidate_all(db)
            async with db.connection() as conn:
                await conn.execute(
                    "insert into cache_entries (cache_key, body, expires_at) "
                    "values ('gone', '', now()), ('there', '', now() + interval '1 hour')"
                )
            return await sweep(db)

    assert asyncio.run(run()) == 1


def test_up_down_and_up_again(dsn: str) -> None:
    """The migrations go up, down to nothing, and up again to the same."""
    applied = install(dsn)
    with psycopg.connect(dsn, autocommit=True) as conn:
        before = [conn.execute(COLUMNS, [table]).fetchall() for table in ("cache_tags", "cache_entries")]
        for steps in (1, 2):
            assert rollback(dsn, ROOT / "migrations" / "caching", count=steps) == applied[-steps:][::-1]
            assert install(dsn) == applied[-steps:]
        assert [conn.execute(COLUMNS, [table]).fetchall() for table in ("cache_tags", "cache_entries")] == before


@pytest.mark.parametrize(("fixture", "table"), [(name, table) for name, tables in TABLES.items() for table in tables])
def test_applications_have_the_same_tables(
    cache_dsn: str, request: pytest.FixtureRequest, fixture: str, table: str
) -> None:
    """The tables that an application makes for its cache are those that ``install`` makes."""

    def columns(dsn: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(dsn) as conn:
            return conn.execute(COLUMNS, [table]).fetchall()

    assert columns(request.getfixturevalue(fixture)) == columns(cache_dsn)


UNINSTALLED = "the tables of the cache are not there: run sqlkit.caching.install(dsn, schema)"


def test_without_its_tables(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    """A cache whose tables were never made says what makes them, until they are there."""
    with Database.connect(dsn, pool_max_size=2) as db, opened_cache(db, name="songs", statements=None) as cache:
        for _ in range(2):
            assert cache.fetch("number", int, lambda: 7, tags=["numbers"]) == 7
        assert (cache.health().healthy, cache.health().reasons) == (False, [UNINSTALLED])
        assert [line.getMessage() for line in caplog.records] == [f"cache: nothing is served: {UNINSTALLED}"]
        for call in (partial(cache.invalidate, "numbers"), partial(invalidate_all, db), partial(sweep, db)):
            with pytest.raises(psycopg.errors.UndefinedTable) as caught:
                call()
            assert UNINSTALLED in caught.value.__notes__
        install(dsn)
        assert cache.fetch("number", int, lambda: 7, tags=["numbers"]) == 7
        assert (cache.health().healthy, cache.health().reasons) == (True, [])


def test_without_its_tables_on_asyncio(dsn: str) -> None:
    """On asyncio it says so too."""

    async def seven() -> int:
        return 7

    async def run() -> None:
        async with AsyncDatabase.connect(dsn, pool_max_size=2) as db, opened_async_cache(db, name="songs") as cache:
            assert await cache.fetch("number", int, seven, tags=["numbers"]) == 7
            assert UNINSTALLED in cache.health().reasons
            for call in (cache.invalidate("numbers"), invalidate_all(db), sweep(db)):
                with pytest.raises(psycopg.errors.UndefinedTable) as caught:
                    await call
                assert UNINSTALLED in caught.value.__notes__

    asyncio.run(run())
