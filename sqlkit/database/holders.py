"""Who holds the connections of a pool: a dictionary that costs little to keep, written out if asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from time import monotonic
from types import FrameType
from typing import Any, Generic, TypeAlias, TypeVar

from sqlkit.connection import AsyncPooledConnection, PooledConnection, memory_of
from sqlkit.errors import Holder
from sqlkit.places import Place, is_within

__all__ = ["Holders", "Lent", "of_tasks", "of_threads"]

Owner = TypeVar("Owner", bound=Hashable)
# What holds a connection (a query, a place), the thread or task that took it, since when, and the connection.
Lent: TypeAlias = tuple[object, Owner, float, PooledConnection | AsyncPooledConnection]


class Holders(Generic[Owner]):
    """The connections that are out, by their identity, and the threads or tasks that wait for one now.

    ``name_of`` names a thread or task; ``keeps`` tells whether a connection stays out as long as the one that took it
    waits, which stands in the frame given.
    """

    def __init__(self, name_of: Callable[[Owner], str], keeps: Callable[[Lent[Owner], FrameType | None], bool]) -> None:
        self.lent: dict[int, Lent[Owner]] = {}
        self.waiting: dict[Owner, FrameType | None] = {}
        self._name_of = name_of
        self._keeps = keeps

    def listed(self) -> list[Holder]:
        """Return who holds what, the longest first."""
        now = monotonic()
        lent = sorted(self.lent.values(), key=lambda one: one[2])
        return [Holder(str(what), self._name_of(owner), now - since) for what, owner, since, _ in lent]

    def stuck(self, me: Owner, size: int) -> object | None:
        """Return where ``me`` took its connection if none can ever come free for it; None if one may.

        None can when all ``size`` are out and each is kept by one who waits, ``me`` among them. Looked at without a
        lock: who held the same connection before and after, and waited in between, cannot have given it back.
        """
        before = list(self.lent.values())
        mine = [what for what, owner, *_ in before if owner == me]
        if len(before) < size or not mine or not all(map(self._waits_with, before)):
            return None
        after = list(self.lent.values())
        same = len(after) == len(before) and all(one is other for one, other in zip(before, after, strict=True))
        return mine[0] if same else None

    def _waits_with(self, lent: Lent[Owner]) -> bool:
        owner = lent[1]
        return owner in self.waiting and self._keeps(lent, self.waiting.get(owner))


def of_threads() -> Holders[int]:
    """Make the register of a pool for threads, which knows them by their number."""
    return Holders(_thread_name, _within_its_call)


def of_tasks() -> Holders[asyncio.Task[Any] | None]:
    """Make the register of a pool for tasks."""
    return Holders(_task_name, _not_dropped)


def _thread_name(ident: int) -> str:
    names = (thread.name for thread in threading.enumerate() if thread.ident == ident)
    return f"thread {next(names, 'that has ended')}"


def _within_its_call(lent: Lent[int], top: FrameType | None) -> bool:
    """Whether a waiting thread stands in the very call that took the connection, or reads its stream.

    A thread of a pool of threads may have taken it for one caller and wait now for another, while a third thread
    brings it back: so do web frameworks with dependencies that are not coroutines.
    """
    what, _, _, conn = lent
    taken_in = what.frame if isinstance(what, Place) else memory_of(conn).reader
    return is_within(taken_in, top)


def _task_name(task: asyncio.Task[Any] | None) -> str:
    return f"task {task.get_name()}" if task else "no task"


def _not_dropped(lent: Lent[asyncio.Task[Any] | None], _: FrameType | None) -> bool:
    """Whether no other task brings the connection back, as happens to the stream of a loop that was left."""
    return not getattr(memory_of(lent[3]).stream, "dropped", False)
