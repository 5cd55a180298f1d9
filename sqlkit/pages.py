"""Pages: by the keys of the last row (keyset), or by ``skip`` and ``limit``.

The SQL stays in the application's file. A keyset page costs the same wherever it is, and no row is missed or shown
twice when others come and go::

    select song_id, title, created_at
    from songs
    where
        user_id = :user_id
        --? optional {
        and (title, song_id) > (:after.title, :after.song_id)                   --| order: title
        -- and (created_at, song_id) < (:after.created_at, :after.song_id)      --| order: newest
        --? }
    order by title, song_id                         --| order: title
    -- order by created_at desc, song_id desc       --| order: newest
    limit :limit;

    class AfterSong(BaseModel):
        song_id: int
        title: str | None = None
        created_at: datetime | None = None

    SONGS = Keyset(AfterSong, title=("title", "song_id"), newest=("created_at", "song_id"))

    def page(db, token, order, limit):
        after = SONGS.after(token, order)           # None for the first page
        rows = songs.list_songs(db, user_id=1, after=after, order=order, limit=limit + 1)
        return SONGS.page(rows, limit, order)       # Page[Song] with the token of the next page
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, Field

from sqlkit.errors import ArgumentError

__all__ = ["AfterLimit", "Keyset", "OffsetPage", "Page", "PageTokenError", "SkipLimit", "offset_page"]

T = TypeVar("T")
C = TypeVar("C", bound=BaseModel)


class PageTokenError(ArgumentError):
    """A token of a page that this list did not give, or not in this order; it is not quoted."""


class Page(BaseModel, Generic[T]):
    """Some rows, and the token of the page after them: None where there is none."""

    items: list[T]
    next: str | None = None


class OffsetPage(BaseModel, Generic[T]):
    """Some rows behind ``skip`` others, at most ``limit``; ``total`` is how many there are in all, if counted."""

    items: list[T]
    skip: int
    limit: int
    total: int | None = None


class SkipLimit(BaseModel):
    """The query parameters of an offset page."""

    skip: int = Field(0, ge=0, le=2**63 - 1)
    limit: int = Field(50, ge=1, le=1000)


class AfterLimit(BaseModel):
    """The query parameters of a keyset page: the token that the page before gave, if any."""

    after: str | None = Field(None, max_length=4096)
    limit: int = Field(50, ge=1, le=1000)


class Keyset(Generic[C]):
    """The keys of a list's orders: ``Keyset(AfterSong, title=("title", "song_id"))``.

    ``cursor`` is the model of the statement's ``:after``: it has the key fields of all orders by name and type. With
    one order alone, no keyword is needed: all fields are its keys, and ``order`` is left away everywhere.
    """

    def __init__(self, cursor: type[C], **orders: Sequence[str]) -> None:
        self.cursor = cursor
        self.orders = orders or {"": tuple(cursor.model_fields)}

    def after(self, token: str | None, order: str = "") -> C | None:
        """Return the cursor that a token says: None for the first page, PageTokenError for a token that is not ours."""
        raise NotImplementedError

    def token(self, row: Any, order: str = "") -> str:
        """Return the token of the page after a row, which has the key fields as attributes."""
        raise NotImplementedError

    def page(self, rows: Sequence[T], limit: int, order: str = "") -> Page[T]:
        """Make a page of the rows that a statement found with ``limit + 1``: the one too many says there are more."""
        raise NotImplementedError


def offset_page(rows: Sequence[T], skip: int, limit: int, total: int | None = None) -> OffsetPage[T]:
    """Make an offset page of the rows that a statement found."""
    return OffsetPage(items=list(rows), skip=skip, limit=limit, total=total)
