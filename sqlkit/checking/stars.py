"""``*`` in select and returning lists, found without a parser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlkit.lexer import Kind, Token
from sqlkit.sqlfile.clauses import Words
from sqlkit.sqlfile.markers import Condition, Marked

__all__ = ["stars"]

#: Words behind which a list is over; all are reserved, so none can be a column's name or, without ``as``, its label.
ENDS = frozenset(
    "from into where group having window union intersect except order limit offset fetch for returning".split()  # noqa: SIM905
)

#: What can stand before a star that is an item of a list: in ``a * b`` it is an operand.
BEFORE = frozenset({"select", "all", "distinct", "returning", ",", ".", ")"})

BEHIND = ENDS | {",", ")", ";", "on"}


@dataclass(slots=True)
class _Scope:
    """What stands between two brackets: whether a list of columns is being read, whether its columns matter."""

    exempt: bool = False
    listing: bool = False


def stars(marked: Marked) -> Iterator[tuple[int, int]]:
    """Yield the bounds of each ``*`` or ``t.*`` that stands for the columns of a select or returning list.

    That of ``count(*)`` is none, nor is the list of an ``exists``, from which nothing is read.
    """
    words = Words(marked.source.text, marked.items)
    scopes = [_Scope()]
    for index, token in enumerate(words.items):
        word, before = words.words[index], words.at(index - 1)
        if token.kind is Kind.OPEN:
            scopes.append(_Scope(exempt=before == "exists"))
        elif token.kind is Kind.CLOSE:
            scopes.pop()
        elif token.kind is Kind.OPERATOR:
            if scopes[-1].listing and not scopes[-1].exempt and _is_star(marked, words, index):
                yield _start(words, index), token.end
        elif before not in (".", "as"):
            _follow(scopes[-1], word, before, words.at(index - 2))


def _follow(scope: _Scope, word: str, before: str, second: str) -> None:
    """Take a word, with which a list may begin or end."""
    if word in ("select", "returning"):
        scope.listing = True
    elif word == ";" or (word in ENDS and not (word == "from" and before == "distinct" and second in ("is", "not"))):
        scope.listing = False


def _is_star(marked: Marked, words: Words, index: int) -> bool:
    """Tell whether an operator is a whole item of a list: ``*`` or, behind a dot, ``t.*``."""
    token = words.items[index]
    if marked.source.text[token.start : token.end] != "*" or words.at(index - 1) not in BEFORE:
        return False
    base = marked.condition(token)
    behind = (place for place in range(index + 1, len(words.items)) if not _excluded(marked, words.items[place], base))
    following = next(behind, None)
    return following is None or words.words[following] in BEHIND


def _excluded(marked: Marked, token: Token, base: Condition) -> bool:
    return marked.condition(token).excludes(base)


def _start(words: Words, index: int) -> int:
    """Return the offset where the qualifier of a star begins: ``public.songs.*``."""
    while index >= 2 and words.words[index - 1] == "." and words.items[index - 2].kind in (Kind.WORD, Kind.QUOTED):
        index -= 2
    return words.items[index].start
