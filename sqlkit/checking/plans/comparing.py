"""SK015 and SK016: what the plans of a project's statements show, alone and beside the committed ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from sqlkit.checking.findings import Finding
from sqlkit.checking.plans.explaining import Plan, Relations, can_explain, explain
from sqlkit.checking.plans.snapshot import Snapshot, read_snapshot, statement_key, write_snapshot
from sqlkit.checking.positions import SqlPlaces, common_words, variant_words
from sqlkit.checking.sources import ProjectFacts
from sqlkit.describing.description import Description
from sqlkit.errors import ConfigurationError
from sqlkit.statements import Statement

__all__ = ["LARGE", "check_plans", "update_plans"]

#: From how many rows on a table is large: below it, reading all of it costs a few milliseconds.
LARGE = 10_000

#: Takes what could not be said, in words.
Trouble = Callable[[str], object]


_Variant = tuple[int, tuple[str, ...]]


def _unheard(_: str) -> None:
    """Take no notice."""


@dataclass(slots=True)
class _Explained:
    """A statement's plans by the arguments of ``variant``, and its tables that were never analysed."""

    statement: Statement
    plans: dict[_Variant, Plan] = field(default_factory=dict)

    @property
    def unknown(self) -> set[str]:
        return {table for plan in self.plans.values() for table in plan.unknown}


def check_plans(
    conn: psycopg.Connection[Any],
    facts: ProjectFacts,
    snapshot: Path,
    trouble: Trouble = _unheard,
    *,
    large: int = LARGE,
) -> Iterator[Finding]:
    """Yield SK015 for sequential scans of large tables and SK016 for plans that are not those of the snapshot.

    Explains each variant that ``facts.descriptions`` knows, under a generic plan. A scan counts where a condition
    throws rows away and the table has more than ``large`` rows. ``trouble`` is told what cannot be said: of tables that
    were never analysed, of statements that cannot be explained, of a snapshot that is missing or no snapshot. The
    connection is in a transaction, in which nothing is left.
    """
    places, unknown = SqlPlaces(), set[str]()
    known = _read(snapshot, trouble)
    for explained in _explain_all(conn, facts, trouble):
        unknown |= explained.unknown
        yield from _scans(explained, places, large)
        if known is not None and not explained.unknown:
            yield from _changes(explained, known, snapshot, places, conn.info.server_version // 10000)
    _tell_of(unknown, trouble)


def update_plans(
    conn: psycopg.Connection[Any], facts: ProjectFacts, snapshot: Path, trouble: Trouble = _unheard
) -> bool:
    """Write the snapshot anew (``--update-plans``); tell whether a plan in it has changed.

    What stands in it of statements that are gone goes. ``trouble`` is told of tables that were never analysed, whose
    plans are guesses, and of statements that cannot be explained.
    """
    plans, unknown = {}, set[str]()
    for explained in _explain_all(conn, facts, trouble):
        unknown |= explained.unknown
        variants = {_words(explained.statement, variant): plan.lines for variant, plan in explained.plans.items()}
        plans[statement_key(explained.statement, snapshot)] = variants
    _tell_of(unknown, trouble)
    return write_snapshot(snapshot, Snapshot(conn.info.server_version // 10000, plans))


def _read(path: Path, trouble: Trouble) -> Snapshot | None:
    try:
        known = read_snapshot(path)
    except ConfigurationError as error:
        trouble(str(error))
        return None
    if known is None:
        trouble(f"{path}: there is no snapshot yet: write it with --update-plans")
    return known


def _tell_of(unknown: set[str], trouble: Trouble) -> None:
    if unknown:
        tables = ", ".join(sorted(unknown))
        trouble(f"{tables}: never analysed, so the plans that read them say nothing: run analyze {tables}")


def _explain_all(conn: psycopg.Connection[Any], facts: ProjectFacts, trouble: Trouble) -> Iterator[_Explained]:
    relations = Relations(conn)
    for statement in facts.statements:
        found = _Explained(statement)
        for description in facts.descriptions.get(statement, ()):
            if can_explain(description):
                _add(found, conn, description, relations, trouble)
        if found.plans:
            yield found


def _add(
    found: _Explained, conn: psycopg.Connection[Any], description: Description, relations: Relations, trouble: Trouble
) -> None:
    statement = description.statement
    try:
        found.plans[description.given, description.chosen] = explain(conn, description, relations)
    except psycopg.OperationalError:
        if conn.broken:
            raise
        trouble(f"{statement.label}: cannot be explained")
    except psycopg.Error as error:
        # The class and the code: a message is translated, and may quote a value.
        trouble(f"{statement.label}: cannot be explained: {type(error).__name__} ({error.sqlstate})")


def _words(statement: Statement, variant: _Variant) -> str:
    return variant_words(statement, *variant) or ""


def _scans(explained: _Explained, places: SqlPlaces, large: int) -> Iterator[Finding]:
    """Yield a finding for each table, with the variants that scan it where not all of them do."""
    found: dict[str, tuple[int, list[_Variant]]] = {}
    for variant, plan in explained.plans.items():
        for scan in plan.scans:
            if scan.rows is not None and scan.rows > large:
                found.setdefault(scan.table, (scan.rows, []))[1].append(variant)
    for table, (rows, variants) in found.items():
        message = f"reads all of {table}, about {rows:,} rows, to find some: add an index for its condition"
        yield _finding("SK015", message, explained.statement, variants, places)


def _finding(
    code: str,
    message: str,
    statement: Statement,
    variants: list[_Variant],
    places: SqlPlaces,
    reason: str | None = None,
) -> Finding:
    words = common_words(statement, variants)
    return Finding(code, message, statement.name, sql=places.statement(statement), variant=words, reason=reason)


def _changes(
    explained: _Explained, known: Snapshot, snapshot: Path, places: SqlPlaces, version: int
) -> Iterator[Finding]:
    """Yield a finding for each change, with the variants that have it where not all of them do."""
    statement = explained.statement
    before = known.plans.get(statement_key(statement, snapshot), {})
    other = f"the snapshot is of PostgreSQL {known.postgresql}, this is {version}"
    found: dict[str, list[_Variant]] = {}
    for variant, plan in explained.plans.items():
        lines = before.get(_words(statement, variant))
        if lines != plan.lines:
            found.setdefault(_difference(lines, plan.lines), []).append(variant)
    for difference, variants in found.items():
        message = f"{difference}: look whether that is meant, then run with --update-plans"
        yield _finding("SK016", message, statement, variants, places, other if version != known.postgresql else None)


def _difference(before: tuple[str, ...] | None, now: tuple[str, ...]) -> str:
    """Say in words where two plans part."""
    if before is None:
        return f"the snapshot has no plan for it, which is {_said(now[0])}"
    pairs = enumerate(zip(before, now, strict=False))
    part = next((index for index, (old, new) in pairs if old != new), min(len(before), len(now)))
    if part == len(before):
        return f"the plan has {_said(now[part])} now"
    if part == len(now):
        return f"the plan has no {_said(before[part])} now"
    return f"the plan has {_said(now[part])} now instead of {_said(before[part])}"


def _said(line: str) -> str:
    return f"`{line.strip()}`"
