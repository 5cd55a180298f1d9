"""Soleil over HTTP, on asyncio: ``uvicorn sqlkit.apps.soleil.http:app``.

The database is that of the settings (``DATABASE_URL``, ...). Who the caller is, is for whatever stands before this
application to say, or for ``create_app(dependencies=[Depends(...)])``, which every route but /health passes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from sqlkit.fastapi import async_connection_of, database_of, health_router, install_errors, lifespan_of

# Before FastAPI itself: it says which extra to install.
# isort: split

import psycopg
from fastapi import APIRouter, FastAPI, HTTPException, Query
from fastapi.params import Depends
from pydantic import BaseModel, ConfigDict, Field

from sqlkit.apps.soleil.caches import SoleilCache, user_tag
from sqlkit.apps.soleil.login_routes import Kept, refuse_login, visits
from sqlkit.apps.soleil.logins import LoginNotKept
from sqlkit.apps.soleil.models import (
    Band,
    BandChanges,
    BandPlace,
    BandRole,
    BandWithMembers,
    ChartedSong,
    ChartType,
    Email,
    KeyCount,
    Label,
    Member,
    MemberChanges,
    Moment,
    NewBand,
    NewMember,
    NewSong,
    NewUser,
    Profile,
    RepertoireStats,
    RhythmCount,
    Song,
    SongChanges,
    SongFacts,
    SongPlace,
    Tempo,
    Text,
    User,
    UserChanges,
    UserWithRepertoire,
)
from sqlkit.apps.soleil.queries import bands, repertoire, search_songs, songs, users
from sqlkit.apps.soleil.settings import SoleilSettings
from sqlkit.caching import invalidate, redis_url
from sqlkit.database import AsyncDatabase
from sqlkit.pages import AfterLimit, Keyset, Page
from sqlkit.settings import Settings

__all__ = ["app", "create_app"]

T = TypeVar("T")
Db = Annotated[AsyncDatabase, database_of()]
Connection = Annotated[psycopg.AsyncConnection[Any], async_connection_of()]

SONGS = Keyset(SongPlace, title=("title", "song_id"), newest=("created_at", "song_id"))
BANDS = Keyset(BandPlace)

#: As many songs come in one request.
BULK = 10_000


class SongFilter(AfterLimit):
    """Which songs, in which order, and behind which one."""

    model_config = ConfigDict(extra="forbid")

    genre: Label | None = None
    key: Label | None = None
    rhythm: Label | None = None
    slowest: Tempo = 20
    fastest: Tempo = 400
    chart_type: ChartType | None = None
    order: Literal["title", "newest"] = "title"


class Search(BaseModel):
    """What a title or an artist is like."""

    term: Text
    limit: int = Field(20, ge=1, le=100)


class Membership(BaseModel):
    """What a user is in a band, and since when: since now if nothing is said."""

    model_config = ConfigDict(extra="forbid")

    role: BandRole = BandRole.MEMBER
    joined_at: Moment | None = None


class SongCount(BaseModel):
    """How many songs came in, or went."""

    songs: int


def there(found: T | None) -> T:
    """Return what was found; 404 where it is not there."""
    if found is None:
        raise HTTPException(404, "not found")
    return found


def counted(affected: int) -> None:
    """Return for one row or more; 404 for none."""
    if not affected:
        raise HTTPException(404, "not found")


people = APIRouter(prefix="/users", tags=["users"])
library = APIRouter(tags=["songs"])
stage = APIRouter(prefix="/bands", tags=["bands"])


@people.post("", status_code=201)
async def create_user(new: NewUser, db: Db) -> User:
    """Create a user; 409 for an address or a Google id that somebody has."""
    return await users.create_user(db, user=new)


@people.get("/by-email")
async def read_user_by_email(email: Annotated[Email, Query()], db: Db) -> User:
    """Return the user with this address."""
    return there(await users.get_user_by_email(db, email=email))


@people.get("/by-google-id")
async def read_user_by_google_id(google_id: Annotated[Text, Query()], db: Db) -> User:
    """Return the user with this account at Google."""
    return there(await users.get_user_by_google_id(db, google_id=google_id))


@people.get("/{user_id}")
async def read_user(user_id: UUID, db: Db) -> User:
    """Return a user."""
    return there(await users.get_user(db, user_id=user_id))


@people.patch("/{user_id}")
async def update_user(user_id: UUID, changes: UserChanges, conn: Connection, kept: Kept) -> User:
    """Change what is given of a user; one who is no longer active is logged out."""
    changed = there(await users.update_user(conn, user_id=user_id, changes=changes))
    if not changed.is_active:
        await kept.logins.end_sessions(user_id, conn)
    await invalidate(conn, user_tag(user_id))
    return changed


@people.put("/{user_id}/profile")
async def replace_profile(user_id: UUID, profile: Profile, conn: Connection) -> User:
    """Replace a user's profile whole."""
    changed = there(await users.update_user_profile(conn, user_id=user_id, profile_data=profile))
    await invalidate(conn, user_tag(user_id))
    return changed


