"""What the commands say: answers on stdout, everything about them on stderr."""

from __future__ import annotations

from rich.console import Console

__all__ = ["answers", "remarks", "say"]

# emoji=False: else `songs.sql:100:9` would show the picture that :100: is the name of
answers = Console(highlight=False, emoji=False)
remarks = Console(stderr=True, highlight=False, emoji=False)


def say(remark: str, *, error: bool = False) -> None:
    """Write a remark or an error to stderr, as it is."""
    remarks.print(f"sqlkit: {remark}", markup=False, soft_wrap=True, style="red" if error else "dim")
