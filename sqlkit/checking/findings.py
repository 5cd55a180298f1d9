"""What a check finds: a code, a place in the SQL, a place in the Python, and a sentence that says what to change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

__all__ = ["CODES", "Finding", "Place", "Severity", "Trouble"]


class Severity(Enum):
    """How much a finding weighs: an error will fail, a warning may, a hint is shown when it is asked for."""

    ERROR = "error"
    WARNING = "warning"
    HINT = "hint"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a file; ``line`` and ``column`` count from 1, ``end`` is the column behind the last character."""

    path: Path
    line: int
    column: int
    end: int | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. ``sql`` or ``python`` may be missing, never both; ``query`` is the statement's or method's name.

    ``message`` says what is wrong and what to change, in one sentence, lower case, without a full stop. ``variant``
    tells in words which variant it is about (``without genre``, ``order: newest``), None where it is all of them.
    """

    code: str
    message: str
    query: str
    sql: Place | None = None
    python: Place | None = None
    variant: str | None = None
    reason: str | None = None

    @property
    def severity(self) -> Severity:
        """What the code says."""
        return CODES[self.code][0]


@dataclass(frozen=True, slots=True)
class Trouble:
    """What kept a part from being checked: ``reason`` begins with the place where there is one.

    ``project`` is empty where there is one project.
    """

    reason: str
    project: str = ""

    def __str__(self) -> str:
        return f"{self.project}: {self.reason}" if self.project else self.reason


#: Every code: its weight and what it is about. A code never changes its meaning; ``--@ allow: SK012`` on a statement
#: silences it there.
CODES: dict[str, tuple[Severity, str]] = {
    "SK001": (Severity.ERROR, "PostgreSQL refuses the statement"),
    "SK002": (Severity.ERROR, "a parameter's Python type cannot be sent as the type that PostgreSQL wants"),
    "SK003": (Severity.ERROR, "None for a parameter that is only written to a NOT NULL column"),
    "SK004": (Severity.ERROR, "a column without a field"),
    "SK005": (Severity.ERROR, "a field without a column"),
    "SK006": (Severity.ERROR, "a column's type does not load into the field's"),
    "SK007": (Severity.ERROR, "a column can be NULL, its field takes no None"),
    "SK008": (Severity.HINT, "a field takes None, its column is never NULL"),
    "SK009": (Severity.WARNING, "one row is promised, more are possible"),
    "SK010": (Severity.WARNING, "a statement that no Protocol declares"),
    "SK011": (Severity.HINT, "a declared query that no module calls"),
    "SK012": (Severity.WARNING, "update or delete without where"),
    "SK013": (Severity.WARNING, "select *"),
    "SK014": (Severity.ERROR, "Protocols that share a file do not agree"),
    "SK015": (Severity.WARNING, "a sequential scan on a large table"),
    "SK016": (Severity.WARNING, "a plan that has changed against the snapshot"),
    "SK017": (Severity.ERROR, "a group of nested columns without one that is never NULL"),
    "SK018": (Severity.WARNING, "a directive that nobody knows, or that lacks its @"),
    "SK019": (Severity.ERROR, "Protocol and file disagree"),
    "SK020": (Severity.ERROR, "a .sql file that does not parse"),
    "SK021": (Severity.WARNING, "a value may lose something on its way, or not be read at its end"),
}
