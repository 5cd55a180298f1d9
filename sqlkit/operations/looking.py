"""``look``: ask the server for all views at once, and go on where one is refused.

Nothing is written, and nothing waits: each view has so many seconds, and half a second for a lock, for what is looked
for may be a lock that everybody waits for.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, overload

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from sqlkit import AsyncExecutor, Executor
from sqlkit.errors import ArgumentError, RowError
from sqlkit.operations.activity import activity, async_activity
from sqlkit.operations.indexes import async_indexes, indexes
from sqlkit.operations.overview import ALL, Missing, Overview, ViewName, refused, restricted
from sqlkit.operations.reach import async_reach, reach
from sqlkit.operations.replication import async_replication, replication
from sqlkit.operations.server import async_server, server
from sqlkit.operations.slow import SlowBy, async_slow, slow
from sqlkit.operations.tables import async_tables, tables

__all__ = ["look"]

LOCK_SECONDS = 0.5
LABEL = "look"

#: Each view's query, in both colours.
QUERIES: Mapping[ViewName, tuple[Any, Any]] = {
    "server": (server.read_server, async_server.read_server),
    "databases": (server.list_databases, async_server.list_databases),
    "sessions": (activity.list_sessions, async_activity.list_sessions),
    "statistics": (slow.find_statistics, async_slow.find_statistics),
    "statements": (slow.list_statements, async_slow.list_statements),
    "replicas": (replication.list_replicas, async_replication.list_replicas),
    "slots": (replication.list_slots, async_replication.list_slots),
    "standby": (replication.find_standby, async_replication.find_standby),
    "reach": (reach.list_reach, async_reach.list_reach),
    "tables": (tables.list_tables, async_tables.list_tables),
    "indexes": (indexes.list_indexes, async_indexes.list_indexes),
    "locked": (indexes.list_locked, async_indexes.list_locked),
    "duplicates": (indexes.list_duplicates, async_indexes.list_duplicates),
    "unindexed_keys": (indexes.list_unindexed_keys, async_indexes.list_unindexed_keys),
}

#: What is asked for with a view, to tell what is missing of it.
WITH: Mapping[ViewName, ViewName] = {"statements": "statistics", "duplicates": "locked"}


@overload
def look(
    db: Executor,
    views: Iterable[ViewName] = ALL,
    *,
    slow_by: SlowBy = "total",
    slow_limit: int = 20,
    within: float = 10.0,
) -> Overview: ...
@overload
def look(
    db: AsyncExecutor,
    views: Iterable[ViewName] = ALL,
    *,
    slow_by: SlowBy = "total",
    slow_limit: int = 20,
    within: float = 10.0,
) -> Coroutine[Any, Any, Overview]: ...
def look(
    db: Any,
    views: Iterable[ViewName] = ALL,
    *,
    slow_by: SlowBy = "total",
    slow_limit: int = 20,
    within: float = 10.0,
) -> Any:
    """Return what the server says of itself: all views, or those that are named, each within so many seconds.

    A view that is refused, or that this role sees only in part, is told in ``missing`` with what mends it, and the rest
    is there. ``slow_by`` and ``slow_limit`` say which statements. Given an asynchronous connection or database it
    returns an awaitable. Raises psycopg's errors where the connection is lost, ArgumentError for a view that is none.
    """
    from sqlkit.adhoc import _is_async

    named = set(views)
    for view in sorted(named.difference(ALL)):
        raise ArgumentError(f"look: there is no view {view!r}: {', '.join(ALL)}")
    wanted: set[ViewName] = {"server", *named}
    wanted |= {with_it for view, with_it in WITH.items() if view in named}
    tour = Tour(
        [view for view in ALL if view in wanted],
        within,
        {"statements": {"order": slow_by, "limit": slow_limit}},
    )
    return (_look_async if _is_async(db) else _look)(db, tour)


@dataclass
class Tour:
    """The views that are still to be asked for, and what was found."""

    left: list[ViewName]
    within: float
    arguments: dict[ViewName, dict[str, Any]]
    found: dict[str, Any] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)

    def settings(self, local: Mapping[str, str]) -> sql.Composed:
        """Return the statement that begins a part of the tour: a bound view's settings, then ours."""
        limits = {
            "transaction_read_only": "on",
            "lock_timeout": f"{LOCK_SECONDS:g}s",
            "statement_timeout": f"{max(1, round(self.within * 1000))}ms",
            "TimeZone": "UTC",  # and the style of dates, for the bounds of partitions
            "DateStyle": "ISO, YMD",
        }
        role = {name: value for name, value in local.items() if name == "role"}  # last: it may not set the others
        settings = {name: value for name, value in local.items() if name not in role} | limits | role
        calls = [_set(name, sql.Literal(value)) for name, value in settings.items()]
        return sql.SQL("select {}").format(sql.SQL(", ").join(calls))

    def next(self) -> tuple[ViewName, sql.Composed | None] | None:
        """Return the next view, and what to set before it; None at the end."""
        while self.left:
            view = self.left.pop(0)
            if view != "statements":
                return view, None
            statistics = self.found.get("statistics")
            if statistics is not None and statistics.is_loaded and statistics.schema_name is not None:
                path = sql.SQL("concat_ws(', ', nullif(current_setting('search_path'), ''), {})").format(
                    sql.Literal(sql.Identifier(statistics.schema_name).as_string(None))
                )
                return view, sql.SQL("select {}").format(_set("search_path", path))
        return None

    def fail(self, view: ViewName, error: psycopg.Error | RowError) -> None:
        """Note that a view was refused."""
        if isinstance(error, RowError):
            self.missing.append(Missing(view=view, reason=str(error)))
        else:
            role = self.found["server"].user_name if "server" in self.found else None
            self.missing.append(refused(view, error, self.within, role))

    def end(self) -> Overview:
        """Return all that was found."""
        seen = Overview(**self.found)
        seen.missing = [*self.missing, *restricted(seen)]
        return seen


