"""The verdicts of a query's columns: select, set operations, CTEs, what RETURNING gives back."""

from __future__ import annotations

from dataclasses import replace

from sqlkit.describing.nullability.conditions import NONE, Conditions, Keys
from sqlkit.describing.nullability.expressions import FULL_SETS, Expressions
from sqlkit.describing.nullability.grouping import (
    has_empty_set,
    in_all_sets,
    live,
    needs_rows,
    plain_select,
    returns_set,
    set_count,
)
from sqlkit.describing.nullability.judging import Place
from sqlkit.describing.nullability.scopes import (
    CTE,
    FUNCTION,
    GROUP,
    RELATION,
    SUBQUERY,
    VALUES,
    Locate,
    Scope,
    answers_always,
    plain_equality,
    read_from,
    references,
)
from sqlkit.describing.nullability.tables import UNREADABLE, stored
from sqlkit.describing.nullability.verdicts import Verdict, both, nullable, proved
from sqlkit.describing.nullability.written import Written
from sqlkit.describing.schema import ON_INSERT, ON_UPDATE, Relation, Schema
from sqlkit.describing.trees import Node, walk

__all__ = ["Prover"]

SELECT, UPDATE, INSERT, DELETE, MERGE = "1", "2", "3", "4", "5"
UNION, INTERSECT, EXCEPT = "1", "2", "3"

#: Set-returning functions of several columns, and which of those are never NULL.
FULL_COLUMNS = {
    "json_each": (1, 2),
    "jsonb_each": (1, 2),
    "json_each_text": (1,),
    "jsonb_each_text": (1,),
}


