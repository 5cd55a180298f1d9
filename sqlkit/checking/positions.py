"""Where things stand in a ``.sql`` file: an offset in a variant's text, a parameter, a column of the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from sqlkit.checking.findings import Place
from sqlkit.checking.outputs import Item, output_items
from sqlkit.describing.description import Description, Refused
from sqlkit.errors import SqlFileError
from sqlkit.lexer import BLANK, Kind, Token, tokenize
from sqlkit.sqlfile.sqltext import LINE_END, SqlText, python_name, read_text
from sqlkit.statements import Reference, Statement

__all__ = ["SqlPlaces", "common_words", "variant_words"]


class SqlPlaces:
    """Finds places in the files of statements."""

    def statement(self, statement: Statement) -> Place:
        """Return the place of a statement's first word."""
        first = _first(statement.text)
        return self.at(statement, first.start, first.end) if first else self.at(statement, 0)

    def header(self, statement: Statement) -> Place:
        """Return the place of a statement's ``-- name:`` line."""
        return self.line(statement.path, statement.line)

    def line(self, path: Path, line: int) -> Place:
        """Return the place of a whole line, from its first character that is no blank."""
        text = _line(path, line)
        column = len(text) - len(text.lstrip()) + 1
        return Place(path, line, column, max(len(text.rstrip()), column) + 1)

    def directive(self, statement: Statement, key: str) -> Place:
        """Return the place of a directive, of the header where it has none of this key."""
        for line in range(statement.line, statement.text_line):
            text = _line(statement.path, line)
            if text.lstrip().removeprefix("--@").partition(":")[0].strip() == key and "--@" in text:
                return Place(statement.path, line, text.index("--@") + 1, len(text.rstrip()) + 1)
        return self.header(statement)

    def documentation(self, statement: Statement, words: str) -> Place:
        """Return the place of a line of a statement's documentation, of the header where it is not found."""
        for line in range(statement.line, statement.text_line):
            text = _line(statement.path, line)
            if text.lstrip().startswith("--") and text.rstrip().endswith(words.strip()):
                return Place(statement.path, line, text.index("--") + 1, len(text.rstrip()) + 1)
        return self.header(statement)

    def in_variant(self, statement: Statement, given: int, chosen: tuple[str, ...], offset: int) -> Place:
        """Return the place of what stands at an offset (from 0) of a variant's text, its whole word."""
        start = statement.locate(given, chosen, offset)
        return self.at(statement, start, _end_of_token(statement.text, start))

    def refusal(self, description: Description, refused: Refused) -> Place:
        """Return the place of what PostgreSQL refuses in a variant; the statement's first word where it names none."""
        statement = description.statement
        if refused.offset is not None:
            return self.in_variant(statement, description.given, description.chosen, refused.offset)
        return self.statement(statement) if refused.parameter is None else self.parameter(statement, refused.parameter)

    def parameter(self, statement: Statement, reference: Reference | str) -> Place:
        """Return the place where a parameter is first used; a name stands for whatever is read from it.

        The first word of the statement where it is used nowhere.
        """
        wanted = str(reference)
        for start, end in _parameters(statement.text):
            written = ".".join(python_name(part) or part for part in statement.text[start + 1 : end].split("."))
            if written == wanted or (isinstance(reference, str) and written.startswith(f"{wanted}.")):
                return self.at(statement, start, end)
        return self.statement(statement)

    def column(
        self, statement: Statement, index: int, name: str, given: int = 0, chosen: tuple[str, ...] = ()
    ) -> Place:
        """Return the place of a variant's output column, by its index (from 0) and its name.

        That is its item in the outermost select or returning list; of what comes from a ``*``, the star's; the
        statement's first word where there is no such list.
        """
        text = statement.variant(given, chosen).text
        item = _item(output_items(text), index, name)
        if item is None:
            return self.statement(statement)
        start = statement.locate(given, chosen, item.start)
        return self.at(statement, start, statement.locate(given, chosen, item.end - 1) + 1)

    def copied(self, statement: Statement, column: str) -> Place:
        """Return the place of a column in the list of a ``copy``, else of the statement's first word."""
        for token in tokenize(statement.text):
            written = statement.text[token.start : token.end]
            quoted = token.kind is Kind.QUOTED and written.strip('"').replace('""', '"') == column
            if quoted or (token.kind is Kind.WORD and written.lower() == column):
                return self.at(statement, token.start, token.end)
        return self.statement(statement)

    def at(self, statement: Statement, start: int, end: int | None = None) -> Place:
        """Return the place of a stretch of ``statement.text``, as far as its first line goes."""
        source = SqlText(statement.text, statement.path)
        line = source.line(start)
        first = source.line_start(line)
        shift = _indent(statement) if line == 1 else 0
        stop = min(end or start + 1, source.line_start(line + 1))
        stop = first + len(LINE_END.split(statement.text[first:stop])[0].rstrip())
        column = start - first + shift + 1
        return Place(statement.path, statement.text_line + line - 1, column, max(stop - first + shift + 1, column + 1))


