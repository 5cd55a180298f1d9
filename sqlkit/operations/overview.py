"""All that a server says of itself at one moment, what is missing of it, and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias, get_args

import psycopg
from psycopg import errors
from pydantic import BaseModel

from sqlkit.operations.activity import Session, Waiting, blocking_trees
from sqlkit.operations.indexes import Duplicate, Index, UnindexedKey
from sqlkit.operations.names import written
from sqlkit.operations.reach import Reach
from sqlkit.operations.replication import Replica, Slot, Standby
from sqlkit.operations.server import DatabaseState, ServerState
from sqlkit.operations.slow import SlowStatement, Statistics
from sqlkit.operations.tables import Table

__all__ = ["ALL", "Missing", "Overview", "ViewName", "refused", "restricted"]

#: The views, in the order in which they are asked for.
ViewName: TypeAlias = Literal[
    "server",
    "databases",
    "sessions",
    "statistics",
    "statements",
    "replicas",
    "slots",
    "standby",
    "reach",
    "tables",
    "indexes",
    "locked",
    "duplicates",
    "unindexed_keys",
]

ALL: tuple[ViewName, ...] = get_args(ViewName)


class Missing(BaseModel):
    """What cannot be shown, or only in part, why, and the command that mends it, where there is one."""

    view: str
    reason: str
    remedy: str | None = None

    def __str__(self) -> str:
        return f"{self.view}: {self.reason}" + (f": {self.remedy}" if self.remedy else "")


class Overview(BaseModel):
    """What the server says of itself; a view that was not asked for, or that is ``missing``, is None or empty."""

    server: ServerState | None = None
    databases: list[DatabaseState] = []
    sessions: list[Session] = []
    statistics: Statistics | None = None
    statements: list[SlowStatement] = []
    replicas: list[Replica] = []
    slots: list[Slot] = []
    standby: Standby | None = None
    reach: list[Reach] = []
    tables: list[Table] = []
    indexes: list[Index] = []
    locked: list[str] = []
    duplicates: list[Duplicate] = []
    unindexed_keys: list[UnindexedKey] = []
    missing: list[Missing] = []

    @property
    def trees(self) -> list[Waiting]:
        """Who blocks whom."""
        return blocking_trees(self.sessions)

    @property
    def unused(self) -> list[Index]:
        """The indexes that no query scanned, the largest first; none on a standby, which counts its own."""
        if self.server is not None and self.server.is_standby:
            return []
        return [one for one in self.indexes if one.is_unused]

    @property
    def invalid(self) -> list[Index]:
        """The indexes that a failed CREATE INDEX CONCURRENTLY left."""
        return [one for one in self.indexes if not one.is_valid and not one.is_building]

    def scanned(self, large_bytes: int) -> list[Table]:
        """Return the tables of this size and more that were read from end to end, that with most rows read first."""
        found = [one for one in self.tables if one.seq_scans and one.table_bytes >= large_bytes]
        return sorted(found, key=lambda table: -table.seq_rows)


def refused(view: ViewName, error: psycopg.Error, within: float, role: str | None) -> Missing:
    """Say why a view was refused."""
    diag = error.diag
    what = f"{diag.message_primary or type(error).__name__} ({type(error).__name__}, {error.sqlstate})"
    match error:
        case errors.LockNotAvailable():
            return Missing(view=view, reason="somebody holds a lock that it needs, see sqlkit locks", remedy=None)
        case errors.QueryCanceled():
            return Missing(view=view, reason=f"the server did not answer within {within:g} s")
        case errors.InsufficientPrivilege():
            return Missing(view=view, reason=what, remedy=_grant("pg_monitor", role))
    return Missing(view=view, reason=what)


def restricted(seen: Overview) -> list[Missing]:
    """Say what the views hold back: what is not counted, and what this role may not see."""
    return [*_of_statistics(seen.statistics), *_of_rights(seen), *_of_settings(seen.server), *_of_tables(seen)]


def _of_statistics(found: Statistics | None) -> list[Missing]:
    if found is None:
        return []
    steps = []
    if not found.is_loaded:
        steps.append("set shared_preload_libraries = 'pg_stat_statements' in postgresql.conf and restart the server")
    if found.schema_name is None:
        steps.append("create extension pg_stat_statements")
    if found.is_off:
        steps.append("alter system set pg_stat_statements.track = 'top' and select pg_reload_conf()")
    if not steps:
        return []
    return [Missing(view="statements", reason="the server does not count them", remedy=", then ".join(steps))]


def _of_rights(seen: Overview) -> list[Missing]:
    server = seen.server
    if server is None or server.reads_all is not False:
        return []
    views: dict[str, object] = {
        "sessions": server.hidden,
        "statements": any(one.is_hidden for one in seen.statements),
        "replicas": any(one.is_hidden for one in seen.replicas),
        "databases": any(one.bytes is None for one in seen.databases),
    }
    hidden = ", ".join(view for view, is_hidden in views.items() if is_hidden)
    if not hidden:
        return []
    reason = f"the role {server.user_name} may not see what belongs to other roles"
    return [Missing(view=hidden, reason=reason, remedy=_grant("pg_read_all_stats", server.user_name))]


def _of_settings(server: ServerState | None) -> list[Missing]:
    if server is None:
        return []
    settings = [
        (server.counts, "tables, indexes", "track_counts"),
        (server.shows_activity, "sessions", "track_activities"),
    ]
    return [
        Missing(
            view=view,
            reason=f"the server does not count: {name} is off",
            remedy=f"alter system set {name} = on; select pg_reload_conf()",
        )
        for is_on, view, name in settings
        if is_on is False
    ]


def _of_tables(seen: Overview) -> list[Missing]:
    closed = [one for one in seen.tables if not one.is_readable]
    unknown = [one for one in seen.tables if one.is_readable and one.bloat_bytes is None]
    locked = [one for one in seen.tables if one.is_locked]
    found = []
    if closed and seen.server is not None:
        role, names = seen.server.user_name, _named(one.table_name for one in closed)
        reason = f"the bloat of {names} is unknown: the role {role} may not read them"
        remedy = f"grant select on them, or {_grant('pg_read_all_data', role)}"
        found.append(Missing(view="tables", reason=reason, remedy=f"{remedy}, which lets it read every row there is"))
    if unknown:
        reason = f"the bloat of {_named(one.table_name for one in unknown)} is unknown: they were never analyzed"
        found.append(Missing(view="tables", reason=reason, remedy="analyze"))
    if locked:
        found.append(
            Missing(
                view="tables",
                reason=f"the sizes of {_named(one.table_name for one in locked)} are old: they are locked",
            )
        )
    if locked_indexes := [one for one in seen.indexes if one.definition is None]:
        names = _named(one.table_name for one in locked_indexes)
        reason = f"sizes of the indexes of {names} are old, definitions and duplicates unknown: they are locked"
        found.append(Missing(view="indexes", reason=reason))
    elif seen.locked:
        reason = f"those of {_named(seen.locked)} are left out: they are locked"
        found.append(Missing(view="duplicates", reason=reason))
    if closed_partitions := [one.table_name for one in seen.reach if one.is_locked]:
        reason = f"how far {', '.join(closed_partitions)} reaches is unknown: a partition is locked"
        found.append(Missing(view="reach", reason=reason))
    return found


def _named(those: Iterable[str]) -> str:
    names = list(dict.fromkeys(those))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _grant(right: str, role: str | None) -> str:
    return f"grant {right} to {written(role or 'current_user')}"
