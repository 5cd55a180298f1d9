"""Who is at what, and who waits for whom: ``sql/operations/activity.sql``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from pydantic import BaseModel

import sqlkit
from sqlkit import AsyncExecutor, Executor
from sqlkit.folders import SQL

__all__ = [
    "ActivityQueries",
    "AsyncActivityQueries",
    "Session",
    "Waiting",
    "activity",
    "async_activity",
    "blocking_trees",
]


class Session(BaseModel):
    """A session of the server, what it is at and whom it waits for; times are in seconds, None is not known or hidden.

    ``name`` is the name of the statement that its comment carries. ``query`` ends after 1,000 characters.
    ``blocked_by`` are process ids; 0 is a prepared transaction.
    """

    pid: int | None
    database_name: str | None
    user_name: str | None
    application_name: str | None
    client_address: str | None
    kind: str | None
    state: str | None
    wait_event_type: str | None
    wait_event: str | None
    lock_kind: str | None
    lock_mode: str | None
    lock_table: str | None
    blocked_by: list[int]
    transaction_seconds: float | None
    query_seconds: float | None
    state_seconds: float | None
    waiting_seconds: float | None
    name: str | None
    query: str | None
    is_hidden: bool

    @property
    def is_idle_in_transaction(self) -> bool:
        """Whether it holds a transaction open and does nothing."""
        return (self.state or "").startswith("idle in transaction")


class Waiting(BaseModel):
    """A session that others wait for, or that waits itself, with those that wait for it.

    ``session`` is None for one that is not listed: a prepared transaction (0), or one that has just ended.
    ``also_behind`` are the processes that it waits for besides the one that it stands under. In a ``circle`` each waits
    for the other.
    """

    pid: int
    session: Session | None
    waiting: list[Waiting] = []
    also_behind: list[int] = []
    circle: bool = False

    @property
    def count(self) -> int:
        """How many wait for it, also by way of others."""
        return sum(1 + one.count for one in self.waiting)


def blocking_trees(sessions: Iterable[Session]) -> list[Waiting]:
    """Return who blocks whom: the sessions that wait for nobody, with those that wait for them.

    That which most wait for is the first. Each session stands once, as near to the root as it can.
    """
    known = {one.pid: one for one in sessions if one.pid is not None}
    behind = {pid: [other for other in one.blocked_by if other != pid] for pid, one in known.items() if one.blocked_by}
    blockers = sorted({pid for others in behind.values() for pid in others})
    left = set(behind)
    trees = [_tree(pid, known, behind, left) for pid in blockers if pid not in behind]
    while circle := sorted(left & set(blockers)):
        left.discard(circle[0])
        trees.append(_tree(circle[0], known, behind, left).model_copy(update={"circle": True}))
    return sorted(trees, key=lambda tree: (-tree.count, tree.pid))


def _tree(root: int, known: dict[int, Session], behind: dict[int, list[int]], left: set[int]) -> Waiting:
    """Return a session with those behind it, level by level; who stands somewhere is taken from ``left``."""
    top = Waiting(pid=root, session=known.get(root))
    level = [top]
    while level:
        below = []
        for parent in level:
            for pid in sorted(pid for pid in left if parent.pid in behind[pid]):
                left.discard(pid)
                others = [other for other in behind[pid] if other != parent.pid]
                child = Waiting(pid=pid, session=known.get(pid), also_behind=others)
                parent.waiting.append(child)
                below.append(child)
        level = below
    return top


class ActivityQueries(Protocol):
    """What the sessions of the server are at."""

    def list_sessions(self, db: Executor) -> list[Session]:
        """Return the sessions that are at something, and those that others wait for."""
        ...


class AsyncActivityQueries(Protocol):
    """What the sessions of the server are at, on asyncio."""

    async def list_sessions(self, db: AsyncExecutor) -> list[Session]:
        """Return the sessions that are at something, and those that others wait for."""
        ...


activity: ActivityQueries = sqlkit.load(ActivityQueries, SQL / "operations/activity.sql")
async_activity: AsyncActivityQueries = sqlkit.load(AsyncActivityQueries, SQL / "operations/activity.sql")
