"""Where the ``sqlkit`` command begins: outside of the package, which takes longer to import than a Ctrl-C to come."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False  # typing is an import, too
if TYPE_CHECKING:
    from typing import Any

__all__ = ["main"]

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it


def main() -> None:
    """Import the command line and run it; Ctrl-C before it runs and when it is done is one line and status 130.

    A traceback of the imports tells nobody anything. What SIGINT does otherwise, nothing in a shell's background job,
    it goes on doing.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        _run(before)
        return
    signal.signal(signal.SIGINT, _leave)
    try:
        _run(before)
    finally:
        signal.signal(signal.SIGINT, _leave)


def _run(during: Any) -> None:
    from sqlkit.cli import imported

    run = imported()
    signal.signal(signal.SIGINT, during)
    run()


def _leave(*_: object) -> None:
    os.write(2, b"sqlkit: interrupted\n")
    os._exit(INTERRUPTED)
