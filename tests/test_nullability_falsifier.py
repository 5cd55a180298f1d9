"""What the prover calls NOT NULL never is NULL: its claims are tried on random rows, on cases and on random queries."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlkit.statements import parse_statement
from sqlkit.testing import TestServer, dropped_afterwards
from tests.nullability.cases import Case, create_schema, read_cases
from tests.nullability.falsifier import Falsifier, claims
from tests.nullability.queries import Queries, statements


@pytest.fixture(scope="module")
def empty(server: TestServer) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection in autocommit to the scratch schema without rows."""
    with dropped_afterwards(server, kind="falsifier") as database:
        with psycopg.connect(server.dsn_for(database)) as conn:
            create_schema(conn, rows=False)
        with psycopg.connect(server.dsn_for(database), autocommit=True) as conn:
            yield conn


def every_case(conn: psycopg.Connection[Any]) -> list[Case]:
    """Return the cases that the server takes."""
    version = conn.info.server_version
    return [case for group in ("ordinary", "hard") for case in read_cases(group) if case.stands_on(version)]


def test_truths_are_never_falsified(empty: psycopg.Connection[Any]) -> None:
    """No random row makes a NULL where a case says never: what its witnesses do not show is not there."""
    cases = {case.statement: case for case in every_case(empty)}
    told = [
        replace(
            claim, never_null=frozenset(n for n, nullable in enumerate(cases[claim.statement].nullable) if not nullable)
        )
        for claim in claims(empty, cases)
    ]
    assert "\n".join(map(str, Falsifier(empty, Random(2)).falsify(told, 5))) == ""


def test_cases_are_never_falsified(empty: psycopg.Connection[Any]) -> None:
    """No random row makes a NULL where the prover says never, in any of the cases."""
    cases = every_case(empty)
    claimed = claims(empty, [case.statement for case in cases])
    falsifier = Falsifier(empty, Random(1))
    assert "\n".join(map(str, falsifier.falsify(claimed, 5))) == ""
    assert len(claimed) == len(cases)
    assert falsifier.rows > len(cases)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_queries_are_never_falsified(seed: int, empty: psycopg.Connection[Any]) -> None:
    """No random row makes a NULL where the prover says never, in queries that nobody thought of."""
    random = Random(seed)
    claimed = claims(empty, statements(random, empty.info.server_version, 500))
    falsifier = Falsifier(empty, random)
    assert "\n".join(map(str, falsifier.falsify(claimed, 3))) == ""
    assert len(claimed) > 450
    assert sum(len(claim.never_null) for claim in claimed) > 400
    assert falsifier.rows > 300


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False))
def test_a_query_that_hypothesis_chooses_is_never_falsified(random: Random, empty: psycopg.Connection[Any]) -> None:
    """Hypothesis chooses query, rows and parameters, and makes what it falsifies small."""
    text = Queries(random, empty.info.server_version).statement()
    claimed = claims(empty, [parse_statement(text)])
    assert "\n".join(map(str, Falsifier(empty, random).falsify(claimed, 1))) == ""


def test_false_claims_are_falsified(empty: psycopg.Connection[Any]) -> None:
    """The falsifier would find a prover that called every column NOT NULL: nearly all nullable columns of the cases."""
    cases = read_cases("ordinary")
    claimed = [
        replace(claim, never_null=frozenset(range(len(claim.reasons))))
        for claim in claims(empty, [case.statement for case in cases])
    ]
    falsified = {(each.claim.statement.name, each.column) for each in Falsifier(empty, Random(1)).falsify(claimed, 10)}
    nullable = {(case.name, column) for case in cases for column, truth in enumerate(case.nullable) if truth}
    assert falsified <= nullable
    assert len(falsified) > 0.7 * len(nullable)


@pytest.mark.soak
def test_many_random_queries_are_never_falsified(empty: psycopg.Connection[Any]) -> None:
    """The long form: as many queries as SQLKIT_SOAK_QUERIES says, of the seed SQLKIT_SOAK_SEED."""
    seed = int(os.environ.get("SQLKIT_SOAK_SEED", "0"))
    number = int(os.environ.get("SQLKIT_SOAK_QUERIES", "5000"))
    for part in range(0, number, 500):
        random = Random(seed * 1_000_003 + part)
        claimed = claims(empty, statements(random, empty.info.server_version, 500))
        found = list(map(str, Falsifier(empty, random).falsify(claimed, 12)))
        assert found == [], f"seed {seed}, part {part}"
