"""PostgreSQL's analysed query trees, as the catalogue keeps them (``pg_node_tree``), read into nodes.

The text is what ``nodeToString`` in the server's ``outfuncs.c`` writes: ``{TAG :field value ...}``, lists in
parentheses, blanks and brackets inside a name escaped by a backslash. Nothing is interpreted here; a field that a
version of the server lacks is a ``KeyError`` at the reader, which proves nothing by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

__all__ = ["Node", "TreeError", "parse_tree", "walk"]

#: A word, or a node that holds none but plain words, which most do.
WORD = re.compile(r"\{\w+(?: :\w+ [^\s(){}\[\]\\\":]+)*\}|\{\w*|[()}\[\]]|(?:[^\s(){}\[\]\\]|\\.)+", re.DOTALL)

#: What no reader wants: the rights of an entry, and names, which are long and in quotes.
UNREAD = re.compile(
    r" :(?:rteperminfos \((?:\{[^{}\\]*\} ?)*\)|(?:alias|eref|join_using_alias) \{[^{}\\]*\}"
    r"|(?:ctecolnames|operName|usingClause) \([^(){}\\]*\))"
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
    text = UNREAD.sub("", text)
    try:
        return _parse(text) if "\\" in text or text[:1] not in "{(" else _assembled(text)
    except (IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise TreeError(f"no tree: {error}") from None


def _assembled(text: str) -> Any:
    """Put a tree together from pieces, each from one opening brace to the next.

    Statements over the same tables share most of theirs, so that what a piece says is read once and remembered. Nobody
    changes a node or list that was read, for a list may be part of many trees.
    """
    top: list[Any] = []
    around: list[Any] = []
    here: Any = top
    key: Any = None
    for number, piece in enumerate(text.split("{")):
        read = _PIECES.get(piece)
        if read is None:
            read = _remember(piece)
        tag, fields, steps = read
        if number:
            node = Node(tag)
            node.update(fields)
            if here.__class__ is list:
                here.append(node)
            else:
                here[key] = node
            around.append(here)
            here = node
        for step, value in steps:
            if step == "update":
                here.update(value)
            elif step == "close":
                here = around.pop()
            elif step == "key":
                key = value
            elif step == "extend":
                here.extend(value)
            else:  # open a list
                opened: list[Any] = []
                if here.__class__ is list:
                    here.append(opened)
                else:
                    here[key] = opened
                around.append(here)
                here = opened
    if around or len(top) != 1:
        raise TreeError("the tree ends in its middle")
    return top[0]


#: What a piece says: its node's tag and first fields, then steps that close it, add fields to those around it, and so
#: on up to the brace that opens the next.
_Piece: TypeAlias = tuple[str, dict[str, Any], tuple[tuple[str, Any], ...]]
_PIECES: dict[str, _Piece] = {}

#: Pieces that are remembered, a few hundred bytes each.
REMEMBERED = 50_000


def _remember(piece: str) -> _Piece:
    if len(_PIECES) >= REMEMBERED:
        _PIECES.clear()
    read = _PIECES[piece] = _read_piece(piece)
    return read


def _read_piece(piece: str) -> _Piece:
    words = WORD.findall(piece)
    tag = words.pop(0) if words and words[0][0] not in "(){}" else ""
    steps: list[tuple[str, Any]] = []
    fields: dict[str, Any] = {}
    key = ""
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word[0] == ":":
            key = word[1:]
            steps.append(("key", key))
        elif word == "(" or word == "[":
            end = _simple_end(words, at)
            if end is None:
                steps.append(("open", None))
                key = ""
            else:
                value = _simple(words[at:end], word)
                at = end + 1
                _put(steps, key, value)
        elif word in ("}", ")"):
            steps.append(("close", None))
            key = ""
        else:
            _put(steps, key, None if word == "<>" else _name(word) if word[0] == '"' else word)
    if steps and steps[0][0] == "update":
        fields = steps.pop(0)[1]
    return RENAMED.get(tag) or tag, fields, tuple(steps)


def _put(steps: list[tuple[str, Any]], key: str, value: Any) -> None:
    """Add a field to the node that is open, or a value to the list."""
    if steps and steps[-1] == ("key", key) and key:
        steps.pop()
    if not key:
        steps.append(("extend", [value]))
    elif steps and steps[-1][0] == "update":
        steps[-1][1][key] = value
    else:
        steps.append(("update", {key: value}))


def _simple_end(words: list[str], start: int) -> int | None:
    """Return where a list of plain words ends; None where it holds lists or nodes."""
    for at in range(start, len(words)):
        if words[at] in (")", "]"):
            return at
        if words[at] in ("(", "[", "}"):
            return None
    return None


def _simple(words: list[str], opening: str) -> Any:
    if opening == "[":  # the bytes of a constant, behind their number
        return bytes(int(word) & 0xFF for word in words)
    if words and words[0] in SETS:
        return [int(word) for word in words[1:]]
    return [None if word == "<>" else _name(word) if word[0] == '"' else word for word in words]


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
