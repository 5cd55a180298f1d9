"""Keyset pages, offset pages and partial updates, on statements as applications write them."""

from __future__ import annotations

import base64
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, ValidationError

import sqlkit
from sqlkit import Affected, Executor
from sqlkit.annotations import UNSET
from sqlkit.errors import ArgumentError
from sqlkit.pages import AfterLimit, Keyset, OffsetPage, Page, PageTokenError, SkipLimit, offset_page
from sqlkit.patches import UNCHANGED, Changes, is_empty, set_fields

STATEMENTS = """
-- name: list_songs
select song_id, title, tempo, created_at
from songs
where
    true
    --? optional {
    and (title, song_id) > (:after.title, :after.song_id)                       --| order: title
    -- and (created_at, song_id) < (:after.created_at, :after.song_id)          --| order: newest
    --? }
order by title, song_id                         --| order: title
-- order by created_at desc, song_id desc       --| order: newest
limit :limit;

-- name: skip_songs
select song_id, title, tempo, created_at from songs order by song_id offset :skip limit :limit;

-- name: update_by_names
update songs
set
    title = :title,     --? optional
    tempo = :tempo,     --? optional
    song_id = song_id
where song_id = :song_id;

-- name: update_by_model
update songs
set
    title = :changes.title,     --? optional
    tempo = :changes.tempo,     --? optional
    song_id = song_id
where song_id = :song_id;
"""

START = datetime(2026, 11, 21, tzinfo=UTC)


class Song(BaseModel):
    song_id: int
    title: str
    tempo: int | None
    created_at: datetime


class AfterSong(BaseModel):
    song_id: int
    title: str | None = None
    created_at: AwareDatetime | None = None


class SongChanges(Changes):
    title: str = UNCHANGED
    tempo: int | None = UNCHANGED


class SongQueries(Protocol):
    def list_songs(
        self,
        db: Executor,
        *,
        after: AfterSong | None = None,
        order: Literal["title", "newest"] = "title",
        limit: int = 50,
    ) -> list[Song]: ...
    def skip_songs(self, db: Executor, *, skip: int, limit: int) -> list[Song]: ...
    def update_by_names(self, db: Executor, *, song_id: int, title: Any = UNSET, tempo: Any = UNSET) -> Affected: ...
    def update_by_model(self, db: Executor, *, song_id: int, changes: SongChanges) -> Affected: ...


SONGS = Keyset(AfterSong, title=("title", "song_id"), newest=("created_at", "song_id"))
ORDERS: list[Literal["title", "newest"]] = ["title", "newest"]


@pytest.fixture
def songs(tmp_path: Path) -> SongQueries:
    """Give the statements above."""
    path = tmp_path / "songs.sql"
    path.write_text(STATEMENTS, encoding="utf-8")
    loaded: SongQueries = sqlkit.load(SongQueries, path)
    return loaded


