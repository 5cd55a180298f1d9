"""Which relations of a query have one row at most, found by following equalities from what is fixed.

A relation is *settled* when all rows of the result show the same row of it (or all show its NULLs). Constants and
parameters are fixed, and so is what is computed from settled relations alone; an equality fixes what stands on its
other side; a unique key of which all parts are fixed settles its relation. Conditions that hold for every row of the
result are those of WHERE, of inner joins, and of outer joins that another condition makes inner. An outer join's own
condition counts for its nullable side once the other side is settled: then its rows match it, or there is one row
alone, of NULLs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from sqlkit.describing.cardinality.expressions import Column, Level, conjuncts, same
from sqlkit.describing.cardinality.keys import Key, KeyFacts, KeyPart
from sqlkit.describing.trees import Node

__all__ = ["Bound", "Bounds", "World", "leaves"]

#: How far the values of an expression agree in all rows: under the equality of a family and a lenient collation (0:
#: under any); None where they are one and the same.
Bound = tuple[int, int] | None

Bounds = Mapping[int, frozenset[Bound]]

#: Says why a relation gives one row at most, given the columns of it that are bound; None where it may give more.
Settle = Callable[[int, Bounds, Mapping[int, str]], str | None]

#: The kind of a subquery behind ``in`` or ``= any``.
ANY = "2"

INNER, LEFT, FULL, RIGHT = "0", "1", "2", "3"


@dataclass(slots=True)
class World:
    """The join tree of one query under some conditions, and what is settled there.

    ``settled`` has the reason of each entry; ``kinds`` has the outer joins that are of another kind here than they are
    written, for conditions refuse their rows of NULLs. ``given`` are the bounds of expressions that come from outside:
    what a query around this one compares its columns with. ``scope`` are the entries that are asked for.
    """

    level: Level
    facts: KeyFacts
    settle: Settle
    is_one_value: Callable[[Node], bool]
    given: list[tuple[Column | Node, frozenset[Bound]]]
    scope: set[int]
    settled: dict[int, str] = field(default_factory=dict)
    kinds: dict[int, str] = field(default_factory=dict)
    conditions: list[Node] = field(default_factory=list)
    present: set[int] = field(default_factory=set)
    outer: list[tuple[Node, list[Node], list[Node]]] = field(default_factory=list)
    equalities: list[tuple[Node, Node, frozenset[int], int]] = field(default_factory=list)
    bounds: dict[Column, set[Bound]] = field(default_factory=dict)
    expressions: list[tuple[Node, set[Bound]]] = field(default_factory=list)

    def solve(self) -> None:
        """Settle what can be settled."""
        while True:
            before = len(self.settled), dict(self.kinds)
            self._collect()
            self._bind()
            self._settle_entries()
            self._settle_outer()
            if before == (len(self.settled), self.kinds) or self.settled.keys() >= self.scope:
                return

    def bound(self, expression: Node) -> set[Bound]:
        """Tell how far the values of an expression agree."""
        found = self.level.resolve(expression)
        if isinstance(found, Node) and found.tag == "PARAM":
            return {None}  # from outside, or, in a testexpr, from a subquery of one row
        if self.level.fixed(expression, self.settled):
            return {None}
        if isinstance(found, Column):
            return self.bounds.get(found, set())
        if not self.expressions or not self.level.steady(found):
            return set()
        return {each for known, bounds in self.expressions if same(known, found, self.level) for each in bounds}

    def columns(self, entry: int) -> Bounds:
        """Return the bounds of an entry's columns."""
        return {column.number: frozenset(bounds) for column, bounds in self.bounds.items() if column.entry == entry}

    def _collect(self) -> None:
        """Gather the conditions that hold for every row, and the outer joins whose condition does not."""
        self.conditions, self.present, self.outer = [], set(), []
        waiting = [self.level.query["jointree"]]
        while waiting:
            node = waiting.pop()
            if node.tag == "RANGETBLREF":
                self.present.add(node.number("rtindex"))
            elif node.tag == "FROMEXPR":
                self.conditions += conjuncts(node["quals"])
                waiting += node.nodes("fromlist")
            elif node.tag == "JOINEXPR":
                waiting += self._join(node)
            else:
                raise KeyError(node.tag)

    def _join(self, node: Node) -> list[Node]:
        left, right = node["larg"], node["rarg"]
        kind = self.kinds.get(node.number("rtindex"), node["jointype"])
        if kind == INNER:
            self.conditions += conjuncts(node["quals"])
            return [left, right]
        if kind not in (LEFT, FULL, RIGHT):
            raise KeyError(kind)
        kept = {LEFT: [left], RIGHT: [right], FULL: []}[kind]
        self.outer.append((node, kept, [side for side in (left, right) if side not in kept]))
        return kept

    def _bind(self) -> None:
        """Follow the equalities until nothing new is bound."""
        self.bounds, self.expressions = {}, []
        for place, bounds in self.given:
            self._add(place, set(bounds))
        self.equalities = [found for condition in self.conditions for found in self._equalities(condition)]
        changed = True
        while changed:
            changed = False
            for left, right, families, collation in self.equalities:
                for one, other in ((left, right), (right, left)):
                    changed |= self._carry(one, other, families, collation)

    def _equalities(self, condition: Node) -> Iterator[tuple[Node, Node, frozenset[int], int]]:
        """Yield the sides of equalities and what they take for equal; an ``in (select ...)`` of one row is one too."""
        if condition.tag == "OPEXPR":
            families = self.facts.equality(condition.number("opno"))
            if families and len(condition.nodes("args")) == 2:
                left, right = condition.nodes("args")
                yield left, right, families, self.facts.lenience(int(condition.get("inputcollid", "0")))
        elif (
            condition.tag == "SUBLINK" and condition["subLinkType"] == ANY and self.is_one_value(condition["subselect"])
        ):
            for part in conjuncts(condition["testexpr"]):
                yield from self._equalities(part)

    def _carry(self, one: Node, other: Node, families: frozenset[int], collation: int) -> bool:
        """Bind what stands on one side of an equality by what is known of the other."""
        known = self.bound(other)
        if None in known:
            found: set[Bound] = {(family, collation) for family in families}
        else:
            agreed = {family for family, under in filter(None, known) if under in (0, collation)}
            found = {(family, collation) for family in families & agreed}
        return self._add(self.level.resolve(one), found)

    def _add(self, place: Column | Node, found: set[Bound]) -> bool:
        if isinstance(place, Column):
            known = self.bounds.setdefault(place, set())
        else:
            known = next((bounds for node, bounds in self.expressions if node is place), set())
            if not known and found:
                self.expressions.append((place, known))
        before = len(known)
        known |= found
        return len(known) > before

    def _settle_entries(self) -> None:
        for entry in leaves(self.level.query["jointree"]):
            if (
                entry in self.settled or entry not in self.present
            ):  # its one row may be there in some rows and not in others
                continue
            reason = self._by_key(entry) or self.settle(entry, self.columns(entry), self.settled)
            if reason is not None:
                self.settled[entry] = reason

    def _by_key(self, index: int) -> str | None:
        entry = self.level.entry(index)
        if entry["rtekind"] != "0":
            return None
        for key in self.facts.keys_of(entry.number("relid")):
            if self._holds(key, index) and all(self._is_covered(part, index) for part in key.parts):
                return f"unique key {key.name}"
        return None

    def _is_covered(self, part: KeyPart, entry: int) -> bool:
        if part.expression is None:
            bounds = self.bounds.get(Column(entry, part.column), set())
        elif entry in self.present:
            found = (bounds for node, bounds in self.expressions if same(part.expression, node, self.level, entry))
            bounds = {bound for each in found for bound in each}
        else:
            return False
        return (part.family, 0) in bounds or (part.family, part.collation) in bounds

    def _holds(self, key: Key, entry: int) -> bool:
        """Tell whether a partial key's predicate stands among the conditions, or follows from an equality."""
        if key.predicate is None:
            return True
        return entry in self.present and all(self._is_met(part, entry) for part in conjuncts(key.predicate))

    def _is_met(self, predicate: Node, entry: int) -> bool:
        if any(same(predicate, condition, self.level, entry) for condition in self.conditions):
            return True
        if predicate.tag != "NULLTEST" or predicate["nulltesttype"] != "1" or predicate["arg"].tag != "VAR":
            return False
        return bool(self._compared().get(Column(entry, predicate["arg"].number("varattno"))))

    def _compared(self) -> dict[Column, bool]:
        """Return the columns that are in an equality, here or in the query around this one: it is true of no NULL."""
        found = [self.level.resolve(side) for left, right, _, _ in self.equalities for side in (left, right)]
        found += [place for place, bounds in self.given if bounds]
        return {place: True for place in found if isinstance(place, Column)}

    def _settle_outer(self) -> None:
        compared = {column.entry for column in self._compared()} if self.outer else set()
        for join, kept, padded in self.outer:
            met = [side for side in padded if compared & set(leaves(side))]  # whose NULLs meet no equality
            if met:
                sides = [*kept, *met]
                kind = INNER if len(sides) == 2 else LEFT if sides[0] is join["larg"] else RIGHT
                self.kinds[join.number("rtindex")] = kind
            elif kept:
                self._settle_padded(join, kept[0], set(leaves(padded[0])))

    def _settle_padded(self, join: Node, kept: Node, inside: set[int]) -> None:
        """Settle the nullable side of a join of which the other side is settled, by the join's own condition."""
        if inside <= self.scope and inside - self.settled.keys() and self.settled.keys() >= set(leaves(kept)):
            beyond = World(
                self.level, self.facts, self.settle, self.is_one_value, self.given, inside, dict(self.settled)
            )
            beyond.kinds = {**self.kinds, join.number("rtindex"): INNER}
            beyond.solve()
            self.settled |= {entry: beyond.settled[entry] for entry in inside & beyond.settled.keys()}


def leaves(tree: Node) -> Iterator[int]:
    """Yield the entries that a join tree joins, in order."""
    if tree.tag == "RANGETBLREF":
        yield tree.number("rtindex")
    elif tree.tag == "FROMEXPR":
        for part in tree.nodes("fromlist"):
            yield from leaves(part)
    elif tree.tag == "JOINEXPR":
        yield from leaves(tree["larg"])
        yield from leaves(tree["rarg"])
    else:
        raise KeyError(tree.tag)
