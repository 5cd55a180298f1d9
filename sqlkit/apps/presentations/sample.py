"""People, voices and jobs to show and to load with: invented, plausible, and the same for the same seed.

Few have many videos made and many have few; more by day than by night; one job in ten fails, for a few reasons.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlkit.apps.presentations.models import JobStatus, NewUser, NewVoice, PastJob, Voice
from sqlkit.apps.presentations.records import PastStatusChange

__all__ = ["SAMPLE_DOMAIN", "SAMPLE_ERRORS", "sample_changes", "sample_jobs", "sample_users", "sample_voices"]

#: The addresses of all invented people.
SAMPLE_DOMAIN = "slides.example"

NAMES = (
    "Amara Lindqvist",
    "Bruno Castellano",
    "Chidi Varga",
    "Dagny Olsen",
    "Emre Polat",
    "Farida Haddad",
    "Goran Petrov",
    "Hana Novak",
    "Ines Duarte",
    "Jonas Weber",
    "Keiko Tanaka",
    "Liam Byrne",
)
MOODS = ("calm", "warm", "brisk", "earnest")
TOPICS = ("quarter", "onboarding", "safety", "roadmap", "pricing", "research", "kickoff", "retrospective")

#: Why jobs fail.
SAMPLE_ERRORS = (
    "slide 7: the font Inter is not embedded",
    "speech synthesis: voice sample too noisy",
    "speech synthesis: quota of the provider exceeded",
    "ffmpeg: no space left on device",
    "pptx: the file is protected by a password",
)
HOURS = (1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 20, 18, 15, 18, 20, 19, 17, 13, 9, 7, 6, 5, 3, 2)
ENDS = {JobStatus.COMPLETED: 86, JobStatus.FAILED: 10, JobStatus.CANCELLED: 4}
WAY = (
    JobStatus.PENDING,
    JobStatus.PROCESSING_SLIDES,
    JobStatus.SYNTHESIZING_AUDIO,
    JobStatus.ASSEMBLING_VIDEO,
    JobStatus.COMPLETED,
)


def sample_users() -> list[NewUser]:
    """Return a dozen people, each with an address of the sample's domain."""
    return [NewUser(name=name, email=f"{name.lower().replace(' ', '.')}@{SAMPLE_DOMAIN}") for name in NAMES]


def sample_voices(owner_id: int, *, seed: int = 0) -> list[NewVoice]:
    """Return one to three voices of an owner."""
    chosen = random.Random(f"voices {seed}")  # noqa: S311  to be the same each time
    return [
        NewVoice(
            owner_id=owner_id,
            name=mood,
            s3_path=f"/voices/{owner_id}/{mood}.wav",
            file_size=chosen.randrange(400_000, 9_000_000),
            duration_seconds=round(chosen.uniform(20, 290), 1),
            sample_rate=chosen.choice((22_050, 44_100, 48_000)),
        )
        for mood in chosen.sample(MOODS, chosen.randint(1, 3))
    ]


def sample_jobs(
    count: int, voices: Sequence[Voice], *, until: datetime, days: int = 120, seed: int = 0
) -> Iterator[PastJob]:
    """Yield so many jobs that ended within the days before ``until``, in no order, with these voices."""
    chosen = random.Random(f"jobs {seed}")  # noqa: S311  to be the same each time
    today = until.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    diligence = [1 / (place + 1) for place in range(len(voices))]
    for number in range(count):
        voice = chosen.choices(voices, diligence)[0]
        day = today - timedelta(days=chosen.randint(1, days))
        created = day + timedelta(hours=chosen.choices(range(24), HOURS)[0], seconds=chosen.randrange(3600))
        slides = max(1, int(chosen.lognormvariate(2.7, 0.5)))
        ended = chosen.choices(list(ENDS), list(ENDS.values()))[0]
        started = created + timedelta(seconds=chosen.expovariate(1 / 40))
        took = slides * chosen.uniform(4, 11)
        facts: dict[str, Any] = {}
        if ended is JobStatus.COMPLETED:
            seconds = round(slides * chosen.uniform(15, 45), 1)
            facts = {"s3_video_path": f"/videos/{number}.mp4", "video_duration_seconds": seconds}
            facts |= {"file_size_bytes": int(seconds * 190_000), "processing_time_seconds": round(took, 3)}
            facts |= {"started_at": started, "completed_at": started + timedelta(seconds=round(took, 3))}
        elif ended is JobStatus.FAILED:
            facts = {"error_message": chosen.choice(SAMPLE_ERRORS), "started_at": started}
        yield PastJob(
            owner_id=voice.owner_id,
            voice_clone_id=voice.voice_clone_id,
            status=ended,
            s3_pptx_path=f"/decks/{chosen.choice(TOPICS)}-{number}.pptx",
            slides_count=slides,
            created_at=created,
            **facts,
        )


def sample_changes(job_id: int, job: PastJob) -> Iterator[PastStatusChange]:
    """Yield the steps that a job which has ended went through, at even distances."""
    if job.status is JobStatus.CANCELLED:
        steps: tuple[JobStatus, ...] = (JobStatus.PENDING, JobStatus.CANCELLED)
    elif job.status is JobStatus.FAILED:
        steps = (*WAY[:3], JobStatus.FAILED)
    else:
        steps = WAY
    begun = job.started_at or job.created_at
    ended = job.completed_at or begun + timedelta(seconds=30)
    old: JobStatus | None = None
    for place, new in enumerate(steps):
        when = job.created_at if place == 0 else begun + (ended - begun) * (place - 1) / max(1, len(steps) - 2)
        yield PastStatusChange(
            job_id=job_id, owner_id=job.owner_id, old_status=old, new_status=new, changed_at=when, created_at=when
        )
        old = new
