"""What ``load`` refuses when a module is imported, as findings with the places that its errors name."""

from __future__ import annotations

import re
from pathlib import Path

from sqlkit.checking.findings import Finding, Place
from sqlkit.errors import ContractError, SqlFileError

__all__ = ["contract_finding", "file_finding"]

#: ``app/songs.py:20: SongQueries.get_song: reason (sql/songs.sql:14)``: how the errors of ``load`` are written.
CONTRACT = re.compile(r"(?P<path>[^\n]+?\.\w+):(?P<line>\d+): (?P<query>[\w.]+): (?P<reason>.*)", re.DOTALL)
STATEMENT = re.compile(r" \((?P<path>[^()\n]+):(?P<line>\d+)\)$")


def file_finding(error: SqlFileError, python: Place | None) -> Finding:
    """Return SK020 for a file that does not parse; ``python`` is the line that loads it."""
    place = Place(error.path, error.line, error.column)
    return Finding("SK020", error.reason, error.path.name, sql=place, python=python)


def contract_finding(error: ContractError, python: Place | None) -> Finding:
    """Return SK019 for a Protocol that disagrees with its file; ``python`` is the line that loads it."""
    found = CONTRACT.fullmatch(str(error))
    if found is None:
        query, _, reason = str(error).partition(": ")
        return Finding("SK019", reason or query, query if reason else "load", python=python)
    place = Place(Path(found["path"]), int(found["line"]), 1)
    statement = STATEMENT.search(found["reason"])
    reason = found["reason"][: statement.start()] if statement else found["reason"]
    sql = Place(Path(statement["path"]), int(statement["line"]), 1) if statement else None
    return Finding("SK019", reason, found["query"], sql=sql, python=place)
