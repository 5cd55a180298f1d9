"""Presentations: jobs that turn slides into narrated video, their owners and the voices that owners recorded.

::

    from sqlkit import Database
    from sqlkit.apps import presentations
    from sqlkit.apps.presentations.settings import PresentationsSettings

    with Database.connect(PresentationsSettings()) as db:
        app = presentations.Presentations(db)
        app.keep_logs()                                    # at the start, then daily
        mine = app.acting_for(user_id)                     # row-level security: this owner's rows alone
        job = mine.jobs.submit_job(mine.db, job=presentations.NewJob(...))
        worker = app.working("worker 1")
        for job in worker.work.claim_jobs(worker.db, limit=3): ...

What its functions were called when they stood on an ORM:

===================================== =================================================================
old                                   new
===================================== =================================================================
DatabaseConfig                        settings.PresentationsSettings
DatabaseManager                       Database.connect(PresentationsSettings()), Presentations
get_session                           db.transaction(); over HTTP sqlkit.fastapi.transaction_of
init_db                               sqlkit migrate
health_check                          db.health(), GET /health
get_users_with_voice_clones           users.list_users_with_voices_and_jobs
get_presentation_jobs(skip, limit)    jobs.list_jobs_by_offset; by keyset jobs.list_jobs
get_user_voice_clones                 voices.list_voices, through Presentations.acting_for
get_user_presentation_jobs            jobs.list_jobs, through Presentations.acting_for
get_database_metrics                  reports.get_metrics
log_job_status_change                 each statement of work writes job_status_changes itself
log_slow_query                        PresentationsSettings(slow_after=1.0) logs by name
User.set_password, check_password     Presentations.set_password, Presentations.check_password
@validates, CheckConstraint           a CHECK and the input model: NewUser, NewVoice, NewJob, JobResult
User, VoiceClone, PresentationJob     User, Voice, Job (User.id is user_id, VoiceClone.id voice_clone_id)
JobStatus                             JobStatus, and TRANSITIONS for what follows what
idx_presentation_jobs_owner_status    presentation_jobs_owner_id_status_idx, and so on by the rule
alembic upgrade head, downgrade -1    sqlkit migrate, sqlkit migrate down
===================================== =================================================================
"""

from __future__ import annotations

from sqlkit.apps.presentations.application import (
    APP_ROLE,
    LOGS,
    WORKER_ROLE,
    Presentations,
)
from sqlkit.apps.presentations.models import (
    TRANSITIONS,
    AfterJob,
    AfterUser,
    AfterVoice,
    Credentials,
    EncryptedPhone,
    Found,
    Job,
    JobOfOwner,
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
    VoiceOfOwner,
)
from sqlkit.apps.presentations.queries import (
    HistoryQueries,
    JobQueries,
    ReportQueries,
    UserQueries,
    VoiceQueries,
    WorkQueries,
    history,
    jobs,
    reports,
    users,
    voices,
    work,
)
from sqlkit.apps.presentations.records import (
    AfterArchivedJob,
    AfterAuditLine,
    ArchivedJob,
    AuditLine,
    PastStatusChange,
    StatusChange,
)

__all__ = [
    "APP_ROLE",
    "LOGS",
    "TRANSITIONS",
    "WORKER_ROLE",
    "AfterArchivedJob",
    "AfterAuditLine",
    "AfterJob",
    "AfterUser",
    "AfterVoice",
    "ArchivedJob",
    "AuditLine",
    "Credentials",
    "EncryptedPhone",
    "Found",
    "HistoryQueries",
    "Job",
    "JobOfOwner",
    "JobQueries",
    "JobResult",
    "JobStatus",
    "JobWithOwner",
    "Metrics",
    "NewJob",
    "NewUser",
    "NewVoice",
    "PastJob",
    "PastStatusChange",
    "Presentations",
    "ReportQueries",
    "StatusChange",
    "StatusCount",
    "User",
    "UserChanges",
    "UserQueries",
    "UserWithVoicesAndJobs",
    "Voice",
    "VoiceChanges",
    "VoiceOfOwner",
    "VoiceQueries",
    "WorkQueries",
    "history",
    "jobs",
    "reports",
    "users",
    "voices",
    "work",
]
