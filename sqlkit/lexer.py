"""PostgreSQL text to tokens, by the rules of PostgreSQL's own scanner (``scan.l``, 14 to 18).

The tokens tile the text: joined, they are the text again. ``:name`` is not PostgreSQL's but psql's; it is found
here, for only the scanner knows whether a colon stands in a literal, a cast, ``:=`` or a slice. Strings are read
with ``standard_conforming_strings`` on, its default since 9.1.
"""

from __future__ import annotations

import re
from enum import Enum
from itertools import islice
from typing import NamedTuple

__all__ = ["BLANK", "PARAMETER", "RESERVED", "Kind", "LexerError", "Token", "ends_operand", "tokenize"]


class Kind(Enum):
    """What a token is."""

    SPACE = "blanks and line ends"
    LINE_COMMENT = "-- to the end of the line, which is not part of it"
    BLOCK_COMMENT = "/* */, nested"
    WORD = "keyword or identifier"
    QUOTED = 'identifier in double quotes, U&"" too'
    STRING = "literal in single quotes, with its prefix: E, U&, B, X, N"
    CONTINUATION = "further segment of the string before it, on a later line"
    DOLLAR = "literal in dollar quotes"
    NUMBER = "numeric literal"
    PARAMETER = ":name or :name.attribute"
    POSITIONAL = "$1"
    OPERATOR = "one or more of ~!@#^&|`?+-*/%<>="
    CAST = "::"
    ASSIGN = ":="
    SLICE = "the colon between the bounds of a subscript"
    COLON = "any other colon"
    OPEN = "( or ["
    CLOSE = ") or ]"
    PUNCTUATION = ", ; . or .."
    OTHER = "a character that means nothing to PostgreSQL"


# What PostgreSQL's parser never sees. A tuple, for an Enum's hash is slow in Python 3.11.
BLANK = (Kind.SPACE, Kind.LINE_COMMENT, Kind.BLOCK_COMMENT)


class Token(NamedTuple):
    """A stretch of the text: ``text[start:end]``."""

    kind: Kind
    start: int
    end: int


