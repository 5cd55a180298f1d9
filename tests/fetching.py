"""Rows of a statement on either path, for the tests of rows: trusted where that may be, or always validated."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from sqlkit import RowError
from sqlkit.contracts.contract import Cardinality
from sqlkit.execution.calls import call
from sqlkit.execution.query import Query
from sqlkit.rows.shapes import RowMaker, RowType
from sqlkit.statements import parse_statement

__all__ = ["both", "fetch", "is_trusted", "refused"]


def fetch(
    db: psycopg.Connection[Any],
    annotation: Any,
    sql: str,
    *,
    validate: bool = False,
    value: bool = False,
    **values: Any,
) -> list[Any]:
    """Return the rows of a statement, made by one path."""
    return _run(db, annotation, sql, validate, value, values)[0]


def is_trusted(db: psycopg.Connection[Any], annotation: Any, sql: str, *, value: bool = False) -> bool:
    """Tell whether the rows of a statement are built without validation."""
    return _run(db, annotation, sql, False, value, {})[1].trusted


def both(db: psycopg.Connection[Any], annotation: Any, sql: str, *, value: bool = False, **values: Any) -> list[Any]:
    """Return the rows of a statement, after a look that both paths make the same of them."""
    made = fetch(db, annotation, sql, value=value, **values)
    validated = fetch(db, annotation, sql, validate=True, value=value, **values)
    assert repr(made) == repr(validated)
    assert [type(row) for row in made] == [type(row) for row in validated]
    assert [getattr(row, "model_fields_set", None) for row in made] == [
        getattr(row, "model_fields_set", None) for row in validated
    ]
    assert made == validated or "nan" in repr(made).lower()
    return made


def refused(db: psycopg.Connection[Any], annotation: Any, sql: str, *, value: bool = False) -> RowError:
    """Return the RowError of a statement's rows, after a look that both paths blame the same column."""
    raised = []
    for validate in (False, True):
        with pytest.raises(RowError) as caught:
            fetch(db, annotation, sql, validate=validate, value=value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
        raised.append(caught.value)
    assert raised[0].column == raised[1].column
    return raised[0]


def _run(
    db: psycopg.Connection[Any], annotation: Any, sql: str, validate: bool, value: bool, values: dict[str, Any]
) -> tuple[list[Any], RowMaker]:
    statement = parse_statement(sql)
    row = (RowType.value if value else RowType.of)(annotation, validate=validate)
    variant = statement.variant()
    arguments = [values[reference.name] for reference in variant.references]
    rows = call(db, Query(statement, Cardinality.ALL, row), variant, arguments)
    return rows, next(iter(row.makers.values()))
