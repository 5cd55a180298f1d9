"""What the tests share: one server for each process, and databases on it (see ``sqlkit.testing``).

- ``server`` (session): the server; ``server.dsn_for(database)``, ``server.version``, ``create``, ``drop``.
- ``dsn``: a new empty database, dropped afterwards.
- ``conn``: a connection to a database with soleil's migrations, in a transaction that is rolled back.
- ``soleil_dsn``: a clone of the migrated database, for tests that commit, dropped afterwards. Its tables
  are in the schema ``soleil``, which the DSN's search path names, then ``extensions``.

``SQLKIT_TEST_DSN`` names a standing server (a superuser's DSN), ``SQLKIT_TEST_BINDIR`` or
``--postgres-bindir`` the programs of the one that is started:
``--postgres-bindir=/usr/lib/postgresql/15/bin``. ``SQLKIT_TEST_POOLER=pgbouncer`` runs the query layer's tests, and
those alone, through a PgBouncer in transaction mode (see ``tests/pooled.py``).
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sqlkit.testing import TestServer, dropped_afterwards, rolled_back, template
from tests import pooled

ROOT = Path(__file__).parent.parent

# A shell that starts a job in the background has it ignore Ctrl-C, and every process that it starts; tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SOLEIL = "soleil"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once, instead of test by test, why all that would run through a pooler was skipped."""
    if pooled.MISSING:
        terminalreporter.reportchars = ""
        terminalreporter.write_line(f"the tests of the query layer are skipped: {pooled.INSTALL}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out of a run through a pooler what is not about queries."""
    if pooled.WANTED:
        pooled.choose(config, items)


@pytest.fixture(scope="session")
def server(sqlkit_server: TestServer) -> Iterator[TestServer]:
    """Give the server of this test process, or what leads to it through PgBouncer."""
    if not pooled.WANTED:
        yield sqlkit_server
        return
    with pooled.in_front_of(sqlkit_server) as behind:
        yield behind


@pytest.fixture
def dsn(server: TestServer) -> Iterator[str]:
    """Give the DSN of a new empty database, dropped after the test."""
    with dropped_afterwards(server) as database:
        yield server.dsn_for(database)


def load_soleil(dsn: str) -> None:
    """Apply soleil's migrations to a database, if there are any."""
    from sqlkit.migrate import migrate

    folder = ROOT / "migrations" / SOLEIL
    if any(folder.glob("*.sql")):
        migrate(dsn, folder, schema=SOLEIL)


@pytest.fixture(scope="session")
def soleil_template(sqlkit_server: TestServer) -> Iterator[str]:
    """Give the name of a template database with soleil's migrations."""
    with template(sqlkit_server, load_soleil, SOLEIL) as database:
        yield database


@pytest.fixture(scope="session")
def soleil_shared_dsn(server: TestServer, soleil_template: str) -> Iterator[str]:
    """Give the DSN of the one migrated database for tests that roll back."""
    with dropped_afterwards(server, soleil_template, "shared") as database:
        yield server.dsn_for(database, SOLEIL)


@pytest.fixture
def soleil_dsn(server: TestServer, soleil_template: str) -> Iterator[str]:
    """Give the DSN of a clone of the migrated database, for a test that commits; dropped after the test."""
    with dropped_afterwards(server, soleil_template, "clone") as database:
        yield server.dsn_for(database, SOLEIL)


@pytest.fixture
def conn(soleil_shared_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection to a migrated database, in a transaction that is rolled back after the test."""
    with rolled_back(soleil_shared_dsn) as connection:
        yield connection


def load_voxstitch(dsn: str) -> None:
    """Apply voxstitch's migrations to a database."""
    from sqlkit.migrate import migrate

    migrate(dsn, ROOT / "migrations" / "voxstitch", schema="voxstitch")


@pytest.fixture(scope="session")
def voxstitch_template(sqlkit_server: TestServer) -> Iterator[str]:
    """Give the name of a template database with voxstitch's migrations."""
    with template(sqlkit_server, load_voxstitch, "voxstitch") as database:
        yield database


@pytest.fixture(scope="session")
def voxstitch_shared_dsn(server: TestServer, voxstitch_template: str) -> Iterator[str]:
    """Give the DSN of the one database with voxstitch's tables for tests that roll back."""
    with dropped_afterwards(server, voxstitch_template, "shared") as database:
        yield server.dsn_for(database, "voxstitch")


@pytest.fixture
def voxstitch_dsn(server: TestServer, voxstitch_template: str) -> Iterator[str]:
    """Give the DSN of a clone of voxstitch's database, for a test that commits; dropped after the test."""
    with dropped_afterwards(server, voxstitch_template, "clone") as database:
        yield server.dsn_for(database, "voxstitch")


def load_presentations(dsn: str) -> None:
    """Apply presentations' migrations to a database and make the partitions of its logs."""
    from sqlkit import Database
    from sqlkit.apps.presentations.application import Presentations
    from sqlkit.migrate import migrate

    migrate(dsn, ROOT / "migrations" / "presentations", schema="presentations")
    with Database.connect(dsn, schema="presentations", pool_max_size=2) as db:
        Presentations(db).keep_logs()


@pytest.fixture(scope="session")
def presentations_template(sqlkit_server: TestServer) -> Iterator[str]:
    """Give the name of a template database with presentations' migrations."""
    with template(sqlkit_server, load_presentations, "presentations") as database:
        yield database


@pytest.fixture(scope="session")
def presentations_shared_dsn(server: TestServer, presentations_template: str) -> Iterator[str]:
    """Give the DSN of the one database with presentations' tables for tests that roll back."""
    with dropped_afterwards(server, presentations_template, "shared") as database:
        yield server.dsn_for(database, "presentations")


@pytest.fixture
def presentations_dsn(server: TestServer, presentations_template: str) -> Iterator[str]:
    """Give the DSN of a clone of presentations' database, for a test that commits; dropped after the test."""
    with dropped_afterwards(server, presentations_template, "clone") as database:
        yield server.dsn_for(database, "presentations")


@pytest.fixture
def presentations_conn(presentations_shared_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection to presentations' database, in a transaction that is rolled back after the test."""
    with rolled_back(presentations_shared_dsn) as connection:
        yield connection


def load_openai_frontend(dsn: str) -> None:
    """Bring a database to openai_frontend's newest schema."""
    from sqlkit.apps.openai_frontend import init_database

    assert init_database(dsn)


@pytest.fixture(scope="session")
def frontend_template(sqlkit_server: TestServer) -> Iterator[str]:
    """Give the name of a template database with openai_frontend's migrations."""
    with template(sqlkit_server, load_openai_frontend, "frontend") as database:
        yield database


@pytest.fixture(scope="session")
def frontend_shared_dsn(server: TestServer, frontend_template: str) -> Iterator[str]:
    """Give the DSN of the one database with openai_frontend's tables for tests that roll back."""
    with dropped_afterwards(server, frontend_template, "shared") as database:
        yield server.dsn_for(database, "openai_frontend")


@pytest.fixture
def frontend_dsn(server: TestServer, frontend_template: str) -> Iterator[str]:
    """Give the DSN of a clone of openai_frontend's database, for a test that commits; dropped after the test."""
    with dropped_afterwards(server, frontend_template, "clone") as database:
        yield server.dsn_for(database, "openai_frontend")


@pytest.fixture
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords by argon2id at its least cost, for tests in which many log in."""
    from sqlkit import security

    monkeypatch.setattr(security, "DEFAULT", security.Passwords(time_cost=1, memory_kib=8, parallelism=1))


def load_analysis(dsn: str) -> None:
    """Apply analysis' migrations to a database and make the partitions of its log."""
    from sqlkit.apps.analysis.keeping import setup_database
    from sqlkit.apps.analysis.settings import AnalysisSettings

    setup_database(AnalysisSettings(url=dsn))


@pytest.fixture(scope="session")
def analysis_template(sqlkit_server: TestServer) -> Iterator[str]:
    """Give the name of a template database with analysis' migrations."""
    with template(sqlkit_server, load_analysis, "analysis") as database:
        yield database


@pytest.fixture(scope="session")
def analysis_shared_dsn(server: TestServer, analysis_template: str) -> Iterator[str]:
    """Give the DSN of the one database with analysis' tables for tests that roll back."""
    with dropped_afterwards(server, analysis_template, "shared") as database:
        yield server.dsn_for(database, "analysis")


@pytest.fixture
def analysis_dsn(server: TestServer, analysis_template: str) -> Iterator[str]:
    """Give the DSN of a clone of analysis' database, for a test that commits; dropped after the test."""
    with dropped_afterwards(server, analysis_template, "clone") as database:
        yield server.dsn_for(database, "analysis")


@pytest.fixture
def analysis_conn(analysis_shared_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection to analysis' database, in a transaction that is rolled back after the test."""
    with rolled_back(analysis_shared_dsn) as connection:
        yield connection
