"""The folders that the wheel carries in the package and the repository has beside it: statements and migrations."""

from __future__ import annotations

from pathlib import Path

__all__ = ["MIGRATIONS", "SQL"]

PACKAGE = Path(__file__).parent


def _folder(name: str) -> Path:
    """Return a folder that the wheel carries in the package and the repository has beside it."""
    carried = PACKAGE / name
    return carried if carried.is_dir() else PACKAGE.parent / name


#: The statements: ``SQL / "soleil/songs.sql"``.
SQL = _folder("sql")

#: The migrations: ``MIGRATIONS / "soleil"``.
MIGRATIONS = _folder("migrations")
