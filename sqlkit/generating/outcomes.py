"""What PostgreSQL said of a statement's variants, as one: columns, parameters, how many rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sqlkit.checking.positions import SqlPlaces
from sqlkit.describing.description import (
    Described,
    DescribedColumn,
    DescribedParameter,
    Description,
    Refused,
    ServerType,
    Undescribed,
)
from sqlkit.errors import SqlFileError
from sqlkit.generating.targets import Target, targets_of
from sqlkit.statements import Reference, Statement

#: What PostgreSQL calls an expression that it has no name for.
UNNAMED = "?column?"

__all__ = ["Outcome", "OutputColumn", "Wanted", "outcomes_of", "refuse"]


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column of a statement: nullable in any variant, ``always`` there or only in some of them."""

    described: DescribedColumn
    nullable: bool
    always: bool = True

    @property
    def name(self) -> str:
        """The column's name."""
        return self.described.name


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a statement wants of a reference: its type, and the column that it is written to."""

    type: ServerType
    target: Target | None = None
    not_null: bool = False


@dataclass(slots=True)
class Outcome:
    """A statement, described: ``single`` and ``always`` hold for all of its variants."""

    statement: Statement
    columns: tuple[OutputColumn, ...] = ()
    wanted: dict[Reference, Wanted] = field(default_factory=dict)
    single: bool = True
    always: bool = True


def refuse(statement: Statement, reason: str) -> SqlFileError:
    """Return the error for a statement that no Python can be written for."""
    return SqlFileError(statement.path, statement.line, 1, f"{statement.name}: {reason}")


def outcomes_of(descriptions: Iterable[Description]) -> list[Outcome]:
    """Join the descriptions of each statement's variants; SqlFileError where PostgreSQL refuses one."""
    found: dict[str, list[Described]] = {}
    outcomes: dict[str, Outcome] = {}
    for description in descriptions:
        statement = description.statement
        outcome = outcomes.setdefault(statement.name, Outcome(statement))
        described = _accepted(description)
        found.setdefault(statement.name, []).append(described)
        targets = targets_of(description.variant.text)
        for parameter in described.parameters:
            _add_parameter(outcome, parameter, targets.get(parameter.number))
    for name, outcome in outcomes.items():
        outcome.columns = _columns(outcome.statement, found[name])
        outcome.single = all(each.single for each in found[name])
        outcome.always = all(each.always for each in found[name])
    return list(outcomes.values())


def _accepted(description: Description) -> Described:
    statement, outcome = description.statement, description.outcome
    if isinstance(outcome, Refused):
        place = SqlPlaces().refusal(description, outcome)
        hint = f" ({outcome.hint.rstrip('.')})" if outcome.hint else ""
        raise SqlFileError(statement.path, place.line, place.column, f"{statement.name}: {outcome.message}{hint}")
    if isinstance(outcome, Undescribed):
        raise refuse(statement, outcome.reason)
    return outcome


def _add_parameter(outcome: Outcome, parameter: DescribedParameter, target: Target | None) -> None:
    known = outcome.wanted.get(parameter.reference)
    not_null = parameter.target is not None
    if known is None:
        outcome.wanted[parameter.reference] = Wanted(parameter.type, target, not_null)
    else:
        outcome.wanted[parameter.reference] = replace(
            known, target=known.target or target, not_null=known.not_null or not_null
        )


def _columns(statement: Statement, variants: Sequence[Described]) -> tuple[OutputColumn, ...]:
    found: dict[str, OutputColumn] = {}
    for described in variants:
        names = [column.name for column in described.columns]
        if len(names) > 1 and any(each.name == UNNAMED and each.source is None for each in described.columns):
            raise refuse(statement, "a column has no name: give it one with as")
        for name in names:
            if names.count(name) > 1:
                raise refuse(statement, f"two columns are named {name!r}: give one of them another name with as")
        for column in described.columns:
            known = found.get(column.name)
            if known is None:
                found[column.name] = OutputColumn(column, column.nullable)
            elif known.described.type.structure != column.type.structure:
                raise refuse(statement, f"the column {column.name!r} is of another type in another variant: cast it")
            else:
                in_row = known.described.nullable_in_row or column.nullable_in_row
                merged = replace(known.described, nullable_in_row=in_row)
                found[column.name] = replace(known, described=merged, nullable=known.nullable or column.nullable)
    everywhere = set.intersection(*({column.name for column in described.columns} for described in variants))
    return tuple(replace(column, always=name in everywhere) for name, column in found.items())
