"""The rows of presentations, and what is written into them.

``User``, ``Voice``, ``Job`` and the others are rows as they stand in the database. ``New...``, ``...Changes``,
``JobResult`` and ``PastJob`` come from outside: what a CHECK of the database would refuse, they refuse first,
with the field's name.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from sqlkit.patches import UNCHANGED, Changes
from sqlkit.security import EncryptedText

__all__ = [
    "TRANSITIONS",
    "AfterJob",
    "AfterUser",
    "AfterVoice",
    "Credentials",
    "EncryptedPhone",
    "Found",
    "Job",
    "JobOfOwner",
    "JobResult",
    "JobStatus",
    "JobWithOwner",
    "Metrics",
    "NewJob",
    "NewUser",
    "NewVoice",
    "PastJob",
    "StatusCount",
    "User",
    "UserChanges",
    "UserWithVoicesAndJobs",
    "Voice",
    "VoiceChanges",
    "VoiceOfOwner",
]


class JobStatus(StrEnum):
    """Where a job stands."""

    PENDING = "pending"
    PROCESSING_SLIDES = "processing_slides"
    SYNTHESIZING_AUDIO = "synthesizing_audio"
    ASSEMBLING_VIDEO = "assembling_video"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


#: What may follow each status; nothing follows the last two.
TRANSITIONS: dict[JobStatus, tuple[JobStatus, ...]] = {
    JobStatus.PENDING: (JobStatus.PROCESSING_SLIDES, JobStatus.CANCELLED),
    JobStatus.PROCESSING_SLIDES: (JobStatus.SYNTHESIZING_AUDIO, JobStatus.FAILED, JobStatus.CANCELLED),
    JobStatus.SYNTHESIZING_AUDIO: (JobStatus.ASSEMBLING_VIDEO, JobStatus.FAILED, JobStatus.CANCELLED),
    JobStatus.ASSEMBLING_VIDEO: (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED),
    JobStatus.FAILED: (JobStatus.PENDING,),
    JobStatus.COMPLETED: (),
    JobStatus.CANCELLED: (),
}


def _storable_text(text: str) -> str:
    """Refuse what text cannot hold: the character NUL, half of a pair of surrogates."""
    if "\0" in text:
        raise ValueError("a NUL character, which PostgreSQL does not take")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half of a pair of surrogates, which is no text") from None
    return text


#: A text that PostgreSQL takes.
PlainText: TypeAlias = Annotated[str, AfterValidator(_storable_text)]
#: A name that fits its column.
Name: TypeAlias = Annotated[PlainText, Field(max_length=255)]
#: An address: it has an @.
Email: TypeAlias = Annotated[PlainText, Field(max_length=255, pattern="@")]
#: Where an object lies.
Path: TypeAlias = Annotated[PlainText, Field(max_length=1000)]
#: Where a voice lies: from the root, a WAV file. (?s): a dot is any character, line ends too.
VoicePath: TypeAlias = Annotated[PlainText, Field(max_length=1000, pattern=r"(?s)^/.*\.wav$")]
#: The number of a row.
Id: TypeAlias = Annotated[int, Field(ge=1, lt=2**63)]
#: Bytes, of a number that its column takes.
Bytes: TypeAlias = Annotated[int, Field(ge=-(2**63), lt=2**63)]
#: Bytes of a file that has some.
FileSize: TypeAlias = Annotated[int, Field(gt=0, lt=2**63)]
#: Hertz, of a size that its column takes.
SampleRate: TypeAlias = Annotated[int, Field(ge=-(2**31), lt=2**31)]
#: Seconds of a voice: five minutes at most.
VoiceSeconds: TypeAlias = Annotated[float, Field(gt=0, le=300)]
#: Seconds of a video.
VideoSeconds: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
#: How many slides a presentation has.
SlidesCount: TypeAlias = Annotated[int, Field(gt=0, lt=2**31)]


class Input(BaseModel):
    """What comes from outside: a field that does not exist is an error, not a value that gets lost."""

    model_config = ConfigDict(extra="forbid")


class User(BaseModel):
    """Someone who has videos made."""

    user_id: int
    name: str
    email: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime


class NewUser(Input):
    """A user to create."""

    name: Name
    email: Email | None = None


class UserChanges(Changes):
    """What to change of a user; an ``email`` of None takes the address away."""

    name: Name = UNCHANGED
    email: Email | None = UNCHANGED
    is_active: bool = UNCHANGED


class Credentials(BaseModel):
    """What a password is checked with; ``password_hash`` is None where none was set."""

    user_id: int
    password_hash: str | None = Field(repr=False)


class EncryptedPhone(BaseModel):
    """A phone number as it is kept."""

    user_id: int
    phone_encrypted: EncryptedText


class Voice(BaseModel):
    """A voice that a user recorded."""

    voice_clone_id: int
    owner_id: int
    name: str
    s3_path: str
    file_size: int | None
    duration_seconds: float | None
    sample_rate: int | None
    is_active: bool
    created_at: datetime
    updated_at: datetime


class VoiceOfOwner(Input):
    """A voice of an owner who is known."""

    name: Name
    s3_path: VoicePath
    file_size: FileSize | None = None
    duration_seconds: VoiceSeconds | None = None
    sample_rate: SampleRate | None = None


class NewVoice(VoiceOfOwner):
    """A voice to create."""

    owner_id: Id


class VoiceChanges(Changes):
    """What to change of a voice; where the column takes NULL, None clears it."""

    name: Name = UNCHANGED
    s3_path: VoicePath = UNCHANGED
    file_size: FileSize | None = UNCHANGED
    duration_seconds: VoiceSeconds | None = UNCHANGED
    sample_rate: SampleRate | None = UNCHANGED
    is_active: bool = UNCHANGED


class Job(BaseModel):
    """Slides on their way to a video."""

    job_id: int
    owner_id: int
    voice_clone_id: int
    status: JobStatus
    s3_pptx_path: str
    s3_video_path: str | None
    slides_count: int | None
    video_duration_seconds: float | None
    file_size_bytes: int | None
    processing_time_seconds: float | None
    error_message: str | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


class JobWithOwner(Job):
    """A job with its owner."""

    owner: User


class JobOfOwner(Input):
    """A job of an owner who is known."""

    voice_clone_id: Id
    s3_pptx_path: Path
    slides_count: SlidesCount | None = None


class NewJob(JobOfOwner):
    """A job to submit."""

    owner_id: Id


class JobResult(Input):
    """What a completed job brought; a ``slides_count`` of None leaves what is known."""

    s3_video_path: Path
    video_duration_seconds: VideoSeconds | None = None
    file_size_bytes: Bytes | None = None
    slides_count: SlidesCount | None = None


class PastJob(Input):
    """A job with its past, to be imported from elsewhere."""

    owner_id: Id
    voice_clone_id: Id
    status: JobStatus
    s3_pptx_path: Path
    s3_video_path: Path | None = None
    slides_count: SlidesCount | None = None
    video_duration_seconds: VideoSeconds | None = None
    file_size_bytes: Bytes | None = None
    processing_time_seconds: float | None = None
    error_message: PlainText | None = None
    created_at: AwareDatetime
    started_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None

    @property
    def updated_at(self) -> datetime:
        """When it was last touched, as far as that is known."""
        return self.completed_at or self.started_at or self.created_at

    @model_validator(mode="after")
    def _keeps_its_order(self) -> Self:
        if self.status is JobStatus.COMPLETED and self.s3_video_path is None:
            raise ValueError("s3_video_path: a completed job has a video")
        if self.started_at is not None and self.completed_at is not None and self.completed_at < self.started_at:
            raise ValueError("completed_at: a job completes after its start")
        return self


class UserWithVoicesAndJobs(User):
    """A user with all their voices, by name, and jobs, the newest first."""

    voices: list[Voice]
    jobs: list[Job]


class AfterUser(BaseModel):
    """The user behind whom a page begins."""

    user_id: int
    name: str | None = None
    created_at: datetime | None = None


class AfterVoice(BaseModel):
    """The voice behind which a page begins."""

    name: str
    voice_clone_id: int


class AfterJob(BaseModel):
    """The job behind which a page begins."""

    created_at: datetime
    job_id: int


class Metrics(BaseModel):
    """How much there is of everything; ``active_jobs`` are those that somebody works on."""

    total_users: int
    active_users: int
    total_voice_clones: int
    total_jobs: int
    pending_jobs: int
    active_jobs: int
    completed_jobs: int
    failed_jobs_today: int


class StatusCount(BaseModel):
    """How many jobs are in a status, how long they took on average and how many seconds of video they made."""

    status: JobStatus
    jobs: int
    mean_processing_seconds: float | None
    video_seconds: float | None


class Found(BaseModel):
    """What a search found: the user or voice whose name, or the job whose error, has the words."""

    kind: Literal["user", "voice", "job"]
    row_id: int
    owner_id: int
    found: str
    rank: float
