"""A circuit: what failed some times in a row is left alone for a while, then tried by one caller."""

from __future__ import annotations

import threading
import time
from typing import Literal

__all__ = ["Circuit", "State"]

State = Literal["closed", "open", "half-open"]


class Circuit:
    """Opens after ``failures`` in a row; after ``pause`` seconds lets one call through, which closes it or not."""

    def __init__(self, failures: int = 3, pause: float = 2.0) -> None:
        self._most = failures
        self._pause = pause
        self._lock = threading.Lock()
        self._row = 0
        self._until = 0.0
        self._trying = False
        self._opened = 0
        self.reason: str | None = None

    def admits(self) -> bool:
        """Tell whether a call may be made now; who is told so says how it went."""
        with self._lock:
            if self._row < self._most:
                return True
            now = time.monotonic()
            if now < self._until:
                return False
            self._trying, self._until = True, now + self._pause  # who never says how it went is not waited for
            return True

    def went_well(self) -> None:
        """Close it."""
        with self._lock:
            self._row, self._trying, self.reason = 0, False, None

    def failed(self, reason: str) -> None:
        """Count a failure; the one that makes a row of them opens it."""
        with self._lock:
            self._row += 1
            self._opened += self._row == self._most
            self._trying, self.reason = False, reason
            self._until = time.monotonic() + self._pause

    @property
    def opened(self) -> int:
        """How often it opened."""
        with self._lock:
            return self._opened

    @property
    def state(self) -> State:
        """How it stands: closed lets calls through, open does not, half-open is trying one."""
        with self._lock:
            if self._row < self._most:
                return "closed"
            return "half-open" if self._trying else "open"
