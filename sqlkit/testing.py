"""A pytest plugin: a PostgreSQL that the tests start by themselves, and databases on it, migrated once.

Registered by the entry point ``pytest11``, so that its fixtures are there wherever sqlkit is installed;
nothing is imported or started before a test asks for one.

================== ======== ==========================================================================
fixture            scope    gives
================== ======== ==========================================================================
sqlkit_server      session  a ``TestServer``: ``dsn_for(database)``, ``version``, ``create``, ``drop``
sqlkit_empty_dsn   function the DSN of a new empty database, dropped afterwards
sqlkit_template    session  the template: the project's migrations, applied once
sqlkit_dsn         function the DSN of a clone of the template, for tests that commit
sqlkit_connection  function a connection to a clone, in a transaction that is rolled back
sqlkit_proc        session  the template for ``pytest_postgresql.factories.postgresql("sqlkit_proc")``
================== ======== ==========================================================================

Ini options: ``sqlkit_migrations`` (a folder, or several, relative to the ini file) and ``sqlkit_schema``; without the
first, both are those of the one project in ``pyproject.toml``, else the folder ``migrations``. The server is that of
``SQLKIT_TEST_DSN`` when it is set, else an embedded one, of ``--postgres-bindir`` or ``SQLKIT_TEST_BINDIR`` if given.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import psycopg
    from pytest_postgresql.executors import NoopExecutor
    from pytest_postgresql.janitor import DatabaseJanitor

__all__ = ["TestServer", "dropped_afterwards", "rolled_back", "template"]

FOLDER_PREFIX = "sqlkit-test-"
# A server for tests: many pools at once, and nothing that a crash of the machine should leave behind.
SERVER_SETTINGS = {"max_connections": "300", "autovacuum_naptime": "1h", "max_wal_size": "256MB"}
LEAVING_SECONDS = 5.0


@dataclass
class TestServer:
    """A PostgreSQL server for tests. ``dsn`` is a superuser's, of its maintenance database.

    ``version`` is PostgreSQL's number for it (150018 is 15.18); ``bindir`` its programs, None for a
    standing server.
    """

    __test__ = False  # the name begins as a test class's does

    dsn: str
    version: int
    bindir: Path | None = None
    numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)

    def dsn_for(self, database: str, schema: str | None = None) -> str:
        """Return the DSN of a database, as a URL; with a schema, its path is ``schema, extensions``."""
        from sqlkit.migrate import database_url

        return database_url(self.dsn, database=database, schema=schema)

    def new_name(self, kind: str) -> str:
        """Return a database name of this process and worker alone: several runs may share a server."""
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        return f"test_{os.getpid()}_{worker}_{kind}_{next(self.numbers)}"

    def janitor(self, database: str, template: str | None = None, *, as_template: bool = False) -> DatabaseJanitor:
        """Return pytest-postgresql's janitor for a database of this server."""
        janitor_class = needed("janitor").DatabaseJanitor
        janitor: DatabaseJanitor = janitor_class(
            dbname=database, template_dbname=template, as_template=as_template, **self.address()
        )
        return janitor

    def address(self) -> dict[str, Any]:
        """Return what pytest-postgresql wants to know of a server."""
        from psycopg.conninfo import conninfo_to_dict

        found = conninfo_to_dict(self.dsn)
        return {
            "host": found.get("host", ""),
            "port": found.get("port", 5432),
            "user": found.get("user", "postgres"),
            "password": found.get("password"),
            "maintenance_dbname": found.get("dbname", "postgres"),
        }

    def create(self, kind: str = "db", template: str | None = None) -> str:
        """Create a database, empty or a clone of ``template``; return its name."""
        name = self.new_name(kind)
        self.janitor(name, template).init()
        return name

    def drop(self, database: str) -> None:
        """Drop a database, whoever is connected to it.

        DROP DATABASE sleeps 100 ms while a backend is still leaving, so their leaving is waited for first.
        """
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.dsn, autocommit=True) as conn:
            deadline = time.monotonic() + LEAVING_SECONDS
            leaving = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
            while conn.execute(leaving, [database]).fetchall() and time.monotonic() < deadline:
                time.sleep(0.002)
            conn.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(database)))


def needed(module: str) -> Any:
    """Import a module of pytest-postgresql, or say that it is missing."""
    import importlib

    try:
        return importlib.import_module(f"pytest_postgresql.{module}")
    except ModuleNotFoundError as error:
        raise pytest.UsageError(
            "sqlkit's database fixtures need pytest-postgresql: pip install pytest-postgresql"
        ) from error


@contextlib.contextmanager
def template(server: TestServer, load: Callable[[str], object], kind: str = "template") -> Iterator[str]:
    """Make a template database and fill it by ``load(dsn)``; give its name, and drop it after the block."""
    janitor = server.janitor(server.new_name(kind), as_template=True)
    with janitor:
        janitor.load(lambda **_: load(server.dsn_for(janitor.dbname)))
        yield janitor.dbname


@contextlib.contextmanager
def dropped_afterwards(server: TestServer, template: str | None = None, kind: str = "db") -> Iterator[str]:
    """Create a database, empty or a clone of ``template``; give its name, and drop it after the block."""
    name = server.create(kind, template)
    try:
        yield name
    finally:
        server.drop(name)


