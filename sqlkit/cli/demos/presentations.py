"""``sqlkit demo presentations``: four months of jobs, workers at a queue, owners who see their own rows alone."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from psycopg import sql

from sqlkit.apps import MIGRATIONS
from sqlkit.apps.presentations.application import LOGS, Presentations
from sqlkit.apps.presentations.models import Job, JobResult, JobStatus, NewJob, User, Voice
from sqlkit.apps.presentations.sample import (
    SAMPLE_DOMAIN,
    SAMPLE_ERRORS,
    sample_changes,
    sample_jobs,
    sample_users,
    sample_voices,
)
from sqlkit.cli.asking import ask
from sqlkit.cli.demos.tables import bar, table_of
from sqlkit.cli.output import answers
from sqlkit.cli.target import Target
from sqlkit.database import Database
from sqlkit.operations import list_partitions, make_partitions

__all__ = ["show"]

PAST = 2_000
WAITING = 300
WORKERS = 8


def show(target: Target, logs: Path | None = None) -> None:  # noqa: ARG001  what other demos import
    """Make presentations' tables, fill them with invented jobs, let workers at them, and ask about it all."""
    from sqlkit.migrate import migrate

    done = migrate(target.settings.dsn(), MIGRATIONS / "presentations", schema=target.settings.schema)
    answers.print(f"Migrations: {len(done)} applied" if done else "Migrations: everything is applied")
    settings = target.settings.replace(pool_max_size=WORKERS + 2)
    with Database.connect(settings, application_name="sqlkit demo") as db:
        app = Presentations(db)
        app.keep_logs()
        users, voices = _people(app)
        _past(app, voices)
        _work(app, voices)
        _show_jobs(app)
        _show_owner(app, users[0], users[1])
        _show_search(app)
        _show_archive(app)


def _people(app: Presentations) -> tuple[list[User], list[Voice]]:
    """Replace the invented people with everything of theirs; return them and their voices."""
    with app.db.transaction() as conn:
        # Two demos at once would each find nothing, and then meet in the same addresses.
        conn.execute("select pg_advisory_xact_lock(hashtext('sqlkit.demo.presentations'))")
        former, users, voices = [], [], []
        for seed, new in enumerate(sample_users()):
            old = app.users.get_user_by_email(conn, email=new.email or "")
            if old is not None:
                app.users.delete_user(conn, user_id=old.user_id)
                former.append(old.user_id)
            users.append(app.users.create_user(conn, user=new))
            for voice in sample_voices(users[-1].user_id, seed=seed):
                voices.append(app.voices.create_voice(conn, voice=voice))
        for log in LOGS:
            statement = sql.SQL("delete from {} where owner_id = any(%s)").format(sql.Identifier(log.table))
            conn.execute(statement, [former])
    answers.print(f"People: {len(users)} at {SAMPLE_DOMAIN}, with {len(voices)} voices")
    return users, voices


def _past(app: Presentations, voices: list[Voice]) -> None:
    """Copy in the jobs of four months, then what happened to each."""
    start = time.perf_counter()
    past = {job.s3_pptx_path: job for job in sample_jobs(PAST, voices, until=datetime.now(UTC))}
    owners = sorted({voice.owner_id for voice in voices})
    with app.db.transaction() as conn:
        app.jobs.import_jobs(conn, list(past.values()))
        found = [job for owner in owners for job in app.jobs.list_jobs(conn, owner_id=owner, limit=PAST)]
    changes = [change for job in found for change in sample_changes(job.job_id, past[job.s3_pptx_path])]
    make_partitions(app.db, LOGS[0], [change.created_at for change in changes])
    app.import_status_changes(changes)
    seconds = time.perf_counter() - start
    answers.print(
        f"Copied: {len(past)} jobs of four months, {len(changes)} changes of status, in {seconds:.2f} s",
        highlight=False,
    )


def _work(app: Presentations, voices: list[Voice]) -> None:
    """Submit jobs and let workers claim them, each in the name of the worker; some fail, the others get their video."""
    chosen = random.Random(1)  # noqa: S311  to be the same each time
    for number in range(WAITING):
        voice = chosen.choice(voices)
        new = NewJob(
            owner_id=voice.owner_id, voice_clone_id=voice.voice_clone_id, s3_pptx_path=f"/decks/new-{number}.pptx"
        )
        app.jobs.submit_job(app.db, job=new)
    start = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        claimed = list(pool.map(lambda number: _one_worker(app, number), range(WORKERS)))
    seconds = time.perf_counter() - start
    ids = [job_id for mine in claimed for job_id in mine]
    answers.print(
        f"Worked: {len(ids)} jobs claimed by {WORKERS} workers ({len(ids) - len(set(ids))} twice) in {seconds:.2f} s",
        highlight=False,
    )


