"""The truth of the nullability cases: each NULL has a witness on a real server, and no witness shows another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from sqlkit.testing import TestServer, rolled_back, template
from tests.nullability.cases import (
    GIVEN,
    ROOT,
    Case,
    create_given,
    create_schema,
    given_cases,
    names,
    nulls,
    read_cases,
    run,
    witnessed,
)

OWN = [*read_cases("ordinary"), *read_cases("hard")]


@pytest.fixture(scope="module")
def scratch(server: TestServer) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection to the scratch schema with its standing rows, in a transaction that is rolled back."""

    def load(dsn: str) -> None:
        with psycopg.connect(dsn) as conn:
            create_schema(conn)

    with template(server, load, "cases") as database, rolled_back(server.dsn_for(database)) as conn:
        yield conn


@pytest.fixture(scope="module")
def given(server: TestServer) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection to the schema of the given cases with their rows."""

    def load(dsn: str) -> None:
        with psycopg.connect(dsn) as conn:
            create_given(conn)

    with template(server, load, "given") as database, rolled_back(server.dsn_for(database)) as conn:
        yield conn


def taken(case: Case, conn: psycopg.Connection[Any]) -> Case:
    """Skip a case that this version of the server does not take."""
    if not case.stands_on(conn.info.server_version):
        pytest.skip(f"for PostgreSQL {'-'.join(map(str, case.versions))}, this is {conn.info.server_version // 10000}")
    return case


@pytest.mark.parametrize("case", OWN, ids=lambda case: case.name)
def test_witnesses_show_the_truth(case: Case, scratch: psycopg.Connection[Any]) -> None:
    """Each column that is said to be nullable is NULL in some row, and no other column is."""
    case = taken(case, scratch)
    assert names(scratch, case.statement) == list(case.columns)
    assert [number in witnessed(scratch, case) for number in range(len(case.columns))] == list(case.nullable)


@pytest.mark.parametrize("case", given_cases(), ids=lambda case: case.name)
def test_given_cases_show_the_truth(case: Case, given: psycopg.Connection[Any]) -> None:
    """The truth of the given cases is shown by their rows, some with the table of orders emptied."""
    assert names(given, case.statement) == list(case.columns)
    assert [number in witnessed(given, case) for number in range(len(case.columns))] == list(case.nullable)


def test_rows_are_returned_by_most_cases(scratch: psycopg.Connection[Any]) -> None:
    """A case that returns no row shows nothing: each returns one, at least once."""
    empty = [
        case.name for case in OWN if case.stands_on(scratch.info.server_version) and not any(returned(scratch, case))
    ]
    assert empty == []


def returned(conn: psycopg.Connection[Any], case: Case) -> Iterator[int]:
    """Yield the number of rows of each witness."""
    for parameters in case.given:
        with conn.transaction(force_rollback=True):
            yield len(run(conn, case.statement, parameters))


def test_names_are_used_once() -> None:
    """No two cases have one name."""
    assert len({case.name for case in OWN}) == len(OWN)


def test_there_are_enough_cases() -> None:
    """The limits of the scoreboard are percentages: they need a hundred never-NULL columns in each group."""
    never = {group: sum(case.nullable.count(False) for case in read_cases(group)) for group in ("ordinary", "hard")}
    assert never["ordinary"] >= 100
    assert never["hard"] >= 100
    assert len(OWN) >= 150


def test_given_cases_are_those_that_were_given() -> None:
    """The copy of the given cases is the file that the peers' figures are about."""
    shared = ROOT.parent / "shared" / "data" / GIVEN.name
    if not shared.exists():
        pytest.skip("the given file is not beside the repository")
    assert GIVEN.read_bytes() == shared.read_bytes()


def test_a_null_is_seen() -> None:
    """A NULL in any row marks its column."""
    assert nulls([(b"1", None), (b"", b"2")]) == {1}
