"""Row-level security: every statement of presentations, with another owner's rows and with no owner at all."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import errors
from pydantic import BaseModel

from sqlkit import Database, Executor
from sqlkit.apps.presentations import queries
from sqlkit.apps.presentations.application import APP_ROLE, WORKER_ROLE, Presentations
from sqlkit.apps.presentations.models import (
    EncryptedPhone,
    Job,
    JobStatus,
    NewJob,
    NewUser,
    NewVoice,
    PastJob,
    User,
    UserChanges,
    Voice,
    VoiceChanges,
)
from sqlkit.apps.presentations.records import PastStatusChange
from sqlkit.security import EncryptedText
from sqlkit.testing import TestServer, dropped_afterwards
from tests.presentations_stage import RESULT, brought_to, done, new_job, new_user, new_voice

TOPICS = ("users", "voices", "jobs", "work", "history", "reports")
TABLES = ["users", "voice_clones", "presentation_jobs", "job_status_changes", "audit_log", "job_archives"]
TABLES += ["archived_jobs"]
NOW = datetime.now(UTC)
SECRET = EncryptedText("secret")


@dataclass
class Owner:
    """Somebody with a voice, jobs in several statuses, and an archived one."""

    user: User
    voice: Voice
    spare: Voice
    pending: Job
    started: Job
    last_step: Job
    failed: Job
    archived_id: int

    @property
    def id(self) -> int:
        """The owner's id."""
        return self.user.user_id


def settle(db: Database, name: str) -> Owner:
    """Make an owner with rows in every table."""
    user = new_user(db, name, email=f"{name.lower()}@example.org")
    queries.users.set_phone(db, user_id=user.user_id, phone_encrypted=SECRET)
    voice, spare = new_voice(db, user, name), new_voice(db, user, name)
    mine = Presentations(db).acting_for(user.user_id).db  # which claims no other owner's jobs
    archived = brought_to(mine, voice, JobStatus.COMPLETED)
    assert queries.history.archive_jobs(db, completed_before=NOW + timedelta(days=1)) == 1
    failed = brought_to(mine, voice, JobStatus.FAILED)
    last_step = brought_to(mine, voice, JobStatus.ASSEMBLING_VIDEO)
    started = brought_to(mine, voice, JobStatus.PROCESSING_SLIDES)
    return Owner(user, voice, spare, new_job(mine, voice), started, last_step, failed, archived.job_id)


Call = Callable[[Executor, Owner], Any]

