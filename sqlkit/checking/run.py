"""``check``: from projects to a report of what does not hold."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg

from sqlkit.checking.calls import called_names
from sqlkit.checking.directives import check_directives, without_allowed
from sqlkit.checking.findings import Finding, Place, Severity, Trouble
from sqlkit.checking.lints import lint
from sqlkit.checking.plans import check_plans, update_plans
from sqlkit.checking.positions import SqlPlaces, common_words
from sqlkit.checking.project import Project
from sqlkit.checking.python_places import PythonPlaces
from sqlkit.checking.sources import ProjectFacts, read_sources
from sqlkit.checking.verify import verify
from sqlkit.checking.workbench import Bench, CannotCheck, Workbench, said_by
from sqlkit.describing.describe import describe
from sqlkit.describing.description import Described, Description, Refused, Undescribed
from sqlkit.statements import Statement

__all__ = ["Counts", "Report", "check"]

#: SQLSTATEs of a name that is not there: an extension that is missing may be why.
UNKNOWN_NAMES = frozenset({"42883", "42704"})

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Counts:
    """How much was looked at; ``proved`` are the columns that are proved never to be NULL."""

    statements: int = 0
    variants: int = 0
    columns: int = 0
    proved: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.statements + other.statements,
            self.variants + other.variants,
            self.columns + other.columns,
            self.proved + other.proved,
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found, by place, and what it could not look at."""

    findings: tuple[Finding, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    counts: Counts = field(default_factory=Counts)

    def status(self, *, strict: bool = False) -> int:
        """Return the exit status: 2 where something could not be checked, 1 for findings, else 0.

        Hints count with ``strict`` only.
        """
        if self.troubles:
            return 2
        return 1 if any(strict or finding.severity is not Severity.HINT for finding in self.findings) else 0


@dataclass(frozen=True, slots=True)
class _Options:
    """What is said for all projects of one check."""

    hints: bool | None
    select: frozenset[str]
    ignore: frozenset[str]
    plans: bool
    update_plans: bool
    progress: Progress

    def shows(self, finding: Finding, project: Project) -> bool:
        if self.select:
            return finding.code in self.select
        hints = project.hints if self.hints is None else self.hints
        if finding.severity is Severity.HINT and not hints:
            return False
        return finding.code not in self.ignore | project.ignore

    def looks_for(self, code: str, project: Project) -> bool:
        """Tell whether a hint is wanted that takes a search."""
        return self.shows(Finding(code, "", ""), project)


def check(
    projects: Project | Sequence[Project],
    dsn: str | None = None,
    *,
    hints: bool | None = None,
    select: Collection[str] = (),
    ignore: Collection[str] = (),
    plans: bool = False,
    update_plans: bool = False,
    bindir: str | os.PathLike[str] | None = None,
    progress: Progress = lambda _: None,
) -> Report:
    """Check projects and return what was found; nothing is left behind, whatever happens.

    Without a ``dsn`` a server is started and migrated. ``hints`` wins over what the projects say; ``select`` shows
    these codes alone, ``ignore`` all but these. ``plans`` compares plans with the projects' snapshots, which needs a
    ``dsn`` with real statistics; ``update_plans`` writes these anew. ``progress`` is told what is being done. What
    cannot be checked is a trouble in the report, never an exception.
    """
    options = _Options(hints, frozenset(select), frozenset(ignore), plans or update_plans, update_plans, progress)
    report = Report()
    with Workbench(dsn, bindir=bindir, progress=progress) as workbench:
        for project in [projects] if isinstance(projects, Project) else projects:
            report = _joined(report, _check(project, workbench, options))
    return report


def _joined(one: Report, other: Report) -> Report:
    return Report(one.findings + other.findings, one.troubles + other.troubles, one.counts + other.counts)


def _check(project: Project, workbench: Workbench, options: _Options) -> Report:
    options.progress(f"reading {project.name or 'the project'}")
    sources = read_sources(project.root, project.modules, project.sql)
    reasons = list(sources.obstacles)
    facts = ProjectFacts(
        sources.queries,
        sources.statements,
        called=called_names(project.root, project.modules) if options.looks_for("SK011", project) else None,
        declares=bool(project.modules) and sources.complete,
    )
    findings: list[Finding] = list(sources.findings)
    if sources.statements:
        try:
            with workbench.bench(project) as bench:
                reasons += bench.limits
                options.progress(f"describing {len(sources.statements)} statements")
                descriptions, impossible = _described(bench, sources.statements)
                reasons += impossible
                facts = replace(facts, descriptions=descriptions)
                if options.plans and project.plans is not None:
                    findings += _plans(bench, facts, project, project.plans, options, reasons)
        except CannotCheck as reason:
            reasons.append(str(reason))
        except psycopg.Error as error:
            reasons.append(f"the database did not answer: {said_by(error)}")
    if not (facts.statements or findings or reasons):
        reasons.append(_nothing(project.modules))
    findings = [_completed(finding, facts) for finding in [*findings, *_findings(facts)]]
    shown = [finding for finding in without_allowed(findings, facts.statements) if options.shows(finding, project)]
    troubles = tuple(Trouble(reason, project.name) for reason in reasons)
    return Report(tuple(_sorted(shown)), troubles, _count(facts))


def _nothing(modules: Sequence[str]) -> str:
    """Say that there is nothing to check; most likely other modules are meant, often those of a package."""
    named = ", ".join(modules) or "no module"
    below = next((f"; all that is below a package is {name}.*" for name in modules if not name.endswith("*")), "")
    return f"there is nothing to check: what sqlkit.load returned is not in {named}{below}"


def _plans(
    bench: Bench, facts: ProjectFacts, project: Project, snapshot: Path, options: _Options, reasons: list[str]
) -> list[Finding]:
    large = project.large_table
    options.progress("explaining")
    with bench.conn.transaction(force_rollback=True):
        if options.update_plans:
            update_plans(bench.conn, facts, snapshot, reasons.append)
            return [each for each in check_plans(bench.conn, facts, snapshot, large=large) if each.code != "SK016"]
        return list(check_plans(bench.conn, facts, snapshot, reasons.append, large=large))


def _findings(facts: ProjectFacts) -> Iterator[Finding]:
    yield from check_directives(facts.statements)
    yield from lint(facts)
    for statement in facts.statements:
        yield from _refusals(facts.descriptions.get(statement, ()))
    yield from verify(facts.queries, facts.descriptions)


def _completed(finding: Finding, facts: ProjectFacts) -> Finding:
    """Return a finding about a declared statement with both of its places."""
    if finding.sql is not None and finding.python is not None:
        return finding
    name = finding.query.rpartition(".")[2]
    for query in facts.queries:
        statement = query.statement
        if statement.name != name or (finding.sql and finding.sql.path.resolve() != statement.path.resolve()):
            continue
        method = PythonPlaces().method(query.contract)
        if finding.python is None:
            return replace(finding, python=method)
        if finding.python.path == method.path:
            return replace(finding, sql=SqlPlaces().statement(statement))
    return finding


def _described(bench: Bench, statements: Sequence[Statement]) -> tuple[dict[Statement, list[Description]], list[str]]:
    """Describe all statements; say of which variants that was impossible, and why."""
    found: dict[Statement, list[Description]] = {statement: [] for statement in statements}
    impossible: list[str] = []
    for description in describe(bench.conn, statements):
        reason = _impossible(description, bench.missing)
        if reason is None:
            found[description.statement].append(description)
        elif (line := f"{description.statement.label}: {reason}") not in impossible:
            impossible.append(line)
    return found, impossible


def _impossible(description: Description, missing: Sequence[str]) -> str | None:
    """Say why a variant could not be tried: also one whose extension is missing is not to blame."""
    outcome = description.outcome
    if isinstance(outcome, Undescribed):
        return outcome.reason
    if isinstance(outcome, Refused) and missing and outcome.sqlstate in UNKNOWN_NAMES:
        return f"{outcome.message}; this server lacks the extension {' and '.join(missing)}"
    return None


def _refusals(descriptions: Sequence[Description]) -> Iterator[Finding]:
    """Yield SK001 for what PostgreSQL refuses: one finding for each reason and place, with the variants it is about."""
    places = SqlPlaces()
    refused: dict[tuple[str, Place], list[Description]] = {}
    for description in descriptions:
        outcome = description.outcome
        if isinstance(outcome, Refused):
            place = places.refusal(description, outcome)
            hint = f" ({outcome.hint.rstrip('.')})" if outcome.hint else ""
            refused.setdefault((f"PostgreSQL refuses it: {outcome.message}{hint}", place), []).append(description)
    for (message, place), variants in refused.items():
        first = variants[0]
        words = common_words(first.statement, [(each.given, each.chosen) for each in variants])
        yield Finding("SK001", message, first.statement.name, sql=place, variant=words)


def _sorted(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings by place, each once."""

    def key(finding: Finding) -> tuple[Place, str, str]:
        place = finding.sql or finding.python or Place(Path(), 0, 0)
        return replace(place, path=place.path.absolute(), end=place.end or 0), finding.code, finding.message

    return sorted(dict.fromkeys(findings), key=key)


def _count(facts: ProjectFacts) -> Counts:
    """Count statements and variants; of columns, those of each statement's fullest variant."""
    columns = proved = 0
    for descriptions in facts.descriptions.values():
        by_name: dict[int, bool] = {}
        for description in descriptions:
            if isinstance(description.outcome, Described):
                for index, column in enumerate(description.outcome.columns):
                    by_name[index] = by_name.get(index, True) and not column.nullable
        columns += len(by_name)
        proved += sum(by_name.values())
    variants = sum(map(len, facts.descriptions.values()))
    return Counts(len(facts.statements), variants, columns, proved)
