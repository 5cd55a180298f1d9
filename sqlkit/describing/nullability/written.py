"""What RETURNING gives back of a row that was written: the values of INSERT and UPDATE, defaults, generated columns."""

from __future__ import annotations

from sqlkit.describing.nullability.conditions import NONE
from sqlkit.describing.nullability.expressions import Expressions
from sqlkit.describing.nullability.judging import Place
from sqlkit.describing.nullability.scopes import Scope
from sqlkit.describing.nullability.verdicts import Verdict, both, nullable, proved
from sqlkit.describing.schema import ON_INSERT, ON_UPDATE, Attribute, Relation
from sqlkit.describing.trees import Node, walk

__all__ = ["Written"]

UPDATE, INSERT = "2", "3"

#: What an ON CONFLICT clause may do.
DO_UPDATE = "2"


class Written:
    """The row that a statement writes into a relation."""

    def __init__(self, scope: Scope, relation: Relation, expressions: Expressions) -> None:
        self._scope = scope
        self._query = scope.query
        self._relation = relation
        self._expressions = expressions

    def _verdict(self, node: Node, place: Place) -> Verdict:
        """Judge a value that the row is written with, whose columns are those of the row as it was."""
        was, self._scope.before = self._scope.before, True
        try:
            return self._expressions.verdict(node, self._scope, place)
        finally:
            self._scope.before = was

    def column(self, column: int, held: Verdict) -> Verdict:
        """Return the verdict of a column of the row; ``held`` is the one of any row that is stored."""
        command = self._query["commandType"]
        if command == INSERT:
            return self._inserted(column, held)
        if command == UPDATE:
            return self._updated(column, held)
        return held

    def _inserted(self, column: int, held: Verdict) -> Verdict:
        if self._relation.before & ON_INSERT or self._relation.foreign:
            return nullable(f"{held.reason}, which a trigger may change")
        conflict = self._query["onConflict"]
        inserted = self._value(column, held, frozenset())
        if conflict is None or conflict["action"] != DO_UPDATE:
            return inserted
        if self._relation.before & ON_UPDATE:
            return nullable(f"{held.reason}, which a trigger may change")
        return both((inserted, self._after_conflict(conflict, column, held)), "what is inserted or updated")

    def proposed(self, column: int, held: Verdict) -> Verdict:
        """Return the verdict of a column of the row as it is proposed for insertion (``excluded``)."""
        if self._relation.before & ON_INSERT or self._relation.foreign:
            return nullable(f"{held.reason}, which a trigger may change")
        return self._value(column, held, frozenset())

    def _after_conflict(self, conflict: Node, column: int, held: Verdict) -> Verdict:
        attribute = self._relation.columns.get(column)
        for entry in conflict.nodes("onConflictSet"):
            if entry.number("resno") == column and entry["expr"].tag != "SETTODEFAULT":
                return self._verdict(entry["expr"], Place())
        reason = "a generated column" if attribute is not None and attribute.generated else "of a row that was there"
        return nullable(f"{held.reason}, {reason}")

    def _updated(self, column: int, held: Verdict) -> Verdict:
        # A row that moves to another partition is inserted there.
        if self._relation.before & (ON_UPDATE | ON_INSERT) or self._relation.foreign:
            return nullable(f"{held.reason}, which a trigger may change")
        if self._assigned(column) is None and not self._generated(column):
            return held
        return self._value(column, held, frozenset())

    def _value(self, column: int, held: Verdict, around: frozenset[int]) -> Verdict:
        attribute = self._relation.columns.get(column)
        if attribute is None or column in around:
            return held
        if attribute.generated == "s" and attribute.default is not None:
            return self._computed(attribute.default, held, around | {column})
        assigned = self._assigned(column)
        if assigned is None and self._query["commandType"] != INSERT:
            return held
        if assigned is not None and assigned.tag != "SETTODEFAULT":
            values = _rows(self._query, assigned)
            found = both((self._given(each, attribute, held, around) for each in values), "each of the rows")
            return Verdict(found.needs, f"the value that is written: {found.reason}")
        return self._default(attribute, held, around)

    def _given(self, value: Node, attribute: Attribute, held: Verdict, around: frozenset[int]) -> Verdict:
        if value.tag == "SETTODEFAULT":
            return self._default(attribute, held, around)
        return self._verdict(value, Place())

    def _default(self, attribute: Attribute, held: Verdict, around: frozenset[int]) -> Verdict:
        if attribute.identity:
            return proved("identity")
        if attribute.default is None:
            return nullable(f"{held.reason}, which is not written")
        return self._computed(attribute.default, held, around | {attribute.number})

    def _assigned(self, column: int) -> Node | None:
        for entry in self._query.nodes("targetList"):
            if entry.number("resno") == column and not entry.flag("resjunk"):
                expression = entry["expr"]
                return expression if isinstance(expression, Node) else None
        return None

    def _generated(self, column: int) -> bool:
        attribute = self._relation.columns.get(column)
        return attribute is not None and attribute.generated == "s"

    def _computed(self, tree: Node, held: Verdict, around: frozenset[int]) -> Verdict:
        """Return the verdict of a default or generating expression, whose columns are those of the row."""
        columns = {node.number("varattno") for node in walk(tree) if node.tag == "VAR"}
        parts = [self._of_row(column, held, around) for column in columns]
        if not all(part.certain for part in parts):
            return both(parts, "") if any(part.needs is None for part in parts) else held
        known = NONE | {("column", 0, 1, column) for column in columns}
        found = self._verdict(tree, Place(known=known))
        return Verdict(found.needs, f"a default or generated value: {found.reason}")

    def _of_row(self, column: int, held: Verdict, around: frozenset[int]) -> Verdict:
        attribute = self._relation.columns.get(column)
        if attribute is not None and attribute.not_null:
            return proved(f"column {self._relation.name}.{attribute.name}")
        if self._query["commandType"] != INSERT and self._assigned(column) is None:
            return nullable(held.reason)
        return self._value(column, held, around)


def _rows(query: Node, value: Node) -> list[Node]:
    """Return what a value is in each row of VALUES that is inserted; itself where it is no such row's."""
    if value.tag == "VAR" and value["varlevelsup"] == "0" and value.number("varattno") > 0:
        entry = query.nodes("rtable")[value.number("varno") - 1]
        if entry["rtekind"] == "5":
            return [row[value.number("varattno") - 1] for row in entry["values_lists"]]
    return [value]