#: Every statement, aimed at an owner's rows.
CALLS: dict[str, Call] = {
    "users.create_user": lambda db, _: queries.users.create_user(db, user=NewUser(name="Eve")),
    "users.import_users": lambda db, _: queries.users.import_users(db, [NewUser(name="Eve")]),
    "users.get_user": lambda db, who: queries.users.get_user(db, user_id=who.id),
    "users.get_user_by_email": lambda db, who: queries.users.get_user_by_email(db, email=who.user.email or ""),
    "users.list_users": lambda db, _: queries.users.list_users(db, limit=1000),
    "users.list_users_by_offset": lambda db, _: queries.users.list_users_by_offset(db, limit=1000),
    "users.update_user": lambda db, who: queries.users.update_user(db, user_id=who.id, changes=UserChanges(name="Eve")),
    "users.deactivate_user": lambda db, who: queries.users.deactivate_user(db, user_id=who.id),
    "users.delete_user": lambda db, who: queries.users.delete_user(db, user_id=who.id),
    "users.get_user_with_voices_and_jobs": lambda db, who: queries.users.get_user_with_voices_and_jobs(
        db, user_id=who.id
    ),
    "users.list_users_with_voices_and_jobs": lambda db, _: queries.users.list_users_with_voices_and_jobs(db),
    "users.get_credentials": lambda db, who: queries.users.get_credentials(db, email=who.user.email or ""),
    "users.set_password_hash": lambda db, who: queries.users.set_password_hash(
        db, user_id=who.id, password_hash="mine"
    ),
    "users.get_phone": lambda db, who: queries.users.get_phone(db, user_id=who.id),
    "users.set_phone": lambda db, who: queries.users.set_phone(db, user_id=who.id, phone_encrypted=None),
    "users.list_phones": lambda db, _: queries.users.list_phones(db),
    "users.replace_phones": lambda db, who: queries.users.replace_phones(
        db, [EncryptedPhone(user_id=who.id, phone_encrypted=EncryptedText("mine"))]
    ),
    "voices.create_voice": lambda db, who: queries.voices.create_voice(
        db, voice=NewVoice(owner_id=who.id, name="eve", s3_path="/eve.wav")
    ),
    "voices.import_voices": lambda db, who: queries.voices.import_voices(
        db, [NewVoice(owner_id=who.id, name="eve", s3_path="/eve.wav")]
    ),
    "voices.get_voice": lambda db, who: queries.voices.get_voice(db, voice_clone_id=who.voice.voice_clone_id),
    "voices.list_voices": lambda db, who: queries.voices.list_voices(db, owner_id=who.id),
    "voices.update_voice": lambda db, who: queries.voices.update_voice(
        db, voice_clone_id=who.voice.voice_clone_id, changes=VoiceChanges(name="eve")
    ),
    "voices.deactivate_voice": lambda db, who: queries.voices.deactivate_voice(
        db, voice_clone_id=who.voice.voice_clone_id
    ),
    "voices.delete_voice": lambda db, who: queries.voices.delete_voice(db, voice_clone_id=who.spare.voice_clone_id),
    "jobs.submit_job": lambda db, who: queries.jobs.submit_job(
        db, job=NewJob(owner_id=who.id, voice_clone_id=who.voice.voice_clone_id, s3_pptx_path="/eve")
    ),
    "jobs.import_jobs": lambda db, who: queries.jobs.import_jobs(
        db,
        [
            PastJob(
                owner_id=who.id,
                voice_clone_id=who.voice.voice_clone_id,
                status=JobStatus.PENDING,
                s3_pptx_path="/eve",
                created_at=NOW,
            )
        ],
    ),
    "jobs.get_job": lambda db, who: queries.jobs.get_job(db, job_id=who.pending.job_id),
    "jobs.list_jobs": lambda db, _: queries.jobs.list_jobs(db, limit=1000),
    "jobs.list_jobs_by_offset": lambda db, _: queries.jobs.list_jobs_by_offset(db, limit=1000),
    "jobs.fail_stalled_jobs": lambda db, _: queries.jobs.fail_stalled_jobs(
        db, untouched_since=NOW + timedelta(days=1), error_message="eve"
    ),
    "jobs.delete_job": lambda db, who: queries.jobs.delete_job(db, job_id=who.pending.job_id),
    "work.claim_jobs": lambda db, _: queries.work.claim_jobs(db, limit=1000),
    "work.advance_job": lambda db, who: queries.work.advance_job(
        db, job_id=who.started.job_id, status=JobStatus.SYNTHESIZING_AUDIO
    ),
    "work.complete_job": lambda db, who: queries.work.complete_job(db, job_id=who.last_step.job_id, result=RESULT),
    "work.fail_job": lambda db, who: queries.work.fail_job(db, job_id=who.started.job_id, error_message="eve"),
    "work.cancel_job": lambda db, who: queries.work.cancel_job(db, job_id=who.pending.job_id),
    "work.retry_job": lambda db, who: queries.work.retry_job(db, job_id=who.failed.job_id),
    "history.list_status_changes": lambda db, who: queries.history.list_status_changes(db, job_id=who.pending.job_id),
    "history.import_status_changes": lambda db, who: queries.history.import_status_changes(
        db,
        [
            PastStatusChange(
                job_id=who.pending.job_id,
                owner_id=who.id,
                old_status=None,
                new_status=JobStatus.PENDING,
                changed_at=NOW,
                created_at=NOW,
            )
        ],
    ),
    "history.list_audit_lines": lambda db, _: queries.history.list_audit_lines(db, limit=1000),
    "history.archive_jobs": lambda db, _: queries.history.archive_jobs(db, completed_before=NOW + timedelta(days=1)),
    "history.get_archived_job": lambda db, who: queries.history.get_archived_job(db, job_id=who.archived_id),
    "history.list_archived_jobs": lambda db, who: queries.history.list_archived_jobs(db, owner_id=who.id),
    "reports.get_metrics": lambda db, _: queries.reports.get_metrics(db),
    "reports.count_jobs_by_status": lambda db, _: queries.reports.count_jobs_by_status(db),
    "reports.search": lambda db, who: queries.reports.search(db, term=f'"{who.user.name}" or audio'),
}

