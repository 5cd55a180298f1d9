"""Presentations' jobs at work: legal steps only, each with its line, claimed by one worker alone."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from sqlkit import Database
from sqlkit.apps.presentations.application import Presentations
from sqlkit.apps.presentations.models import TRANSITIONS, Job, JobStatus, PastJob
from sqlkit.apps.presentations.queries import history, jobs, work
from tests.presentations_stage import RESULT, brought_to, done, new_job, new_user, new_voice

Connection = psycopg.Connection[Any]

MOVES: dict[JobStatus, Callable[[Connection, int], Job | None]] = {
    JobStatus.PENDING: lambda conn, job_id: work.retry_job(conn, job_id=job_id),
    JobStatus.PROCESSING_SLIDES: lambda conn, job_id: next(iter(work.claim_jobs(conn)), None),
    JobStatus.SYNTHESIZING_AUDIO: lambda conn, job_id: work.advance_job(
        conn, job_id=job_id, status=JobStatus.SYNTHESIZING_AUDIO
    ),
    JobStatus.ASSEMBLING_VIDEO: lambda conn, job_id: work.advance_job(
        conn, job_id=job_id, status=JobStatus.ASSEMBLING_VIDEO
    ),
    JobStatus.COMPLETED: lambda conn, job_id: work.complete_job(conn, job_id=job_id, result=RESULT),
    JobStatus.FAILED: lambda conn, job_id: work.fail_job(conn, job_id=job_id, error_message="no audio"),
    JobStatus.CANCELLED: lambda conn, job_id: work.cancel_job(conn, job_id=job_id),
}


@pytest.fixture
def db(presentations_dsn: str) -> Iterator[Database]:
    """Give a pool on a database of presentations' own."""
    with Database.connect(presentations_dsn, pool_max_size=20) as database:
        yield database


@pytest.mark.parametrize("old", JobStatus)
@pytest.mark.parametrize("new", JobStatus)
def test_only_legal_steps(presentations_conn: Connection, old: JobStatus, new: JobStatus) -> None:
    """From each status each other one is reached if that is legal; if not, nothing changes and no line is left."""
    conn = presentations_conn
    job = brought_to(conn, new_voice(conn, new_user(conn)), old)
    lines = history.list_status_changes(conn, job_id=job.job_id)
    moved = MOVES[new](conn, job.job_id)
    if new in TRANSITIONS[old]:
        assert done(moved).status is new
        (line,) = history.list_status_changes(conn, job_id=job.job_id)[len(lines) :]
        assert (line.old_status, line.new_status, line.owner_id) == (old, new, job.owner_id)
    else:
        assert moved is None
        assert jobs.get_job(conn, job_id=job.job_id) == job
        assert history.list_status_changes(conn, job_id=job.job_id) == lines


def test_advance_takes_no_shortcut(presentations_conn: Connection) -> None:
    """advance_job leads to the two steps in the middle only: the others have statements of their own."""
    conn = presentations_conn
    job = brought_to(conn, new_voice(conn, new_user(conn)), JobStatus.ASSEMBLING_VIDEO)
    for status in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.PENDING):
        assert work.advance_job(conn, job_id=job.job_id, status=status) is None


def test_a_job_from_submission_to_its_video(presentations_conn: Connection) -> None:
    """A job goes through all steps: started when claimed, completed with its video, each step in its history."""
    conn = presentations_conn
    job = brought_to(conn, new_voice(conn, new_user(conn)), JobStatus.COMPLETED)
    assert (job.s3_video_path, job.video_duration_seconds, job.slides_count) == ("/video.mp4", 61.5, 12)
    assert job.started_at is not None
    assert job.completed_at is not None
    assert job.completed_at >= job.started_at >= job.created_at
    assert job.processing_time_seconds == (job.completed_at - job.started_at).total_seconds()
    steps = [line.new_status for line in history.list_status_changes(conn, job_id=job.job_id)]
    assert steps == list(JobStatus)[:5]


def test_each_step_is_in_the_audit_log(presentations_conn: Connection) -> None:
    """Each step leaves a line with the job as it was before it and as it is behind it, whichever statement took it."""
    conn = presentations_conn
    voice = new_voice(conn, new_user(conn))
    completed = brought_to(conn, voice, JobStatus.COMPLETED)
    failed = brought_to(conn, voice, JobStatus.FAILED)
    done(work.retry_job(conn, job_id=failed.job_id))
    done(work.cancel_job(conn, job_id=failed.job_id))
    walked: dict[int, list[str]] = {
        completed.job_id: [step.value for step in JobStatus][:5],
        failed.job_id: ["pending", "processing_slides", "failed", "pending", "cancelled"],
    }
    for job_id, steps in walked.items():
        lines = history.list_audit_lines(conn, table_name="presentation_jobs", row_id=job_id)[::-1]
        before = [line.before and line.before["status"] for line in lines]
        after = [line.after and line.after["status"] for line in lines]
        assert (before, after) == ([None, *steps[:-1]], steps)


def test_a_job_that_ends_before_its_claim(presentations_conn: Connection) -> None:
    """Where the clock of whoever completes a job is behind, it completes when it started."""
    conn = presentations_conn
    job = brought_to(conn, new_voice(conn, new_user(conn)), JobStatus.ASSEMBLING_VIDEO)
    conn.execute("update presentation_jobs set started_at = now() + interval '1 h' where job_id = %s", [job.job_id])
    completed = done(work.complete_job(conn, job_id=job.job_id, result=RESULT))
    assert completed.completed_at == completed.started_at
    assert completed.processing_time_seconds == 0