@people.delete("/{user_id}", status_code=204)
async def delete_user(user_id: UUID, conn: Connection, kept: Kept, with_repertoire: bool = False) -> None:
    """Delete a user and their memberships, and log them out; 409 while they have songs, unless these are to go too."""
    if with_repertoire:
        await repertoire.delete_repertoire(conn, user_id=user_id)
    counted(await users.delete_user(conn, user_id=user_id))
    await kept.logins.end_sessions(user_id, conn)
    await invalidate(conn, user_tag(user_id))


@people.get("/{user_id}/repertoire")
async def read_repertoire(user_id: UUID, kept: Kept) -> UserWithRepertoire:
    """Return a user with all their songs."""
    return there(await kept.get_repertoire(user_id=user_id))


@people.delete("/{user_id}/repertoire")
async def delete_repertoire(user_id: UUID, conn: Connection) -> SongCount:
    """Delete all songs of a user, and say how many they were."""
    deleted = await repertoire.delete_repertoire(conn, user_id=user_id)
    await invalidate(conn, user_tag(user_id))
    return SongCount(songs=deleted)


@people.get("/{user_id}/statistics")
async def read_statistics(user_id: UUID, db: Db) -> RepertoireStats:
    """Count a user's songs, artists and genres."""
    return await repertoire.get_repertoire_stats(db, user_id=user_id)


@people.get("/{user_id}/keys")
async def count_keys(user_id: UUID, db: Db) -> list[KeyCount]:
    """Count a user's songs in each key."""
    return await repertoire.count_songs_by_key(db, user_id=user_id)


@people.get("/{user_id}/rhythms")
async def count_rhythms(user_id: UUID, db: Db) -> list[RhythmCount]:
    """Count a user's songs in each rhythm."""
    return await repertoire.count_songs_by_rhythm(db, user_id=user_id)


@people.get("/{user_id}/bands")
async def list_bands_of_user(user_id: UUID, db: Db) -> list[Band]:
    """Return the bands that a user plays in."""
    return await bands.list_bands_of_user(db, user_id=user_id)


@library.post("/users/{user_id}/songs", status_code=201)
async def create_song(user_id: UUID, new: SongFacts, conn: Connection) -> Song:
    """Add a song to a user's repertoire; 409 where there is no such user, or the file has its song."""
    made = await songs.create_song(conn, song=of_user(user_id, new))
    await invalidate(conn, user_tag(user_id))
    return made


@library.post("/users/{user_id}/songs/bulk", status_code=201)
async def create_songs(
    user_id: UUID, new: Annotated[list[SongFacts], Field(min_length=1, max_length=BULK)], conn: Connection
) -> SongCount:
    """Add songs to a user's repertoire, all or none."""
    made = await songs.import_songs(conn, [of_user(user_id, song) for song in new])
    await invalidate(conn, user_tag(user_id))
    return SongCount(songs=made)


@library.get("/users/{user_id}/songs")
async def list_songs(user_id: UUID, asked: Annotated[SongFilter, Query()], db: Db) -> Page[Song]:
    """Return a page of a user's songs. Where a tempo is asked for, songs of an unknown one are left out."""
    tempo = asked.model_dump(include={"slowest", "fastest"}) if asked.model_fields_set & {"slowest", "fastest"} else {}
    found = await songs.list_songs(
        db,
        user_id=user_id,
        genre=asked.genre,
        key=asked.key,
        rhythm=asked.rhythm,
        chart_type=asked.chart_type,
        after=SONGS.after(asked.after, asked.order),
        order=asked.order,
        limit=asked.limit + 1,
        **tempo,
    )
    return SONGS.page(found, asked.limit, asked.order)