#: What the role may not do at all: copy past the policies, make users, move jobs into the archive.
REFUSED = {"users.create_user", "users.import_users", "voices.import_voices", "jobs.import_jobs"}
REFUSED |= {"history.import_status_changes", "history.archive_jobs"}

#: Statements that leave everything as it is.
READING = [name for name in CALLS if name.split(".")[1].startswith(("get", "list", "search", "count"))]


@pytest.fixture
def db(presentations_dsn: str) -> Iterator[Database]:
    """Give a small pool, so that connections go from owner to owner."""
    with Database.connect(presentations_dsn, pool_min_size=3, pool_max_size=3) as database:
        yield database


def test_every_statement_is_tried() -> None:
    """No statement of presentations is missing above."""
    found = {f"{topic}.{name}" for topic in TOPICS for name in dir(getattr(queries, topic)) if not name.startswith("_")}
    assert found == set(CALLS)


def seen_owners(found: Any) -> set[int]:
    """Return the owners of whatever rows were found, nested ones too."""
    if isinstance(found, list):
        return {owner for one in found for owner in seen_owners(one)}
    if isinstance(found, BaseModel):
        own = {getattr(found, name) for name in ("owner_id", "user_id") if hasattr(found, name)}
        return own.union(*(seen_owners(value) for _, value in found))
    return set()


def attempt(call: Call, db: Executor, victim: Owner) -> Any:
    """Make a call; return what it found, or what refused it."""
    try:
        return call(db, victim)
    except (errors.InsufficientPrivilege, errors.FeatureNotSupported, errors.InvalidRowCountInLimitClause) as error:
        return type(error)


def rows_of(db: Database, owner: Owner) -> dict[str, list[Any]]:
    """Return all rows of an owner, as somebody who may see everything."""
    with db.connection() as conn:
        return {
            table: conn.execute(
                f"select to_jsonb({table}) from {table} "
                f"where {'user_id' if table == 'users' else 'owner_id'} = %s order by 1",
                [owner.id],
            ).fetchall()
            for table in TABLES
        }


def test_no_statement_reaches_another_owners_rows(db: Database) -> None:
    """Every statement, as another owner and as none, over and over on one pool: nothing of the victim's is seen.

    In between the victim reads all of it, and at the end nothing of it has changed.
    """
    app = Presentations(db)
    victim, stranger = settle(db, "Vera"), settle(db, "Stan")
    before = rows_of(db, victim)
    strangers = {"another": app.acting_for(stranger.id).db, "nobody": db.bound(role=APP_ROLE)}
    mine = app.acting_for(victim.id).db
    wanted = {name: attempt(CALLS[name], mine, victim) for name in READING}
    tasks = [(who, name) for name in CALLS for who in strangers] * 2 + [("victim", name) for name in READING] * 2
    random.Random(4).shuffle(tasks)

    def run(task: tuple[str, str]) -> tuple[str, str, Any]:
        who, name = task
        return who, name, attempt(CALLS[name], mine if who == "victim" else strangers[who], victim)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(run, tasks))
    for who, name, found in answers:
        if who == "victim":
            assert found == wanted[name], name
        else:
            assert victim.id not in seen_owners(found), (who, name)
            if who == "nobody":
                assert not seen_owners(found), name
    assert rows_of(db, victim) == before
    assert all(before.values())


