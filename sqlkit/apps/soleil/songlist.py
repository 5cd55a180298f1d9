"""Song lists: files of songs to import.

A ``.json`` file is an array of objects with ``Title``, ``Composer``, ``Key``, ``Rhythm``, ``TimeSignature`` and
``Sections`` (all but the title may be missing), as collections of lead sheets are published. A ``.csv`` file has a
header with ``title``, and whichever it knows of ``composer``, ``key``, ``rhythm``, ``time_signature``, ``tempo`` and
``genre``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sqlkit.apps.soleil.models import Chart, NewSong, Section, Tempo, Text
from sqlkit.errors import SqlkitError

__all__ = ["TUNES", "ListedSong", "SongListError", "read_song_list"]

#: A list that comes with the package: well-known tunes, traditional ones and such as are in the public domain.
TUNES = Path(__file__).with_name("tunes.csv")


class SongListError(SqlkitError):
    """A song list that cannot be read; the message names the file and the song."""


class _Part(BaseModel):
    chords: str = Field(alias="Chords")


class _Section(BaseModel):
    label: str | None = Field(None, alias="Label")
    repeats: int | None = Field(None, alias="Repeats")
    main: _Part = Field(alias="MainSegment")
    endings: list[_Part] = Field([], alias="Endings")

    def section(self) -> Section:
        endings = [ending.chords for ending in self.endings]
        return Section(label=self.label, repeats=self.repeats, chords=self.main.chords, endings=endings)


class ListedSong(BaseModel):
    """A song as either kind of file has it."""

    model_config = ConfigDict(populate_by_name=True)

    title: Text = Field(alias="Title")
    composer: str | None = Field(None, alias="Composer")
    key: str | None = Field(None, alias="Key")
    rhythm: str | None = Field(None, alias="Rhythm")
    time_signature: str | None = Field(None, alias="TimeSignature")
    tempo: Tempo | None = None
    genre: str | None = None
    sections: list[_Section] | None = Field(None, alias="Sections")

    def for_user(self, user_id: UUID) -> NewSong:
        """Return the song for a user's repertoire; its composer stands for the artist."""
        sections = self.sections
        return NewSong(
            user_id=user_id,
            title=self.title,
            artist=self.composer,
            key=self.key,
            rhythm=self.rhythm,
            time_signature=self.time_signature,
            tempo=self.tempo,
            genre=self.genre,
            chart=None if sections is None else Chart(sections=[section.section() for section in sections]),
        )


def read_song_list(path: Path) -> list[ListedSong]:
    """Read the songs of a file; SongListError names what cannot be read."""
    songs = []
    for place, entry in _entries(path):
        try:
            songs.append(ListedSong.model_validate(entry))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ": ".join(filter(None, (str(path), place, ".".join(map(str, first["loc"])))))
            raise SongListError(f"{where}: {first['msg'].lower()}") from None
    return songs


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield each song with its place in the file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SongListError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError as error:
        raise SongListError(f"{path}: byte {error.start} is no UTF-8; save the list as UTF-8") from None
    if path.suffix.lower() == ".csv":
        yield from _csv_entries(path, text)
    else:
        yield from _json_entries(path, text)


def _json_entries(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    try:
        entries = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise SongListError(f"{path}: no JSON: {str(error).lower()}; a list ends in .json or .csv") from None
    if not isinstance(entries, list):
        raise SongListError(f"{path}: an array of songs is wanted")
    yield from ((f"song {number}", entry) for number, entry in enumerate(entries, 1))


def _csv_entries(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, str | None]]]:
    reader = csv.DictReader(text.splitlines())
    if "title" not in (reader.fieldnames or ()):
        raise SongListError(f"{path}:1: no column title")
    for row in reader:
        yield f"line {reader.line_num}", {name: value or None for name, value in row.items() if name}
