"""The items of a statement's outermost list: what it selects, or what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlkit.lexer import BLANK, Kind, Token, ends_operand, tokenize

__all__ = ["Item", "output_items"]

#: What ends a select list, at its own depth.
ENDS = frozenset(
    "from where group having window union intersect except order limit offset fetch for into returning".split()  # noqa: SIM905
)

#: Words before which one of ENDS is no clause: ``is distinct from``, ``within group``.
HIDING = {"from": "distinct", "group": "within"}

WRITING = frozenset({"insert", "update", "delete", "merge"})


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the list: ``text[start:end]``; ``label`` is the column's name where it can be told."""

    start: int
    end: int
    label: str | None
    star: bool = False


def output_items(text: str) -> list[Item] | None:
    """Return the items of the outermost select list, or returning list; None where there is neither."""
    tokens = [token for token in tokenize(text) if token.kind not in BLANK]
    return _Reader(text, tokens).items()


class _Reader:
    __slots__ = ("text", "tokens", "words")

    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        self.text = text
        self.tokens = tokens
        self.words = [text[start:end].lower() if kind is Kind.WORD else text[start:end] for kind, start, end in tokens]

    def items(self) -> list[Item] | None:
        first = self._main()
        if first is None:
            return None
        if self.words[first] in WRITING:
            behind = self._clause(first, "returning")
            if behind is None:
                return None
            begin = behind + 1
            if self.words[begin : begin + 1] == ["with"]:  # returning with (old as before)
                begin = self._closing(begin + 1) + 1
        elif self.words[first] == "select":
            begin = self._select_list(first + 1)
        else:
            return None
        return [self._item(start, end) for start, end in self._cut(begin)]

    def _main(self) -> int | None:
        """Return the index of the word that says what the statement does, behind its CTEs and opening brackets."""
        index, count = 0, len(self.words)
        while index < count and self.words[index] == "(":
            index += 1
        if self.words[index : index + 1] == ["with"]:
            while index < count and self.words[index] not in {"select", "values", "table", *WRITING}:
                index = self._closing(index) + 1 if self.words[index] == "(" else index + 1
                while index < count and self.words[index - 1] == ")" and self.words[index] == "(":
                    index += 1
        return index if index < count else None

    def _closing(self, index: int) -> int:
        """Return the index of the bracket that closes the one at an index."""
        depth = 0
        for place in range(index, len(self.tokens)):
            kind = self.tokens[place].kind
            depth += (kind is Kind.OPEN) - (kind is Kind.CLOSE)
            if not depth:
                return place
        return len(self.tokens) - 1

    def _clause(self, index: int, word: str) -> int | None:
        """Return the index of a word at the same depth."""
        while index < len(self.words):
            if self.tokens[index].kind is Kind.OPEN:
                index = self._closing(index)
            elif self.words[index] == word and self.words[index - 1] not in ("as", "."):
                return index
            index += 1
        return None

    def _select_list(self, index: int) -> int:
        if self.words[index : index + 1] == ["all"]:
            return index + 1
        if self.words[index : index + 1] == ["distinct"]:
            index += 1
            if self.words[index : index + 1] == ["on"]:
                index = self._closing(index + 1) + 1
        return index

    def _cut(self, begin: int) -> list[tuple[int, int]]:
        """Return the bounds of the items, as indices of tokens."""
        items: list[tuple[int, int]] = []
        index = start = begin
        while index < len(self.tokens):
            word = self.words[index]
            if self.tokens[index].kind is Kind.OPEN:
                index = self._closing(index)
            elif word == ",":
                items.append((start, index))
                start = index + 1
            elif word in (";", ")") or self._ends(index, begin):
                break
            index += 1
        return [(first, last) for first, last in [*items, (start, min(index, len(self.tokens)))] if first < last]

    def _ends(self, index: int, begin: int) -> bool:
        word, before = self.words[index], self.words[index - 1] if index > begin else ""
        if word not in ENDS or self.tokens[index].kind is not Kind.WORD:
            return False
        return before not in ("as", ".", HIDING.get(word))

    def _item(self, first: int, last: int) -> Item:
        start, end = self.tokens[first].start, self.tokens[last - 1].end
        final = self.tokens[last - 1]
        if self.words[last - 1] == "*" and (last - first == 1 or self.words[last - 2] == "."):
            return Item(start, end, None, star=True)
        named = final.kind in (Kind.WORD, Kind.QUOTED)
        if named and last - first > 1:
            before = self.tokens[last - 2]
            two = self.tokens[last - 3] if last - first > 2 else None
            named = self.words[last - 2] in ("as", ".") or ends_operand(self.text, before, two)
        return Item(start, end, self._name(final) if named else None)

    def _name(self, token: Token) -> str:
        written = self.text[token.start : token.end]
        return written[1:-1].replace('""', '"') if token.kind is Kind.QUOTED else written.lower()
