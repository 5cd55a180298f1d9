"""``sqlkit generate`` whatever names there are: the module compiles, loads without a warning, and reads the rows."""

from __future__ import annotations

import keyword
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from pydantic import BaseModel

from sqlkit.generating.generate import generate
from sqlkit.generating.placing import layout_for
from sqlkit.statements import read_statements
from sqlkit.testing import TestServer, dropped_afterwards

#: Keywords, builtins, what pydantic's models have, what the module itself imports or defines.
KNOWN = [
    *keyword.kwlist,
    *[name for name in dir(BaseModel) if not name.startswith("__")],
    *["list", "dict", "int", "str", "bool", "id", "type", "date", "datetime", "dt", "Decimal", "UUID", "Any", "Field"],
    *["BaseModel", "ConfigDict", "Protocol", "Literal", "sqlkit", "builtins", "self", "db", "words", "Word", "UNSET"],
    *["model_validate_x", "model_dump_x", "_private", "__dunder__", "1st", "two words", "größe", "ﬁ", "ß", "?column?"],
]
NAMES = st.sampled_from(KNOWN) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters='\0."'), min_size=1, max_size=12
)
TYPES = st.sampled_from(["text", "integer", "date", "numeric", "uuid", "timestamptz", "text[]", "jsonb", "interval"])
COLUMNS = st.dictionaries(NAMES.filter(lambda name: len(name.encode()) < 63), TYPES, min_size=1, max_size=6)
LABELS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10),
    min_size=1,
    max_size=5,
    unique=True,
)


@pytest.fixture(scope="module")
def words(server: TestServer) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection to a database of the module's own."""
    with dropped_afterwards(server) as name, psycopg.connect(server.dsn_for(name), autocommit=True) as conn:
        yield conn


def loaded(text: str, path: Path) -> ModuleType:
    """Run a generated module, with warnings as errors."""
    module = ModuleType("generated_words")
    module.__file__ = str(path)
    sys.modules["generated_words"] = module
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(text, str(path), "exec"), vars(module))
    return module


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return sql.Identifier(name).as_string()


def make_tables(conn: psycopg.Connection[Any], columns: dict[str, str], labels: list[str]) -> None:
    """Make a table with these columns and one of an enum with these labels, and a row with the last label."""
    listed = "".join(f"{quoted(name)} {kind}, " for name, kind in columns.items())
    members = ", ".join(sql.Literal(label).as_string(conn) for label in labels)
    conn.execute("drop table if exists words; drop type if exists label")
    conn.execute(f'create type label as enum ({members}); create table words ({listed}".label" label)'.encode())
    conn.execute('insert into words (".label") values (%s)', [labels[-1]])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(columns=COLUMNS, labels=LABELS)
def test_any_names(words: psycopg.Connection[Any], tmp_path: Path, columns: dict[str, str], labels: list[str]) -> None:
    """Any columns and labels give a module whose model reads a row by the columns' names."""
    make_tables(words, columns, labels)
    path = tmp_path / "words.sql"
    listed = "".join(f"{quoted(name)}, " for name in columns)
    path.write_text(f'-- name: get_words\nselect {listed}".label" as "the label" from words;\n', "utf-8", newline="\n")
    layout = layout_for(path, tmp_path / "words.py")
    module = loaded(generate(words, read_statements(path), layout), tmp_path / "words.py")
    (row,) = module.words.get_words(words)
    assert list(row.model_dump().values())[-1] == labels[-1]
    assert len(type(row).model_fields) == len(columns) + 1