def _one_worker(app: Presentations, number: int) -> list[int]:
    """Claim jobs while there are any, leaving some of them in the middle."""
    worker, mine = app.working(f"worker {number}"), []
    fate = random.Random(number)  # noqa: S311  to be the same each time
    while claimed := worker.work.claim_jobs(worker.db, limit=4):
        for job in claimed:
            mine.append(job.job_id)
            _bring_on(worker, job, fate)
    return mine


def _bring_on(worker: Presentations, job: Job, fate: random.Random) -> None:
    work, db = worker.work, worker.db
    work.advance_job(db, job_id=job.job_id, status=JobStatus.SYNTHESIZING_AUDIO)
    ending = fate.random()
    if ending < 0.1:
        work.fail_job(db, job_id=job.job_id, error_message=fate.choice(SAMPLE_ERRORS))
    elif ending < 0.15:
        work.cancel_job(db, job_id=job.job_id)
    elif ending < 0.9:
        work.advance_job(db, job_id=job.job_id, status=JobStatus.ASSEMBLING_VIDEO)
        slides = fate.randint(3, 40)
        result = JobResult(
            s3_video_path=f"/videos/{job.job_id}.mp4", video_duration_seconds=slides * 21.5, slides_count=slides
        )
        work.complete_job(db, job_id=job.job_id, result=result)


def _show_jobs(app: Presentations) -> None:
    metrics = app.reports.get_metrics(app.db)
    answers.print(
        f"Metrics: {metrics.active_users} of {metrics.total_users} users active, {metrics.total_voice_clones} voices, "
        f"{metrics.total_jobs} jobs, {metrics.active_jobs} worked on, {metrics.failed_jobs_today} failed today",
        highlight=False,
        soft_wrap=True,
    )
    statuses = ask(app.reports.count_jobs_by_status, app.db)
    most = max((row.jobs for row in statuses.rows), default=0)
    rows: list[tuple[Any, ...]] = [
        (row.status, row.jobs, _seconds(row.mean_processing_seconds), bar(row.jobs, most)) for row in statuses.rows
    ]
    statuses.show(answers, "Jobs by status", table_of(("Status", ">Jobs", ">Mean time", ""), rows))


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f} s"


def _show_owner(app: Presentations, owner: User, other: User) -> None:
    mine, theirs = app.acting_for(owner.user_id), app.acting_for(other.user_id)
    page = ask(mine.jobs.list_jobs, mine.db, limit=4)
    rows = [(row.job_id, row.status, row.s3_pptx_path, f"{row.created_at:%Y-%m-%d %H:%M}") for row in page.rows]
    page.show(
        answers, f"The newest jobs of {owner.name}", table_of((">Job", "Status", "Slides", "Created (UTC)"), rows)
    )
    job = next((row for row in page.rows if row.status is JobStatus.COMPLETED), page.rows[0])
    history = ask(mine.history.list_status_changes, mine.db, job_id=job.job_id)
    steps = [(f"{row.changed_at:%H:%M:%S.%f}", row.old_status or "", row.new_status) for row in history.rows]
    history.show(answers, f"What happened to job {job.job_id}", table_of(("Time (UTC)", "From", "To"), steps))
    seen = theirs.jobs.get_job(theirs.db, job_id=job.job_id)
    answers.print(f"The same job, asked for by {other.name}: {'seen' if seen else 'not seen'} (row-level security)")


def _show_search(app: Presentations) -> None:
    for term in ("speech -quota", "weber"):
        found = ask(app.reports.search, app.db, term=term, limit=3)
        rows = [(row.kind, row.row_id, row.found, f"{row.rank:.3f}") for row in found.rows]
        found.show(answers, f"Search for “{term}”", table_of(("What", ">Id", "Found", ">Rank"), rows))


def _show_archive(app: Presentations) -> None:
    start = time.perf_counter()
    moved = app.archive()
    seconds = time.perf_counter() - start
    with app.db.connection() as conn:
        kept, text = conn.execute(
            "select coalesce(sum(pg_column_size(jobs)), 0), coalesce(sum(octet_length(jobs::text)), 0) "
            "from job_archives"
        ).fetchone() or (0, 0)
    answers.print(
        f"\nArchived: {moved} jobs that were completed more than 90 days ago, in {seconds:.2f} s; the archive takes "
        f"{kept / 1024:.0f} kB for {text / 1024:.0f} kB of JSON",
        highlight=False,
        soft_wrap=True,
    )
    names = [partition.name for partition in list_partitions(app.db, LOGS[0])]
    answers.print(f"Partitions of job_status_changes: {', '.join(names)}", highlight=False, soft_wrap=True)
