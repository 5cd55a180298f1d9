"""``sqlkit partitions`` and ``sqlkit diagram``: what they answer, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from sqlkit.cli import output
from sqlkit.cli.app import app
from sqlkit.cli.diagram import migrate_app
from sqlkit.cli.partitions import tables_of_app
from sqlkit.operations import Partitioned, keep_partitions, list_partitions, make_partitions
from sqlkit.operations.diagram import diagram
from tests.partitioned_tables import MONTHS, made_tables, utc
from tests.test_cli import confirmed

Run = Callable[..., Any]

#: Each application's partitioned tables and what a partition of theirs holds.
APPS = {
    "soleil": {},
    "voxstitch": {},
    "openai_frontend": {"logs": "month", "usage": "month"},
    "presentations": {"audit_log": "month", "job_status_changes": "month"},
    "analysis": {"system_logs": "day"},
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Run:
    """Give the function that runs a command in an empty folder, where nothing names a database."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "DATABASE_NAME", "POSTGRES_DB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(output.answers, "_width", 200)
    return lambda *arguments: CliRunner().invoke(app, list(arguments), prog_name="sqlkit")


def test_a_table_of_ones_own(run: Run, dsn: str) -> None:
    """One table is named with the length of its partitions; what was made and dropped is told, then that all stands."""
    with made_tables(dsn) as conn:
        make_partitions(conn, MONTHS, [utc(2005, 12)])
    command = (
        "partitions",
        "--dsn",
        dsn,
        "--table",
        "logs",
        "--by",
        "month",
        "--ahead",
        "1",
        "--keep",
        "3",
        *confirmed(dsn),
    )
    first = run(*command)
    assert first.exit_code == 0, first.output
    assert first.stdout.startswith("logs: made logs_20")
    assert first.stdout.endswith("dropped logs_2005_12\n")
    assert run(*command).stdout == "logs: 2 stood already\n"


def test_without_retention_nothing_is_dropped(run: Run, dsn: str) -> None:
    """Without --keep all that is old stays."""
    with made_tables(dsn) as conn:
        make_partitions(conn, MONTHS, [utc(2005, 12)])
        assert run("partitions", "--dsn", dsn, "--table", "logs", "--by", "month").exit_code == 0
        assert list_partitions(conn, MONTHS)[0].name == "logs_2005_12"


@pytest.mark.parametrize("name", [name for name, tables in APPS.items() if tables])
def test_the_tables_of_an_application(run: Run, dsn: str, name: str) -> None:
    """Of an application, all its partitioned tables are kept, in its schema or in the one that is named."""
    for schema, options in ((name, ()), ("other", ("--schema", "other"))):
        migrate_app(dsn, name, schema)
        done = run("partitions", name, "--dsn", dsn, *options)
        assert done.exit_code == 0, done.output
        assert [line.partition(":")[0] for line in done.stdout.splitlines()] == sorted(APPS[name])
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute("select set_config('search_path', %s, false)", [schema])
            for table in tables_of_app(name):
                assert len(list_partitions(conn, table)) >= table.ahead + 1


@pytest.mark.parametrize("name", APPS)
def test_the_tables_that_applications_declare(name: str) -> None:
    """What an application declares is what its migrations partition."""
    assert {table.table: table.by for table in tables_of_app(name)} == APPS[name]


@pytest.mark.parametrize("name", APPS)
def test_every_partitioned_table_is_declared(dsn: str, name: str) -> None:
    """No table that a migration partitions is forgotten, and each can be kept as it is declared."""
    migrate_app(dsn, name, name)
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("select set_config('search_path', %s, false)", [name])
        found = conn.execute(
            "select relname from pg_class where relkind = 'p' and relnamespace = %s::regnamespace", [name]
        )
        assert {table for (table,) in found} == APPS[name].keys()
        for declared in tables_of_app(name):
            assert make_partitions(conn, declared, [utc(2005, 12, 4)]).made


