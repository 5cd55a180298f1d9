"""The rows of what has happened in presentations: a job's changes of status, who did what, jobs in the archive."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, JsonValue, model_validator

from sqlkit.apps.presentations.models import TRANSITIONS, Id, Input, Job, JobStatus

__all__ = [
    "AfterArchivedJob",
    "AfterAuditLine",
    "ArchivedJob",
    "AuditLine",
    "PastStatusChange",
    "StatusChange",
]


class StatusChange(BaseModel):
    """That a job went from one status to another; ``old_status`` is None where it was submitted."""

    change_id: int
    job_id: int
    owner_id: int
    old_status: JobStatus | None
    new_status: JobStatus
    changed_at: datetime
    created_at: datetime


class PastStatusChange(Input):
    """A change of the past, to be imported from elsewhere; ``created_at`` chooses its partition."""

    job_id: Id
    owner_id: Id
    old_status: JobStatus | None
    new_status: JobStatus
    changed_at: AwareDatetime
    created_at: AwareDatetime

    @model_validator(mode="after")
    def _is_legal(self) -> Self:
        legal = TRANSITIONS[self.old_status] if self.old_status else (JobStatus.PENDING,)
        if self.new_status not in legal:
            raise ValueError("new_status: it does not follow the old one")
        return self


class AuditLine(BaseModel):
    """Who did what to which row; ``before`` is None where it was created, ``after`` where it was deleted."""

    audit_id: int
    actor: str
    action: Literal["insert", "update", "delete"]
    table_name: str
    row_id: int
    owner_id: int
    before: dict[str, JsonValue] | None
    after: dict[str, JsonValue] | None
    created_at: datetime


class ArchivedJob(BaseModel):
    """A completed job in the archive, as it was when it went there."""

    job_id: int
    owner_id: int
    archived_at: datetime
    completed_at: datetime
    job: Job


class AfterAuditLine(BaseModel):
    """The line of the audit log behind which a page begins."""

    created_at: datetime
    audit_id: int


class AfterArchivedJob(BaseModel):
    """The archived job behind which a page begins."""

    completed_at: datetime
    job_id: int
