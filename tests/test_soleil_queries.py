"""Each query of soleil, in both colours, on a real server."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors
from pydantic import ValidationError

import sqlkit
from sqlkit import Database
from sqlkit.apps import SQL, soleil
from sqlkit.apps.soleil import queries, sync
from tests.soleil_api import TOPICS, Api, async_api, sync_api

FOUR_BARS = soleil.Chart(sections=[soleil.Section(label="A", repeats=1, chords="Dm7,G7|Cmaj7", endings=["C6", "C|C"])])


@pytest.fixture(params=["sync", "async"])
def api(request: pytest.FixtureRequest, soleil_shared_dsn: str) -> Iterator[Api]:
    """Give soleil's queries on a connection in a transaction that is rolled back."""
    if request.param == "sync":
        with psycopg.connect(soleil_shared_dsn) as conn:
            yield sync_api(conn)
            conn.rollback()
        return
    with asyncio.Runner() as runner:
        aconn = runner.run(psycopg.AsyncConnection.connect(soleil_shared_dsn))
        yield async_api(aconn, runner)
        runner.run(aconn.rollback())
        runner.run(aconn.close())


# Users


def test_create_user(api: Api) -> None:
    """A created user comes back with their id, active, with the profile that was given."""
    new = soleil.NewUser(email="e@f", google_id="g", display_name="E", profile_data={"a": [1, 2.5, None]})
    user = api.users.create_user(user=new)
    assert (user.email, user.google_id, user.display_name) == ("e@f", "g", "E")
    assert user.profile_data == {"a": [1, 2.5, None]}
    assert user.is_active
    assert user.created_at == user.updated_at


@pytest.mark.parametrize(("field", "constraint"), [("email", "users_email_key"), ("google_id", "users_google_id_key")])
def test_create_user_twice(api: Api, field: str, constraint: str) -> None:
    """A taken email or Google id is refused by the database, by the constraint's name."""
    user = api.user()
    fresh = {"email": "new@x", "google_id": "new", "display_name": "N"}
    with pytest.raises(errors.UniqueViolation) as refused:
        api.users.create_user(user=soleil.NewUser.model_validate({**fresh, field: getattr(user, field)}))
    assert refused.value.diag.constraint_name == constraint


def test_get_user_by_id_email_and_google_id(api: Api) -> None:
    """One user is found by each of their three keys, and nobody by a key that nobody has."""
    user = api.user()
    api.user("other")
    assert api.users.get_user(user_id=user.user_id) == user
    assert api.users.get_user_by_email(email=user.email) == user
    assert api.users.get_user_by_google_id(google_id=user.google_id) == user
    assert api.users.get_user(user_id=uuid4()) is None
    assert api.users.get_user_by_email(email="nobody@x") is None
    assert api.users.get_user_by_google_id(google_id="nobody") is None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"email": "new@x"},
        {"display_name": "New"},
        {"profile_data": {"instrument": "bass"}},
        {"is_active": False},
        {"email": "new@x", "display_name": "New", "profile_data": {}, "is_active": False},
    ],
)
def test_update_user(api: Api, changes: dict[str, Any]) -> None:
    """The fields that are given are written, all others stay, and nobody else changes."""
    user, other = api.user(), api.user("other")
    updated = api.users.update_user(user_id=user.user_id, changes=soleil.UserChanges(**changes))
    assert updated == user.model_copy(update=changes)
    assert api.users.get_user(user_id=user.user_id) == updated
    assert api.users.get_user(user_id=other.user_id) == other


def test_update_user_profile(api: Api) -> None:
    """The profile is replaced whole."""
    user = api.user()
    api.users.update_user_profile(user_id=user.user_id, profile_data={"a": 1})
    updated = api.users.update_user_profile(user_id=user.user_id, profile_data={"b": "two"})
    assert updated == user.model_copy(update={"profile_data": {"b": "two"}})


def test_updates_of_nobody(api: Api) -> None:
    """An update of what does not exist returns None."""
    nobody = uuid4()
    assert api.users.update_user(user_id=nobody, changes=soleil.UserChanges(email="a@b")) is None
    assert api.users.update_user_profile(user_id=nobody, profile_data={}) is None
    assert api.songs.update_song(song_id=nobody, changes=soleil.SongChanges(key="C")) is None
    assert api.bands.update_band(band_id=nobody, changes=soleil.BandChanges(name="N")) is None
    member = {"band_id": nobody, "user_id": nobody}
    assert api.bands.update_member(**member, changes=soleil.MemberChanges(role=soleil.BandRole.GUEST)) is None


