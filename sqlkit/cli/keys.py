"""A terminal that is watched for keys while something is shown in it, and that is left as it was found."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

try:
    import termios
    import tty
except ModuleNotFoundError:  # on Windows, where Ctrl-C ends what is shown
    termios = tty = None  # type: ignore[assignment]

__all__ = ["Keys", "watched_keys"]


class Keys:
    """The keys that are pressed; without a terminal of Unix there are none."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def within(self, seconds: float) -> str:
        """Return the key that is pressed within so many seconds; nothing where none is, q where none will be."""
        if self._descriptor is None:
            time.sleep(max(0.0, seconds))
            return ""
        ready, _, _ = select.select([self._descriptor], [], [], max(0.0, seconds))
        if not ready:
            return ""
        return os.read(self._descriptor, 1).decode("ascii", "replace") or "q"  # the terminal has gone


@contextmanager
def watched_keys() -> Iterator[Keys]:
    """Give the keys as they are pressed, without Enter and unseen; afterwards the terminal is as it was.

    What would kill the process (SIGTERM, the end of its terminal) leaves the block by SystemExit, so that it is left as
    it was then, too.
    """
    if termios is None or tty is None or not sys.stdin.isatty():
        yield Keys(None)
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    handlers = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        tty.setcbreak(descriptor, termios.TCSANOW)
        yield Keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)
        termios.tcflush(descriptor, termios.TCIFLUSH)  # what was typed meanwhile is no command of the shell's
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> Any:  # noqa: ARG001
    raise SystemExit(128 + number)
