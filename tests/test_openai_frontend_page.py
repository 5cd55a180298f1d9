"""docs/openai_frontend.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg

from sqlkit.apps import openai_frontend as frontend
from sqlkit.operations.diagram import diagram, diagram_in

PAGE = (Path(__file__).parent.parent / "docs" / "openai_frontend.md").read_text(encoding="utf-8")


def test_the_diagram_is_that_of_the_schema(frontend_shared_dsn: str) -> None:
    """The page draws the tables as the migrations make them."""
    with psycopg.connect(frontend_shared_dsn) as conn:
        assert diagram_in(PAGE) == diagram(conn, "openai_frontend")


def test_the_program_runs(dsn: str) -> None:
    """The program of the page does what the page says."""
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {"dsn": dsn}
    exec(compile(program, "docs/openai_frontend.md", "exec", dont_inherit=True), names)


def test_the_new_names_are_there() -> None:
    """Each new name in the table of old ones is there."""
    table = PAGE.split("## From the ORM")[1]
    names = re.findall(r"\| .* \| `((?:users|api_keys|logs|usage)\.\w+)", table)
    assert len(names) >= 1
    for name in names:
        topic, query = name.split(".")
        assert callable(getattr(getattr(frontend, topic), query)), name
