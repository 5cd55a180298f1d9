"""What tiers outside the process have in common: a circuit, and what ``health`` tells of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from sqlkit.caching.circuit import Circuit
from sqlkit.caching.entries import Entry
from sqlkit.caching.tiers import TierHealth

__all__ = ["Counted"]


class Counted:
    """A tier with a circuit, which counts how its calls went."""

    is_local = False

    def __init__(self, name: str, circuit: Circuit | None) -> None:
        self.name = name
        self.circuit = circuit or Circuit()
        self._counts = {"hits": 0, "misses": 0, "fills": 0, "failures": 0, "skipped": 0}
        self._lock = threading.Lock()

    def _count(self, what: str, number: int = 1) -> None:
        with self._lock:
            self._counts[what] += number

    def admits(self) -> bool:
        """Tell whether a call may be made now; one that is not made is counted."""
        admitted = self.circuit.admits()
        if not admitted:
            self._count("skipped")
        return admitted

    def counted(self, keys: Sequence[str], found: dict[str, Entry]) -> dict[str, Entry]:
        """Count hits and misses of an answer."""
        self.circuit.went_well()
        self._count("hits", len(found))
        self._count("misses", len(keys) - len(found))
        return found

    def filled(self) -> None:
        """Count an entry that is kept."""
        self.circuit.went_well()
        self._count("fills")

    def failed(self, error: BaseException) -> None:
        """Count a failure; its class is told, never its text, which may quote a value."""
        self.circuit.failed(type(error).__name__)
        self._count("failures")

    def health(self) -> TierHealth:
        """Say how it is."""
        state, reason, opened = self.circuit.state, self.circuit.reason, self.circuit.opened
        with self._lock:
            return TierHealth(self.name, state, reason=reason, opened=opened, **self._counts)
