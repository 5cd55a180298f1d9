"""The text of a ``.sql`` file with its places: offsets to lines and columns, and errors that name them."""

from __future__ import annotations

import keyword
import re
import unicodedata
from bisect import bisect_right
from pathlib import Path

from sqlkit.errors import SqlFileError
from sqlkit.lexer import LexerError, Token, tokenize

__all__ = ["LINE_END", "SqlText", "python_name", "read_text"]

# A lone carriage return ends a line for PostgreSQL's scanner, and so its comments.
LINE_END = re.compile(r"\r\n|\n|\r")


class SqlText:
    """A text and where it came from; lines and columns count characters from 1."""

    __slots__ = ("_starts", "path", "text")

    def __init__(self, text: str, path: Path) -> None:
        self.text = text.removeprefix("\ufeff")
        self.path = path
        self._starts = [0, *(end.end() for end in LINE_END.finditer(self.text))]
        if "\0" in self.text:
            raise self.error(self.text.index("\0"), "a NUL character, which PostgreSQL cannot take")

    def line(self, offset: int) -> int:
        """Return the line of an offset."""
        return bisect_right(self._starts, offset)

    def line_start(self, line: int) -> int:
        """Return the offset where a line begins; the text's length for the line behind the last."""
        return self._starts[line - 1] if line <= len(self._starts) else len(self.text)

    def first_on_line(self, offset: int) -> bool:
        """Tell whether only blanks stand before an offset on its line."""
        return not self.text[self.line_start(self.line(offset)) : offset].strip(" \t\f\v")

    def error(self, offset: int, reason: str) -> SqlFileError:
        """Return an error that names the line and column of an offset."""
        line = self.line(offset)
        return SqlFileError(self.path, line, offset - self.line_start(line) + 1, reason)

    def tokens(self) -> list[Token]:
        """Return the tokens of the text; raise SqlFileError at the place of what never ends."""
        try:
            return tokenize(self.text)
        except LexerError as error:
            raise self.error(error.offset, error.reason) from None


def read_text(path: Path) -> SqlText:
    """Read a file that is UTF-8, with or without a byte-order mark; raise SqlFileError where it is not."""
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        raise SqlFileError(path, 1, 1, "is a directory; name one .sql file") from None
    except FileNotFoundError:
        where = "" if path.is_absolute() else " in the working directory"
        raise SqlFileError(path, 1, 1, f"no such file{where}") from None
    except OSError as error:
        raise SqlFileError(path, 1, 1, f"cannot be read: {error.strerror}") from error
    try:
        return SqlText(content.decode(), path)
    except UnicodeDecodeError as error:
        before = SqlText(content[: error.start].decode(), path)
        raise before.error(len(before.text), "not UTF-8; save the file in that encoding") from None


def python_name(written: str) -> str | None:
    """Return a name as Python's own parser reads it (NFKC), or None if it cannot be a name there."""
    name = unicodedata.normalize("NFKC", written)
    return name if name.isidentifier() and not keyword.iskeyword(name) else None
