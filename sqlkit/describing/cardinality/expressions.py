"""Expressions of an analysed query: what a variable stands for, what is equal, what changes from row to row."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlkit.describing.schema import Schema
from sqlkit.describing.trees import Node, walk

__all__ = ["Column", "Level", "conjuncts", "is_known", "is_number", "references", "same"]

#: Nodes whose value hangs on nothing but what stands in them, and where that is. Functions and operators are asked for
#: their volatility.
PLAIN = {
    "CONST": "constvalue",
    "RELABELTYPE": "arg",
    "COERCEVIAIO": "arg",
    "ARRAYCOERCEEXPR": "arg",
    "COERCETODOMAIN": "arg",
    "CONVERTROWTYPEEXPR": "arg",
    "COLLATEEXPR": "arg",
    "NAMEDARGEXPR": "arg",
    "FIELDSELECT": "arg",
    "NULLTEST": "arg",
    "BOOLEANTEST": "arg",
    "BOOLEXPR": "args",
    "COALESCEEXPR": "args",
    "MINMAXEXPR": "args",
    "ROWEXPR": "args",
    "CASEEXPR": "args",
    "CASEWHEN": "result",
    "CASETESTEXPR": "typeId",
    "ARRAYEXPR": "elements",
    "SUBSCRIPTINGREF": "refexpr",
    "SQLVALUEFUNCTION": "op",
}

#: The other nodes of a query, and what they must have, lest something that changes from row to row hide in what is
#: missing or unknown.
PARTS = {
    "QUERY": ("jointree", "targetList", "rtable", "cteList", "havingQual"),
    "FROMEXPR": ("fromlist", "quals"),
    "JOINEXPR": ("larg", "rarg", "quals"),
    "RANGETBLENTRY": ("rtekind",),
    "RANGETBLFUNCTION": ("funcexpr",),
    "COMMONTABLEEXPR": ("ctequery",),
    "TARGETENTRY": ("expr",),
    "AGGREF": ("args", "aggfilter"),
    "WINDOWFUNC": ("args", "aggfilter"),
    "SUBLINK": ("subselect", "testexpr"),
    "VAR": ("varlevelsup",),
    "PARAM": ("paramkind",),
    **dict.fromkeys(("ALIAS", "GROUPINGSET", "RANGETBLREF", "RTEPERMISSIONINFO"), ()),
    **dict.fromkeys(("SETOPERATIONSTMT", "SORTGROUPCLAUSE", "WINDOWCLAUSE"), ()),
}

CALLS = {
    "FUNCEXPR": "funcid",
    "OPEXPR": "opfuncid",
    "NULLIFEXPR": "opfuncid",
    "DISTINCTEXPR": "opfuncid",
    "SCALARARRAYOPEXPR": "opfuncid",
}

#: Fields that say where something was written, or what the planner thinks of it, and nothing of its value.
UNTOLD = frozenset({"varno", "varnullingrels", "varnosyn", "varattnosyn", "location", "opfuncid", "relabelformat"})


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an entry of the range table, counted from 1; 0 is the whole row."""

    entry: int
    number: int


class Level:
    """A query with those around it, innermost last: what its variables stand for."""

    __slots__ = ("above", "query", "schema", "table")

    def __init__(self, query: Node, above: tuple[Level, ...], schema: Schema) -> None:
        self.query = query
        self.above = above
        self.schema = schema
        self.table = query.nodes("rtable")

    def entry(self, index: int) -> Node:
        """Return an entry of the range table, which counts from 1."""
        if index < 1:
            raise IndexError(index)
        return self.table[index - 1]

    def resolve(self, expression: Any) -> Column | Node:
        """See through casts that change nothing, aliases of joins and groups: a column of a relation, else a node."""
        while True:
            if expression.tag == "RELABELTYPE":
                expression = expression["arg"]
                continue
            if expression.tag != "VAR" or expression.number("varlevelsup"):
                return expression  # type: ignore[no-any-return]
            index, number = expression.number("varno"), expression.number("varattno")
            entry = self.entry(index)
            kind = entry["rtekind"]
            if kind not in ("2", "9") or number < 1:
                return Column(index, number)
            expression = entry.nodes("joinaliasvars" if kind == "2" else "groupexprs")[number - 1]

    def fixed(self, expression: Node, known: Mapping[int, object]) -> bool:
        """Tell whether an expression has one value for all rows, given the entries that have one row."""
        found = self.resolve(expression)
        if isinstance(found, Column):
            return found.entry in known
        return all(self._is_fixed(node, known) for node in _outside_subqueries(found))

    def steady(self, expression: Node) -> bool:
        """Tell whether an expression has one value for one row, however often it is evaluated."""
        return all(node.tag == "VAR" or self._is_steady(node) for node in _outside_subqueries(expression))

    def _is_fixed(self, node: Node, known: Mapping[int, object]) -> bool:
        if node.tag == "VAR":
            return bool(node.number("varlevelsup")) or self.fixed(node, known)
        if node.tag == "PARAM":
            return bool(node["paramkind"] == "0")  # given from outside
        if node.tag == "SUBLINK":
            return node["subLinkType"] in ("0", "4", "6") and self.is_constant(node["subselect"])
        return self._is_steady(node)

    def _is_steady(self, node: Node) -> bool:
        """Tell whether a node gives one value for the same arguments, throughout a statement."""
        if node.tag in CALLS:
            returns_set = node.tag == "FUNCEXPR" and node.flag("funcretset")
            return not returns_set and self._volatility(node) in ("i", "s")
        return node.tag in PLAIN and PLAIN[node.tag] in node

    def _volatility(self, call: Node) -> str:
        if "args" not in call:
            return "v"
        oid = call.number(CALLS[call.tag])
        function = self.schema.function(oid) if oid else self.schema.operator(call.number("opno"))
        return function.volatility if function is not None else "v"

    def is_constant(self, query: Node) -> bool:
        """Tell whether a subquery is evaluated once: it refers to nothing around it and calls nothing volatile."""
        if query["commandType"] != "1" or not is_known(query) or list(references(query)):
            return False
        return all(self._volatility(node) in ("i", "s") for node in walk(query) if node.tag in CALLS)


