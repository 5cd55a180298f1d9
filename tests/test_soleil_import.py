"""Song lists: what a file may say, and 1,382 real songs in by one copy and out again, equal."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from sqlkit import AsyncDatabase, Database
from sqlkit.apps.soleil import ChartedSong, NewSong, NewUser, Section, queries, sync
from sqlkit.apps.soleil.songlist import TUNES, SongListError, read_song_list

STANDARDS = Path(__file__).parent.parent.parent / "shared" / "data" / "jazz_standards.json"
needs_standards = pytest.mark.skipif(not STANDARDS.exists(), reason="jazz_standards.json is not ours to carry")

ELLA = NewUser(email="ella@example.org", google_id="google-ella", display_name="Ella")


def facts(song: NewSong | ChartedSong) -> dict[str, Any]:
    """Return what was written of a song."""
    return song.model_dump(include=set(NewSong.model_fields))


def entry(song: ChartedSong) -> dict[str, Any]:
    """Write a song as the song list has it."""
    known = {"Title": song.title, "Composer": song.artist, "Key": song.key, "Rhythm": song.rhythm}
    known["TimeSignature"] = song.time_signature
    sections = [part(section) for section in song.chart.sections] if song.chart else []
    return {name: value for name, value in known.items() if value is not None} | {"Sections": sections}


def part(section: Section) -> dict[str, Any]:
    """Write a section as the song list has it."""
    written: dict[str, Any] = {"Label": section.label, "Repeats": section.repeats}
    written = {name: value for name, value in written.items() if value is not None}
    written["MainSegment"] = {"Chords": section.chords}
    if section.endings:
        written["Endings"] = [{"Chords": chords} for chords in section.endings]
    return written


def import_and_read(dsn: str) -> tuple[list[NewSong], list[ChartedSong]]:
    """Copy the standards in and stream them out."""
    with Database.connect(dsn) as db:
        user = sync.users.create_user(db, user=ELLA)
        songs = [song.for_user(user.user_id) for song in read_song_list(STANDARDS)]
        assert sync.songs.import_songs(db, songs) == 1382
        with sync.repertoire.stream_repertoire(db, user_id=user.user_id) as rows:
            return songs, list(rows)


async def import_and_read_async(dsn: str) -> tuple[list[NewSong], list[ChartedSong]]:
    """Copy the standards in and stream them out, on asyncio."""
    async with AsyncDatabase.connect(dsn) as db:
        user = await queries.users.create_user(db, user=ELLA)
        songs = [song.for_user(user.user_id) for song in read_song_list(STANDARDS)]
        assert await queries.songs.import_songs(db, songs) == 1382
        async with queries.repertoire.stream_repertoire(db, user_id=user.user_id) as rows:
            return songs, [song async for song in rows]


@needs_standards
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_standards_in_and_out(soleil_dsn: str, colour: str) -> None:
    """All 1,382 songs go in by one copy and come out equal, field by field and as the entries of their file."""
    written, read = import_and_read(soleil_dsn) if colour == "sync" else asyncio.run(import_and_read_async(soleil_dsn))
    assert len({song.song_id for song in read}) == 1382

    def by_all(song: dict[str, Any]) -> str:
        return json.dumps(song, sort_keys=True, default=str)

    assert sorted(map(facts, read), key=by_all) == sorted(map(facts, written), key=by_all)
    entries = json.loads(STANDARDS.read_text(encoding="utf-8"))
    assert sorted(map(entry, read), key=by_all) == sorted(entries, key=by_all)


@needs_standards
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_standards_by_batch(soleil_dsn: str, colour: str) -> None:
    """The same songs go in by one pipelined batch, which gives them back in the order of the file."""

    def titles(songs: list[Any]) -> list[str]:
        return [song.title for song in songs]

    listed = read_song_list(STANDARDS)
    if colour == "sync":
        with Database.connect(soleil_dsn) as db:
            user = sync.users.create_user(db, user=ELLA)
            created = sync.songs.create_songs(db, (song.for_user(user.user_id) for song in listed))
    else:

        async def create() -> Any:
            async with AsyncDatabase.connect(soleil_dsn) as db:
                user = await queries.users.create_user(db, user=ELLA)
                return await queries.songs.create_songs(db, (song.for_user(user.user_id) for song in listed))

        created = asyncio.run(create())
    assert titles(created) == titles(listed)


def test_tunes() -> None:
    """The list in the package has some forty tunes, each with all that a musician asks for, none twice."""
    tunes = read_song_list(TUNES)
    assert 40 <= len(tunes) == len({tune.title for tune in tunes})
    for tune in tunes:
        known = (tune.composer, tune.key, tune.rhythm, tune.time_signature, tune.tempo, tune.genre)
        assert None not in known, tune.title


def test_csv_with_few_columns(tmp_path: Path) -> None:
    """A title is enough; other columns are taken where they are known, an empty field is not known."""
    path = tmp_path / "list.csv"
    path.write_text('﻿title,tempo,mood\n"Oh, Lady",120,gay\nDinah,,\n', encoding="utf-8")
    user_id = uuid4()
    assert [song.for_user(user_id) for song in read_song_list(path)] == [
        NewSong(user_id=user_id, title="Oh, Lady", tempo=120),
        NewSong(user_id=user_id, title="Dinah"),
    ]


def test_json_of_a_song_without_sections(tmp_path: Path) -> None:
    """A song of which only the title is known has no chart, and one with no sections an empty one."""
    path = tmp_path / "list.json"
    path.write_text('[{"Title": "Dinah"}, {"Title": "Avalon", "Sections": []}]')
    first, second = (song.for_user(UUID(int=0)) for song in read_song_list(path))
    assert first.chart is None
    assert second.chart is not None
    assert second.chart.sections == []


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("none.json", None, "none.json: no such file"),
        ("list.json", b"[{", "list.json: no JSON: "),
        ("list.json", b'{"Title": "Dinah"}', "list.json: an array of songs is wanted"),
        ("list.json", b'[{"Title": "Dinah"}, {"Composer": "secret"}]', "list.json: song 2: Title: field required"),
        ("list.json", b'[{"Title": ""}]', "list.json: song 1: Title: string should have at least 1"),
        ("list.json", b'[{"Title": "D", "Sections": [{}]}]', r"song 1: Sections.0.MainSegment: field required"),
        ("list.json", b"[7]", "list.json: song 1: input should be"),
        ("list.csv", b"name\nDinah\n", "list.csv:1: no column title"),
        ("list.csv", b"title,tempo\nDinah,fast\n", "list.csv: line 2: tempo: input should be a valid integer"),
        ("list.csv", b"title,tempo\nDinah,401\n", "list.csv: line 2: tempo: input should be less than"),
        ("list.csv", "title\nS\xf3\n".encode("latin-1"), "list.csv: byte 7 is no UTF-8"),
    ],
)
def test_lists_that_cannot_be_read(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    """What is wrong with a list is said with the file and the song, without its values."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SongListError, match=reason) as refused:
        read_song_list(path)
    assert "secret" not in str(refused.value)
    assert "fast" not in str(refused.value)
