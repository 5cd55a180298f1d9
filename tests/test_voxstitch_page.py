"""docs/voxstitch.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg

from sqlkit.apps import voxstitch
from sqlkit.operations.diagram import diagram, diagram_in

PAGE = (Path(__file__).parent.parent / "docs" / "voxstitch.md").read_text(encoding="utf-8")


def test_the_diagram_is_that_of_the_schema(voxstitch_shared_dsn: str) -> None:
    """The page draws the tables as the migrations make them."""
    with psycopg.connect(voxstitch_shared_dsn) as conn:
        assert diagram_in(PAGE) == diagram(conn, "voxstitch")


def test_the_program_runs(dsn: str) -> None:
    """The program of the page does what the page says."""
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {"dsn": dsn}
    exec(compile(program, "docs/voxstitch.md", "exec", dont_inherit=True), names)


def test_the_new_names_are_there() -> None:
    """Each new name in the table of old ones is there."""
    table = PAGE.split("## From the ORM")[1]
    names = re.findall(r"\| .* \| `((?:users|chats|login_sessions)\.\w+)", table)
    assert len(names) >= 6
    for name in names:
        topic, query = name.split(".")
        assert callable(getattr(getattr(voxstitch, topic), query)), name
