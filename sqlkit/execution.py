"""A statement on a connection: the verbs one, optional, all, stream, affected, copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import psycopg

__all__ = ["AsyncExecutor", "AsyncLender", "Executor", "Lender", "Local"]


@dataclass(frozen=True, slots=True)
class Local:
    """What a bound view sets in the transaction of each call, by ``set_config(name, value, true)``.

    ``settings`` are (name, value) pairs, in order; ``path`` is the value given to ``search_path``, or None where the
    connection's own stands: prepared statements and row makers are remembered by it.
    """

    settings: tuple[tuple[str, str], ...]
    path: str | None = None


class Lender(Protocol):
    """Lends connections: what a query needs of a Database, or of a bound view of one."""

    @property
    def local(self) -> Local | None:
        """What to set in the transaction of each call; None for a call without a transaction around it."""
        ...

    def lend(self, holder: object) -> psycopg.Connection[Any]:
        """Lend an idle connection in autocommit; ``str(holder)`` says who holds it, if anyone asks."""
        ...

    def take_back(self, conn: psycopg.Connection[Any]) -> None:
        """Take a lent connection back."""
        ...


class AsyncLender(Protocol):
    """Lends connections on asyncio: what a query needs of an AsyncDatabase, or of a bound view of one."""

    @property
    def local(self) -> Local | None:
        """What to set in the transaction of each call; None for a call without a transaction around it."""
        ...

    async def lend(self, holder: object) -> psycopg.AsyncConnection[Any]:
        """Lend an idle connection in autocommit; ``str(holder)`` says who holds it, if anyone asks."""
        ...

    async def take_back(self, conn: psycopg.AsyncConnection[Any]) -> None:
        """Take a lent connection back."""
        ...


Executor: TypeAlias = psycopg.Connection[Any] | Lender
AsyncExecutor: TypeAlias = psycopg.AsyncConnection[Any] | AsyncLender
