"""The statements of ``sql/presentations``: a Protocol for each file, and what implements it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, Protocol

import sqlkit
from sqlkit import Affected, Executor
from sqlkit.apps import SQL
from sqlkit.apps.presentations.models import (
    AfterJob,
    AfterUser,
    AfterVoice,
    Credentials,
    EncryptedPhone,
    Found,
    Job,
    JobResult,
    JobStatus,
    JobWithOwner,
    Metrics,
    NewJob,
    NewUser,
    NewVoice,
    PastJob,
    StatusCount,
    User,
    UserChanges,
    UserWithVoicesAndJobs,
    Voice,
    VoiceChanges,
)
from sqlkit.apps.presentations.records import (
    AfterArchivedJob,
    AfterAuditLine,
    ArchivedJob,
    AuditLine,
    PastStatusChange,
    StatusChange,
)
from sqlkit.security import EncryptedText

__all__ = [
    "HistoryQueries",
    "JobQueries",
    "ReportQueries",
    "UserQueries",
    "VoiceQueries",
    "WorkQueries",
    "history",
    "jobs",
    "reports",
    "users",
    "voices",
    "work",
]


class UserQueries(Protocol):
    """Those who have videos made: ``sql/presentations/users.sql``."""

    def create_user(self, db: Executor, *, user: NewUser) -> User:
        """Create a user; UniqueViolation for a taken address."""
        ...

    def import_users(self, db: Executor, users: Iterable[NewUser]) -> Affected:
        """Copy users in, all or nothing; return how many."""
        ...

    def get_user(self, db: Executor, *, user_id: int) -> User | None:
        """Return one user, by their id."""
        ...

    def get_user_by_email(self, db: Executor, *, email: str) -> User | None:
        """Return one user, by their address, written as they gave it."""
        ...

    def list_users(
        self,
        db: Executor,
        *,
        is_active: bool | None = None,
        after: AfterUser | None = None,
        order: Literal["name", "newest"] = "name",
        limit: int = 50,
    ) -> list[User]:
        """Return a page of users; ``after`` is the last of the page before, of the same order."""
        ...

    def list_users_by_offset(self, db: Executor, *, skip: int = 0, limit: int = 100) -> list[User]:
        """Return a page of users by name, from a number of them onwards."""
        ...

    def update_user(self, db: Executor, *, user_id: int, changes: UserChanges) -> User | None:
        """Write the changes that are given; return the user as they are now, None if there is none."""
        ...

    def deactivate_user(self, db: Executor, *, user_id: int) -> User | None:
        """Delete a user softly; return them, None if there is none."""
        ...

    def delete_user(self, db: Executor, *, user_id: int) -> User | None:
        """Delete a user with their voices and jobs for good; return them, None if there is none."""
        ...

    def get_user_with_voices_and_jobs(self, db: Executor, *, user_id: int) -> UserWithVoicesAndJobs | None:
        """Return a user with all their voices and jobs, in one round trip."""
        ...

    def list_users_with_voices_and_jobs(
        self, db: Executor, *, after: AfterUser | None = None, limit: int = 50
    ) -> list[UserWithVoicesAndJobs]:
        """Return a page of users with all their voices and jobs, in one round trip."""
        ...

    def get_credentials(self, db: Executor, *, email: str) -> Credentials | None:
        """Return what an active user's password is checked with."""
        ...

    def set_password_hash(self, db: Executor, *, user_id: int, password_hash: str | None) -> User | None:
        """Keep the hash of a new password; see ``set_password``."""
        ...

    def get_phone(self, db: Executor, *, user_id: int) -> EncryptedText | None:
        """Return a user's phone number, encrypted; see ``read_phone``."""
        ...

    def set_phone(self, db: Executor, *, user_id: int, phone_encrypted: EncryptedText | None) -> User | None:
        """Keep an encrypted phone number; see ``write_phone``."""
        ...

    def list_phones(self, db: Executor, *, after: int = 0, limit: int = 500) -> list[EncryptedPhone]:
        """Return encrypted phone numbers behind a user's, by id, and lock them."""
        ...

    def replace_phones(self, db: Executor, phones: Iterable[EncryptedPhone]) -> Affected:
        """Keep phone numbers that were encrypted anew; return how many."""
        ...


class VoiceQueries(Protocol):
    """The voices that users recorded: ``sql/presentations/voices.sql``."""

    def create_voice(self, db: Executor, *, voice: NewVoice) -> Voice:
        """Create a voice; UniqueViolation for a taken path, ForeignKeyViolation for an unknown owner."""
        ...

    def import_voices(self, db: Executor, voices: Iterable[NewVoice]) -> Affected:
        """Copy voices in, all or nothing; return how many."""
        ...

    def get_voice(self, db: Executor, *, voice_clone_id: int) -> Voice | None:
        """Return one voice, by its id."""
        ...

    def list_voices(
        self,
        db: Executor,
        *,
        owner_id: int,
        is_active: bool | None = None,
        after: AfterVoice | None = None,
        limit: int = 50,
    ) -> list[Voice]:
        """Return a page of an owner's voices by name; ``after`` is the last of the page before."""
        ...

    def update_voice(self, db: Executor, *, voice_clone_id: int, changes: VoiceChanges) -> Voice | None:
        """Write the changes that are given; return the voice as it is now, None if there is none."""
        ...

    def deactivate_voice(self, db: Executor, *, voice_clone_id: int) -> Voice | None:
        """Delete a voice softly; return it, None if there is none."""
        ...

    def delete_voice(self, db: Executor, *, voice_clone_id: int) -> Voice | None:
        """Delete a voice for good; return it. An IntegrityError while it has jobs."""
        ...