@pytest.fixture(scope="module")
def settled(server: TestServer, presentations_template: str) -> Iterator[tuple[Database, Owner, Owner]]:
    """Give a database with two owners, for tests that roll back."""
    with (
        dropped_afterwards(server, presentations_template, "owners") as name,
        Database.connect(server.dsn_for(name, "presentations"), pool_max_size=3) as database,
    ):
        yield database, settle(database, "Vera"), settle(database, "Stan")


@pytest.mark.parametrize("name", CALLS)
def test_each_statement_as_its_owner_and_as_others(settled: tuple[Database, Owner, Owner], name: str) -> None:
    """As its owner a statement finds the owner's rows; as another owner or none, nothing of them, or it is refused."""
    db, owner, other = settled
    app, call = Presentations(db), CALLS[name]
    for view in (app.acting_for(other.id).db, db.bound(role=APP_ROLE), app.acting_for(owner.id).db):
        mine = view.local is not None and ("app.owner_id", str(owner.id)) in view.local.settings
        with view.transaction() as conn:
            found = attempt(call, conn, owner)
            conn.rollback()
        if name in REFUSED:
            assert found in (errors.InsufficientPrivilege, errors.FeatureNotSupported)
        elif mine:
            assert found
            assert seen_owners(found) <= {owner.id}
        else:
            assert owner.id not in seen_owners(found)


def test_metrics_are_ones_own(db: Database) -> None:
    """Figures count an owner's rows alone, and nothing without an owner."""
    app = Presentations(db)
    owner, _ = settle(db, "Vera"), settle(db, "Stan")
    mine = queries.reports.get_metrics(app.acting_for(owner.id).db)
    assert (mine.total_users, mine.total_voice_clones, mine.total_jobs, mine.pending_jobs) == (1, 2, 4, 1)
    nobody = queries.reports.get_metrics(db.bound(role=APP_ROLE))
    assert set(nobody.model_dump().values()) == {0}


@pytest.mark.parametrize("table", TABLES)
def test_a_query_that_forgets_the_filter(settled: tuple[Database, Owner, Owner], table: str) -> None:
    """Plain SQL without any condition sees an owner's rows only, and none without an owner."""
    db, owner, other = settled
    app = Presentations(db)
    column = "user_id" if table == "users" else "owner_id"
    statement = f"select distinct {column} from {table}"
    for _ in range(3):
        for who in (owner, other):
            with app.acting_for(who.id).db.transaction() as conn:
                assert conn.execute(statement).fetchall() == [(who.id,)]
        with db.bound(role=APP_ROLE).transaction() as conn:
            assert conn.execute(statement).fetchall() == []


def test_writes_that_forget_the_filter(db: Database) -> None:
    """An update and a delete without any condition reach an owner's rows only."""
    owner, other = settle(db, "Vera"), settle(db, "Stan")
    before = rows_of(db, other)
    with Presentations(db).acting_for(owner.id).db.transaction() as conn:
        assert conn.execute("update voice_clones set name = 'mine'").rowcount == 2
        assert conn.execute("delete from presentation_jobs").rowcount == 4
        assert conn.execute("update users set name = 'mine'").rowcount == 1
    assert rows_of(db, other) == before


def test_rows_cannot_be_given_away(db: Database) -> None:
    """An owner can neither hand a row to another nor take another's voice for a job."""
    owner, other = settle(db, "Vera"), settle(db, "Stan")
    mine = Presentations(db).acting_for(owner.id).db
    for statement, values in (
        ("update voice_clones set owner_id = %s", [other.id]),
        ("update presentation_jobs set voice_clone_id = %s", [other.voice.voice_clone_id]),
        (
            "insert into presentation_jobs (owner_id, voice_clone_id, s3_pptx_path) values (%s, %s, '/p')",
            [owner.id, other.voice.voice_clone_id],
        ),
        (
            "insert into audit_log (action, table_name, row_id, owner_id, after) values "
            "('insert', 'users', 1, %s, '{}')",
            [other.id],
        ),
    ):
        with pytest.raises(errors.InsufficientPrivilege), mine.transaction() as conn:
            conn.execute(statement, values)


