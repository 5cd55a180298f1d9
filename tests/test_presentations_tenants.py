"""Presentations for several tenants, each in a schema of its own, and beside another application, on one pool."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sqlkit import Database
from sqlkit.apps import MIGRATIONS
from sqlkit.apps.analysis import NewUser as NewAnalysisUser
from sqlkit.apps.analysis import log_system_event, setup_database
from sqlkit.apps.analysis import users as analysis_users
from sqlkit.apps.analysis.settings import AnalysisSettings
from sqlkit.apps.presentations import JobStatus, NewUser, Presentations
from sqlkit.migrate import migrate
from sqlkit.testing import TestServer, dropped_afterwards
from tests.presentations_stage import brought_to, new_voice

TENANTS = ("north", "south", "east")


@pytest.fixture(scope="module")
def db(server: TestServer) -> Iterator[Database]:
    """Give a small pool on a database in which three tenants and another application are."""
    with dropped_afterwards(server, kind="tenants") as name:
        dsn = server.dsn_for(name)
        for schema in TENANTS:
            migrate(dsn, MIGRATIONS / "presentations", schema=schema)
        setup_database(AnalysisSettings(url=dsn))
        with Database.connect(dsn, pool_max_size=3) as database:
            yield database


def test_tenants_on_one_pool(db: Database) -> None:
    """Each tenant's jobs go through all statuses on the same connections, in partitions made at need, unmixed.

    Each schema has a type job_status of its own, so a statement prepared for one tenant must not serve another.
    """

    def work(tenant: str) -> tuple[str, int, set[JobStatus]]:
        app = Presentations(db.bound(schema=tenant))
        user = app.users.create_user(app.db, user=NewUser(name=tenant))
        mine = app.acting_for(user.user_id)
        voice = new_voice(mine.db, user, tenant)
        for status in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.PROCESSING_SLIDES, JobStatus.CANCELLED):
            brought_to(mine.db, voice, status)
        jobs = mine.jobs.list_jobs(mine.db)
        return tenant, user.user_id, {job.status for job in jobs}

    for app in (Presentations(db.bound(schema=tenant)) for tenant in TENANTS):
        app.users.create_user(app.db, user=NewUser(name="first"))  # which makes the partitions
    with ThreadPoolExecutor(9) as pool:
        done = list(pool.map(work, TENANTS * 6))
    for tenant in TENANTS:
        app = Presentations(db.bound(schema=tenant))
        names = {user.name for user in app.users.list_users(app.db, limit=100)}
        assert names & {"first", *TENANTS} == {"first", tenant}
        assert app.reports.get_metrics(app.db).total_jobs == 4 * 6
        assert len({user_id for name, user_id, _ in done if name == tenant}) == 6
    wanted = {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.PROCESSING_SLIDES, JobStatus.CANCELLED}
    assert all(statuses == wanted for _, _, statuses in done)


def test_another_application_beside_them(db: Database) -> None:
    """Analysis lives in a schema of the same database, with a table users of its own."""
    analysis = db.bound(schema="analysis")
    new = NewAnalysisUser(username="ada", email="ada@example.org", hashed_password="x")
    analysis_users.create_user(analysis, user=new)
    log_system_event(analysis, "analyzer", "INFO", "here")
    app = Presentations(db.bound(schema="north"))
    app.users.create_user(app.db, user=NewUser(name="bea"))
    assert [user.username for user in analysis_users.list_users(analysis)] == ["ada"]
    assert "ada" not in {user.name for user in app.users.list_users(app.db, limit=100)}
