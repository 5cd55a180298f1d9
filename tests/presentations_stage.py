"""What tests of presentations stand on: owners with a voice, jobs, and a Presentations on a database."""

from __future__ import annotations

from itertools import count
from typing import Any

from sqlkit import Executor
from sqlkit.apps.presentations import queries
from sqlkit.apps.presentations.models import Job, JobResult, JobStatus, NewJob, NewUser, NewVoice, User, Voice

NUMBERS = count(1)
RESULT = JobResult(s3_video_path="/video.mp4", video_duration_seconds=61.5, file_size_bytes=1024, slides_count=12)
STEPS = (JobStatus.SYNTHESIZING_AUDIO, JobStatus.ASSEMBLING_VIDEO)


def new_user(db: Executor, name: str = "Ada", **facts: Any) -> User:
    """Create a user."""
    return queries.users.create_user(db, user=NewUser(name=name, **facts))


def new_voice(db: Executor, owner: User, name: str = "calm", **facts: Any) -> Voice:
    """Create a voice at a path of its own."""
    path = f"/{name}-{next(NUMBERS)}.wav"
    return queries.voices.create_voice(db, voice=NewVoice(owner_id=owner.user_id, name=name, s3_path=path, **facts))


def new_job(db: Executor, voice: Voice, **facts: Any) -> Job:
    """Submit a job."""
    given = {"s3_pptx_path": "/slides.pptx", **facts}
    job = queries.jobs.submit_job(db, job=NewJob(owner_id=voice.owner_id, voice_clone_id=voice.voice_clone_id, **given))
    assert job is not None
    return job


def brought_to(db: Executor, voice: Voice, status: JobStatus) -> Job:
    """Submit a job and bring it to a status; no other job may wait."""
    job = new_job(db, voice)
    if status is JobStatus.PENDING:
        return job
    if status is JobStatus.CANCELLED:
        return done(queries.work.cancel_job(db, job_id=job.job_id))
    (job,) = queries.work.claim_jobs(db)
    if status is JobStatus.FAILED:
        return done(queries.work.fail_job(db, job_id=job.job_id, error_message="no audio"))
    for step in STEPS:
        if job.status is status:
            return job
        job = done(queries.work.advance_job(db, job_id=job.job_id, status=step))
    if job.status is status:
        return job
    return done(queries.work.complete_job(db, job_id=job.job_id, result=RESULT))


def done(job: Job | None) -> Job:
    """Return what a statement gave, which is not None."""
    assert job is not None
    return job
