"""The folder that backups stand in: one is put there when it is whole, and old ones leave when a newer one is good.

What is being written has a name that begins with a dot and is locked (flock) by who writes it; what a run that died
left is removed by the next one.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlkit.errors import ArgumentError, BackupError
from sqlkit.operations.backups.manifest import Manifest, StoredFile, file_checksums, read_manifest
from sqlkit.operations.backups.progress import Progress, Told
from sqlkit.operations.units import bytes_text, counted

__all__ = ["Backup", "keep_backups", "list_backups", "unfinished", "verify_backup"]

UNFINISHED = ".unfinished"
REMOVING = ".removing"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that is whole: its folder, what it says of itself, and which older ones left when it came."""

    path: Path
    manifest: Manifest
    removed: tuple[Path, ...] = ()

    def __str__(self) -> str:
        tables, rows = len(self.manifest.tables), self.manifest.rows
        return f"{self.path}: {counted(tables, 'table')}, {counted(rows, 'row')}, {bytes_text(self.manifest.size)}"


def verify_backup(path: str | os.PathLike[str], *, progress: Told | None = None) -> Manifest:
    """Read all files of a backup and compare them with its manifest; return the manifest.

    BackupError names each file that is missing, is not of the backup, or is not as it was written.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    done = 0

    def told(size: int, name: str) -> None:
        nonlocal done
        done += size
        if progress is not None:
            progress(Progress("verify", min(done, manifest.size), manifest.size, name))

    try:
        found = file_checksums(folder, told)
    except OSError as error:
        raise BackupError(f"{error.filename or folder}: cannot be read: {error.strerror}") from error
    if wrong := _wrong(manifest.files, found):
        raise BackupError(f"{folder}: is damaged: {'; '.join(wrong)}; use another backup")
    return manifest


def _wrong(wanted: dict[str, StoredFile], found: dict[str, StoredFile]) -> list[str]:
    wrong = [f"{name} is missing" for name in wanted if name not in found]
    wrong += [f"{name} is not of it" for name in found if name not in wanted]
    for name in wanted.keys() & found.keys():
        if found[name].size != wanted[name].size:
            wrong.append(f"{name} has {found[name].size} bytes of {wanted[name].size}")
        elif found[name] != wanted[name]:
            wrong.append(f"{name} is not as it was written (SHA-256)")
    return sorted(wrong)


def list_backups(
    folder: str | os.PathLike[str], *, database: str | None = None, schema: str | None = None
) -> list[Backup]:
    """Return the backups of a folder that are complete, the oldest first; of one database and schema, if given.

    Complete is what has a manifest and all its files in their sizes; ``verify_backup`` compares their checksums.
    """
    found = []
    for path in sorted(Path(folder).iterdir()) if Path(folder).is_dir() else []:
        if path.name.startswith(".") or path.is_symlink() or not path.is_dir():
            continue
        with suppress(BackupError, OSError):
            manifest = read_manifest(path)
            if all((path / name).stat().st_size == file.size for name, file in manifest.files.items()):
                found.append(Backup(path, manifest))
    chosen = [
        one for one in found if database in (None, one.manifest.database) and schema in (None, one.manifest.schema_name)
    ]
    return sorted(chosen, key=lambda one: (one.manifest.taken_at, one.path.name))


def keep_backups(
    folder: str | os.PathLike[str],
    keep: timedelta,
    *,
    now: datetime | None = None,
) -> tuple[Path, ...]:
    """Delete the complete backups that are older than ``keep``, and return them; never the last good one.

    Of each database and schema, the newest whose checksums are right stays, however old it is, and with it all that
    are newer. What is not complete is left alone: it is for a person to look at. ArgumentError for less than nothing.
    """
    if keep < timedelta(0):
        raise ArgumentError("keep_backups: keep is 0 or more")
    oldest = (now or datetime.now(UTC)) - keep
    of_one: dict[tuple[str, str | None], list[Backup]] = {}
    for backup in list_backups(folder):
        of_one.setdefault((backup.manifest.database, backup.manifest.schema_name), []).append(backup)
    leaving: list[Path] = []
    for backups in of_one.values():
        if any(one.manifest.taken_at < oldest for one in backups):
            before = backups[: _last_good(backups)]
            leaving += [one.path for one in before if one.manifest.taken_at < oldest]
    if leaving:
        with _locked(Path(folder)):
            _sweep(Path(folder))
            leaving = [path for path in leaving if path.exists()]  # else another run was first
            for path in leaving:
                _remove(path)
    return tuple(leaving)


def _last_good(backups: list[Backup]) -> int:
    """Return the place of the newest backup whose checksums are right; 0 where there is none, so that all stay."""
    for place in range(len(backups) - 1, -1, -1):
        with suppress(BackupError):
            verify_backup(backups[place].path)
            return place
    return 0


def _remove(path: Path) -> None:
    """Remove a backup: at once by name, so that nobody meets half of one, then its files."""
    leaving = path.with_name(f".{path.name}{REMOVING}")
    try:
        path.rename(leaving)
        sync_folder(path.parent)
        shutil.rmtree(leaving)
    except OSError as error:
        raise BackupError(f"{path}: cannot be removed: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A folder that a backup is written into; ``held`` is its lock, which a child may keep too."""

    path: Path
    held: int
    put: Callable[[str], Path]


@contextmanager
def unfinished(folder: Path) -> Iterator[Unfinished]:
    """Make a folder for a backup in the block; ``put`` gives it its name when it is whole, else it goes with the block.

    Folders that were left by runs that died are removed first. BackupError where nothing can be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(folder):
            _sweep(folder)
            path = folder / f".{datetime.now(UTC):%Y%m%dT%H%M%S}.{os.getpid()}.{os.urandom(4).hex()}{UNFINISHED}"
            path.mkdir(mode=0o700)
            held = os.open(path, os.O_RDONLY)
            fcntl.flock(held, fcntl.LOCK_EX)
    except OSError as error:
        raise BackupError(f"{folder}: cannot be written: {error.strerror}") from error

    def put(name: str) -> Path:
        whole = folder / name
        try:
            sync_folder(path)
            path.rename(whole)
            sync_folder(folder)
        except OSError as error:
            raise BackupError(f"{whole}: cannot be put there: {error.strerror}") from error
        return whole

    try:
        yield Unfinished(path, held, put)
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(held)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder for the block: so that nobody sweeps a folder away that is not locked yet."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove what runs that died left behind."""
    for path in folder.glob(".*"):
        if re.search(rf"({re.escape(UNFINISHED)}|{re.escape(REMOVING)})$", path.name) is None or path.is_symlink():
            continue
        with suppress(OSError):
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: somebody is at it
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(held)


def sync_folder(path: Path) -> None:
    """Let the names in a folder reach the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
