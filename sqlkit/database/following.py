"""``with db.following(token)``: reads in the block see what was written before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from time import monotonic
from types import TracebackType
from typing import Self

from sqlkit.database.positions import Mark

__all__ = ["ASKING", "Following", "followed", "from_primary", "is_followed", "wants_primary"]


class _Asking:
    """Holds the connection on which ``db.token()`` asks, which writes nothing."""

    def __str__(self) -> str:
        return "db.token()"


ASKING = _Asking()

_primary_only: ContextVar[bool] = ContextVar("sqlkit_primary_only", default=False)
_innermost: ContextVar[Following | None] = ContextVar("sqlkit_following", default=None)


class Following:
    """A block whose reads see the write that a token stands for, and what the block itself writes.

    It holds for the calls of the thread or task that entered it, and of tasks that are made in it. ``wrote`` tells
    whether the block may have written something, so that ``db.token()`` is worth its round trip.
    """

    __module__ = "sqlkit.database"

    def __init__(self, database: object, mark: Mark, within: float, *, watched: bool) -> None:
        self._database = database
        self._outer: Following | None = None
        self._watched = watched
        self._wrote_at = -inf
        self._covered_at = -inf
        self.mark = mark
        self.within = within

    def __enter__(self) -> Self:
        self._outer = _innermost.get()
        self._reset = _innermost.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            _innermost.reset(self._reset)
        except ValueError:  # entered in another context, which is over: a generator that a framework drives
            if _innermost.get() is self:
                _innermost.set(self._outer)

    @property
    def wrote(self) -> bool:
        """Tell whether something may have been written through the database in this block."""
        return self._wrote_at > -inf or not self._watched

    def write(self) -> None:
        """Note that something may have been written just now."""
        self._wrote_at = monotonic()

    def lacks(self, asked: float) -> bool:
        """Whether a mark that was asked for at a moment does not cover what was written since the last one."""
        return self._wrote_at > self._covered_at and self._wrote_at > asked

    def cover(self, asked: float, mark: Mark) -> None:
        """Take a mark that the primary had, asked for at a moment, for the end of what was written before."""
        if self._wrote_at > self._covered_at:
            self.mark = self.mark.joined(mark)  # first, for another thread may look at both
            self._covered_at = max(self._covered_at, asked)

    def reach(self, mark: Mark) -> None:
        """Read nothing that is older than a mark."""
        self.mark = self.mark.joined(mark)


@contextmanager
def from_primary() -> Iterator[None]:
    """Have every read of a block go to the primary: a cache keeps what it reads, under the primary's versions."""
    reset = _primary_only.set(True)
    try:
        yield
    finally:
        _primary_only.reset(reset)


def wants_primary() -> bool:
    """Whether this call stands in a block of ``from_primary``."""
    return _primary_only.get()


def is_followed() -> bool:
    """Whether there is a block around this call, of whatever database."""
    return _innermost.get() is not None


def followed(database: object) -> Iterator[Following]:
    """Yield the blocks around this call that are of one database, from the innermost."""
    following = _innermost.get()
    while following is not None:
        if following._database is database:
            yield following
        following = following._outer
