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

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from sqlkit.errors import ArgumentError

__all__ = ["AfterLimit", "Keyset", "OffsetPage", "Page", "PageTokenError", "SkipLimit", "offset_page"]

LONGEST_TOKEN = 4096  # characters: a key is an id or a title, not a document

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

    after: str | None = Field(None, max_length=LONGEST_TOKEN)
    limit: int = Field(50, ge=1, le=1000)


class Keyset(Generic[C]):
    """The keys of a list's orders: ``Keyset(AfterSong, title=("title", "song_id"))``.

    ``cursor`` is the model of the statement's ``:after``: it has the key fields of all orders by name and type. With
    one order alone, no keyword is needed: all fields are its keys, and ``order`` is left away everywhere.
    """

    def __init__(self, cursor: type[C], **orders: Sequence[str]) -> None:
        self.cursor = cursor
        self.orders = {order: tuple(keys) for order, keys in orders.items()} or {"": tuple(cursor.model_fields)}
        wanted = {name: None for keys in self.orders.values() for name in keys}
        if unknown := [name for name in wanted if name not in cursor.model_fields]:
            raise ArgumentError(f"{cursor.__name__}: has no field {unknown[0]!r} for a key of a page")
        self._adapters = {name: _adapter(cursor.model_fields[name]) for name in wanted}

    def after(self, token: str | None, order: str = "") -> C | None:
        """Return the cursor that a token says: None for the first page, PageTokenError for a token that is not ours.

        Its shape and the types of its values are proved. It is not signed: who writes one of their own gets another
        page of the same list, and no row that the statement would not give them.
        """
        keys = self._keys(order)
        if token is None:
            return None
        parts = _decoded(token)
        if len(parts) != len(keys) + 1 or parts[0] != self._fingerprint(order):
            raise PageTokenError("page token: it is of another list or another order")
        try:
            named = zip(keys, parts[1:], strict=True)
            values = {name: self._adapters[name].validate_json(json.dumps(part)) for name, part in named}
        except ValidationError:  # which quotes its input
            raise PageTokenError("page token: a key in it has the wrong type") from None
        return self.cursor.model_construct(_fields_set=set(keys), **values)

    def token(self, row: Any, order: str = "") -> str:
        """Return the token of the page after a row, which has the key fields as attributes."""
        keys = self._keys(order)
        values = [self._adapters[name].dump_python(getattr(row, name), mode="json") for name in keys]
        text = json.dumps([self._fingerprint(order), *values], ensure_ascii=False, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    def page(self, rows: Sequence[T], limit: int, order: str = "") -> Page[T]:
        """Make a page of the rows that a statement found with ``limit + 1``: the one too many says there are more."""
        if limit < 1:
            raise ArgumentError(f"{self.cursor.__name__}: a page has one row or more")
        items = list(rows[:limit])
        return Page(items=items, next=self.token(items[-1], order) if len(rows) > limit else None)

    def _keys(self, order: str) -> tuple[str, ...]:
        try:
            return self.orders[order]
        except KeyError:
            raise ArgumentError(f"{self.cursor.__name__}: no such order; it has {', '.join(self.orders)}") from None

    def _fingerprint(self, order: str) -> str:
        """Say which list and order a token is of, so that another's is refused."""
        text = "\0".join((self.cursor.__name__, order, *self._keys(order)))
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def _adapter(field: FieldInfo) -> TypeAdapter[Any]:
    annotation: Any = field.annotation
    for constraint in field.metadata:
        annotation = Annotated[annotation, constraint]
    return TypeAdapter(annotation)


def _decoded(token: str) -> list[Any]:
    """Return what stands in a token; PageTokenError where it is none, or holds what no text of PostgreSQL can."""
    try:
        if len(token) > LONGEST_TOKEN:
            raise ValueError
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
        parts = json.loads(text)
        if not isinstance(parts, list) or any(isinstance(part, str) and "\0" in part for part in parts):
            raise ValueError
        json.dumps(parts, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError):
        raise PageTokenError("page token: it is not one that a page gave") from None
    return parts


def offset_page(rows: Sequence[T], skip: int, limit: int, total: int | None = None) -> OffsetPage[T]:
    """Make an offset page of the rows that a statement found."""
    return OffsetPage(items=list(rows), skip=skip, limit=limit, total=total)
