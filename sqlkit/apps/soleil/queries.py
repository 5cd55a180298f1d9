"""The statements of ``sql/soleil`` on asyncio: what the application uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol
from uuid import UUID

from pydantic import JsonValue

import sqlkit
from sqlkit import Affected, AsyncExecutor, AsyncRows
from sqlkit.apps import SQL
from sqlkit.apps.soleil.models import (
    Band,
    BandChanges,
    BandPlace,
    BandWithMembers,
    ChartedSong,
    ChartType,
    KeyCount,
    Member,
    MemberChanges,
    MemberWithUser,
    NewBand,
    NewMember,
    NewSong,
    NewUser,
    RepertoireStats,
    RhythmCount,
    Song,
    SongChanges,
    SongPlace,
    User,
    UserChanges,
    UserWithRepertoire,
)

__all__ = [
    "BandQueries",
    "RepertoireQueries",
    "SongQueries",
    "UserQueries",
    "bands",
    "repertoire",
    "search_songs",
    "songs",
    "users",
]


class UserQueries(Protocol):
    """Those who sign in: ``sql/soleil/users.sql``."""

    async def create_user(self, db: AsyncExecutor, *, user: NewUser) -> User:
        """Create a user; UniqueViolation for a taken email or Google id."""
        ...

    async def get_user(self, db: AsyncExecutor, *, user_id: UUID) -> User | None:
        """Return one user, by their id."""
        ...

    async def get_user_by_email(self, db: AsyncExecutor, *, email: str) -> User | None:
        """Return one user, by their address, written as they gave it."""
        ...

    async def get_user_by_google_id(self, db: AsyncExecutor, *, google_id: str) -> User | None:
        """Return one user, by their account at Google."""
        ...

    async def update_user(self, db: AsyncExecutor, *, user_id: UUID, changes: UserChanges) -> User | None:
        """Write the changes that are given; return the user as they are now, None if there is none."""
        ...

    async def update_user_profile(
        self, db: AsyncExecutor, *, user_id: UUID, profile_data: dict[str, JsonValue]
    ) -> User | None:
        """Replace a user's profile; return the user as they are now, None if there is none."""
        ...

    async def delete_user(self, db: AsyncExecutor, *, user_id: UUID) -> Affected:
        """Delete a user and their memberships; ForeignKeyViolation while they have songs."""
        ...

    async def get_user_with_repertoire(self, db: AsyncExecutor, *, user_id: UUID) -> UserWithRepertoire | None:
        """Return a user with all their songs, in one round trip."""
        ...


class SongQueries(Protocol):
    """Single songs, pages of them, searches and imports: ``sql/soleil/songs.sql``."""

    async def create_song(self, db: AsyncExecutor, *, song: NewSong) -> Song:
        """Create a song; ForeignKeyViolation for an unknown user, UniqueViolation for a file that has its song."""
        ...

    async def create_songs(self, db: AsyncExecutor, songs: Iterable[NewSong]) -> list[Song]:
        """Create songs in one pipelined batch, all or nothing; return them in the order given."""
        ...

    async def import_songs(self, db: AsyncExecutor, songs: Iterable[NewSong]) -> Affected:
        """Copy songs in, all or nothing; return how many."""
        ...

    async def get_song(self, db: AsyncExecutor, *, song_id: UUID) -> Song | None:
        """Return one song, without its chart."""
        ...

    async def get_song_by_drive_file_id(self, db: AsyncExecutor, *, drive_file_id: str) -> Song | None:
        """Return the song of a file in Google Drive."""
        ...

    async def get_charted_song(self, db: AsyncExecutor, *, song_id: UUID) -> ChartedSong | None:
        """Return one song with its chart."""
        ...

    async def update_song(self, db: AsyncExecutor, *, song_id: UUID, changes: SongChanges) -> Song | None:
        """Write the changes that are given; return the song as it is now, None if there is none."""
        ...

    async def delete_song(self, db: AsyncExecutor, *, song_id: UUID) -> Affected:
        """Delete a song; return 1, or 0 if there is none."""
        ...

    async def list_songs(
        self,
        db: AsyncExecutor,
        *,
        user_id: UUID,
        genre: str | None = None,
        key: str | None = None,
        rhythm: str | None = None,
        slowest: int | None = None,
        fastest: int | None = None,
        chart_type: ChartType | None = None,
        after: SongPlace | None = None,
        order: Literal["title", "newest"] = "title",
        limit: int = 50,
    ) -> list[Song]:
        """Return a page of a user's songs, narrowed by the filters that are given.

        ``after`` is the last song of the page before, or its place, of the same order; all cost the same.
        """
        ...

    async def has_trigrams(self, db: AsyncExecutor) -> bool:
        """Tell whether this connection finds pg_trgm, which ``search_songs`` needs."""
        ...

    async def search_songs(self, db: AsyncExecutor, *, user_id: UUID, term: str, limit: int = 20) -> list[Song]:
        """Return the songs whose title or artist is like the term, the likest first; needs pg_trgm."""
        ...

    async def search_songs_plainly(self, db: AsyncExecutor, *, user_id: UUID, term: str, limit: int = 20) -> list[Song]:
        """Return the songs whose title or artist contains the term or has all its words, by title."""
        ...


