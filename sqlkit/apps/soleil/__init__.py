"""Soleil: a band's repertoire. Users, their songs with charts, bands and their members.

Asynchronous throughout; ``sqlkit.apps.soleil.sync`` has the same queries for threads and scripts::

    from sqlkit import AsyncDatabase
    from sqlkit.apps import soleil

    async with AsyncDatabase.connect(settings) as db:
        user = await soleil.users.get_user_by_email(db, email="ella@example.org")
        found = await soleil.search_songs(db, user_id=user.user_id, term="autum leafs")

What its functions were called when they stood on an ORM:

================================== ==================================================================
old                                new
================================== ==================================================================
create_user                        users.create_user
get_user_by_email                  users.get_user_by_email
update_user_profile                users.update_user_profile
get_user_with_repertoire           users.get_user_with_repertoire
(filter_by google_id)              users.get_user_by_google_id
delete_song                        songs.delete_song
bulk_create_songs                  songs.import_songs (copy), songs.create_songs (gives the songs back)
search_songs                       search_songs (forgives typing errors where pg_trgm is there)
get_repertoire_stats               repertoire.get_repertoire_stats
select(Band).options(selectinload) bands.get_band_with_members, bands.list_bands_with_members
User, Song, Band, BandMember       User, Song, Band, Member (User.id is user_id, Song.id is song_id)
create_session, validate_session   SoleilCache.opened(db, redis_url()).logins: the same names; tokens are hashed
cache_user_session                 logins.cache_user_session, get_user_session
get_cached_repertoire              SoleilCache.get_repertoire (asks the database, too), get_cached_repertoire
invalidate_user_cache              SoleilCache.invalidate_user_cache; a write's transaction: invalidate
(the backup script)                back_up, rehearse_backup, restore_backup
(pg_stat_statements)               slow_queries
(pg_stat_activity)                 active_connections
alembic upgrade head               sqlkit migrate
alembic downgrade -1               sqlkit migrate down
alembic current, alembic history   sqlkit migrate current, sqlkit migrate history
alembic revision                   sqlkit migrate new
================================== ==================================================================
"""

from __future__ import annotations

from sqlkit.apps.soleil.backups import back_up, rehearse_backup, restore_backup
from sqlkit.apps.soleil.caches import SoleilCache, user_tag
from sqlkit.apps.soleil.logins import LoginNotKept, Logins, LoginSession, OpenedSession
from sqlkit.apps.soleil.models import (
    Band,
    BandChanges,
    BandPlace,
    BandRole,
    BandWithMembers,
    Chart,
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
    Section,
    Song,
    SongChanges,
    SongFacts,
    SongPlace,
    User,
    UserChanges,
    UserWithRepertoire,
)
from sqlkit.apps.soleil.monitoring import active_connections, slow_queries
from sqlkit.apps.soleil.queries import (
    BandQueries,
    RepertoireQueries,
    SongQueries,
    UserQueries,
    bands,
    repertoire,
    search_songs,
    songs,
    users,
)

__all__ = [
    "Band",
    "BandChanges",
    "BandPlace",
    "BandQueries",
    "BandRole",
    "BandWithMembers",
    "Chart",
    "ChartType",
    "ChartedSong",
    "KeyCount",
    "LoginNotKept",
    "LoginSession",
    "Logins",
    "Member",
    "MemberChanges",
    "MemberWithUser",
    "NewBand",
    "NewMember",
    "NewSong",
    "NewUser",
    "OpenedSession",
    "RepertoireQueries",
    "RepertoireStats",
    "RhythmCount",
    "Section",
    "SoleilCache",
    "Song",
    "SongChanges",
    "SongFacts",
    "SongPlace",
    "SongQueries",
    "User",
    "UserChanges",
    "UserQueries",
    "UserWithRepertoire",
    "active_connections",
    "back_up",
    "bands",
    "rehearse_backup",
    "repertoire",
    "restore_backup",
    "search_songs",
    "slow_queries",
    "songs",
    "user_tag",
    "users",
]
