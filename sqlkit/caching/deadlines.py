"""A deadline for a whole call to Redis: redis-py's timeout is for each packet, of which an answer may have many."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any

__all__ = ["Deadline"]


class Deadline:
    """Within it, all that this thread does on the sockets of a pool takes at most ``seconds`` in all."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._local = threading.local()

    def __enter__(self) -> Deadline:
        self._local.end = time.monotonic() + self.seconds
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._local.end = None

    def left(self) -> float:
        """Return the seconds that are left to this thread's call; TimeoutError where none are."""
        end: float | None = getattr(self._local, "end", None)
        left = self.seconds if end is None else end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time of the call is over")
        return left

    def hold(self, pool: Any) -> None:
        """Have the connections that a pool of redis-py makes from now on keep it."""
        deadline, kind = self, pool.connection_class

        class Held(kind):  # type: ignore[misc, valid-type]
            """A connection whose socket keeps a deadline."""

            def _connect(self) -> Any:
                # Each attempt to connect has what is left, not the whole time.
                self.socket_connect_timeout = deadline.left()
                return HeldSocket(super()._connect(), deadline)

        pool.connection_class = Held


class HeldSocket:
    """A socket that waits no longer than a deadline leaves."""

    def __init__(self, inner: Any, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline
        self._polls = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def settimeout(self, seconds: float | None) -> None:
        """Wait so long, or not at all where it is 0: that is redis-py's question whether something is there."""
        self._polls = seconds == 0
        self._inner.settimeout(seconds)

    def _limit(self) -> None:
        if not self._polls:
            self._inner.settimeout(self._deadline.left())

    def recv(self, *arguments: Any) -> Any:
        """Receive."""
        self._limit()
        return self._inner.recv(*arguments)

    def recv_into(self, *arguments: Any) -> Any:
        """Receive into a buffer."""
        self._limit()
        return self._inner.recv_into(*arguments)

    def sendall(self, data: Any) -> None:
        """Send."""
        self._limit()
        self._inner.sendall(data)
