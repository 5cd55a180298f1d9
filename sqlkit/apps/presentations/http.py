"""Presentations over HTTP: ``uvicorn sqlkit.apps.presentations.http:app``.

The database is that of the settings (``DATABASE_URL``, ...). What stands below ``/users/{owner_id}`` acts for that
owner, by row-level security; who the caller is, is for whatever stands before this application to say.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeVar

from sqlkit.fastapi import database_of, health_router, install_errors, lifespan_of

# Before FastAPI itself: it says which extra to install.
# isort: split

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from sqlkit.apps.presentations.application import Presentations
from sqlkit.apps.presentations.models import (
    AfterJob,
    AfterUser,
    AfterVoice,
    Found,
    Id,
    Job,
    JobOfOwner,
    JobResult,
    JobStatus,
    JobWithOwner,
    Metrics,
    NewJob,
    NewUser,
    NewVoice,
    PlainText,
    User,
    UserChanges,
    UserWithVoicesAndJobs,
    Voice,
    VoiceOfOwner,
)
from sqlkit.apps.presentations.records import AfterAuditLine, AuditLine, StatusChange
from sqlkit.apps.presentations.settings import PresentationsSettings
from sqlkit.database import Database
from sqlkit.pages import AfterLimit, Keyset, OffsetPage, Page, SkipLimit, offset_page
from sqlkit.settings import Settings

__all__ = ["app", "create_app"]

USERS = Keyset(AfterUser, name=("name", "user_id"), newest=("created_at", "user_id"))
VOICES = Keyset(AfterVoice)
JOBS = Keyset(AfterJob, newest=("created_at", "job_id"), oldest=("created_at", "job_id"))
AUDIT = Keyset(AfterAuditLine)

T = TypeVar("T")
JobOrder = Literal["newest", "oldest"]
KeysetQuery = Annotated[AfterLimit, Query()]


class Input(BaseModel):
    """What a request brings."""

    model_config = ConfigDict(extra="forbid")


class Login(Input):
    """An address and its password."""

    email: PlainText
    password: SecretStr


class NewPassword(Input):
    """A password to set."""

    password: SecretStr = Field(min_length=8)


class Claim(Input):
    """Which worker wants jobs, and how many."""

    worker: PlainText = Field(min_length=1)
    limit: int = Field(1, ge=1, le=100)


class Step(Input):
    """The next step of a job."""

    status: Literal[JobStatus.SYNTHESIZING_AUDIO, JobStatus.ASSEMBLING_VIDEO]


class Failure(Input):
    """Why a job failed."""

    error_message: PlainText = Field(min_length=1)


class JobFilter(AfterLimit):
    """Which jobs, and behind which one."""

    status: JobStatus | None = None
    since: datetime | None = None
    until: datetime | None = None
    order: JobOrder = "newest"


class UserFilter(AfterLimit):
    """Which users, and behind whom."""

    is_active: bool | None = None
    order: Literal["name", "newest"] = "name"


def everyone(db: Annotated[Database, database_of()]) -> Presentations:
    """Return the application for everyone's rows."""
    return Presentations(db)


Everyone = Annotated[Presentations, Depends(everyone)]


def one_owner(owner_id: Id, app: Everyone) -> Presentations:
    """Return the application for the owner whom the path names."""
    return app.acting_for(owner_id)


Mine = Annotated[Presentations, Depends(one_owner)]

users = APIRouter(tags=["users"])
owned = APIRouter(prefix="/users/{owner_id}", tags=["voices and jobs of an owner"])
work = APIRouter(prefix="/queue", tags=["workers"])
reports = APIRouter(tags=["reports"])


@users.post("/login")
def login(given: Login, app: Everyone) -> User:
    """Return whose password it is; 401 where it is nobody's."""
    user = app.check_password(given.email, given.password)
    if user is None:
        raise HTTPException(401, "no such address, or another password")
    return user


@users.post("/users", status_code=201)
def create_user(new: NewUser, app: Everyone) -> User:
    """Create a user."""
    return app.users.create_user(app.db, user=new)


@users.get("/users")
def list_users(asked: Annotated[UserFilter, Query()], app: Everyone) -> Page[User]:
    """Return a page of users."""
    after = USERS.after(asked.after, asked.order)
    found = app.users.list_users(
        app.db, is_active=asked.is_active, order=asked.order, after=after, limit=asked.limit + 1
    )
    return USERS.page(found, asked.limit, asked.order)


@owned.get("")
def get_user(owner_id: Id, mine: Mine) -> UserWithVoicesAndJobs:
    """Return a user with all their voices and jobs."""
    return there(mine.users.get_user_with_voices_and_jobs(mine.db, user_id=owner_id))


@owned.patch("")
def update_user(owner_id: Id, changes: UserChanges, mine: Mine) -> User:
    """Change what is given of a user."""
    return there(mine.users.update_user(mine.db, user_id=owner_id, changes=changes))


@owned.delete("")
def deactivate_user(owner_id: Id, mine: Mine) -> User:
    """Delete a user softly."""
    return there(mine.users.deactivate_user(mine.db, user_id=owner_id))


@owned.put("/password", status_code=204)
def set_password(owner_id: Id, new: NewPassword, mine: Mine) -> None:
    """Keep the hash of a new password."""
    if not mine.set_password(owner_id, new.password):
        raise HTTPException(404, "not found")


@owned.post("/voices", status_code=201)
def create_voice(owner_id: Id, new: VoiceOfOwner, mine: Mine) -> Voice:
    """Create a voice."""
    return mine.voices.create_voice(mine.db, voice=NewVoice(owner_id=owner_id, **new.model_dump()))