class Prover:
    """Says of each column of a query whether it can be NULL.

    ``locate`` says where a join stands in the text, ``views`` is kept from one prover of a schema to the next. With
    ``assume_rows`` the row of an outer join's nullable side is taken to be there: what can be NULL even so.
    """

    def __init__(
        self,
        schema: Schema,
        locate: Locate | None = None,
        *,
        assume_rows: bool = False,
        views: dict[tuple[int, bool, bool], list[Verdict]] | None = None,
    ) -> None:
        self._schema = schema
        self._locate = locate or (lambda _: "")
        self._assume_rows = assume_rows
        self._expressions = Expressions(self)
        self._ctes: dict[tuple[int, int], list[Verdict]] = {}
        self._views = {} if views is None else views
        self._subqueries: dict[tuple[int, int], list[Verdict]] = {}
        self._assumed: dict[int, set[int]] = {}
        self._kept: list[object] = []

    def columns(self, query: Node) -> list[Verdict]:
        """Return the verdict of each column of a statement's tree, in order."""
        try:
            return self.values(query, None)
        except UNREADABLE:
            return []

    def scope(self, query: Node, outer: Scope | None = None, *, filtered: bool = True, settled: bool = True) -> Scope:
        """Return the scope of a query with its FROM clause read."""
        settled = settled and (outer is None or outer.settled)
        settled = settled and query["commandType"] in (SELECT, INSERT) and not query["rowMarks"]
        scope = Scope(
            query,
            self._schema,
            outer,
            self._locate,
            settled,
            filtered and query["commandType"] != MERGE,
            assume_rows=self._assume_rows,
        )
        scope.rows = needs_rows(query)
        scope.judge = self._judged
        self._kept.append(scope)  # what is remembered by identity must not be reused
        if query["jointree"] is not None:
            read_from(scope)
        return scope

    def _judged(self, scope: Scope, number: int, column: int) -> bool:
        return self.column(scope, number, column).certain

    def values(self, query: Node, outer: Scope | None, *, filtered: bool = True, settled: bool = True) -> list[Verdict]:
        """Return the verdicts of a query's columns; see ``Scope`` for what a view is told."""
        if query["commandType"] == SELECT:
            if query["setOperations"] is not None:
                scope = self.scope(query, outer, filtered=filtered, settled=settled)
                return self._set_operation(query, query["setOperations"], scope)
            return self._selected(query, self.scope(query, outer, filtered=filtered, settled=settled))
        return self._returned(query, self.scope(query, outer))

    def scalar(self, query: Node, scope: Scope) -> Verdict:
        """Return the verdict of a query that stands for one value: NULL where it has no row."""
        inner = self.scope(query, scope)
        if not answers_always(query) and not self._found_by_key(query, inner):
            return nullable("a scalar subquery without a row")
        return self.values(query, scope)[0]

    def never_null(self, expression: Node, scope: Scope, known: Keys = NONE) -> bool:
        """Tell whether an expression in a query's scope is never NULL; ``known`` is what else is known not to be."""
        return self._guarded(expression, scope, Place(known, rows=scope.rows)).certain

    # Select.

    def _selected(self, query: Node, scope: Scope) -> list[Verdict]:
        place = self._place(query, scope)
        return [self._guarded(entry["expr"], scope, place) for entry in live(query["targetList"])]

    def _guarded(self, expression: Node, scope: Scope, place: Place) -> Verdict:
        try:
            return self._expressions.verdict(expression, scope, place)
        except UNREADABLE:
            return nullable("a tree that cannot be read")

    def _place(self, query: Node, scope: Scope) -> Place:
        """Return where the select list of a query stands."""
        having = Conditions(self._schema, scope.resolve).if_true(query["havingQual"])
        grouping = query["groupingSets"]
        return Place(
            known=having,
            grouped=in_all_sets(query, scope) if grouping else None,
            filled=bool(query["groupClause"]) and not (grouping and has_empty_set(query)),
            rows=scope.rows,
            sets=set_count(query) if query.flag("hasTargetSRFs") else 0,
        )

    def _set_operation(self, query: Node, node: Node, scope: Scope) -> list[Verdict]:
        if node.tag == "RANGETBLREF":
            return self.values(scope.entry(node.number("rtindex"))["subquery"], scope)
        left = self._set_operation(query, node["larg"], scope)
        if node["op"] == EXCEPT:
            return left
        right = self._set_operation(query, node["rarg"], scope)
        if node["op"] == INTERSECT:  # a row of both
            return [one if one.certain else other for one, other in zip(left, right, strict=True)]
        if node["op"] == UNION:
            return [both(pair, "both arms of the union") for pair in zip(left, right, strict=True)]
        return [nullable("a set operation that is not known") for _ in left]

    def _found_by_key(self, query: Node, scope: Scope) -> bool:
        """Tell whether a scalar subquery looks up, by a foreign key that is never NULL, a row that must be there."""
        tree = query["jointree"]
        if query["setOperations"] is not None or not plain_select(query) or scope.outer is None:
            return False
        items, quals = tree.nodes("fromlist"), tree["quals"]
        if len(items) != 1 or items[0].tag != "RANGETBLREF" or quals is None or not scope.settled:
            return False
        target = items[0].number("rtindex")
        pairs = plain_equality(quals, target)
        if not pairs or any(other["varlevelsup"] != "1" for _, other, _ in pairs):
            return False
        numbers = {other.number("varno") for _, other, _ in pairs}
        if len(numbers) != 1:
            return False
        (number,) = numbers
        outer = scope.outer
        if number in outer.padded and not outer.assume_rows:
            return False
        return outer.rows and references(scope, number, target, pairs, above=1)

    # Relations.

    def column(self, scope: Scope, number: int, column: int) -> Verdict:
        """Return the verdict of a relation's column while its row is there."""
        entry = scope.entry(number)
        kind = entry.number("rtekind")
        if column == 0:
            return proved("a whole row")
        if kind == RELATION:
            if scope.query["commandType"] != SELECT:
                if scope.query["resultRelation"] == str(number):
                    return self._written(scope, number, column)
                conflict = scope.query["onConflict"]
                if conflict is not None and conflict["exclRelIndex"] == str(number):
                    return self._excluded(scope, entry, column)
            return self._stored(entry, column, scope)
        if kind == SUBQUERY:
            return self._of_subquery(entry["subquery"], scope)[column - 1]
        if kind == CTE:
            return self._of_cte(entry, scope, column)
        if kind == VALUES:
            rows = [row[column - 1] for row in entry["values_lists"]]
            return both((self._expressions.verdict(each, scope, Place()) for each in rows), "each row of the values")
        if kind == FUNCTION:
            return self._of_function(entry, scope, column)
        if kind == GROUP:  # one that stands in each grouping set, for the others have been refused
            return self._expressions.verdict(entry.nodes("groupexprs")[column - 1], scope, Place(rows=scope.rows))
        return nullable("a relation of a kind that is not known")

    def _stored(self, entry: Node, column: int, scope: Scope, *, filtered: bool = True) -> Verdict:
        relation = self._schema.relation(entry.number("relid"))
        if relation is None:
            return nullable("a relation that is not there")
        if relation.kind == "v":
            return self._viewed(relation, column, filtered and scope.filtered, filtered and scope.settled)
        if relation.kind not in ("r", "p"):
            kind = {"f": "foreign table", "m": "materialized view"}.get(relation.kind, "relation")
            return nullable(
                f"column of the {kind} {relation.name}, which proves nothing", declared=relation.kind == "f"
            )
        attribute = relation.columns.get(column)
        if attribute is not None and attribute.own_not_null and not entry.flag("inh"):
            return proved(f"column {relation.name}.{attribute.name}")
        found = stored(self._schema, relation, column)
        if found.certain or relation.foreign:
            return found if found.certain else replace(found, declared=True)
        return self._generated(relation, column, scope) or found

    def _generated(self, relation: Relation, column: int, scope: Scope) -> Verdict | None:
        """Return the verdict of a generated column whose expression is of columns that are never NULL."""
        attribute = relation.columns.get(column)
        if attribute is None or not attribute.generated or attribute.default is None or relation.descendants:
            return None
        tree = attribute.default
        columns = {node.number("varattno") for node in walk(tree) if node.tag == "VAR"}
        if not all(stored(self._schema, relation, each).certain for each in columns):
            return None
        known = frozenset(("column", 0, 1, each) for each in columns)
        found = self._expressions.verdict(tree, scope, Place(known=known))
        return proved(f"column {relation.name}.{attribute.name}, generated") if found.certain else None

    def _viewed(self, relation: Relation, column: int, filtered: bool, settled: bool) -> Verdict:
        if relation.view is None:
            return nullable(f"view {relation.name} cannot be read")
        key = (relation.oid, filtered, settled)
        if key not in self._views:
            self._views[key] = []  # a view that is being read is not proved by itself
            self._views[key] = self.values(relation.view, None, filtered=filtered, settled=settled)
        found = self._views[key]
        if not 0 < column <= len(found):
            return nullable(f"view {relation.name}")
        verdict = found[column - 1]
        return verdict if verdict.certain else replace(verdict, reason=f"view {relation.name}: {verdict.reason}")

    def _of_subquery(self, query: Node, scope: Scope) -> list[Verdict]:
        key = (id(query), id(scope))
        if key not in self._subqueries:
            self._subqueries[key] = self.values(query, scope)
        return self._subqueries[key]

    def _of_function(self, entry: Node, scope: Scope, column: int) -> Verdict:
        functions = entry.nodes("functions")
        width = sum(function.number("funccolcount") for function in functions)
        if column == width + 1 and entry.flag("funcordinality"):
            return proved("ordinality")
        if len(functions) != 1:
            return nullable("the shorter of two sets is filled up with NULL")
        call = functions[0]["funcexpr"]
        if not returns_set(call):
            if width != 1 or functions[0]["funccolnames"]:
                return nullable("a column of a function's row may be NULL")
            return self._expressions.verdict(call, scope, Place())
        function = self._schema.function(call.number("funcid")) if "funcid" in call else None
        if function is None or not function.builtin:
            return nullable("rows of a function may be NULL")
        if column in FULL_COLUMNS.get(function.name, ()) and function.strict:
            return proved(f"rows of {function.name}")
        if width != 1 and function.name not in FULL_SETS:
            return nullable(f"rows of {function.name} may be NULL")
        return self._expressions.row_of(call, scope, Place())

    # CTEs.

    def _of_cte(self, entry: Node, scope: Scope, column: int) -> Verdict:
        owner = scope.at(entry.number("ctelevelsup"))
        cte = next(each for each in owner.query.nodes("cteList") if each["ctename"] == entry["ctename"])
        query = cte["ctequery"]
        if id(query) in self._assumed:
            if column in self._assumed[id(query)]:
                return proved("the recursion itself")
            return nullable("the recursion gives NULL in its turn")
        found = self._cte_columns(cte, query, owner)
        if not 0 < column <= len(found):
            return nullable("a column of the recursion's order or cycle")
        return found[column - 1]

    def _cte_columns(self, cte: Node, query: Node, owner: Scope) -> list[Verdict]:
        key = (id(query), id(owner))
        if key in self._ctes:
            return self._ctes[key]
        judge = self._by_induction if cte.flag("cterecursive") else self.values
        self._ctes[key] = judge(query, owner)
        return self._ctes[key]

    def _by_induction(self, query: Node, owner: Scope) -> list[Verdict]:
        """Judge a recursive query: what no arm makes NULL when the rows before have none stays so."""
        assumed = set(range(1, len(live(query["targetList"])) + 1))
        try:
            while True:
                self._assumed[id(query)] = assumed
                self._subqueries.clear()
                found = self.values(query, owner)
                left = {number for number in assumed if found[number - 1].certain}
                if left == assumed:
                    return found
                assumed = left
        finally:
            del self._assumed[id(query)]
            self._subqueries.clear()

    # What RETURNING gives back.

    def _returned(self, query: Node, scope: Scope) -> list[Verdict]:
        if query["commandType"] == MERGE:
            self._pad_merge(query, scope)
        if query["commandType"] != SELECT:
            scope.known_before = scope.known
            scope.known = self._unwritten(query, scope)
        return [self._guarded(entry["expr"], scope, Place()) for entry in live(query["returningList"])]

    def _pad_merge(self, query: Node, scope: Scope) -> None:
        """Without ``when not matched by source`` a source row is behind each row."""
        actions = query.nodes("mergeActionList")
        if all(action.get("matchKind") in ("0", "2") for action in actions):
            return
        result = query.number("mergeTargetRelation") if "mergeTargetRelation" in query else 0
        for number in range(1, len(query.nodes("rtable")) + 1):
            if number not in (result, query.number("resultRelation")):
                scope.padded.setdefault(number, "not matched by source")

    def _unwritten(self, query: Node, scope: Scope) -> Keys:
        """Return what WHERE still knows once the row is written."""
        result = query.number("resultRelation")
        relation = scope.relation(result)
        if relation is None or relation.instead or relation.rules or relation.foreign:
            return NONE
        if query["commandType"] == UPDATE and relation.before & (ON_UPDATE | ON_INSERT):
            return frozenset(key for key in scope.known if key[0] == "column" and key[2] != result)
        assigned = {entry.number("resno") for entry in query.nodes("targetList")}
        assigned |= {each.number for each in relation.columns.values() if each.generated}
        return frozenset(
            key
            for key in scope.known
            if key[0] == "parameter" or (key[0] == "column" and (key[2] != result or key[3] not in assigned))
        )

    def old_column(self, scope: Scope, number: int, column: int) -> Verdict:
        """Return the verdict of a column of the row as it was before it was written."""
        if column == 0:
            return proved("a whole row")
        found = self._stored(scope.entry(number), column, scope)
        if not found.certain and not found.declared and ("column", 0, number, column) in scope.known_before:
            return proved(f"a condition rules NULL out of the old row: {found.reason}")
        return found

    def _excluded(self, scope: Scope, entry: Node, column: int) -> Verdict:
        """Return the verdict of a column of the row that met a conflict."""
        relation = self._schema.relation(entry.number("relid"))
        if relation is None or relation.kind not in ("r", "p"):
            return nullable("the row that met a conflict")
        held = stored(self._schema, relation, column)
        return held if held.certain else Written(scope, relation, self._expressions).proposed(column, held)

    def _written(self, scope: Scope, number: int, column: int) -> Verdict:
        relation = scope.relation(number)
        if relation is None:
            return nullable("a relation that is not there")
        if relation.kind == "v":
            if relation.instead or relation.rules:
                return nullable(f"view {relation.name} is written by a trigger or rule")
            return self._stored(scope.entry(number), column, scope, filtered=False)
        if relation.rules:
            return nullable(f"rules on {relation.name}")
        if relation.kind not in ("r", "p"):
            return nullable(f"column of the foreign table {relation.name}, which proves nothing")
        held = stored(self._schema, relation, column)
        if held.certain:
            return held
        return Written(scope, relation, self._expressions).column(column, held)
