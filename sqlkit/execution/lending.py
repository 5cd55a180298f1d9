"""Who lends connections to a query, and how one is borrowed: the first argument of each method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

import psycopg

if TYPE_CHECKING:
    from sqlkit.execution.query import Query

__all__ = [
    "AsyncExecutor",
    "AsyncLender",
    "Executor",
    "Lender",
    "Local",
    "borrow",
    "borrow_async",
    "elsewhere",
    "lend",
    "lend_async",
]


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


def borrow(db: Executor, query: Query) -> tuple[psycopg.Connection[Any], Local | None, Lender | None]:
    """Return a connection, what to set on it in each transaction, and whom to give it back to, if anyone."""
    if isinstance(db, psycopg.Connection):
        return db, None, None
    return lend(db, query), db.local, db


def lend(db: Lender, query: Query) -> psycopg.Connection[Any]:
    """Borrow a connection; TypeError where there is none to borrow."""
    give: Callable[[object], Any] | None = getattr(db, "lend", None)
    conn = None if give is None else give(query)
    if isinstance(conn, psycopg.Connection):
        return conn
    close = getattr(conn, "close", None)  # a coroutine that nobody will await
    if close is not None:
        close()
    raise not_an_executor(query, db, "a psycopg Connection or a Database")


async def borrow_async(
    db: AsyncExecutor, query: Query
) -> tuple[psycopg.AsyncConnection[Any], Local | None, AsyncLender | None]:
    """Return an asynchronous connection, what to set on it, and whom to give it back to, if anyone."""
    if isinstance(db, psycopg.AsyncConnection):
        return db, None, None
    return await lend_async(db, query), db.local, db


async def lend_async(db: AsyncLender, query: Query) -> psycopg.AsyncConnection[Any]:
    """Borrow an asynchronous connection; TypeError where there is none to borrow."""
    give: Callable[[object], Any] | None = getattr(db, "lend", None)
    if give is None or isinstance(db, psycopg.Connection):
        raise not_an_executor(query, db, "a psycopg AsyncConnection or an AsyncDatabase")
    pending = give(query)
    if isinstance(pending, psycopg.Connection):
        cast("Lender", db).take_back(pending)
        raise not_an_executor(query, db, "a psycopg AsyncConnection or an AsyncDatabase")
    conn: psycopg.AsyncConnection[Any] = await pending
    return conn


def elsewhere(
    db: object, conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], query: Query, error: psycopg.Error
) -> Any:
    """Return a lender of other connections for a read that failed on a replica; None where the error is the answer."""
    go_on: Callable[..., Any] | None = getattr(getattr(conn, "_pool", None), "go_on", None)
    return None if go_on is None else go_on(db, conn, query, error)


def not_an_executor(query: Query, db: object, wanted: str) -> TypeError:
    """Return the error for a first argument that is neither a connection nor a lender of this colour."""
    return TypeError(f"{query.label}: takes {wanted}, not {type(db).__name__}")
