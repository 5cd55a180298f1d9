"""A ``.sql`` file cut at its ``-- name:`` headers: name, doc, directives, the bounds of the statement."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlkit.lexer import BLANK, Kind, Token
from sqlkit.sqltext import SqlText, python_name

__all__ = ["Section", "cut", "whole"]

_HEADER = re.compile(r"--\s*name\s*:\s*(.*?)\s*")
_DIRECTIVE = re.compile(r"--@\s*([A-Za-z_][\w-]*)\s*:\s*(\S.*?)\s*")


@dataclass(frozen=True, slots=True)
class Section:
    """One statement's part of a file.

    ``tokens`` are all behind the header, ``text_start`` and ``text_end`` the offsets of the statement's own
    text.
    """

    name: str
    doc: str
    directives: dict[str, str]
    header: int
    tokens: Sequence[Token]
    text_start: int
    text_end: int


def cut(source: SqlText) -> Iterator[Section]:
    """Yield the sections of a file; raise SqlFileError for what belongs to none and for a name given twice."""
    tokens = source.tokens()
    headers = [index for index, token in enumerate(tokens) if _is_header(source, token)]
    _expect_nothing(source, tokens[: headers[0]] if headers else tokens)
    if not headers:
        raise source.error(0, "no statement; begin each with a line -- name: some_name")
    lines: dict[str, int] = {}
    for index, behind in zip(headers, [*headers[1:], len(tokens)], strict=True):
        header = tokens[index]
        name = _name(source, header)
        if name in lines:
            raise source.error(header.start, f"the name {name} is taken by the statement in line {lines[name]}")
        lines[name] = source.line(header.start)
        yield _section(source, name, header, tokens[index + 1 : behind])


def whole(source: SqlText, name: str) -> Section:
    """Return a text without header as one section."""
    tokens = source.tokens()
    for token in tokens:
        if _is_header(source, token):
            raise source.error(token.start, "a -- name: line belongs in a file; here is one statement without a name")
    return _section(source, name, None, tokens)


def _is_header(source: SqlText, token: Token) -> bool:
    return (
        token.kind is Kind.LINE_COMMENT
        and _HEADER.match(source.text, token.start, token.end) is not None
        and source.first_on_line(token.start)
    )


def _name(source: SqlText, header: Token) -> str:
    found = _HEADER.fullmatch(source.text, header.start, header.end)
    written = found[1] if found else ""
    name = python_name(written)
    if name is None:
        raise source.error(header.start, f"{written!r} cannot be a name in Python; write -- name: some_name")
    return name


def _expect_nothing(source: SqlText, tokens: Sequence[Token]) -> None:
    for token in tokens:
        if token.kind not in BLANK:
            raise source.error(token.start, "SQL before the first -- name: line")
        if source.text.startswith(("--?", "--|", "--@"), token.start):
            raise source.error(token.start, "a marker before the first -- name: line")


def _section(source: SqlText, name: str, header: Token | None, tokens: Sequence[Token]) -> Section:
    doc, behind = _doc(source, header, tokens)
    directives, behind = _directives(source, tokens, behind)
    text_end = _end(source, tokens, header)
    text_start = next(token.start for token in tokens[behind:] if token.kind is not Kind.SPACE)
    return Section(name, doc, directives, header.start if header else 0, tokens, text_start, text_end)


def _doc(source: SqlText, header: Token | None, tokens: Sequence[Token]) -> tuple[str, int]:
    """Return the comment lines directly behind the header, and the index behind the last of them."""
    lines: list[str] = []
    behind = 0
    line = source.line(header.start) + 1 if header else 0
    for index, (kind, start, end) in enumerate(tokens):
        if kind is Kind.SPACE:
            continue
        comment = source.text[start:end]
        if kind is not Kind.LINE_COMMENT or source.line(start) != line or _marks(comment):
            break
        line += 1
        if not comment.startswith("--@"):
            lines.append(comment[2:].removeprefix(" ").rstrip())
            behind = index + 1
    return "\n".join(lines).strip("\n"), behind


def _marks(comment: str) -> bool:
    """Tell whether a comment is a marker of lines, or a commented-out choice line."""
    return comment.startswith("--?") or ("--|" in comment and not comment.startswith("--@"))


def _directives(source: SqlText, tokens: Sequence[Token], behind: int) -> tuple[dict[str, str], int]:
    """Return the directives, which stand before the SQL, and the index behind the last of them."""
    directives: dict[str, str] = {}
    begun = False
    for index, (kind, start, end) in enumerate(tokens):
        begun = begun or kind not in BLANK
        if kind is not Kind.LINE_COMMENT or not source.text.startswith("--@", start):
            continue
        found = _DIRECTIVE.fullmatch(source.text, start, end)
        if not found:
            raise source.error(start, "a directive that does not parse; write --@ key: value")
        if begun:
            raise source.error(start, "a directive stands directly under the name, before the SQL")
        if found[1] in directives:
            raise source.error(start, f"the directive {found[1]} is given twice")
        directives[found[1]] = found[2]
        behind = max(behind, index + 1)
    return directives, behind


def _end(source: SqlText, tokens: Sequence[Token], header: Token | None) -> int:
    """Return the offset behind the closing ``;``, or else behind the last token that is no blank."""
    begun, closed, last = False, 0, 0
    body = _AtomicBody(source.text)
    for token in tokens:
        if token.kind not in BLANK:
            if closed:
                raise source.error(token.start, "two statements under one name; give each its own -- name: line")
            if body.ends_statement(token):
                closed = token.end
            else:
                begun = True
        if token.kind is not Kind.SPACE:
            last = token.start + len(source.text[token.start : token.end].rstrip())
    if not begun:
        raise source.error(header.start if header else 0, "an empty statement")
    return closed or last


class _AtomicBody:
    """Finds the ``;`` that ends a statement: outside parentheses and outside ``begin atomic ... end``."""

    __slots__ = ("before", "depth", "opened", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.before = ""
        self.depth = 0
        self.opened = 0

    def ends_statement(self, token: Token) -> bool:
        """Take the next significant token and tell whether it is the closing ``;``."""
        kind = token.kind
        if kind is Kind.OPEN:
            self.opened += 1
        elif kind is Kind.CLOSE:
            self.opened -= 1
        before, self.before = self.before, ""
        if kind is Kind.WORD:
            self._word(self.text[token.start : token.end].lower(), before)
        elif kind is Kind.PUNCTUATION:
            self.before = self.text[token.start : token.end]
            return self.before == ";" and self.depth == 0 and self.opened <= 0
        return False

    def _word(self, word: str, before: str) -> None:
        self.before = word
        if before in (".", "as"):  # a label: the names of columns may be any word there
            return
        if (word == "atomic" and before == "begin") or (self.depth and word == "case"):
            self.depth += 1
        elif self.depth and word == "end":
            self.depth -= 1
