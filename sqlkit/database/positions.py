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
    "BEGIN",
    "Mark",
    "Position",
    "Positions",
    "parsed_token",
    "settled_end",
    "written_token",
]

# Each is one round trip. The identifier of the cluster and the timeline come along, for a position means nothing in
# another cluster, and after a fail-over not what it meant. A standby shows the timeline that it follows in its control
# file, once it has written a page or a restart point of it, and at once in what it receives, to who may read that
# (pg_monitor has the right): what is shown may be too old, never too new.
ASK_REPLICA = b"""
select
    pg_catalog.pg_is_in_recovery(),
    coalesce(pg_catalog.pg_last_wal_replay_lsn(), '0/0') - '0/0'::pg_catalog.pg_lsn,
    greatest(
        restart.timeline_id,
        recovery.min_recovery_end_timeline,
        (select received_tli from pg_catalog.pg_stat_wal_receiver)
    ),
    cluster.system_identifier
from
    pg_catalog.pg_control_system() as cluster,
    pg_catalog.pg_control_checkpoint() as restart,
    pg_catalog.pg_control_recovery() as recovery
"""
ASK_PRIMARY = b"""
select
    in_recovery,
    case when not in_recovery then pg_catalog.pg_current_wal_flush_lsn() - '0/0'::pg_catalog.pg_lsn end,
    case when not in_recovery then pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_catalog.pg_lsn end,
    case when not in_recovery then
        ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int
    end,
    cluster.system_identifier
from pg_catalog.pg_is_in_recovery() as in_recovery, pg_catalog.pg_control_system() as cluster
"""
#: The end of what was inserted: a commit with synchronous_commit off is seen before its record is written.
ASK_TOKEN = b"""
select
    pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_catalog.pg_lsn,
    ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int
"""

PAGE, HEADER = 8192, 24  # XLOG_BLCKSZ and SizeOfXLogShortPHD of PostgreSQL
KEPT = 1000  # positions, each another: behind the oldest a replica's lag is not known any more


class Mark(NamedTuple):
    """The end of something in the log of a timeline.

    Ends of two timelines compare as numbers only up to where the one left the other, which nobody tells. So whoever
    has reached a mark is as far, and on no earlier timeline.
    """

    timeline: int
    end: int

    def joined(self, other: Mark) -> Mark:
        """Return the mark behind both."""
        return Mark(max(self.timeline, other.timeline), max(self.end, other.end))

    def is_reached(self, timeline: int, replayed: int) -> bool:
        """Tell whether a replica has reached it."""
        return replayed >= self.end and timeline >= self.timeline


BEGIN = Mark(0, 0)


class Position(NamedTuple):
    """Where the primary stood: ``asked`` on our clock, the end of what it had flushed, that of what was inserted."""

    asked: float
    flushed: int
    inserted: Mark


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


_TOKEN = re.compile(r"([0-9A-F]{1,8})-([0-9A-F]{1,8})/([0-9A-F]{1,8})", re.IGNORECASE)


def parsed_token(token: str) -> Mark:
    """Return the mark that a token stands for; ArgumentError for what is none."""
    found = _TOKEN.fullmatch(token) if isinstance(token, str) else None
    if found is None:
        raise ArgumentError("following: that is no token of db.token()")
    timeline, high, low = (int(part, 16) for part in found.groups())
    return Mark(timeline, (high << 32) + low)


def written_token(mark: Mark) -> str:
    """Return a mark as text: the timeline, and the end as PostgreSQL writes it."""
    return f"{mark.timeline:X}-{mark.end >> 32:X}/{mark.end & 0xFFFFFFFF:X}"
