"""Looks for a NULL where the prover says that there is none: random rows, random parameters, every statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import psycopg

from sqlkit.describing.describe import describe
from sqlkit.describing.description import Described
from sqlkit.statements import Statement
from tests.nullability.cases import Parameters, nulls, run
from tests.nullability.rows import fill, parameter

#: A random query may be a large cross join.
TIMEOUT = "set local statement_timeout = '200ms'"


@dataclass(frozen=True, eq=False)
class Claim:
    """What the prover says of a statement: the columns that are never NULL, with its reasons."""

    statement: Statement
    never_null: frozenset[int]
    reasons: tuple[str, ...]
    types: tuple[tuple[str, str], ...]

    def parameters(self, random: Random) -> Parameters:
        """Return random parameters."""
        return {name: parameter(random, type_) for name, type_ in self.types}


@dataclass(frozen=True)
class Falsified:
    """A column that was said never to be NULL, and was."""

    claim: Claim
    column: int

    def __str__(self) -> str:
        reason = self.claim.reasons[self.column]
        return f"{self.claim.statement.name}: column {self.column + 1} ({reason}) is NULL: {self.claim.statement.text}"


def claims(conn: psycopg.Connection[Any], statements: Iterable[Statement]) -> list[Claim]:
    """Ask the prover about statements; those that PostgreSQL refuses are left out."""
    found = []
    for description in describe(conn, statements):
        outcome = description.outcome
        if isinstance(outcome, Described):
            never_null = (number for number, column in enumerate(outcome.columns) if not column.nullable)
            reasons = tuple(column.reason for column in outcome.columns)
            types = tuple((str(each.reference), each.type.name) for each in outcome.parameters)
            found.append(Claim(description.statement, frozenset(never_null), reasons, types))
    return found


@dataclass
class Falsifier:
    """Tries claims on random rows.

    ``ran`` counts statements that ran, ``rows`` those that returned a row, ``slow`` are those that took too
    long; they are not tried again.
    """

    conn: psycopg.Connection[Any]
    random: Random
    ran: int = 0
    rows: int = 0
    slow: set[Claim] = field(default_factory=set)

    def falsify(self, claimed: list[Claim], rounds: int) -> Iterator[Falsified]:
        """Yield what is falsified, each column once. Nothing that is done to the database is kept."""
        found: set[tuple[int, int]] = set()
        for _ in range(rounds):
            with self.conn.transaction(force_rollback=True):
                fill(self.conn, self.random)
                self.conn.execute(TIMEOUT)
                for number, claim in enumerate(claimed):
                    if not claim.never_null or claim in self.slow:
                        continue
                    for column in sorted(self.null_columns(claim) & claim.never_null):
                        if (number, column) not in found:
                            found.add((number, column))
                            yield Falsified(claim, column)

    def null_columns(self, claim: Claim) -> set[int]:
        """Run a statement once; return the columns that came as NULL, none where it fails."""
        try:
            with self.conn.transaction(force_rollback=True):
                rows = run(self.conn, claim.statement, claim.parameters(self.random))
        except psycopg.errors.QueryCanceled:
            self.slow.add(claim)
            return set()
        except psycopg.Error:
            return set()
        self.ran += 1
        self.rows += bool(rows)
        return nulls(rows)
