"""What a condition rules out: which values cannot be NULL where it is true, where it is false, where it has a value.

Values are told by keys: a column of a relation, a parameter, or a whole expression that says the same thing each time.
"""

# ruff: noqa: SIM905 - a list of names reads best as text

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from sqlkit.describing.nullability.total import TOTAL
from sqlkit.describing.schema import Schema
from sqlkit.describing.trees import Node, walk

__all__ = ["Conditions", "Key", "Keys", "called", "key_of"]

Key: TypeAlias = tuple[Any, ...]
Keys: TypeAlias = frozenset[Key]

NONE: Keys = frozenset()

#: Wrappers that are NULL exactly where what they wrap is.
WRAPPERS = {"RELABELTYPE", "COERCEVIAIO", "COLLATEEXPR", "COERCETODOMAIN", "ARRAYCOERCEEXPR", "CONVERTROWTYPEEXPR"}

#: Tests that are true or false and never NULL.
TESTS = {"NULLTEST", "BOOLEANTEST", "DISTINCTEXPR"}

#: What has another value, or may have, each time it is asked.
UNSTEADY = {"SUBLINK", "SETTODEFAULT", "NEXTVALUEEXPR", "CASETESTEXPR", "CURRENTOFEXPR"}


#: Fields that differ between two places where the same thing stands.
UNSPELLED = frozenset(
    "location varnullingrels varnosyn varattnosyn funcformat relabelformat coerceformat aggno aggtransno "
    "row_format list_start list_end".split()
)


def called(node: Node) -> int:
    """Return the OID of the function that a node calls, 0 where it calls none."""
    for field in ("opfuncid", "funcid", "aggfnoid", "winfnoid"):
        if field in node:
            return node.number(field)
    return 0


def key_of(node: Node, schema: Schema) -> Key | None:
    """Return what tells a value from others; None for one that may change from one asking to the next."""
    if node.tag == "VAR":
        if node.get("varreturningtype", "0") != "0":
            return ("returning", node["varreturningtype"], node.number("varno"), node.number("varattno"))
        return ("column", node.number("varlevelsup"), node.number("varno"), node.number("varattno"))
    if node.tag == "PARAM":
        return ("parameter", node.number("paramid")) if node["paramkind"] == "0" else None
    for inner in walk(node):
        if inner.tag in UNSTEADY:
            return None
        oid = called(inner)
        if oid:
            function = schema.function(oid)
            if function is None or function.volatility == "v" or function.returns_set:
                return None
    return ("expression", spelled(node))


def spelled(value: Any) -> str:
    """Spell a tree without what differs between two places where the same thing stands."""
    if isinstance(value, Node):
        fields = " ".join(f"{name}={spelled(inner)}" for name, inner in value.items() if name not in UNSPELLED)
        return f"{{{value.tag} {fields}}}"
    if isinstance(value, list):
        return f"({' '.join(map(spelled, value))})"
    return repr(value)


