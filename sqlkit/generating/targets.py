"""Which column a parameter is written to, read off the statement's words.

PostgreSQL says what type a parameter has, not where its value goes. An ``insert`` lists its columns and values, an
``update`` says ``column = value``; where a value is a parameter and nothing else, what the column demands is what the
parameter must satisfy. What is not recognised has no target: nothing is then known of it but its type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlkit.lexer import BLANK, Kind, tokenize

__all__ = ["Target", "targets_of"]


@dataclass(frozen=True, slots=True)
class Target:
    """A column that is written: ``table`` as the statement spells it, ``verb`` is insert or update.

    ``replaced`` says that NULL is not what is written then: the parameter is the first argument of ``coalesce``.
    """

    table: str
    column: str
    verb: str
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    kind: Kind

    @property
    def lower(self) -> str:
        return self.text.lower() if self.kind is Kind.WORD else self.text

    @property
    def name(self) -> str:
        if self.kind is Kind.QUOTED:
            return self.text[1:-1].replace('""', '"')
        return "".join(letter.lower() if letter < "\x80" else letter for letter in self.text)


def targets_of(text: str) -> Mapping[int, Target]:
    """Return the targets of the parameters of a variant's text, by their numbers (``$1`` is 1)."""
    words = [_Word(text[start:end], kind) for kind, start, end in tokenize(text) if kind not in BLANK]
    found: dict[int, Target] = {}
    refused: set[int] = set()
    for number, target in _Reader(words).run():
        if number in found and (found[number].table, found[number].column) != (target.table, target.column):
            refused.add(number)
        found.setdefault(number, target)
    return {number: target for number, target in found.items() if number not in refused}


class _Reader:
    def __init__(self, words: Sequence[_Word]) -> None:
        self.words = words
        self.table = ""  # of the last insert, update or merge

    def lower(self, index: int) -> str:
        return self.words[index].lower if index < len(self.words) else ""

    def run(self) -> Iterator[tuple[int, Target]]:
        for index in range(len(self.words)):
            word = self.lower(index)
            if word in ("insert", "merge") and self.lower(index + 1) == "into":
                behind = self._table(index + 2)
                if word == "insert":
                    yield from self._insert(self._columns_at(behind))
            elif word == "insert" and self.lower(index + 1) == "(":  # of a merge
                yield from self._insert(index + 1)
            elif word == "update" and self.lower(index + 1) not in ("set", "of", "("):
                self._table(index + 2 if self.lower(index + 1) == "only" else index + 1)
            elif word == "set":
                yield from self._set(index + 1)

    def _table(self, index: int) -> int:
        """Take the name of a table; return the index behind it."""
        parts: list[str] = []
        while index < len(self.words) and self.words[index].kind in (Kind.WORD, Kind.QUOTED):
            parts.append(self.words[index].text)
            index += 1
            if self.lower(index) != ".":
                break
            index += 1
        self.table = ".".join(parts)
        return index

    def _columns_at(self, index: int) -> int:
        """Return the index of the list of columns, behind an alias."""
        return index + 2 if self.lower(index) == "as" else index

    def _insert(self, index: int) -> Iterator[tuple[int, Target]]:
        if self.lower(index) != "(":
            return
        columns, index = self._list(index)
        while self.lower(index) == "overriding":
            index += 3
        if self.lower(index) == "values":
            index += 1
            while self.lower(index) == "(":
                values, index = self._list(index)
                yield from self._pairs(columns, values, "insert")
                index += self.lower(index) == ","
        elif self.lower(index) == "select":
            end = self._end(index + 1, ("from", "where", "returning", "on", "group", "limit", "union", ";", ")"))
            yield from self._pairs(columns, self._split(index + 1, end), "insert")

    def _set(self, index: int) -> Iterator[tuple[int, Target]]:
        if not self.table:
            return
        end = self._end(index, ("from", "where", "returning", "when", ";", ")"))
        for words in self._split(index, end):
            if len(words) > 2 and words[1].text == "=":
                yield from self._pairs([words[:1]], [words[2:]], "update")

    def _pairs(
        self, columns: Sequence[Sequence[_Word]], values: Sequence[Sequence[_Word]], verb: str
    ) -> Iterator[tuple[int, Target]]:
        for column, value in zip(columns, values, strict=False):
            if len(column) == 1 and column[0].kind in (Kind.WORD, Kind.QUOTED):
                number, replaced = _parameter(value)
                if number:
                    yield number, Target(self.table, column[0].name, verb, replaced)

    def _list(self, index: int) -> tuple[list[Sequence[_Word]], int]:
        """Return what stands between parentheses, cut at its commas, and the index behind."""
        end = self._end(index + 1, (")",))
        return self._split(index + 1, end), end + 1

    def _end(self, index: int, words: tuple[str, ...]) -> int:
        """Return the index of the first of some words outside of further parentheses."""
        depth = 0
        while index < len(self.words) and not (depth == 0 and self.lower(index) in words):
            kind = self.words[index].kind
            depth += (kind is Kind.OPEN) - (kind is Kind.CLOSE)
            index += 1
        return index

    def _split(self, start: int, end: int) -> list[Sequence[_Word]]:
        parts: list[Sequence[_Word]] = []
        while start < end:
            comma = min(self._end(start, (",",)), end)
            parts.append(self.words[start:comma])
            start = comma + 1
        return parts


def _parameter(value: Sequence[_Word]) -> tuple[int, bool]:
    """Return the number of a value that is a parameter and nothing else, and whether a NULL is replaced; 0 if none."""
    if len(value) > 2 and value[-2].lower == "as":  # in a select list
        value = value[:-2]
    if value and value[0].lower == "coalesce" and len(value) > 3 and value[3].text in (",", "::"):
        number, _ = _parameter(value[2:3])
        return number, True
    if not value or value[0].kind is not Kind.POSITIONAL:
        return 0, False
    if len(value) > 1 and value[1].kind is not Kind.CAST:
        return 0, False
    if len(value) > 1 and any(
        word.kind not in (Kind.CAST, Kind.WORD, Kind.QUOTED, Kind.OPEN, Kind.CLOSE, Kind.NUMBER)
        and word.text not in (".", ",")
        for word in value[1:]
    ):
        return 0, False
    return int(value[0].text[1:]), False
