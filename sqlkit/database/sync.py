"""Database: a pool of PostgreSQL connections for threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

import psycopg

from sqlkit.connection import PooledConnection, memory_of, send
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
from sqlkit.database.sync_pool import Pool
from sqlkit.database.sync_replicas import PoolWithReplicas
from sqlkit.database.watching import ANSWER_WITHIN, answer
from sqlkit.errors import PoolExhausted
from sqlkit.places import Place, calling_place
from sqlkit.tally import Tally

if TYPE_CHECKING:
    from sqlkit.embedded import Embedded
    from sqlkit.execution.lending import Local
    from sqlkit.settings import Settings
    from sqlkit.statistics import Statistics

__all__ = ["Block", "Database", "View"]

T = TypeVar("T")


class Block(AbstractContextManager[psycopg.Connection[Any]]):
    """A lent connection: begins on first use, commits when its block ends well, else rolls back."""

    __slots__ = ("_before", "_begins", "_conn", "_pool", "_transaction", "done", "lost", "place", "sent")

    def __init__(self, pool: Pool, begins: Begins, transaction: Transaction, place: Place) -> None:
        self._pool = pool
        self._begins = begins
        self._transaction = transaction
        self.place = place
        self.lost = False
        self.sent = self.done = 0

    def __enter__(self) -> psycopg.Connection[Any]:
        self._conn = conn = self._pool.lend(self.place)
        self._before: Before = dress(conn, self._transaction, self._begins)
        return conn

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        conn, memory = self._conn, memory_of(self._conn)
        try:
            if memory.stream is not None:
                memory.stream.close()
            if kind is None and commits_cleanly(conn, self.place):
                conn.wait(ended(conn, self._pool.resets))
            elif not left_unusable(conn):
                _roll_back(conn, self.place)
        finally:
            self.lost, self.sent, self.done = conn.closed, memory.commits, memory.committed
            self.place.frame = None  # which would keep the caller's variables
            undress(conn, self._before)
            self._pool.take_back(conn)


def _roll_back(conn: PooledConnection, place: Place) -> None:
    try:
        conn.rollback()
    except psycopg.Error as error:  # the server rolls back what it can no longer hear of
        log.debug("%s: rollback failed: %s", place, type(error).__name__)


class View:
    """What may be done with the connections of a pool, for a tenant, a role or settings; see ``bound``.

    It lends to queries (it is a ``Lender``) and gives connections to raw SQL. It holds nothing by itself.
    """

    __module__ = "sqlkit.database"

    def __init__(self, pool: Pool, local: Local | None) -> None:
        self._pool = pool
        self._begins = begins_with(local)
        self.local = local

    def lend(self, holder: object) -> psycopg.Connection[Any]:
        """Lend an idle connection in autocommit to a query; ``holder`` says who, if anyone asks.

        Raises PoolExhausted when none comes in time.
        """
        return self._pool.lend(holder)

    @property
    def tally(self) -> Tally:
        """What counts for the database: for what watches it, see ``sqlkit.telemetry``."""
        return self._pool.tally

    def take_back(self, conn: psycopg.Connection[Any]) -> None:
        """Take a lent connection back; what is not as it was is put back, what is broken is replaced."""
        self._pool.take_back(conn)  # type: ignore[arg-type]

    def connection(self) -> AbstractContextManager[psycopg.Connection[Any]]:
        """Lend a psycopg connection for raw SQL.

        It begins on first use, commits when the block ends well, rolls back when it does not, and is given
        back as it was. Raises PoolExhausted when none comes in time.
        """
        return Block(self._pool, self._begins, Transaction(), calling_place())

    def transaction(
        self,
        isolation: Isolation | None = None,
        read_only: bool | None = None,
        deferrable: bool | None = None,
    ) -> AbstractContextManager[psycopg.Connection[Any]]:
        """Lend another connection for a transaction with these options; otherwise as ``connection``.

        Within it, ``conn.transaction()`` makes savepoints.
        """
        options = Transaction.of(isolation, read_only, deferrable)
        return Block(self._pool, self._begins, options, calling_place())

    def run(
        self,
        work: Callable[[psycopg.Connection[Any]], T],
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
            block = Block(self._pool, self._begins, options, calling_place())
            try:
                with block as conn:
                    return work(conn)
            except psycopg.Error as error:
                delay = retries.delay_after(error, lost=block.lost, sent=block.sent, done=block.done)
                if delay is None:
                    raise
            time.sleep(delay)

    def bound(
        self, schema: str | None = None, role: str | None = None, settings: Mapping[str, str] | None = None
    ) -> View:
        """Return a view of the same pool for a tenant's schema, a role, settings such as ``app.owner_id``.

        Each call through it is one transaction that sets them first, in the same round trip, and forgets
        them at its end. A view of a view has the settings of both.
        """
        return View(self._pool, narrowed(self.local, schema, role, settings or {}))


class Database(View):
    """A PostgreSQL database, with a pool of connections for threads; made by ``connect`` or ``embedded``."""

    __module__ = "sqlkit"

    def __init__(self, settings: Settings) -> None:
        pool = PoolWithReplicas(settings) if settings.replicas else Pool(settings)
        super().__init__(pool, default_local(settings))
        self.settings = settings
        self._server: Embedded | None = None

    @classmethod
    def connect(cls, settings: Settings | str | None = None, **overrides: Any) -> Self:
        """Open the pool and wait for its first connection.

        ``settings`` may be a DSN; None reads the environment, ``.env`` and ``config.yml``. Keywords are settings too:
        ``replicas=[...]`` are the DSNs of standbys that serve reads. Raises ConfigurationError for settings that
        cannot be, PoolExhausted (a ``psycopg.OperationalError``, with psycopg's own as its cause) when the server
        cannot be reached within ``connect_timeout``.
        """
        database = cls(settled(settings, overrides))
        pool = database._pool
        if not pool.start(database.settings.connect_timeout + 1):
            error = PoolExhausted(pool.unreachable())
            pool.close(timeout=1)
            raise error from pool.trouble
        return database

    @classmethod
    def embedded(
        cls,
        folder: str | Path,
        *,
        schema: str | None = None,
        migrations: str | Path | None = None,
        **settings: Any,
    ) -> Self:
        """Start a PostgreSQL of our own in a folder (or share the one that runs there) and connect to it.

        ``migrations`` is a folder of migrations to apply. Raises EmbeddedError, MigrationError.
        """
        from sqlkit.embedded import Embedded

        server = Embedded.start(Path(folder))
        try:
            database = cls.connect(server.dsn, schema=schema, **settings)
            database._server = server
            if migrations is not None:
                database.migrate(migrations)
        except BaseException:
            server.stop()
            raise
        return database

    def migrate(self, folder: str | Path) -> None:
        """Apply the migrations of a folder to this database's schema; see ``sqlkit.migrate``."""
        from sqlkit.migrate import migrate

        migrate(migrating_dsn(self.settings), Path(folder), schema=self.settings.schema)

    def resize(
        self,
        min_size: int | None = None,
        max_size: int | None = None,
        *,
        timeout: float | None = None,
        max_lifetime: float | None = None,
    ) -> None:
        """Change the pool while it is in use; what is out and too much, or too old, closes on return.

        ``timeout`` is the wait for a connection, ``max_lifetime`` the age at which one is replaced, in seconds.
        """
        given = {"pool_min_size": min_size, "pool_max_size": max_size}
        times = {"pool_timeout": timeout, "pool_max_lifetime": max_lifetime}
        changes = {key: value for key, value in (given | times).items() if value is not None}
        settings = self.settings.replace(**changes)
        self._pool.resize(settings.pool_min_size, settings.pool_max_size)
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

    def token(self) -> str:
        """Ask the primary for a token: it stands for all that was written before.

        It is a short text, for a cookie or a header: ``following`` takes it, also in another process.
        """
        asked = time.monotonic()
        conn = self._pool.lend(ASKING)
        try:
            found = conn.wait(answer(conn, ASK_TOKEN), timeout=ANSWER_WITHIN)
        finally:
            self._pool.take_back(conn)
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

    def health(self, within: float = 5.0) -> Health:
        """Ask the server how it is; never raises, and takes little longer than ``within`` seconds."""
        deadline, started = time.monotonic() + within, 0.0
        try:
            conn = self._pool.lend("health", within)
            try:
                started = time.monotonic()
                results = conn.wait(send(conn.pgconn, QUESTION), timeout=max(0.1, deadline - started))
                return answered(results, time.monotonic() - started, self.status())
            finally:
                self._pool.take_back(conn)
        except Exception as error:
            return unanswered(error, within, self.status())

    def close(self, timeout: float = 5.0) -> None:
        """Lend no more, wait for what is out, close all connections; a second call does nothing.

        What is still out after ``timeout`` seconds is logged with who holds it, and closes when it comes
        back.
        """
        self._pool.close(timeout)
        if self._server is not None:
            server, self._server = self._server, None
            server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._pool.closed else "open"
        return f"<{type(self).__module__}.{type(self).__qualname__} {self.settings.safe_dsn} ({state})>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r}: connections cannot be pickled; pickle the settings and open one there")