def test_delete_user(api: Api) -> None:
    """A deleted user is gone from their bands too; a second deletion finds nobody."""
    user, band = api.user(), api.bands.create_band(band=soleil.NewBand(name="B"))
    api.bands.add_member(member=soleil.NewMember(band_id=band.band_id, user_id=user.user_id))
    assert api.users.delete_user(user_id=user.user_id) == 1
    assert api.users.delete_user(user_id=user.user_id) == 0
    assert api.bands.get_band_with_members(band_id=band.band_id).members == []


def test_delete_user_with_songs(api: Api) -> None:
    """A user who has songs is not deleted by accident."""
    user = api.user()
    api.song(user, "Dinah")
    with pytest.raises(errors.ForeignKeyViolation):
        api.users.delete_user(user_id=user.user_id)


def test_get_user_with_repertoire(api: Api) -> None:
    """A user comes with all their songs by title, equal to those that are read one by one."""
    user, other = api.user(), api.user("other")
    facts = {"artist": "A", "key": "F", "tempo": 120, "chart_types": ["guitar", "bass"], "drive_file_id": "d"}
    songs = [api.song(user, "Dinah", **facts), api.song(user, "Avalon")]
    api.song(other, "Swanee")
    found = api.users.get_user_with_repertoire(user_id=user.user_id)
    assert found.repertoire == songs[::-1]
    assert found.model_dump(exclude={"repertoire"}) == user.model_dump()


def test_get_user_without_repertoire(api: Api) -> None:
    """A user without songs has an empty list; who does not exist is None."""
    assert api.users.get_user_with_repertoire(user_id=api.user().user_id).repertoire == []
    assert api.users.get_user_with_repertoire(user_id=uuid4()) is None


# Songs


def test_create_song(api: Api) -> None:
    """A created song comes back with everything that was given, its chart when it is asked for."""
    user = api.user()
    facts = {
        "artist": "A",
        "key": "Cmin",
        "tempo": 132,
        "genre": "Standard",
        "rhythm": "Waltz",
        "time_signature": "3/4",
        "chart_types": [soleil.ChartType.GUITAR, soleil.ChartType.DRUMS],
        "drive_file_id": "d",
    }
    song = api.song(user, "Dinah", chart=FOUR_BARS, **facts)
    assert {name: getattr(song, name) for name in facts} == facts
    assert api.songs.get_song(song_id=song.song_id) == song
    assert api.songs.get_song_by_drive_file_id(drive_file_id="d") == song
    charted = api.songs.get_charted_song(song_id=song.song_id)
    assert charted.chart == FOUR_BARS
    assert charted.model_dump(exclude={"chart"}) == song.model_dump()


def test_create_song_of_which_little_is_known(api: Api) -> None:
    """A title is enough; the rest is None, and no chart is None too."""
    song = api.song(api.user(), "Dinah")
    assert (song.artist, song.key, song.tempo, song.chart_types) == (None, None, None, [])
    assert api.songs.get_charted_song(song_id=song.song_id).chart is None


def test_create_song_of_nobody(api: Api) -> None:
    """A song needs a user who exists."""
    with pytest.raises(errors.ForeignKeyViolation):
        api.songs.create_song(song=soleil.NewSong(user_id=uuid4(), title="Dinah"))


def test_bars_of_a_section() -> None:
    """The chords of a section are read bar by bar."""
    assert FOUR_BARS.sections[0].bars == [["Dm7", "G7"], ["Cmaj7"]]


def test_get_song_that_is_not_there(api: Api) -> None:
    """A song that does not exist is None."""
    assert api.songs.get_song(song_id=uuid4()) is None
    assert api.songs.get_song_by_drive_file_id(drive_file_id="none") is None
    assert api.songs.get_charted_song(song_id=uuid4()) is None


def test_create_songs_in_a_batch(api: Api) -> None:
    """A batch gives its songs back in the order given."""
    user = api.user()
    titles = ["Swanee", "Avalon", "Dinah"]
    new = [soleil.NewSong(user_id=user.user_id, title=title, chart=FOUR_BARS) for title in titles]
    songs = api.songs.create_songs(new)
    assert [song.title for song in songs] == titles
    assert [api.songs.get_song(song_id=song.song_id) for song in songs] == songs
    assert api.songs.create_songs([]) == []


