"""Files in aiosql's form, rewritten into sqlkit's.

There an operator behind a name says what a statement does (``get_user^``), here a word does (``get_user :optional``).
The SQL itself stays as it is, but for the ``%%`` that psycopg wanted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlkit.lexer import BLANK, Kind, Token
from sqlkit.sqlfile.sqltext import SqlText, python_name

__all__ = ["Converted", "convert", "is_aiosql"]

#: aiosql's operators, and the words for them; none is "all rows", which is written out, for a proof may say one.
OPERATORS = {
    "": ":many",
    "^": ":optional",
    "$": ":optional",
    "!": ":execrows",
    "<!": ":optional",
    "*!": ":batchexec",
    "#": ":exec",
}
_HEADER = re.compile(r"--\s*name\s*:\s*([\w-]+)\s*(\([^)]*\))?\s*(\^|\$|<!|\*!|!|#)?\s*")
_RECORD_CLASS = re.compile(r"--\s*record_class\s*:.*")


@dataclass(frozen=True, slots=True)
class Converted:
    """A file in sqlkit's form, and what there is to say of its lines: (line of the old file, remark)."""

    text: str
    remarks: tuple[tuple[int, str], ...]


def is_aiosql(source: SqlText) -> bool:
    """Tell whether a file is in aiosql's form: whether a name has an operator, parameters or a hyphen."""
    return any(
        found[2] or found[3] or "-" in found[1]
        for token in source.tokens()
        if (found := _header(source, token)) is not None
    )


def _header(source: SqlText, token: Token) -> re.Match[str] | None:
    if token.kind is not Kind.LINE_COMMENT or not source.first_on_line(token.start):
        return None
    return _HEADER.fullmatch(source.text, token.start, token.end)


def convert(text: str, path: Path) -> Converted:
    """Return a file of aiosql's in sqlkit's form; SqlFileError for a name that Python cannot have."""
    return _Conversion(SqlText(text, path)).run()


class _Conversion:
    """Collects replacements of stretches of the text, from its beginning to its end."""

    def __init__(self, source: SqlText) -> None:
        self.source = source
        self.remarks: list[tuple[int, str]] = []
        self.parts: list[str] = []
        self.written = 0

    def run(self) -> Converted:
        tokens = self.source.tokens()
        headers = [index for index, token in enumerate(tokens) if _header(self.source, token)]
        for index, behind in zip(headers, [*headers[1:], len(tokens)], strict=True):
            self._statement(tokens[index], tokens[index + 1 : behind])
        return Converted("".join(self.parts) + self.source.text[self.written :], tuple(self.remarks))

    def _replace(self, start: int, end: int, text: str) -> None:
        self.parts += [self.source.text[self.written : start], text]
        self.written = end

    def _remark(self, offset: int, remark: str) -> None:
        found = (self.source.line(offset), remark)
        if found not in self.remarks:
            self.remarks.append(found)

    def _statement(self, header: Token, tokens: list[Token]) -> None:
        found = _header(self.source, header)
        assert found is not None  # noqa: S101 - the caller has looked
        name = python_name(found[1].replace("-", "_"))
        if name is None:
            raise self.source.error(header.start, f"{found[1]!r} cannot be a name in Python; choose another")
        word = OPERATORS[found[3] or ""]
        ends = list(_ends(self.source.text, tokens)) if found[3] == "#" else []
        if len(ends) > 1:
            self._replace(header.start, header.end, f"-- name: {name}_1 {word}")
            self._remark(
                header.start, f"{name} is a script: each of its {len(ends)} statements has a name of its own now"
            )
        else:
            self._replace(header.start, header.end, f"-- name: {name} {word}")
        self._body(tokens, ends, name)

    def _body(self, tokens: list[Token], ends: list[int], name: str) -> None:
        """Copy a statement: without its record class, with single percent signs, a script cut at its semicolons."""
        text, number = self.source.text, 1
        for position, token in enumerate(tokens):
            if token.kind is Kind.LINE_COMMENT and _RECORD_CLASS.fullmatch(text, token.start, token.end):
                following = tokens[position + 1 : position + 2]
                blank = following[0] if following and following[0].kind is Kind.SPACE else token
                end = text.find("\n", blank.start, blank.end) + 1 if blank is not token else token.end
                self._replace(token.start, end or token.end, "")
                self._remark(token.start, "record_class is dropped: the method's annotation says what a row becomes")
            elif token.kind not in BLANK and "%%" in text[token.start : token.end]:
                self._replace(token.start, token.end, text[token.start : token.end].replace("%%", "%"))
                self._remark(token.start, "%% is % now: sqlkit has no escape for it")
            elif token.end in ends[:-1]:
                number += 1
                self._replace(token.end, token.end, f"\n\n-- name: {name}_{number} :exec")


def _ends(text: str, tokens: list[Token]) -> Iterator[int]:
    """Yield where the statements of a script end: behind each ``;`` outside of parentheses, and at the last token."""
    depth, end = 0, 0
    for kind, start, stop in tokens:
        if kind in BLANK:
            continue
        depth += (kind is Kind.OPEN) - (kind is Kind.CLOSE)
        end = stop
        if text[start:stop] == ";" and depth <= 0:
            yield stop
            end = 0
    if end:
        yield end
