"""What a statement takes and returns, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlkit.checking.positions import SqlPlaces, variant_words
from sqlkit.checking.report.lines import shown_path, spell_place
from sqlkit.checking.report.people import Line, Span
from sqlkit.describing.description import Described, DescribedColumn, Description, Refused, Undescribed
from sqlkit.statements import Statement

__all__ = ["StatementSummary", "summarise"]

Named = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StatementSummary:
    """A statement and what was found of its variants."""

    statement: Statement
    descriptions: Sequence[Description]

    @property
    def described(self) -> list[tuple[Description, Described]]:
        """The variants that PostgreSQL takes."""
        return [(each, each.outcome) for each in self.descriptions if isinstance(each.outcome, Described)]

    @property
    def problems(self) -> list[str]:
        """What PostgreSQL refuses and what could not be tried, each once, with its place."""
        return list(dict.fromkeys(filter(None, map(_problem, self.descriptions))))

    def status(self) -> int:
        """Return the exit status: 2 where a variant could not be tried, 1 where one was refused, else 0."""
        outcomes = [each.outcome for each in self.descriptions]
        if any(isinstance(outcome, Undescribed) for outcome in outcomes):
            return 2
        return 1 if any(isinstance(outcome, Refused) for outcome in outcomes) else 0

    def parameters(self) -> list[Named]:
        """Return all parameters, of whatever variant, in the statement's order."""
        types: dict[str, dict[str, None]] = {str(reference): {} for reference in self.statement.references}
        for _, described in self.described:
            for parameter in described.parameters:
                types.setdefault(str(parameter.reference), {})[parameter.type.name] = None
        return [{"name": name, "type": " or ".join(found)} for name, found in types.items() if found]

    def groups(self) -> list[tuple[list[Description], Described]]:
        """Return the variants, those together whose columns are the same."""
        found: list[tuple[list[Description], Described]] = []
        for description, described in self.described:
            for others, first in found:
                if _columns(first.columns) == _columns(described.columns):
                    others.append(description)
                    break
            else:
                found.append(([description], described))
        return found

    def columns(self) -> list[Named]:
        """Return the columns of all variants: one that is nullable in any of them is, with that reason."""
        found: dict[str, Named] = {}
        for _, described in self.groups():
            for number, column in enumerate(_columns(described.columns)):
                key = f"{column['name']} {sum(other.name == column['name'] for other in described.columns[:number])}"
                known = found.setdefault(key, column)
                if column["nullable"] and not known["nullable"]:
                    found[key] = {**known, "nullable": True, "reason": column["reason"]}
        return list(found.values())

    def content(self) -> Named:
        """Return what is known as a JSON object; ``variants`` only where their columns differ."""
        content: Named = {
            "statement": self.statement.name,
            "parameters": self.parameters(),
            "columns": self.columns(),
        }
        groups = self.groups()
        if len(groups) > 1:
            content["variants"] = [
                {"variants": [_words(each) for each in descriptions], "columns": _columns(described.columns)}
                for descriptions, described in groups
            ]
        if self.problems:
            content["problems"] = self.problems
        return content

    def lines(self) -> Iterator[Line]:
        """Yield what is known line by line."""
        path = shown_path(self.statement.path)
        yield [Span(f"{path}:{self.statement.line}: "), Span(self.statement.name, "bold")]
        for problem in self.problems:
            yield [Span("  "), Span(problem, "red")]
        yield from _table("takes", [(each["name"], each["type"], "") for each in self.parameters()])
        groups = self.groups()
        for descriptions, described in groups:
            which = f" {_some(descriptions)}" if len(groups) > 1 else ""
            rows = [(column.name, column.type.name, column.reason) for column in described.columns]
            yield from _table(f"returns{which}", rows)
            if described.single is not None:
                yield [Span(f"  one row at most: {described.single}")]
            if described.unproved is not None:
                yield [Span(f"  not proved: {described.unproved}", "yellow")]
        if groups and not any(described.columns for _, described in groups):
            yield [Span("  returns no rows")]


def summarise(descriptions: Sequence[Description]) -> list[StatementSummary]:
    """Sort descriptions by their statements."""
    found: dict[Statement, list[Description]] = {}
    for description in descriptions:
        found.setdefault(description.statement, []).append(description)
    return [StatementSummary(statement, each) for statement, each in found.items()]


def _columns(columns: Sequence[DescribedColumn]) -> list[Named]:
    return [
        {"name": column.name, "type": column.type.name, "nullable": column.nullable, "reason": column.reason}
        for column in columns
    ]


def _words(description: Description) -> str:
    return variant_words(description.statement, description.given, description.chosen) or "the statement"


def _some(descriptions: Sequence[Description]) -> str:
    words = [_words(each) for each in descriptions]
    if len(words) > 3:
        return f"{'; '.join(words[:2])}; and {len(words) - 2} more"
    return "; ".join(words)


def _problem(description: Description) -> str | None:
    outcome = description.outcome
    if isinstance(outcome, Undescribed):
        return f"could not be described: {outcome.reason}"
    if isinstance(outcome, Refused):
        place = SqlPlaces().refusal(description, outcome)
        hint = f" ({outcome.hint.rstrip('.')})" if outcome.hint else ""
        return f"{spell_place(place)}: PostgreSQL refuses it: {outcome.message}{hint}"
    return None


def _table(title: str, rows: Sequence[tuple[str, str, str]]) -> Iterator[Line]:
    if not rows:
        return
    yield [Span(f"  {title}")]
    names, types = (max(len(row[index]) for row in rows) for index in (0, 1))
    for name, kind, reason in rows:
        style = "green" if reason.startswith("not null") else "yellow"
        yield [
            Span(f"    {name:{names}}  {kind:{types if reason else 0}}"),
            Span(f"  {reason}" if reason else "", style),
        ]