def test_import_songs(api: Api) -> None:
    """A copy says how many songs went in, and they are there with their charts."""
    user = api.user()
    new = [soleil.NewSong(user_id=user.user_id, title=title, chart=FOUR_BARS) for title in ("Avalon", "Dinah")]
    assert api.songs.import_songs(new) == 2
    assert api.songs.import_songs([]) == 0
    songs = api.repertoire.stream_repertoire(user_id=user.user_id)
    assert [(song.title, song.chart) for song in songs] == [("Avalon", FOUR_BARS), ("Dinah", FOUR_BARS)]


@pytest.mark.parametrize("query", ["create_songs", "import_songs"])
def test_bulk_creation_is_all_or_nothing(soleil_dsn: str, query: str) -> None:
    """One song that is refused takes the whole batch with it."""
    with Database.connect(soleil_dsn) as db:
        user = sync.users.create_user(db, user=soleil.NewUser(email="a@b", google_id="g", display_name="A"))
        new = [soleil.NewSong(user_id=user.user_id, title=f"T{n}", drive_file_id="same") for n in range(2)]
        with pytest.raises(errors.UniqueViolation):
            getattr(sync.songs, query)(db, new)
        assert sync.songs.list_songs(db, user_id=user.user_id) == []


SONG_CHANGES: list[dict[str, Any]] = [
    {},
    {"title": "New"},
    {"artist": "B"},
    {"artist": None},
    {"key": "Cmin"},
    {"tempo": None},
    {"genre": "Blues"},
    {"rhythm": None},
    {"time_signature": "6/8"},
    {"chart_types": [soleil.ChartType.LEAD]},
    {"chart_types": []},
    {"drive_file_id": None},
    {"title": "New", "artist": None, "tempo": 20, "drive_file_id": "e"},
]


@pytest.mark.parametrize("changes", SONG_CHANGES)
def test_update_song(api: Api, changes: dict[str, Any]) -> None:
    """The fields that are given are written, None clears, all others stay."""
    user = api.user()
    song = api.song(
        user,
        "Dinah",
        artist="A",
        key="F",
        tempo=120,
        genre="Standard",
        rhythm="Waltz",
        time_signature="3/4",
        chart=FOUR_BARS,
        chart_types=["guitar"],
        drive_file_id="d",
    )
    updated = api.songs.update_song(song_id=song.song_id, changes=soleil.SongChanges(**changes))
    assert updated == song.model_copy(update=changes)
    assert api.songs.get_charted_song(song_id=song.song_id).chart == FOUR_BARS


def test_update_chart(api: Api) -> None:
    """A chart is replaced, and None takes it away."""
    song = api.song(api.user(), "Dinah")
    api.songs.update_song(song_id=song.song_id, changes=soleil.SongChanges(chart=FOUR_BARS))
    assert api.songs.get_charted_song(song_id=song.song_id).chart == FOUR_BARS
    api.songs.update_song(song_id=song.song_id, changes=soleil.SongChanges(chart=None))
    assert api.songs.get_charted_song(song_id=song.song_id).chart is None
    assert api.execute("select chart is null from songs where song_id = %s", song.song_id) == [(True,)]


def test_delete_song(api: Api) -> None:
    """A song is deleted once, and no other with it."""
    user = api.user()
    song, other = api.song(user, "Dinah"), api.song(user, "Avalon")
    assert api.songs.delete_song(song_id=song.song_id) == 1
    assert api.songs.delete_song(song_id=song.song_id) == 0
    assert api.songs.list_songs(user_id=user.user_id) == [other]


LISTED: dict[str, dict[str, Any]] = {
    "Avalon": {"key": "F", "rhythm": "Swing", "tempo": 220, "genre": "Standard", "chart_types": ["guitar", "bass"]},
    "Dinah": {"key": "Ab", "rhythm": "Swing", "tempo": 170, "genre": "Standard", "chart_types": ["bass"]},
    "Greensleeves": {"key": "Amin", "rhythm": "Waltz", "tempo": 112, "genre": "Folk"},
    "Shenandoah": {"key": "F", "rhythm": "Ballad", "tempo": 60, "genre": "Folk"},
    "Swanee": {"key": "F"},
}


