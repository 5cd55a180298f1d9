"""A band to show: the same four people each time, found or made."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import psycopg
from pydantic import JsonValue

from sqlkit import Executor
from sqlkit.apps.soleil.models import Band, BandRole, NewBand, NewMember, NewSong, NewUser, User
from sqlkit.apps.soleil.sync import bands, repertoire, users
from sqlkit.apps.soleil.sync import songs as library
from sqlkit.caching.statements import invalidate
from sqlkit.database import Database

__all__ = ["assemble", "rehearse"]

NAME = "The House Band"

#: Name, instrument, role, since when. The leader stands first.
PLAYERS = (
    ("Nora Vale", "trumpet", BandRole.LEADER, datetime(2019, 4, 1, tzinfo=UTC)),
    ("Tomas Berg", "piano", BandRole.MEMBER, datetime(2019, 4, 1, tzinfo=UTC)),
    ("Ida Lund", "double bass", BandRole.MEMBER, datetime(2021, 9, 15, tzinfo=UTC)),
    ("Sam Okoro", "drums", BandRole.GUEST, datetime(2025, 2, 20, tzinfo=UTC)),
)


def assemble(db: Database) -> tuple[User, Band]:
    """Return the leader, whose repertoire the band plays, and the band, with its members; make what is missing."""
    with db.transaction() as conn:
        _lock(conn)
        players = [(_user(conn, name, instrument), role, since) for name, instrument, role, since in PLAYERS]
        leader = players[0][0]
        existing = (band for band in bands.list_bands_of_user(conn, user_id=leader.user_id) if band.name == NAME)
        band = next(existing, None) or bands.create_band(conn, band=NewBand(name=NAME))
        for user, role, since in players:
            if bands.get_member(conn, band_id=band.band_id, user_id=user.user_id) is None:
                member = NewMember(band_id=band.band_id, user_id=user.user_id, role=role, joined_at=since)
                bands.add_member(conn, member=member)
    return leader, band


def rehearse(db: Database, leader: User, songs: Iterable[NewSong]) -> int:
    """Replace the leader's repertoire in one transaction; return how many songs there are now."""
    with db.transaction() as conn:
        _lock(conn)
        repertoire.delete_repertoire(conn, user_id=leader.user_id)
        made = library.import_songs(conn, songs)
        invalidate(conn, f"user:{leader.user_id}")
        return made


def _lock(conn: psycopg.Connection[Any]) -> None:
    """Wait until no other run is at it: two that begin together would both find nothing, and both fill it."""
    conn.execute("select pg_advisory_xact_lock(hashtext('sqlkit.bandstand'))")


def _user(conn: Executor, name: str, instrument: str) -> User:
    email = f"{name.lower().replace(' ', '.')}@example.org"
    found = users.get_user_by_email(conn, email=email)
    if found is not None:
        return found
    google_id = f"demo-{name.lower().replace(' ', '-')}"
    profile: dict[str, JsonValue] = {"instrument": instrument}
    new = NewUser(email=email, google_id=google_id, display_name=name, profile_data=profile)
    return users.create_user(conn, user=new)