class RepertoireQueries(Protocol):
    """All songs of a user at once: ``sql/soleil/repertoire.sql``."""

    async def get_repertoire_stats(self, db: AsyncExecutor, *, user_id: UUID) -> RepertoireStats:
        """Count a user's songs, artists and genres."""
        ...

    async def count_songs_by_key(self, db: AsyncExecutor, *, user_id: UUID) -> list[KeyCount]:
        """Count a user's songs in each key, the most frequent first."""
        ...

    async def count_songs_by_rhythm(self, db: AsyncExecutor, *, user_id: UUID) -> list[RhythmCount]:
        """Count a user's songs in each rhythm, the most frequent first."""
        ...

    def stream_repertoire(self, db: AsyncExecutor, *, user_id: UUID) -> AsyncRows[ChartedSong]:
        """Stream all songs of a user with their charts, by title."""
        ...

    async def delete_repertoire(self, db: AsyncExecutor, *, user_id: UUID) -> Affected:
        """Delete all songs of a user; return how many."""
        ...


class BandQueries(Protocol):
    """Bands and who plays in them: ``sql/soleil/bands.sql``."""

    async def create_band(self, db: AsyncExecutor, *, band: NewBand) -> Band:
        """Create a band, still without members."""
        ...

    async def get_band(self, db: AsyncExecutor, *, band_id: UUID) -> Band | None:
        """Return one band, without its members."""
        ...

    async def list_bands(self, db: AsyncExecutor, *, after: BandPlace | None = None, limit: int = 50) -> list[Band]:
        """Return a page of the bands by name, without their members."""
        ...

    async def list_bands_of_user(self, db: AsyncExecutor, *, user_id: UUID) -> list[Band]:
        """Return the bands that a user plays in, by name."""
        ...

    async def update_band(self, db: AsyncExecutor, *, band_id: UUID, changes: BandChanges) -> Band | None:
        """Write the changes that are given; return the band as it is now, None if there is none."""
        ...

    async def delete_band(self, db: AsyncExecutor, *, band_id: UUID) -> Affected:
        """Delete a band and its memberships; return 1, or 0 if there is none."""
        ...

    async def add_member(self, db: AsyncExecutor, *, member: NewMember) -> Member:
        """Put a user into a band; UniqueViolation if they are in it already."""
        ...

    async def get_member(self, db: AsyncExecutor, *, band_id: UUID, user_id: UUID) -> Member | None:
        """Return one membership."""
        ...

    async def list_members(self, db: AsyncExecutor, *, band_id: UUID) -> list[MemberWithUser]:
        """Return the members of a band with their users: leaders first, then by name."""
        ...

    async def update_member(
        self, db: AsyncExecutor, *, band_id: UUID, user_id: UUID, changes: MemberChanges
    ) -> Member | None:
        """Write the changes that are given; return the membership as it is now, None if there is none."""
        ...

    async def remove_member(self, db: AsyncExecutor, *, band_id: UUID, user_id: UUID) -> Affected:
        """Take a user out of a band; return 1, or 0 if they were not in it."""
        ...

    async def get_band_with_members(self, db: AsyncExecutor, *, band_id: UUID) -> BandWithMembers | None:
        """Return one band with its members and their users, in one round trip."""
        ...

    async def list_bands_with_members(
        self, db: AsyncExecutor, *, after: BandPlace | None = None, limit: int = 50
    ) -> list[BandWithMembers]:
        """Return a page of the bands by name, with their members and their users, in one round trip."""
        ...


users: UserQueries = sqlkit.load(UserQueries, SQL / "soleil/users.sql")
songs: SongQueries = sqlkit.load(SongQueries, SQL / "soleil/songs.sql")
repertoire: RepertoireQueries = sqlkit.load(RepertoireQueries, SQL / "soleil/repertoire.sql")
bands: BandQueries = sqlkit.load(BandQueries, SQL / "soleil/bands.sql")


async def search_songs(db: AsyncExecutor, *, user_id: UUID, term: str, limit: int = 20) -> list[Song]:
    """Return a user's songs whose title or artist is like the term, the likest first.

    Tolerates typing errors where pg_trgm is there; elsewhere a song must contain the term or have all its words.
    """
    if await songs.has_trigrams(db):
        return await songs.search_songs(db, user_id=user_id, term=term, limit=limit)
    return await songs.search_songs_plainly(db, user_id=user_id, term=term, limit=limit)
