"""Getting it back: backups by pg_dump that say what is in them, and restores that compare."""

from sqlkit.errors import BackupError
from sqlkit.operations.backups.asynchronous import in_thread
from sqlkit.operations.backups.manifest import Extension, Locale, Manifest, StoredFile, read_manifest
from sqlkit.operations.backups.progress import Progress
from sqlkit.operations.backups.restoring import Restored, rehearse_restore, restore
from sqlkit.operations.backups.shelf import Backup, keep_backups, list_backups, verify_backup
from sqlkit.operations.backups.taking import backup

__all__ = [
    "Backup",
    "BackupError",
    "Extension",
    "Locale",
    "Manifest",
    "Progress",
    "Restored",
    "StoredFile",
    "backup",
    "in_thread",
    "keep_backups",
    "list_backups",
    "read_manifest",
    "rehearse_restore",
    "restore",
    "verify_backup",
]
