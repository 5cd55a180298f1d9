"""What ``load`` refuses when a module is imported, as findings with the places that its errors name."""

from __future__ import annotations

import re
from pathlib import Path

from sqlkit.checking.findings import Finding, Place
from sqlkit.checking.positions import SqlPlaces
from sqlkit.checking.python_places import PythonPlaces
from sqlkit.errors import ContractError, SqlFileError
from sqlkit.sqlfile.sqltext import LINE_END

__all__ = ["contract_finding", "file_finding"]

#: ``app/songs.py:20: SongQueries.get_song: reason (sql/songs.sql:14)``: how the errors of ``load`` are written.
CONTRACT = re.compile(r"(?P<path>[^\n]+?\.\w+):(?P<line>\d+): (?P<query>[\w.]+): (?P<reason>.*)", re.DOTALL)
STATEMENT = re.compile(r" \((?P<path>[^()\n]+):(?P<line>\d+)\)$")

HEADER = re.compile(r"\s*--\s*name\s*:\s*(\w+)")


def file_finding(error: SqlFileError, python: Place | None) -> Finding:
    """Return SK020 for a file that does not parse; ``python`` is the line that loads it."""
    place = Place(error.path, error.line, error.column)
    return Finding("SK020", error.reason, _name_above(error), sql=place, python=python)


def _name_above(error: SqlFileError) -> str:
    """Return the name of the statement that a line is in, by the nearest header above it."""
    try:
        lines = LINE_END.split(error.path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return ""
    names = [found[1] for line in lines[: error.line] if (found := HEADER.match(line))]
    return names[-1] if names else ""


def contract_finding(error: ContractError, python: Place | None) -> Finding:
    """Return SK019 for a Protocol that disagrees with its file; ``python`` is the line that loads it."""
    found = CONTRACT.fullmatch(str(error))
    if found is None:
        query, _, reason = str(error).partition(": ")
        return Finding("SK019", reason or query, query if reason else "load", python=python)
    method = found["query"].rpartition(".")[2]
    place = PythonPlaces().function(Path(found["path"]), int(found["line"]), method)
    statement = STATEMENT.search(found["reason"])
    reason = found["reason"][: statement.start()] if statement else found["reason"]
    sql = SqlPlaces().line(Path(statement["path"]), int(statement["line"])) if statement else None
    return Finding("SK019", reason, found["query"], sql=sql, python=place)
