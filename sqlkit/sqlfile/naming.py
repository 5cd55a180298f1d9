"""A statement's full name, the comment that carries it to the server, and the command that it is.

``sql/soleil/songs.sql`` and ``get_song`` make ``soleil.songs.get_song``. The comment stands behind the first keyword:
pg_stat_statements and pooler logs may cut off what stands before it, and pg_stat_activity what stands far behind.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from sqlkit.lexer import Kind, tokenize

__all__ = ["command_of", "full_name", "with_name"]

#: The folder below which the path of a file is its name.
ROOT = "sql"

#: What a name may hold in a comment: nothing that could end it (``*/``), nest in it, or stand for a value.
_UNFIT = re.compile(r"[^\w.-]")
_BEFORE_KEYWORD = re.compile(r"(?:[\s(]++|--[^\n\r]*+)*")
_WORD = re.compile(r"[^\W\d]\w*")
_COMMANDS = frozenset(("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE"))
_COMMENT_ENDS = re.compile(r"/\*|\*/")


def full_name(path: Path, name: str) -> str:
    """Return a statement's name with its file's: the folders below the last ``sql``, else the one folder above.

    The empty text for a statement without a name, as one given to ``fetch_all`` is.
    """
    if not name.isidentifier():
        return ""
    folders = [part for part in path.parts[:-1] if part not in ("..", path.anchor)]
    below = folders[::-1].index(ROOT) if ROOT in folders else 1
    return ".".join(_UNFIT.sub("_", part) for part in (*folders[len(folders) - below :], path.stem, name))


def with_name(text: str, name: str) -> str:
    """Return a statement with its name in a comment behind the first keyword; as it is, where there is none."""
    place = _behind_keyword(text) if name else 0
    return f"{text[:place]} /* {_UNFIT.sub('_', name)} */{text[place:]}" if place else text


def command_of(text: str) -> str:
    """Return the command that a statement is, in capitals: behind a ``with``, that which it leads to."""
    depth, behind_with = 0, False
    for kind, start, end in tokenize(text):
        depth += (kind is Kind.OPEN) - (kind is Kind.CLOSE)
        word = text[start:end].upper() if kind is Kind.WORD else ""
        if behind_with and depth == 0 and word in _COMMANDS:
            return word
        if word and not behind_with:
            if word != "WITH":
                return word
            behind_with = True
    return "WITH" if behind_with else ""


@lru_cache(maxsize=1024)  # each connection prepares the same texts
def _behind_keyword(text: str) -> int:
    """Return the offset behind the first keyword, 0 where the text does not begin with one."""
    place = 0
    while True:
        found = _BEFORE_KEYWORD.match(text, place)
        place = found.end() if found else place
        if not text.startswith("/*", place):
            break
        place = _behind_comment(text, place)
    word = _WORD.match(text, place)
    return word.end() if word else 0


def _behind_comment(text: str, start: int) -> int:
    """Return the offset behind a comment, in which others may nest; the end of the text for one that never ends."""
    depth = 0
    for found in _COMMENT_ENDS.finditer(text, start):
        depth += 1 if found[0] == "/*" else -1
        if not depth:
            return found.end()
    return len(text)
