"""PostgreSQL's analysed query trees, as the catalogue keeps them (``pg_node_tree``), read into nodes.

The text is what ``nodeToString`` in the server's ``outfuncs.c`` writes: ``{TAG :field value ...}``, lists in
parentheses, blanks and brackets inside a name escaped by a backslash. Nothing is interpreted here; a field that a
version of the server lacks is a ``KeyError`` at the reader, which proves nothing by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

__all__ = ["Node", "TreeError", "parse_tree", "walk"]

#: A word, or a node that holds none but plain words, which most do.
WORD = re.compile(r"\{\w+(?: :\w+ [^\s(){}\[\]\\\":]+)*\}|\{\w*|[()}\[\]]|(?:[^\s(){}\[\]\\]|\\.)+", re.DOTALL)

#: What no reader wants: the rights of an entry, and names, which are long and in quotes.
UNREAD = re.compile(
    r" :(?:rteperminfos \((?:\{[^{}\\]*\} ?)*\)|(?:alias|eref|join_using_alias) \{[^{}\\]*\}"
    r"|(?:ctecolnames|operName|usingClause) \([^(){}\\]*\))"
)

#: What no reader wants either and stands at every column and call: to cut it here costs less than to read it.
COMMON = (
    " :location -1",
    " :varnullingrels (b)",
    " :vartypmod -1",
    " :varcollid 0",
    " :varcollid 100",
    " :varreturningtype 0",
    " :opretset false",
    " :opcollid 0",
    " :inputcollid 0",
    " :resorigtbl 0 :resorigcol 0",
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
    text = _cut(text)
    try:
        if text.startswith("(({") and '"' not in text and "\\" not in text:
            try:
                return [[_plain_tree(text)]]
            except (ValueError, RecursionError):
                pass  # several statements, or lists of lists
        return _parse(text)
    except (IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise TreeError(f"no tree: {error}") from None


#: Turns a tree without quotes into JSON: a node becomes a list of its tag and its fields, "name value" each, where the
#: value is a node or a list of nodes, that follows the name.
AS_JSON = ((" ({", '",[["'), ("})", '"]]'), ("} {", '"],["'), (" {", '",["'), ("}", '"]'), (" :", '","'))

CONSTANT = re.compile(r":constvalue (\d+) \[ ([-\d ]+) \]")


def _plain_tree(text: str) -> Node:
    """Read the one query of a function's body by way of JSON, whose parser is written in C: in half the time."""
    if "[" in text:
        text = CONSTANT.sub(r":constvalue \2", text)
    text = '["' + text[3:-2]
    for written, read in AS_JSON:
        text = text.replace(written, read)
    while ']"]' in text:
        text = text.replace(']"]', "]]")
    return _node(json.loads(text.replace(']","', '],"')))


def _node(value: list[Any]) -> Node:
    tag: str = value[0]
    node = Node(RENAMED.get(tag) or tag)
    name = ""
    for part in value[1:]:
        if part.__class__ is str:
            name, _, written = part.partition(" ")
            if written == "<>":
                node[name] = None
            elif name == "constvalue":
                node[name] = bytes(int(byte) & 0xFF for byte in written.split(" "))
            elif written:
                node[name] = _numbers(written) if written[0] == "(" else written
            elif not name:
                raise ValueError("no field")
        elif part[0].__class__ is str:
            node[name] = _node(part)
        else:
            node[name] = [_node(inner) for inner in part]
    return node


def _numbers(written: str) -> list[Any]:
    first, *others = written[1:-1].split(" ") or [""]
    if written[-1] != ")" or "(" in written[1:]:
        raise ValueError("a list of lists")
    return (
        [int(word) for word in others]
        if first in SETS
        else [None if word == "<>" else word for word in [first, *others]]
    )


def _parse(text: str) -> Any:
    """Read all words in one loop, for a statement's tree has a thousand of them."""
    top: list[Any] = []
    around: list[tuple[Any, bool]] = []
    here: Any = top  # the list or node that is open
    in_list, key = True, ""
    for word in WORD.findall(text):
        first = word[0]
        if first == ":" and not in_list:
            key = word[1:]
        elif first == "{" and word[-1] == "}":
            if in_list:
                here.append(_leaf(word))
            else:
                here[key] = _leaf(word)
        elif first == "{" or first == "(" or first == "[":
            opened: Any = Node(RENAMED.get(word[1:]) or word[1:]) if first == "{" else []
            if in_list:
                here.append(opened)
            else:
                here[key] = opened
            around.append((here, in_list))
            here, in_list = opened, first != "{"
        elif first == "}" or first == ")" or first == "]":
            closed = here
            here, in_list = around.pop()
            if first == ")" and closed and closed[0] in SETS:
                closed[:] = map(int, closed[1:])
            elif first == "]":  # the bytes of a constant, behind their number
                here[key] = bytes(int(value) & 0xFF for value in closed)
        else:
            value = None if word == "<>" else _name(word) if first == '"' or "\\" in word else word
            if in_list:
                here.append(value)
            else:
                here[key] = value
    if around or len(top) != 1:
        raise TreeError("the tree ends in its middle")
    return top[0]


def _cut(text: str) -> str:
    text = UNREAD.sub("", text)
    for phrase in COMMON:
        text = text.replace(phrase, "")
    return text


def _leaf(word: str) -> Node:
    """Read a node without nodes or lists inside."""
    tag, *parts = word[1:-1].split(" ")
    node = Node(RENAMED.get(tag) or tag)
    node.update(zip([key[1:] for key in parts[::2]], parts[1::2], strict=True))
    if "<>" in word:
        node.update({key: None for key, value in node.items() if value == "<>"})
    return node


#: What begins a list of numbers: a bitmap set, integers, OIDs, transaction ids.
SETS = ("b", "i", "o", "x")


def _name(word: str) -> str:
    if word[0] == '"' and word[-1] == '"' and len(word) > 1:
        word = word[1:-1]
    return ESCAPED.sub(r"\1", word)


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
