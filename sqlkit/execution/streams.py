"""Rows as a stream: in chunks, with flat memory, iterated and closed as ``flows`` says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import psycopg

from sqlkit.execution.courses import Course
from sqlkit.execution.flows import AsyncFlow, Flow
from sqlkit.execution.lending import AsyncExecutor, Executor
from sqlkit.execution.query import Query
from sqlkit.statements import Variant

__all__ = ["AsyncRows", "Rows"]

T = TypeVar("T")


class Rows(Generic[T]):
    """A stream of rows: an iterator, and a context manager that closes it.

    It takes its connection at the first row and frees it when it ends, is closed or leaves its ``with``; dropped
    (a ``break`` out of ``for row in query(...)``) it is closed too. Another statement on the connection while it is
    open raises ``ConnectionBusy``.
    """

    __sqlkit_stream__ = "sync"
    __module__ = "sqlkit"

    def __init__(self, db: Executor, query: Query, variant: Variant, values: Sequence[Any]) -> None:
        self._flow = Flow(db, Course(query, variant, values))
        self._chunk: Iterator[Any] = iter(())
        self._gate = threading.RLock()  # two threads may share a stream

    def __iter__(self) -> Iterator[T]:
        # A generator, which gives a chunk's rows without a call for each; next() goes on where it stands.
        chunk: Iterator[Any] | None = self._chunk
        while chunk is not None:
            yield from chunk
            chunk = self._behind(chunk)

    def __next__(self) -> T:
        chunk: Iterator[Any] | None = self._chunk
        while chunk is not None:
            for row in chunk:
                return row  # type: ignore[no-any-return]
            chunk = self._behind(chunk)
        raise StopIteration

    def _behind(self, chunk: Iterator[Any]) -> Iterator[Any] | None:
        """Return the chunk behind one that is read, which another thread may have fetched; None behind the last."""
        with self._gate:
            if self._chunk is chunk:
                try:
                    self._chunk = iter(self._flow.chunk())
                except StopIteration:
                    return None
            return self._chunk

    def close(self) -> None:
        """End the stream and free its connection; nothing happens the second time."""
        with self._gate:
            self._chunk = iter(())
            if not self._flow.ended:
                self._flow.end(failed=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        flow = self.__dict__.get("_flow")
        if flow is not None and flow.started:
            with suppress(psycopg.Error):  # nobody is there to hear of a lost connection
                self.close()


class AsyncRows(Generic[T]):
    """A stream of rows on asyncio: an asynchronous iterator, and an asynchronous context manager that closes it.

    It takes its connection at the first row and frees it when it ends, is closed or leaves its ``async with``. Dropped
    without either (a ``break`` out of ``async for``) it is closed by a task of its own, or by the next statement on
    the connection.
    """

    __sqlkit_stream__ = "async"
    __module__ = "sqlkit"

    def __init__(self, db: AsyncExecutor, query: Query, variant: Variant, values: Sequence[Any]) -> None:
        self._flow = AsyncFlow(db, Course(query, variant, values))
        self._chunk: Iterator[Any] = iter(())
        self._gate = asyncio.Lock()  # two tasks may share a stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while True:
            chunk = self._chunk
            for row in chunk:
                return row  # type: ignore[no-any-return]
            async with self._gate:
                if self._chunk is chunk:
                    self._chunk = iter(await self._flow.chunk())

    async def close(self) -> None:
        """End the stream and free its connection; nothing happens the second time."""
        async with self._gate:
            self._chunk = iter(())
            await self._flow.end(failed=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        flow = self.__dict__.get("_flow")
        if flow is not None and flow.started and not flow.ended:
            flow.drop()