@pytest.mark.parametrize(
    ("filters", "titles"),
    [
        ({}, "Avalon Dinah Greensleeves Shenandoah Swanee"),
        ({"genre": "Folk"}, "Greensleeves Shenandoah"),
        ({"key": "F"}, "Avalon Shenandoah Swanee"),
        ({"rhythm": "Swing"}, "Avalon Dinah"),
        ({"slowest": 60, "fastest": 170}, "Dinah Greensleeves Shenandoah"),
        ({"chart_type": soleil.ChartType.BASS}, "Avalon Dinah"),
        ({"chart_type": soleil.ChartType.GUITAR, "key": "F"}, "Avalon"),
        ({"genre": "Folk", "key": "F", "rhythm": "Ballad", "slowest": 20, "fastest": 60}, "Shenandoah"),
        ({"genre": "Blues"}, ""),
        ({"limit": 2}, "Avalon Dinah"),
    ],
)
def test_list_songs_with_filters(api: Api, filters: dict[str, Any], titles: str) -> None:
    """Whichever filters are given narrow the list, in any combination; other users' songs never show."""
    user, other = api.user(), api.user("other")
    for title, facts in LISTED.items():
        api.song(user, title, **facts)
        api.song(other, title, **facts)
    songs = api.songs.list_songs(user_id=user.user_id, **filters)
    assert [song.title for song in songs] == titles.split()
    assert {song.user_id for song in songs} <= {user.user_id}


def test_list_songs_with_half_a_range(api: Api) -> None:
    """Half of a tempo range is an error, not a wider answer."""
    with pytest.raises(sqlkit.ArgumentError, match="fastest"):
        api.songs.list_songs(user_id=uuid4(), slowest=100)


