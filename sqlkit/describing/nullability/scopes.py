"""One level of a query: its relations, which of them an outer join may leave without a row, and what is known there.

``read_from`` walks the joins twice over: a condition above a join may show that the join never pads (``where`` on a
column of the right side of a left join), which makes further conditions hold everywhere. A left join over a foreign key
whose columns are never NULL pads only where the referencing row itself is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from sqlkit.describing.nullability.conditions import NONE, Conditions, Key, Keys
from sqlkit.describing.schema import ForeignKey, Relation, Schema
from sqlkit.describing.trees import Node

__all__ = ["Scope", "answers_always", "at_least_one", "members", "plain_equality", "read_from", "references"]

INNER, LEFT, FULL, RIGHT = "0", "1", "2", "3"

RELATION, SUBQUERY, JOIN, FUNCTION, TABLEFUNC, VALUES, CTE, GROUP = 0, 1, 2, 3, 4, 5, 6, 9

#: Says where a join stands in the text: " at line 4", or nothing where that is not known.
Locate: TypeAlias = Callable[[Node], str]


@dataclass(eq=False)
class Scope:
    """A query's level.

    ``padded`` names the relations whose row may be missing, each with the reason. ``known`` is what is never NULL in a
    row that the FROM clause and WHERE let through, ``present`` what is never NULL while its relation's row is there,
    ``full`` the relations on either side of a full join, one of which is there. ``rows`` is False where the query
    answers without a row too, ``settled`` where a row may be read again after a lock, so that a join that matched need
    not match any more, ``filtered`` where conditions do not hold for what is asked of. ``tells`` is set where something
    is known of a whole expression. ``before`` is set while values are judged that a row is written with, which are of
    the row as it was: what WHERE knew of that is ``known_before``. ``judge`` tells whether a relation's column is never
    NULL while its row is there. With ``assume_rows`` no row is
    taken to be missing.
    """

    query: Node
    schema: Schema
    outer: Scope | None
    locate: Locate
    settled: bool = True
    filtered: bool = True
    padded: dict[int, str] = field(default_factory=dict)
    known: Keys = NONE
    present: Keys = NONE
    full: list[tuple[frozenset[int], frozenset[int]]] = field(default_factory=list)
    rows: bool = True
    tells: bool = False
    before: bool = False
    known_before: Keys = NONE
    judge: Callable[[Scope, int, int], bool] = lambda *_: False
    assume_rows: bool = False
    conditions: Conditions = field(init=False)

    def __post_init__(self) -> None:
        self.conditions = Conditions(self.schema, self.resolve)

    def entry(self, number: int) -> Node:
        """Return the range table's entry of a number, from 1; IndexError where there is none."""
        if number < 1:
            raise IndexError(number)
        entry: Node = self.query.nodes("rtable")[number - 1]
        return entry

    def at(self, levels_up: int) -> Scope:
        """Return the scope that lies so many levels above; LookupError where there is none."""
        scope: Scope | None = self
        for _ in range(levels_up):
            scope = scope.outer if scope is not None else None
        if scope is None:
            raise LookupError("a column of a level that is not there")
        return scope

    def relation(self, number: int) -> Relation | None:
        """Return the table of an entry, None where it is something else."""
        entry = self.entry(number)
        return self.schema.relation(entry.number("relid")) if entry.number("rtekind") == RELATION else None

    def never_null(self, number: int, column: int) -> bool:
        """Tell whether a relation's column is never NULL while its row is there."""
        key = ("column", 0, number, column)
        return key in self.known or key in self.present or self.judge(self, number, column)

    def knows(self, key: Key | None) -> bool:
        """Tell whether a whole expression is known not to be NULL."""
        return key is not None and key[0] == "expression" and key in self.known

    def merges(self, first: Node, second: Node) -> bool:
        """Tell whether two columns are of the two sides of a full join, so that the row of one is there."""
        if first.tag != "VAR" or second.tag != "VAR" or first["varlevelsup"] != "0" or second["varlevelsup"] != "0":
            return False
        one, other = first.number("varno"), second.number("varno")
        return any((one in left and other in right) or (one in right and other in left) for left, right in self.full)

    def resolve(self, node: Node) -> Node:
        """Turn a column of a join, or of the groups (18), into what it stands for."""
        while node.tag == "VAR" and node["varlevelsup"] == "0" and node.number("varno") > 0:
            entry, column = self.entry(node.number("varno")), node.number("varattno")
            kind = entry.number("rtekind")
            if kind == JOIN and column > 0:
                node = entry.nodes("joinaliasvars")[column - 1]
            elif kind == GROUP and column > 0 and not self.query["groupingSets"]:
                node = entry.nodes("groupexprs")[column - 1]
            else:
                break
        return node


