"""The prover's score: never wrong, seldom needlessly nullable, the same on PostgreSQL 15 and 18."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from benchmarks.scoreboard import LIMITS, PEERS, table
from sqlkit.testing import TestServer, dropped_afterwards, test_server
from tests.nullability.cases import create_given, create_schema, given_cases, read_cases
from tests.nullability.scores import Score, score, soleil_score

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="module")
def scores(server: TestServer, soleil_shared_dsn: str) -> dict[str, Score]:
    """Give the scores of all groups, on the server of the tests."""
    with psycopg.connect(soleil_shared_dsn, autocommit=True) as conn:
        return {**scored(server), "soleil": soleil_score(conn)}


def scored(server: TestServer) -> dict[str, Score]:
    """Return the scores of the cases on a server."""
    found = {}
    for groups, create in ((["ordinary", "hard"], create_schema), (["given"], create_given)):
        with dropped_afterwards(server, kind="scores") as database:
            with psycopg.connect(server.dsn_for(database)) as conn:
                create(conn)
            with psycopg.connect(server.dsn_for(database), autocommit=True) as conn:
                for group in groups:
                    cases = given_cases() if group == "given" else read_cases(group)
                    found[group] = score(conn, [case for case in cases if case.stands_on(server.version)])
    return found


@pytest.mark.parametrize("group", ["given", "ordinary", "hard", "soleil"])
def test_no_column_is_wrongly_called_not_null(group: str, scores: dict[str, Score]) -> None:
    """What is said never to be NULL never is."""
    assert "\n".join(map(str, scores[group].wrong)) == ""
    assert scores[group].never_null >= 24


def test_given_columns_are_nearly_all_exact(scores: dict[str, Score]) -> None:
    """Of the 41 given columns at least 38 are told exactly, which no peer does."""
    given = scores["given"]
    assert len(given.verdicts) == 41
    assert given.exact >= 38 > max(exact for _, exact in PEERS.values())


@pytest.mark.parametrize("group", LIMITS)
def test_few_columns_are_needlessly_nullable(group: str, scores: dict[str, Score]) -> None:
    """Of a hundred columns that never are NULL at most so many are called nullable."""
    needless = scores[group].needless
    assert scores[group].needless_in_100 <= LIMITS[group], "\n".join(map(str, needless))


def test_the_scoreboard_shows_ours_beside_the_peers(scores: dict[str, Score]) -> None:
    """The table has a line for each peer, marked as not run here, and one for each of our groups."""
    printed = table(scores)
    assert [peer for peer in PEERS if f"  {peer} (not run here)" in printed] == list(PEERS)
    assert [group for group in LIMITS if f"\n  {group} " in printed] == list(LIMITS)


@pytest.fixture(scope="module")
def older(server: TestServer) -> Iterator[TestServer]:
    """Give a server of PostgreSQL 15 beside that of the tests."""
    if server.version < 160000:
        pytest.skip("the server of the tests is PostgreSQL 15 already")
    if not DEBIAN_15.is_dir():
        pytest.skip(f"no PostgreSQL 15 in {DEBIAN_15}: apt-get install postgresql-15")
    with test_server(str(DEBIAN_15)) as started:
        yield started


def test_postgresql_15_gives_the_same_answers(older: TestServer, scores: dict[str, Score]) -> None:
    """The verdicts of both versions are the same on every case that both take."""
    theirs = scored(older)
    both = shared(theirs)
    assert len(both) > 600
    assert {place: ours for place, ours in shared(scores).items() if both.get(place, ours) != ours} == {}


def shared(scores: dict[str, Score]) -> dict[tuple[str, str], bool]:
    """Return the verdicts by statement and column."""
    return {
        (verdict.statement, verdict.column): verdict.nullable
        for group in ("given", "ordinary", "hard")
        for verdict in scores[group].verdicts
    }
