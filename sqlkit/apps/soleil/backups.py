"""Backups by pg_dump, kept for seven days, each restored once before older ones leave; and the way back."""

from __future__ import annotations

import os
from datetime import timedelta

from sqlkit.apps.soleil.settings import SoleilSettings
from sqlkit.operations.backups import Backup, Restored, backup, rehearse_restore, restore
from sqlkit.operations.backups.asynchronous import in_thread
from sqlkit.operations.backups.progress import Told
from sqlkit.settings import Settings

__all__ = ["KEPT", "back_up", "rehearse_backup", "restore_backup"]

#: How long backups stay, as the document has it.
KEPT = timedelta(days=7)


async def back_up(
    settings: Settings | str | None,
    folder: str | os.PathLike[str],
    *,
    keep: timedelta | None = KEPT,
    rehearse: bool = True,
    progress: Told | None = None,
) -> Backup:
    """Write a backup of soleil's schema into a new folder below ``folder``, and delete those older than a week.

    Before any is deleted, the new one is restored into a database of its own, compared row count by row count with
    what it says, and dropped again; the last good one always stays. ``settings`` may be a DSN; None reads the
    environment. Raises BackupError. A task that is cancelled leaves nothing behind.
    """
    return await in_thread(backup, _settings(settings), folder, keep=keep, rehearse=rehearse, progress=progress)


async def restore_backup(
    settings: Settings | str | None,
    source: str | os.PathLike[str],
    *,
    into: str,
    progress: Told | None = None,
) -> Restored:
    """Restore a backup, or an old ``.sql.gz``, into a new database of the name ``into``, and compare.

    Tables of an old file are those that the ORM made: ``sqlkit migrate --adopt`` tells how they differ. Raises
    BackupError, and then there is no such database.
    """
    return await in_thread(restore, _settings(settings), source, into=into, progress=progress)


async def rehearse_backup(settings: Settings | str | None, source: str | os.PathLike[str]) -> Restored:
    """Restore a backup into a database of its own, compare, and drop it; BackupError where it cannot be restored."""
    return await in_thread(rehearse_restore, _settings(settings), source)


def _settings(given: Settings | str | None) -> Settings:
    if isinstance(given, Settings):
        return given if given.schema is not None else given.replace(schema="soleil")
    return SoleilSettings() if given is None else SoleilSettings(url=given)
