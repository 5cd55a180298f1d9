"""The schema-per-tenant tests, unchanged, on a Citus coordinator: each tenant's schema lives on one of its nodes.

``SQLKIT_CITUS_DSN`` is a superuser's DSN of a database with the extension citus; its workers are there already. Only
this database is used: the tests make the schemas that they name, and drop them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from sqlkit import Database
from sqlkit.apps import MIGRATIONS
from sqlkit.migrate import migrate
from tests import test_tenants, test_tenants_apps
from tests.test_tenants import SCHEMAS, TENANTS, async_songs, secured, songs
from tests.test_tenants_apps import TENANTS as BANDS

__all__ = ["async_songs", "secured", "songs"]

COORDINATOR = os.environ.get("SQLKIT_CITUS_DSN", "")

pytestmark = pytest.mark.skipif(
    not COORDINATOR, reason="SQLKIT_CITUS_DSN names no Citus coordinator (Citus is in no package registry used here)"
)

#: One application in twenty schemas; the others of that module make databases or use what Citus has not.
OF_APPLICATIONS = (
    "test_twenty_schemas_one_after_the_other",
    "test_twenty_schemas_from_many_threads",
    "test_twenty_schemas_on_asyncio",
    "test_a_tenant_that_fails",
    "test_each_schema_has_its_history",
)

globals().update({name: value for name, value in vars(test_tenants).items() if name.startswith("test_")})
globals().update({name: vars(test_tenants_apps)[name] for name in OF_APPLICATIONS})


@pytest.fixture(scope="module")
def module_database() -> Iterator[str]:
    """Give the coordinator's DSN; a schema that is made there is a tenant's, on a node of its own."""
    with psycopg.connect(COORDINATOR, autocommit=True) as conn:
        if conn.execute("select from pg_extension where extname = 'citus'").fetchone() is None:
            pytest.fail("SQLKIT_CITUS_DSN: there is no extension citus in this database")
        database = sql.Identifier(conn.info.dbname)
        sharding = sql.SQL("citus.enable_schema_based_sharding")
        conn.execute(sql.SQL("alter database {} set {} = on").format(database, sharding))
        try:
            yield COORDINATOR
        finally:
            conn.execute(sql.SQL("alter database {} reset {}").format(database, sharding))
            drop(COORDINATOR, *TENANTS, *BANDS)


@pytest.fixture
def dsn(module_database: str) -> str:
    """Give the DSN of a database with both tenants: the same statements, one by one, for Citus takes no two at once."""
    with psycopg.connect(module_database, autocommit=True) as conn:
        for statement in SCHEMAS.split(";\n"):
            if statement.strip():
                conn.execute(statement.encode())
    return module_database


@pytest.fixture
def db(module_database: str) -> Iterator[Database]:
    """Give one pool of three connections on a database with soleil's tables in twenty schemas."""
    drop(module_database, *BANDS)
    for tenant in BANDS:
        migrate(module_database, MIGRATIONS / "soleil", schema=tenant)
    with Database.connect(module_database, pool_min_size=1, pool_max_size=3) as opened:
        yield opened


def drop(dsn: str, *schemas: str) -> None:
    """Drop schemas, if they are there."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("set client_min_messages = warning")
        for schema in schemas:
            conn.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(schema)))


def test_schemas_are_spread_over_nodes(dsn: str) -> None:
    """Both tenants' schemas are Citus's to place."""
    with psycopg.connect(dsn) as conn:
        placed = conn.execute(
            "select schema_name::text from citus_schemas where schema_name::text = any(%s)", [TENANTS]
        )
        assert {name for (name,) in placed} == set(TENANTS)
