"""The verbs of a statement, found without a parser, and whether they write.

Insert, update, delete and merge are no reserved words in PostgreSQL, so where each stands decides: it is the
verb of its query if it is the first verb between its parentheses and what must follow it follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlkit.lexer import RESERVED, Kind, Token
from sqlkit.sqlfile.markers import Condition, Marked

__all__ = ["Verb", "Words", "verbs", "writes"]

_READS = frozenset({"select", "values", "table", "with", "show", "explain"})
_FOLLOWED_BY = {"insert": "into", "merge": "into", "delete": "from"}
_VERBS = frozenset({"select", "values", "table", "update", *_FOLLOWED_BY})
_CHANGES = frozenset({"update", "into", *_FOLLOWED_BY})  # without one of these words nothing is written


_OPEN, _CLOSE = Kind.OPEN, Kind.CLOSE  # an Enum is slow to name its members in Python 3.11
_WORD, _PUNCTUATION = Kind.WORD, Kind.PUNCTUATION


@dataclass(frozen=True, slots=True)
class Verb:
    """The verb of a query, and the index of its token."""

    word: str
    index: int


class Words:
    """A statement's significant tokens as words: in lower case, or punctuation, else an empty string."""

    __slots__ = ("items", "words")

    def __init__(self, text: str, items: Sequence[Token]) -> None:
        self.items = items
        self.words = [
            text[start:end].lower() if kind is _WORD or kind is _PUNCTUATION or kind is _OPEN or kind is _CLOSE else ""
            for kind, start, end in items
        ]

    def at(self, index: int) -> str:
        """Return a word, or an empty string where there is none."""
        return self.words[index] if 0 <= index < len(self.words) else ""

    def is_verb(self, index: int) -> bool:
        """Tell whether one of the verbs is the verb of a query here, by what stands behind it."""
        word = self.words[index]
        if word == "update":
            behind = self.items[index + 1].kind if index + 1 < len(self.items) else None
            name = behind is Kind.WORD and (self.at(index + 1) not in RESERVED or self.at(index + 1) == "only")
            return name or behind is Kind.QUOTED
        return word not in _FOLLOWED_BY or self.at(index + 1) == _FOLLOWED_BY[word]


def verbs(marked: Marked, words: Words) -> Iterator[Verb]:
    """Yield the verb of each query: the first between its parentheses, and the first again behind a ``;``.

    Another label's choice line may give the query another verb.
    """
    found: list[Condition | None] = [None]
    for index, (token, word) in enumerate(zip(words.items, words.words, strict=True)):
        if token[0] is _OPEN:
            found.append(None)
        elif token[0] is _CLOSE:
            found.pop()
        elif word == ";":
            found[-1] = None
        elif word in _VERBS and words.is_verb(index):
            condition, first = marked.condition(token), found[-1]
            if first is None or (condition.choice and condition.choice != first.choice):
                found[-1] = condition
                yield Verb(word, index)


def writes(marked: Marked) -> bool:
    """Tell whether a statement changes anything: inserts, updates, deletes, merges, or is no query."""
    words = Words(marked.source.text, marked.items)
    first = next((word for word in words.words if word != "("), "")
    if first not in _READS:
        return True
    if _CHANGES.isdisjoint(words.words):
        return False
    changes = any(verb.word == "update" or verb.word in _FOLLOWED_BY for verb in verbs(marked, words))
    return changes or _selects_into(words)


def _selects_into(words: Words) -> bool:
    """`select ... into table` makes a table."""
    return any(
        word == "into" and words.at(index - 1) not in (".", "as", "insert", "merge")
        for index, word in enumerate(words.words)
    )
