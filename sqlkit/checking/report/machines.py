"""A report for programs: JSON, and the commands by which GitHub's Actions annotate a change.

The JSON's shape is part of the public interface: keys may be added, none changes its meaning.
"""

from __future__ import annotations

import json
from typing import Any

from sqlkit.checking.findings import Finding, Place, Severity
from sqlkit.checking.report.lines import shown_path, shown_text
from sqlkit.checking.run import Report

__all__ = ["github_report", "json_report"]

#: GitHub's words for a finding's weight.
COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.HINT: "notice"}


def json_report(report: Report, *, strict: bool = False) -> str:
    """Return a report as one JSON object."""
    counts = report.counts
    content = {
        "status": report.status(strict=strict),
        "findings": [_finding(finding) for finding in report.findings],
        "troubles": [
            {"project": trouble.project or None, "reason": shown_text(trouble.reason)} for trouble in report.troubles
        ],
        "counts": {
            "statements": counts.statements,
            "variants": counts.variants,
            "columns": counts.columns,
            "never_null": counts.proved,
        },
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "query": finding.query,
        "message": shown_text(finding.message),
        "reason": finding.reason,
        "variant": finding.variant,
        "sql": _place(finding.sql),
        "python": _place(finding.python),
    }


def _place(place: Place | None) -> dict[str, Any] | None:
    if place is None:
        return None
    return {"path": shown_path(place.path), "line": place.line, "column": place.column, "end": place.end}


def github_report(report: Report) -> str:
    """Return a report as workflow commands, one a line: an annotation at the SQL, which names the Python."""
    lines = [_annotation(finding) for finding in report.findings]
    lines += [
        _command("error", {"title": "sqlkit could not check"}, shown_text(str(trouble))) for trouble in report.troubles
    ]
    return "".join(f"{line}\n" for line in lines)


def _annotation(finding: Finding) -> str:
    place = finding.sql or finding.python
    properties: dict[str, Any] = {}
    if place is not None:
        properties = {"file": shown_path(place.path), "line": place.line, "col": place.column}
        properties |= {"endColumn": place.end} if place.end else {}
    text = f"{finding.query}: " if finding.query else ""
    text += shown_text(finding.message)
    for name, said in (("reason", finding.reason), ("variant", finding.variant)):
        text += f"\n{name}: {said}" if said else ""
    if finding.sql and finding.python:
        text += f"\n--> {shown_path(finding.python.path)}:{finding.python.line}"
    return _command(COMMANDS[finding.severity], {**properties, "title": finding.code}, text)


def _command(name: str, properties: dict[str, Any], text: str) -> str:
    """Spell a workflow command, escaped as the runner's own toolkit does it (``core/src/command.ts``)."""
    parts = ",".join(f"{key}={_escaped(str(value), ':', ',')}" for key, value in properties.items())
    return f"::{name} {parts}::{_escaped(text)}"


def _escaped(text: str, *further: str) -> str:
    text = text.replace("%", "%25")
    for character in ("\r", "\n", *further):
        text = text.replace(character, f"%{ord(character):02X}")
    return text
