"""What a backup says of itself: where it is from, how many rows each table has, and the checksum of every file.

::

    soleil-20261121T183012.345Z/
        manifest.json           written last; its own checksum is in it
        dump/                   pg_dump's directory format: toc.dat and a compressed file for each table
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from sqlkit.errors import BackupError

__all__ = ["DUMP", "MANIFEST", "Extension", "Locale", "Manifest", "StoredFile", "file_checksums", "read_manifest"]

MANIFEST = "manifest.json"
DUMP = "dump"
FORMAT: Literal["sqlkit backup 1"] = "sqlkit backup 1"
CHUNK = 1 << 20


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class StoredFile(_Part):
    """A file of a backup: its size in bytes and its SHA-256."""

    size: int
    sha256: str


class Extension(_Part):
    """An extension of the database; ``is_used``: without it the schema cannot be restored."""

    name: str
    version: str
    schema_name: str
    is_used: bool


class Locale(_Part):
    """How the database sorts and writes; ``provider`` is libc (c), icu (i) or builtin (b), ``locale`` of the latter."""

    encoding: str
    collation: str
    character_type: str
    provider: str | None
    locale: str | None


class Manifest(_Part):
    """What is in a backup.

    ``schema_name`` is None where it is of the whole database. ``taken_at`` is the time of the snapshot that rows and
    counts are of. ``roles`` are those that rights and policies name, ``owners`` those that own something. ``tables``
    has the rows of each table (``soleil.songs``), ``files`` those below the backup's folder.
    """

    format: Literal["sqlkit backup 1"] = FORMAT
    database: str
    schema_name: str | None
    taken_at: datetime
    server_version: int
    pg_dump: str
    locale: Locale
    settings: list[str]
    extensions: list[Extension]
    roles: list[str]
    owners: list[str]
    tables: dict[str, int]
    files: dict[str, StoredFile]

    @property
    def rows(self) -> int:
        """How many rows there are in all tables."""
        return sum(self.tables.values())

    @property
    def size(self) -> int:
        """How many bytes the files have."""
        return sum(file.size for file in self.files.values())

    def write(self, folder: Path) -> None:
        """Write the manifest into a backup's folder, and let it reach the disk."""
        content = self.model_dump(mode="json")
        text = json.dumps({"checksum": _checksum(content)} | content, indent=1, ensure_ascii=False)
        with os.fdopen(os.open(folder / MANIFEST, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def read_manifest(folder: Path) -> Manifest:
    """Read a backup's manifest; BackupError where there is none, or where it is not as it was written."""
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_bytes())
        checksum = content.pop("checksum")
    except FileNotFoundError:
        raise BackupError(f"{folder}: has no {MANIFEST}: it is no backup, or one that was not finished") from None
    except OSError as error:
        raise BackupError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        raise BackupError(f"{path}: is damaged: take another backup") from None
    if checksum != _checksum(content):
        raise BackupError(f"{path}: is damaged: its checksum is not what it says; take another backup")
    try:
        return Manifest.model_validate(content)
    except ValidationError:
        raise BackupError(f"{path}: is of another version of sqlkit ({content.get('format')!r})") from None


def _checksum(content: dict[str, object]) -> str:
    """Return the SHA-256 of the content, however it is laid out."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def file_checksums(folder: Path, told: Callable[[int, str], None] | None = None) -> dict[str, StoredFile]:
    """Read all files of a backup but its manifest and return their sizes and checksums, by name.

    ``told`` is called after each with its bytes and its name. Raises OSError.
    """
    found: dict[str, StoredFile] = {}
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
        found[name] = StoredFile(size=size, sha256=digest.hexdigest())
        if told is not None:
            told(size, name)
    return found


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() != MANIFEST:
            yield path
