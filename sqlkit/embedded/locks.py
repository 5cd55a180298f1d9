"""Locks on files (flock), which the kernel takes from a process that dies.

They belong to the open file, not to the process: two opens in one process are two users, a forked child
shares its parent's, and a lock is let go by closing the descriptor, never by unlocking it under somebody
else.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["exclusive", "is_held", "open_lock", "try_exclusive", "try_shared", "wait_shared"]

POLL_SECONDS = 0.01


def open_lock(path: Path) -> int:
    """Open a lock file, and make it if it is not there; programs that are started do not inherit it."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def attempt(descriptor: int, mode: int) -> bool:
    """Try to lock an open file; say whether it worked. A failed conversion loses the lock that was held."""
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def try_exclusive(descriptor: int) -> bool:
    """Try to lock for oneself alone."""
    return attempt(descriptor, fcntl.LOCK_EX)


def try_shared(descriptor: int) -> bool:
    """Try to lock together with others."""
    return attempt(descriptor, fcntl.LOCK_SH)


def wait_shared(descriptor: int, deadline: float) -> bool:
    """Try to lock together with others until ``deadline`` (of ``time.monotonic``)."""
    while not try_shared(descriptor):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


@contextmanager
def exclusive(path: Path, deadline: float) -> Iterator[None]:
    """Hold a lock file alone for the length of the block; TimeoutError when ``deadline`` passes first."""
    descriptor = open_lock(path)
    try:
        while not try_exclusive(descriptor):
            if time.monotonic() > deadline:
                raise TimeoutError(str(path))
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Say whether anybody holds a lock file alone."""
    descriptor = open_lock(path)
    try:
        return not try_exclusive(descriptor)
    finally:
        os.close(descriptor)
