"""Arguments on their way to the server: each by the type that the statement wants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from sqlkit.errors import ArgumentError
from sqlkit.statements import Reference
from sqlkit.values.parameters import DumpTable, Unfit

__all__ = ["dump", "not_encodable"]


def dump(
    label: str, references: Sequence[Reference], tables: Sequence[DumpTable], values: Sequence[Any]
) -> list[bytes | None]:
    """Turn arguments into what the server wants; ArgumentError names the parameter, never its value."""
    try:
        return [table[type(value)](value) for table, value in zip(tables, values, strict=True)]
    except Exception:
        for reference, table, value in zip(references, tables, values, strict=True):
            _dump_one(label, reference, table, value)
        raise


def _dump_one(label: str, reference: Reference, table: DumpTable, value: Any) -> None:
    try:
        table[type(value)](value)
    except Unfit as unfit:
        raise ArgumentError(f"{label}: parameter {str(reference)!r}: {unfit}") from None
    except UnicodeEncodeError as error:  # which holds the text
        raise ArgumentError(f"{label}: parameter {str(reference)!r}: {not_encodable(error)}") from None
    except psycopg.Error as error:
        error.add_note(f"{label}: parameter {str(reference)!r}, a {type(value).__name__} sent as {table.pgtype}")
        raise


def not_encodable(error: UnicodeEncodeError) -> str:
    """Say why a text cannot be sent, without the text."""
    surrogate = "\ud800" <= error.object[error.start] <= "\udfff"
    what = "a lone surrogate, which is no character" if surrogate else f"a character that {error.encoding} has not"
    return f"the text holds {what}, at index {error.start}"
