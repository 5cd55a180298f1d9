"""Backups restored: into which database, with what they need, compared."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from sqlkit import BackupError
from sqlkit.migrate import database_url
from sqlkit.operations.backups import (
    Extension,
    backup,
    rehearse_restore,
    restore,
)
from sqlkit.testing import TestServer, dropped_afterwards
from tests import backup_stage
from tests.backup_stage import aged, databases, fill, rewritten

DAY = timedelta(days=1)
shop = backup_stage.shop
again = backup_stage.again


def test_a_database_with_anything_in_it_is_refused(server: TestServer, shop: str, tmp_path: Path) -> None:
    """A restore overwrites nothing."""
    taken = backup(shop, tmp_path, schema="shop")
    with pytest.raises(BackupError, match="is not empty: a restore makes a new database"):
        restore(shop, taken.path)
    with psycopg.connect(shop) as conn:
        assert conn.execute("select count(*) from shop.goods").fetchone() == (100,)
    assert databases(server, "sqlkit_re%") == []


def test_an_empty_database_is_taken_as_it_is(server: TestServer, shop: str, tmp_path: Path) -> None:
    """Where somebody else has made the database, it is filled; where that fails, it is empty again."""
    taken = backup(shop, tmp_path, schema="shop")
    with dropped_afterwards(server) as name:
        rewritten(taken.path, tables={"shop.goods": 1})
        with pytest.raises(BackupError, match="is not what it says"):
            restore(shop, taken.path, into=name)
        rewritten(taken.path, tables=taken.manifest.tables)
        done = restore(shop, taken.path, into=name)
        assert done.remarks == (f"{name} stood already, and was empty",)
        with pytest.raises(BackupError, match="is not empty"):
            restore(shop, taken.path, into=name)


def test_a_rehearsal_leaves_nothing(server: TestServer, shop: str, tmp_path: Path) -> None:
    """A backup is restored, compared, and dropped: where it cannot be, older ones are not deleted."""
    old = backup(shop, tmp_path, schema="shop").path
    aged(old, 30 * DAY)
    taken = backup(shop, tmp_path, schema="shop", rehearse=True, keep=7 * DAY)
    assert taken.removed == (old,)
    assert rehearse_restore(shop, taken.path).tables == taken.manifest.tables
    rewritten(taken.path, tables={"shop.goods": 1})
    with pytest.raises(BackupError, match="is not what it says"):
        rehearse_restore(shop, taken.path)
    assert databases(server, "sqlkit_re%") == []


def test_extensions_that_the_schema_needs(dsn: str, again: str, tmp_path: Path) -> None:
    """pg_dump leaves extensions out of a schema: they are made first, also one that stands in the schema itself."""
    with psycopg.connect(dsn) as conn:
        conn.execute("create schema extensions")
        conn.execute("create schema shop")
        conn.execute("create extension citext with schema extensions")
        conn.execute("create extension pg_trgm with schema shop")
        conn.execute("create extension hstore with schema extensions")
        conn.execute("create table shop.people (email extensions.citext, name text default 'x')")
        conn.execute("create index people_name_idx on shop.people using gin (name shop.gin_trgm_ops)")
        conn.execute("insert into shop.people values ('Ada@Example.org')")
    taken = backup(dsn, tmp_path, schema="shop")
    assert {one.name: one.is_used for one in taken.manifest.extensions} == {
        "citext": True,
        "hstore": False,
        "pg_trgm": True,
    }
    restore(dsn, taken.path, into=again)
    with psycopg.connect(database_url(dsn, database=again, schema="shop")) as conn:
        assert conn.execute("select count(*) from people where email = 'ada@example.ORG'").fetchone() == (1,)
        assert conn.execute("select 'people_name_idx'::regclass is not null").fetchone() == (True,)


def test_extensions_that_the_server_has_not(server: TestServer, shop: str, again: str, tmp_path: Path) -> None:
    """One that the schema uses is an error before anything is restored; one that nothing uses is a remark."""
    taken = backup(shop, tmp_path, schema="shop")
    lacking = Extension(name="postgis", version="3", schema_name="extensions", is_used=False)
    rewritten(taken.path, extensions=[lacking])
    done = rehearse_restore(shop, taken.path)
    assert done.remarks == ("the extension postgis is not on this server, and nothing in the schema uses it",)
    rewritten(taken.path, extensions=[lacking.model_copy(update={"is_used": True})])
    with pytest.raises(BackupError, match="shop: needs postgis, which this server has not"):
        restore(shop, taken.path, into=again)
    assert databases(server, again) == []


def test_roles_that_are_missing(server: TestServer, again: str, tmp_path: Path) -> None:
    """Roles that rights and policies name are made without a login, and said; owners that lack are said."""
    reader, owner = f"reader_{uuid4().hex[:8]}", f"owner_{uuid4().hex[:8]}"
    with psycopg.connect(server.dsn, autocommit=True) as admin:
        try:
            with dropped_afterwards(server) as name:
                dsn = server.dsn_for(name)
                fill(dsn)
                with psycopg.connect(dsn, autocommit=True) as conn:
                    conn.execute(f"create role {reader} login".encode())
                    conn.execute(f"create role {owner}".encode())
                    conn.execute(f"create policy mine on shop.goods to {reader} using (true)".encode())
                    conn.execute(f"alter table shop.goods owner to {owner}".encode())
                taken = backup(dsn, tmp_path, schema="shop")
            admin.execute(f"drop role {reader}".encode())
            kept = restore(server.dsn, taken.path, into=again)
            assert kept.remarks == (
                f"the role {reader} was not there, and is: without a login; grant it to who acts for it",
            )
            with psycopg.connect(server.dsn_for(again)) as conn:
                found = "select tableowner, policyname, roles::text from pg_tables join pg_policies using (tablename)"
                assert conn.execute(found).fetchone() == (owner, "mine", "{" + reader + "}")
                login = conn.execute("select rolcanlogin from pg_roles where rolname = %s", [reader]).fetchone()
                assert login == (False,)
            server.drop(again)
            admin.execute(f"drop role {owner}".encode())
            done = restore(server.dsn, taken.path, into=again)
            user = admin.info.user
            assert done.remarks == (f"everything belongs to {user}, not to {owner}",)
        finally:
            server.drop(again)
            admin.execute(f"drop role if exists {reader}".encode())
            admin.execute(f"drop role if exists {owner}".encode())


def test_settings_of_the_database(shop: str, again: str, tmp_path: Path) -> None:
    """What `alter database` said of the old one, its search path for one, is said of the new one."""
    with psycopg.connect(shop, autocommit=True) as conn:
        name = conn.info.dbname
        conn.execute(f"""alter database {name} set search_path = shop, "a b", extensions""".encode())
        conn.execute(f"alter database {name} set statement_timeout = '5min'".encode())
        conn.execute(f"alter database {name} set app.greeting = 'it''s'".encode())
    taken = backup(shop, tmp_path, schema="shop")
    assert restore(shop, taken.path, into=again).remarks == ()
    with psycopg.connect(database_url(shop, database=again)) as conn:
        found = [conn.execute(f"show {name}".encode()).fetchone() for name in ("search_path", "statement_timeout")]
        assert found == [('shop, "a b", extensions',), ("5min",)]
        assert conn.execute("select current_setting('app.greeting')").fetchone() == ("it's",)


def test_a_backup_of_a_newer_server(shop: str, tmp_path: Path) -> None:
    """An older server could not run what a newer one wrote: it is said which is wanted."""
    taken = backup(shop, tmp_path, schema="shop")
    rewritten(taken.path, server_version=990000)
    with pytest.raises(BackupError, match="is of PostgreSQL 99, and this server is "):
        rehearse_restore(shop, taken.path)


def test_a_locale_that_the_server_has_not(shop: str, again: str, tmp_path: Path) -> None:
    """The database is made as this server sorts, and that is said."""
    taken = backup(shop, tmp_path, schema="shop")
    strange = taken.manifest.locale.model_copy(update={"collation": "xx_YY.UTF-8", "character_type": "xx_YY.UTF-8"})
    rewritten(taken.path, locale=strange)
    done = restore(shop, taken.path, into=again)
    assert done.remarks == ("this server has no xx_YY.UTF-8: texts are sorted by its own rules",)


def test_the_name_in_the_dsn_is_the_new_one(shop: str, again: str, tmp_path: Path) -> None:
    """A DSN may name the database that is to be made."""
    taken = backup(shop, tmp_path, schema="shop")
    assert restore(database_url(shop, database=again), taken.path).database == again
