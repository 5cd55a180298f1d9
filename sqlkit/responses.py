"""Rows as the answer to a request over HTTP; ``sqlkit.fastapi`` gives it out."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from sqlkit.execution.streams import AsyncRows, Rows

__all__ = ["RowsResponse"]

T = TypeVar("T")

ROWS_AT_ONCE = 200  # as many as a stream holds


class RowsResponse(StreamingResponse):
    """Answer with a stream of rows, each written as text by a function; with flat memory, however many there are.

    ``rows`` is what a query returns as ``Rows`` or ``AsyncRows``, asked of the database itself: the connection of a
    dependency is given back by then. ``head`` stands before them. The first rows are read before the answer begins, so
    what the database refuses is answered as elsewhere. The stream is closed however the answer ends, when the client
    goes away too.
    """

    def __init__(self, rows: Rows[T] | AsyncRows[T], write: Callable[[T], str], head: str = "", **options: Any) -> None:
        texts = _texts_async(rows, write, head) if isinstance(rows, AsyncRows) else _texts(rows, write, head)
        super().__init__(texts, **options)
        self._rows = rows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        try:
            self.body_iterator = await _begun(self.body_iterator)
            await super().__call__(scope, receive, send)
        finally:
            if isinstance(self._rows, AsyncRows):
                await self._rows.close()
            else:
                await run_in_threadpool(self._rows.close)


def _texts(rows: Rows[T], write: Callable[[T], str], head: str) -> Iterator[str]:
    """Write many rows at once: each text is a change of threads."""
    each = iter(rows)
    while some := list(itertools.islice(each, ROWS_AT_ONCE)):
        yield head + "".join(map(write, some))
        head = ""
    yield head


async def _texts_async(rows: AsyncRows[T], write: Callable[[T], str], head: str) -> AsyncIterator[str]:
    parts = [head]
    async for row in rows:
        parts.append(write(row))
        if len(parts) > ROWS_AT_ONCE:
            yield "".join(parts)
            parts.clear()
    yield "".join(parts)


async def _begun(texts: AsyncIterable[Any]) -> AsyncIterator[Any]:
    """Read the first text; return it with the others behind it."""
    others = aiter(texts)
    first = await anext(others)

    async def all_of_them() -> AsyncIterator[Any]:
        yield first
        async for text in others:
            yield text

    return all_of_them()


RowsResponse.__module__ = "sqlkit.fastapi"  # its public address
