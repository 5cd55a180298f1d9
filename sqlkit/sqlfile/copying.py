"""The target of a ``copy ... from stdin``, which sqlkit fills from Python rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from sqlkit.lexer import Kind, Token
from sqlkit.sqlfile.markers import Marked
from sqlkit.sqlfile.sqltext import SqlText

__all__ = ["CopyTarget", "copy_target"]


@dataclass(frozen=True, slots=True)
class CopyTarget:
    """The table of a ``copy ... from stdin`` as it is written, and its columns as the catalogue has them.

    ``table`` keeps its quotes, for ``::regclass``; ``columns`` is empty where the statement lists none.
    """

    table: str
    columns: tuple[str, ...]


def copy_target(marked: Marked) -> CopyTarget | None:
    """Return the target of a `copy ... from stdin`, None for any other statement.

    Raises SqlFileError for one with options, parameters or markers: sqlkit chooses the format itself.
    """
    text, first = marked.source.text, marked.items[0]
    if text[first.start : first.end].lower() != "copy":
        return None
    words = [text[start:end].lower() if kind is Kind.WORD else text[start:end] for kind, start, end in marked.items]
    if words[1:2] == ["("] or ("from", "stdin") not in pairwise(words):
        return None
    if marked.conditions:
        line = min(marked.conditions)
        raise marked.source.error(marked.source.line_start(line), "copy from stdin takes no markers")
    reader = _Reader(marked.source, marked.items)
    table = reader.table()
    columns = reader.columns() if reader.sees("(") else ()
    reader.expect("from")
    reader.expect("stdin")
    if not reader.sees(";"):
        reader.expect("")
    return CopyTarget(table, columns)


class _Reader:
    """Takes the tokens behind `copy` one by one."""

    __slots__ = ("items", "source", "taken")

    def __init__(self, source: SqlText, items: list[Token]) -> None:
        self.source = source
        self.items = items
        self.taken = 1

    def sees(self, word: str) -> bool:
        return self._word() == word

    def expect(self, word: str) -> None:
        if self._word() != word:
            place = self.items[min(self.taken, len(self.items) - 1)].start
            raise self.source.error(place, "write copy from stdin without options: sqlkit chooses the format")
        self.taken += 1

    def table(self) -> str:
        """Take a table's name, its schema included, as it is written."""
        begin = self.taken
        self._name()
        while self.sees("."):
            self.taken += 1
            self._name()
        return "".join(self.source.text[item.start : item.end] for item in self.items[begin : self.taken])

    def columns(self) -> tuple[str, ...]:
        return tuple(self._columns())

    def _columns(self) -> Iterator[str]:
        """Take the names between parentheses; without quotes PostgreSQL reads their ASCII in lower case."""
        while not self.sees(")"):
            self.taken += 1
            name = self._name()
            if name.startswith('"'):
                yield name[1:-1].replace('""', '"')
            else:
                yield "".join(letter.lower() if letter < "\x80" else letter for letter in name)
            if not self.sees(")") and not self.sees(","):
                self.expect(")")
        self.taken += 1

    def _name(self) -> str:
        if self.taken < len(self.items):
            kind, start, end = self.items[self.taken]
            name = self.source.text[start:end]
            if kind is Kind.WORD or (kind is Kind.QUOTED and name.startswith('"')):
                self.taken += 1
                return name
        place = self.items[min(self.taken, len(self.items) - 1)].start
        raise self.source.error(place, "copy from stdin wants a plain name here: copy table (column, ...) from stdin")

    def _word(self) -> str:
        if self.taken >= len(self.items):
            return ""
        kind, start, end = self.items[self.taken]
        word = self.source.text[start:end]
        return word.lower() if kind is Kind.WORD else word