def _set(name: str, value: sql.Composable) -> sql.Composed:
    return sql.SQL("pg_catalog.set_config({}, {}, true)").format(sql.Literal(name), value)


def _is_inside(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    """Whether a transaction of the caller's is open: then all is undone that is set here."""
    return conn.pgconn.transaction_status != TransactionStatus.IDLE


def _look(db: Executor, tour: Tour) -> Overview:
    if isinstance(db, psycopg.Connection):
        return _walk(db, tour, {})
    conn = db.lend(LABEL)
    try:
        return _walk(conn, tour, dict(db.local.settings) if db.local else {})
    finally:
        db.take_back(conn)


def _walk(conn: psycopg.Connection[Any], tour: Tour, local: Mapping[str, str]) -> Overview:
    inside = _is_inside(conn)
    while tour.left:
        view: ViewName | None = None
        try:
            with conn.transaction(force_rollback=inside):
                conn.execute(tour.settings(local))
                while step := tour.next():
                    view, preparation = step
                    if preparation:
                        conn.execute(preparation)
                    query = partial(QUERIES[view][0], **tour.arguments.get(view, {}))
                    tour.found[view] = query(conn)
        except (psycopg.Error, RowError) as error:
            if view is None or conn.closed:
                raise
            tour.fail(view, error)
    return tour.end()


async def _look_async(db: AsyncExecutor, tour: Tour) -> Overview:
    if isinstance(db, psycopg.AsyncConnection):
        return await _walk_async(db, tour, {})
    conn = await db.lend(LABEL)
    try:
        return await _walk_async(conn, tour, dict(db.local.settings) if db.local else {})
    finally:
        await db.take_back(conn)


async def _walk_async(conn: psycopg.AsyncConnection[Any], tour: Tour, local: Mapping[str, str]) -> Overview:
    inside = _is_inside(conn)
    while tour.left:
        view: ViewName | None = None
        try:
            async with conn.transaction(force_rollback=inside):
                await conn.execute(tour.settings(local))
                while step := tour.next():
                    view, preparation = step
                    if preparation:
                        await conn.execute(preparation)
                    query = partial(QUERIES[view][1], **tour.arguments.get(view, {}))
                    tour.found[view] = await query(conn)
        except (psycopg.Error, RowError) as error:
            if view is None or conn.closed:
                raise
            tour.fail(view, error)
    return tour.end()
