"""Lines of files, and paths as a reader finds them."""

from __future__ import annotations

import os
from pathlib import Path

from sqlkit.checking.findings import Place
from sqlkit.sqlfile.sqltext import LINE_END

__all__ = ["FileLines", "shown_path", "shown_text", "spell_place"]


class FileLines:
    """The lines of files, each file read once."""

    def __init__(self) -> None:
        self._files: dict[Path, list[str]] = {}

    def line(self, path: Path, number: int) -> str | None:
        """Return a line without its end; None where there is none."""
        lines = self._files.get(path)
        if lines is None:
            try:
                lines = LINE_END.split(path.read_text(encoding="utf-8-sig"))
            except (OSError, ValueError):
                lines = []
            self._files[path] = lines
        return lines[number - 1] if 0 < number <= len(lines) else None


def shown_path(path: Path) -> str:
    """Return a path as it is found from the working directory, whole where it is not below that."""
    absolute = os.path.normpath(path.absolute())
    try:
        relative = os.path.relpath(absolute)
    except ValueError:  # another drive
        return absolute
    return absolute if relative.startswith("..") else relative


def shown_text(text: str) -> str:
    """Return a text whose paths are those that are found from the working directory."""
    here = os.getcwd()
    return text if here == os.sep else text.replace(f"{here}{os.sep}", "")


def spell_place(place: Place) -> str:
    """Return ``file:line:column``."""
    return f"{shown_path(place.path)}:{place.line}:{place.column}"