def test_the_oldest_are_claimed_first(presentations_conn: Connection) -> None:
    """claim_jobs takes as many as its limit, in the order of their submission; an empty queue gives none."""
    conn = presentations_conn
    voice = new_voice(conn, new_user(conn))
    submitted = [new_job(conn, voice).job_id for _ in range(5)]
    assert [job.job_id for job in work.claim_jobs(conn, limit=2)] == submitted[:2]
    assert [job.job_id for job in work.claim_jobs(conn, limit=10)] == submitted[2:]
    assert work.claim_jobs(conn) == []


def test_no_worker_waits_for_another(db: Database) -> None:
    """While one worker has not committed its claim, another gets the next job at once; a rollback gives it back."""
    voice = new_voice(db, new_user(db))
    first, second = new_job(db, voice), new_job(db, voice)
    with db.connection() as conn:
        assert [job.job_id for job in work.claim_jobs(conn)] == [first.job_id]
        started = time.monotonic()
        assert [job.job_id for job in work.claim_jobs(db)] == [second.job_id]
        assert work.claim_jobs(db) == []
        assert time.monotonic() - started < 1
        conn.rollback()
    assert [job.job_id for job in work.claim_jobs(db)] == [first.job_id]


def submit_many(db: Database, number: int) -> None:
    """Put jobs of one owner into the queue, by copy."""
    voice = new_voice(db, new_user(db))
    start = datetime.now(UTC) - timedelta(days=1)
    waiting: dict[str, Any] = {
        "owner_id": voice.owner_id,
        "voice_clone_id": voice.voice_clone_id,
        "status": JobStatus.PENDING,
    }
    past = (
        PastJob(**waiting, s3_pptx_path=f"/{n}.pptx", created_at=start + timedelta(milliseconds=n))
        for n in range(number)
    )
    assert jobs.import_jobs(db, past) == number


def test_sixteen_workers_claim_ten_thousand_jobs(db: Database) -> None:
    """16 workers claim 10,000 jobs, one to ten at a time: none twice, none lost, each with one line."""
    submit_many(db, 10_000)
    app = Presentations(db)

    def claim(number: int) -> list[int]:
        me, mine = app.working(f"worker {number}"), []
        while claimed := me.work.claim_jobs(me.db, limit=number % 10 + 1):
            mine += [job.job_id for job in claimed]
        return mine

    with ThreadPoolExecutor(16) as pool:
        claimed = list(pool.map(claim, range(16)))
    everything = [job_id for mine in claimed for job_id in mine]
    assert len(everything) == len(set(everything)) == 10_000
    assert all(claimed)
    with db.connection() as conn:
        counted = conn.execute(
            "select (select count(*) from presentation_jobs where status = 'processing_slides'), "
            "(select count(distinct job_id) from job_status_changes where old_status = 'pending'), "
            "(select count(*) from job_status_changes where old_status = 'pending')"
        ).fetchone()
        assert counted == (10_000, 10_000, 10_000)
        lines = conn.execute(
            "select actor, count(*) from audit_log where table_name = 'presentation_jobs' group by actor"
        ).fetchall()
    assert Counter(dict(lines)) == {f"worker {number}": len(mine) for number, mine in enumerate(claimed)}


def test_two_at_one_job(db: Database) -> None:
    """Of 8 who cancel and complete one job at once exactly one succeeds, and the history has its line alone."""
    job = brought_to(db, new_voice(db, new_user(db)), JobStatus.ASSEMBLING_VIDEO)
    barrier = threading.Barrier(8)

    def move(number: int) -> Job | None:
        barrier.wait()
        if number % 2:
            return work.cancel_job(db, job_id=job.job_id)
        return work.complete_job(db, job_id=job.job_id, result=RESULT)

    with ThreadPoolExecutor(8) as pool:
        moved = [one for one in pool.map(move, range(8)) if one is not None]
    assert len(moved) == 1
    steps = history.list_status_changes(db, job_id=job.job_id)
    assert len(steps) == 5
    assert steps[-1].new_status is moved[0].status


def test_jobs_whose_worker_died(db: Database) -> None:
    """A job that nobody has moved for an hour fails with a reason, one that was moved does not, nor one that waits."""
    voice = new_voice(db, new_user(db))
    stalled = brought_to(db, voice, JobStatus.SYNTHESIZING_AUDIO)
    alive = brought_to(db, voice, JobStatus.SYNTHESIZING_AUDIO)
    waiting = new_job(db, voice)
    with db.connection() as conn:
        conn.execute(
            "update presentation_jobs set updated_at = now() - interval '61 min' where job_id = any(%s)",
            [[stalled.job_id, waiting.job_id]],
        )
    app = Presentations(db)
    (failed,) = app.fail_stalled()
    assert (failed.job_id, failed.status) == (stalled.job_id, JobStatus.FAILED)
    assert failed.error_message == "nothing was heard of its worker for 1:00:00"
    assert jobs.get_job(db, job_id=alive.job_id) == alive
    assert app.fail_stalled() == []
