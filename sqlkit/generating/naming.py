"""Names: of classes for tables and statements, of fields for columns, of enum members for labels."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable

__all__ = ["Names", "camel", "identifier", "member_name", "singular"]

_WORD = re.compile(r"[^\W_]+")
_IRREGULAR = {
    "people": "person",
    "children": "child",
    "men": "man",
    "women": "woman",
    "indices": "index",
    "matrices": "matrix",
    "criteria": "criterion",
    "analyses": "analysis",
    "diagnoses": "diagnosis",
    "hypotheses": "hypothesis",
    "crises": "crisis",
    "movies": "movie",
    "cookies": "cookie",
    "leaves": "leaf",
    "wolves": "wolf",
    "lives": "life",
}
_UNCOUNTED = frozenset(["series", "species", "news", "status", "data", "media", "analysis", "address", "business"])


def singular(word: str) -> str:
    """Return the singular of an English word in lower case, the word itself where it seems to be none."""
    head, _, last = word.rpartition("_")
    if head:
        return f"{head}_{singular(last)}"
    if last in _IRREGULAR:
        return _IRREGULAR[last]
    if last in _UNCOUNTED or not last.endswith("s") or last.endswith(("ss", "us", "is")) or len(last) < 3:
        return last
    if last.endswith("ies") and len(last) > 4:
        return last[:-3] + "y"
    if last.endswith(("sses", "shes", "ches", "xes", "zzes")):
        return last[:-2]
    if last.endswith("uses") and not last.endswith(("auses", "ouses")):
        return last[:-2]  # statuses, buses
    return last[:-1]


def camel(*parts: str) -> str:
    """Return a class's name made of the words of some names: ``get_song``, ``row`` is ``GetSongRow``."""
    words = [word for part in parts for word in _WORD.findall(unicodedata.normalize("NFKC", part))]
    name = "".join(word[:1].upper() + word[1:] for word in words)
    name = re.sub(r"^\d+", lambda found: f"N{found[0]}", name)
    return name if name.isidentifier() else "Row"


def identifier(written: str) -> str:
    """Return a name for Python that is as near to a written one as can be: ``class`` is ``class_``."""
    name = unicodedata.normalize("NFKC", written)
    name = "".join(letter if f"a{letter}".isidentifier() else "_" for letter in name).lstrip("_")
    if name[:1].isdigit():
        name = f"n{name}"
    while name and not name[0].isidentifier():  # an accent without its letter
        name = name[1:].lstrip("_")
    if keyword.iskeyword(name):
        return f"{name}_"
    return name or "column"


def member_name(label: str) -> str:
    """Return the name of an enum's member: ``on hold`` is ``ON_HOLD``."""
    name = "_".join(_WORD.findall(unicodedata.normalize("NFKC", label))).upper()
    name = unicodedata.normalize("NFKC", name)
    if name[:1].isdigit():
        name = f"N{name}"
    return name if name.isidentifier() else "EMPTY" if not label else "OTHER"


class Names:
    """Names that are taken in one scope."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def take(self, *wanted: str) -> str:
        """Take the first name that is free, else the last with a number behind it."""
        name = next((name for name in wanted if self._is_free(name)), None)
        number = 2
        while name is None:
            numbered = f"{wanted[-1]}{number}"
            name = numbered if self._is_free(numbered) else None
            number += 1
        self._taken.add(name)
        return name

    def _is_free(self, name: str) -> bool:
        return name not in self._taken and not keyword.iskeyword(name)
