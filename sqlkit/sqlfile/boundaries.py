"""What may not cross the boundary of a marked line, lest a variant read differently from the file.

Lines leave whole and their line ends stay, so tokens of different lines never fuse. What is left: a token
that spans lines, a pair of brackets, a string that PostgreSQL continues on a later line, and a colon in a
subscript, whose meaning hangs on what stands before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlkit.errors import SqlFileError
from sqlkit.lexer import Kind, Token, ends_operand
from sqlkit.sqlfile.markers import ALWAYS, Marked

__all__ = ["check_boundaries", "check_brackets", "check_spans"]

_CLOSES = {"(": ")", "[": "]"}
_OPEN, _CLOSE = Kind.OPEN, Kind.CLOSE  # an Enum is slow to name its members in Python 3.11
_STRINGS = (Kind.STRING, Kind.CONTINUATION)


def check_brackets(marked: Marked) -> None:
    """Raise SqlFileError where brackets do not balance: in the statement, in a region, in a choice line."""
    source = marked.source
    opened: list[tuple[Token, object]] = []
    for token in marked.items:
        if token[0] is _OPEN:
            opened.append((token, _owner(marked, token)))
        elif token[0] is _CLOSE:
            close = source.text[token.start]
            if not opened or _CLOSES[source.text[opened[-1][0].start]] != close:
                raise source.error(token.start, f"{close} closes nothing")
            opener, owner = opened.pop()
            if owner != _owner(marked, token):
                raise _unbalanced(marked, opener, token)
    if opened:
        token = opened[-1][0]
        raise source.error(token.start, f"{source.text[token.start]} is never closed")


def _owner(marked: Marked, token: Token) -> object:
    """Return what must hold both halves of a pair: a choice line, an optional region, the unmarked lines."""
    condition = marked.condition(token)
    return marked.source.line(token.start) if condition.choice else condition.region


def _unbalanced(marked: Marked, opener: Token, closer: Token) -> SqlFileError:
    source = marked.source
    place = opener if marked.condition(opener) != ALWAYS else closer
    other = closer if place is opener else opener
    verb = "closed" if place is opener else "opened"
    line = source.line(other.start)
    reason = f"{source.text[place.start]} is {verb} in line {line}; brackets balance within a marked line or block"
    return source.error(place.start, reason)


def check_boundaries(marked: Marked) -> None:
    """Raise SqlFileError where a string or a subscript's colon depends on lines that may leave."""
    if not marked.conditions:
        return
    opened: list[str] = []
    text = marked.source.text
    for index, token in enumerate(marked.items):
        if token.kind is Kind.OPEN:
            opened.append(text[token.start])
        elif token.kind is Kind.CLOSE:
            opened.pop()
        elif token.kind in _STRINGS:
            _check_string(marked, index)
        elif opened[-1:] == ["["] and token.kind in (Kind.PARAMETER, Kind.SLICE):
            _check_colon(marked, index)


def check_spans(marked: Marked, tokens: Sequence[Token]) -> None:
    """Raise SqlFileError for a token, or a comment, that begins or ends in a marked line and spans others."""
    line, conditions = marked.source.line, marked.conditions
    if not conditions:
        return
    for token in tokens:
        if token.kind is Kind.SPACE:
            continue
        first, last = line(token.start), line(token.end - 1)
        if conditions.get(first, ALWAYS) != conditions.get(last, ALWAYS):
            raise marked.source.error(
                token.start, "this spans lines, of which only some are marked; keep it within one"
            )


def _check_string(marked: Marked, index: int) -> None:
    """Strings on two lines with nothing between are one to PostgreSQL, read by the first one's rules."""
    token, text = marked.items[index], marked.source.text
    if text[token.start] != "'":  # with a prefix it begins a string of its own
        return
    for before in _neighbours(marked, index):
        previous = marked.items[before]
        if previous.kind not in _STRINGS:
            continue
        if token.kind is Kind.CONTINUATION and before == index - 1 and _same(marked, previous, token):
            continue
        line = marked.source.line(previous.start)
        if line != marked.source.line(token.start):
            reason = f"without marked lines between, this string would continue that of line {line}"
            raise marked.source.error(token.start, reason)


def _check_colon(marked: Marked, index: int) -> None:
    token, text = marked.items[index], marked.source.text
    if token.kind is Kind.SLICE and not (text[token.end].isidentifier() or text[token.end] > "\x7f"):
        return  # no name behind it: a slice, whatever stands before
    for before in _neighbours(marked, index):
        second = marked.items[before - 1] if before else None
        if ends_operand(text, marked.items[before], second) is not (token.kind is Kind.SLICE):
            reason = "with some marked lines this colon is a slice and with others a parameter; write (:name)"
            raise marked.source.error(token.start, reason)


def _same(marked: Marked, one: Token, other: Token) -> bool:
    return marked.condition(one) == marked.condition(other)


def _neighbours(marked: Marked, index: int) -> Iterator[int]:
    """Yield the items that can stand directly before one, in some variant in which it stands."""
    own = marked.condition(marked.items[index])
    for before in range(index - 1, -1, -1):
        condition = marked.condition(marked.items[before])
        if not condition.excludes(own):
            yield before
            if not condition.leaves(own):
                return
