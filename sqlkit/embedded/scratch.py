"""A server that is thrown away: in memory where there is room, its folder gone with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from sqlkit.embedded import locks
from sqlkit.embedded.server import Embedded

__all__ = ["MEMORY", "remove_if_left", "scratch_folder", "scratch_server"]

MEMORY = Path("/dev/shm")  # noqa: S108  where a clone of a database takes 20 ms instead of 140
ENOUGH_MEMORY = 512 * 1024 * 1024
#: How long a folder that nobody uses yet may be somebody's who is about to start a server in it.
YOUNG_SECONDS = 10
LEAVING_SECONDS = 15.0


@contextlib.contextmanager
def scratch_server(
    prefix: str, *, bindir: str | os.PathLike[str] | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[Embedded]:
    """Start a server in a folder of its own, without care for a crash of the machine; remove both after the block."""
    folder = scratch_folder(prefix)
    try:
        with Embedded.start(folder, bindir=bindir, durable=False, settings=settings) as server:
            yield server
    finally:
        _remove(folder)


def scratch_folder(prefix: str) -> Path:
    """Make a folder for a server, in memory if there is enough; remove those of runs that died."""
    place = Path(tempfile.gettempdir())
    with contextlib.suppress(OSError):
        if shutil.disk_usage(MEMORY).free >= ENOUGH_MEMORY and os.access(MEMORY, os.W_OK | os.X_OK):
            place = MEMORY
    for left in place.glob(f"{prefix}*"):
        remove_if_left(left)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    folder.chmod(0o711)  # a server of root's runs under another account
    return folder


def remove_if_left(folder: Path) -> None:
    """Remove the folder of a server that has no user any more."""
    with contextlib.suppress(OSError):
        if folder.stat().st_uid != os.geteuid() or time.time() - folder.stat().st_mtime < YOUNG_SECONDS:
            return
        descriptor = locks.open_lock(folder / "users")  # held to the end, so that nobody joins what goes
        try:
            if locks.try_exclusive(descriptor) and not locks.is_held(folder / "keeping"):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)


def _remove(folder: Path) -> None:
    """Remove a folder, also when Ctrl-C comes while it goes."""
    try:
        _remove_when_left(folder)
    except KeyboardInterrupt:
        _remove_when_left(folder)
        raise


def _remove_when_left(folder: Path) -> None:
    """Remove a folder; a server whose start or stop was interrupted leaves by itself, which is waited for."""
    deadline = time.monotonic() + LEAVING_SECONDS
    with contextlib.suppress(OSError):
        while (folder / "keeping").exists() and locks.is_held(folder / "keeping") and time.monotonic() < deadline:
            time.sleep(locks.POLL_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)
