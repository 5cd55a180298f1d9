"""docs/analysis.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from sqlkit.apps import analysis
from sqlkit.operations.diagram import diagram, diagram_in

PAGE = (Path(__file__).parent.parent / "docs" / "analysis.md").read_text(encoding="utf-8")


def test_the_diagram_is_that_of_the_schema(analysis_shared_dsn: str) -> None:
    """The page draws the tables as the migrations make them."""
    with psycopg.connect(analysis_shared_dsn) as conn:
        assert diagram_in(PAGE) == diagram(conn, "analysis")


@pytest.mark.usefixtures("cheap_passwords")
def test_the_program_runs(dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The program of the page does what the page says."""
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(program, "docs/analysis.md", "exec", dont_inherit=True), {"dsn": dsn, "folder": tmp_path})
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "1 healthy"
    assert said[1].startswith('["username: string should match')
    assert said[2] == "0"


def test_the_new_names_are_there() -> None:
    """Each new name in the tables of old ones is there, in the page and in the docstring."""
    topics = "users|analyses|files|tools|logs|cache"
    names = re.findall(rf"`((?:{topics})\.\w+)", PAGE) + re.findall(rf"\b((?:{topics})\.\w+)", analysis.__doc__ or "")
    assert len(names) >= 12
    for name in names:
        topic, query = name.split(".")
        assert callable(getattr(getattr(analysis, topic), query)), name
