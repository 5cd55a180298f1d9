"""Presentations' statements: users, voices, jobs and reports, each on a real database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import errors

from sqlkit.apps.presentations.models import (
    AfterJob,
    AfterUser,
    AfterVoice,
    Job,
    JobStatus,
    NewJob,
    NewUser,
    NewVoice,
    PastJob,
    UserChanges,
    VoiceChanges,
)
from sqlkit.apps.presentations.queries import history, jobs, reports, users, voices, work
from sqlkit.apps.presentations.records import AfterAuditLine
from tests.presentations_stage import brought_to, new_job, new_user, new_voice

Connection = psycopg.Connection[Any]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def conn(presentations_conn: Connection) -> Connection:
    """Give a connection to presentations' database, rolled back afterwards."""
    return presentations_conn


def past_jobs(conn: Connection, number: int) -> list[Job]:
    """Import jobs of one owner, a minute apart; return them, the oldest first."""
    voice = new_voice(conn, new_user(conn))
    past = [
        PastJob(
            owner_id=voice.owner_id,
            voice_clone_id=voice.voice_clone_id,
            status=JobStatus.FAILED if minute % 2 else JobStatus.CANCELLED,
            s3_pptx_path=f"/{minute}.pptx",
            created_at=LONG_AGO + timedelta(minutes=minute // 2),
        )
        for minute in range(number)
    ]
    assert jobs.import_jobs(conn, past) == number
    return jobs.list_jobs(conn, owner_id=voice.owner_id, order="oldest", limit=number)


def test_a_user_is_created_and_found(conn: Connection) -> None:
    """A new user is active, has both times, and is found by id and address; nobody is None."""
    user = new_user(conn, email="ada@example.org")
    assert (user.name, user.is_active, user.created_at == user.updated_at) == ("Ada", True, True)
    assert users.get_user(conn, user_id=user.user_id) == user
    assert users.get_user_by_email(conn, email="ada@example.org") == user
    assert users.get_user(conn, user_id=0) is None


def test_an_address_is_given_once(conn: Connection) -> None:
    """A taken address is refused by its constraint; many may have none."""
    new_user(conn, email="ada@example.org")
    new_user(conn)
    new_user(conn)
    with pytest.raises(errors.UniqueViolation) as refused:
        new_user(conn, email="ada@example.org")
    assert refused.value.diag.constraint_name == "users_email_key"


def test_only_what_is_given_changes(conn: Connection) -> None:
    """A change of the name leaves the address, one of None takes it away, and nobody is None."""
    user = new_user(conn, email="ada@example.org")
    renamed = users.update_user(conn, user_id=user.user_id, changes=UserChanges(name="Ada L."))
    assert renamed is not None
    assert (renamed.name, renamed.email) == ("Ada L.", "ada@example.org")
    cleared = users.update_user(conn, user_id=user.user_id, changes=UserChanges(email=None))
    assert cleared is not None
    assert cleared.email is None
    assert users.update_user(conn, user_id=0, changes=UserChanges(name="Nobody")) is None


def test_pages_of_users_by_name_and_by_time(conn: Connection) -> None:
    """Pages in either order show each user once, also those of one name."""
    created = [new_user(conn, name) for name in ("Ida", "Ada", "Eva", "Ada", "Ora")]
    by_name = sorted(created, key=lambda user: (user.name, user.user_id))
    by_time = sorted(created, key=lambda user: (user.created_at, user.user_id), reverse=True)
    for order, wanted in (("name", by_name), ("newest", by_time)):
        seen = users.list_users(conn, order=order, limit=2)  # type: ignore[arg-type]
        while len(seen) < 5:
            after = AfterUser.model_validate(seen[-1], from_attributes=True)
            page = users.list_users(conn, order=order, limit=2, after=after)  # type: ignore[arg-type]
            assert page
            seen += page
        assert seen == wanted
    assert users.list_users_by_offset(conn, skip=1, limit=3) == by_name[1:4]


def test_soft_deletion(conn: Connection) -> None:
    """A user or voice that was deleted softly stays, is filtered out at will, and takes no job."""
    user = new_user(conn)
    voice, other = new_voice(conn, user), new_voice(conn, user)
    gone = voices.deactivate_voice(conn, voice_clone_id=voice.voice_clone_id)
    assert gone is not None
    assert not gone.is_active
    assert voices.list_voices(conn, owner_id=user.user_id, is_active=True) == [other]
    new: dict[str, Any] = {"owner_id": user.user_id, "s3_pptx_path": "/p"}
    assert jobs.submit_job(conn, job=NewJob(voice_clone_id=voice.voice_clone_id, **new)) is None
    assert users.deactivate_user(conn, user_id=user.user_id) is not None
    assert user.user_id not in {found.user_id for found in users.list_users(conn, is_active=True, limit=1000)}
    assert jobs.submit_job(conn, job=NewJob(voice_clone_id=other.voice_clone_id, **new)) is None


def test_a_user_is_deleted_with_everything(conn: Connection) -> None:
    """delete_user takes voices and jobs along, gives the user back, and leaves a line for each in the audit log."""
    user = new_user(conn)
    voice = new_voice(conn, user)
    job = new_job(conn, voice)
    assert users.delete_user(conn, user_id=user.user_id) == user
    assert users.get_user(conn, user_id=user.user_id) is None
    assert jobs.get_job(conn, job_id=job.job_id) is None
    deleted = [line for line in history.list_audit_lines(conn, owner_id=user.user_id) if line.action == "delete"]
    assert {(line.table_name, line.row_id) for line in deleted} == {
        ("users", user.user_id),
        ("voice_clones", voice.voice_clone_id),
        ("presentation_jobs", job.job_id),
    }
    assert users.delete_user(conn, user_id=user.user_id) is None


def test_users_with_voices_and_jobs_in_one_round_trip(conn: Connection) -> None:
    """One statement gives users with all their voices, by name, and jobs, the newest first; also those without."""
    lonely, busy = new_user(conn, "Ada"), new_user(conn, "Bea")
    second, first = new_voice(conn, busy, "warm", duration_seconds=1.5), new_voice(conn, busy, "calm")
    done = brought_to(conn, second, JobStatus.COMPLETED)
    waiting = new_job(conn, first)
    found = users.get_user_with_voices_and_jobs(conn, user_id=busy.user_id)
    assert found is not None
    assert found.voices == [first, second]
    assert found.jobs == sorted([done, waiting], key=lambda job: (job.created_at, job.job_id), reverse=True)
    listed = users.list_users_with_voices_and_jobs(conn, limit=1)
    assert [user.user_id for user in listed] == [lonely.user_id]
    assert (listed[0].voices, listed[0].jobs) == ([], [])
    after = AfterUser(user_id=lonely.user_id, name=lonely.name)
    assert users.list_users_with_voices_and_jobs(conn, after=after) == [found]


def test_voices_are_created_changed_and_deleted(conn: Connection) -> None:
    """A voice is created, found, changed in part and deleted; a path is taken once."""
    user = new_user(conn)
    voice = new_voice(conn, user, sample_rate=44_100, file_size=7)
    assert voices.get_voice(conn, voice_clone_id=voice.voice_clone_id) == voice
    changes = VoiceChanges(name="warm", file_size=None)
    changed = voices.update_voice(conn, voice_clone_id=voice.voice_clone_id, changes=changes)
    assert changed is not None
    assert (changed.name, changed.file_size, changed.sample_rate) == ("warm", None, 44_100)
    taken = NewVoice(owner_id=user.user_id, name="v", s3_path=voice.s3_path)
    with conn.transaction(), pytest.raises(errors.UniqueViolation), conn.transaction():
        voices.create_voice(conn, voice=taken)
    assert voices.delete_voice(conn, voice_clone_id=voice.voice_clone_id) == changed
    assert voices.delete_voice(conn, voice_clone_id=voice.voice_clone_id) is None


def test_pages_of_voices(conn: Connection) -> None:
    """Pages of an owner's voices by name show each once, and nobody else's."""
    user = new_user(conn)
    new_voice(conn, new_user(conn))
    created = sorted((new_voice(conn, user, name) for name in "bacab"), key=lambda one: (one.name, one.voice_clone_id))
    seen = voices.list_voices(conn, owner_id=user.user_id, limit=2)
    while page := voices.list_voices(
        conn,
        owner_id=user.user_id,
        limit=2,
        after=AfterVoice(name=seen[-1].name, voice_clone_id=seen[-1].voice_clone_id),
    ):
        seen += page
    assert seen == created


def test_many_at_once(conn: Connection) -> None:
    """Users and voices are copied in; one that is refused takes the others along."""
    assert users.import_users(conn, (NewUser(name=f"User {n}") for n in range(500))) == 500
    user = new_user(conn)
    new = [NewVoice(owner_id=user.user_id, name="v", s3_path=f"/{n}.wav") for n in range(500)]
    assert voices.import_voices(conn, new) == 500
    with pytest.raises(errors.UniqueViolation), conn.transaction():
        voices.import_voices(conn, [NewVoice(owner_id=user.user_id, name="v", s3_path="/new.wav"), new[0]])
    assert len(voices.list_voices(conn, owner_id=user.user_id, limit=1000)) == 500


def test_a_voice_of_somebody_else_takes_no_job(conn: Connection) -> None:
    """A job with another owner's voice, or none, is not submitted, and leaves no line."""
    owner, other = new_user(conn), new_user(conn)
    voice = new_voice(conn, other)
    new: dict[str, Any] = {"owner_id": owner.user_id, "s3_pptx_path": "/p"}
    for voice_clone_id in (voice.voice_clone_id, 2**62):
        assert jobs.submit_job(conn, job=NewJob(voice_clone_id=voice_clone_id, **new)) is None
    assert [line.table_name for line in history.list_audit_lines(conn, owner_id=owner.user_id)] == ["users"]


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_pages_of_jobs_by_keyset(conn: Connection, order: Any) -> None:
    """Pages show each job once, also those of one time, whatever is submitted meanwhile."""
    oldest_first = past_jobs(conn, 25)
    wanted = oldest_first if order == "oldest" else oldest_first[::-1]
    owner = wanted[0].owner_id
    seen = jobs.list_jobs(conn, owner_id=owner, order=order, limit=4)
    while page := jobs.list_jobs(
        conn,
        owner_id=owner,
        order=order,
        limit=4,
        until=LONG_AGO + timedelta(days=1),
        after=AfterJob(created_at=seen[-1].created_at, job_id=seen[-1].job_id),
    ):
        seen += page
        new_job(conn, voices.list_voices(conn, owner_id=owner)[0])
    assert seen == wanted


def test_jobs_by_owner_status_voice_and_time(conn: Connection) -> None:
    """Each filter narrows the list, and they go together."""
    found = past_jobs(conn, 10)
    past_jobs(conn, 4)
    owner = found[0].owner_id
    failed = [job for job in found if job.status is JobStatus.FAILED]
    listed = jobs.list_jobs(conn, owner_id=owner, status=JobStatus.FAILED, order="oldest")
    assert listed == failed
    since, until = LONG_AGO + timedelta(minutes=1), LONG_AGO + timedelta(minutes=3)
    listed = jobs.list_jobs(conn, owner_id=owner, since=since, until=until, order="oldest")
    assert listed == [job for job in found if since <= job.created_at < until]
    assert len(jobs.list_jobs(conn, voice_clone_id=found[0].voice_clone_id)) == 10


def test_pages_of_jobs_by_skip_and_limit(conn: Connection) -> None:
    """Each job comes with its owner, the newest first, from any number of them onwards."""
    found = past_jobs(conn, 10)[::-1]
    owner = users.get_user(conn, user_id=found[0].owner_id)
    page = jobs.list_jobs_by_offset(conn, owner_id=found[0].owner_id, skip=3, limit=4)
    assert [job.job_id for job in page] == [job.job_id for job in found[3:7]]
    assert {job.owner.user_id for job in page} == {found[0].owner_id}
    assert page[0].owner == owner
    assert jobs.list_jobs_by_offset(conn, owner_id=found[0].owner_id, skip=10) == []


def test_a_page_in_the_middle_reads_its_rows_alone(conn: Connection) -> None:
    """A keyset page far in is read from the index, without those before it and without sorting."""
    found = [past_jobs(conn, 100) for _ in range(10)][-1]
    conn.execute("analyze presentation_jobs")
    plan = conn.execute(
        "explain (analyze, format json) select job_id from presentation_jobs where owner_id = %s "
        "and (created_at, job_id) < (%s, %s) order by created_at desc, job_id desc limit 10",
        [found[0].owner_id, found[20].created_at, found[20].job_id],
    ).fetchone()
    assert plan is not None
    text = str(plan[0])
    assert "presentation_jobs_owner_id_created_at_job_id_idx" in text
    assert "Sort" not in text


def test_a_job_is_deleted(conn: Connection) -> None:
    """delete_job gives the job back once, and leaves a line with what it was."""
    job = new_job(conn, new_voice(conn, new_user(conn)))
    assert jobs.delete_job(conn, job_id=job.job_id) == job
    assert jobs.delete_job(conn, job_id=job.job_id) is None
    (line, _) = history.list_audit_lines(conn, table_name="presentation_jobs", row_id=job.job_id)
    assert line.action == "delete"
    assert line.after is None
    assert Job.model_validate(line.before) == job


def test_metrics(conn: Connection) -> None:
    """Totals, those who are active, what waits, what is worked on, what failed today and not before."""
    before = reports.get_metrics(conn)
    user = new_user(conn)
    users.deactivate_user(conn, user_id=new_user(conn).user_id)
    voice = new_voice(conn, user)
    for status in (JobStatus.FAILED, JobStatus.COMPLETED, JobStatus.SYNTHESIZING_AUDIO, JobStatus.PENDING):
        job = brought_to(conn, voice, status)
        if status is JobStatus.FAILED:
            failed = job
    after = reports.get_metrics(conn)
    added = {name: value - getattr(before, name) for name, value in after}
    assert added == {
        "total_users": 2,
        "active_users": 1,
        "total_voice_clones": 1,
        "total_jobs": 4,
        "pending_jobs": 1,
        "active_jobs": 1,
        "completed_jobs": 1,
        "failed_jobs_today": 1,
    }
    conn.execute(
        "update presentation_jobs set updated_at = date_trunc('day', now(), 'UTC') - interval '1 us' where job_id = %s",
        [failed.job_id],
    )
    assert reports.get_metrics(conn).failed_jobs_today == before.failed_jobs_today


def test_jobs_by_status(conn: Connection) -> None:
    """Each status that has jobs is counted once, in the order of the steps, with their means and sums."""
    voice = new_voice(conn, new_user(conn))
    for status in (JobStatus.COMPLETED, JobStatus.COMPLETED, JobStatus.PENDING):
        brought_to(conn, voice, status)
    counted = {row.status: row for row in reports.count_jobs_by_status(conn)}
    assert {status: row.jobs for status, row in counted.items()} == {JobStatus.PENDING: 1, JobStatus.COMPLETED: 2}
    assert counted[JobStatus.COMPLETED].video_seconds == 123.0
    assert counted[JobStatus.COMPLETED].mean_processing_seconds is not None
    assert counted[JobStatus.PENDING].mean_processing_seconds is None


def test_search_over_names_and_errors(conn: Connection) -> None:
    """Words are found in users' and voices' names and jobs' errors; not those that are no longer active."""
    user = new_user(conn, "Grace Hopper")
    voice = new_voice(conn, user, "Grace, calm")
    brought_to(conn, voice, JobStatus.FAILED)
    users.deactivate_user(conn, user_id=new_user(conn, "Grace Kelly").user_id)
    found = {(row.kind, row.row_id): row.found for row in reports.search(conn, term="grace")}
    assert found == {("user", user.user_id): "Grace Hopper", ("voice", voice.voice_clone_id): "Grace, calm"}
    (error,) = reports.search(conn, term="audio")
    assert (error.kind, error.found, error.owner_id) == ("job", "no audio", user.user_id)
    assert [row.kind for row in reports.search(conn, term="grace -calm")] == ["user"]
    assert reports.search(conn, term='"hopper grace"') == []
    assert reports.search(conn, term="100% _ ' \\ :*") == []


@pytest.mark.parametrize(
    ("table", "expression", "index"),
    [
        ("users", "to_tsvector('simple', name)", "users_name_fts_idx"),
        ("voice_clones", "to_tsvector('simple', name)", "voice_clones_name_fts_idx"),
        ("presentation_jobs", "to_tsvector('simple', error_message)", "presentation_jobs_error_message_idx"),
    ],
)
def test_search_uses_its_indexes(conn: Connection, table: str, expression: str, index: str) -> None:
    """The conditions of the search are those of the full-text indexes."""
    conn.execute("set local enable_seqscan = off")
    where = f"{expression} @@ websearch_to_tsquery('simple', 'x')"
    where += " and error_message is not null" if table == "presentation_jobs" else ""
    plan = conn.execute(f"explain select from {table} where {where}").fetchall()
    assert index in str(plan)


def test_the_audit_log_tells_who_did_what(conn: Connection) -> None:
    """Each write leaves a line with its actor and the row before and after, without what is secret."""
    conn.execute("select set_config('app.actor', 'ada@desk', true)")
    user = new_user(conn, email="ada@example.org")
    users.set_password_hash(conn, user_id=user.user_id, password_hash="$argon2$secret")
    users.update_user(conn, user_id=user.user_id, changes=UserChanges(name="Ada L."))
    renamed, secret, created = history.list_audit_lines(conn, table_name="users", row_id=user.user_id)
    assert [line.action for line in (created, secret, renamed)] == ["insert", "update", "update"]
    assert {line.actor for line in (created, secret, renamed)} == {"ada@desk"}
    assert created.before is None
    assert created.after is not None
    assert created.after["email"] == "ada@example.org"
    assert renamed.before is not None
    assert renamed.after is not None
    assert (renamed.before["name"], renamed.after["name"]) == ("Ada", "Ada L.")
    assert "secret" not in repr((created, secret, renamed))


def test_pages_of_the_audit_log(conn: Connection) -> None:
    """Pages of the audit log show each line once, narrowed by actor and time."""
    conn.execute("select set_config('app.actor', 'importer', true)")
    created = [new_user(conn, f"User {number}").user_id for number in range(7)]
    now = datetime.now(UTC)
    seen = history.list_audit_lines(conn, actor="importer", since=now - timedelta(hours=1), limit=3)
    while page := history.list_audit_lines(
        conn,
        actor="importer",
        limit=3,
        after=AfterAuditLine(created_at=seen[-1].created_at, audit_id=seen[-1].audit_id),
    ):
        seen += page
    assert [line.row_id for line in seen] == created[::-1]
    assert history.list_audit_lines(conn, actor="importer", until=now - timedelta(hours=1)) == []


def test_a_failed_job_may_be_tried_again(conn: Connection) -> None:
    """A job that failed waits once more, without its error, and can be claimed; one that did not fail cannot."""
    voice = new_voice(conn, new_user(conn))
    job = brought_to(conn, voice, JobStatus.FAILED)
    again = work.retry_job(conn, job_id=job.job_id)
    assert again is not None
    assert (again.status, again.error_message, again.started_at) == (JobStatus.PENDING, None, None)
    assert work.retry_job(conn, job_id=job.job_id) is None
    assert [claimed.job_id for claimed in work.claim_jobs(conn)] == [job.job_id]