@contextlib.contextmanager
def rolled_back(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection in a transaction that is rolled back; to commit is an error, a savepoint is not."""
    import psycopg

    with psycopg.connect(dsn) as conn, conn.transaction(force_rollback=True):
        yield conn


@contextlib.contextmanager
def test_server(bindir: str | None) -> Iterator[TestServer]:
    """Start a server for tests in a folder of its own, which goes with it."""
    from sqlkit.embedded.scratch import scratch_server

    with scratch_server(FOLDER_PREFIX, bindir=bindir, settings=SERVER_SETTINGS) as server:
        yield TestServer(server.dsn, server_version(server.dsn), server.bindir)


test_server.__test__ = False  # type: ignore[attr-defined]


def server_version(dsn: str) -> int:
    """Ask a server for its version number."""
    import psycopg

    with psycopg.connect(dsn) as conn:
        return conn.info.server_version


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's options."""
    parser.getgroup("sqlkit").addoption(
        "--postgres-bindir",
        metavar="DIR",
        help="PostgreSQL's programs for the tests' server (default: find them)",
    )
    parser.addini(
        "sqlkit_migrations",
        "the folder of the migrations for the test databases (default: the one of [tool.sqlkit], or migrations)",
        type="paths",
    )
    parser.addini("sqlkit_schema", "the schema that the migrations go to (default: the database's own search path)")


def migrated(config: pytest.Config) -> tuple[tuple[Path, ...], str | None]:
    """Return the folders of migrations and the schema: what the ini file says, else what ``sqlkit check`` takes."""
    from sqlkit.checking.project import read_projects

    folders: tuple[Path, ...] = tuple(config.getini("sqlkit_migrations"))
    schema: str | None = config.getini("sqlkit_schema") or None
    if folders:
        return folders, schema
    projects = read_projects(start=config.rootpath)
    if len(projects) == 1 and projects[0].migrations:
        return projects[0].migrations, schema or projects[0].schema
    folder = config.rootpath / "migrations"
    return (folder,) if any(folder.glob("*.sql")) else (), schema


@pytest.fixture(scope="session")
def sqlkit_server(request: pytest.FixtureRequest) -> Iterator[TestServer]:
    """Give the server for the tests: a standing one (SQLKIT_TEST_DSN), else one of this process."""
    if standing := os.environ.get("SQLKIT_TEST_DSN"):
        yield TestServer(standing, server_version(standing))
        return
    bindir = request.config.getoption("--postgres-bindir") or os.environ.get("SQLKIT_TEST_BINDIR")
    with test_server(bindir) as server:
        yield server


@pytest.fixture
def sqlkit_empty_dsn(sqlkit_server: TestServer) -> Iterator[str]:
    """Give the DSN of a new empty database."""
    with dropped_afterwards(sqlkit_server) as database:
        yield sqlkit_server.dsn_for(database)


@pytest.fixture(scope="session")
def sqlkit_schema(request: pytest.FixtureRequest) -> str | None:
    """Give the schema that the migrations go to, or None."""
    return migrated(request.config)[1]


@pytest.fixture(scope="session")
def sqlkit_template(
    sqlkit_server: TestServer, sqlkit_schema: str | None, request: pytest.FixtureRequest
) -> Iterator[str]:
    """Give the name of the template database, to which the project's migrations were applied once."""

    def load(dsn: str) -> None:
        from sqlkit.migrate import migrate

        for folder in migrated(request.config)[0]:
            migrate(dsn, folder, schema=sqlkit_schema)

    with template(sqlkit_server, load) as database:
        yield database


@pytest.fixture
def sqlkit_dsn(sqlkit_server: TestServer, sqlkit_template: str, sqlkit_schema: str | None) -> Iterator[str]:
    """Give the DSN of a clone of the template, for a test that commits."""
    with dropped_afterwards(sqlkit_server, sqlkit_template, "clone") as database:
        yield sqlkit_server.dsn_for(database, sqlkit_schema)


@pytest.fixture(scope="session")
def sqlkit_shared_dsn(sqlkit_server: TestServer, sqlkit_template: str, sqlkit_schema: str | None) -> Iterator[str]:
    """Give the DSN of the one clone that tests share which roll back."""
    with dropped_afterwards(sqlkit_server, sqlkit_template, "shared") as database:
        yield sqlkit_server.dsn_for(database, sqlkit_schema)


@pytest.fixture
def sqlkit_connection(sqlkit_shared_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection to a migrated database, in a transaction that is rolled back."""
    with rolled_back(sqlkit_shared_dsn) as conn:
        yield conn


@pytest.fixture(scope="session")
def sqlkit_proc(sqlkit_server: TestServer, sqlkit_template: str, sqlkit_schema: str | None) -> NoopExecutor:
    """Give the template as an executor of pytest-postgresql, for ``factories.postgresql("sqlkit_proc")``."""

    class Executor(needed("executors").NoopExecutor):  # type: ignore[misc]
        template_dbname = sqlkit_template

    options = f"-c search_path={sqlkit_schema},extensions" if sqlkit_schema else ""
    executor: NoopExecutor = Executor(
        dbname=sqlkit_server.new_name("postgresql"), options=options, **sqlkit_server.address()
    )
    return executor