def test_the_role_owns_nothing(db: Database) -> None:
    """Neither role owns a table, passes by the policies, changes a log or reads a partition directly."""
    with db.connection() as conn:
        owners = conn.execute("select distinct tableowner from pg_tables where schemaname = 'presentations'").fetchall()
        roles = conn.execute(
            "select rolname, rolsuper, rolbypassrls, rolcanlogin from pg_roles where rolname = any(%s) order by 1",
            [[APP_ROLE, WORKER_ROLE]],
        ).fetchall()
        (partition,) = conn.execute(
            "select inhrelid::regclass::text from pg_inherits where inhparent = 'audit_log'::regclass limit 1"
        ).fetchone() or ("",)
    assert not {name for (name,) in owners} & {APP_ROLE, WORKER_ROLE}
    assert roles == [(APP_ROLE, False, False, False), (WORKER_ROLE, False, False, False)]
    for statement in (
        "update audit_log set actor = 'eve'",
        "delete from audit_log",
        "delete from job_status_changes",
        f"select actor from {partition}",
        "alter table users disable row level security",
        "drop policy users_owner_policy on users",
        "truncate users",
    ):
        with pytest.raises(errors.InsufficientPrivilege), db.bound(role=APP_ROLE).transaction() as conn:
            conn.execute(statement)


def test_an_owner_works_as_the_role(db: Database) -> None:
    """Whoever acts for an owner does all that owners do, and the audit log names who it was."""
    app = Presentations(db)
    mine = app.acting_for(new_user(db).user_id, actor="ada@desk")
    user = done_user(mine.users.get_user(mine.db, user_id=int(mine.db.local.settings[0][1])))  # type: ignore[union-attr]
    new = NewVoice(owner_id=user.user_id, name="calm", s3_path="/calm.wav")
    voice = mine.voices.create_voice(mine.db, voice=new)
    job = done(
        mine.jobs.submit_job(
            mine.db,
            job=NewJob(owner_id=user.user_id, voice_clone_id=voice.voice_clone_id, s3_pptx_path="/p"),
        )
    )
    assert done(mine.work.cancel_job(mine.db, job_id=job.job_id)).status is JobStatus.CANCELLED
    lines = mine.history.list_audit_lines(mine.db)
    assert [(line.table_name, line.action) for line in lines[:3]] == [
        ("presentation_jobs", "update"),
        ("presentation_jobs", "insert"),
        ("voice_clones", "insert"),
    ]
    assert {line.actor for line in lines[:3]} == {"ada@desk"}
    anonymous = app.acting_for(user.user_id)
    assert anonymous.users.deactivate_user(anonymous.db, user_id=user.user_id)
    assert anonymous.history.list_audit_lines(anonymous.db, limit=1)[0].actor == f"user {user.user_id}"


def done_user(user: User | None) -> User:
    """Return a user who is there."""
    assert user is not None
    return user


def test_a_worker_sees_all_owners(db: Database) -> None:
    """The worker's role claims everybody's jobs and archives them."""
    app = Presentations(db)
    jobs = {settle(db, name).pending.job_id for name in ("Vera", "Stan")}
    worker = app.working("worker 1")
    assert {job.job_id for job in worker.work.claim_jobs(worker.db, limit=10)} == jobs
    assert worker.archive(timedelta(0)) == 0
    assert worker.reports.get_metrics(worker.db).total_users == 2


def test_an_owner_that_is_no_number(db: Database) -> None:
    """A setting that is no number is an error, not an owner."""
    view = db.bound(role=APP_ROLE, settings={"app.owner_id": "1 or true"})
    with pytest.raises(psycopg.DataError):
        queries.users.list_users(view)
