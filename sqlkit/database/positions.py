"""Where a server's write-ahead log stands, and what follows from it: how far a replica is behind at most.

No two clocks are compared. The primary is asked for its position at a moment of this process's own clock; a replica
that has replayed as far has all that was committed before that moment.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from math import inf
from typing import NamedTuple

from sqlkit.errors import ArgumentError

__all__ = [
    "ASK_PRIMARY",
    "ASK_REPLICA",
    "ASK_TOKEN",
    "Position",
    "Positions",
    "parsed_token",
    "settled_end",
    "written_token",
]

# Each is one round trip. The identifier of the cluster comes along, for a position means nothing in another one.
ASK_REPLICA = b"""
select
    pg_catalog.pg_is_in_recovery(),
    coalesce(pg_catalog.pg_last_wal_replay_lsn(), '0/0') - '0/0'::pg_catalog.pg_lsn,
    (select system_identifier from pg_catalog.pg_control_system())
"""
ASK_PRIMARY = b"""
select
    in_recovery,
    case when not in_recovery then pg_catalog.pg_current_wal_flush_lsn() - '0/0'::pg_catalog.pg_lsn end,
    case when not in_recovery then pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_catalog.pg_lsn end,
    (select system_identifier from pg_catalog.pg_control_system())
from pg_catalog.pg_is_in_recovery() as in_recovery
"""
#: The end of what was inserted: a commit with synchronous_commit off is seen before its record is written.
ASK_TOKEN = b"select pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_catalog.pg_lsn"

PAGE, HEADER = 8192, 24  # XLOG_BLCKSZ and SizeOfXLogShortPHD of PostgreSQL
KEPT = 1000  # positions, each another: behind the oldest a replica's lag is not known any more


class Position(NamedTuple):
    """Where the primary stood: ``asked`` on our clock, and the ends of what it had flushed and inserted by then."""

    asked: float
    flushed: int
    inserted: int


class Positions:
    """The primary's positions of late, noted by one thread and read by others."""

    def __init__(self) -> None:
        self._kept: deque[Position] = deque(maxlen=KEPT)
        self._lock = threading.Lock()
        self.latest: Position | None = None

    def note(self, position: Position) -> None:
        """Note a position; of several with one end only the last says something."""
        with self._lock:
            if self._kept and self._kept[-1].flushed == position.flushed:
                self._kept.pop()
            self._kept.append(position)
            self.latest = position

    def forget(self) -> None:
        """Forget all: they may be of another server than those to come."""
        with self._lock:
            self._kept.clear()
            self.latest = None

    def fresh_at(self, replayed: int) -> float:
        """Return the last moment of which a replica has every commit that was there; minus infinity if not known."""
        with self._lock:
            for position in reversed(self._kept):
                if position.flushed <= replayed:
                    return position.asked
        return -inf


def settled_end(inserted: int) -> int:
    """Return the end of the last record before an insert position, which may already stand behind a page's header.

    No record follows that header yet, so a replica that has everything would never reach it while nothing is written.
    """
    return inserted - HEADER if inserted % PAGE == HEADER else inserted


_TOKEN = re.compile(r"([0-9A-F]{1,8})/([0-9A-F]{1,8})", re.IGNORECASE)


def parsed_token(token: str) -> int:
    """Return the position that a token names; ArgumentError for what is none."""
    found = _TOKEN.fullmatch(token) if isinstance(token, str) else None
    if found is None:
        raise ArgumentError("following: that is no token of db.token()")
    return (int(found[1], 16) << 32) + int(found[2], 16)


def written_token(position: int) -> str:
    """Return a position as PostgreSQL writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
