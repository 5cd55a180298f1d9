"""The pytest plugin, as a project that installs sqlkit has it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from sqlkit import testing
from sqlkit.embedded.scratch import remove_if_left
from sqlkit.testing import TestServer, rolled_back

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent

TESTS = """
import psycopg
import pytest
from pytest_postgresql import factories

postgresql = factories.postgresql("sqlkit_proc")

@pytest.mark.parametrize("title", ["Misty", "Laura"])
def test_rolled_back(sqlkit_connection, title):
    assert sqlkit_connection.execute("select count(*) from songs").fetchone() == (0,)
    with sqlkit_connection.transaction():
        sqlkit_connection.execute("insert into songs values (%s)", [title])

@pytest.mark.parametrize("title", ["Misty", "Laura"])
def test_clone(sqlkit_dsn, title):
    with psycopg.connect(sqlkit_dsn) as conn:
        assert conn.execute("select count(*) from soleil.songs").fetchone() == (0,)
        conn.execute("insert into songs values (%s)", [title])
        conn.commit()
        assert conn.execute("show search_path").fetchone() == ("soleil,extensions",)

def test_clone_that_is_left_in_use(sqlkit_dsn):
    global left
    left = psycopg.connect(sqlkit_dsn)
    left.execute("select 1")

def test_empty(sqlkit_empty_dsn):
    with psycopg.connect(sqlkit_empty_dsn) as conn:
        assert conn.execute("select to_regclass('soleil.songs')").fetchone() == (None,)

def test_postgresql(postgresql):
    assert postgresql.execute("select count(*) from songs").fetchone() == (0,)

def test_commit_is_refused(sqlkit_connection):
    with pytest.raises(psycopg.ProgrammingError):
        sqlkit_connection.commit()
"""


@pytest.fixture
def project(pytester: pytest.Pytester, server: TestServer, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Make a project with migrations and tests, whose server is that of this run."""
    pytester.makeini("[pytest]\nsqlkit_migrations = migrations\nsqlkit_schema = soleil\nfilterwarnings = error\n")
    pytester.mkdir("migrations").joinpath("0001.songs.sql").write_text("create table songs (title text);")
    pytester.makepyfile(TESTS)
    monkeypatch.setenv("SQLKIT_TEST_DSN", server.dsn)
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS", "SQLKIT_TEST_BINDIR"):
        monkeypatch.delenv(name, raising=False)
    return pytester


def databases(server: TestServer) -> set[str]:
    """Return the databases of a server, but for those of this very process."""
    with psycopg.connect(server.dsn) as conn:
        found = {name for (name,) in conn.execute("select datname from pg_database")}
    return {name for name in found if not name.startswith(f"test_{os.getpid()}_")}


def test_project(project: pytest.Pytester, server: TestServer) -> None:
    """Its tests have migrated databases, see nothing of each other, and leave no database on the server."""
    before = databases(server)
    project.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=8)
    assert databases(server) == before


@pytest.fixture
def page(project: pytest.Pytester) -> pytest.Pytester:
    """Make the project that docs/testing.md shows, each block in the file that its first line names."""
    for path in (project.path / "tox.ini", *project.path.glob("*.py"), *project.path.glob("migrations/*")):
        path.unlink()
    text = (ROOT / "docs/testing.md").read_text(encoding="utf-8")
    for block in re.findall(r"```\w+\n(.*?)```", text, re.DOTALL):
        if named := re.match(r"(?:--|#) (\S+\.(?:sql|py|toml))\n", block):
            (project.path / named[1]).write_text(block, encoding="utf-8")
    return project


def test_the_page(page: pytest.Pytester) -> None:
    """The project of docs/testing.md, typed by hand, passes; its migrations are those of pyproject.toml."""
    page.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error").assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("config", "schema"),
    [
        ('[tool.sqlkit]\nmigrations = "db"\nschema = "band"\n', "band"),
        ("", "public"),
        ('[tool.pytest.ini_options]\nsqlkit_migrations = "db"\nsqlkit_schema = "own"\n', "own"),
        ('[tool.sqlkit]\nmigrations = "db"\nschema = "band"\n[tool.pytest.ini_options]\nsqlkit_schema = "own"', "own"),
    ],
)
def test_where_the_migrations_are(page: pytest.Pytester, config: str, schema: str) -> None:
    """They are the ini file's, else the project's, else the folder of that name; and so is the schema."""
    if config:
        (page.path / "migrations").rename(page.path / "db")
    (page.path / "pyproject.toml").write_text(config or "[tool.pytest.ini_options]\n")
    page.makepyfile(
        test_songbook=f"""
        def test_there(sqlkit_connection):
            found = sqlkit_connection.execute("select to_regclass('{schema}.songs') is not null").fetchone()
            assert found == (True,)
        """
    )
    page.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_project_on_several_workers(project: pytest.Pytester, server: TestServer) -> None:
    """Workers of pytest-xdist share a standing server without meeting on it."""
    before = databases(server)
    project.runpytest_subprocess("-p", "no:cacheprovider", "-n", "2").assert_outcomes(passed=8)
    assert databases(server) == before


