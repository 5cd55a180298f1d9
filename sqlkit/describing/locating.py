"""Where the joins of a statement stand: the tree does not say, but they come in the order of the text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlkit.describing.trees import Node
from sqlkit.lexer import Kind, tokenize

__all__ = ["JoinLines", "joins_in_order"]

#: The fields of a query in the order in which its text has them, for each kind of command.
SELECTED = ("fromlist", "quals", "havingQual", "limitOffset", "limitCount")


class JoinLines:
    """Says at which line of the file a join of a statement stands; nothing of a join that is a view's."""

    def __init__(self, query: Node, text: str, first_line: int) -> None:
        self._query = query
        self._text = text
        self._first_line = first_line
        self._lines: dict[int, int] | None = None

    def __call__(self, node: Node) -> str:
        """Return `` at line 4``, or nothing where that is not known."""
        if self._lines is None:
            self._lines = self._read()
        line = self._lines.get(id(node))
        return "" if line is None else f" at line {line}"

    def _read(self) -> dict[int, int]:
        text = self._text
        words = [
            token.start
            for token in tokenize(text)
            if token.kind is Kind.WORD and text[token.start : token.end].lower() == "join"
        ]
        try:
            joins = list(joins_in_order(self._query))
        except (KeyError, IndexError, ValueError, TypeError, AttributeError):
            return {}
        if len(joins) != len(words):
            return {}
        return {
            id(join): self._first_line + text.count("\n", 0, start) for join, start in zip(joins, words, strict=True)
        }


def joins_in_order(query: Node) -> Iterator[Node]:
    """Yield the joins of a query in the order in which their words stand in its text."""
    for cte in query.nodes("cteList"):
        yield from joins_in_order(cte["ctequery"])
    tree = query["jointree"]
    if query["commandType"] == "1" and query["setOperations"] is not None:
        yield from _set_operation(query, query["setOperations"])
    elif query["commandType"] == "3":  # insert
        yield from _items(query, tree)
        yield from _inside(query["targetList"])
        yield from _inside(query["onConflict"])
    else:
        yield from _inside([entry for entry in query.nodes("targetList") if not entry.flag("resjunk")])
        yield from _items(query, tree)
        yield from _inside(query.get("mergeJoinCondition"))
        yield from _inside(query.get("mergeActionList"))
        yield from _inside(query["havingQual"])
    yield from _inside([query["limitOffset"], query["limitCount"]])
    yield from _inside(query["returningList"])


def _set_operation(query: Node, node: Node) -> Iterator[Node]:
    if node.tag == "RANGETBLREF":
        yield from joins_in_order(query.nodes("rtable")[node.number("rtindex") - 1]["subquery"])
    else:
        yield from _set_operation(query, node["larg"])
        yield from _set_operation(query, node["rarg"])


def _items(query: Node, tree: Node | None) -> Iterator[Node]:
    if tree is None:
        return
    for item in tree.nodes("fromlist"):
        yield from _item(query, item)
    yield from _inside(tree["quals"])


def _item(query: Node, item: Node) -> Iterator[Node]:
    if item.tag == "RANGETBLREF":
        entry = query.nodes("rtable")[item.number("rtindex") - 1]
        if entry["rtekind"] == "1" and entry.get("relid", "0") == "0":
            yield from joins_in_order(entry["subquery"])
        elif entry["rtekind"] == "3":
            yield from _inside(entry["functions"])
        elif entry["rtekind"] == "5":
            yield from _inside(entry["values_lists"])
        return
    yield from _item(query, item["larg"])
    yield item
    yield from _item(query, item["rarg"])
    yield from _inside(item["quals"])


def _inside(value: Any) -> Iterator[Node]:
    """Yield the joins of the subqueries inside expressions."""
    if isinstance(value, Node):
        if value.tag == "QUERY":
            yield from joins_in_order(value)
        else:
            for inner in value.values():
                yield from _inside(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _inside(inner)
