"""All rows in one JSON file, of one moment, and back into an empty database."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from sqlkit.apps.analysis.events import SYSTEM_LOGS
from sqlkit.apps.analysis.system import backup
from sqlkit.caching.statements import invalidate_all
from sqlkit.database import View
from sqlkit.errors import BackupError
from sqlkit.operations.partitions import make_partitions

__all__ = ["BackupError", "backup_database_data", "restore_database_data"]

FORMAT = "sqlkit analysis backup 1"

#: In an order in which each finds what it refers to. The cache can be had again.
TABLES = ("users", "data_analyses", "analysis_files", "tool_generations", "system_logs")

BATCH = 1000
CHECKSUM = b', "sha256": "'


def backup_database_data(db: View, path: str | Path = "backup.json") -> dict[str, int]:
    """Write all rows to a JSON file, as they were at one moment; return how many of each table.

    Rows are written as PostgreSQL spells them, with all digits of their numbers. The file stands there when it is
    whole, in place of an older one, and only its owner reads it: there are hashes of passwords in it. Its last key is
    the SHA-256 of what is before. The cache is left out. BackupError where the file cannot be written.
    """
    path = Path(path)
    counts: dict[str, int] = {}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.unfinished")
    try:
        with (
            db.transaction("repeatable read", read_only=True) as conn,
            os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
        ):
            digest = hashlib.sha256()
            for piece in _pieces(conn, counts):
                file.write(encoded := piece.encode())
                digest.update(encoded)
            file.write(f'{CHECKSUM.decode()}{digest.hexdigest()}"}}\n'.encode())
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise BackupError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return counts


def _pieces(conn: psycopg.Connection[Any], counts: dict[str, int]) -> Iterator[str]:
    """Yield the file's text but for its checksum, and count the rows of each table."""
    head = {"format": FORMAT, "taken_at": datetime.now(UTC).isoformat()}
    yield f'{json.dumps(head)[:-1]}, "tables": {{'
    for number, table in enumerate(TABLES):
        yield f'{"," if number else ""}\n"{table}": ['
        counts[table] = 0
        with getattr(backup, f"dump_{table}")(conn) as rows:
            for line in rows:
                yield f"{',' if counts[table] else ''}\n{line}"
                counts[table] += 1
        yield "\n]"
    yield "\n}"


def _sync(folder: Path) -> None:
    """Let the file's name reach the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def restore_database_data(db: View, path: str | Path = "backup.json", *, checked: bool = True) -> dict[str, int]:
    """Write the rows of a backup into a database that has none, all or nothing; return how many of each table.

    The partitions of the log are made as its lines need them. BackupError where the file is no backup or not as it
    was written, or where there are rows already. ``checked=False`` takes a file that somebody has edited on purpose.
    """
    path = Path(path)
    tables = _read(path, checked=checked)
    counts: dict[str, int] = {}
    with db.transaction("serializable") as conn:
        if backup.has_rows(conn):
            raise BackupError(f"{path}: the database is not empty; reset_database empties it")
        make_partitions(conn, SYSTEM_LOGS, _times(path, tables["system_logs"]))
        for table, rows in tables.items():
            fill = getattr(backup, f"fill_{table}")
            counts[table] = sum(fill(conn, rows=rows[at : at + BATCH]) for at in range(0, len(rows), BATCH))
        backup.continue_log_ids(conn)
        invalidate_all(conn)  # what was kept of rows with these very ids
    return counts


def _read(path: Path, *, checked: bool) -> dict[str, list[dict[str, Any]]]:
    """Read a backup; a number keeps all its digits."""
    try:
        written = path.read_bytes()
        content = json.loads(written, parse_float=Decimal, parse_int=_whole)
    except OSError as error:
        raise BackupError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError):
        raise BackupError(f"{path}: is no JSON") from None
    tables = content.get("tables") if isinstance(content, dict) and content.get("format") == FORMAT else None
    if not isinstance(tables, dict) or set(tables) != set(TABLES):
        raise BackupError(f"{path}: is no backup of this application")
    for table, rows in tables.items():
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise BackupError(f"{path}: {table}: is no list of rows")
    _times(path, tables["system_logs"])
    body = written.rpartition(CHECKSUM)[0]
    if checked and content.get("sha256") != hashlib.sha256(body).hexdigest():
        raise BackupError(f"{path}: is damaged: it is not as it was written (SHA-256); use another backup")
    return {table: tables[table] for table in TABLES}


def _whole(digits: str) -> int | Decimal:
    """Read a whole number; Python refuses to make an int of thousands of digits."""
    return int(digits) if len(digits) < 1000 else Decimal(digits)


def _times(path: str | Path, rows: list[dict[str, Any]]) -> set[datetime]:
    try:
        return {datetime.fromisoformat(row["created_at"]) for row in rows}
    except (KeyError, TypeError, ValueError):
        raise BackupError(f"{path}: system_logs: a line has no time") from None
