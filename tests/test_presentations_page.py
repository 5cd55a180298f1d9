"""docs/presentations.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from sqlkit.apps import presentations
from sqlkit.operations.diagram import diagram, diagram_in

PAGE = (Path(__file__).parent.parent / "docs" / "presentations.md").read_text(encoding="utf-8")


def test_the_diagram_is_that_of_the_schema(presentations_shared_dsn: str) -> None:
    """The page draws the tables as the migrations make them."""
    with psycopg.connect(presentations_shared_dsn) as conn:
        assert diagram_in(PAGE) == diagram(conn, "presentations")


@pytest.mark.usefixtures("cheap_passwords")
def test_the_program_runs(dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The program of the page does what the page says."""
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(program, "docs/presentations.md", "exec", dont_inherit=True), {"dsn": dsn})
    steps = [status.value for status in presentations.JobStatus][:5]
    assert capsys.readouterr().out.splitlines() == [str(steps), "[('ada@laptop', 'insert')]"]


def test_the_new_names_are_there() -> None:
    """Each new name in the tables of old ones is there, in the page and in the docstring."""
    names = re.findall(r"`((?:users|voices|jobs|work|history|reports|Presentations)\.\w+)", PAGE)
    names += re.findall(r"\b((?:users|voices|jobs|reports)\.\w+)", presentations.__doc__ or "")
    assert len(names) >= 18
    for name in names:
        topic, query = name.split(".")
        assert callable(getattr(getattr(presentations, topic), query)), name
