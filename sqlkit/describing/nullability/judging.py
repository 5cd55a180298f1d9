"""What the judges of expressions, aggregates and queries ask of one another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from sqlkit.describing.nullability.conditions import NONE, Keys
from sqlkit.describing.nullability.scopes import Scope
from sqlkit.describing.nullability.verdicts import Verdict
from sqlkit.describing.trees import Node

__all__ = ["Judge", "Place", "Queries"]


class Queries(Protocol):
    """What expressions ask of queries inside them."""

    def column(self, scope: Scope, number: int, column: int) -> Verdict:
        """Return the verdict of a relation's column while its row is there."""
        ...

    def old_column(self, scope: Scope, number: int, column: int) -> Verdict:
        """Return the verdict of a column of the row as it was before it was written."""
        ...

    def scalar(self, query: Node, scope: Scope) -> Verdict:
        """Return the verdict of a query that stands for one value."""
        ...

    def values(self, query: Node, outer: Scope | None) -> list[Verdict]:
        """Return the verdicts of a query's columns."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where an expression stands, and what more is known there.

    ``grouped`` are the keys that stand in every grouping set, None where there are no grouping sets; ``filled`` says
    that expressions are of a group that has a row, ``rows`` that a row has passed WHERE at all (without GROUP BY an
    aggregate answers for none, too), ``sets`` how many set-returning functions stand side by side.
    """

    known: Keys = NONE
    grouped: Keys | None = None
    filled: bool = False
    rows: bool = True
    sets: int = 0

    def within(self, more: Keys) -> Place:
        """Return the place where more is known."""
        return replace(self, known=self.known | more) if more else self


class Judge(Protocol):
    """What aggregates ask of expressions."""

    def verdict(self, node: Node, scope: Scope, place: Place) -> Verdict:
        """Return the verdict of an expression."""
        ...

    def all_of(self, nodes: list[Node], scope: Scope, place: Place, reason: str) -> Verdict:
        """Return the verdict of what is NULL only where one of these is."""
        ...
