"""When ``run`` calls its work again."""

from __future__ import annotations

import random

import psycopg

__all__ = ["Retries"]

SERIALIZATION_FAILURE = "40001"
DEADLOCK_DETECTED = "40P01"
TERMINATIONS = ("57P01", "57P02", "57P03", "57P05")  # said by a server that closes the connection next
FIRST_DELAY = 0.01
LONGEST_DELAY = 1.0


class Retries:
    """Count the attempts of one call and decide what follows a failed one.

    ``sent`` and ``done`` are the COMMITs that the failed attempt sent and that took effect: work of which a
    part may stand already is never repeated.
    """

    def __init__(self, place: object, attempts: int) -> None:
        if attempts < 1:
            raise ValueError(f"{place}: run: attempts must be 1 or more")
        self.place = place
        self.attempts = attempts
        self.made = 0

    def delay_after(self, error: psycopg.Error, *, lost: bool, sent: int, done: int) -> float | None:
        """Return how long to wait before the next attempt; None when the error is final (noted where why)."""
        self.made += 1
        conflict = error.sqlstate in (SERIALIZATION_FAILURE, DEADLOCK_DETECTED) and done == 0
        lost = lost or error.sqlstate in TERMINATIONS
        dropped = lost and isinstance(error, psycopg.OperationalError)
        if dropped and sent > 0:
            error.add_note(f"{self.place}: the connection was lost after COMMIT was sent; it may have taken effect")
            return None
        if not conflict and not dropped:
            return None
        if self.made >= self.attempts:
            error.add_note(f"{self.place}: given up after {self.made} attempts")
            return None
        longest = min(LONGEST_DELAY, FIRST_DELAY * 2**self.made)
        return random.uniform(0, longest)  # noqa: S311  # full jitter: rivals must not meet again
