"""``sqlkit status``, ``slow``, ``locks``, ``tables``, ``indexes``: what they show, their JSON, how they end."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

from sqlkit.cli import drawn, output
from sqlkit.cli.app import app
from sqlkit.cli.folding import Folded
from sqlkit.operations import Overview
from sqlkit.testing import TestServer
from tests.views.busy_server import actors, chain_of_three, opened_shop

COMMANDS = ("status", "slow", "locks", "tables", "indexes")
#: The keys that an answer as JSON has beside the views, by command.
MORE = {"status": {"remarks", "trees"}, "slow": set(), "locks": {"trees"}, "tables": {"scanned"}, "indexes": {"unused"}}

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in an empty folder, where nothing names a database."""
    for name in list(os.environ):
        if name.startswith(("DATABASE_", "POSTGRES_", "PG", "POOL_", "SQLKIT_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run() -> Run:
    """Give the function that runs a command."""
    return lambda *arguments: CliRunner().invoke(app, list(arguments), prog_name="sqlkit")


@pytest.fixture(scope="module")
def shop(server: TestServer) -> Iterator[str]:
    """Give the DSN of a shop, for tests that change nothing for others."""
    with opened_shop(server) as dsn:
        yield dsn


def test_status(run: Run, shop: str) -> None:
    """The status says which server it is, what wants attention and what mends it, and what is missing."""
    with chain_of_three(shop) as (holder, second, third):
        done = run("status", "--dsn", shop, "--limit", "30")
    assert done.exit_code == 0, done.output
    out = done.stdout
    assert out.startswith("PostgreSQL 1")
    assert f"! 2 sessions wait for process {holder.pid} (shop.orders.pay), idle in transaction for" in out
    assert f"  select pg_terminate_backend({holder.pid})" in out
    assert f"└── {second.pid}" in out
    assert f"    └── {third.pid}" in out
    for title in ("Attention", "Locks", "Sessions", "Partitions", "Databases"):
        assert f"\n{title}" in out
    assert "- public.ending: its partitions end in" in out
    assert "not all is shown: statements: the server does not count them: set shared_preload_libraries" in out


def test_locks(run: Run, shop: str) -> None:
    """The locks are a tree, each session with its state, its statement's name and what it wants."""
    with chain_of_three(shop) as (holder, second, _third):
        done = run("locks", "--dsn", shop)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Locks")
    assert lines[1].startswith(f"{holder.pid}  ")
    assert "idle in transaction for" in lines[1]
    assert lines[2] == "shop.orders.pay  update orders set note = 'paid' where order_id = 1"
    assert lines[3].startswith(f"└── {second.pid}")
    assert "wants ShareLock on orders (transactionid)" in lines[3]
    assert "Open transactions" in done.stdout


def test_no_locks(run: Run, shop: str) -> None:
    """Where nobody waits it is said."""
    assert run("locks", "--dsn", shop).stdout == "nobody waits for a lock\n\n"


def test_tables(run: Run, shop: str) -> None:
    """Tables are shown in the order that is asked for, and which are read from end to end from a size on."""
    by_size = run("tables", "--dsn", shop).stdout
    assert by_size.index("public.orders") < by_size.index("public.order_lines")
    assert "ending (2 partitions)" in by_size
    assert "Read from end to end" not in by_size
    by_dead = run("tables", "--dsn", shop, "--order", "dead", "--limit", "1", "--large", "0").stdout
    first, _, scanned = by_dead.partition("Read from end to end")
    assert "public.orders" in first
    assert "public.customers" not in first
    assert "public." in scanned


def test_indexes(run: Run, shop: str) -> None:
    """Indexes are shown by what is wrong with them, each with the statement that mends it."""
    out = run("indexes", "--dsn", shop).stdout
    for title in ("Unused", "Superfluous", "Foreign keys without an index", "Largest"):
        assert f"{title}" in out
    assert "drop index concurrently public.orders_placed_again_idx" in out
    assert "create index concurrently orders_customer_id_idx on public.orders (customer_id)" in out


def test_slow_where_nothing_counts(run: Run, shop: str) -> None:
    """Where nothing counts statements, that and what mends it is the answer, and no error."""
    done = run("slow", "--dsn", shop)
    assert done.exit_code == 0
    assert done.stdout == (
        "not all is shown: statements: the server does not count them: set shared_preload_libraries ="
        " 'pg_stat_statements' in postgresql.conf and restart the server, then create extension pg_stat_statements\n"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_json(run: Run, shop: str, command: str) -> None:
    """As JSON an answer has all views under the names of the model, empty where they were not asked for."""
    with actors(shop, "someone") as (someone,):
        someone.do("select 1")
        done = run(command, "--dsn", shop, "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found.keys() == {"database", *Overview.model_fields, *MORE[command]}
    assert "password" not in found["database"]
    assert found["server"]["connections"] >= 1
    Overview.model_validate({key: value for key, value in found.items() if key in Overview.model_fields})


def test_json_of_status(run: Run, shop: str) -> None:
    """Times are seconds, sizes bytes, moments ISO 8601, so that programs need no units."""
    found = json.loads(run("status", "--dsn", shop, "--json").stdout)
    orders = next(one for one in found["tables"] if one["table_name"] == "orders")
    assert isinstance(orders["total_bytes"], int)
    assert isinstance(found["server"]["uptime_seconds"], float)
    assert found["server"]["moment"].endswith(("Z", "+00:00"))
    assert {"level", "view", "text", "remedy"} == found["remarks"][0].keys()
    assert [one["view"] for one in found["missing"]] == ["statements"]


@pytest.mark.parametrize("command", [*COMMANDS, "top"])
def test_no_database(run: Run, command: str) -> None:
    """Where nobody answers a command ends with status 2 and one line, without the password."""
    done = run(command, "--dsn", "postgresql://someone:secret@127.0.0.1:1/nowhere")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("sqlkit: ")
    assert len(done.stderr.splitlines()) == 1
    assert "secret" not in done.stderr


@pytest.mark.parametrize("command", [*COMMANDS, "top", "report"])
def test_help_has_examples(run: Run, command: str) -> None:
    """Each command explains itself with an example."""
    done = run(command, "--help")
    assert done.exit_code == 0
    assert "Example" in done.stdout
    assert f"sqlkit {command}" in done.stdout
    assert "--dsn" in done.stdout


def test_pipe_gets_whole_lines(shop: str) -> None:
    """Written to a pipe a table is as wide as it wants to be, and holds no colours."""
    done = subprocess.run(
        [sys.executable, "-c", "from sqlkit.cli import main; main()", "tables", "--dsn", shop],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "\x1b" not in done.stdout
    assert "id age" in done.stdout.splitlines()[1]


def test_narrow_terminal(shop: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a narrow terminal the columns that matter less are left out, and no line is longer than it."""
    monkeypatch.setattr(output.answers, "_width", 80)
    monkeypatch.setattr(output.answers, "_force_terminal", True)
    with chain_of_three(shop):
        done = run("status", "--dsn", shop)
    assert "application" in done.stdout
    assert "in state" not in done.stdout
    assert max(Text.from_ansi(line).cell_len for line in done.stdout.splitlines()) <= 80


@pytest.mark.parametrize("command", ["status", "locks", "tables", "indexes"])
def test_very_narrow_terminal(shop: str, run: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """At 40 columns a table has what it is about and what mends it: nothing is a letter wide."""
    monkeypatch.setattr(output.answers, "_width", 40)
    monkeypatch.setattr(output.answers, "_force_terminal", True)
    with chain_of_three(shop):
        lines = [Text.from_ansi(line).plain.strip() for line in run(command, "--dsn", shop).stdout.splitlines()]
    assert max(map(len, lines)) <= 40
    assert len([line for line in lines if len(line) == 1]) < 3  # the s of some seconds may stand alone


LONG_NAME = "tool_generations_user_id_status_tool_type_idx"


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("orders", 6, ["orders"]),
        (LONG_NAME, 45, [LONG_NAME]),
        (LONG_NAME, 32, ["tool_generations_user_id_status_", "tool_type_idx"]),
        (LONG_NAME, 16, ["tool_", "generations_", "user_id_status_", "tool_type_idx"]),
        (f"drop index concurrently public.{LONG_NAME}", 32, ["drop index concurrently public.", LONG_NAME[:32]]),
        ("drop index public.a_idx", 12, ["drop index", "public.a_idx"]),
        ("abcdefghijkl", 5, ["abcde", "fghij", "kl"]),
        ("idle in transaction", 10, ["idle in", "transactio", "n"]),
        ("", 5, [""]),
    ],
)
def test_a_long_name_breaks_at_its_joints(text: str, width: int, lines: list[str]) -> None:
    """A narrow column breaks between words, then behind an underscore or a dot, and anywhere only where it has to."""
    console = Console(width=width, file=io.StringIO())
    console.print(Folded(Text(text)))
    shown = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert shown[: len(lines)] == lines
    assert "".join(shown).replace(" ", "") == text.replace(" ", "")


def test_what_mends_an_index_is_whole_at_80_columns(shop: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remedy goes on below where the line ends: it is there to be run."""
    monkeypatch.setattr(output.answers, "_width", 80)
    monkeypatch.setattr(output.answers, "_force_terminal", True)
    shown = Text.from_ansi(run("indexes", "--dsn", shop).stdout).plain
    rows = shown.partition("Superfluous")[2].partition("Foreign keys")[0].splitlines()[3:]
    assert " ".join("".join(f"{row[51:].strip()} " for row in rows).replace("_ ", "_").split()) == (
        "drop index concurrently public.orders_placed_again_idx drop index concurrently public.orders_note_idx"
    )


def test_controls_are_not_obeyed(shop: str, run: Run) -> None:
    """What a terminal would obey in a statement's text is not written to it, and markup is text."""
    with actors(shop, "someone") as (someone,):
        someone.do("select '\x1b[31m[bold]red\x07\n\n', 1")
        out = run("locks", "--dsn", shop).stdout
    assert "select ' [31m[bold]red ', 1" in out
    assert "\x1b" not in out
    assert "\x07" not in out


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "–"), ("a\tb\r\n c", "a b c"), ("\x9b31m", "31m"), ("naïve ✓", "naïve ✓"), (7, "7")]
)
def test_plain(value: object, shown: str) -> None:
    """A value of the server's stands on one line, without what a terminal would obey."""
    assert drawn.plain(value) == shown
