"""What the shape of a query says of its rows: groups, grouping sets, sets side by side."""

from __future__ import annotations

from sqlkit.describing.nullability.conditions import Keys, key_of
from sqlkit.describing.nullability.scopes import Scope, at_least_one
from sqlkit.describing.trees import Node, walk

__all__ = ["has_empty_set", "in_all_sets", "live", "needs_rows", "plain_select", "returns_set", "set_count"]


def live(entries: list[Node] | None) -> list[Node]:
    """Return the entries of a target list that are columns of the answer."""
    return [entry for entry in entries or [] if not entry.flag("resjunk")]


def needs_rows(query: Node) -> bool:
    """Tell whether a row of a query's answer needs one that passed WHERE: not where an aggregate answers for none."""
    if query["groupingSets"]:
        return not has_empty_set(query)
    return not ((query.flag("hasAggs") or query["havingQual"] is not None) and not query["groupClause"])


def plain_select(query: Node) -> bool:
    """Tell whether a select is one of rows: no groups, limits or sets, which change how many there are."""
    return not (
        query["groupClause"]
        or query["groupingSets"]
        or query["havingQual"] is not None
        or query["limitOffset"] is not None
        or query["setOperations"] is not None
        or query.flag("hasAggs")
        or query.flag("hasTargetSRFs")
        or not at_least_one(query["limitCount"])
    )


def set_count(query: Node) -> int:
    """Count the set-returning functions side by side in a select list."""
    return sum(1 for node in walk([entry["expr"] for entry in query.nodes("targetList")]) if returns_set(node))


def returns_set(node: Node) -> bool:
    """Tell whether a call gives a set of rows."""
    return node.get("funcretset") == "true" or node.get("opretset") == "true"


def has_empty_set(query: Node) -> bool:
    """Tell whether a grouping set may be empty, which answers for no rows."""
    return all(not all(_set_keys(each)) for each in query.nodes("groupingSets"))  # items are multiplied


def _set_keys(node: Node) -> list[frozenset[int]]:
    """Return the grouping sets that one item of GROUP BY stands for, each as the references of its columns."""
    kind = node["kind"]
    content = node["content"] or []
    if kind == "0":
        return [frozenset()]
    if kind == "1":
        return [frozenset(content)]
    if kind == "4":
        return [keys for each in content for keys in _set_keys(each)]
    return [frozenset()]  # rollup and cube have the empty one among them


def in_all_sets(query: Node, scope: Scope) -> Keys:
    """Return the keys of the columns that stand in each grouping set, so that none of them leaves them NULL."""
    everywhere: set[int] = set()
    for item in query.nodes("groupingSets"):  # items are multiplied: what one has in all of its sets stays
        sets = _set_keys(item)
        everywhere |= frozenset.intersection(*sets) if sets else frozenset()
    found: set[tuple[object, ...]] = set()
    for entry in query.nodes("targetList"):
        if entry.number("ressortgroupref") in everywhere:
            expression = entry["expr"]
            key = key_of(expression, scope.schema)
            if key is not None and key[0] == "column":
                found.add(key)
    return frozenset(found)
