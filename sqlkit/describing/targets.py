"""Parameters that are only written to NOT NULL columns: None for them is an error at the server each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sqlkit.describing.nullability.conditions import Conditions
from sqlkit.describing.schema import Schema
from sqlkit.describing.trees import Node, walk

__all__ = ["targets"]

UPDATE, INSERT = "2", "3"


def targets(query: Node, schema: Schema) -> dict[int, str]:
    """Return the NOT NULL column (``songs.title``) that each parameter is written to which is used for nothing else.

    A parameter inside a strict expression that is written counts too: NULL makes the whole NULL.
    """
    try:
        if query["commandType"] not in (INSERT, UPDATE) and not query["cteList"]:
            return {}
        written: dict[int, str] = {}
        counts: Counter[int] = Counter()
        for value, name in _written(query, schema):
            counts.update(node.number("paramid") for node in walk(value) if _is_parameter(node))
            for key in Conditions(schema, lambda node: node).if_present(value):
                if key[0] == "parameter":
                    written.setdefault(key[1], name)
        if not written:
            return {}
        uses = Counter(node.number("paramid") for node in walk(query) if _is_parameter(node))
    except (KeyError, ValueError, TypeError, AttributeError, IndexError):
        return {}
    return {number: name for number, name in written.items() if counts[number] == uses[number]}


def _is_parameter(node: Node) -> bool:
    return node.tag == "PARAM" and bool(node["paramkind"] == "0")


def _written(query: Node, schema: Schema) -> Iterator[tuple[Node, str]]:
    """Yield the expressions that are written to NOT NULL columns, with the column's name."""
    for inner in [query, *(cte["ctequery"] for cte in query.nodes("cteList"))]:
        if inner["commandType"] not in (INSERT, UPDATE):
            continue
        entry = inner.nodes("rtable")[inner.number("resultRelation") - 1]
        relation = schema.relation(entry.number("relid"))
        if relation is None or relation.before or relation.instead or relation.rules or relation.kind not in ("r", "p"):
            continue
        assignments = list(inner.nodes("targetList"))
        if inner["onConflict"] is not None:
            assignments += inner["onConflict"].nodes("onConflictSet")
        for each in assignments:
            attribute = relation.columns.get(each.number("resno"))
            if attribute is None or not attribute.not_null or each.flag("resjunk"):
                continue
            for value in _values(inner, each["expr"]):
                yield value, f"{relation.name}.{attribute.name}"


def _values(query: Node, expression: Node) -> Iterator[Node]:
    """Yield what an assigned expression is: itself, or what the rows of VALUES and the select behind it give."""
    if expression.tag != "VAR" or expression["varlevelsup"] != "0":
        yield expression
        return
    entry = query.nodes("rtable")[expression.number("varno") - 1]
    column = expression.number("varattno") - 1
    if entry["rtekind"] == "5":
        for row in entry["values_lists"]:
            yield row[column]
    elif entry["rtekind"] == "1" and entry["subquery"]["setOperations"] is None:
        yield entry["subquery"].nodes("targetList")[column]["expr"]