@pytest.fixture
def db(conn: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Give a connection with eleven songs, of which many share a title and a time."""
    conn.execute(
        "create temp table songs (song_id int primary key, title text not null, tempo int, created_at timestamptz)"
    )
    with conn.cursor() as cursor:
        rows = [(n, "ABC"[n % 3], 100 + n, START + timedelta(microseconds=n // 4)) for n in range(11)]
        cursor.executemany("insert into songs values (%s, %s, %s, %s)", rows)
    return conn


def pages(db: Executor, songs: SongQueries, order: Literal["title", "newest"], limit: int) -> list[Page[Song]]:
    """Read a list page by page, as a caller does who has the tokens alone."""
    token: str | None = None
    found: list[Page[Song]] = []
    while not found or token is not None:
        rows = songs.list_songs(db, after=SONGS.after(token, order), order=order, limit=limit + 1)
        found.append(SONGS.page(rows, limit, order))
        token = found[-1].next
    return found


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("limit", [1, 2, 5, 10, 11, 12])
def test_pages_have_every_row_once(
    db: psycopg.Connection[Any], songs: SongQueries, order: Literal["title", "newest"], limit: int
) -> None:
    """Page after page gives the list in its order, none missed, none twice, the last page without a token."""
    found = pages(db, songs, order, limit)
    whole = songs.list_songs(db, order=order, limit=100)
    assert [song for page in found for song in page.items] == whole
    assert len(found) == -(-11 // limit)


def test_rows_that_come_between_are_not_shown_twice(db: psycopg.Connection[Any], songs: SongQueries) -> None:
    """A row that is added before the page that was read moves nothing; offset pages would repeat one."""
    first = SONGS.page(songs.list_songs(db, limit=4), 3, "title")
    db.execute("insert into songs values (99, '', 1, now())")
    after = SONGS.after(first.next, "title")
    second = SONGS.page(songs.list_songs(db, after=after, limit=4), 3, "title")
    assert not {song.song_id for song in first.items} & {song.song_id for song in second.items}


def test_the_cursor_has_the_keys_of_its_order_alone() -> None:
    """What is no key of the order is not set, so that the statement's other lines stay away."""
    row = AfterSong(song_id=1, title="A", created_at=START)
    after = SONGS.after(SONGS.token(row, "newest"), "newest")
    assert after is not None
    assert after.model_fields_set == {"song_id", "created_at"}
    assert after.title is None
    assert SONGS.after(None, "newest") is None


def test_one_order_needs_no_name() -> None:
    """A list with one order has all fields of the cursor as its keys."""

    class AfterId(BaseModel):
        song_id: int

    keyset = Keyset(AfterId)
    page = keyset.page([AfterId(song_id=1), AfterId(song_id=2)], 1)
    assert keyset.after(page.next) == AfterId(song_id=1)


class Keys(BaseModel):
    number: int
    text: str
    money: Decimal
    moment: AwareDatetime
    key: UUID
    flag: bool | None


@given(
    st.builds(
        Keys,
        number=st.integers(),
        text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50),
        money=st.decimals(allow_nan=False, allow_infinity=False),
        moment=st.datetimes(timezones=st.just(UTC)),
    )
)
def test_tokens_keep_every_value(keys: Keys) -> None:
    """What goes into a token comes out of it, to the last digit and microsecond."""
    keyset = Keyset(Keys)
    assert keyset.after(keyset.token(keys)) == keys


def token_of(*parts: Any, order: str = "title") -> str:
    """Write a token by hand."""
    return base64.urlsafe_b64encode(json.dumps([SONGS._fingerprint(order), *parts]).encode()).decode().rstrip("=")


