"""Text in a narrow column: it breaks between words, and within a long name behind an underscore or a dot."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

__all__ = ["Folded"]

#: A part of a name with what it ends on.
PART = re.compile(r"[^_.]*[_.]+|[^_.]+")
NARROW = 8  # cells; a part that is longer may be broken anywhere


class Folded:
    """A text that breaks where a reader would break it; rich breaks a long name wherever the column ends."""

    def __init__(self, text: Text) -> None:
        self._text = text

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Say how wide it has to be at least, and is at most."""
        longest = max((cell_len(part) for part in PART.findall(self._text.plain)), default=0)
        return Measurement(min(longest, NARROW), cell_len(self._text.plain)).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it in lines that fit."""
        lines = "\n".join(_lines(self._text.plain, options.max_width))
        yield Text(lines, style=self._text.style, overflow="fold")


def _lines(text: str, width: int) -> Iterator[str]:
    line = ""
    for piece in _pieces(text, width):
        if line and cell_len(line) + cell_len(piece.rstrip()) > width:
            yield line.rstrip()
            line = ""
        line += piece
    yield line.rstrip()


def _pieces(text: str, width: int) -> Iterator[str]:
    """Yield words with the blank behind them; of one that is longer than a line, its parts."""
    for word in re.findall(r"\S+\s*|\s+", text):
        if cell_len(word.rstrip()) <= width:
            yield word
        else:
            yield from PART.findall(word)
