"""All rows in one JSON file, of one moment, and back into an empty database."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlkit.apps.analysis.events import SYSTEM_LOGS
from sqlkit.apps.analysis.system import backup
from sqlkit.caching.statements import invalidate_all
from sqlkit.database import View
from sqlkit.errors import SqlkitError
from sqlkit.operations.partitions import make_partitions

__all__ = ["BackupError", "backup_database_data", "restore_database_data"]

FORMAT = "sqlkit analysis backup 1"

#: In an order in which each finds what it refers to. The cache can be had again.
TABLES = ("users", "data_analyses", "analysis_files", "tool_generations", "system_logs")

BATCH = 1000


class BackupError(SqlkitError):
    """A file that is no backup, or a database that is not empty; nothing was written."""


def backup_database_data(db: View, path: str | Path = "backup.json") -> dict[str, int]:
    """Write all rows to a JSON file, as they were at one moment; return how many of each table.

    Rows are written as PostgreSQL spells them, with all digits of their numbers. The file stands there when it is
    whole, in place of an older one, and only its owner reads it: there are hashes of passwords in it. The cache is
    left out.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.unfinished")
    counts: dict[str, int] = {}
    try:
        with (
            db.transaction("repeatable read", read_only=True) as conn,
            os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file,
        ):
            head = {"format": FORMAT, "taken_at": datetime.now(UTC).isoformat()}
            file.write(f'{json.dumps(head)[:-1]}, "tables": {{')
            for number, table in enumerate(TABLES):
                file.write(f'{"," if number else ""}\n"{table}": [')
                counts[table] = 0
                with getattr(backup, f"dump_{table}")(conn) as rows:
                    for line in rows:
                        file.write(f"{',' if counts[table] else ''}\n{line}")
                        counts[table] += 1
                file.write("\n]")
            file.write("\n}}\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return counts


def restore_database_data(db: View, path: str | Path = "backup.json") -> dict[str, int]:
    """Write the rows of a backup into a database that has none, all or nothing; return how many of each table.

    The partitions of the log are made as its lines need them. BackupError where the file is no backup, or where there
    are rows already.
    """
    tables = _read(Path(path))
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


def _read(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Read a backup; a number keeps all its digits."""
    try:
        content = json.loads(path.read_bytes(), parse_float=Decimal, parse_int=_whole)
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
    return {table: tables[table] for table in TABLES}


def _whole(digits: str) -> int | Decimal:
    """Read a whole number; Python refuses to make an int of thousands of digits."""
    return int(digits) if len(digits) < 1000 else Decimal(digits)


def _times(path: str | Path, rows: list[dict[str, Any]]) -> set[datetime]:
    try:
        return {datetime.fromisoformat(row["created_at"]) for row in rows}
    except (KeyError, TypeError, ValueError):
        raise BackupError(f"{path}: system_logs: a line has no time") from None
