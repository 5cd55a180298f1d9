"""``sqlkit demo presentations``: invented jobs, claimed by workers, again and again."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from sqlkit import Database
from sqlkit.apps.presentations import JobStatus, Presentations
from sqlkit.apps.presentations.models import Voice
from sqlkit.apps.presentations.sample import sample_changes, sample_jobs, sample_users, sample_voices
from sqlkit.cli import output
from sqlkit.cli.app import app
from tests.presentations_stage import brought_to, new_user, new_voice

CAPTION = re.compile(r"^(\d+) rows? · \d+\.\d ms · (presentations\.\w+\.\w+)$", re.MULTILINE)


def shown(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """Run a demo in this process, on a wide screen; return what it says on stdout."""
    monkeypatch.setattr(output.answers, "_width", 160)
    ran = CliRunner().invoke(app, ["demo", *arguments])
    assert ran.exit_code == 0, ran.stderr
    return ran.stdout


def test_demo(presentations_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo copies jobs, lets workers claim them, and shows its answers; a second run leaves other people's rows."""
    monkeypatch.chdir(tmp_path)
    with Database.connect(presentations_dsn, pool_max_size=2) as db:
        mine = brought_to(db, new_voice(db, new_user(db)), JobStatus.COMPLETED)
        for _ in range(2):
            said = shown(monkeypatch, "presentations", "--dsn", presentations_dsn)
            assert "People: 12 at slides.example, with 26 voices" in said
            assert "Copied: 2000 jobs of four months, 9602 changes of status" in said
            assert "Worked: 300 jobs claimed by 8 workers (0 twice)" in said
            assert "not seen (row-level security)" in said
            assert re.search(r"Archived: [1-9]\d* jobs", said)
            assert [name for _, name in CAPTION.findall(said)] == [
                "presentations.reports.count_jobs_by_status",
                "presentations.jobs.list_jobs",
                "presentations.history.list_status_changes",
                "presentations.reports.search",
                "presentations.reports.search",
            ]
        application = Presentations(db)
        assert application.jobs.get_job(db, job_id=mine.job_id) == mine
        assert application.reports.get_metrics(db).total_users == 13
    with psycopg.connect(presentations_dsn) as conn:
        row = conn.execute(
            "select (select count(*) from presentation_jobs) + (select count(*) from archived_jobs), "
            "(select count(distinct owner_id) from audit_log)"
        ).fetchone()
    assert row == (2301, 13)


def test_the_sample_is_plausible_and_the_same() -> None:
    """One seed gives one load: jobs of the days before, which have ended, each with steps that follow each other."""
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    facts = {"is_active": True, "created_at": now, "updated_at": now}
    voices = [
        Voice(voice_clone_id=number, **voice.model_dump(), **facts)  # type: ignore[arg-type]
        for number, voice in enumerate(sample_voices(1), 1)
    ]
    jobs = list(sample_jobs(500, voices, until=now, days=10))
    assert jobs == list(sample_jobs(500, voices, until=now, days=10))
    assert len({job.s3_pptx_path for job in jobs}) == 500
    assert all(now - timedelta(days=11) < job.created_at < now for job in jobs)
    assert 20 < sum(job.status is JobStatus.FAILED for job in jobs) < 90
    for number, job in enumerate(jobs, 1):
        steps = list(sample_changes(number, job))
        assert (steps[0].new_status, steps[-1].new_status) == (JobStatus.PENDING, job.status)
        assert [step.changed_at for step in steps] == sorted(step.changed_at for step in steps)
    assert len({user.email for user in sample_users()}) == 12