def test_project_with_its_own_server(
    project: pytest.Pytester, server: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a standing server it starts one, of the programs that the option names."""
    monkeypatch.delenv("SQLKIT_TEST_DSN")
    if server.bindir is None:
        pytest.skip("the tests run on a standing server")
    project.makepyfile(
        f"""
        def test_version(sqlkit_server):
            assert str(sqlkit_server.bindir) == {str(server.bindir)!r}
            assert sqlkit_server.version == {server.version}
        """
    )
    option = f"--postgres-bindir={server.bindir}"
    project.runpytest_subprocess("-p", "no:cacheprovider", option).assert_outcomes(passed=1)


def test_no_such_programs(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option that names no programs is an error that says so."""
    monkeypatch.delenv("SQLKIT_TEST_DSN")
    ran = project.runpytest_subprocess("-p", "no:cacheprovider", "--postgres-bindir=/nowhere")
    ran.stdout.fnmatch_lines(["*EmbeddedError: bindir: /nowhere: no postgres and initdb there"])


def test_project_without_pytest_postgresql(project: pytest.Pytester) -> None:
    """A project without pytest-postgresql runs, and the fixtures that need it say what to install."""
    project.makeconftest("import sys\nsys.modules['pytest_postgresql'] = None\n")
    project.makepyfile("def test_without(): pass\ndef test_with(sqlkit_dsn): pass\n")
    ran = project.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:postgresql")
    ran.assert_outcomes(passed=1, errors=1)
    ran.stdout.fnmatch_lines(["*database fixtures need pytest-postgresql: pip install pytest-postgresql"])


def test_plugin_is_light() -> None:
    """The plugin, which every pytest beside sqlkit loads, imports neither yoyo nor a server's machinery."""
    script = """
import sys
import sqlkit.testing
heavy = {"yoyo", "pytest_postgresql", "pydantic_settings", "sqlkit.embedded", "sqlkit.migrate", "sqlkit.database"}
print(sorted(heavy & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout == "[]\n"


def test_server_is_fit_for_tests(server: TestServer) -> None:
    """The tests' own server takes many connections and does not wait for the disk."""
    if server.bindir is None:
        pytest.skip("the tests run on a standing server")
    with psycopg.connect(server.dsn) as conn:
        row = conn.execute("select current_setting('max_connections')::int, current_setting('fsync')").fetchone()
    assert row is not None
    assert row[0] >= 200
    assert row[1] == "off"


def test_rolled_back(dsn: str) -> None:
    """Nothing of what was done in the block is left, and a savepoint in it works."""
    with rolled_back(dsn) as conn:
        conn.execute("create table songs ()")
        with pytest.raises(psycopg.errors.DuplicateTable), conn.transaction():
            conn.execute("create table songs ()")
        assert conn.execute("select count(*) from songs").fetchone() == (0,)
    with psycopg.connect(dsn) as conn:
        assert conn.execute("select to_regclass('songs')").fetchone() == (None,)


def test_drop_while_in_use(server: TestServer) -> None:
    """A database is dropped though somebody is connected to it."""
    name = server.create()
    with psycopg.connect(server.dsn_for(name)) as conn:
        server.drop(name)
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")


def test_conn_sees_soleil(conn: psycopg.Connection[tuple[int]], soleil_dsn: str) -> None:
    """The project's own fixtures give soleil's tables, in a transaction and in a clone."""
    assert conn.execute("select count(*) from songs").fetchone() == (0,)
    with psycopg.connect(soleil_dsn) as clone:
        assert clone.execute("select count(*) from songs").fetchone() == (0,)


def test_folder_of_a_killed_run(server: TestServer) -> None:
    """The folder of a run that was killed is removed by a later one; that of a run that lives is not."""
    script = """
import sys
from sqlkit.testing import test_server
with test_server(sys.argv[1] or None) as server:
    print(server.dsn, flush=True)
    sys.stdin.readline()
"""
    run = subprocess.Popen(
        [sys.executable, "-c", script, str(server.bindir or "")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert run.stdout is not None
    dsn = run.stdout.readline().strip()
    with psycopg.connect(dsn) as conn:
        row = conn.execute("select current_setting('unix_socket_directories')").fetchone()
    assert row is not None
    folder = Path(row[0].strip('"')).parent
    assert folder.name.startswith(testing.FOLDER_PREFIX)
    os.utime(folder, (0, 0))
    remove_if_left(folder)
    assert (folder / "data").exists()
    run.kill()
    run.communicate()
    deadline = time.monotonic() + 20
    while folder.exists() and time.monotonic() < deadline:
        os.utime(folder, (0, 0))
        remove_if_left(folder)
        time.sleep(0.1)
    assert not folder.exists()