def read_from(scope: Scope) -> None:
    """Find out what a scope's FROM clause and WHERE know."""
    tree = scope.query["jointree"]
    where = scope.conditions.if_true(tree["quals"]) if scope.filtered else NONE
    known = where
    while True:
        walker = _Joins(scope, known)
        found = known
        for item in tree.nodes("fromlist"):
            found |= walker.visit(item, known, None)
        if found == known:
            break
        known = found
    scope.padded, scope.present, scope.known, scope.full = walker.padded, walker.present, known, walker.full
    scope.tells = any(key[0] == "expression" for key in known)


class _Joins:
    """One walk over the joins, with what is known so far."""

    def __init__(self, scope: Scope, known: Keys) -> None:
        self.scope = scope
        self.known = known
        self.padded: dict[int, str] = {}
        self.present: Keys = NONE
        self.full: list[tuple[frozenset[int], frozenset[int]]] = []

    def visit(self, node: Node, forced: Keys, reason: str | None) -> Keys:
        """Note what may be padded below a node; return what its conditions know of every row that it gives."""
        if node.tag == "RANGETBLREF":
            if reason is not None:
                self.padded[node.number("rtindex")] = reason
            return NONE
        if node.tag == "FROMEXPR":
            found = self.scope.conditions.if_true(node["quals"])
            for item in node.nodes("fromlist"):
                found |= self.visit(item, forced | found, reason)
            return found
        return self._join(node, forced, reason)

    def _join(self, node: Node, forced: Keys, reason: str | None) -> Keys:
        left, right = node["larg"], node["rarg"]
        kind = self._kind(node, forced)
        found = self.scope.conditions.if_true(node["quals"])
        if kind == INNER:
            inner = found | self.visit(left, forced | found, reason)
            return inner | self.visit(right, forced | inner, reason)
        where = self.scope.locate(node)
        if kind == FULL:
            sides = f"left side of the full join{where}", f"right side of the full join{where}"
            self.present |= self.visit(left, NONE, sides[0]) | self.visit(right, NONE, sides[1])
            if reason is None:
                ours = [frozenset(each for each, why in self.padded.items() if why is side) for side in sides]
                self.full.append((ours[0], ours[1]))
            return NONE
        if kind == LEFT and self._always_matches(right, node["quals"]):
            return found | self.visit(left, forced, reason) | self.visit(right, forced, reason)
        kept, padded, side = (left, right, "right") if kind == LEFT else (right, left, "left")
        name = {LEFT: "left", RIGHT: "right", FULL: "full"}[node["jointype"]]
        outside = self.visit(kept, forced, reason)
        inside = frozenset(key for key in found if _of(key, members(padded)))
        inside |= self.visit(padded, forced | inside, f"{side} side of the {name} join{where}")
        self.present |= inside
        self._follow_key(kept, padded, node["quals"], reason)
        return outside

    def _always_matches(self, right: Node, quals: Node | None) -> bool:
        """Tell of ``left join lateral (select count(*) ...) on true``, whose right side always has a row."""
        if right.tag != "RANGETBLREF" or not (quals is None or _is_true(quals)):
            return False
        entry = self.scope.entry(right.number("rtindex"))
        kind = entry.number("rtekind")
        return kind == VALUES or (kind == SUBQUERY and answers_always(entry["subquery"]))

    def _kind(self, node: Node, forced: Keys) -> str:
        """Return what a join amounts to, given that some columns are not NULL above it."""
        kind: str = node["jointype"]
        if kind == INNER:
            return kind
        left = any(_of(key, members(node["larg"])) for key in forced)
        right = any(_of(key, members(node["rarg"])) for key in forced)
        pads_left = kind in (RIGHT, FULL) and not left
        pads_right = kind in (LEFT, FULL) and not right
        if kind not in (LEFT, FULL, RIGHT):
            return FULL  # a kind that is not known: either side may be missing
        return {(False, False): INNER, (False, True): LEFT, (True, False): RIGHT, (True, True): FULL}[
            pads_left, pads_right
        ]

    def _follow_key(self, kept: Node, padded: Node, quals: Node | None, reason: str | None) -> None:
        """Let a relation that a foreign key names be missing only where the referencing row is."""
        if not self.scope.settled or padded.tag != "RANGETBLREF" or quals is None:
            return
        target = padded.number("rtindex")
        pairs = plain_equality(quals, target)
        source = {other.number("varno") for _, other, _ in pairs} if pairs else set()
        if pairs is None or any(other["varlevelsup"] != "0" for _, other, _ in pairs):
            return
        if len(source) != 1 or not source <= members(kept):
            return
        (number,) = source
        self.scope.known, self.scope.present = self.known, self.present
        if not references(self.scope, number, target, pairs):
            return
        missing = self.padded.get(number, reason)
        if missing is None:
            self.padded.pop(target, None)
        else:
            self.padded[target] = missing


