"""Lines of the caller's code, for messages, and whether a call that is waiting still stands in them."""

from __future__ import annotations

import os
import sys
from inspect import CO_COROUTINE, CO_GENERATOR
from types import CodeType, FrameType
from typing import TypeAlias

__all__ = ["Call", "Place", "calling_frame", "calling_place", "is_within"]

#: A call that is being executed: the number of its frame, and its code. A frame that is kept itself keeps the variables
#: of a call that has ended, a stream that nobody reads any more among them, which would never give its connection back.
Call: TypeAlias = tuple[int, CodeType]

# Frames of the plumbing between a caller and its connection; the apps are callers like any other.
_PLUMBING = ("sqlkit.", "contextlib")
_CALLERS = ("sqlkit.apps", "sqlkit.cli")
# Frames at the bottom of a thread that works for many: what was begun in one of their calls is not theirs.
_MACHINERY = ("threading", "concurrent.futures", "asyncio", "anyio", "starlette")


class Place:
    """A line of the caller's code, written out only if somebody asks, and the call that stands in it.

    ``frame`` is that call, or None where it cannot be told.
    """

    __slots__ = ("code", "frame", "line")

    def __init__(self, code: CodeType, line: int, frame: Call | None) -> None:
        self.code = code
        self.line = line
        self.frame = frame

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
    frame = _outside(sys._getframe(1))
    return Place(frame.f_code, frame.f_lineno, _call_of(frame))


def calling_frame() -> Call | None:
    """Return the call outside of sqlkit that is being executed, if it can be told."""
    return _call_of(_outside(sys._getframe(1)))


def is_within(call: Call | None, top: FrameType | None) -> bool:
    """Whether a call is still being executed by the stack of frames that has ``top`` at its top."""
    while call is not None and top is not None:
        if id(top) == call[0] and top.f_code is call[1]:
            return True
        top = top.f_back
    return False


def _outside(frame: FrameType) -> FrameType:
    while frame.f_back is not None:
        module: str = frame.f_globals.get("__name__", "")
        if not module.startswith(_PLUMBING) or module.startswith(_CALLERS):
            break
        frame = frame.f_back
    return frame


def _call_of(frame: FrameType) -> Call | None:
    """Return the call that a frame belongs to: a generator (a context manager's, say) belongs to who resumed it.

    None for one that was resumed by a thread's machinery: its next resumption may be another thread's, while this
    thread does something else.
    """
    call: FrameType | None = frame
    while call is not None and call.f_code.co_flags & (CO_GENERATOR | CO_COROUTINE):
        call = _outside(call.f_back) if call.f_back is not None else None
    if call is None or call.f_globals.get("__name__", "").startswith(_MACHINERY):
        return None
    return id(call), call.f_code
