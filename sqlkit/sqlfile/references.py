"""What a statement asks for: ``:name``, or ``:name.attribute``."""

from __future__ import annotations

from dataclasses import dataclass

from sqlkit.lexer import Kind, Token
from sqlkit.sqlfile.sqltext import SqlText, python_name

__all__ = ["Reference", "reference_of", "refuse"]

# What stands behind the colon in psql's :'name' and :"name", and in the :1 of other libraries.
_MISTAKEN = frozenset("'\"0123456789")


@dataclass(frozen=True, slots=True)
class Reference:
    """A parameter, or what is read from it: ``:song.title`` is ``Reference("song", ("title",))``."""

    name: str
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.name, *self.path))


def reference_of(source: SqlText, token: Token) -> Reference:
    """Read a PARAMETER token; raise SqlFileError for a name that Python cannot have."""
    parts: list[str] = []
    offset = token.start + 1
    for written in source.text[offset : token.end].split("."):
        name = python_name(written)
        if name is None:
            place = offset if parts else token.start
            raise source.error(place, f"{written!r} cannot be a name in Python; choose another")
        parts.append(name)
        offset += len(written) + 1
    return Reference(parts[0], tuple(parts[1:]))


def refuse(source: SqlText, token: Token) -> None:
    """Raise SqlFileError for what no statement may hold: ``$1``, ``:'x'``, ``:1``, a stray character."""
    text, (kind, start, end) = source.text, token
    if kind is Kind.POSITIONAL:
        raise source.error(start, f"{text[start:end]} is sqlkit's own to number; write :name")
    if kind is Kind.OTHER:
        hint = "; a parameter's name ends before it" if text[start] == "$" else ""
        raise source.error(start, f"{text[start]!r} means nothing to PostgreSQL here{hint}")
    if kind is Kind.COLON and text[end : end + 1] in _MISTAKEN:
        what = f":{text[end]}" if text[end].isdigit() else f":{text[end]}name{text[end]}"
        raise source.error(start, f"{what} is no parameter; write :name (a colon of SQL/JSON takes a blank behind it)")