@pytest.mark.parametrize("order", ["title", "newest"])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pages(api: Api, order: str, size: int) -> None:
    """Page behind page, each song comes once, in order, also where titles and times are equal."""
    user = api.user()
    titles = ["Dinah", "Avalon", "Dinah", "Swanee", "Avalon", "Dinah", "Always"]
    songs = [api.song(user, title) for title in titles]
    for number, song in enumerate(songs):
        # Pairs of equal times.
        api.execute("update songs set created_at = %s where song_id = %s", at(number // 2), song.song_id)
    found: list[soleil.Song] = []
    while page := api.songs.list_songs(
        user_id=user.user_id, order=order, after=found[-1] if found else None, limit=size
    ):
        assert len(page) <= size
        found += page
    assert len(found) == len({song.song_id for song in found}) == len(songs)
    if order == "title":
        assert found == sorted(found, key=lambda song: (song.title, song.song_id))
    else:
        assert found == sorted(found, key=lambda song: (song.created_at, song.song_id), reverse=True)


def at(hours: int) -> datetime:
    """Return a time."""
    return datetime(2026, 1, 1, hours, tzinfo=UTC)


# Searches

SHELF = [
    ("Autumn Leaves", "Joseph Kosma"),
    ("Round Midnight", "Thelonious Monk"),
    ("Blue Monk", "Thelonious Monk"),
    ("Blue", "Joni Mitchell"),
    ("100% Dundee", "The Roots"),
    ("snake_case \\ blues", None),
    ("Só Danço Samba", "Jobim"),
]


def titles_of(songs: list[soleil.Song]) -> list[str]:
    """Return the titles in order."""
    return [song.title for song in songs]


def shelve(api: Api) -> soleil.User:
    """Put the songs of the shelf in, and another user's beside them."""
    user, other = api.user(), api.user("other")
    for owner in (user, other):
        for title, artist in SHELF:
            api.song(owner, title, artist=artist)
    return user


@pytest.mark.parametrize(
    ("term", "titles"),
    [
        ("autum leafs", ["Autumn Leaves"]),
        ("AUTUMN", ["Autumn Leaves"]),
        ("thelonius munk", ["Blue Monk", "Round Midnight"]),
        ("midnite", ["Round Midnight"]),
        ("blue", ["Blue", "Blue Monk", "snake_case \\ blues"]),
        ("kosma leaves", ["Autumn Leaves"]),
        ("so dançu sambe", ["Só Danço Samba"]),
        ("%", ["100% Dundee"]),
        ("_", ["snake_case \\ blues"]),
        ("\\", ["snake_case \\ blues"]),
        ("100% d", ["100% Dundee"]),
        ("'; drop table songs; --", []),
        ("zzz", []),
    ],
)
def test_search_songs(api: Api, term: str, titles: list[str]) -> None:
    """A search forgives typing errors, takes the signs of LIKE as letters, and puts the likest first."""
    user = shelve(api)
    assert api.songs.has_trigrams() is True
    assert titles_of(api.search_songs(user_id=user.user_id, term=term)) == titles
    assert api.search_songs(user_id=user.user_id, term=term) == api.songs.search_songs(user_id=user.user_id, term=term)


@pytest.mark.parametrize(
    ("term", "titles"),
    [
        ("autum leafs", []),
        ("AUTUMN", ["Autumn Leaves"]),
        ("monk", ["Blue Monk", "Round Midnight"]),
        ("ound mid", ["Round Midnight"]),
        ("kosma leaves", ["Autumn Leaves"]),
        ("%", ["100% Dundee"]),
        ("_", ["snake_case \\ blues"]),
        ("\\", ["snake_case \\ blues"]),
        ("0% D", ["100% Dundee"]),
        ("a_t", []),
    ],
)
def test_search_songs_without_trigrams(api: Api, term: str, titles: list[str]) -> None:
    """Where pg_trgm is not found, a search finds parts of titles and artists, and words in any order."""
    user = shelve(api)
    api.execute("set local search_path = soleil")
    assert api.songs.has_trigrams() is False
    found = api.search_songs(user_id=user.user_id, term=term)
    assert titles_of(found) == titles
    assert api.songs.search_songs_plainly(user_id=user.user_id, term=term) == found


def test_search_songs_up_to_a_limit(api: Api) -> None:
    """A search returns no more than it was asked for."""
    user = shelve(api)
    assert titles_of(api.search_songs(user_id=user.user_id, term="blue", limit=1)) == ["Blue"]


# The repertoire


def test_get_repertoire_stats(api: Api) -> None:
    """Songs, distinct artists and distinct genres are counted; what is not known is no artist."""
    user, other = api.user(), api.user("other")
    for title, artist, genre in (("a", "X", "g"), ("b", "X", "h"), ("c", "Y", None), ("d", None, "h")):
        api.song(user, title, artist=artist, genre=genre)
    api.song(other, "e", artist="Z")
    stats = api.repertoire.get_repertoire_stats(user_id=user.user_id)
    assert stats == soleil.RepertoireStats(total_songs=4, unique_artists=2, unique_genres=2)
    nothing = api.repertoire.get_repertoire_stats(user_id=uuid4())
    assert nothing == soleil.RepertoireStats(total_songs=0, unique_artists=0, unique_genres=0)


def test_counts_by_key_and_rhythm(api: Api) -> None:
    """Songs are counted by key and by rhythm, the most frequent first, then by name, what is not known last."""
    user = api.user()
    for title, facts in LISTED.items():
        api.song(user, title, **facts)
    keys = api.repertoire.count_songs_by_key(user_id=user.user_id)
    assert [(row.key, row.songs) for row in keys] == [("F", 3), ("Ab", 1), ("Amin", 1)]
    rhythms = api.repertoire.count_songs_by_rhythm(user_id=user.user_id)
    assert [tuple(row.model_dump().values()) for row in rhythms] == [
        ("Swing", 2, 170, 220),
        ("Ballad", 1, 60, 60),
        ("Waltz", 1, 112, 112),
        (None, 1, None, None),
    ]


def test_stream_and_delete_repertoire(api: Api) -> None:
    """A repertoire streams by title, and goes at once; another user's stays."""
    user, other = api.user(), api.user("other")
    for title in LISTED:
        api.song(user, title, chart=FOUR_BARS)
    kept = api.song(other, "Dinah")
    songs = api.repertoire.stream_repertoire(user_id=user.user_id)
    assert [song.title for song in songs] == sorted(LISTED)
    assert all(song.chart == FOUR_BARS for song in songs)
    assert api.repertoire.delete_repertoire(user_id=user.user_id) == len(LISTED)
    assert api.repertoire.stream_repertoire(user_id=user.user_id) == []
    assert api.songs.list_songs(user_id=other.user_id) == [kept]


# Bands


def test_bands(api: Api) -> None:
    """A band is created, read, listed by name, renamed and deleted."""
    second, first = (api.bands.create_band(band=soleil.NewBand(name=name)) for name in ("Zebras", "Aces"))
    assert api.bands.get_band(band_id=first.band_id) == first
    assert api.bands.get_band(band_id=uuid4()) is None
    assert api.bands.list_bands() == [first, second]
    assert api.bands.list_bands(limit=1) == [first]
    assert api.bands.list_bands(after=first) == [second]
    renamed = api.bands.update_band(band_id=first.band_id, changes=soleil.BandChanges(name="Zzz"))
    assert renamed == first.model_copy(update={"name": "Zzz"})
    assert api.bands.list_bands() == [second, renamed]
    assert api.bands.delete_band(band_id=second.band_id) == 1
    assert api.bands.delete_band(band_id=second.band_id) == 0
    assert api.bands.list_bands() == [renamed]


def test_members(api: Api) -> None:
    """A membership is created, read, changed and ended."""
    user, band = api.user(), api.bands.create_band(band=soleil.NewBand(name="B"))
    key = {"band_id": band.band_id, "user_id": user.user_id}
    member = api.bands.add_member(member=soleil.NewMember(**key))
    assert member.role is soleil.BandRole.MEMBER
    assert member.joined_at == member.created_at
    assert api.bands.get_member(**key) == member
    changes = soleil.MemberChanges(role=soleil.BandRole.LEADER, joined_at=at(3))
    changed = api.bands.update_member(**key, changes=changes)
    assert (changed.role, changed.joined_at) == (soleil.BandRole.LEADER, at(3))
    assert api.bands.remove_member(**key) == 1
    assert api.bands.remove_member(**key) == 0
    assert api.bands.get_member(**key) is None


def test_add_member_twice(api: Api) -> None:
    """Nobody is in a band twice."""
    user, band = api.user(), api.bands.create_band(band=soleil.NewBand(name="B"))
    new = soleil.NewMember(band_id=band.band_id, user_id=user.user_id)
    api.bands.add_member(member=new)
    with pytest.raises(errors.UniqueViolation) as refused:
        api.bands.add_member(member=new)
    assert refused.value.diag.constraint_name == "band_members_pkey"


def formed(api: Api) -> tuple[soleil.Band, soleil.Band, list[soleil.User]]:
    """Form a band of three, named so that their order shows, and one without members."""
    names = ("Zoe", "Abe", "Mia")
    users = [api.user(name) for name in names]
    band, empty = (api.bands.create_band(band=soleil.NewBand(name=name)) for name in ("Aces", "Nobodies"))
    for user, role in zip(users, (soleil.BandRole.LEADER, soleil.BandRole.MEMBER, soleil.BandRole.GUEST), strict=True):
        new = soleil.NewMember(band_id=band.band_id, user_id=user.user_id, role=role, joined_at=at(1))
        api.bands.add_member(member=new)
    return band, empty, users


def test_bands_with_members_with_users(api: Api) -> None:
    """Bands come with members and their users, leaders first: two levels in one statement."""
    band, empty, users = formed(api)
    found = api.bands.list_bands_with_members()
    assert [(one.name, len(one.members)) for one in found] == [("Aces", 3), ("Nobodies", 0)]
    assert [member.user for member in found[0].members] == users
    assert found[0].members == api.bands.list_members(band_id=band.band_id)
    assert api.bands.list_bands_with_members(limit=1) == found[:1]
    assert api.bands.list_bands_with_members(after=found[0]) == found[1:]
    assert api.bands.get_band_with_members(band_id=band.band_id) == found[0]
    assert api.bands.get_band_with_members(band_id=empty.band_id) == found[1]
    assert api.bands.get_band_with_members(band_id=uuid4()) is None


def test_list_members(api: Api) -> None:
    """Members come with the user as a nested model, equal to those that are read one by one."""
    band, empty, users = formed(api)
    members = api.bands.list_members(band_id=band.band_id)
    assert [member.user for member in members] == users
    for member in members:
        alone = api.bands.get_member(band_id=band.band_id, user_id=member.user_id)
        assert member.model_dump(exclude={"user"}) == alone.model_dump()
    assert api.bands.list_members(band_id=empty.band_id) == []


def test_list_bands_of_user(api: Api) -> None:
    """A user's bands are those that they play in."""
    band, _, users = formed(api)
    assert api.bands.list_bands_of_user(user_id=users[0].user_id) == [band]
    assert api.bands.list_bands_of_user(user_id=uuid4()) == []


def test_delete_band_keeps_its_users(api: Api) -> None:
    """A band goes with its memberships, and its users stay."""
    band, _, users = formed(api)
    assert api.bands.delete_band(band_id=band.band_id) == 1
    assert api.execute("select count(*) from band_members") == [(0,)]
    assert api.users.get_user(user_id=users[0].user_id) == users[0]


# All of them


def test_updates_set_updated_at(soleil_dsn: str) -> None:
    """Every update moves updated_at on and leaves created_at, even one that changes nothing else."""
    with Database.connect(soleil_dsn) as db:
        user = sync.users.create_user(db, user=soleil.NewUser(email="a@b", google_id="g", display_name="A"))
        song = sync.songs.create_song(db, song=soleil.NewSong(user_id=user.user_id, title="T"))
        band = sync.bands.create_band(db, band=soleil.NewBand(name="B"))
        key: dict[str, Any] = {"band_id": band.band_id, "user_id": user.user_id}
        member = sync.bands.add_member(db, member=soleil.NewMember(**key))
        pairs: list[tuple[Any, Any]] = [
            (user, sync.users.update_user(db, user_id=user.user_id, changes=soleil.UserChanges())),
            (user, sync.users.update_user_profile(db, user_id=user.user_id, profile_data={})),
            (song, sync.songs.update_song(db, song_id=song.song_id, changes=soleil.SongChanges())),
            (band, sync.bands.update_band(db, band_id=band.band_id, changes=soleil.BandChanges())),
            (member, sync.bands.update_member(db, **key, changes=soleil.MemberChanges())),
        ]
    for before, after in pairs:
        assert after is not None
        assert after.updated_at > before.updated_at
        assert after.created_at == before.created_at


@pytest.mark.parametrize("topic", TOPICS)
def test_colours_agree(topic: str) -> None:
    """Both colours have the same queries with the same parameters, rows and docstrings, for every statement."""
    ours, theirs = type(getattr(queries, topic)), type(getattr(sync, topic))
    names = [statement.name for statement in sqlkit.read_statements(SQL / f"soleil/{topic}.sql")]
    for interface in (ours, theirs):
        assert {name for name in dir(interface) if not name.startswith("_")} == set(names)
    for name in names:
        one, other = getattr(ours, name), getattr(theirs, name)
        assert str(inspect.signature(one)).replace("Async", "") == str(inspect.signature(other))
        assert one.__doc__ == other.__doc__


@pytest.mark.parametrize("topic", TOPICS)
def test_every_query_is_tested_here(topic: str) -> None:
    """No statement of soleil is without a call in this file."""
    tree = ast.parse(inspect.getsource(inspect.getmodule(test_every_query_is_tested_here)))  # type: ignore[arg-type]
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    helpers = {"create_user", "create_song"}  # by Api
    statements = {statement.name for statement in sqlkit.read_statements(SQL / f"soleil/{topic}.sql")}
    assert statements <= called | helpers


@pytest.mark.parametrize(
    ("model", "field"),
    [
        (soleil.UserChanges, "email"),
        (soleil.UserChanges, "profile_data"),
        (soleil.SongChanges, "title"),
        (soleil.SongChanges, "chart_types"),
        (soleil.BandChanges, "name"),
        (soleil.MemberChanges, "role"),
    ],
)
def test_none_where_a_column_takes_none(model: Any, field: str) -> None:
    """A change to None of a column that takes no NULL is refused before it is sent."""
    with pytest.raises(ValidationError):
        model(**{field: None})


@pytest.mark.parametrize("model", [soleil.NewUser, soleil.NewSong, soleil.SongChanges, soleil.NewMember])
def test_fields_that_do_not_exist(model: Any) -> None:
    """A field that does not exist is refused, not lost."""
    with pytest.raises(ValidationError, match="Extra inputs"):
        model(nickname="x")


def test_names_of_the_old_functions() -> None:
    """Each name in the table of soleil's docstring is there."""
    table = [line.split() for line in (soleil.__doc__ or "").splitlines()]
    names = {word.rstrip(",") for row in table for word in row if re.fullmatch(rf"({'|'.join(TOPICS)})\.\w+,?", word)}
    assert len(names) >= 8
    for name in names:
        topic, query = name.split(".")
        assert callable(getattr(getattr(soleil, topic), query))
