"""The application's calls on one database, for everyone or in the name of one owner."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial, wraps
from typing import Any, TypeAlias, TypeVar, cast

from pydantic import SecretStr

from sqlkit import Executor
from sqlkit.apps.presentations import queries
from sqlkit.apps.presentations.models import EncryptedPhone, Job, User
from sqlkit.apps.presentations.queries import (
    HistoryQueries,
    JobQueries,
    ReportQueries,
    UserQueries,
    VoiceQueries,
    WorkQueries,
)
from sqlkit.apps.presentations.records import PastStatusChange
from sqlkit.database import View
from sqlkit.operations.partitions import keep_partitions, with_partition
from sqlkit.operations.reports import Partitioned, PartitionReport
from sqlkit.operations.retention import in_batches
from sqlkit.security import Cipher, check_password, hash_password

__all__ = ["APP_ROLE", "LOGS", "WORKER_ROLE", "Presentations"]

#: Acts for one owner, and sees that owner's rows only.
APP_ROLE = "presentations_app"
#: Works for all owners.
WORKER_ROLE = "presentations_worker"

#: The logs, by month: three months ahead, two years back.
LOGS = (
    Partitioned("job_status_changes", by="month", ahead=3, keep=24),
    Partitioned("audit_log", by="month", ahead=3, keep=24),
)

#: Completed jobs stay among the others for so long.
RETENTION = timedelta(days=90)
#: A job that nobody has moved for so long has lost its worker.
PATIENCE = timedelta(hours=1)
BATCH = 1000

Q = TypeVar("Q")
Run: TypeAlias = Callable[[Executor, Callable[[Executor], Any]], Any]


class Presentations:
    """The statements as the application calls them, and the functions that need several of them.

    ``users``, ``voices``, ``jobs`` and ``work`` are those of ``queries``; a call whose line in the logs finds no
    partition makes it and goes on. ``history`` and ``reports`` only read. ``db`` is what they are called with::

        app = Presentations(db)
        mine = app.acting_for(user_id)
        mine.jobs.submit_job(mine.db, job=new)
    """

    def __init__(self, db: View, *, maker: View | None = None) -> None:
        self.db = db
        self.maker = maker or db
        # A restricted role makes no partitions; any other makes them where it writes, in the same transaction.
        write = partial(with_partition, tables=LOGS, maker=maker)
        self.users: UserQueries = _run_by(write, queries.users)
        self.voices: VoiceQueries = _run_by(write, queries.voices)
        self.jobs: JobQueries = _run_by(write, queries.jobs)
        self.work: WorkQueries = _run_by(write, queries.work)
        self.history: HistoryQueries = queries.history
        self.reports: ReportQueries = queries.reports

    def acting_for(self, owner_id: int, actor: str | None = None) -> Presentations:
        """Return the same for one owner: it sees and writes that owner's rows only, whatever a statement says.

        ``actor`` is who the audit log names, the owner where it is None.
        """
        settings = {"app.owner_id": str(owner_id)} | ({"app.actor": actor} if actor is not None else {})
        return self._bound(APP_ROLE, settings)

    def working(self, worker: str) -> Presentations:
        """Return the same for a worker, which sees all owners' rows and owns no table; the audit log names it."""
        return self._bound(WORKER_ROLE, {"app.actor": worker})

    def _bound(self, role: str, settings: dict[str, str]) -> Presentations:
        view = self.maker.bound(role=role, settings=settings)
        return Presentations(view, maker=self.maker)

    # Secrets.

    def set_password(self, user_id: int, password: str | SecretStr) -> bool:
        """Keep the hash of a password (argon2id); False where there is no such user."""
        return self.users.set_password_hash(self.db, user_id=user_id, password_hash=hash_password(password)) is not None

    def check_password(self, email: str, password: str | SecretStr) -> User | None:
        """Return the active user of an address if the password is theirs; it takes as long where it is not.

        A hash that is outdated is replaced.
        """
        found = self.users.get_credentials(self.db, email=email)
        checked = check_password(found.password_hash if found else None, password)
        if found is None or not checked:
            return None
        if checked.outdated:
            self.set_password(found.user_id, password)
        return self.users.get_user(self.db, user_id=found.user_id)

    def write_phone(self, cipher: Cipher, user_id: int, phone: str | None) -> bool:
        """Keep a phone number encrypted, or none; False where there is no such user."""
        encrypted = None if phone is None else cipher.encrypt(phone)
        return self.users.set_phone(self.db, user_id=user_id, phone_encrypted=encrypted) is not None

    def read_phone(self, cipher: Cipher, user_id: int) -> str | None:
        """Return a user's phone number; ArgumentError where none of the keys opens it."""
        encrypted = self.users.get_phone(self.db, user_id=user_id)
        return None if encrypted is None else cipher.decrypt(encrypted)

    def rotate_phones(self, cipher: Cipher, *, batch: int = BATCH) -> int:
        """Encrypt by the first key what another one encrypted, a batch in each transaction; return how many."""
        rotated = last = 0
        while True:
            with self.db.transaction() as conn:
                found = self.users.list_phones(conn, after=last, limit=batch)
                outdated = [one for one in found if cipher.is_outdated(one.phone_encrypted)]
                anew = [
                    EncryptedPhone(user_id=one.user_id, phone_encrypted=cipher.rotate(one.phone_encrypted))
                    for one in outdated
                ]
                rotated += self.users.replace_phones(conn, anew)
            if len(found) < batch:
                return rotated
            last = found[-1].user_id

    # Upkeep.

    def keep_logs(self, now: datetime | None = None) -> list[PartitionReport]:
        """Make the logs' partitions ahead and drop those past their retention: at the start, then daily."""
        return [keep_partitions(self.maker, table, now=now) for table in LOGS]

    def archive(self, retention: timedelta = RETENTION, *, now: datetime | None = None, batch: int = BATCH) -> int:
        """Move jobs that were completed longer ago than the retention into the archive; return how many.

        Each batch is one statement, so several may do it at once, and one that is interrupted loses nothing. It waits
        for no lock for long.
        """
        before = (now or datetime.now(UTC)) - retention

        def move(conn: Executor, limit: int) -> int:
            return self.history.archive_jobs(conn, completed_before=before, limit=limit)

        return in_batches(self.db, move, batch=batch)

    def fail_stalled(self, patience: timedelta = PATIENCE, *, now: datetime | None = None) -> list[Job]:
        """Fail the jobs whose worker has not been heard of for so long; return them."""
        since = (now or datetime.now(UTC)) - patience
        message = f"nothing was heard of its worker for {patience}"
        return self.jobs.fail_stalled_jobs(self.db, untouched_since=since, error_message=message)

    def import_status_changes(self, changes: list[PastStatusChange]) -> int:
        """Copy changes of the past in, into partitions that are made where they are missing; return how many."""

        def copy(db: Executor) -> int:
            return queries.history.import_status_changes(db, changes)

        times = [change.created_at for change in changes]
        return with_partition(cast("Executor", self.db), copy, LOGS[0], times=times, maker=cast("Executor", self.maker))


def _run_by(run: Run, statements: Q) -> Q:
    return cast("Q", _Calls(statements, run))


class _Calls:
    """Statements whose calls ``run`` makes."""

    def __init__(self, statements: Any, run: Run) -> None:
        self._statements = statements
        self._run = run

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._statements, name)

        @wraps(method)
        def call(db: Executor, *arguments: Any, **keywords: Any) -> Any:
            return self._run(db, lambda conn: method(conn, *arguments, **keywords))

        setattr(self, name, call)
        return call
