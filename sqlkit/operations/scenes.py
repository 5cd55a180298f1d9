"""Where steps are taken: in transactions of their own, or by savepoints in the caller's; and how often they are tried.

A statement that wants a lock waits for it for a moment only: while it waits, others queue behind it. So each try is
short, and between two tries everybody goes on.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg import errors, sql
from psycopg.pq import TransactionStatus

from sqlkit.errors import ArgumentError
from sqlkit.execution.lending import Local
from sqlkit.operations.steps import Run, Sleep, Steps

__all__ = ["PLAIN", "WAITING", "Pace", "Scene", "async_savepoint", "framed", "savepoint", "set_for_session"]

T = TypeVar("T")

LOCK_MILLISECONDS = 200  # how long writers may have to queue behind one try
FIRST_PAUSE = 0.02
LONGEST_PAUSE = 1.0

#: What a try may meet because others do the same: a lock, or what another is in the middle of.
WAITING = (errors.LockNotAvailable, errors.DeadlockDetected, errors.ObjectNotInPrerequisiteState)

#: Or what another has done just now. It is looked at anew, so if it comes again and again it is something else.
OVERTAKEN = (errors.DuplicateTable, errors.UniqueViolation, errors.InvalidObjectDefinition, errors.UndefinedTable)

RIVALRY = (*WAITING, *OVERTAKEN)
SURPRISES = 5

#: Bounds are read and written in UTC and ISO style, whatever the session has.
PLAIN = {"TimeZone": "UTC", "DateStyle": "ISO, YMD", "lock_timeout": f"{LOCK_MILLISECONDS}ms"}

BEGIN = sql.SQL("begin; ")  # in one message with what is set
SAVEPOINT = sql.SQL("savepoint sqlkit_operation")
TO_SAVEPOINT = sql.SQL("rollback to savepoint sqlkit_operation")
RELEASE = sql.SQL("release savepoint sqlkit_operation")


@dataclass(frozen=True, slots=True)
class Scene:
    """A connection's state: whether the caller's transaction is open, and what a bound view sets in each."""

    in_transaction: bool
    local: Local | None = None

    @classmethod
    def of(cls, conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], local: Local | None = None) -> Scene:
        """Look at a connection; ArgumentError for one in a pipeline, where errors come late."""
        if conn.pgconn.pipeline_status:
            raise ArgumentError("partitions: not in a pipeline, where the error of a missing partition comes too late")
        return cls(not conn.autocommit or conn.pgconn.transaction_status != TransactionStatus.IDLE, local)


class Pace:
    """When to try again, and when to give up: after ``patience`` seconds without success."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.rest()

    def rest(self) -> None:
        """Begin anew, after a success."""
        self._deadline = monotonic() + self.patience
        self._pause = FIRST_PAUSE
        self._surprises = 0

    @property
    def is_over(self) -> bool:
        """Whether it is time to give up."""
        return monotonic() >= self._deadline

    def pause(self) -> Steps[None]:
        """Wait a while, longer each time, never as long as a rival."""
        yield Sleep(random.uniform(self._pause / 2, self._pause))  # noqa: S311
        self._pause = min(LONGEST_PAUSE, self._pause * 2)

    def after(self, place: str, error: psycopg.Error) -> Steps[None]:
        """Wait after a failed try; raise its error where that was no rivalry or the time is over."""
        self._surprises += not isinstance(error, WAITING)
        if not isinstance(error, RIVALRY) or self._surprises > SURPRISES:
            raise error
        if self.is_over:
            error.add_note(f"{place}: given up after {self.patience:g} s: others are in the way")
            raise error
        yield from self.pause()


def framed(scene: Scene, steps: Steps[T], *, undo: bool = False) -> Steps[T]:
    """Take steps in a transaction of their own, or within the caller's by a savepoint.

    The caller's settings are as before afterwards. ``undo`` rolls back what was read only.
    """
    inner = scene.in_transaction
    if inner:
        yield Run(SAVEPOINT)
    try:
        before: dict[str, str] = {}
        if inner and not undo:
            before = yield from _current(PLAIN)
        settings = {**(dict(scene.local.settings) if scene.local and not inner else {}), **PLAIN}
        yield Run(_setting(settings, local=True) if inner else BEGIN + _setting(settings, local=True))
        result = yield from steps
        yield from _set(before, local=True)
    except BaseException:
        with suppress(psycopg.Error):  # of a connection that is lost, whose error is on its way
            yield from _back(inner)
        raise
    if undo:
        yield from _back(inner)
    else:
        yield Run(RELEASE if inner else sql.SQL("commit"))
    return result


def _back(inner: bool) -> Steps[None]:
    if inner:
        yield Run(TO_SAVEPOINT)
        yield Run(RELEASE)
    else:
        yield Run(sql.SQL("rollback"))


def set_for_session(settings: Mapping[str, str]) -> Steps[dict[str, str]]:
    """Set what a statement needs that runs in no transaction; return what was set before, in one round trip."""
    before = sql.SQL(", ").join(_now(name) for name in settings)
    calls = sql.SQL(", ").join(_call(name, value, local=False) for name, value in settings.items())
    row = yield Run(
        sql.SQL("with earlier as materialized (select array[{}] as found) ").format(before)
        + sql.SQL("select earlier.found, {} from earlier").format(calls)
    )
    return dict(zip(settings, row[0], strict=True))


def _current(settings: Mapping[str, str]) -> Steps[dict[str, str]]:
    row = yield Run(sql.SQL("select {}").format(sql.SQL(", ").join(map(_now, settings))))
    return dict(zip(settings, row, strict=True))


def _now(name: str) -> sql.Composed:
    return sql.SQL("coalesce(current_setting({}, true), '')").format(sql.Literal(name))


def _set(settings: Mapping[str, str], *, local: bool) -> Steps[None]:
    if settings:
        yield Run(_setting(settings, local=local))


def _setting(settings: Mapping[str, str], *, local: bool) -> sql.Composed:
    """Set in the transaction or the session."""
    calls = sql.SQL(", ").join(_call(name, value, local=local) for name, value in settings.items())
    return sql.SQL("select {}").format(calls)


def _call(name: str, value: str, *, local: bool) -> sql.Composed:
    """Set by literals, for what changes the search path must be seen to."""
    return sql.SQL("set_config({}, {}, {})").format(sql.Literal(name), sql.Literal(value), sql.Literal(local))


@contextmanager
def savepoint(conn: psycopg.Connection[Any]) -> Iterator[None]:
    """Undo what fails in the block, in the transaction that is open; it begins, and does not end, here.

    psycopg's own ``conn.transaction()`` would commit where it is the first.
    """
    conn.execute(SAVEPOINT)
    try:
        yield
    except BaseException:
        with suppress(psycopg.Error):
            conn.execute(TO_SAVEPOINT)
            conn.execute(RELEASE)
        raise
    conn.execute(RELEASE)


@asynccontextmanager
async def async_savepoint(conn: psycopg.AsyncConnection[Any]) -> AsyncIterator[None]:
    """Undo what fails in the block, as ``savepoint`` does."""
    await conn.execute(SAVEPOINT)
    try:
        yield
    except BaseException:
        with suppress(psycopg.Error):
            await conn.execute(TO_SAVEPOINT)
            await conn.execute(RELEASE)
        raise
    await conn.execute(RELEASE)
