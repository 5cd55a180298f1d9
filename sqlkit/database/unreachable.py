"""What there is to say of a server that one cannot connect to."""

from __future__ import annotations

from sqlkit.database.pooling import is_refusal

__all__ = ["refusal", "unreachable"]


def refusal(error: BaseException) -> str:
    """Say that a server refuses, or that there is none, and why, on one line.

    Without libpq's hints, which are lines that begin with a tab.
    """
    lines = [line for line in str(error).splitlines() if not line.startswith("\t")]
    reason = " ".join(" ".join(lines).split()) or type(error).__name__
    if is_refusal(error):
        return f"the server refuses: {reason}"
    return f"the server cannot be reached: {reason}: start it, or name another"


def unreachable(place: str, error: BaseException) -> str:
    """Say it of the server at a place: its DSN with the password masked."""
    return f"{place}: {refusal(error)}"
