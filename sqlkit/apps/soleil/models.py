"""The rows of soleil, and what is written into them.

``User``, ``Song``, ``Band`` and ``Member`` are rows as they stand in the database: no constraint is checked twice, so
they are built without validation. ``New...`` and ``...Changes`` come from outside: what a CHECK of the database would
refuse, they refuse first, with the field's name. A ``...Changes`` writes the fields that were given to it and leaves
the others alone; where a column takes NULL, None clears it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from sqlkit.patches import UNCHANGED, Changes

__all__ = [
    "Band",
    "BandChanges",
    "BandPlace",
    "BandRole",
    "BandWithMembers",
    "Chart",
    "ChartType",
    "ChartedSong",
    "KeyCount",
    "Label",
    "Member",
    "MemberChanges",
    "MemberWithUser",
    "Moment",
    "NewBand",
    "NewChart",
    "NewMember",
    "NewSong",
    "NewUser",
    "Profile",
    "RepertoireStats",
    "RhythmCount",
    "Section",
    "Song",
    "SongChanges",
    "SongFacts",
    "SongPlace",
    "Tempo",
    "Text",
    "User",
    "UserChanges",
    "UserWithRepertoire",
]


class ChartType(StrEnum):
    """For whom a song has a chart."""

    GUITAR = "guitar"
    BASS = "bass"
    DRUMS = "drums"
    KEYS = "keys"
    VOCALS = "vocals"
    HORNS = "horns"
    STRINGS = "strings"
    LEAD = "lead"


class BandRole(StrEnum):
    """What a user is in a band."""

    LEADER = "leader"
    MEMBER = "member"
    GUEST = "guest"


def _storable(value: Any) -> Any:
    """Refuse what jsonb cannot hold, in whatever depth: NUL, half of a pair of surrogates, NaN, infinity."""
    try:
        written = json.dumps(value, ensure_ascii=False, allow_nan=False, default=BaseModel.model_dump).encode()
    except UnicodeEncodeError:
        raise ValueError("half of a pair of surrogates, which PostgreSQL does not take") from None
    if b"\\u0000" in written.replace(b"\\\\", b""):
        raise ValueError("a NUL character, which PostgreSQL does not take")
    return value


def _in_utc(time: datetime) -> datetime:
    """Return a time in UTC, as which one without a zone is read; refuse one that UTC's calendar does not have."""
    try:
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("a time that is beyond the calendar") from None


#: Characters: a text of so many goes into an index, whatever they are.
LONGEST = 500

#: An address: something, an @, something, and no blank (nor NUL, which PostgreSQL does not take).
Email: TypeAlias = Annotated[str, Field(max_length=LONGEST, pattern=r"^[^@ \x00]+@[^@ \x00]+$")]
#: A text that says something, without NUL.
Text: TypeAlias = Annotated[str, Field(min_length=1, max_length=LONGEST, pattern=r"^[^\x00]*$")]
#: A text that may be empty, without NUL.
Label: TypeAlias = Annotated[str, Field(max_length=LONGEST, pattern=r"^[^\x00]*$")]
#: What is known of a user beside their name: any object.
Profile: TypeAlias = Annotated[dict[str, JsonValue], AfterValidator(_storable)]
#: Beats in a minute.
Tempo: TypeAlias = Annotated[int, Field(ge=20, le=400)]
#: A moment.
Moment: TypeAlias = Annotated[datetime, AfterValidator(_in_utc)]


class Input(BaseModel):
    """What comes from outside: a field that does not exist is an error, not a value that gets lost."""

    model_config = ConfigDict(extra="forbid")


class Section(BaseModel):
    """A part of a song: its letter, how often it is repeated, its chords, and how each time ends.

    Chords are written as musicians do: bars between ``|``, the chords of one bar between commas
    (``Dm7,G7|Cmaj7``).
    """

    label: str | None = None
    repeats: int | None = None
    chords: str
    endings: list[str] = []

    @property
    def bars(self) -> list[list[str]]:
        """The chords of each bar, without the endings."""
        return [bar.split(",") for bar in self.chords.split("|")]


class Chart(BaseModel):
    """The sections of a song, in order."""

    sections: list[Section]


