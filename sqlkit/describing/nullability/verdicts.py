"""A verdict: whether a value can be NULL, why, and what of it hangs on a parameter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Verdict", "both", "nullable", "proved"]

NOTHING: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a value can be NULL, and why.

    ``needs`` are the numbers of the parameters that must not be NULL for the value never to be; None where it can be
    NULL whatever they are. ``declared`` is set for a column that the catalogue calls NOT NULL though nobody sees to it
    (of a foreign table): the planner leaves ``is not null`` on it out, so that a condition proves nothing either.
    """

    needs: frozenset[int] | None
    reason: str
    declared: bool = False

    @property
    def certain(self) -> bool:
        """Tell whether the value is never NULL, whatever the parameters."""
        return self.needs is not None and not self.needs


def proved(reason: str) -> Verdict:
    """Say that a value is never NULL."""
    return Verdict(NOTHING, reason)


def nullable(reason: str, *, declared: bool = False) -> Verdict:
    """Say that a value can be NULL."""
    return Verdict(None, reason, declared)


def both(verdicts: Iterable[Verdict], reason: str) -> Verdict:
    """Return the verdict of what is NULL only where one of its parts is; the first part that can be is the reason."""
    needs: frozenset[int] = NOTHING
    hanging = ""
    only, number = "", 0
    for verdict in verdicts:
        if verdict.needs is None:
            return verdict
        if verdict.needs and not hanging:
            hanging = verdict.reason
        needs |= verdict.needs
        only, number = verdict.reason, number + 1
    if needs:
        return Verdict(needs, hanging)
    return Verdict(NOTHING, only if number == 1 else reason)
