"""Backups and restores on asyncio: in a thread, which a cancelled task stops and waits for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from sqlkit.errors import BackupError

__all__ = ["in_thread"]

T = TypeVar("T")


async def in_thread(work: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """Return ``work(*arguments, stop=..., **options)``, called in a thread: ``backup``, ``restore``, a rehearsal.

    Where the task is cancelled, the work is stopped, and has left nothing behind when the cancellation goes on.
    """
    stop = threading.Event()
    task = asyncio.ensure_future(asyncio.to_thread(work, *arguments, stop=stop, **options))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        while not task.done():
            with suppress(asyncio.CancelledError, BackupError):  # a second cancellation does not abandon it either
                await asyncio.shield(task)
        raise
