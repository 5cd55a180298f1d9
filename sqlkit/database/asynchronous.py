"""AsyncDatabase: a pool of PostgreSQL connections for the tasks of an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

import psycopg

from sqlkit.connection import AsyncPooledConnection, memory_of, send
from sqlkit.database.async_pool import AsyncPool
from sqlkit.database.async_replicas import AsyncPoolWithReplicas
from sqlkit.database.borrowing import Before, commits_cleanly, dress, ended, left_unusable, log, undress
from sqlkit.database.following import ASKING, Following, followed
from sqlkit.database.health import QUESTION, answered, unanswered
from sqlkit.database.options import (
    Begins,
    Health,
    Isolation,
    PoolStatus,
    Transaction,
    begins_with,
    default_local,
    migrating_dsn,
    narrowed,
    settled,
)
from sqlkit.database.positions import ASK_TOKEN, BEGIN, Mark, parsed_token, settled_end, written_token
from sqlkit.database.retries import Retries
from sqlkit.database.watching import ANSWER_WITHIN, answer
from sqlkit.errors import PoolExhausted
from sqlkit.places import Place, calling_place
from sqlkit.tally import Tally

if TYPE_CHECKING:
    from sqlkit.embedded import Embedded
    from sqlkit.execution.lending import Local
    from sqlkit.settings import Settings
    from sqlkit.statistics import Statistics

__all__ = ["AsyncBlock", "AsyncDatabase", "AsyncView", "Opening"]

T = TypeVar("T")
D = TypeVar("D", bound="AsyncDatabase")


class AsyncBlock(AbstractAsyncContextManager[psycopg.AsyncConnection[Any]]):
    """A lent connection: begins on first use, commits when its block ends well, else rolls back."""

    __slots__ = ("_before", "_begins", "_conn", "_pool", "_transaction", "done", "lost", "place", "sent")

    def __init__(self, pool: AsyncPool, begins: Begins, transaction: Transaction, place: Place) -> None:
        self._pool = pool
        self._begins = begins
        self._transaction = transaction
        self.place = place
        self.lost = False
        self.sent = self.done = 0

    async def __aenter__(self) -> psycopg.AsyncConnection[Any]:
        self._conn = conn = await self._pool.lend(self.place)
        self._before: Before = dress(conn, self._transaction, self._begins)
        return conn

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        conn, memory = self._conn, memory_of(self._conn)
        try:
            if memory.stream is not None:
                await memory.stream.close()
            if kind is None and commits_cleanly(conn, self.place):
                await conn.wait(ended(conn, self._pool.resets))
            elif not left_unusable(conn):
                await _roll_back(conn, self.place)
        finally:
            self.lost, self.sent, self.done = conn.closed, memory.commits, memory.committed
            self.place.frame = None  # which would keep the caller's variables
            undress(conn, self._before)
            await self._pool.take_back(conn)


async def _roll_back(conn: AsyncPooledConnection, place: Place) -> None:
    try:
        await conn.rollback()
    except psycopg.Error as error:  # the server rolls back what it can no longer hear of
        log.debug("%s: rollback failed: %s", place, type(error).__name__)


class AsyncView:
    """What may be done with the connections of a pool, for a tenant, a role or settings; see ``bound``.

    It lends to queries (it is an ``AsyncLender``) and gives connections to raw SQL. It holds nothing itself.
    """

    __module__ = "sqlkit.database"

    def __init__(self, pool: AsyncPool, local: Local | None) -> None:
        self._pool = pool
        self._begins = begins_with(local)
        self.local = local

    async def lend(self, holder: object) -> psycopg.AsyncConnection[Any]:
        """Lend an idle connection in autocommit to a query; ``holder`` says who, if anyone asks.

        Raises PoolExhausted when none comes in time.
        """
        return await self._pool.lend(holder)

    @property
    def tally(self) -> Tally:
        """What counts for the database: for what watches it, see ``sqlkit.telemetry``."""
        return self._pool.tally

    async def take_back(self, conn: psycopg.AsyncConnection[Any]) -> None:
        """Take a lent connection back; what is not as it was is put back, what is broken is replaced."""
        await self._pool.take_back(conn)  # type: ignore[arg-type]

    def connection(self) -> AbstractAsyncContextManager[psycopg.AsyncConnection[Any]]:
        """Lend a psycopg connection for raw SQL.

        It begins on first use, commits when the block ends well, rolls back when it does not, and is given
        back as it was. Raises PoolExhausted when none comes in time.
        """
        return AsyncBlock(self._pool, self._begins, Transaction(), calling_place())

    def transaction(
        self,
        isolation: Isolation | None = None,
        read_only: bool | None = None,
        deferrable: bool | None = None,
    ) -> AbstractAsyncContextManager[psycopg.AsyncConnection[Any]]:
        """Lend another connection for a transaction with these options; otherwise as ``connection``.

        Within it, ``conn.transaction()`` makes savepoints.
        """
        options = Transaction.of(isolation, read_only, deferrable)
        return AsyncBlock(self._pool, self._begins, options, calling_place())

    async def run(
        self,
        work: Callable[[psycopg.AsyncConnection[Any]], Awaitable[T]],
        *,
        attempts: int = 5,
        isolation: Isolation | None = None,
        read_only: bool | None = None,
    ) -> T:
        """Call ``work(conn)`` in a transaction and return its result; call it again where the server says so.

        It is called again after a serialization failure or a deadlock (from COMMIT too), and after a lost
        connection as long as no COMMIT was sent, so it must have no effect but on the database. Any other
        error is raised at once; after ``attempts`` calls, the last one with a note.
        """
        options = Transaction.of(isolation, read_only)
        retries = Retries(calling_place(), attempts)
        while True:
            block = AsyncBlock(self._pool, self._begins, options, calling_place())
            try:
                async with block as conn:
                    return await work(conn)
            except psycopg.Error as error:
                delay = retries.delay_after(error, lost=block.lost, sent=block.sent, done=block.done)
                if delay is None:
                    raise
            await asyncio.sleep(delay)

    def bound(
        self, schema: str | None = None, role: str | None = None, settings: Mapping[str, str] | None = None
    ) -> AsyncView:
        """Return a view of the same pool for a tenant's schema, a role, settings such as ``app.owner_id``.

        Each call through it is one transaction that sets them first, in the same round trip, and forgets
        them at its end. A view of a view has the settings of both.
        """
        return AsyncView(self._pool, narrowed(self.local, schema, role, settings or {}))


class Opening(AbstractAsyncContextManager[D], Awaitable[D]):
    """A database that is being opened: ``await`` it, or enter it by ``async with``, which closes it."""

    def __init__(self, opened: Callable[[], Coroutine[Any, Any, D]]) -> None:
        self._opened = opened

    def __await__(self) -> Generator[Any, Any, D]:
        return self._opened().__await__()

    async def __aenter__(self) -> D:
        self._database = await self._opened()
        return self._database

    async def __aexit__(self, *_: object) -> None:
        await self._database.close()


class AsyncDatabase(AsyncView):
    """A PostgreSQL database, with a pool of connections for tasks; made by ``connect`` or ``embedded``."""

    __module__ = "sqlkit"

    def __init__(self, settings: Settings) -> None:
        pool = AsyncPoolWithReplicas(settings) if settings.replicas else AsyncPool(settings)
        super().__init__(pool, default_local(settings))
        self.settings = settings
        self._server: Embedded | None = None

    @classmethod
    def connect(cls, settings: Settings | str | None = None, **overrides: Any) -> Opening[Self]:
        """Open the pool and wait for its first connection: ``await`` it, or enter it by ``async with``.

        ``settings`` may be a DSN; None reads the environment, ``.env`` and ``config.yml``. Keywords are settings too:
        ``replicas=[...]`` are the DSNs of standbys that serve reads. Raises ConfigurationError for settings that
        cannot be, PoolExhausted (a ``psycopg.OperationalError``, with psycopg's own as its cause) when the server
        cannot be reached within ``connect_timeout``.
        """
        return Opening(lambda: cls._connect(settings, overrides))

    @classmethod
    async def _connect(cls, settings: Settings | str | None, overrides: Mapping[str, Any]) -> Self:
        database = cls(settled(settings, overrides))
        pool = database._pool
        try:
            if await pool.start(database.settings.connect_timeout + 1):
                return database
            raise PoolExhausted(pool.unreachable()) from pool.trouble
        except BaseException:
            await pool.close(timeout=1)
            raise

    @classmethod
    def embedded(
        cls,
        folder: str | Path,
        *,
        schema: str | None = None,
        migrations: str | Path | None = None,
        **settings: Any,
    ) -> Opening[Self]:
        """Start a PostgreSQL of our own in a folder (or share the one that runs there) and connect to it.

        ``migrations`` is a folder of migrations to apply. Raises EmbeddedError, MigrationError.
        """
        return Opening(lambda: cls._embedded(Path(folder), migrations, {"schema": schema, **settings}))

    @classmethod
    async def _embedded(cls, folder: Path, migrations: str | Path | None, settings: Mapping[str, Any]) -> Self:
        from sqlkit.embedded import Embedded

        server = await asyncio.to_thread(Embedded.start, folder)
        try:
            database = await cls.connect(server.dsn, **settings)
            database._server = server
            if migrations is not None:
                await database.migrate(migrations)
        except BaseException:
            server.stop()
            raise
        return database

    async def migrate(self, folder: str | Path) -> None:
        """Apply the migrations of a folder to this database's schema; see ``sqlkit.migrate``."""
        from sqlkit.migrate import migrate

        dsn, schema = migrating_dsn(self.settings), self.settings.schema
        await asyncio.to_thread(migrate, dsn, Path(folder), schema=schema)

    async def resize(
        self,
        min_size: int | None = None,
        max_size: int | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
        max_lifetime: float | None = None,
    ) -> None:
        """Change the pool while it is in use; what is out and too much, or too old, closes on return.

        ``timeout`` is the wait for a connection, ``max_lifetime`` the age at which one is replaced, in seconds.
        """
        given = {"pool_min_size": min_size, "pool_max_size": max_size}
        times = {"pool_timeout": timeout, "pool_max_lifetime": max_lifetime}
        changes = {key: value for key, value in (given | times).items() if value is not None}
        settings = self.settings.replace(**changes)
        await self._pool.resize(settings.pool_min_size, settings.pool_max_size)
        self._pool.retime(settings.pool_timeout, settings.pool_max_lifetime)
        self.settings = settings

    def following(self, token: str | None = None, *, within: float | None = None) -> Following:
        """Return a block in whose reads nothing is older than what the block writes, or than a token of ``token()``.

        A read that may run on a replica goes to one that has it, else to the primary. With a token it waits for a
        replica that has not, ``within`` seconds at most (the setting ``replica_wait``). Raises ArgumentError for what
        is no token.
        """
        mark = BEGIN if token is None else parsed_token(token)
        wait = self.settings.replica_wait if within is None else within
        return Following(self._pool, mark, 0.0 if token is None else wait, watched=bool(self.settings.replicas))

    async def token(self) -> str:
        """Ask the primary for a token: it stands for all that was written before.

        It is a short text, for a cookie or a header: ``following`` takes it, also in another process.
        """
        asked = time.monotonic()
        conn = await self._pool.lend(ASKING)
        try:
            found = await conn.wait(answer(conn, ASK_TOKEN), timeout=ANSWER_WITHIN)
        finally:
            await self._pool.take_back(conn)
        mark = Mark(found[1] or 0, settled_end(found[0] or 0))
        for following in followed(self._pool):
            following.cover(asked, mark)
            following.reach(mark)
        return written_token(mark)

    def statistics(self, *, reset: bool = False) -> Statistics:
        """Return what the queries of this database have done, by their names; with ``reset`` count anew from now on.

        Its views, blocks and transactions are in it, raw SQL and connections of your own are not.
        """
        return self._pool.tally.read(reset=reset)

    def status(self) -> PoolStatus:
        """Return the figures of the pool at this moment."""
        return self._pool.status()

    async def health(self, within: float = 5.0) -> Health:
        """Ask the server how it is; never raises, and takes little longer than ``within`` seconds."""
        deadline, started = time.monotonic() + within, 0.0
        try:
            conn = await self._pool.lend("health", within)
            try:
                started = time.monotonic()
                results = await conn.wait(send(conn.pgconn, QUESTION), timeout=max(0.1, deadline - started))
                return answered(results, time.monotonic() - started, self.status())
            finally:
                await self._pool.take_back(conn)
        except Exception as error:
            return unanswered(error, within, self.status())

    async def close(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """Lend no more, wait for what is out, close all connections; a second call does nothing.

        What is still out after ``timeout`` seconds is logged with who holds it, and closes when it comes
        back.
        """
        await self._pool.close(timeout)
        if self._server is not None:
            server, self._server = self._server, None
            await asyncio.to_thread(server.stop)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        state = "closed" if self._pool.closed else "open"
        return f"<{type(self).__module__}.{type(self).__qualname__} {self.settings.safe_dsn} ({state})>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r}: connections cannot be pickled; pickle the settings and open one there")
