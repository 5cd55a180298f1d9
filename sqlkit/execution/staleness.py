"""Which errors may come of a schema that changed under a prepared statement."""

from __future__ import annotations

from sqlkit.errors import ArgumentError

__all__ = ["STALE_NOTE", "is_stale", "may_be_stale"]

STALE_NOTE = (
    "if the schema changed under a prepared statement, run the transaction again: this one is aborted, and the "
    "statement will be prepared anew"
)

#: numeric_value_out_of_range, invalid_datetime_format, datetime_field_overflow, invalid_text_representation,
#: invalid_binary_representation.
UNFIT = frozenset({"22003", "22007", "22008", "22P02", "22P03"})


def is_stale(error: Exception) -> bool:
    """Tell whether an error may come of a statement that was prepared before the schema changed.

    Class 42 is what PostgreSQL's parser and planner say (but 42501, a right that is missing); at execution they run
    again only where something changed. 0A000 is "cached plan must not change result type", 26000 a statement that
    somebody deallocated, XX000 a type that is gone.
    """
    state = getattr(error, "sqlstate", None) or ""
    return (state.startswith("42") and state != "42501") or state in ("0A000", "26000", "XX000")


def may_be_stale(error: Exception) -> bool:
    """Tell whether an error may come of the types that a parameter had before the schema changed, or ``is_stale``.

    That is a value that does not fit its type, as one beyond int4 does not for a column that is int8 by now: said by
    the server, or by an ArgumentError before.
    """
    return is_stale(error) or isinstance(error, ArgumentError) or getattr(error, "sqlstate", None) in UNFIT
