"""Whether a query gives at most one row, whatever is in its tables and whatever its parameters are.

A query's own rows are told apart by the rows that they are joined from: where each of its relations is settled
(``joins``), there is one. Groups, DISTINCT, LIMIT and set operations have rules of their own. A subquery is asked with
the columns that the query around it binds, so that a view or a grouped subquery is as good as a table with a key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlkit.describing.cardinality.expressions import Level, is_known, is_number, references
from sqlkit.describing.cardinality.joins import Bound, Bounds, World, leaves
from sqlkit.describing.cardinality.keys import KeyFacts, facts_of
from sqlkit.describing.schema import Schema
from sqlkit.describing.trees import Node

__all__ = ["UNREADABLE", "common_table", "has_rules", "single"]

#: What a tree raises that lacks a field, or has one that nobody expected: nothing is proved by it.
UNREADABLE = (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)

SELECT, UPDATE, INSERT, DELETE, MERGE = "1", "2", "3", "4", "5"

INTERSECT, EXCEPT = "2", "3"

NOTHING: Bounds = {}


def single(query: Node, schema: Schema) -> str | None:
    """Say why at most one row can come from a query, None where that is not proved.

    ``query`` is an analysed query tree (a QUERY). A tree that cannot be read proves nothing.
    """
    try:
        return Prover(schema).most(query, NOTHING, ())
    except UNREADABLE:
        return None


class Prover:
    """The proofs about one statement: each subquery is asked once for the same bounds."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.facts: KeyFacts = facts_of(schema)
        self._known: dict[tuple[int, frozenset[tuple[int, frozenset[Bound]]]], str | None] = {}

    def most(self, query: Node, bounds: Bounds, above: tuple[Level, ...]) -> str | None:
        """Say why of the rows of a query that agree in some columns (``bounds``, by number) there is one at most."""
        asked = id(query), frozenset(bounds.items())
        if asked not in self._known:
            self._known[asked] = self._most(Level(query, above, self.schema), bounds)
        return self._known[asked]

    def _most(self, level: Level, bounds: Bounds) -> str | None:
        query = level.query
        kind = query["commandType"]
        if kind == SELECT:
            return self._select(level, bounds)
        if not query.nodes("returningList"):
            return "nothing is returned"
        if has_rules(query, self.schema):
            return None
        if kind == INSERT:
            return self._joined(level, NOTHING)
        if kind in (UPDATE, DELETE):
            return self._target(level)
        return self._merge(level) if kind == MERGE else None

    def _select(self, level: Level, bounds: Bounds) -> str | None:
        query = level.query
        if query["limitOption"] == "0" and is_number(query["limitCount"], (0, 1)):
            return "limit 0" if is_number(query["limitCount"], (0,)) else "limit 1"
        if query["setOperations"] is not None:
            return self._combined(query["setOperations"], level, bounds)
        if query.nodes("groupingSets"):
            return "aggregate over all rows" if self._is_one_group(query) and not query.flag("hasTargetSRFs") else None
        world = self._world(level, bounds)
        if query.flag("hasTargetSRFs"):
            return self._distinct(world)
        return self._aggregate(query) or self._settled(world) or self._grouped(world) or self._distinct(world)

    def _is_one_group(self, query: Node) -> bool:
        sets = query.nodes("groupingSets")
        return len(sets) == 1 and sets[0]["kind"] == "0" and not query.nodes("groupClause")

    def _aggregate(self, query: Node) -> str | None:
        if query.nodes("groupClause") or not (query.flag("hasAggs") or query["havingQual"] is not None):
            return None
        return "aggregate without group by"

    def _grouped(self, world: World) -> str | None:
        groups = world.level.query.nodes("groupClause")
        return "group by what is fixed" if groups and self._are_bound(groups, world) else None

    def _distinct(self, world: World) -> str | None:
        columns = world.level.query.nodes("distinctClause")
        return "distinct of what is fixed" if columns and self._are_bound(columns, world) else None

    def _are_bound(self, clauses: Iterable[Node], world: World) -> bool:
        """Tell whether all rows agree in what they are grouped by."""
        targets = {entry["ressortgroupref"]: entry["expr"] for entry in world.level.query.nodes("targetList")}
        for clause in clauses:
            found = world.bound(targets[clause["tleSortGroupRef"]])
            families = self.facts.equality(clause.number("eqop"))
            if None not in found and not any((family, 0) in found for family in families):
                return False
        return True

    def _world(self, level: Level, bounds: Bounds, *, lateral: bool = True) -> World:
        """Solve the joins of a query."""

        def settle(entry: int, columns: Bounds, settled: Mapping[int, str]) -> str | None:
            return self._entry(level, entry, columns, settled, lateral)

        given = [
            (level.resolve(entry["expr"]), bounds[entry.number("resno")])
            for entry in level.query.nodes("targetList")
            if entry.number("resno") in bounds
        ]

        def is_one_value(query: Node) -> bool:
            return level.is_constant(query) and self.most(query, NOTHING, (*level.above, level)) is not None

        world = World(level, self.facts, settle, is_one_value, given, set(leaves(level.query["jointree"])))
        world.solve()
        return world

    def _joined(self, level: Level, bounds: Bounds) -> str | None:
        return None if level.query.flag("hasTargetSRFs") else self._settled(self._world(level, bounds))

    def _settled(self, world: World) -> str | None:
        """Say why all relations of a query are settled."""
        entries = list(leaves(world.level.query["jointree"]))
        if not world.settled.keys() >= set(entries):
            return None
        reasons = dict.fromkeys(world.settled[entry] for entry in entries)
        return ", ".join(reasons) or (
            "one row of values" if world.level.query["commandType"] == INSERT else "select without from"
        )

    def _target(self, level: Level) -> str | None:
        """Say why an update or delete reaches one row: each row once, however many others it is joined with."""
        world = self._world(level, NOTHING, lateral=False)
        target = level.query.number("resultRelation")
        return world.settled.get(target) or self._joined(level, NOTHING)

    def _merge(self, level: Level) -> str | None:
        """Say why a merge reaches one row: one of the source, and one at most of the target that matches it."""
        query = level.query
        if any(action.get("matchKind") not in ("0", "2") for action in query.nodes("mergeActionList")):
            return None
        world = self._world(level, NOTHING)
        if self._settled(world) is None:
            return None
        target = query.number("resultRelation")
        tree = Node("FROMEXPR")
        tree["fromlist"] = [*query["jointree"].nodes("fromlist"), _reference(target)]
        tree["quals"] = query["mergeJoinCondition"]
        joined = Node("QUERY")
        joined.update(query, jointree=tree, targetList=None)
        return self._joined(Level(joined, level.above, self.schema), NOTHING)

    def _combined(self, tree: Node, level: Level, bounds: Bounds) -> str | None:
        """Say why a set operation gives one row."""
        if tree.tag == "RANGETBLREF":
            return self.most(level.entry(tree.number("rtindex"))["subquery"], bounds, (*level.above, level))
        if not tree.flag("all") and self._is_all_bound(tree, bounds):
            return "set operation on what is fixed"
        if tree["op"] == INTERSECT:
            arms = (self._combined(tree[arm], level, bounds) for arm in ("larg", "rarg"))
            return next((reason for reason in arms if reason is not None), None)
        return self._combined(tree["larg"], level, bounds) if tree["op"] == EXCEPT else None

    def _is_all_bound(self, tree: Node, bounds: Bounds) -> bool:
        """Tell whether rows of a set operation, of which no two are the same, agree in all their columns."""
        clauses = tree.nodes("groupClauses")
        return len(clauses) == len(tree["colTypes"]) > 0 and all(
            any((family, 0) in bounds.get(number, ()) for family in self.facts.equality(clause.number("eqop")))
            for number, clause in enumerate(clauses, 1)
        )

    def _entry(
        self, level: Level, index: int, columns: Bounds, settled: Mapping[int, str], lateral: bool
    ) -> str | None:
        """Say why an entry of the range table that no key settles shows one row all the same."""
        entry = level.entry(index)
        if entry.flag("lateral") and not lateral:
            return None
        match entry["rtekind"]:
            case "0":
                return self._relation(entry, columns)
            case "1" if not entry.flag("lateral") or self._depends_on_settled(level, entry["subquery"], settled):
                return self.most(entry["subquery"], columns, (*level.above, level))
            case "3" if all(self._is_one_value(level, part["funcexpr"], entry, settled) for part in entry["functions"]):
                return "a function that returns one row"
            case "5" if len(entry["values_lists"]) == 1:
                values = entry["values_lists"][0]
                steady = not entry.flag("lateral") or all(level.fixed(value, settled) for value in values)
                return "one row of values" if steady else None
            case "6":
                table, around = common_table(entry, level)
                return None if table.flag("cterecursive") else self.most(table["ctequery"], columns, around)
            case "8":
                return "select without from"
        return None

    def _relation(self, entry: Node, columns: Bounds) -> str | None:
        relation = self.schema.relation(entry.number("relid"))
        if relation is None:
            return None
        if relation.kind == "S":
            return f"sequence {relation.name} has one row"
        return self.most(relation.view, columns, ()) if relation.kind == "v" and relation.view is not None else None

    def _depends_on_settled(self, level: Level, query: Node, settled: Mapping[int, str]) -> bool:
        """Tell whether a subquery refers, of the entries beside it, to settled ones alone."""
        for distance, variable in references(query):
            if distance == 1:
                here = Node("VAR")
                here.update(variable, varlevelsup="0")
                if not level.fixed(here, settled):
                    return False
        return is_known(query)

    def _is_one_value(self, level: Level, expression: Node, entry: Node, settled: Mapping[int, str]) -> bool:
        if expression.tag != "FUNCEXPR" or expression.flag("funcretset"):
            return False
        return not entry.flag("lateral") or level.fixed(expression, settled)


def common_table(entry: Node, level: Level) -> tuple[Node, tuple[Level, ...]]:
    """Return the WITH query that an entry names, and the queries around it."""
    levels = (*level.above, level)
    holder = len(levels) - 1 - entry.number("ctelevelsup")
    if holder < 0:
        raise IndexError(holder)
    found = next(table for table in levels[holder].query.nodes("cteList") if table["ctename"] == entry["ctename"])
    return found, levels[: holder + 1]


def has_rules(query: Node, schema: Schema) -> bool:
    """Tell whether a rule may do something else instead of what a query writes, also below a view."""
    waiting = [Level(query, (), schema).entry(query.number("resultRelation")).number("relid")]
    while waiting:
        relation = schema.relation(waiting.pop())
        if relation is None or relation.rules:
            return True
        if relation.view is not None:
            entries = (entry for entry in relation.view.nodes("rtable") if entry["rtekind"] == "0")
            waiting += [oid for entry in entries if (oid := entry.number("relid")) != relation.oid]
    return False


def _reference(entry: int) -> Node:
    node = Node("RANGETBLREF")
    node["rtindex"] = str(entry)
    return node
