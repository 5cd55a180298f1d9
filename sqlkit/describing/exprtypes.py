"""The type of an expression in an analysed tree, as its node says."""

from __future__ import annotations

from sqlkit.describing.trees import Node

__all__ = ["expression_type"]

BOOLEAN = 16
UNKNOWN = 0

#: Which field of a node holds the OID of its type.
FIELDS = (
    "vartype",
    "consttype",
    "paramtype",
    "aggtype",
    "wintype",
    "funcresulttype",
    "opresulttype",
    "resulttype",
    "coalescetype",
    "casetype",
    "minmaxtype",
    "array_typeid",
    "row_typeid",
    "refrestype",
)
BOOLEANS = frozenset({"BOOLEXPR", "NULLTEST", "BOOLEANTEST", "SCALARARRAYOPEXPR", "DISTINCTEXPR", "ROWCOMPAREEXPR"})
EXPRESSION = "4"


def expression_type(node: Node) -> int:
    """Return the OID of an expression's type, 0 where the node does not tell."""
    if node.tag in BOOLEANS:
        return BOOLEAN
    if node.tag == "SUBLINK":
        if node["subLinkType"] == EXPRESSION:
            return expression_type(node["subselect"].nodes("targetList")[0]["expr"])
        return BOOLEAN if node["subLinkType"] in ("0", "1", "2", "3") else UNKNOWN
    if node.tag == "SQLVALUEFUNCTION":
        return node.number("type")
    return next((node.number(name) for name in FIELDS if name in node), UNKNOWN)
