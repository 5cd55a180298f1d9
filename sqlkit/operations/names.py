"""Names as a statement takes them: plain where they may stand plain, else in quotes."""

from __future__ import annotations

import re

__all__ = ["written"]

PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")
#: PostgreSQL's reserved words, those of functions and types too: none may stand as a name.
WORDS = """
all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column
concurrently constraint create cross current_catalog current_date current_role current_schema current_time
current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze from
full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit localtime
localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references returning
right select session_user similar some symmetric system_user table tablesample then to trailing true union unique user
using variadic verbose when where window with
"""
RESERVED = frozenset(WORDS.split())


def written(*names: str) -> str:
    """Write a name, or a schema's and a name in it."""
    return ".".join(name if PLAIN.match(name) and name not in RESERVED else _quoted(name) for name in names)


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