class JobQueries(Protocol):
    """Jobs, submitted and looked at: ``sql/presentations/jobs.sql``."""

    def submit_job(self, db: Executor, *, job: NewJob) -> Job | None:
        """Submit a job; None where the voice is not its owner's, or either is no longer active."""
        ...

    def import_jobs(self, db: Executor, jobs: Iterable[PastJob]) -> Affected:
        """Copy jobs with their past in, all or nothing; return how many."""
        ...

    def get_job(self, db: Executor, *, job_id: int) -> Job | None:
        """Return one job, by its id."""
        ...

    def list_jobs(
        self,
        db: Executor,
        *,
        owner_id: int | None = None,
        status: JobStatus | None = None,
        voice_clone_id: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: AfterJob | None = None,
        order: Literal["newest", "oldest"] = "newest",
        limit: int = 50,
    ) -> list[Job]:
        """Return a page of jobs, narrowed by the filters that are given.

        ``after`` is the last of the page before, of the same order; a page costs the same wherever it is.
        """
        ...

    def list_jobs_by_offset(
        self,
        db: Executor,
        *,
        owner_id: int | None = None,
        status: JobStatus | None = None,
        skip: int = 0,
        limit: int = 100,
    ) -> list[JobWithOwner]:
        """Return a page of jobs with their owners, the newest first, from a number of them onwards."""
        ...

    def fail_stalled_jobs(self, db: Executor, *, untouched_since: datetime, error_message: str) -> list[Job]:
        """Fail the jobs that nobody has moved since a time; return them."""
        ...

    def delete_job(self, db: Executor, *, job_id: int) -> Job | None:
        """Delete a job for good; return it, None if there is none."""
        ...


class WorkQueries(Protocol):
    """What workers do to jobs: each step and its line in the logs are one statement: ``sql/presentations/work.sql``."""

    def claim_jobs(self, db: Executor, *, limit: int = 1) -> list[Job]:
        """Take the oldest jobs that wait, as many as the limit; no other caller gets them."""
        ...

    def advance_job(self, db: Executor, *, job_id: int, status: JobStatus) -> Job | None:
        """Bring a job to its next step; None where that does not follow the one it is in."""
        ...

    def complete_job(self, db: Executor, *, job_id: int, result: JobResult) -> Job | None:
        """End a job with its video; None where it was not at its last step."""
        ...

    def fail_job(self, db: Executor, *, job_id: int, error_message: str) -> Job | None:
        """End a job with an error; None where nobody was working on it."""
        ...

    def cancel_job(self, db: Executor, *, job_id: int) -> Job | None:
        """Cancel a job; None where it had ended already."""
        ...

    def retry_job(self, db: Executor, *, job_id: int) -> Job | None:
        """Let a failed job be claimed once more; None where it had not failed."""
        ...


class HistoryQueries(Protocol):
    """Logs and the archive: ``sql/presentations/history.sql``."""

    def list_status_changes(self, db: Executor, *, job_id: int, since: datetime | None = None) -> list[StatusChange]:
        """Return what happened to a job, in order; ``since`` spares the partitions before it."""
        ...

    def import_status_changes(self, db: Executor, changes: Iterable[PastStatusChange]) -> Affected:
        """Copy changes of the past in, all or nothing; return how many."""
        ...

    def list_audit_lines(
        self,
        db: Executor,
        *,
        table_name: str | None = None,
        row_id: int | None = None,
        owner_id: int | None = None,
        actor: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: AfterAuditLine | None = None,
        limit: int = 50,
    ) -> list[AuditLine]:
        """Return a page of who did what, the newest first; ``after`` is the last of the page before."""
        ...

    def archive_jobs(self, db: Executor, *, completed_before: datetime, limit: int = 1000) -> Affected:
        """Move completed jobs into the archive, as many as the limit; return how many. See ``archive``."""
        ...

    def get_archived_job(self, db: Executor, *, job_id: int) -> ArchivedJob | None:
        """Return one archived job, by its id."""
        ...

    def list_archived_jobs(
        self, db: Executor, *, owner_id: int, after: AfterArchivedJob | None = None, limit: int = 50
    ) -> list[ArchivedJob]:
        """Return a page of an owner's archived jobs, the latest completed first."""
        ...


class ReportQueries(Protocol):
    """Figures and searches: ``sql/presentations/reports.sql``."""

    def get_metrics(self, db: Executor) -> Metrics:
        """Return how much there is of everything."""
        ...

    def count_jobs_by_status(self, db: Executor) -> list[StatusCount]:
        """Return how many jobs are in each status that has any."""
        ...

    def search(self, db: Executor, *, term: str, limit: int = 50) -> list[Found]:
        """Return users and voices by the words of their names, and jobs by those of their errors, the best first."""
        ...


FOLDER = SQL / "presentations"

users: UserQueries = sqlkit.load(UserQueries, FOLDER / "users.sql")
voices: VoiceQueries = sqlkit.load(VoiceQueries, FOLDER / "voices.sql")
jobs: JobQueries = sqlkit.load(JobQueries, FOLDER / "jobs.sql")
work: WorkQueries = sqlkit.load(WorkQueries, FOLDER / "work.sql")
history: HistoryQueries = sqlkit.load(HistoryQueries, FOLDER / "history.sql")
reports: ReportQueries = sqlkit.load(ReportQueries, FOLDER / "reports.sql")