def variant_words(statement: Statement, given: int, chosen: tuple[str, ...] = ()) -> str | None:
    """Say in words which variant is meant: ``with genre, without tempo, order: newest``; None where there is one."""
    return _spelt(_traits(statement, given, chosen))


def common_words(statement: Statement, variants: Sequence[tuple[int, tuple[str, ...]]]) -> str | None:
    """Say what some variants have in common and no other has, else which the first of them is; None for all."""
    every = {each: _traits(statement, *each) for each in statement.variants()}
    if set(every) <= set(variants):
        return None
    first = _traits(statement, *variants[0])
    common = [trait for trait in first if all(trait in _traits(statement, *each) for each in variants)]
    telling = [each for each, traits in every.items() if set(common) <= set(traits)]
    return _spelt(common if common and set(telling) <= set(variants) else first)


def _traits(statement: Statement, given: int, chosen: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return what tells a variant from the others, in order: (with, genre), (without, tempo), (order, newest)."""
    names: dict[str, bool] = {}
    for bit, references in enumerate(statement.needs(chosen)):
        for reference in references:
            names[str(reference)] = names.get(str(reference), False) or bool(given >> bit & 1)
    traits = [("with", name) for name, stands in names.items() if stands]
    traits += [("without", name) for name, stands in names.items() if not stands]
    return traits + list(zip(statement.choices, chosen or statement.standing, strict=True))


def _spelt(traits: Sequence[tuple[str, str]]) -> str | None:
    words = []
    for word in ("with", "without"):
        if names := [name for kind, name in traits if kind == word]:
            words.append(f"{word} {_listed(names)}")
    words += [f"{key}: {label}" for key, label in traits if key not in ("with", "without")]
    return ", ".join(words) or None


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _parameters(text: str) -> Iterator[tuple[int, int]]:
    """Yield the bounds of all parameters in order, those in commented-out choice lines too."""
    return ((token.start, token.end) for token in _tokens(text) if token.kind is Kind.PARAMETER)


def _tokens(text: str) -> Iterator[Token]:
    """Yield a statement's tokens, those of its commented-out choice lines instead of the comment."""
    for token in tokenize(text):
        if token.kind is Kind.LINE_COMMENT and "--|" in text[token.start + 2 : token.end]:
            yield from tokenize(text, token.start + 2, token.end)
        else:
            yield token


def _item(items: Sequence[Item] | None, index: int, name: str) -> Item | None:
    """Choose the item of a column: by its index as long as no star stands before it, else by its name."""
    if not items:
        return None
    stars = [number for number, item in enumerate(items) if item.star]
    if not stars or index < stars[0]:
        return items[index] if index < len(items) else None
    named = [item for item in items if item.label == name]
    return named[0] if named else items[stars[0]]


def _first(text: str) -> Token | None:
    return next((token for token in tokenize(text) if token.kind not in BLANK), None)


def _end_of_token(text: str, start: int) -> int:
    return next((token.end for token in _tokens(text) if token.start <= start < token.end), start + 1)


@lru_cache(maxsize=64)
def _read(path: Path, stamp: int) -> SqlText:  # noqa: ARG001 - an edited file is another one
    return read_text(path)


def _line(path: Path, line: int) -> str:
    """Return a line of a file, without its end; nothing where the file is away."""
    try:
        source = _read(path, path.stat().st_mtime_ns)
    except (OSError, SqlFileError):
        return ""
    return LINE_END.split(source.text[source.line_start(line) : source.line_start(line + 1)])[0]


def _indent(statement: Statement) -> int:
    """Return how far a statement's first line is indented, which its text leaves out."""
    line = _line(statement.path, statement.text_line)
    return len(line) - len(line.lstrip(" \t\f\v"))
