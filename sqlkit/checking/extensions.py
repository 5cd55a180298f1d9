"""Extensions that migrations make, and migrations without those that a server lacks.

The server that a check starts has not all that a production server has (no pgcrypto, no uuid-ossp). What needs no such
extension is still checked: a copy of the migrations makes nothing of what is not there.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from sqlkit.lexer import BLANK, Kind, LexerError, Token, tokenize

__all__ = ["copy_without", "made_extensions"]

NOTHING = "select 1"
VISIBLE = re.compile(r"\S")


def made_extensions(folder: Path) -> list[str]:
    """Return the extensions that the migrations of a folder may create, also in a ``do`` block."""
    found: dict[str, None] = {}
    for path in _migrations(folder):
        with contextlib.suppress(OSError, ValueError, LexerError):
            found |= dict.fromkeys(_all_in(path.read_text(encoding="utf-8")))
    return list(found)


def copy_without(folder: Path, missing: Collection[str], copy: Path) -> list[tuple[str, str]]:
    """Copy migrations with ``select 1`` where a missing extension is created; return the extensions, with their places.

    A place is ``file:line``. What else the files hold stays in its line and column. Extensions that are created in a
    ``do`` block are left to it.
    """
    found = []
    shutil.copytree(folder, copy)
    for path in _migrations(folder):
        with contextlib.suppress(OSError, ValueError, LexerError):
            text = path.read_bytes().decode()
            for start, end, name in list(_creations(text)):
                if name in missing:
                    rest = VISIBLE.sub(" ", text[start + len(NOTHING) : end])
                    text = text[:start] + NOTHING + rest + text[end:]
                    found.append((name, f"{path}:{text.count(chr(10), 0, start) + 1}"))
            (copy / path.name).write_bytes(text.encode())
    return found


def _migrations(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.sql")) if not path.stem.endswith(".rollback")]


def _all_in(text: str) -> Iterator[str]:
    for token in tokenize(text):
        if token.kind is Kind.DOLLAR:
            body = text[token.start : token.end]
            tag = body.index("$", 1) + 1
            yield from _all_in(body[tag:-tag])
    for _, _, name in _creations(text):
        yield name


def _creations(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the bounds of each ``create extension`` and its name."""
    tokens = [token for token in tokenize(text) if token.kind not in BLANK]
    words = [text[token.start : token.end] for token in tokens]
    for index, token in enumerate(tokens):
        if [word.lower() for word in words[index : index + 2]] == ["create", "extension"]:
            name = index + (5 if words[index + 2 : index + 3] and words[index + 2].lower() == "if" else 2)
            if name < len(words):
                yield token.start, _end(text, tokens, words, name), words[name].strip('"')


def _end(text: str, tokens: list[Token], words: list[str], index: int) -> int:
    return next((tokens[later].start for later in range(index, len(words)) if words[later] == ";"), len(text))
