"""``--@ replica: ok 1s``: that a statement may run on a replica, and how far behind that may be."""

from __future__ import annotations

import math
import re

from sqlkit.sqlfile.clauses import Words, writes
from sqlkit.sqlfile.markers import Marked
from sqlkit.sqlfile.sections import Section

__all__ = ["greatest_lag", "replica_lag"]

_VALUE = re.compile(r"ok(?:\s+(\d+(?:\.\d+)?)\s*(ms|s|min))?")
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0}
_LOCKS = ("update", "share", "no", "key")  # `for update`, `for share`, `for no key update`, `for key share`


def greatest_lag(value: str) -> float | None:
    """Return the lag that a directive's value names, in seconds: infinity for no limit, None if it means nothing."""
    found = _VALUE.fullmatch(value)
    if found is None:
        return None
    if found[1] is None:
        return math.inf
    return float(found[1]) * _SECONDS[found[2]] or None


def replica_lag(marked: Marked, section: Section) -> float | None:
    """Return with what lag a statement may run on a replica; None if it may not.

    Raises SqlFileError for one that writes, or that locks rows, which a standby refuses.
    """
    value = section.directives.get("replica")
    lag = None if value is None else greatest_lag(value)
    if lag is None:
        return None
    source = marked.source
    if writes(marked):
        raise source.error(_place(marked, section), "replica: ok, but the statement writes, which only a primary can")
    words = Words(source.text, marked.items)
    if any(word == "for" and words.at(index + 1) in _LOCKS for index, word in enumerate(words.words)):
        raise source.error(
            _place(marked, section), "replica: ok, but the statement locks rows, which only a primary can"
        )
    return lag


def _place(marked: Marked, section: Section) -> int:
    """Return where the directive stands."""
    text = marked.source.text
    found = (start for _, start, end in section.comments if re.match(r"--@\s*replica\b", text[start:end]))
    return next(found, section.header)