@owned.get("/voices")
def list_voices(owner_id: Id, asked: KeysetQuery, mine: Mine) -> Page[Voice]:
    """Return a page of an owner's voices that are active, by name."""
    after = VOICES.after(asked.after)
    found = mine.voices.list_voices(mine.db, owner_id=owner_id, is_active=True, after=after, limit=asked.limit + 1)
    return VOICES.page(found, asked.limit)


@owned.delete("/voices/{voice_clone_id}")
def deactivate_voice(voice_clone_id: Id, mine: Mine) -> Voice:
    """Delete a voice softly."""
    return there(mine.voices.deactivate_voice(mine.db, voice_clone_id=voice_clone_id))


@owned.post("/jobs", status_code=201)
def submit_job(owner_id: Id, new: JobOfOwner, mine: Mine) -> Job:
    """Submit a job; 409 where the voice is not the owner's, or either is no longer active."""
    job = mine.jobs.submit_job(mine.db, job=NewJob(owner_id=owner_id, **new.model_dump()))
    return legal(job, "the voice is not this owner's, or no longer active")


@owned.get("/jobs")
def list_jobs(owner_id: Id, asked: Annotated[JobFilter, Query()], mine: Mine) -> Page[Job]:
    """Return a page of an owner's jobs."""
    found = mine.jobs.list_jobs(
        mine.db,
        owner_id=owner_id,
        status=asked.status,
        since=asked.since,
        until=asked.until,
        order=asked.order,
        after=JOBS.after(asked.after, asked.order),
        limit=asked.limit + 1,
    )
    return JOBS.page(found, asked.limit, asked.order)


@owned.get("/jobs/{job_id}")
def get_job(job_id: Id, mine: Mine) -> Job:
    """Return one job of an owner."""
    return there(mine.jobs.get_job(mine.db, job_id=job_id))


@owned.get("/jobs/{job_id}/history")
def list_status_changes(job_id: Id, mine: Mine) -> list[StatusChange]:
    """Return what happened to a job."""
    return mine.history.list_status_changes(mine.db, job_id=job_id)


@owned.post("/jobs/{job_id}/cancel")
def cancel_job(job_id: Id, mine: Mine) -> Job:
    """Cancel a job; 409 where it had ended already."""
    return legal(mine.work.cancel_job(mine.db, job_id=job_id), "there is no such job, or it has ended")


@owned.post("/jobs/{job_id}/retry")
def retry_job(job_id: Id, mine: Mine) -> Job:
    """Let a failed job be tried once more; 409 where it had not failed."""
    return legal(mine.work.retry_job(mine.db, job_id=job_id), "there is no such job, or it has not failed")


@owned.get("/audit")
def list_audit_lines(asked: KeysetQuery, mine: Mine) -> Page[AuditLine]:
    """Return a page of who did what to an owner's rows, the newest first."""
    found = mine.history.list_audit_lines(mine.db, after=AUDIT.after(asked.after), limit=asked.limit + 1)
    return AUDIT.page(found, asked.limit)


@work.post("/claim")
def claim_jobs(claim: Claim, app: Everyone) -> list[Job]:
    """Give a worker the oldest jobs that wait."""
    worker = app.working(claim.worker)
    return worker.work.claim_jobs(worker.db, limit=claim.limit)


@work.post("/{job_id}/advance")
def advance_job(job_id: Id, step: Step, app: Everyone) -> Job:
    """Bring a job to its next step; 409 where that does not follow the one it is in."""
    return legal(app.work.advance_job(app.db, job_id=job_id, status=step.status), "this step does not follow")


@work.post("/{job_id}/complete")
def complete_job(job_id: Id, result: JobResult, app: Everyone) -> Job:
    """End a job with its video; 409 where it was not at its last step."""
    return legal(app.work.complete_job(app.db, job_id=job_id, result=result), "it is not at its last step")


@work.post("/{job_id}/fail")
def fail_job(job_id: Id, failure: Failure, app: Everyone) -> Job:
    """End a job with an error; 409 where nobody was working on it."""
    failed = app.work.fail_job(app.db, job_id=job_id, error_message=failure.error_message)
    return legal(failed, "nobody is working on it")


@reports.get("/jobs")
def list_jobs_with_owners(
    asked: Annotated[SkipLimit, Query()], app: Everyone, status: JobStatus | None = None
) -> OffsetPage[JobWithOwner]:
    """Return jobs with their owners, the newest first, from a number of them onwards."""
    found = app.jobs.list_jobs_by_offset(app.db, status=status, skip=asked.skip, limit=asked.limit)
    return offset_page(found, asked.skip, asked.limit)


@reports.get("/metrics")
def get_metrics(app: Everyone) -> Metrics:
    """Return how much there is of everything."""
    return app.reports.get_metrics(app.db)


@reports.get("/search")
def search(
    term: Annotated[PlainText, Query(min_length=1)], app: Everyone, limit: int = Query(50, ge=1, le=1000)
) -> list[Found]:
    """Return users and voices by their names, and jobs by their errors."""
    return app.reports.search(app.db, term=term, limit=limit)


def there(found: T | None) -> T:
    """Return what was found; 404 where nothing was."""
    if found is None:
        raise HTTPException(404, "not found")
    return found


def legal(found: T | None, reason: str) -> T:
    """Return what a step gave; 409 where it was refused."""
    if found is None:
        raise HTTPException(409, reason)
    return found


def create_app(settings: Settings | str | None = None) -> FastAPI:
    """Return the application; its logs' partitions are made ahead when it starts."""

    def start(db: Database) -> None:
        Presentations(db).keep_logs()

    lifespan = lifespan_of(Database, settings or PresentationsSettings, at_start=start)
    made = FastAPI(title="Presentations", lifespan=lifespan)
    install_errors(made)
    for router in (health_router(), users, owned, work, reports):
        made.include_router(router)
    return made


app = create_app()