def test_numbers_are_given(run: Run, dsn: str) -> None:
    """--table, --ahead and --keep narrow and change what an application declares."""
    migrate_app(dsn, "analysis", "analysis")
    command = (
        "partitions",
        "analysis",
        "--dsn",
        dsn,
        "--table",
        "system_logs",
        "--ahead",
        "1",
        "--keep",
        "2",
        *confirmed(dsn),
    )
    assert run(*command).exit_code == 0
    with psycopg.connect(dsn, autocommit=True, options="-csearch_path=analysis") as conn:
        logs = Partitioned("system_logs", by="day")
        make_partitions(conn, logs, [utc(2005, 12, 4)])
        assert "dropped system_logs_2005_12_04" in run(*command).stdout


def test_files_are_left_to_the_next_run(run: Run, dsn: str) -> None:
    """With --leave-files what is past its retention is detached by one run and dropped by the next."""
    with made_tables(dsn) as conn:
        make_partitions(conn, MONTHS, [utc(2005, 12)])
    command = ("partitions", "--dsn", dsn, "--table", "logs", "--by", "month", "--ahead", "0", "--keep", "3")
    said = [run(*command, "--leave-files", *confirmed(dsn)).stdout for _ in range(2)]
    assert "detached logs_2005_12" in said[0]
    assert "dropped" not in said[0]
    assert "dropped logs_2005_12" in said[1]


REFUSED = [
    ((), "which tables? give an application, or --table and --by"),
    (("--table", "logs"), "which tables? give an application, or --table and --by"),
    (("nothing",), "nothing: there is no such application: analysis, "),
    (("operations",), "operations: there is no such application: analysis, openai_frontend, "),
    (("analysis", "--by", "day"), "--by: the tables of analysis say it themselves"),
    (("analysis", "--table", "users"), "analysis: has no partitioned table users (it has system_logs)"),
    (("soleil",), "soleil: has no partitioned table (it has none)"),
]


@pytest.mark.parametrize(("arguments", "reason"), REFUSED)
def test_what_cannot_be_meant(run: Run, dsn: str, arguments: tuple[str, ...], reason: str) -> None:
    """What names no table is refused with what would, and status 2."""
    done = run("partitions", *arguments, "--dsn", dsn)
    assert done.exit_code == 2
    assert reason in done.stderr


def test_a_table_that_is_not_there(run: Run, dsn: str) -> None:
    """A table that is not there ends the command with one line."""
    done = run("partitions", "--dsn", dsn, "--table", "logs", "--by", "day")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "sqlkit: logs: there is no such table on the search path\n"


def test_what_is_busy_is_left_to_the_next_run(run: Run, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition that a reader keeps is told, and the status is 1."""
    monkeypatch.setattr("sqlkit.cli.partitions.keep_partitions", partial(keep_partitions, patience=0.2))
    with made_tables(dsn) as conn, psycopg.connect(dsn) as reader:
        make_partitions(conn, MONTHS, [utc(2005, 12)])
        reader.execute("select count(*) from logs")
        command = ("partitions", "--dsn", dsn, "--table", "logs", "--by", "month", "--ahead", "0", "--keep", "3")
        done = run(*command, *confirmed(dsn))
        assert done.exit_code == 1
        assert "busy logs_2005_12" in done.stdout


def test_the_diagram_of_an_application(run: Run, dsn: str) -> None:
    """Without a database, an application's own migrations are drawn: what a database with them draws too."""
    alone = run("diagram", "soleil")
    assert alone.exit_code == 0, alone.output
    migrate_app(dsn, "soleil", "shop")
    assert run("diagram", "--dsn", dsn, "--schema", "shop").stdout == alone.stdout
    with psycopg.connect(dsn) as conn:
        assert diagram(conn, "shop") == alone.stdout
    assert alone.stdout.startswith("erDiagram\n")
    assert "users ||--o{ songs" in alone.stdout


def test_a_diagram_of_nothing(run: Run, dsn: str) -> None:
    """A schema or an application that is not there ends the command with one line and status 2."""
    for arguments, reason in (
        (("soleil", "--dsn", dsn), "schema 'soleil' is not there"),
        (("nothing",), "nothing: there is no such application"),
    ):
        done = run("diagram", *arguments)
        assert done.exit_code == 2
        assert reason in done.stderr
