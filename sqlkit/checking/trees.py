"""PostgreSQL's analysed query trees, as the catalogue keeps them (``pg_node_tree``), read into nodes.

The text is what ``nodeToString`` in the server's ``outfuncs.c`` writes: ``{TAG :field value ...}``, lists in
parentheses, blanks and brackets inside a name escaped by a backslash. Nothing is interpreted here; a field that a
version of the server lacks is a ``KeyError`` at the reader, which proves nothing by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

__all__ = ["Node", "TreeError", "parse_tree", "walk"]

TOKEN = re.compile(r"[(){}\[\]]|(?:[^\s(){}\[\]\\]|\\.)+", re.DOTALL)

#: Fields that no reader wants, which are about a quarter of the text: cut before it is read. They hold no blanks.
UNREAD = re.compile(
    r" :(?:location|stmt_location|stmt_len|list_start|list_end|(?!inputcollid)\w*collid|\w*collations?|"
    r"rellockmode|vartypmod|paramtypmod|consttypmod|resulttypmod|aggpresorted|aggsplit|aggno|aggtransno|varnosyn|varattnosyn|funcformat|relabelformat|coerceformat|"
    r"canSetTag|querySource|requiredPerms|checkAsUser) (?:<>|-?\w+)(?= |\})"
)

#: What 14 and 15 call nodes that have another name since 16.
RENAMED = {
    "RTE": "RANGETBLENTRY",
    "ARRAY": "ARRAYEXPR",
    "CASE": "CASEEXPR",
    "COALESCE": "COALESCEEXPR",
    "COLLATE": "COLLATEEXPR",
    "MINMAX": "MINMAXEXPR",
    "ROW": "ROWEXPR",
    "ROWCOMPARE": "ROWCOMPAREEXPR",
    "WHEN": "CASEWHEN",
}

ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class TreeError(ValueError):
    """A text that is no tree, or that ends in its middle."""


class Node(dict[str, Any]):
    """A node: ``tag`` is its kind (``VAR``, ``QUERY``; 16's name for it), the items are its fields.

    A value is a Node, a list (of Nodes, of names, or, for ``(b 1 2)``, ``(i 1 2)`` and ``(o 1 2)``, of ints), None for
    ``<>``, else the text as it stands: ``int(node["varno"])``, ``node["constisnull"] == "true"``.
    """

    __slots__ = ("tag",)

    def __init__(self, tag: str) -> None:
        self.tag = tag

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def flag(self, name: str) -> bool:
        """Return a boolean field; KeyError where there is none."""
        return bool(self[name] == "true")

    def number(self, name: str) -> int:
        """Return a field that is a number; KeyError where there is none."""
        return int(self[name])

    def nodes(self, name: str) -> list[Node]:
        """Return a field that is a list of nodes, empty for ``<>``; KeyError where there is no such field."""
        value = self[name]
        return value if value is not None else []


def parse_tree(text: str) -> Any:
    """Return the node or list that a text stands for; TreeError where it does not end as it began."""
    words = iter(TOKEN.findall(UNREAD.sub("", text)))
    try:
        return _value(next(words), words)
    except StopIteration:
        raise TreeError("the tree ends in its middle") from None
    except (IndexError, TypeError, ValueError) as error:
        raise TreeError(f"no tree: {error}") from None


def _value(word: str, words: Iterator[str]) -> Any:
    if word == "{":
        return _node(words)
    if word == "(":
        return _list(words)
    if word == "<>":
        return None
    if word[0] == '"' and word[-1] == '"' and len(word) > 1:
        word = word[1:-1]
    return ESCAPED.sub(r"\1", word) if "\\" in word else word


def _node(words: Iterator[str]) -> Node:
    tag = next(words)
    node = Node(RENAMED.get(tag, tag))
    key = ""
    for word in words:
        if word == "}":
            return node
        if word[0] == ":":
            key = word[1:]
        elif word == "[":  # the bytes of a constant, behind their number
            node[key] = _bytes(words)
        else:
            node[key] = _value(word, words)
    raise TreeError("the tree ends in its middle")


def _bytes(words: Iterator[str]) -> bytes:
    values: list[int] = []
    for word in words:
        if word == "]":
            return bytes(value & 0xFF for value in values)
        values.append(int(word))
    raise TreeError("the tree ends in its middle")


def _list(words: Iterator[str]) -> list[Any]:
    values: list[Any] = []
    for word in words:
        if word == ")":
            break
        values.append(_value(word, words))
    else:
        raise TreeError("the tree ends in its middle")
    if values and values[0] in ("b", "i", "o", "x"):
        return [int(value) for value in values[1:]]
    return values


def walk(value: Any) -> Iterator[Node]:
    """Yield all nodes of a tree, each before those inside it."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Node):
            yield value
            waiting.extend(reversed(list(value.values())))
        elif isinstance(value, list):
            waiting.extend(reversed(value))
