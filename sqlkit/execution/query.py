"""A query: a statement, and what its contract promises of its rows."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlkit.contracts.contract import Cardinality
from sqlkit.rows.shapes import RowType
from sqlkit.statements import Statement

__all__ = ["Query"]


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A statement with what its contract promises; ``str()`` names it with its place, as a holder of a connection.

    ``single`` tells whether at most one row is promised, ``many`` whether a list of them is, ``promises`` whether rows
    must be counted and made before a COMMIT: a writing statement that returns them.
    """

    statement: Statement
    cardinality: Cardinality
    row: RowType | None
    single: bool = field(init=False)
    many: bool = field(init=False)
    promises: bool = field(init=False)

    def __post_init__(self) -> None:
        """Work out what each call asks."""
        object.__setattr__(self, "single", self.cardinality in (Cardinality.ONE, Cardinality.OPTIONAL))
        object.__setattr__(self, "many", self.cardinality is Cardinality.ALL)
        object.__setattr__(self, "promises", self.statement.writes and self.row is not None)

    @property
    def label(self) -> str:
        """Return ``file:line: name``, with which every error begins."""
        return self.statement.label

    @property
    def name(self) -> str:
        """Return the name by which the server and the statistics know it; empty for ad hoc SQL."""
        return self.statement.full_name

    def __str__(self) -> str:
        return self.statement.label
