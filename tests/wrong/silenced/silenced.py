"""A finding that its statement allows, and one that it means to."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import sqlkit
from sqlkit import Affected, Executor


class SongQueries(Protocol):
    """Songs."""

    def delete_songs(self, db: Executor) -> Affected:
        """Delete all songs."""
        ...

    def delete_them_again(self, db: Executor) -> Affected:
        """Delete all songs."""
        ...


songs: SongQueries = sqlkit.load(SongQueries, Path(__file__).with_name("silenced.sql"))
