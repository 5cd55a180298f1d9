"""The values that a CHECK leaves to a column: ``check (role in ('leader', 'member'))``.

Only what a check says of one column with constants is read; every other check leaves any value.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from sqlkit.describing.schema import Relation, Schema
from sqlkit.describing.trees import Node

__all__ = ["checked_values"]

#: How deep views may stand on views.
DEPTH = 10

#: The equality operators of text, character and the integers (of different sizes, too), and the containment of arrays.
EQUAL = frozenset({"98", "1054", "94", "96", "410", "532", "533", "15", "416", "1862", "1868"})
CONTAINED = "2752"

TEXTS = frozenset({"25", "1042", "1043"})
TEXT_ARRAYS = frozenset({"1009", "1014", "1015"})
INTEGERS = {"21": 2, "23": 4, "20": 8}

Value = str | int


def checked_values(schema: Schema, relation: Relation, column: int) -> tuple[Value, ...] | None:
    """Return the values that a table's checks leave to a column, of an array's elements; None for any.

    A view's column is that of its table.
    """
    try:
        origin = _origin(schema, relation, column)
        if origin is None:
            return None
        relation, column = origin
        found = [values for check in relation.checks if (values := _values(check, column)) is not None]
    except (KeyError, ValueError, IndexError, TypeError, AttributeError, struct.error):
        return None
    return tuple(value for value in found[0] if all(value in values for values in found)) if found else None


def _origin(schema: Schema, relation: Relation | None, column: int) -> tuple[Relation, int] | None:
    for _ in range(DEPTH):
        if relation is None or relation.view is None:
            return None if relation is None else (relation, column)
        entry = relation.view.nodes("targetList")[column - 1]
        if relation.view["setOperations"] is not None or entry["resorigtbl"] == "0":
            return None
        relation, column = schema.relation(entry.number("resorigtbl")), entry.number("resorigcol")
    return None


def _values(check: Node, column: int) -> list[Value] | None:
    """Return the values that a condition leaves to a column, None where it leaves any."""
    if check.tag == "BOOLEXPR":
        parts = [_values(part, column) for part in check.nodes("args") if not _is_null(part, column)]
        if check["boolop"] == "or":
            return None if any(part is None for part in parts) else [value for part in parts for value in part or ()]
        if check["boolop"] == "and":
            known = [part for part in parts if part is not None]
            return [value for value in known[0] if all(value in part for part in known)] if known else None
        return None
    if check.tag == "OPEXPR" and check["opno"] in EQUAL:
        return _compared(check, column, list(_constants(check.nodes("args")[1])))
    if check.tag == "OPEXPR" and check["opno"] == CONTAINED:
        return _compared(check, column, list(_elements(check.nodes("args")[1])))
    if check.tag == "SCALARARRAYOPEXPR" and check.flag("useOr") and check["opno"] in EQUAL:
        return _compared(check, column, list(_elements(check.nodes("args")[1])))
    return None


def _compared(check: Node, column: int, values: list[Value | None]) -> list[Value] | None:
    named = _stripped(check.nodes("args")[0])
    if named.tag != "VAR" or named.number("varattno") != column or not values:
        return None
    return None if None in values else [value for value in values if value is not None]


def _is_null(node: Node, column: int) -> bool:
    """Tell whether a condition is ``column is null``: NULL is looked at elsewhere."""
    if node.tag != "NULLTEST" or node["nulltesttype"] != "0":
        return False
    named = _stripped(node["arg"])
    return named.tag == "VAR" and named.number("varattno") == column


def _stripped(node: Node) -> Node:
    while node.tag in ("RELABELTYPE", "ARRAYCOERCEEXPR"):
        node = node["arg"]
    return node


def _elements(node: Node) -> Iterator[Value | None]:
    node = _stripped(node)
    if node.tag == "ARRAYEXPR" and not node.flag("multidims"):
        for element in node.nodes("elements"):
            yield from _constants(element)
    elif node.tag == "CONST" and node["consttype"] in TEXT_ARRAYS and not node.flag("constisnull"):
        yield from _array(node["constvalue"])
    else:
        yield None


def _constants(node: Node) -> Iterator[Value | None]:
    """Yield the one value of a constant, None where it is none that can be read."""
    node = _stripped(node)
    if node.tag != "CONST" or node.flag("constisnull"):
        yield None
    elif node["consttype"] in TEXTS:
        yield node["constvalue"][4:].decode()
    elif node["consttype"] in INTEGERS:
        yield int.from_bytes(node["constvalue"][: INTEGERS[node["consttype"]]], "little", signed=True)
    else:
        yield None


def _array(value: bytes) -> Iterator[Value | None]:
    """Yield the texts of an array of one dimension without NULLs, as it lies in memory."""
    _, dimensions, nulls, _, number, _ = struct.unpack_from("<6i", value)
    if dimensions != 1 or nulls:
        yield None
        return
    offset = 24
    for _ in range(number):
        length = struct.unpack_from("<I", value, offset)[0] >> 2
        yield value[offset + 4 : offset + length].decode()
        offset += -(-length // 4) * 4
