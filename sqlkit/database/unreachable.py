"""What there is to say of a server that one cannot connect to, or that says no."""

from __future__ import annotations

import re

__all__ = ["is_refusal", "reason_of", "refusal", "unreachable"]

#: How libpq writes what the server has answered, whatever its language: the severity, a colon, two blanks.
ANSWERED = re.compile(r": \w+:  ")


def is_refusal(error: BaseException) -> bool:
    """Tell whether an attempt to connect has reached the server, which said no: a password, a name, no place free."""
    return ANSWERED.search(str(error)) is not None


def reason_of(error: BaseException) -> str:
    """Return an error's words on one line, without libpq's hints, which are lines that begin with a tab."""
    lines = [line for line in str(error).splitlines() if not line.startswith("\t")]
    return " ".join(" ".join(lines).split()) or type(error).__name__


def refusal(error: BaseException) -> str:
    """Say that a server refuses, or that there is none, and why."""
    if is_refusal(error):
        return f"the server refuses: {reason_of(error)}"
    return f"the server cannot be reached: {reason_of(error)}: start it, or name another"


def unreachable(place: str, error: BaseException) -> str:
    """Say it of the server at a place: its DSN with the password masked."""
    return f"{place}: {refusal(error)}"
