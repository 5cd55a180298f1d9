"""A ``.sql`` file cut at its ``-- name:`` headers: name, doc, directives, the bounds of the statement."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlkit.lexer import BLANK, Kind, Token
from sqlkit.sqlfile.sqltext import SqlText, python_name

__all__ = ["CARDINALITIES", "Section", "cut", "whole"]

#: The words that may stand behind a name: sqlc's, and ``optional`` and ``stream``. ``sqlkit generate`` reads them.
CARDINALITIES = (
    "one",
    "optional",
    "many",
    "stream",
    "exec",
    "execrows",
    "execresult",
    "batchexec",
    "batchone",
    "batchmany",
    "copyfrom",
)

# The name is local to this module for speed: a file of a megabyte has a quarter of a million tokens.
_COMMENT = Kind.LINE_COMMENT
_SPACE, _BLOCK = Kind.SPACE, Kind.BLOCK_COMMENT
_PUNCTUATION = Kind.PUNCTUATION
_HEADER = re.compile(r"--\s*name\s*:\s*(.*?)\s*")
_WORD = re.compile(r"(\S+)\s+:\s*(\S*)")
_DIRECTIVE = re.compile(r"--@\s*([A-Za-z_][\w-]*)\s*:\s*(\S.*?)\s*")


@dataclass(frozen=True, slots=True)
class Section:
    """One statement's part of a file.

    ``tokens`` are all behind the header, ``items`` the significant ones, ``comments`` the line comments;
    ``text_start`` and ``text_end`` are the offsets of the statement's own text.
    """

    name: str
    doc: str
    directives: dict[str, str]
    header: int
    tokens: Sequence[Token]
    items: Sequence[Token]
    comments: Sequence[Token]
    text_start: int
    text_end: int


def cut(source: SqlText) -> Iterator[Section]:
    """Yield the sections of a file; raise SqlFileError for what belongs to none and for a name given twice."""
    tokens = source.tokens()
    headers = [index for index, token in enumerate(tokens) if token[0] is _COMMENT and _is_header(source, token)]
    _expect_nothing(source, tokens[: headers[0]] if headers else tokens)
    if not headers:
        raise source.error(0, "no statement; begin each with a line -- name: some_name")
    lines: dict[str, int] = {}
    for index, behind in zip(headers, [*headers[1:], len(tokens)], strict=True):
        header = tokens[index]
        name, word = _name(source, header)
        if name in lines:
            raise source.error(header.start, f"the name {name} is taken by the statement in line {lines[name]}")
        lines[name] = source.line(header.start)
        yield _section(source, name, header, tokens[index + 1 : behind], word)


def whole(source: SqlText, name: str) -> Section:
    """Return a text without header as one section."""
    tokens = source.tokens()
    for token in tokens:
        if token.kind is _COMMENT and _is_header(source, token):
            raise source.error(token.start, "a -- name: line belongs in a file; here is one statement without a name")
    return _section(source, name, None, tokens)


def _is_header(source: SqlText, comment: Token) -> bool:
    found = _HEADER.match(source.text, comment.start, comment.end)
    return found is not None and source.first_on_line(comment.start)


def _name(source: SqlText, header: Token) -> tuple[str, str | None]:
    """Return the name of a header, and the word behind it that says how many rows there are."""
    found = _HEADER.fullmatch(source.text, header.start, header.end)
    written, word = found[1] if found else "", None
    if behind := _WORD.fullmatch(written):
        written, word = behind.groups()
        if word not in CARDINALITIES:
            known = ", ".join(f":{each}" for each in CARDINALITIES)
            raise source.error(header.start, f":{word} says nothing behind a name; write one of {known}")
    name = python_name(written)
    if name is None:
        raise source.error(header.start, f"{written!r} cannot be a name in Python; write -- name: some_name")
    return name, word


def _expect_nothing(source: SqlText, tokens: Sequence[Token]) -> None:
    for token in tokens:
        if token.kind not in BLANK:
            raise source.error(token.start, "SQL before the first -- name: line")
        if source.text.startswith(("--?", "--|", "--@"), token.start):
            raise source.error(token.start, "a marker before the first -- name: line")


def _section(
    source: SqlText, name: str, header: Token | None, tokens: Sequence[Token], word: str | None = None
) -> Section:
    items = [
        token for token in tokens if (kind := token[0]) is not _SPACE and kind is not _COMMENT and kind is not _BLOCK
    ]
    comments = [token for token in tokens if token[0] is _COMMENT]
    start = header.start if header else 0
    if not items:
        raise source.error(start, "an empty statement")
    doc, behind = _doc(source, header, items[0], comments)
    directives, behind = _directives(source, items[0], comments, behind, {"cardinality": word} if word else {})
    text_start = next(token.start for token in tokens if token.start >= behind and token.kind is not _SPACE)
    text_end = _end(source, items, start) or _last(source, tokens)
    return Section(name, doc, directives, start, tokens, items, comments, text_start, text_end)


def _doc(source: SqlText, header: Token | None, first: Token, comments: Sequence[Token]) -> tuple[str, int]:
    """Return the comment lines directly behind the header, and the offset behind the last of them."""
    lines: list[str] = []
    behind = header.end if header else 0
    line = source.line(header.start) if header else -1
    for comment in comments:
        text = source.text[comment.start : comment.end]
        line += 1
        if comment.start > first.start or source.line(comment.start) != line or _marks(text):
            break
        if not text.startswith("--@"):
            lines.append(text[2:].removeprefix(" ").rstrip())
            behind = comment.end
    return "\n".join(lines).strip("\n"), behind


def _marks(comment: str) -> bool:
    """Tell whether a comment is a marker of lines, or a commented-out choice line."""
    return comment.startswith("--?") or ("--|" in comment and not comment.startswith("--@"))


def _directives(
    source: SqlText, first: Token, comments: Sequence[Token], behind: int, directives: dict[str, str]
) -> tuple[dict[str, str], int]:
    """Add the directives, which stand before the SQL; return them and the offset behind the last of them."""
    for _, start, end in comments:
        if not source.text.startswith("--@", start):
            continue
        found = _DIRECTIVE.fullmatch(source.text, start, end)
        if not found:
            raise source.error(start, "a directive that does not parse; write --@ key: value")
        if start > first.start:
            raise source.error(start, "a directive stands directly under the name, before the SQL")
        if found[1] in directives:
            raise source.error(start, f"the directive {found[1]} is given twice")
        if found[1] == "cardinality" and found[2] not in CARDINALITIES:
            raise source.error(start, f"the cardinality is one of {', '.join(CARDINALITIES)}")
        directives[found[1]] = found[2]
        behind = max(behind, end)
    return directives, behind


def _end(source: SqlText, items: Sequence[Token], start: int) -> int:
    """Return the offset behind the closing ``;``, 0 if there is none."""
    text = source.text
    ends = [index for index, (kind, begin, _) in enumerate(items) if kind is _PUNCTUATION and text[begin] == ";"]
    if ends == [len(items) - 1] and ends[0] and "atomic" not in text[items[0][1] : items[-1][2]].lower():
        return items[-1][2]
    opened, body = 0, _AtomicBody()
    for index, (kind, begin, end) in enumerate(items):
        if kind is Kind.OPEN:
            opened += 1
        elif kind is Kind.CLOSE:
            opened -= 1
        elif kind is Kind.WORD:
            body.take(text[begin:end].lower())
        elif kind is Kind.PUNCTUATION:
            body.take(text[begin:end])
            if text[begin] == ";" and opened <= 0 and not body.depth:
                if not index:
                    raise source.error(start, "an empty statement")
                if index + 1 < len(items):
                    place = items[index + 1].start
                    raise source.error(place, "two statements under one name; give each its own -- name: line")
                return end
    return 0


def _last(source: SqlText, tokens: Sequence[Token]) -> int:
    """Return the offset behind the last token that is no blank, comments included."""
    last = next(token for token in reversed(tokens) if token.kind is not Kind.SPACE)
    # Other blanks than these are letters to PostgreSQL, a no-break space too.
    return last.start + len(source.text[last.start : last.end].rstrip(" \t\f\v"))


class _AtomicBody:
    """Follows ``begin atomic ... end``, in which a ``;`` ends no statement; ``case ... end`` nests in it."""

    __slots__ = ("before", "depth")

    def __init__(self) -> None:
        self.before = ""
        self.depth = 0

    def take(self, word: str) -> None:
        """Take the next word, in lower case, or punctuation."""
        before, self.before = self.before, word
        if before in (".", "as"):  # a label: the names of columns may be any word there
            return
        if (word == "atomic" and before == "begin") or (self.depth and word == "case"):
            self.depth += 1
        elif self.depth and word == "end":
            self.depth -= 1
