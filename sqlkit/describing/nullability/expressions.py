"""The verdict of one expression in a scope."""

# ruff: noqa: ARG002, SIM905 - each rule takes the same, and lists of names read best as text

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from sqlkit.describing.nullability.aggregates import aggregate, window
from sqlkit.describing.nullability.conditions import NONE, Keys, called, key_of
from sqlkit.describing.nullability.judging import Place, Queries
from sqlkit.describing.nullability.scopes import Scope
from sqlkit.describing.nullability.total import NEVER_NULL, NULL_BY_FIRST, PARTIAL, PARTS, TOTAL
from sqlkit.describing.nullability.verdicts import Verdict, both, nullable, proved
from sqlkit.describing.trees import Node

__all__ = ["FULL_SETS", "Expressions"]

#: What SQLVALUEFUNCTION may be NULL: current_schema, where no schema of the path is there.
CURRENT_SCHEMA = 14


Rule: TypeAlias = Callable[["Expressions", Node, Scope, Place], Verdict]


class Expressions:
    """Verdicts of expressions; queries inside them are asked of ``queries``."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    def verdict(self, node: Node, scope: Scope, place: Place) -> Verdict:
        """Return the verdict of an expression; a node that nobody knows may be NULL."""
        if (place.known or scope.tells) and node.tag != "CONST":
            key = key_of(node, scope.schema)
            if key in place.known or (place.rows and place.grouped is None and scope.knows(key)):
                return proved("a condition rules NULL out")
        rule = RULES.get(node.tag)
        if rule is None:
            return nullable(f"expression of a kind that is not known ({node.tag.lower()})")
        return rule(self, node, scope, place)

    def all_of(self, nodes: list[Node], scope: Scope, place: Place, reason: str) -> Verdict:
        """Return the verdict of what is NULL only where one of these is."""
        return both((self.verdict(node, scope, place) for node in nodes), reason)

    # Columns, parameters, constants.

    def _column(self, node: Node, scope: Scope, place: Place) -> Verdict:
        level = node.number("varlevelsup")
        if level:
            return self._outer_column(node, scope, place, level)
        number, column = node.number("varno"), node.number("varattno")
        if node.get("varreturningtype", "0") != "0" and not _as_returned(node, scope):
            return self._queries.old_column(scope, number, column) if _as_before(node, scope) else _returning(node)
        if place.grouped is not None and key_of(node, scope.schema) not in place.grouped:
            return nullable("left out of some of the grouping sets")
        resolved = scope.resolve(node)
        if resolved is not node:
            return self.verdict(resolved, scope, place)
        if scope.before and scope.query["resultRelation"] == node["varno"]:
            return self._queries.old_column(scope, number, column)
        known = ("column", 0, number, column) in scope.known
        if not known and number in scope.padded and not scope.assume_rows and not _is_there(number, place.known):
            return nullable(scope.padded[number])
        found = self._queries.column(scope, number, column)
        if found.certain or found.declared:
            return found
        if known:
            return proved(f"a condition rules NULL out{self._named(scope, number, column)}")
        if ("column", 0, number, column) in scope.present:
            return proved(f"a join's condition rules NULL out{self._named(scope, number, column)}")
        return found

    def _named(self, scope: Scope, number: int, column: int) -> str:
        relation = scope.relation(number)
        attribute = relation.columns.get(column) if relation is not None else None
        return f": column {relation.name}.{attribute.name}" if relation is not None and attribute is not None else ""

    def _outer_column(self, node: Node, scope: Scope, place: Place, level: int) -> Verdict:
        for up, inner in ((up, scope.at(up)) for up in range(level)):
            key = ("column", level - up, node.number("varno"), node.number("varattno"))
            if key in inner.known and (inner.rows if up else place.rows):
                return proved("a condition rules NULL out")
        lowered = Node(node.tag)
        lowered.update(node)
        lowered["varlevelsup"] = "0"
        outer = scope.at(level)
        if outer.query["groupingSets"]:
            return nullable("a column of a query with grouping sets")
        return self.verdict(lowered, outer, Place(rows=outer.rows))

    def _parameter(self, node: Node, scope: Scope, place: Place) -> Verdict:
        if node["paramkind"] != "0":
            return nullable("a value of a subquery")
        number = node.number("paramid")
        level: Scope | None = scope
        while level is not None:
            if ("parameter", number) in level.known and (place.rows if level is scope else level.rows):
                return proved(f"a condition rules NULL out of ${number}")
            level = level.outer
        return Verdict(frozenset((number,)), f"parameter ${number} may be NULL")

    def _constant(self, node: Node, scope: Scope, place: Place) -> Verdict:
        return nullable("NULL itself") if node.flag("constisnull") else proved("a constant")

    # Calls.

    def _call(self, node: Node, scope: Scope, place: Place) -> Verdict:
        function = scope.schema.function(called(node))
        arguments = node.nodes("args")
        if function is None:
            return nullable("a function that is not there")
        if node.get("opretset", node.get("funcretset")) == "true":
            return self.row_of(node, scope, place)
        known = function.name in SQL_TOTAL if function.language == "sql" else function.source in TOTAL
        if function.builtin and function.strict and known:
            return self.all_of(arguments, scope, place, f"{function.name} of what is not null")
        if function.builtin and function.source in PARTIAL and _text(arguments[0]) in PARTS:
            return self.verdict(arguments[1], scope, place)
        if function.builtin and node.get("funcvariadic", "false") == "false":
            if function.source in NEVER_NULL:
                return proved(f"{function.name} never answers NULL")
            if function.source in NULL_BY_FIRST:
                return self.verdict(arguments[0], scope, place)
            if function.source == "array_cat":
                return self._first_of(arguments, scope, place, "an array of the two")
        return nullable(f"function {function.name} may answer NULL")

    def row_of(self, node: Node, scope: Scope, place: Place) -> Verdict:
        """Return the verdict of what a set-returning function gives row by row."""
        function = scope.schema.function(called(node))
        if function is None or not function.builtin:
            return nullable("rows of a function may be NULL")
        if place.sets > 1:
            return nullable("the shorter of two sets is filled up with NULL")
        if function.name in FULL_SETS and function.strict:
            return proved(f"rows of {function.name}")
        if function.source == "array_unnest":
            return self._elements(node.nodes("args")[0], scope, place)
        return nullable(f"rows of {function.name} may be NULL")

    def _elements(self, array: Node, scope: Scope, place: Place) -> Verdict:
        while array.tag in ("RELABELTYPE", "ARRAYCOERCEEXPR"):
            array = array["arg"]
        if array.tag == "ARRAYEXPR" and not array.flag("multidims"):
            return self.all_of(array.nodes("elements"), scope, place, "elements that are not null")
        if array.tag == "CONST" and not array.flag("constisnull") and not any(array["constvalue"][8:12]):
            return proved("a constant array without NULL")  # its dataoffset is 0
        return nullable("an element of an array may be NULL")

    def _in_array(self, node: Node, scope: Scope, place: Place) -> Verdict:
        value, array = node.nodes("args")
        function = scope.schema.function(node.number("opfuncid")) or scope.schema.operator(node.number("opno"))
        if function is None or not function.builtin or function.source not in TOTAL:
            return nullable("an operator that may answer NULL")
        return both(
            (self.verdict(value, scope, place), self._elements(array, scope, place)), "a comparison of what is not null"
        )

    def _row_comparison(self, node: Node, scope: Scope, place: Place) -> Verdict:
        functions = [scope.schema.operator(oid) for oid in node["opnos"]]
        if not all(each is not None and each.builtin and each.source in TOTAL for each in functions):
            return nullable("an operator that may answer NULL")
        return self.all_of([*node.nodes("largs"), *node.nodes("rargs")], scope, place, "a comparison of rows")

    def _boolean(self, node: Node, scope: Scope, place: Place) -> Verdict:
        arguments = node.nodes("args")
        if node["boolop"] == "not" or len(arguments) == 1:
            return self.all_of(arguments, scope, place, "a condition over what is not null")
        verdicts, local = [], place
        for argument in arguments:
            verdicts.append(self.verdict(argument, scope, local))
            # Where the first is false (or true, for OR), the others do not matter.
            conditions = scope.conditions
            more = conditions.if_not_false(argument) if node["boolop"] == "and" else conditions.if_not_true(argument)
            local = local.within(more)
        return both(verdicts, "a condition over what is not null")

    def _never(self, node: Node, scope: Scope, place: Place) -> Verdict:
        return proved(NEVER[node.tag])

    def _wrapped(self, node: Node, scope: Scope, place: Place) -> Verdict:
        return self.verdict(node["arg"], scope, place)

    def _domain(self, node: Node, scope: Scope, place: Place) -> Verdict:
        if scope.schema.refuses_null(node.number("resulttype")):
            return proved("a domain that takes no NULL is checked here")
        return self.verdict(node["arg"], scope, place)

    # Choices.

    def _coalesce(self, node: Node, scope: Scope, place: Place) -> Verdict:
        arguments = node.nodes("args")
        if self._either_side(arguments, scope, place):
            return proved("one side of the full join is there")
        return self._first_of(arguments, scope, place, "coalesce")

    def _first_of(self, nodes: list[Node], scope: Scope, place: Place, reason: str) -> Verdict:
        best: Verdict | None = None
        last = nullable("coalesce of nothing")
        for node in nodes:
            last = self.verdict(node, scope, place)
            if last.certain:
                return proved(f"{reason} with {last.reason}") if len(nodes) > 1 else last
            if last.needs is not None and (best is None or best.needs is None or len(last.needs) < len(best.needs)):
                best = last
        return best or nullable(last.reason)

    def _either_side(self, arguments: list[Node], scope: Scope, place: Place) -> bool:
        """Tell of the merged column of ``full join ... using``, which has a value on one side at least."""
        if len(arguments) != 2 or place.grouped is not None:
            return False
        sides = [scope.resolve(argument) for argument in arguments]
        return scope.merges(sides[0], sides[1]) and all(
            self._queries.column(scope, side.number("varno"), side.number("varattno")).certain for side in sides
        )

    def _case(self, node: Node, scope: Scope, place: Place) -> Verdict:
        verdicts, local, conditions = [], place, scope.conditions
        simple = node["arg"] is not None
        for when in node.nodes("args"):
            more = NONE if simple else conditions.if_true(when["expr"])
            verdicts.append(self.verdict(when["result"], scope, local.within(more)))
            if not simple:
                local = local.within(conditions.if_not_true(when["expr"]))
        default = node["defresult"]
        if default is None or (default.tag == "CONST" and default.flag("constisnull")):
            return nullable("case without an else")
        verdicts.append(self.verdict(default, scope, local))
        return both(verdicts, "every arm of the case")

    def _greatest(self, node: Node, scope: Scope, place: Place) -> Verdict:
        return self._first_of(node.nodes("args"), scope, place, "greatest or least")

    def _never_equal(self, node: Node, scope: Scope, place: Place) -> Verdict:
        return nullable("nullif")

    # Rows, arrays, subqueries.

    def _field(self, node: Node, scope: Scope, place: Place) -> Verdict:
        row = scope.resolve(node["arg"])
        if row.tag == "ROWEXPR":
            return self.verdict(row.nodes("args")[node.number("fieldnum") - 1], scope, place)
        if row.tag == "VAR" and row["varattno"] == "0" and row["varlevelsup"] == "0" and place.grouped is None:
            column = Node("VAR")
            column.update(row)
            column["varattno"] = node["fieldnum"]
            return self.verdict(column, scope, place)
        return nullable("a field of a composite value may be NULL")

    def _subscript(self, node: Node, scope: Scope, place: Place) -> Verdict:
        if node["refassgnexpr"] is not None:
            return nullable("an element that is assigned")
        if node["reflowerindexpr"]:
            return self._slice(node, scope, place)
        return nullable("an element of an array may be NULL")

    def _slice(self, node: Node, scope: Scope, place: Place) -> Verdict:
        bounds = [each for each in [*node.nodes("refupperindexpr"), *node.nodes("reflowerindexpr")] if each is not None]
        return self.all_of([node["refexpr"], *bounds], scope, place, "a slice of an array")

    def _subquery(self, node: Node, scope: Scope, place: Place) -> Verdict:
        kind, query = node["subLinkType"], node["subselect"]
        if kind == "0":
            return proved("exists")
        if kind == "6":
            return proved("an array of a subquery")
        if kind == "4":
            return self._queries.scalar(query, scope)
        if kind in ("1", "2") and node["testexpr"] is not None:
            return self._compared(node, query, scope, place)
        return nullable("a subquery may be NULL")

    def _compared(self, node: Node, query: Node, scope: Scope, place: Place) -> Verdict:
        """Return the verdict of ``x = any (select ...)``: NULL where x or a row of the subquery is."""
        test = node["testexpr"]
        if test.tag != "OPEXPR":
            return nullable("a comparison with the rows of a subquery")
        function = scope.schema.function(test.number("opfuncid")) or scope.schema.operator(test.number("opno"))
        if function is None or not function.builtin or function.source not in TOTAL:
            return nullable("an operator that may answer NULL")
        sides = [argument for argument in test.nodes("args") if not _of_subquery(argument)]
        verdicts = [*(self.verdict(side, scope, place) for side in sides), *self._queries.values(query, scope)]
        return both(verdicts, "a comparison of what is not null")

    # What the session and JSON give.

    def _value_function(self, node: Node, scope: Scope, place: Place) -> Verdict:
        if node.number("op") >= CURRENT_SCHEMA:
            return nullable("current_schema")
        return proved("a value of the session")

    def _json(self, node: Node, scope: Scope, place: Place) -> Verdict:
        if node["func"] is not None:
            return self.verdict(node["func"], scope, place)
        if node.get("type") in ("1", "2"):  # JSON_OBJECT, JSON_ARRAY
            return proved("a JSON value that is built here")
        return nullable("a JSON constructor may answer NULL")


#: Strict functions that PostgreSQL ships written in SQL, which are NULL only where an argument is.
SQL_TOTAL = frozenset(
    "age bit_length integer_pl_date int8pl_inet interval_pl_date interval_pl_time interval_pl_timestamp "
    "interval_pl_timestamptz interval_pl_timetz log lpad round rpad textanycat timedate_pl timetzdate_pl trunc "
    "anytextcat".split()
)

#: Strict set-returning functions, no row of which is NULL (those of several columns are told by ``prover``).
FULL_SETS = frozenset(
    "generate_series generate_subscripts json_array_elements jsonb_array_elements json_object_keys jsonb_object_keys "
    "jsonb_path_query jsonb_path_query_tz regexp_split_to_table regexp_matches".split()
)

#: Expressions that are never NULL, and what they are called in a reason.
NEVER = {
    "NULLTEST": "is null or is not null",
    "BOOLEANTEST": "is true, is false or is unknown",
    "DISTINCTEXPR": "is distinct from",
    "ARRAYEXPR": "an array that is built here",
    "ROWEXPR": "a row that is built here",
    "GROUPINGFUNC": "grouping",
    "NEXTVALUEEXPR": "the next value of a sequence",
    "MERGESUPPORTFUNC": "merge_action",
}

RULES: dict[str, Rule] = {
    "VAR": Expressions._column,
    "PARAM": Expressions._parameter,
    "CONST": Expressions._constant,
    "OPEXPR": Expressions._call,
    "FUNCEXPR": Expressions._call,
    "SCALARARRAYOPEXPR": Expressions._in_array,
    "ROWCOMPAREEXPR": Expressions._row_comparison,
    "BOOLEXPR": Expressions._boolean,
    "RELABELTYPE": Expressions._wrapped,
    "COERCEVIAIO": Expressions._wrapped,
    "COLLATEEXPR": Expressions._wrapped,
    "ARRAYCOERCEEXPR": Expressions._wrapped,
    "CONVERTROWTYPEEXPR": Expressions._wrapped,
    "NAMEDARGEXPR": Expressions._wrapped,
    "COERCETODOMAIN": Expressions._domain,
    "COALESCEEXPR": Expressions._coalesce,
    "CASEEXPR": Expressions._case,
    "MINMAXEXPR": Expressions._greatest,
    "NULLIFEXPR": Expressions._never_equal,
    "FIELDSELECT": Expressions._field,
    "SUBSCRIPTINGREF": Expressions._subscript,
    "SUBLINK": Expressions._subquery,
    "AGGREF": aggregate,
    "WINDOWFUNC": window,
    "SQLVALUEFUNCTION": Expressions._value_function,
    "JSONCONSTRUCTOREXPR": Expressions._json,
    **dict.fromkeys(NEVER, Expressions._never),
}


def _text(node: Node) -> str:
    """Return a constant text, in lower case; nothing for what is none."""
    if node.tag != "CONST" or node.flag("constisnull") or node["consttype"] != "25":
        return ""
    return str(node["constvalue"][4:].decode(errors="replace").lower())  # behind four bytes of length


def _is_there(number: int, known: Keys) -> bool:
    """Tell whether a relation's row must be there because a column of it is not NULL."""
    return any(key[0] == "column" and key[1] == 0 and key[2] == number for key in known)


def _as_returned(node: Node, scope: Scope) -> bool:
    """Tell whether ``old`` or ``new`` is what RETURNING gives back anyway."""
    return (node["varreturningtype"], scope.query["commandType"]) in {("2", "2"), ("2", "3"), ("1", "4")}


def _as_before(node: Node, scope: Scope) -> bool:
    """Tell whether it is the old row of an update, which there always is."""
    return (node["varreturningtype"], scope.query["commandType"]) == ("1", "2")


def _returning(node: Node) -> Verdict:
    return nullable("old row of what may be new" if node["varreturningtype"] == "1" else "new row of what may be gone")


def _of_subquery(node: Node) -> bool:
    while node.tag in ("RELABELTYPE", "COERCEVIAIO", "FUNCEXPR", "COLLATEEXPR", "ARRAYCOERCEEXPR"):
        inner = node.get("arg") or (node.get("args") or [None])[0]
        if inner is None:
            return False
        node = inner
    return node.tag == "PARAM" and bool(node["paramkind"] == "2")
