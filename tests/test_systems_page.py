"""docs/systems.md names tests that are there, and each application has its page and its diagram."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from sqlkit.apps import SQL
from sqlkit.operations.diagram import diagram_in

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "systems.md").read_text(encoding="utf-8")
APPS = sorted(file.parent.name for file in (ROOT / "sqlkit" / "apps").glob("*/__init__.py"))

ROW = re.compile(r"^\| (?P<feature>[^|]+?) +\| (?P<shown>[^|]+?) +\|$", re.MULTILINE)
TEST = re.compile(r"`(?P<file>tests/(?:\w+/)?test_\w+\.py)::(?P<name>test_\w+)(?:\[[^`\]]+\])?`")
NOT_YET = "not yet"


@cache
def names_in(file: str) -> frozenset[str]:
    """Return the names of the tests in a file, as its syntax tree has them."""
    path = ROOT / file
    if not path.exists():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


def rows() -> list[tuple[str, str]]:
    """Return the features with what shows them, without the heads of the tables."""
    found = [(row["feature"], row["shown"]) for row in ROW.finditer(PAGE)]
    return [(feature, shown) for feature, shown in found if shown != "shown by" and set(shown) != {"-"}]


def test_every_table_row_is_read() -> None:
    """No row of a table is written so that this file would overlook it."""
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    heads = 2 * len([line for line in lines if line.endswith("| shown by |")])
    assert len(rows()) == len(lines) - heads
    assert len(rows()) > 100


@pytest.mark.parametrize(("feature", "shown"), rows(), ids=[feature for feature, _ in rows()])
def test_every_row_names_a_test_that_is_there(feature: str, shown: str) -> None:
    """Whoever doubts a row finds the test that shows it; what is not there yet is not claimed."""
    named = [(found["file"], found["name"]) for found in TEST.finditer(shown)]
    if not named:
        assert shown == NOT_YET, f"{feature}: neither a test nor {NOT_YET!r}"
    assert re.sub(r"[\s,]+", "", TEST.sub("", shown)) == ("" if named else NOT_YET.replace(" ", ""))
    for file, name in named:
        assert name in names_in(file), f"{feature}: {file} has no {name}"


def test_no_feature_is_told_twice() -> None:
    """A feature stands in one row of its table."""
    for section in PAGE.split("\n## ")[1:]:
        features = [row["feature"] for row in ROW.finditer(section)]
        assert len(features) == len(set(features))


@pytest.mark.parametrize("name", APPS)
def test_every_application_is_whole(name: str) -> None:
    """Each application has its statements, its HTTP, its section here, and a page with a diagram that a test keeps."""
    assert list((SQL / name).glob("*.sql"))
    http = ROOT / "sqlkit" / "apps" / name / "http"
    assert http.with_suffix(".py").exists() or (http / "__init__.py").exists()
    assert f"\n## [{name}]({name}.md)" in PAGE
    page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert diagram_in(page).startswith("erDiagram\n")
    assert "test_the_diagram_is_that_of_the_schema" in names_in(f"tests/test_{name}_page.py")
    for heading in ("## The tables", "## Starting it", "## From the ORM"):
        assert heading in page, f"docs/{name}.md: no {heading}"


def test_there_are_five() -> None:
    """The five applications are those that the README names, each with a link to its page."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.split("## The five systems")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^- \[(\w+)\]\(docs/\1\.md\)", section, re.MULTILINE)) == APPS
    assert len(APPS) == 5
