"""docs/soleil.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

import sqlkit
from sqlkit.apps import SQL, soleil
from sqlkit.apps.soleil.http import create_app
from sqlkit.operations.diagram import diagram, diagram_in

PAGE = (Path(__file__).parent.parent / "docs" / "soleil.md").read_text(encoding="utf-8")


def test_the_diagram_is_that_of_the_schema(soleil_shared_dsn: str) -> None:
    """The page draws the tables as the migrations make them."""
    with psycopg.connect(soleil_shared_dsn) as conn:
        assert diagram_in(PAGE) == diagram(conn, "soleil")


def test_the_program_runs(dsn: str) -> None:
    """The program of the page does what the page says."""
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {"dsn": dsn, "__name__": "page"}
    exec(compile(program, "docs/soleil.md", "exec", dont_inherit=True), names)


def test_the_new_names_are_there() -> None:
    """Each new name in the table of old ones is there."""
    table = PAGE.split("## From the ORM")[1]
    names = re.findall(r"`((?:users|songs|repertoire|bands)\.\w+)", table)
    assert len(names) >= 10
    for name in names:
        topic, query = name.split(".")
        assert callable(getattr(getattr(soleil, topic), query)), name
    functions = re.findall(r"\| `(\w+)\(db", table)
    assert {"search_songs", "slow_queries", "active_connections"} <= set(functions)
    for name in functions:
        assert name == "create_user" or callable(getattr(soleil, name)), name


@pytest.mark.parametrize("file", sorted((SQL / "soleil").glob("*.sql")), ids=lambda file: str(file.stem))
def test_the_queries_are_listed(file: Path) -> None:
    """The page names each statement of each file."""
    (listed,) = re.findall(rf"^\| `{file.name}` \| (.*) \|$", PAGE, re.MULTILINE)
    names = re.sub(r" \([^)]*\)", "", listed).split(", ")
    assert names == [statement.name for statement in sqlkit.read_statements(file)]


def test_the_routes_are_listed() -> None:
    """The page names each route, with its method."""
    listed = PAGE.split("| route | |")[1].split("\n\n")[0]
    paths = create_app("postgresql:///nowhere").openapi()["paths"]
    for path, methods in paths.items():
        short = re.sub(r"\{\w+\}", "{id}", path)
        assert short in listed or f"/{short.split('/')[-1]}" in listed, path
        for method in methods:
            assert method.upper() in listed, (method, path)
    assert len(paths) > 15