@library.get("/users/{user_id}/songs/search")
async def search(user_id: UUID, asked: Annotated[Search, Query()], db: Db) -> list[Song]:
    """Return a user's songs whose title or artist is like the term, the likest first."""
    return await search_songs(db, user_id=user_id, term=asked.term, limit=asked.limit)


@library.get("/songs/{song_id}")
async def read_song(song_id: UUID, db: Db) -> ChartedSong:
    """Return a song with its chart."""
    return there(await songs.get_charted_song(db, song_id=song_id))


@library.patch("/songs/{song_id}")
async def update_song(song_id: UUID, changes: SongChanges, conn: Connection) -> Song:
    """Change what is given of a song."""
    changed = there(await songs.update_song(conn, song_id=song_id, changes=changes))
    await invalidate(conn, user_tag(changed.user_id))
    return changed


@library.delete("/songs/{song_id}", status_code=204)
async def delete_song(song_id: UUID, conn: Connection) -> None:
    """Delete a song."""
    found = there(await songs.get_song(conn, song_id=song_id))
    counted(await songs.delete_song(conn, song_id=song_id))
    await invalidate(conn, user_tag(found.user_id))


@stage.post("", status_code=201)
async def create_band(new: NewBand, db: Db) -> Band:
    """Create a band, still without members."""
    return await bands.create_band(db, band=new)


@stage.get("")
async def list_bands(asked: Annotated[AfterLimit, Query()], db: Db) -> Page[BandWithMembers]:
    """Return a page of the bands by name, with their members and their users."""
    found = await bands.list_bands_with_members(db, after=BANDS.after(asked.after), limit=asked.limit + 1)
    return BANDS.page(found, asked.limit)


@stage.get("/{band_id}")
async def read_band(band_id: UUID, db: Db) -> BandWithMembers:
    """Return a band with its members and their users."""
    return there(await bands.get_band_with_members(db, band_id=band_id))


@stage.patch("/{band_id}")
async def update_band(band_id: UUID, changes: BandChanges, db: Db) -> Band:
    """Change what is given of a band."""
    return there(await bands.update_band(db, band_id=band_id, changes=changes))


@stage.delete("/{band_id}", status_code=204)
async def delete_band(band_id: UUID, db: Db) -> None:
    """Delete a band; its users stay."""
    counted(await bands.delete_band(db, band_id=band_id))


@stage.post("/{band_id}/members/{user_id}", status_code=201)
async def add_member(band_id: UUID, user_id: UUID, new: Membership, db: Db) -> Member:
    """Put a user into a band; 409 where they are in it already, or one of both is not there."""
    member = NewMember(band_id=band_id, user_id=user_id, role=new.role, joined_at=new.joined_at)
    return await bands.add_member(db, member=member)


@stage.patch("/{band_id}/members/{user_id}")
async def update_member(band_id: UUID, user_id: UUID, changes: MemberChanges, db: Db) -> Member:
    """Change what is given of a membership."""
    return there(await bands.update_member(db, band_id=band_id, user_id=user_id, changes=changes))


@stage.delete("/{band_id}/members/{user_id}", status_code=204)
async def remove_member(band_id: UUID, user_id: UUID, db: Db) -> None:
    """Take a user out of a band."""
    counted(await bands.remove_member(db, band_id=band_id, user_id=user_id))


def of_user(user_id: UUID, facts: SongFacts) -> NewSong:
    """Return the song for a user; its facts were validated with the request."""
    return NewSong.model_construct(user_id=user_id, **dict(facts))


def create_app(
    settings: Settings | str | None = None, *, redis: str | None = None, dependencies: Sequence[Depends] = ()
) -> FastAPI:
    """Return the application on a database; it opens its pool and its caches when it starts and closes them at the end.

    ``redis`` is the URL of what the caches share; None reads the environment (see ``sqlkit.caching.redis_url``).
    """
    with_database = lifespan_of(AsyncDatabase, settings or SoleilSettings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with with_database(app), SoleilCache.opened(app.state.db, redis or redis_url()) as app.state.cache:
            yield

    made = FastAPI(title="Soleil", lifespan=lifespan)
    install_errors(made)
    made.add_exception_handler(LoginNotKept, refuse_login)
    made.include_router(health_router())
    for router in (people, library, stage, visits):
        made.include_router(router, dependencies=list(dependencies))
    return made


app = create_app()
