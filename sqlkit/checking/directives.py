"""``--@ key: value`` under a statement's name: which are known, and what they silence."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sqlkit.checking.findings import CODES, Finding
from sqlkit.checking.positions import SqlPlaces
from sqlkit.sqlfile.replica import greatest_lag
from sqlkit.sqlfile.sections import CARDINALITIES
from sqlkit.statements import Statement

__all__ = ["allowed", "check_directives", "without_allowed"]

#: The directives, with the values that each may have; None where it has its own form.
DIRECTIVES: Mapping[str, frozenset[str] | None] = {
    "allow": None,
    "cardinality": frozenset(CARDINALITIES),
    "replica": None,
}

#: What may be a directive, in a line of documentation.
_MAYBE = re.compile(rf"\s*({'|'.join(DIRECTIVES)})\s*:\s*(\S.*?)\s*")


def allowed(statement: Statement) -> frozenset[str]:
    """Return the codes that ``--@ allow: SK012, SK013`` silences on a statement."""
    return frozenset(_codes(statement))


def _codes(statement: Statement) -> list[str]:
    return [code.strip() for code in statement.directives.get("allow", "").split(",") if code.strip()]


def check_directives(statements: Iterable[Statement]) -> Iterator[Finding]:
    """Yield SK018 for each directive that nobody reads, and for codes that are none."""
    places = SqlPlaces()
    for statement in statements:
        for key, value in statement.directives.items():
            if reason := _refused(statement, key, value):
                yield Finding("SK018", reason, statement.name, sql=places.directive(statement, key))
        for line in statement.doc.splitlines():
            if _is_meant(line):
                reason = f"this is documentation; a directive begins with --@: write --@ {line.strip()}"
                yield Finding("SK018", reason, statement.name, sql=places.documentation(statement, line))


def _is_meant(line: str) -> bool:
    """Tell whether a line of documentation can only be meant as a directive: its key and its value mean something."""
    found = _MAYBE.fullmatch(line)
    if found is None:
        return False
    key, value = found.groups()
    if key == "replica":
        return greatest_lag(value) is not None
    return value in CARDINALITIES if key == "cardinality" else all(code.strip() in CODES for code in value.split(","))


def _refused(statement: Statement, key: str, value: str) -> str | None:
    if key not in DIRECTIVES:
        return f"nothing reads the directive {key}{_near(key, DIRECTIVES)}"
    if key == "allow":
        unknown = [code for code in _codes(statement) if code not in CODES]
        return f"allow: {unknown[0]} is no code{_near(unknown[0].upper(), CODES)}" if unknown else None
    if key == "replica":
        more = ", or with a greatest lag: ok 500ms, ok 2s" if value.startswith("ok ") else ""
        return None if greatest_lag(value) else f"replica: {value} means nothing; write replica: ok{more}"
    values = DIRECTIVES[key]
    if values is not None and value not in values:
        return f"{key}: {value} means nothing; write {key}: {' or '.join(sorted(values))}"
    return None


def without_allowed(findings: Iterable[Finding], statements: Iterable[Statement]) -> Iterator[Finding]:
    """Yield the findings that no statement silences."""
    silenced: dict[tuple[Path, str], frozenset[str]] = {}
    names: dict[str, frozenset[str]] = {}
    for statement in statements:
        codes = allowed(statement)
        if codes:
            silenced[statement.path.resolve(), statement.name] = codes
            names[statement.name] = codes & names.get(statement.name, codes)
    for finding in findings:
        name = finding.query.rpartition(".")[2]
        codes = (
            silenced.get((finding.sql.path.resolve(), name), frozenset())
            if finding.sql
            else names.get(name, frozenset())
        )
        if finding.code not in codes:
            yield finding


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), 1)
    return f", did you mean {near[0]}?" if near else f" (there are {', '.join(sorted(known))})"