class LexerError(ValueError):
    """Something opens at ``offset`` and never ends; ``reason`` says what."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(offset, reason)
        self.offset = offset
        self.reason = reason


def _all(pattern: str, times: str = "*") -> str:
    """Return what matches ``pattern`` as often as it can and never gives one back.

    For one character a possessive quantifier says so; behind a group, Python before 3.11.5 misreads it (gh-106052).
    """
    return f"(?>(?:{pattern}){times})"


# PostgreSQL's scanner works on bytes: every byte of a non-ASCII character may stand in an identifier. Said by what may
# not, for a range up to the last character takes Python ten milliseconds to compile.
_NO_LETTER = r"\x3a-\x40\x5b-\x5e\x60\x7b-\x7f"
_START = rf"[^\x00-\x2f0-9{_NO_LETTER}]"
_NAME = rf"{_START}[^\x00-\x2f{_NO_LETTER}]*+"
_WORD = rf"{_START}[^\x00-\x23\x25-\x2f{_NO_LETTER}]*+"  # with $, which no parameter's name has
_DIGITS = "[0-9]" + _all("_?[0-9]")
_FRACTION = r"\.(?!\.)" + _all(_DIGITS, "?")  # 1..10 is an integer, two dots and an integer: scan.l's numericfail
_EXPONENT = f"[eE][-+]?{_DIGITS}"
_NUMBER = (
    f"0[xX]{_all('_?[0-9A-Fa-f]', '+')}|0[oO]{_all('_?[0-7]', '+')}|0[bB]{_all('_?[01]', '+')}"
    rf"|(?:{_DIGITS}{_all(_FRACTION, '?')}|\.{_DIGITS}){_all(_EXPONENT, '?')}"
)
_IDENTIFIER = '"[^"]*+' + _all('""[^"]*+') + '"'
_OPERATOR = _all(r"(?!--|/\*)[~!@\#^&|`?+\-*/%<>=]", "+")
_SCAN = re.compile(
    rf"""(?P<SPACE>[ \t\n\r\f\v]++)
    |(?P<WORD>(?![eEbBxXnN]'|[uU]&['"]){_WORD})
    |(?P<LINE_COMMENT>--[^\n\r]*+)
    |(?P<block>/\*)
    |(?P<string>(?:(?P<prefix>[eEbBxXnN])|[uU]&)?')
    |(?P<QUOTED>(?:[uU]&)?{_IDENTIFIER})
    |(?P<unquoted>(?:[uU]&)?")
    |(?P<NUMBER>{_NUMBER})
    |(?P<POSITIONAL>\$[0-9]++)
    |(?P<dollar>\$(?:{_NAME})?\$)
    |(?P<CAST>::)
    |(?P<ASSIGN>:=)
    |(?P<colon>:)
    |(?P<operator>{_OPERATOR})
    |(?P<open>[(\[])
    |(?P<close>[)\]])
    |(?P<PUNCTUATION>\.\.|[,;.])
    |(?P<OTHER>.)
    """,
    re.VERBOSE | re.DOTALL,
)
#: ``:name`` or ``:name.attribute``, where it is known that a parameter begins.
PARAMETER = re.compile(f":{_NAME}" + _all(rf"\.{_NAME}"))
_NESTED = re.compile(r"/\*|\*/")
# What follows the opening quote, through the closing one.
_PLAIN = re.compile("[^']*+" + _all("''[^']*+") + "'")
_ESCAPED = re.compile(r"[^'\\]*+" + _all(r"(?:''|\\.)[^'\\]*+") + "'", re.DOTALL)
_BITS = re.compile(r"[^']*+'")
# Between two segments of one string: blanks and comments with at least one line end (scan.l's quotecontinue).
_GAP = re.compile(_all(r"[ \t\f\v]|--[^\n\r]*+") + r"[\n\r]" + _all(r"[ \t\n\r\f\v]|--[^\n\r]*+[\n\r]") + "(?=')")
_BODIES = {"e": _ESCAPED, "b": _BITS, "x": _BITS}

# PostgreSQL 18's reserved words (kwlist.h), those that take no argument and so end an expression left out,
# with the operators among its other words: a colon behind one of these is no slice.
RESERVED = frozenset(
    """
    all analyse analyze and any array as asc asymmetric between both case cast check collate column
    concurrently constraint create cross deferrable desc distinct do else except fetch for foreign from full
    grant group having ilike in initially inner intersect into is join lateral leading left like limit
    natural not offset on only or order outer overlaps placing primary references returning right select
    similar some symmetric table tablesample then to trailing union unique using variadic verbose when where
    window with
    """.split()  # noqa: SIM905 (a list literal would be ninety lines)
)
_OPERANDS = (
    Kind.QUOTED,
    Kind.STRING,
    Kind.CONTINUATION,
    Kind.DOLLAR,
    Kind.NUMBER,
    Kind.PARAMETER,
    Kind.POSITIONAL,
    Kind.CLOSE,
)


def ends_operand(text: str, token: Token | None, before: Token | None) -> bool:
    """Tell whether an expression can end with a token: a colon behind it in a subscript is a slice."""
    if token is None:
        return False
    if token.kind is Kind.WORD:
        column = before is not None and text[before.start : before.end] == "."
        return column or text[token.start : token.end].lower() not in RESERVED
    return token.kind in _OPERANDS


def tokenize(text: str, start: int = 0, end: int | None = None, *, subscript: bool = False) -> list[Token]:
    """Return the tokens of ``text[start:end]``, which they tile.

    ``subscript`` says that the stretch begins inside a ``[``. Raises LexerError for a string, a quoted
    identifier, a block comment or a dollar quote that does not end.
    """
    return _Scanner(text, len(text) if end is None else end, subscript).scan(start)


class _Scanner:
    """The state of one pass: what is open, and the tokens so far."""

    __slots__ = ("body", "continues", "end", "opened", "text", "tokens")

    def __init__(self, text: str, end: int, subscript: bool) -> None:
        self.text = text
        self.end = end
        self.opened = ["["] if subscript else []
        self.tokens: list[Token] = []
        # Where the next segment of a continued string begins, and the rules of its body.
        self.continues = -1
        self.body = _PLAIN

    def scan(self, start: int) -> list[Token]:
        kinds, new, text, end, append = _KINDS, tuple.__new__, self.text, self.end, self.tokens.append
        while start < end:
            # One match behind the other, until one of them ends elsewhere than where it ends for PostgreSQL.
            for found in _SCAN.finditer(text, start, end):
                kind, stop = kinds.get(found.lastgroup), found.end()
                if kind is None:
                    token = self._special(found.lastgroup, found)
                    append(token)
                    start = token[2]
                    if start != stop:
                        break
                else:
                    # NamedTuple's own __new__ is a Python function and takes twice as long.
                    append(new(Token, (kind, start, stop)))
                    start = stop
        return self.tokens

    def _special(self, group: str | None, found: re.Match[str]) -> Token:
        start, stop = found.span()
        match group:
            case "string":
                if start != self.continues:
                    self.body = _BODIES.get((found["prefix"] or "").lower(), _PLAIN)
                return self._segment(start, stop)
            case "block":
                return Token(Kind.BLOCK_COMMENT, start, self._end_of_comment(start))
            case "dollar":
                return Token(Kind.DOLLAR, start, self._end_of_dollar(start, found.group()))
            case "operator":
                return Token(Kind.OPERATOR, start, start + _operator_length(found.group()))
            case "colon":
                return self._colon(start)
            case "open":
                self.opened.append(found.group())
                return Token(Kind.OPEN, start, stop)
            case "close":
                if self.opened:
                    self.opened.pop()
                return Token(Kind.CLOSE, start, stop)
        raise LexerError(start, "unterminated quoted identifier")

    def _segment(self, start: int, inside: int) -> Token:
        body = self.body.match(self.text, inside, self.end)
        if body is None:
            raise LexerError(start, "unterminated string")
        kind = Kind.CONTINUATION if start == self.continues else Kind.STRING
        gap = _GAP.match(self.text, body.end(), self.end)
        self.continues = gap.end() if gap else -1
        return Token(kind, start, body.end())

    def _end_of_comment(self, start: int) -> int:
        depth = 0
        for mark in _NESTED.finditer(self.text, start, self.end):
            depth += 1 if mark.group() == "/*" else -1
            if depth == 0:
                return mark.end()
        raise LexerError(start, "unterminated block comment (they nest in PostgreSQL)")

    def _end_of_dollar(self, start: int, quote: str) -> int:
        close = self.text.find(quote, start + len(quote), self.end)
        if close < 0:
            raise LexerError(start, f"unterminated dollar quote {quote}")
        return close + len(quote)

    def _colon(self, start: int) -> Token:
        """Decide between parameter and slice: behind a finished bound only a slice's colon can stand."""
        subscript = bool(self.opened) and self.opened[-1] == "["
        if not (subscript and ends_operand(self.text, *self._last_two())):
            found = PARAMETER.match(self.text, start, self.end)
            if found:
                return Token(Kind.PARAMETER, start, found.end())
        return Token(Kind.SLICE if subscript else Kind.COLON, start, start + 1)

    def _last_two(self) -> tuple[Token | None, Token | None]:
        """Return the last token that is no blank, and the one before it."""
        found = islice((token for token in reversed(self.tokens) if token[0] not in BLANK), 2)
        return next(found, None), next(found, None)


def _operator_length(operator: str) -> int:
    """Return how much of a run of characters is one operator: ``=-`` is two, ``?-`` is one (scan.l)."""
    if operator[-1] not in "+-" or set(operator) & set("~!@#^&|`?%"):
        return len(operator)
    return len(operator.rstrip("+-")) or 1


_KINDS: dict[str | None, Kind] = {kind.name: kind for kind in Kind}
