"""How the prover does on the cases: columns wrongly called NOT NULL, exact ones, needlessly nullable ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from sqlkit.describing.describe import describe
from sqlkit.describing.description import Described
from sqlkit.statements import Statement, read_statements
from tests.nullability.cases import ROOT, Case


@dataclass(frozen=True)
class Verdict:
    """What the prover says of one column, beside the truth."""

    statement: str
    column: str
    truth: bool
    nullable: bool
    reason: str

    def __str__(self) -> str:
        return f"{self.statement}: {self.column}: {self.reason}"


@dataclass(frozen=True)
class Score:
    """The verdicts on a group of cases, counted."""

    verdicts: tuple[Verdict, ...]

    @property
    def wrong(self) -> list[Verdict]:
        """Columns that are called NOT NULL and can be NULL."""
        return [verdict for verdict in self.verdicts if verdict.truth and not verdict.nullable]

    @property
    def needless(self) -> list[Verdict]:
        """Columns that are called nullable and never are NULL."""
        return [verdict for verdict in self.verdicts if verdict.nullable and not verdict.truth]

    @property
    def exact(self) -> int:
        """The number of the others."""
        return len(self.verdicts) - len(self.wrong) - len(self.needless)

    @property
    def never_null(self) -> int:
        """The number of columns that never are NULL."""
        return sum(not verdict.truth for verdict in self.verdicts)

    @property
    def needless_in_100(self) -> float:
        """Needlessly nullable columns in a hundred that never are NULL."""
        return 100 * len(self.needless) / self.never_null


def score(conn: psycopg.Connection[Any], cases: Sequence[Case]) -> Score:
    """Ask the prover about cases on an idle connection in autocommit, on which their schema is."""
    verdicts: list[Verdict] = []
    described = describe(conn, [case.statement for case in cases])
    for case, description in zip(cases, described, strict=True):
        outcome = description.outcome
        if not isinstance(outcome, Described):
            raise AssertionError(f"{case.name}: {outcome}")
        for name, truth, column in zip(case.columns, case.nullable, outcome.columns, strict=True):
            verdicts.append(Verdict(case.name, name, truth, column.nullable, column.reason))
    return Score(tuple(verdicts))


#: What can be NULL of soleil's statements by the columns' names, and those of which a statement says otherwise.
SOLEIL_NULLABLE = {"artist", "key", "tempo", "genre", "rhythm", "time_signature", "chart", "drive_file_id"}
SOLEIL_OTHERWISE = {
    ("get_song_by_drive_file_id", "drive_file_id"),  # its condition is on the column
    ("count_songs_by_rhythm", "slowest"),  # the least tempo, which may be unknown
    ("count_songs_by_rhythm", "fastest"),
}


def soleil_score(conn: psycopg.Connection[Any]) -> Score:
    """Ask the prover about soleil's statements on its own tables, in one variant each; ``conn`` finds them."""
    files = [path for path in sorted((ROOT / "sql" / "soleil").glob("*.sql")) if path.stem != "monitoring"]
    statements = [each for path in files for each in read_statements(path)]
    return Score(tuple(_soleil_verdicts(conn, statements)))


def _soleil_verdicts(conn: psycopg.Connection[Any], statements: Iterable[Statement]) -> Iterable[Verdict]:
    for description in describe(conn, statements):
        statement, outcome = description.statement, description.outcome
        if description.given or not isinstance(outcome, Described):
            continue
        for column in outcome.columns:
            truth = (column.name in SOLEIL_NULLABLE) != ((statement.name, column.name) in SOLEIL_OTHERWISE)
            yield Verdict(statement.name, column.name, truth, column.nullable, column.reason)