#: A column of the one relation, what it equals, and the operator.
Pair: TypeAlias = tuple[int, Node, int]


def plain_equality(quals: Node, target: int) -> list[Pair] | None:
    """Read conditions that say nothing but that columns of one relation equal others; None where they say more."""
    parts = quals.nodes("args") if quals.tag == "BOOLEXPR" and quals["boolop"] == "and" else [quals]
    pairs: list[Pair] = []
    for part in parts:
        if part.tag != "OPEXPR" or len(part.nodes("args")) != 2:
            return None
        first, second = (_plain(argument) for argument in part.nodes("args"))
        if first.tag != "VAR" or second.tag != "VAR":
            return None
        if not _is_of(first, target):
            first, second = second, first
        if not _is_of(first, target) or _is_of(second, target):
            return None
        pairs.append((first.number("varattno"), second, part.number("opno")))
    return pairs


def references(scope: Scope, number: int, target: int, pairs: list[Pair], above: int = 0) -> bool:
    """Tell whether a foreign key of one relation, never NULL, sees to a row of the other that the pairs find.

    ``number`` is a relation ``above`` levels further up. A row that is being written does not count: what its key
    points to may be as new as itself.
    """
    source, named = scope.at(above), scope.relation(target)
    if named is None or not _whole(scope.entry(target), named):
        return False
    if source.query["commandType"] != "1" and source.query["resultRelation"] == str(number):
        return False
    columns = [other.number("varattno") for _, other, _ in pairs]
    origins = [origin(source, number, column) for column in columns]
    if any(each is None or each[:2] != origins[0][:2] for each in origins if origins[0] is not None):
        return False
    if origins[0] is None or not all(source.never_null(number, column) for column in columns):
        return False
    relation = scope.schema.relation(origins[0][1])
    found = [(pair[0], each[2], pair[2]) for pair, each in zip(pairs, origins, strict=True) if each is not None]
    return relation is not None and any(
        _matches(scope.schema, key, found) for key in relation.foreign_keys if key.target == named.oid
    )


