"""Setting the database up and emptying it, its figures and its health, what is old, and calls that are tried again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar
from uuid import UUID

import psycopg
from typing_extensions import TypedDict  # pydantic wants it below Python 3.12

from sqlkit.apps import MIGRATIONS
from sqlkit.apps.analysis import system
from sqlkit.apps.analysis.events import SYSTEM_LOGS, keep_logs
from sqlkit.apps.analysis.models import DatabaseStats
from sqlkit.apps.analysis.settings import AnalysisSettings
from sqlkit.caching.statements import invalidate, sweep
from sqlkit.database import Database, View
from sqlkit.errors import ArgumentError, PoolExhausted
from sqlkit.execution.lending import Executor
from sqlkit.operations.partitions import drop_partitions, list_partitions
from sqlkit.operations.retention import in_batches
from sqlkit.settings import Settings

__all__ = [
    "CleanupStats",
    "DatabaseHealth",
    "check_database_health",
    "cleanup_old_data",
    "get_database_stats",
    "reset_database",
    "setup_database",
    "with_retries",
]

T = TypeVar("T")
FOLDER = MIGRATIONS / "analysis"
RECENT = timedelta(days=7)
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds

#: The tag of what a clean-up makes invalid: it does not know one by one what it removes.
CLEANED = "cleaned"


class CleanupStats(TypedDict):
    """How many rows were removed from each table."""

    system_logs: int
    cache_entries: int
    data_analyses: int
    analysis_files: int
    tool_generations: int


class DatabaseHealth(TypedDict):
    """Whether the application can work, and if not, why: sentences without secrets."""

    status: Literal["healthy", "unhealthy"]
    reasons: list[str]


def setup_database(settings: Settings | str | None = None) -> list[str]:
    """Bring a database to the newest schema and make the log's partitions ahead; return the migrations applied.

    What is there stays. It may be called from many processes at once. ``settings`` may be a DSN; None reads the
    environment. Raises MigrationError.
    """
    from sqlkit.migrate import migrate

    with _connected(settings) as db:
        applied = migrate(db.settings.dsn(), FOLDER, schema=db.settings.schema)
        keep_logs(db)
    return applied


def reset_database(settings: Settings | str | None = None, *, name: str) -> list[str]:
    """Drop all tables of the application with their rows and make them anew; return the migrations applied.

    ``name`` is the name of the database, so that nobody empties another than they mean: ArgumentError where it is not.
    """
    from sqlkit.migrate import rollback

    with _connected(settings) as db:
        found = system.backup.get_database_name(db)
        if name != found:
            raise ArgumentError(f"reset_database: this is the database {found!r}; name it to empty it")
        rollback(db.settings.dsn(), FOLDER, schema=db.settings.schema, count=None)
        return setup_database(db.settings)


def _connected(settings: Settings | str | None) -> Database:
    """Open one or two connections: a migration wants no pool."""
    if not isinstance(settings, Settings):
        settings = AnalysisSettings() if settings is None else AnalysisSettings(url=settings)
    return Database.connect(settings.replace(pool_min_size=0, pool_max_size=2))


def check_database_health(db: Database, *, now: datetime | None = None, within: float = 5.0) -> DatabaseHealth:
    """Say whether the application can work: the server answers, all migrations are applied, today's lines have a place.

    Never raises. The server has ``within`` seconds to answer.
    """
    health = db.health(within)
    reasons = list(health.reasons)
    if health.healthy:
        try:
            reasons += _missing(db, now or datetime.now(UTC))
        except Exception as error:  # which is what is asked for
            reasons.append(f"{type(error).__name__}: the schema cannot be looked at")
    return {"status": "unhealthy" if reasons else "healthy", "reasons": reasons}


def _missing(db: Database, now: datetime) -> list[str]:
    from sqlkit.migrate import pending

    if left := pending(db.settings.dsn(), FOLDER, schema=db.settings.schema):
        return [f"migrations are not applied: {', '.join(left)}"]
    if not any(partition.holds(now) for partition in list_partitions(db, SYSTEM_LOGS)):
        return ["system_logs has no partition for today: keep_logs makes it"]
    return []


def get_database_stats(db: Executor, *, recent: timedelta = RECENT) -> DatabaseStats:
    """Return how much there is of everything, and how many analyses are recent: of the last seven days."""
    return system.upkeep.get_database_stats(db, recent_since=datetime.now(UTC) - recent)


def cleanup_old_data(db: View, days: int = 30, *, now: datetime | None = None, batch: int = 1000) -> CleanupStats:
    """Remove what is older than some days, and say how many rows of each table.

    Lines of the log go with their partitions, those of the day in which the time falls one by one. Analyses with their
    files and tools go when they have ended and nobody has touched them since. What has expired leaves the cache. Rows
    go in batches, each a transaction of its own: nobody waits for long, and one that is interrupted is gone on with.
    """
    if days < 0:
        raise ArgumentError("cleanup_old_data: days is 0 or more")
    before = (now or datetime.now(UTC)) - timedelta(days=days)
    lines = system.upkeep.count_old_logs(db, before=before)
    drop_partitions(db, SYSTEM_LOGS, before=before)
    in_batches(db, lambda conn, limit: system.upkeep.delete_old_logs(conn, before=before, limit=limit), batch=batch)
    left = system.upkeep.count_old_logs(db, before=before)
    files = 0
    last_analysis: UUID | None = None
    last_tool: UUID | None = None

    # What a batch has reached is noted behind its last statement: one that failed is tried again from where it began.
    def analyses(conn: psycopg.Connection[Any], limit: int) -> int:
        nonlocal files, last_analysis
        gone = system.upkeep.delete_old_analyses(conn, before=before, limit=limit, after=last_analysis)
        invalidate(conn, CLEANED)
        files, last_analysis = files + gone.files, gone.last_id
        return gone.analyses

    def tools(conn: psycopg.Connection[Any], limit: int) -> int:
        nonlocal last_tool
        gone = system.upkeep.delete_old_tools(conn, before=before, limit=limit, after=last_tool)
        invalidate(conn, CLEANED)
        last_tool = gone.last_id
        return gone.tools

    return {
        "system_logs": lines - left,
        "cache_entries": sweep(db),
        "data_analyses": in_batches(db, analyses, batch=batch),
        "analysis_files": files,
        "tool_generations": in_batches(db, tools, batch=batch),
    }


def with_retries(db: View, work: Callable[[psycopg.Connection[Any]], T], *, attempts: int = 5) -> T:
    """Return ``work(conn)`` of one transaction; try again with growing pauses where a connection lacks or is lost.

    Nothing is done by halves: an attempt that failed is undone as a whole, and one whose COMMIT was sent is not tried
    again. After ``attempts`` attempts the last error is raised.
    """
    for attempt in range(1, attempts + 1):
        try:
            return db.run(work, attempts=attempts)
        except PoolExhausted:
            if attempt == attempts:
                raise
            time.sleep(random.uniform(0.5, 1) * min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt))  # noqa: S311
    raise ArgumentError("with_retries: attempts is 1 or more")