class Conditions:
    """Reads conditions of one query; ``resolve`` turns a column of a join or a group into what it stands for."""

    def __init__(self, schema: Schema, resolve: Callable[[Node], Node]) -> None:
        self._schema = schema
        self._resolve = resolve

    def strict(self, node: Node) -> bool:
        """Tell whether a call is NULL as soon as one argument is, and is one value."""
        oid = called(node)
        function = self._schema.function(oid) if oid else None
        return function is not None and function.strict and not function.returns_set

    def if_true(self, node: Node | None) -> Keys:
        """Return what is not NULL where a condition is true."""
        if node is None:
            return NONE
        tag = node.tag
        if tag == "BOOLEXPR":
            return self._boolean_true(node)
        if tag == "NULLTEST":
            if node["nulltesttype"] == "1" and not node.flag("argisrow"):
                return self.if_present(node["arg"])
            return NONE
        if tag == "BOOLEANTEST":
            return self._boolean_test(node)
        if tag == "SCALARARRAYOPEXPR":
            return self._array_true(node)
        if tag == "DISTINCTEXPR":
            return self._distinct(node)
        if tag == "SUBLINK":
            return self._sublink_true(node)
        if tag == "COALESCEEXPR":
            return self._coalesce_true(node)
        if tag == "ROWCOMPAREEXPR":
            return self._first_pair(node)
        return self.if_present(node)

    def if_false(self, node: Node) -> Keys:
        """Return what is not NULL where a condition is false."""
        tag = node.tag
        if tag == "BOOLEXPR":
            arguments = node.nodes("args")
            if node["boolop"] == "not":
                return self.if_true(arguments[0])
            parts = [self.if_false(argument) for argument in arguments]
            return _union(parts) if node["boolop"] == "or" else _common(parts)
        if tag == "NULLTEST":
            if node["nulltesttype"] == "0" and not node.flag("argisrow"):
                return self.if_present(node["arg"])
            return NONE
        if tag == "BOOLEANTEST":
            kind = node["booltesttype"]
            if kind == "4":  # is unknown, false: it has a value
                return self.if_present(node["arg"])
            if kind == "1":
                return self.if_true(node["arg"])
            return self.if_false(node["arg"]) if kind == "3" else NONE
        if tag == "DISTINCTEXPR":  # the same as the other, which has a value
            return self._same(node)
        if tag == "ROWCOMPAREEXPR":
            return self._first_pair(node)
        if tag in ("SCALARARRAYOPEXPR", "SUBLINK", "COALESCEEXPR"):
            return NONE
        return self.if_present(node)

    def if_not_false(self, node: Node) -> Keys:
        """Return what is not NULL where a condition is true or NULL, as a CHECK constraint sees to."""
        if node.tag == "BOOLEXPR" and node["boolop"] == "and":
            return _union([self.if_not_false(argument) for argument in node.nodes("args")])
        return self.if_true(node) if _never_null(node) else NONE

    def if_not_true(self, node: Node) -> Keys:
        """Return what is not NULL where a condition is false or NULL, as in the ELSE of a CASE."""
        if node.tag == "BOOLEXPR" and node["boolop"] == "or":
            return _union([self.if_not_true(argument) for argument in node.nodes("args")])
        return self.if_false(node) if _never_null(node) else NONE

    def if_present(self, node: Node) -> Keys:
        """Return what is not NULL where a value is not NULL: itself, and what it would be NULL with."""
        node = self._resolve(node)
        tag = node.tag
        if tag in WRAPPERS:
            return self.if_present(node["arg"])
        if tag in ("OPEXPR", "FUNCEXPR") and self.strict(node):
            return _union([self.if_present(argument) for argument in node.nodes("args")]) | self._call_itself(node)
        if tag == "BOOLEXPR" and node["boolop"] == "not":
            return self.if_present(node.nodes("args")[0])
        if tag == "SUBSCRIPTINGREF" and node["refassgnexpr"] is None:
            return self.if_present(node["refexpr"]) | self._itself(node)
        if tag == "FIELDSELECT":
            return self.if_present(node["arg"]) | self._itself(node)
        if tag == "NAMEDARGEXPR":
            return self.if_present(node["arg"])
        if tag in ("BOOLEXPR", "SUBLINK", "CONST"):
            return NONE
        return self._itself(node)

    def _call_itself(self, node: Node) -> Keys:
        """Return the key of a call that could be NULL by itself; that of any other says no more than its arguments."""
        function = self._schema.function(called(node))
        if function is not None and function.builtin and function.source in TOTAL:
            return NONE
        return self._itself(node)

    def _itself(self, node: Node) -> Keys:
        key = key_of(node, self._schema)
        return NONE if key is None else frozenset((key,))

    def _boolean_true(self, node: Node) -> Keys:
        arguments = node.nodes("args")
        if node["boolop"] == "not":
            return self.if_false(arguments[0])
        parts = [self.if_true(argument) for argument in arguments]
        return _union(parts) if node["boolop"] == "and" else _common(parts)

    def _boolean_test(self, node: Node) -> Keys:
        kind = node["booltesttype"]
        if kind == "0":
            return self.if_true(node["arg"])
        if kind == "2":
            return self.if_false(node["arg"])
        return self.if_present(node["arg"]) if kind == "5" else NONE

    def _array_true(self, node: Node) -> Keys:
        function = self._schema.function(node.number("opfuncid")) or self._schema.operator(node.number("opno"))
        if function is None or not function.strict:
            return NONE
        value, array = node.nodes("args")
        if node.flag("useOr"):
            return self.if_present(value) | self.if_present(array)
        if array.tag == "ARRAYEXPR" and array.nodes("elements"):
            return self.if_present(value)  # not in (1, 2)
        return self.if_present(array)  # of no elements it is true, whatever the value

    def _first_pair(self, node: Node) -> Keys:
        """Return what ``(a, b) < (x, y)`` looks at in any case."""
        return self.if_present(node.nodes("largs")[0]) | self.if_present(node.nodes("rargs")[0])

    def _distinct(self, node: Node) -> Keys:
        """Return what differs from NULL."""
        first, second = node.nodes("args")
        if _is_null(second):
            return self.if_present(first)
        return self.if_present(second) if _is_null(first) else NONE

    def _same(self, node: Node) -> Keys:
        first, second = node.nodes("args")
        if second.tag == "CONST" and not _is_null(second):
            return self.if_present(first)
        return self.if_present(second) if first.tag == "CONST" and not _is_null(first) else NONE

    def _sublink_true(self, node: Node) -> Keys:
        if node["subLinkType"] != "2" or node["testexpr"] is None:  # = any (select ...)
            return NONE
        test = node["testexpr"]
        tests = test.nodes("args") if test.tag == "BOOLEXPR" and test["boolop"] == "and" else [test]
        found = [
            self.if_present(argument)
            for each in tests
            if each.tag == "OPEXPR" and self.strict(each)
            for argument in each.nodes("args")
        ]
        return _union(found)

    def _coalesce_true(self, node: Node) -> Keys:
        first, *others = node.nodes("args")
        if all(other.tag == "CONST" and (_is_null(other) or not any(other["constvalue"])) for other in others):
            return self.if_true(first)  # coalesce(x, false)
        return NONE


def _is_null(node: Node) -> bool:
    return node.tag == "CONST" and node.flag("constisnull")


def _never_null(node: Node) -> bool:
    if node.tag == "BOOLEXPR":
        return all(_never_null(argument) for argument in node.nodes("args"))
    return node.tag in TESTS


def _union(parts: Iterable[Keys]) -> Keys:
    return NONE.union(*parts)


def _common(parts: list[Keys]) -> Keys:
    return NONE.union(parts[0]).intersection(*parts) if parts else NONE
