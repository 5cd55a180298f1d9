"""A query: a statement, and what its contract promises of its rows."""

from __future__ import annotations

from dataclasses import dataclass

from sqlkit.contracts.contract import Cardinality
from sqlkit.rows.shapes import RowType
from sqlkit.statements import Statement

__all__ = ["Query"]


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A statement with what its contract promises; ``str()`` names it with its place, as a holder of a connection."""

    statement: Statement
    cardinality: Cardinality
    row: RowType | None

    @property
    def label(self) -> str:
        """Return ``file:line: name``, with which every error begins."""
        return self.statement.label

    @property
    def name(self) -> str:
        """Return the name by which the server and the statistics know it; empty for ad hoc SQL."""
        return self.statement.full_name

    @property
    def promises(self) -> bool:
        """Tell whether rows must be counted and made before a COMMIT: a writing statement that returns them."""
        return self.statement.writes and self.row is not None

    def __str__(self) -> str:
        return self.statement.label
