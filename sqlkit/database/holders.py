"""Who holds the connections of a pool: a dictionary that costs little to keep, written out if asked."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Hashable
from time import monotonic
from types import CodeType
from typing import Generic, TypeVar

from sqlkit.errors import Holder

__all__ = ["Holders", "Place", "calling_place"]

Owner = TypeVar("Owner", bound=Hashable)

# Frames of the plumbing between a caller and its connection; the apps are callers like any other.
_PLUMBING = ("sqlkit.", "contextlib")
_CALLERS = ("sqlkit.apps", "sqlkit.cli")


class Place:
    """A line of the caller's code; written out only if somebody asks."""

    __slots__ = ("code", "line")

    def __init__(self, code: CodeType, line: int) -> None:
        self.code = code
        self.line = line

    def __str__(self) -> str:
        path = self.code.co_filename
        try:
            relative = os.path.relpath(path)
        except ValueError:  # another drive
            relative = path
        path = path if relative.startswith("..") else relative
        return f"{path}:{self.line} in {self.code.co_qualname}"


def calling_place() -> Place:
    """Return the line outside of sqlkit that is being executed."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        module: str = frame.f_globals.get("__name__", "")
        if not module.startswith(_PLUMBING) or module.startswith(_CALLERS):
            break
        frame = frame.f_back
    return Place(frame.f_code, frame.f_lineno)


class Holders(Generic[Owner]):
    """The connections that are out, by identity: what holds each, which thread or task took it, since when.

    ``waiting`` are the threads or tasks that wait for a connection now.
    """

    __slots__ = ("lent", "name_of", "waiting")

    def __init__(self, name_of: Callable[[Owner], str]) -> None:
        self.lent: dict[int, tuple[object, Owner, float]] = {}
        self.waiting: set[Owner] = set()
        self.name_of = name_of

    def listed(self) -> list[Holder]:
        """Return who holds what, the longest first."""
        now = monotonic()
        lent = sorted(self.lent.values(), key=lambda record: record[2])
        return [Holder(str(what), self.name_of(owner), now - since) for what, owner, since in lent]

    def stuck(self, me: Owner, size: int) -> object | None:
        """Return where ``me`` took its connection if none can ever come free for it; None if one may.

        None can when all ``size`` are out and each is held by ``me`` or by one who waits too. Looked at
        without a lock: who held the same connection before and after, and waited in between, cannot have
        given it back.
        """
        before = list(self.lent.values())
        mine = [what for what, owner, _ in before if owner == me]
        if len(before) < size or not mine:
            return None
        if not all(owner == me or owner in self.waiting for _, owner, _ in before):
            return None
        after = list(self.lent.values())
        return mine[0] if len(after) == len(before) and all(map(_same, before, after)) else None


def _same(one: object, other: object) -> bool:
    return one is other
