"""What a pooler in transaction mode cannot take: whatever lasts in the session beyond its transaction.

Behind it the server connection goes to another client with the next transaction. What was set, prepared, locked or
listened for stays there: it reaches that client and is missing here, and the server says nothing. So it is refused.
"""

from __future__ import annotations

import re

__all__ = ["WHY", "lasting"]

WHY = (
    "lasts in its session, which behind a pooler in transaction mode is another client's next: use {instead}, or a "
    "Database on the server itself"
)

BLANKS = r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*"

#: A statement that changes its session, by its first words, and what may stand in its place.
FIRST_WORDS = (
    (r"set\s+(?!local\b|transaction\b|constraints\b)", "SET", "SET LOCAL, or db.bound(settings=...)"),
    (r"listen\b", "LISTEN", "a connection of psycopg's own"),
    (r"prepare\s+(?!transaction\b)", "PREPARE", "the statement as it is"),
    (r"load\b", "LOAD", "session_preload_libraries"),
    (r"declare\s.*?\bwith\s+hold\b", "DECLARE ... WITH HOLD", "a cursor inside a transaction"),
    (
        r"create\s+(?:or\s+replace\s+)?(?:(?:local|global)\s+)?temp(?:orary)?\b(?!.*\bon\s+commit\s+drop\b)",
        "a temporary relation",
        "ON COMMIT DROP inside a transaction",
    ),
)

#: A function that does, wherever it is called.
FUNCTIONS = (
    (r"\bpg_(?:try_)?advisory_lock(?:_shared)?\s*\(", "a session's advisory lock", "pg_advisory_xact_lock"),
    (r"\bset_config\s*\([^()]*,\s*false\s*\)", "set_config(..., false)", "set_config(..., true)"),
)

FLAGS = re.IGNORECASE | re.DOTALL
KNOWN = [
    *((re.compile(BLANKS + pattern, FLAGS).match, what, instead) for pattern, what, instead in FIRST_WORDS),
    *((re.compile(pattern, FLAGS).search, what, instead) for pattern, what, instead in FUNCTIONS),
]


def lasting(statement: str) -> str | None:
    """Say what of a statement would last beyond its transaction, and what to use instead; None where nothing does."""
    for found, what, instead in KNOWN:
        if found(statement):
            return f"{what} {WHY.format(instead=instead)}"
    return None
