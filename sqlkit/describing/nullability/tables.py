"""The verdict of a column of a stored row: its table's own constraints."""

from __future__ import annotations

import contextlib

from sqlkit.describing.nullability.conditions import NONE, Conditions
from sqlkit.describing.nullability.verdicts import Verdict, nullable, proved
from sqlkit.describing.schema import Relation, Schema

__all__ = ["UNREADABLE", "stored"]

#: What a wrong tree may raise at its reader: it proves nothing then.
UNREADABLE = (KeyError, ValueError, TypeError, AttributeError, LookupError, RecursionError)


def stored(schema: Schema, relation: Relation, column: int) -> Verdict:
    """Return the verdict of a table's column in a row that is stored."""
    if column < 0:
        return proved("a column of the system's own")
    attribute = relation.columns.get(column)
    if attribute is None:
        return nullable(f"a column of {relation.name} that is not there")
    name = f"column {relation.name}.{attribute.name}"
    if attribute.not_null:
        return proved(name)
    if column in checked(schema, relation):
        return proved(f"{name}, by a check constraint")
    return nullable(name)


def checked(schema: Schema, relation: Relation) -> frozenset[int]:
    """Return the columns that a table's CHECK constraints keep from being NULL."""
    if relation.checked is None:
        conditions = Conditions(schema, lambda node: node)
        found = NONE
        for check in relation.checks:
            with contextlib.suppress(*UNREADABLE):
                found |= conditions.if_not_false(check)
        relation.checked = frozenset(key[3] for key in found if key[0] == "column")
    return relation.checked