BAD_TOKENS = {
    "empty": "",
    "no base64": "!!!",
    "not ASCII": "é",
    "bytes that are no text": base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    "no JSON": base64.urlsafe_b64encode(b"[1").decode(),
    "no list": base64.urlsafe_b64encode(b'{"a": 1}').decode(),
    "deep": base64.urlsafe_b64encode(b"[" * 3000).decode(),
    "long": "A" * 5000,
    "no keys": token_of(),
    "one key too few": token_of("A"),
    "one key too many": token_of("A", 1, 2),
    "a number for a text": token_of(1, 1),
    "a text for a number": token_of("A", "secret"),
    "null in a text": token_of("A\0", 1),
    "half a character": token_of("\ud800", 1),
    "another order": token_of("A", 1, order="newest"),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_token_that_is_not_ours_is_refused(name: str) -> None:
    """A bad token is one clear error that does not quote it."""
    with pytest.raises(PageTokenError, match=r"^page token: ") as refused:
        SONGS.after(BAD_TOKENS[name], "title")
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


@given(st.text(max_size=60))
def test_no_text_is_more_than_refused(token: str) -> None:
    """Whatever a stranger writes as a token is refused, and is no other error."""
    with pytest.raises(PageTokenError):
        SONGS.after(token, "title")


def test_a_token_of_another_list_is_refused() -> None:
    """Two lists with the same kinds of keys do not take each other's tokens."""

    class AfterBand(AfterSong):
        pass

    token = SONGS.token(AfterSong(song_id=1, title="A"), "title")
    with pytest.raises(PageTokenError, match="another list"):
        Keyset(AfterBand, title=("title", "song_id")).after(token, "title")


def test_keys_and_orders_are_known_beforehand() -> None:
    """A key that is no field, an order that there is not, and a page without rows are the programmer's errors."""
    with pytest.raises(ArgumentError, match="AfterSong: has no field 'name'"):
        Keyset(AfterSong, title=("name",))
    with pytest.raises(ArgumentError, match="no such order; it has title, newest"):
        SONGS.after(None, "tempo")
    with pytest.raises(ArgumentError, match="one row or more"):
        SONGS.page([], 0, "title")


def test_pages_are_models() -> None:
    """A page says its shape to OpenAPI, and takes its rows as they are."""
    assert Page[Song].model_json_schema()["properties"].keys() == {"items", "next"}
    assert Page[Song](items=[], next=None).model_dump() == {"items": [], "next": None}


def test_offset_pages(db: psycopg.Connection[Any], songs: SongQueries) -> None:
    """Rows behind a number of others, with their number in all where it was counted."""
    rows = songs.skip_songs(db, skip=9, limit=5)
    page: OffsetPage[Song] = offset_page(rows, 9, 5, total=11)
    assert [song.song_id for song in page.items] == [9, 10]
    assert (page.skip, page.limit, page.total) == (9, 5, 11)


@pytest.mark.parametrize("model", [SkipLimit, AfterLimit])
@pytest.mark.parametrize("values", [{"limit": 0}, {"limit": 1001}, {"skip": -1}, {"after": "A" * 5000}])
def test_parameters_of_pages_have_bounds(model: type[BaseModel], values: dict[str, Any]) -> None:
    """What would make a page too large, or begin before the first row, is refused."""
    (name,) = values
    if name not in model.model_fields:
        assert model(**values) == model()
        return
    with pytest.raises(ValidationError):
        model(**values)


CHANGES = [
    (SongChanges(), ("A", 100)),
    (SongChanges(title="New"), ("New", 100)),
    (SongChanges(tempo=None), ("A", None)),
    (SongChanges(title="New", tempo=7), ("New", 7)),
]


@pytest.mark.parametrize(("changes", "after"), CHANGES)
def test_changes_write_what_was_given(
    db: psycopg.Connection[Any], songs: SongQueries, changes: SongChanges, after: tuple[str, int | None]
) -> None:
    """By names and by the model alike: a field that was given is written, None too; the others stay."""
    with db.transaction(force_rollback=True):
        assert songs.update_by_names(db, song_id=0, **set_fields(changes)) == 1
        assert db.execute("select title, tempo from songs where song_id = 0").fetchone() == after
    assert songs.update_by_model(db, song_id=0, changes=changes) == 1
    assert db.execute("select title, tempo from songs where song_id = 0").fetchone() == after


def test_what_was_not_given_is_unset() -> None:
    """Every field has its place; nothing given is empty, and so is a field that was given as unset."""
    assert set_fields(SongChanges(title="New")) == {"title": "New", "tempo": UNSET}
    assert is_empty(SongChanges())
    assert is_empty(SongChanges.model_validate({"tempo": UNSET}))
    assert not is_empty(SongChanges(tempo=None))


def test_changes_refuse_what_they_do_not_know() -> None:
    """A misspelt field is an error, not a change that gets lost; a column that takes no NULL takes no None."""
    with pytest.raises(ValidationError, match="extra_forbidden"):
        SongChanges.model_validate({"titel": "New"})
    with pytest.raises(ValidationError, match="string_type"):
        SongChanges.model_validate({"title": None})


def test_the_schema_of_changes_has_no_defaults() -> None:
    """JSON Schema, and so OpenAPI, says that the fields may be left away, and no default that nobody can send."""
    schema = SongChanges.model_json_schema()
    assert "required" not in schema
    assert "UNSET" not in json.dumps(schema)
    assert SongChanges.model_json_schema(mode="serialization")["properties"].keys() == {"title", "tempo"}


def test_the_page_on_pages_runs(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program of docs/pages.md does what the page says."""
    page = (Path(__file__).parent.parent / "docs/pages.md").read_text(encoding="utf-8")
    (tmp_path / "songs.sql").write_text(re.findall(r"```sql\n(.*?)```", page, re.DOTALL)[0], encoding="utf-8")
    program = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    names: dict[str, Any] = {"dsn": dsn, "__name__": "pages"}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "pages", ModuleType("pages"))
    exec(compile(program, "docs/pages.md", "exec", dont_inherit=True), names)
    with names["db"] as db:
        assert names["page"](db).next is not None