def _outside_subqueries(expression: Node) -> Iterator[Node]:
    """Yield the nodes of an expression, of a subquery the SUBLINK alone."""
    waiting: list[Any] = [expression]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Node):
            yield value
            waiting.extend(value.values() if value.tag != "SUBLINK" else [value["testexpr"]])
        elif isinstance(value, list):
            waiting.extend(value)


def is_known(query: Node) -> bool:
    """Tell whether a query is made of nodes that are all known here, each with its parts."""
    return all(
        node.tag in CALLS
        or (node.tag in PLAIN and PLAIN[node.tag] in node)
        or (node.tag in PARTS and all(part in node for part in PARTS[node.tag]))
        for node in walk(query)
    )


def references(query: Node) -> Iterator[tuple[int, Node]]:
    """Yield the variables of a query, and of all inside it, that belong outside: how far out, and the variable."""
    waiting: list[tuple[Any, int]] = [(query, -1)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, Node):
            depth += value.tag == "QUERY"
            if value.tag == "VAR" and value.number("varlevelsup") > depth:
                yield value.number("varlevelsup") - depth, value
            elif value.tag in ("AGGREF", "GROUPINGFUNC") and int(value.get("agglevelsup", "0")) > depth:
                raise KeyError("an aggregate of a query outside")
            waiting.extend((part, depth) for part in value.values())
        elif isinstance(value, list):
            waiting.extend((part, depth) for part in value)


def conjuncts(condition: Node | None) -> Iterator[Node]:
    """Yield the conditions that must all be true."""
    if condition is None:
        return
    if condition.tag == "BOOLEXPR" and condition["boolop"] == "and":
        for part in condition.nodes("args"):
            yield from conjuncts(part)
    else:
        yield condition


def same(written: Any, expression: Any, level: Level, entry: int | None = None) -> bool:
    """Tell whether two expressions of a query are one, word for word.

    With an ``entry`` the first is an index's, whose variables are the columns of that entry.
    """
    if isinstance(written, Node):
        if not isinstance(expression, Node) or written.tag != expression.tag:
            return False
        if written.tag == "VAR":
            return _same_variable(written, expression, level, entry)
        told = (written.keys() | expression.keys()) - UNTOLD
        return all(same(written.get(name), expression.get(name), level, entry) for name in told)
    if isinstance(written, list):
        pairs = isinstance(expression, list) and len(written) == len(expression)
        return pairs and all(same(one, other, level, entry) for one, other in zip(written, expression, strict=True))
    return bool(written == expression)


def _same_variable(written: Node, expression: Node, level: Level, entry: int | None) -> bool:
    found = level.resolve(expression)
    if not isinstance(found, Column) or written["vartype"] != expression["vartype"]:
        return False
    return found == (level.resolve(written) if entry is None else Column(entry, written.number("varattno")))


def is_number(expression: Node | None, numbers: tuple[int, ...]) -> bool:
    """Tell whether an expression is one of some whole numbers, written out."""
    while expression is not None and expression.tag == "FUNCEXPR" and expression["funcid"] == "481":  # int8(int4)
        expression = expression.nodes("args")[0]
    if expression is None or expression.tag != "CONST" or expression["constisnull"] == "true":
        return False
    if expression["consttype"] not in ("20", "21", "23") or not isinstance(expression["constvalue"], bytes):
        return False
    return int.from_bytes(expression["constvalue"], sys.byteorder, signed=True) in numbers
