"""The replicas of a database: which of them serve, how far each is behind, and which one a read goes to.

A thread of its own asks each replica (``watching``), five times a second by default, so a call asks nobody. It is left
when it does not answer, is no standby any more, belongs to another cluster or lags, and taken back when that is over.
All that is known of one is in ``seen``, which is replaced as a whole.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Collection, Sequence
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg.pq import ConnStatus

from sqlkit.database.borrowing import Pooled, log
from sqlkit.database.following import ASKING, followed, wants_primary
from sqlkit.database.options import ReplicaStatus
from sqlkit.database.positions import ASK_PRIMARY, ASK_REPLICA, BEGIN, Mark, Position, Positions, settled_end
from sqlkit.database.retries import DEADLOCK_DETECTED, SERIALIZATION_FAILURE, TERMINATIONS
from sqlkit.database.unreachable import reason_of
from sqlkit.database.watching import Watchers
from sqlkit.execution.query import Query

if TYPE_CHECKING:
    import psycopg

    from sqlkit.settings import Settings

__all__ = [
    "FIRST_LOOK",
    "FIRST_PAUSE",
    "LAST_LOOK",
    "LONGEST_PAUSE",
    "Needs",
    "Replica",
    "ReplicaLeft",
    "Replicas",
    "Verdict",
    "may_write",
    "verdict_on",
]

SILENT_AFTER = 2.0  # seconds without an answer after which a server counts as gone
FIRST_LOOK = 1.0  # seconds that a database that opens waits for the first look at its replicas
LAST_LOOK = 0.5  # seconds that a database that closes waits for the threads that watch
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.02  # seconds between two questions of one who waits for a position


class ReplicaLeft(Exception):
    """Said to those who wait for a connection of a replica that is left: they go on to another server."""


class Seen(NamedTuple):
    """What a replica answered when it was ``asked``: how far it has replayed, and so what it has for certain.

    It has every commit that was there at the moment ``fresh_at``, minus infinity if that is not known. ``timeline`` is
    the one that it follows, or an earlier one.
    """

    asked: float
    replayed: int
    timeline: int
    fresh_at: float


class Needs(NamedTuple):
    """What a read wants of a replica: all that was committed before ``since``, and all before a mark.

    ``until`` is how long it is worth waiting for the mark.
    """

    since: float
    mark: Mark
    until: float


class Primary:
    """What is known of the primary: its positions, and whether it answers."""

    question = ASK_PRIMARY

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.looked, self.hurry = threading.Event(), threading.Event()
        self.positions = Positions()
        self.replicas: Sequence[Replica] = ()
        self.cluster: int | None = None
        self.timeline: int | None = None
        self.away = False
        self.silent_after = max(SILENT_AFTER, 3 * settings.replica_ask_every)

    def hears(self, asked: float, row: Sequence[int | None]) -> None:
        """Take an answer."""
        in_recovery, flushed, inserted, timeline, cluster = row
        if in_recovery or flushed is None or inserted is None or timeline is None:
            self.misses("a standby")
            return
        self.cluster, self.timeline = cluster, timeline
        self.positions.note(Position(asked, flushed, Mark(timeline, settled_end(inserted))))
        self.away = False
        for replica in self.replicas:
            replica.dates()

    def misses(self, reason: str) -> None:
        """Take that there is no primary: the one that comes may be another, with positions of its own."""
        if not self.away:
            log.warning("%s: the primary is away: %s", self.settings.safe_dsn, reason)
        self.away = True
        self.positions.forget()

    def is_away(self, now: float) -> bool:
        """Whether the primary does not answer."""
        latest = self.positions.latest
        return self.away or (latest is not None and now - latest.asked > self.silent_after)


class Replica:
    """A replica: what is known of it, and its pool."""

    question = ASK_REPLICA
    pool: Any

    def __init__(self, settings: Settings, primary: Primary) -> None:
        self.settings = settings
        self.where = settings.safe_dsn
        self.looked, self.hurry = threading.Event(), threading.Event()
        self.primary = primary
        self.cluster: int | None = None
        self.timeline = 0
        self.reason: str | None = "it has not answered yet"
        self.seen = Seen(-inf, 0, 0, -inf)
        self.silent_after = primary.silent_after
        self.max_lag = primary.settings.replica_max_lag
        self._told: str | None = self.reason
        self._taking = threading.Lock()

    def hears(self, asked: float, row: Sequence[int | None]) -> None:
        """Take an answer, unless a later one is there."""
        in_recovery, replayed, timeline, self.cluster = row
        self.timeline = max(self.timeline, timeline or 0)
        if not in_recovery:
            self.leave("it is no standby: it was promoted, or is the primary")
        elif (reason := self._otherness()) is not None:
            self.leave(reason)
        else:
            self._take(asked, replayed or 0)

    def _otherness(self) -> str | None:
        """Say that it follows another primary, or one of the past; None if not, or as long as that is not known."""
        primary = self.primary
        if None not in (self.cluster, primary.cluster) and self.cluster != primary.cluster:
            return "it is a standby of another cluster"
        if primary.timeline is not None and self.timeline and self.timeline != primary.timeline:
            return f"it is not known to follow timeline {primary.timeline}, which is the primary's, but {self.timeline}"
        return None

    def _take(self, asked: float, replayed: int) -> None:
        with self._taking:
            if asked < self.seen.asked:
                return
            self.seen = Seen(asked, replayed, self.timeline, self.primary.positions.fresh_at(replayed))
            self.reason = None
        self._tell(self._slowness(monotonic()))

    def _tell(self, reason: str | None) -> None:
        """Log why it is left, or that it is taken back, where that changes."""
        before, self._told = self._told, reason
        if reason is None and before is not None:
            log.info("%s: the replica serves", self.where)
        elif reason is not None and before is None:
            log.warning("%s: the replica is left: %s", self.where, reason)

    def dates(self) -> None:
        """Look again from when it is what it has, for there is another position of the primary."""
        if self.reason is None and (reason := self._otherness()) is not None:
            self.leave(reason)
        with self._taking:
            self.seen = self.seen._replace(fresh_at=self.primary.positions.fresh_at(self.seen.replayed))

    def misses(self, reason: str) -> None:
        """Take that there is no answer; whoever answers next may follow another timeline."""
        self.timeline = 0
        self.leave(reason)

    def leave(self, reason: str) -> None:
        """Send no more reads to it until it answers again as it should."""
        self.reason = reason
        self._tell(reason)
        self.pool.send_on()

    def serves(self, now: float) -> bool:
        """Whether it answers as a standby does."""
        return self.reason is None and now - self.seen.asked < self.silent_after

    def has(self, needs: Needs, conn: Pooled) -> bool:
        """Whether a connection of it is known to see what is needed.

        What was seen is so for a connection that was open by then. One that is younger may be of a server that was
        restarted since, which begins a little before where it ended.
        """
        seen = self.seen
        known = conn._created_at <= seen.asked and seen.fresh_at >= needs.since
        return known and needs.mark.is_reached(seen.timeline, seen.replayed)

    def status(self, now: float) -> ReplicaStatus:
        """Return what is known of it at this moment."""
        seen, pool = self.seen, self.pool.status()
        lag = now - seen.fresh_at if seen.fresh_at > -inf else None
        reason = self.reason or self._slowness(now)
        if reason is None and not self.serves(now):
            reason = "it does not answer"
        return ReplicaStatus(self.where, reason is None, reason, lag, pool.size, pool.checked_out, pool.waiting)

    def _slowness(self, now: float) -> str | None:
        """Say that it lags too much for a read that names no lag; None if it does not, or while there is no primary."""
        if self.primary.is_away(now) or now - self.seen.fresh_at <= self.max_lag:
            return None
        return f"it lags by more than {self.max_lag:g} s"


class Replicas:
    """All replicas of a database, and the choice among them."""

    def __init__(self, settings: Settings) -> None:
        self.max_lag = settings.replica_max_lag
        self.every = settings.replica_ask_every
        self.primary = Primary(settings)
        self.all = [Replica(one, self.primary) for one in settings.of_replicas()]
        self.primary.replicas = self.all
        self.watchers = Watchers([self.primary, *self.all], self.every)
        self._turn = itertools.count()

    def needs(self, lag: float, database: object) -> Needs | None:
        """Return what a read wants that may run on a replica with a lag; None where only the primary will do.

        The primary is read for a moment after a write of the block, until a mark is known that covers it. A read
        that names no lag takes what there is while the primary is away.
        """
        if wants_primary():
            return None
        now = monotonic()
        since = now - (self.max_lag if lag == inf else lag)
        if lag == inf and self.primary.is_away(now):
            since = -inf
        mark, until = BEGIN, 0.0
        for following in followed(database):
            latest = self.primary.positions.latest
            if following.lacks(-inf if latest is None else latest.asked):
                return None
            if latest is not None:
                following.cover(latest.asked, latest.inserted)
            mark = mark.joined(following.mark)
            until = max(until, now + following.within)
        return Needs(since, mark, until)

    def pick(self, needs: Needs, without: Collection[Replica]) -> Replica | None:
        """Return the replica with the fewest in use that has what is needed; failing that, one worth waiting for."""
        now, turn, number = monotonic(), next(self._turn), len(self.all)
        best, least, nearest, near = None, inf, None, -1
        for index in range(number):
            replica = self.all[(turn + index) % number]
            seen = replica.seen
            if seen.fresh_at < needs.since or replica in without or not replica.serves(now):
                continue
            if needs.mark.is_reached(seen.timeline, seen.replayed):
                if (load := replica.pool.in_use) < least:
                    best, least = replica, load
            elif seen.replayed > near and self._is_near(seen, needs, now):
                nearest, near = replica, seen.replayed
        return best or nearest

    def _is_near(self, seen: Seen, needs: Needs, now: float) -> bool:
        """Whether a replica that lacks a mark can be expected to reach it in time."""
        return needs.until - now > now - seen.fresh_at - 2 * self.every

    def statuses(self) -> tuple[ReplicaStatus, ...]:
        """Return what is known of each."""
        now = monotonic()
        return tuple(replica.status(now) for replica in self.all)

    def wrote(self, database: object) -> None:
        """Note that something may have been written, in the blocks that follow what is."""
        for following in followed(database):
            following.write()


def may_write(lent: tuple[object, ...] | None) -> bool:
    """Whether who held a connection of the primary may have written: all but reads that a replica could have served.

    A select that calls a function that writes looks like any other.
    """
    holder = lent[0] if lent else None
    return holder is not ASKING and not (type(holder) is Query and holder.statement.replica is not None)


class Verdict(NamedTuple):
    """What a failure on a replica means: whether to go on at all, and whether to another replica too."""

    goes_on: bool
    replicas_too: bool = False


def verdict_on(replica: Replica, conn: Pooled, query: Query, error: psycopg.Error) -> Verdict:
    """Say what a read's failure on a replica means for the read.

    - The connection is lost: the replica is left, and any other server will do.
    - It was in the way of the replay (40001, 40P01), which another replica may do to it, too.
    - The statement does not fit the schema (class 42), which a migration may not have changed there yet.
    """
    state = error.sqlstate or ""
    if conn.pgconn.status != ConnStatus.OK or state in TERMINATIONS:
        replica.leave(reason_of(error))
        replica.hurry.set()
        return Verdict(True, replicas_too=True)
    if state == "25006":
        error.add_note(f"{query.label}: it writes by a function that it calls: take its `replica: ok` away")
    return Verdict(state in (SERIALIZATION_FAILURE, DEADLOCK_DETECTED) or state.startswith("42"))
