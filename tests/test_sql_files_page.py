"""The page on SQL files says what holds: its examples parse, and its errors come."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sqlkit.errors import SqlFileError
from sqlkit.lexer import Kind, tokenize
from sqlkit.statements import parse_statement, parse_statements

PAGE = (Path(__file__).parent.parent / "docs" / "sql-files.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```sql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ERRORS = re.findall(r"^\| `(.+?)` \| (.+) \|$", PAGE.split("## Errors")[1], re.MULTILINE)
SUBSCRIPTS = re.findall(r"^\| (`a\[.+?`) \| (.+) \|$", PAGE, re.MULTILINE)


def test_the_page_has_examples() -> None:
    """The tests below find what they test."""
    assert (len(EXAMPLES), len(ERRORS), len(SUBSCRIPTS)) == (3, 58, 5)


@pytest.mark.parametrize("example", EXAMPLES)
def test_example(example: str) -> None:
    """Each example is a file whose statements are read, and all of whose variants can be made."""
    for statement in parse_statements(example, Path("example.sql")):
        for arguments in statement.variants():
            variant = statement.variant(*arguments)
            kinds = [kind for kind, _, _ in tokenize(variant.text)]
            assert Kind.PARAMETER not in kinds
            assert kinds.count(Kind.POSITIONAL) >= len(variant.references)


@pytest.mark.parametrize(("written", "expected"), ERRORS)
def test_error(written: str, expected: str) -> None:
    """Each error of the table comes from the text beside it."""
    text = written.replace("⏎", "\n").replace(r"\|", "|")
    headed = text if "-- name:" in text or text.startswith("-- a file") else f"-- name: q\n{text}"
    with pytest.raises(SqlFileError, match=re.escape(expected)):
        parse_statements(headed, Path("q.sql"))


@pytest.mark.parametrize(("written", "expected"), SUBSCRIPTS)
def test_subscript(written: str, expected: str) -> None:
    """Each subscript of the table has the parameters beside it."""
    names = re.findall(r"`(\w+)`", expected.split(";")[0])
    for subscript in re.findall("`(.+?)`", written):
        assert list(parse_statement(f"select {subscript}").parameters) == names