def origin(scope: Scope, number: int, column: int) -> tuple[object, int, int] | None:
    """Follow a column through subqueries and CTEs to its table: what tells the entry, the table's OID, the column."""
    query, entry = scope.query, scope.entry(number)
    owner: Scope | None = scope
    while True:
        kind = entry.number("rtekind")
        if kind == RELATION:
            return (id(query), number), entry.number("relid"), column
        if kind == SUBQUERY:
            inner = entry["subquery"]
        elif kind == CTE and owner is not None:
            inner = _cte(owner.at(entry.number("ctelevelsup")).query, entry["ctename"])
        else:
            return None
        if inner is None or inner["commandType"] != "1" or inner["setOperations"] is not None or inner["rowMarks"]:
            return None
        expression = _plain(
            [each for each in inner.nodes("targetList") if not each.flag("resjunk")][column - 1]["expr"]
        )
        if expression.tag != "VAR" or expression["varlevelsup"] != "0" or expression.number("varattno") < 1:
            return None
        query, owner = inner, None
        number, column = expression.number("varno"), expression.number("varattno")
        entry = inner.nodes("rtable")[number - 1]
        if entry.number("rtekind") == GROUP:
            return None


def _cte(query: Node, name: str) -> Node | None:
    """Return the query of a CTE that reads the snapshot once."""
    found = next((each for each in query.nodes("cteList") if each["ctename"] == name), None)
    if found is None or found.flag("cterecursive"):
        return None
    inner: Node = found["ctequery"]
    return inner


def _whole(entry: Node, relation: Relation) -> bool:
    """Tell whether all rows of a table are read, those of its partitions too."""
    only = not entry.flag("inh") and relation.descendants
    return entry["tablesample"] is None and not entry["securityQuals"] and not only


def _matches(schema: Schema, key: ForeignKey, pairs: list[tuple[int, int, int]]) -> bool:
    """Tell whether pairs of target column, source column and operator are what a foreign key says."""
    wanted = {
        target: (column, operator)
        for target, column, operator in zip(key.target_columns, key.columns, key.operators, strict=True)
    }
    if len(pairs) != len(wanted) or {target for target, _, _ in pairs} != set(wanted):
        return False
    for target, source, operator in pairs:
        column, expected = wanted[target]
        if source != column or expected not in (operator, schema.commutator(operator)):
            return False
    return True


def answers_always(query: Node) -> bool:
    """Tell whether a query has a row whatever the tables hold."""
    if query["commandType"] != "1" or query["setOperations"] is not None or query["limitOffset"] is not None:
        return False
    if not at_least_one(query["limitCount"]) or query.flag("hasTargetSRFs") or query["havingQual"] is not None:
        return False
    if query["groupClause"] or query["groupingSets"]:
        return False
    tree = query["jointree"]
    return query.flag("hasAggs") or (not tree.nodes("fromlist") and tree["quals"] is None)


def at_least_one(limit: Node | None) -> bool:
    """Tell whether a limit lets one row through."""
    return limit is None or (limit.tag == "CONST" and (limit.flag("constisnull") or any(limit["constvalue"])))


def _is_true(node: Node) -> bool:
    return node.tag == "CONST" and not node.flag("constisnull") and bool(any(node["constvalue"]))


def _plain(node: Node) -> Node:
    while node.tag == "RELABELTYPE":
        node = node["arg"]
    return node


def _is_of(node: Node, target: int) -> bool:
    return node["varlevelsup"] == "0" and node.number("varno") == target


def members(node: Node) -> frozenset[int]:
    """Return the numbers of the relations below a node of the join tree, joins included."""
    return frozenset(_members(node))


def _members(node: Node) -> Iterator[int]:
    if node.tag == "RANGETBLREF":
        yield node.number("rtindex")
    elif node.tag == "FROMEXPR":
        for item in node.nodes("fromlist"):
            yield from _members(item)
    else:
        yield node.number("rtindex")
        yield from _members(node["larg"])
        yield from _members(node["rarg"])


def _of(key: Key, numbers: frozenset[int]) -> bool:
    """Tell whether a key is a column of one of these relations."""
    return key[0] == "column" and key[1] == 0 and key[2] in numbers
