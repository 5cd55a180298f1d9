"""What the tree shows of a JSON column that is built in the statement: keys, arrays, what in them can be NULL."""

from __future__ import annotations

from sqlkit.describing.description import JsonShape
from sqlkit.describing.exprtypes import expression_type
from sqlkit.describing.nullability.conditions import NONE, Keys
from sqlkit.describing.nullability.prover import Prover
from sqlkit.describing.nullability.scopes import RELATION, SUBQUERY, Scope
from sqlkit.describing.nullability.tables import UNREADABLE
from sqlkit.describing.trees import Node

__all__ = ["json_shape"]

OBJECTS = frozenset({"json_build_object", "jsonb_build_object"})
ARRAYS = frozenset({"json_agg", "jsonb_agg"})
BUILT_ARRAYS = frozenset({"json_build_array", "jsonb_build_array"})
WHOLE = frozenset({"to_json", "to_jsonb", "row_to_json"})


def json_shape(query: Node, index: int, prover: Prover) -> JsonShape | None:
    """Return the shape of a query's JSON column, None where the tree does not show it."""
    try:
        if query["commandType"] != "1" or query["setOperations"] is not None:
            return None
        entry = [each for each in query.nodes("targetList") if not each.flag("resjunk")][index]
        return _Shapes(prover).of(entry["expr"], prover.scope(query))
    except UNREADABLE:
        return None


class _Shapes:
    def __init__(self, prover: Prover) -> None:
        self._prover = prover

    def of(self, node: Node, scope: Scope, known: Keys = NONE) -> JsonShape | None:
        """Return the shape of an expression; ``known`` is what a filter knows of its rows."""
        node = scope.resolve(node)
        if node.tag in ("COALESCEEXPR", "RELABELTYPE", "COERCEVIAIO"):
            return self.of(node.nodes("args")[0] if node.tag == "COALESCEEXPR" else node["arg"], scope, known)
        if node.tag == "SUBLINK" and node["subLinkType"] == "4":
            inner = node["subselect"]
            return self.of(inner.nodes("targetList")[0]["expr"], self._prover.scope(inner, scope))
        if node.tag == "VAR":
            return self._column(node, scope)
        if node.tag == "AGGREF":
            return self._aggregate(node, scope)
        if node.tag == "FUNCEXPR":
            return self._call(node, scope, known)
        return None

    def _column(self, node: Node, scope: Scope) -> JsonShape | None:
        """Look through a subquery or a lateral join."""
        if node["varlevelsup"] != "0" or node.number("varattno") < 1:
            return None
        entry = scope.entry(node.number("varno"))
        if entry.number("rtekind") != SUBQUERY or entry["subquery"]["setOperations"] is not None:
            return None
        inner = entry["subquery"]
        column = inner.nodes("targetList")[node.number("varattno") - 1]
        return self.of(column["expr"], self._prover.scope(inner, scope))

    def _aggregate(self, node: Node, scope: Scope) -> JsonShape | None:
        function = scope.schema.function(node.number("aggfnoid"))
        if function is None or not function.builtin or function.name not in ARRAYS:
            return None
        argument = node.nodes("args")[0]["expr"]
        known = scope.conditions.if_true(node["aggfilter"])
        if node["aggfilter"] is not None and scope.query["commandType"] == "1":
            scope = self._prover.scope(_narrowed(scope.query, node["aggfilter"]), scope.outer)
        return JsonShape(
            "array",
            element=self.of(argument, scope, known),
            null_elements=not self._prover.never_null(argument, scope, known),
            element_type=expression_type(argument),
        )

    def _call(self, node: Node, scope: Scope, known: Keys) -> JsonShape | None:
        function = scope.schema.function(node.number("funcid"))
        if function is None or not function.builtin or node.get("funcvariadic") == "true":
            return None
        arguments = node.nodes("args")
        if function.name in OBJECTS:
            return self._object(arguments, scope, known)
        if function.name in BUILT_ARRAYS:
            return JsonShape(
                "array", null_elements=not all(self._prover.never_null(each, scope, known) for each in arguments)
            )
        if function.name in WHOLE:
            return self._row(scope.resolve(arguments[0]), scope)
        return None

    def _object(self, arguments: list[Node], scope: Scope, known: Keys) -> JsonShape | None:
        keys: dict[str, bool] = {}
        types: dict[str, int] = {}
        parts: dict[str, JsonShape] = {}
        for key, value in zip(arguments[::2], arguments[1::2], strict=True):
            if key.tag != "CONST" or key["consttype"] not in ("25", "705") or key["constisnull"] == "true":
                return None
            name = _text(key)
            keys[name] = not self._prover.never_null(value, scope, known)
            types[name] = expression_type(value)
            if part := self.of(value, scope, known):
                parts[name] = part
        return JsonShape("object", keys, types=types, parts=parts)

    def _row(self, node: Node, scope: Scope) -> JsonShape | None:
        if node.tag != "VAR" or node["varattno"] != "0" or node["varlevelsup"] != "0":
            return None
        number = node.number("varno")
        entry = scope.entry(number)
        names: list[tuple[int, str, int]]
        if entry.number("rtekind") == RELATION:
            relation = scope.relation(number)
            if relation is None:
                return None
            names = [(column.number, column.name, column.type) for column in relation.columns.values()]
        elif entry.number("rtekind") == SUBQUERY:
            live = [each for each in entry["subquery"].nodes("targetList") if not each.flag("resjunk")]
            names = [(column, each["resname"], expression_type(each["expr"])) for column, each in enumerate(live, 1)]
        else:
            return None
        return JsonShape(
            "object",
            {name: not self._prover.column(scope, number, column).certain for column, name, _ in names},
            types={name: type_ for _, name, type_ in names},
        )


def _narrowed(query: Node, condition: Node) -> Node:
    """Return a query with one more condition in WHERE, as the rows are that an aggregate's filter lets through.

    A filter on a column of an outer join's nullable side tells of the rows beside it, too.
    """
    both = Node("BOOLEXPR")
    both.update(boolop="and", args=[part for part in (query["jointree"]["quals"], condition) if part is not None])
    joins, narrowed = Node("FROMEXPR"), Node("QUERY")
    joins.update(query["jointree"], quals=both)
    narrowed.update(query, jointree=joins)
    return narrowed


def _text(constant: Node) -> str:
    """Return the text of a constant: a C string where its type is open, else a varlena with four bytes of length."""
    value: bytes = constant["constvalue"]
    return (value.rstrip(b"\0") if constant["consttype"] == "705" else value[4:]).decode()
