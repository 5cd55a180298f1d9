"""No CHECK of the five applications is forgotten: the catalogue is asked, and each has cases that violate it.

The cases stand in the tables of the applications' own tests, which try each one through the model and around it.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import psycopg
import pytest

from tests import (
    test_analysis_schema,
    test_caching_tables,
    test_openai_frontend_schema,
    test_presentations_schema,
    test_soleil_schema,
    test_voxstitch_schema,
)

Connection = psycopg.Connection[Any]


class System(NamedTuple):
    """An application: its schema, the fixture with its database, and the tests with its tables of violations.

    ``inner`` names the table of what statements alone write, for which there is no input model.
    """

    schema: str
    fixture: str
    tests: ModuleType
    inner: str | None = None

    def cases(self) -> set[str]:
        """Return the CHECKs that are violated through a model and around it."""
        return {case[0] for case in self.tests.BROKEN}

    def inner_cases(self) -> set[str]:
        """Return the CHECKs that are violated around the models only."""
        return {case[0] for case in getattr(self.tests, self.inner)} if self.inner else set()


SYSTEMS = (
    System("analysis", "analysis_shared_dsn", test_analysis_schema),
    System("openai_frontend", "frontend_shared_dsn", test_openai_frontend_schema, "OURS"),
    System("presentations", "presentations_shared_dsn", test_presentations_schema, "INNER"),
    System("soleil", "soleil_shared_dsn", test_soleil_schema),
    System("voxstitch", "voxstitch_shared_dsn", test_voxstitch_schema),
)

#: Of tables and of domains, of whatever schema the migrations made; of partitions those that their parent has not.
CHECKS = """
select constraints.conname
from pg_constraint as constraints
inner join pg_namespace as schemas on schemas.oid = constraints.connamespace
where constraints.contype = 'c' and constraints.coninhcount = 0
and schemas.nspname not in ('pg_catalog', 'information_schema')
"""

#: What follows from what statements do to a row, and why no input can break it.
WITHOUT_A_MODEL = {
    "refresh_tokens_replaced_by_revoked_at_check": "a token is replaced and revoked by one statement",
    "api_keys_revoked_at_is_active_check": "a key is revoked by one statement, and no change has revoked_at",
    "audit_log_action_check": "the statements that write the log name the action",
    "audit_log_action_before_after_check": "before and after are the rows that a statement read and wrote",
    "job_archives_jobs_check": "jobs are bundled by the statement that moves them",
}


@pytest.fixture(params=SYSTEMS, ids=lambda system: system.schema)
def system(request: pytest.FixtureRequest) -> System:
    """Give one application after the other."""
    found = request.param
    assert isinstance(found, System)
    return found


@pytest.fixture
def checks(system: System, request: pytest.FixtureRequest) -> set[str]:
    """Give the CHECKs that the application's migrations made, as the catalogue has them."""
    with psycopg.connect(request.getfixturevalue(system.fixture)) as conn:
        # Those of the cache's tables, which are the same in each, have their cases apart.
        return {name for (name,) in conn.execute(CHECKS).fetchall()} - test_caching_tables.BROKEN


def test_every_check_is_violated_somewhere(system: System, checks: set[str]) -> None:
    """Each CHECK of the catalogue has a case, and no case is of a CHECK that is gone."""
    assert len(checks) > 5
    assert checks == system.cases() | system.inner_cases()


def test_every_check_has_a_model_before_it(system: System, checks: set[str]) -> None:
    """Each CHECK is violated through an input model too, but for those that no input can break."""
    assert checks - system.cases() == checks & WITHOUT_A_MODEL.keys()


def test_no_excuse_is_left_over() -> None:
    """Every CHECK that is excused from having a model has its case around the models."""
    assert set().union(*(system.inner_cases() for system in SYSTEMS)) == WITHOUT_A_MODEL.keys()


def test_every_check_is_enforced(system: System, request: pytest.FixtureRequest) -> None:
    """No CHECK is left unvalidated by its migration, or not enforced at all."""
    with psycopg.connect(request.getfixturevalue(system.fixture)) as conn:
        enforced = "and constraints.conenforced" if conn.info.server_version >= 180000 else ""
        held = conn.execute(f"{CHECKS} and constraints.convalidated {enforced}".encode()).fetchall()
        assert len(held) == len(conn.execute(CHECKS).fetchall())
