"""What both colours share: a procedure is a generator of steps, and one of two short loops takes them.

A step is a statement, a query of ``partition_queries`` or a pause; its answer comes back as the value of the
``yield``, its error is raised there. So a procedure reads as plain code, with ``try`` and ``finally``, and is written
once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg import sql

from sqlkit.operations.partition_queries import async_partitions, partitions

__all__ = ["Ask", "Run", "Sleep", "Step", "Steps", "drive", "drive_async"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Run:
    """A statement; its answer is the first row, or None where it has none."""

    statement: sql.SQL | sql.Composed

    def take(self, conn: psycopg.Connection[Any]) -> Any:
        """Run it."""
        with conn.cursor() as cursor:
            cursor.execute(self.statement, prepare=False)
            return cursor.fetchone() if cursor.description else None

    async def take_async(self, conn: psycopg.AsyncConnection[Any]) -> Any:
        """Run it."""
        async with conn.cursor() as cursor:
            await cursor.execute(self.statement, prepare=False)
            return await cursor.fetchone() if cursor.description else None


@dataclass(frozen=True, slots=True)
class Ask:
    """A query of ``partition_queries``, by its name; its answer is what the query returns."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def take(self, conn: psycopg.Connection[Any]) -> Any:
        """Ask it."""
        return getattr(partitions, self.name)(conn, **self.arguments)

    async def take_async(self, conn: psycopg.AsyncConnection[Any]) -> Any:
        """Ask it."""
        return await getattr(async_partitions, self.name)(conn, **self.arguments)


@dataclass(frozen=True, slots=True)
class Sleep:
    """A pause, in seconds."""

    seconds: float

    def take(self, conn: psycopg.Connection[Any]) -> None:  # noqa: ARG002
        """Wait."""
        time.sleep(self.seconds)

    async def take_async(self, conn: psycopg.AsyncConnection[Any]) -> None:  # noqa: ARG002
        """Wait."""
        await asyncio.sleep(self.seconds)


Step: TypeAlias = Run | Ask | Sleep
Steps: TypeAlias = Generator[Step, Any, T]


def drive(conn: psycopg.Connection[Any], steps: Steps[T]) -> T:
    """Take steps on a connection and return what they come to."""
    try:
        step = next(steps)
        while True:
            try:
                answer = step.take(conn)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


async def drive_async(conn: psycopg.AsyncConnection[Any], steps: Steps[T]) -> T:
    """Take steps on an asynchronous connection and return what they come to."""
    try:
        step = next(steps)
        while True:
            try:
                answer = await step.take_async(conn)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
