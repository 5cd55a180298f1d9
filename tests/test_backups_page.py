"""docs/backups.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from sqlkit.cli.app import app
from sqlkit.testing import TestServer
from tests.backup_stage import dropped, fill

PAGE = (Path(__file__).parent.parent / "docs" / "backups.md").read_text(encoding="utf-8")


def test_the_programs_run(server: TestServer, dsn: str, tmp_path: Path) -> None:
    """The programs of the page do what the page says."""
    fill(dsn)
    with dropped(server) as new_name:
        names: dict[str, Any] = {"dsn": dsn, "shelf": tmp_path, "new_name": new_name}
        programs = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        assert len(programs) == 2
        for program in programs:
            exec(compile(program, "docs/backups.md", "exec", dont_inherit=True), names)


def test_the_options_are_there() -> None:
    """Each option that the page names is one of the commands'."""
    helps = " ".join(
        CliRunner().invoke(app, [command, "--help"]).output
        for command in ("backup", "restore", "reset", "partitions", "migrate")
    )
    named = set(re.findall(r"(--[a-z]+)\b", PAGE)) - {"--roles"}
    assert {"--keep", "--rehearse", "--into", "--confirm", "--extension"} <= named
    for option in named:
        assert option in helps, option