#: A chart that PostgreSQL takes.
NewChart: TypeAlias = Annotated[Chart, AfterValidator(_storable)]


class User(BaseModel):
    """Someone who signs in."""

    user_id: UUID
    email: str
    google_id: str
    display_name: str
    profile_data: dict[str, JsonValue]
    is_active: bool
    created_at: datetime
    updated_at: datetime


class NewUser(Input):
    """A user to create."""

    email: Email
    google_id: Text
    display_name: Text
    profile_data: Profile = {}


class UserChanges(Changes):
    """What to change of a user; ``profile_data`` is replaced whole."""

    email: Email = UNCHANGED
    display_name: Text = UNCHANGED
    profile_data: Profile = UNCHANGED
    is_active: bool = UNCHANGED


class SongPlace(BaseModel):
    """Where a page of songs ends, by title or by age: any song is one."""

    song_id: UUID
    title: str
    created_at: datetime


class Song(SongPlace):
    """A song of a user's repertoire, without its chart; what is not known of it is None."""

    user_id: UUID
    artist: str | None
    key: str | None
    tempo: int | None
    genre: str | None
    rhythm: str | None
    time_signature: str | None
    chart_types: list[ChartType]
    drive_file_id: str | None
    updated_at: datetime


class ChartedSong(Song):
    """A song with its chart, if it has one."""

    chart: Chart | None


class SongFacts(Input):
    """A song to create: its ``title``, and whatever else is known of it."""

    title: Text
    artist: Label | None = None
    key: Label | None = None
    tempo: Tempo | None = None
    genre: Label | None = None
    rhythm: Label | None = None
    time_signature: Label | None = None
    chart: NewChart | None = None
    chart_types: list[ChartType] = []
    drive_file_id: Label | None = None


class NewSong(SongFacts):
    """A song to create, of the user ``user_id``."""

    user_id: UUID


class SongChanges(Changes):
    """What to change of a song."""

    title: Text = UNCHANGED
    artist: Label | None = UNCHANGED
    key: Label | None = UNCHANGED
    tempo: Tempo | None = UNCHANGED
    genre: Label | None = UNCHANGED
    rhythm: Label | None = UNCHANGED
    time_signature: Label | None = UNCHANGED
    chart: NewChart | None = UNCHANGED
    chart_types: list[ChartType] = UNCHANGED
    drive_file_id: Label | None = UNCHANGED


class UserWithRepertoire(User):
    """A user with all their songs, by title."""

    repertoire: list[Song]


class RepertoireStats(BaseModel):
    """How many songs a repertoire has, and of how many artists and genres."""

    total_songs: int
    unique_artists: int
    unique_genres: int


class KeyCount(BaseModel):
    """How many songs there are in a key; None stands for those whose key is not known."""

    key: str | None
    songs: int


class RhythmCount(BaseModel):
    """How many songs there are in a rhythm (None: not known), the slowest and the fastest where tempos are known."""

    rhythm: str | None
    songs: int
    slowest: int | None
    fastest: int | None


class BandPlace(BaseModel):
    """Where a page of bands ends: any band is one."""

    band_id: UUID
    name: str


class Band(BandPlace):
    """A band."""

    created_at: datetime
    updated_at: datetime


class NewBand(Input):
    """A band to create."""

    name: Text


class BandChanges(Changes):
    """What to change of a band."""

    name: Text = UNCHANGED


class Member(BaseModel):
    """That a user plays in a band."""

    band_id: UUID
    user_id: UUID
    role: BandRole
    joined_at: datetime
    created_at: datetime
    updated_at: datetime


class NewMember(Input):
    """A membership to create; without ``joined_at`` it begins now."""

    band_id: UUID
    user_id: UUID
    role: BandRole = BandRole.MEMBER
    joined_at: Moment | None = None


class MemberChanges(Changes):
    """What to change of a membership."""

    role: BandRole = UNCHANGED
    joined_at: Moment = UNCHANGED


class MemberWithUser(Member):
    """A membership with its user."""

    user: User


class BandWithMembers(Band):
    """A band with its members and their users: leaders first, then by name."""

    members: list[MemberWithUser]
