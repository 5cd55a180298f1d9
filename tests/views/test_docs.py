"""docs/monitoring.md, as far as it is about the server: its program runs, and its tables are complete."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sqlkit.cli.app import app
from sqlkit.operations import Limits
from sqlkit.operations.overview import ALL, Overview

PAGE = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")
PAGE = PAGE[PAGE.index("## What the server says") :]
COMMANDS = [line.partition("#")[0].strip() for line in re.findall(r"^\$ (sqlkit .*)$", PAGE, re.MULTILINE)]


def test_the_page_runs(dsn: str) -> None:
    """The second half of docs/monitoring.md is a program that does what the page says."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, object] = {"dsn": dsn}
    try:
        exec(compile("\n".join(blocks), "docs/monitoring.md", "exec", dont_inherit=True), names)
        assert isinstance(names["seen"], Overview)
    finally:
        names["db"].close()  # type: ignore[attr-defined]


def test_the_page_lists_all_views() -> None:
    """Each view of the model stands in the page's table, and nothing else does."""
    rows = re.findall(r"^\| (`[^|]*) \| `[A-Z]", PAGE, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    assert listed - {"statistics"} == set(ALL) - {"statistics"} | {"trees", "scanned", "unused", "invalid"}
    assert all(hasattr(Overview, name) or name in Overview.model_fields for name in listed)
    assert Limits(transaction_seconds=60).transaction_seconds == 60


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_s_commands_are_there(command: str) -> None:
    """Each command of the page exists, with the options that it is shown with."""
    _, name, *options = shlex.split(command)
    told = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
    assert told.exit_code == 0
    assert all(option in told.stdout for option in options if option.startswith("--"))


def test_the_page_shows_all_commands() -> None:
    """Each command that shows the server stands in the page."""
    shown = {command.split()[1] for command in COMMANDS}
    assert shown == {"status", "top", "slow", "locks", "tables", "indexes", "report", "health"}
