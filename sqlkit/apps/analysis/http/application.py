"""The routes of Analysis.

The database is that of the settings (``DATABASE_URL``, ...). Who the caller is, is for whatever stands before this
application to say; ``/login`` tells whose password it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar
from uuid import UUID

from sqlkit.fastapi import connection_of, database_of, health_router, install_errors, lifespan_of

# Before FastAPI itself: it says which extra to install.
# isort: split

import psycopg
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Query, Request
from fastapi.concurrency import contextmanager_in_threadpool
from pydantic import JsonValue

from sqlkit.apps.analysis.accounts import sign_in, sign_up
from sqlkit.apps.analysis.caches import AnalysisCache, tags_of
from sqlkit.apps.analysis.events import keep_logs, log_system_event
from sqlkit.apps.analysis.http.requests import (
    AnalysisFilter,
    FileOfAnalysis,
    LogFilter,
    Login,
    SignUp,
    ToolFilter,
    UserFilter,
)
from sqlkit.apps.analysis.keeping import (
    CleanupStats,
    DatabaseHealth,
    check_database_health,
    cleanup_old_data,
)
from sqlkit.apps.analysis.models import (
    AfterAnalysis,
    AfterLog,
    AfterTool,
    AfterUser,
    Analysis,
    AnalysisChanges,
    AnalysisFile,
    DatabaseStats,
    LogFacts,
    LogLevel,
    NewAnalysis,
    NewFile,
    NewTool,
    PlainText,
    StatusCount,
    SystemLog,
    Tool,
    ToolChanges,
    User,
)
from sqlkit.apps.analysis.queries import analyses, files, tools, users
from sqlkit.apps.analysis.settings import AnalysisSettings, redis_url
from sqlkit.apps.analysis.system import logs, upkeep
from sqlkit.caching import CacheStatistics, invalidate
from sqlkit.database import Database
from sqlkit.pages import Keyset, OffsetPage, Page, SkipLimit, offset_page
from sqlkit.settings import Settings

__all__ = ["app", "create_app"]

T = TypeVar("T")
Db = Annotated[Database, database_of()]
Connection = Annotated[psycopg.Connection[Any], connection_of()]


def cache_of(request: Request) -> AnalysisCache:
    """Return the application's cache."""
    found: AnalysisCache = request.app.state.cache
    return found


Kept = Annotated[AnalysisCache, Depends(cache_of)]

USERS = Keyset(AfterUser, username=("username", "user_id"), newest=("created_at", "user_id"))
ANALYSES = Keyset(
    AfterAnalysis,
    newest=("created_at", "analysis_id"),
    oldest=("created_at", "analysis_id"),
    title=("title", "analysis_id"),
)
TOOLS = Keyset(AfterTool, newest=("created_at", "tool_id"), oldest=("created_at", "tool_id"))
LINES = Keyset(AfterLog, newest=("created_at", "log_id"), oldest=("created_at", "log_id"))

people = APIRouter(tags=["users"])
work = APIRouter(tags=["analyses and tools"])
system = APIRouter(tags=["system"])


@people.post("/users", status_code=201)
def create_user(new: SignUp, db: Db) -> User:
    """Create a user with the hash of their password."""
    return sign_up(db, new.username, new.email, new.password)


@people.post("/login")
def login(given: Login, db: Db, background: BackgroundTasks) -> User:
    """Return whose password it is; 401 where it is nobody's. What happened is logged afterwards."""
    user = sign_in(db, given.login, given.password)
    if user is None:
        background.add_task(log_system_event, db, "accounts", LogLevel.WARNING, "a login was refused")
        raise HTTPException(401, "no such user, or another password")
    background.add_task(log_system_event, db, "accounts", LogLevel.INFO, "a login", {"user_id": str(user.user_id)})
    return user


@people.get("/users")
def list_users(asked: Annotated[UserFilter, Query()], db: Db) -> Page[User]:
    """Return a page of users."""
    found = users.list_users(
        db,
        is_active=asked.is_active,
        order=asked.order,
        after=USERS.after(asked.after, asked.order),
        limit=asked.limit + 1,
    )
    return USERS.page(found, asked.limit, asked.order)


@people.get("/users/{user_id}")
def get_user(user_id: UUID, kept: Kept) -> User:
    """Return one user."""
    return there(kept.get_user(user_id=user_id))


@people.delete("/users/{user_id}", status_code=204)
def delete_user(user_id: UUID, conn: Connection) -> None:
    """Delete a user; 409 while they have analyses or tools."""
    counted(users.delete_user(conn, user_id=user_id))
    invalidate(conn, f"user:{user_id}")


@people.get("/users/{user_id}/analyses")
def list_user_analyses(user_id: UUID, kept: Kept) -> list[Analysis]:
    """Return the fifty newest analyses of a user."""
    return kept.list_user_analyses(user_id=user_id)


@work.post("/analyses", status_code=201)
def create_analysis(new: NewAnalysis, conn: Connection) -> Analysis:
    """Create an analysis."""
    made = analyses.create_analysis(conn, analysis=new)
    invalidate(conn, *tags_of(made))
    return made


@work.get("/analyses")
def list_analyses(asked: Annotated[AnalysisFilter, Query()], db: Db) -> Page[Analysis]:
    """Return a page of analyses."""
    found = analyses.list_analyses(
        db,
        user_id=asked.user_id,
        status=asked.status,
        since=asked.since,
        until=asked.until,
        order=asked.order,
        after=ANALYSES.after(asked.after, asked.order),
        limit=asked.limit + 1,
    )
    return ANALYSES.page(found, asked.limit, asked.order)


@work.get("/analyses/{analysis_id}")
def get_analysis(analysis_id: UUID, db: Db) -> Analysis:
    """Return one analysis."""
    return there(analyses.get_analysis(db, analysis_id=analysis_id))


@work.get("/analyses/{analysis_id}/result")
def get_analysis_result(analysis_id: UUID, kept: Kept) -> dict[str, JsonValue] | list[JsonValue] | None:
    """Return the result of an analysis, null while it has none."""
    return kept.get_analysis_result(analysis_id=analysis_id)


@work.patch("/analyses/{analysis_id}")
def update_analysis(analysis_id: UUID, changes: AnalysisChanges, conn: Connection) -> Analysis:
    """Change what is given of an analysis."""
    changed = there(analyses.update_analysis(conn, analysis_id=analysis_id, changes=changes))
    invalidate(conn, *tags_of(changed))
    return changed


@work.delete("/analyses/{analysis_id}", status_code=204)
def delete_analysis(analysis_id: UUID, conn: Connection) -> None:
    """Delete an analysis with its files."""
    found = there(analyses.get_analysis(conn, analysis_id=analysis_id))
    counted(analyses.delete_analysis(conn, analysis_id=analysis_id))
    invalidate(conn, *tags_of(found))


@work.post("/analyses/{analysis_id}/files", status_code=201)
def create_file(analysis_id: UUID, new: FileOfAnalysis, conn: Connection) -> AnalysisFile:
    """Add a file to an analysis; 404 where there is no such analysis."""
    there(analyses.get_analysis(conn, analysis_id=analysis_id))
    return files.create_file(conn, file=NewFile(analysis_id=analysis_id, **new.model_dump()))


@work.get("/analyses/{analysis_id}/files")
def list_files(
    analysis_id: UUID, asked: Annotated[SkipLimit, Query()], db: Db, file_type: PlainText | None = None
) -> OffsetPage[AnalysisFile]:
    """Return files of an analysis by name, from a number of them onwards, and how many there are."""
    found = files.list_files(db, analysis_id=analysis_id, file_type=file_type, skip=asked.skip, limit=asked.limit)
    total = files.count_files(db, analysis_id=analysis_id, file_type=file_type)
    return offset_page(found, asked.skip, asked.limit, total)


@work.delete("/files/{file_id}", status_code=204)
def delete_file(file_id: UUID, db: Db) -> None:
    """Delete a file."""
    counted(files.delete_file(db, file_id=file_id))


@work.post("/tools", status_code=201)
def create_tool(new: NewTool, db: Db) -> Tool:
    """Create a tool."""
    return tools.create_tool(db, tool=new)


@work.get("/tools")
def list_tools(asked: Annotated[ToolFilter, Query()], db: Db) -> Page[Tool]:
    """Return a page of tools."""
    found = tools.list_tools(
        db,
        user_id=asked.user_id,
        status=asked.status,
        tool_type=asked.tool_type,
        order=asked.order,
        after=TOOLS.after(asked.after, asked.order),
        limit=asked.limit + 1,
    )
    return TOOLS.page(found, asked.limit, asked.order)


@work.get("/tools/{tool_id}")
def get_tool(tool_id: UUID, kept: Kept) -> Tool:
    """Return one tool."""
    return there(kept.get_tool(tool_id=tool_id))


@work.patch("/tools/{tool_id}")
def update_tool(tool_id: UUID, changes: ToolChanges, conn: Connection) -> Tool:
    """Change what is given of a tool."""
    changed = there(tools.update_tool(conn, tool_id=tool_id, changes=changes))
    invalidate(conn, *tags_of(changed))
    return changed


@system.post("/logs", status_code=201)
def create_log(new: LogFacts, db: Db) -> SystemLog:
    """Write a line of now."""
    return log_system_event(db, new.service, new.level, new.message, new.details)


@system.get("/logs")
def list_logs(asked: Annotated[LogFilter, Query()], db: Db) -> Page[SystemLog]:
    """Return a page of lines."""
    found = logs.list_logs(
        db,
        service=asked.service,
        levels=asked.level,
        since=asked.since or datetime.now(UTC) - timedelta(days=1),
        until=asked.until,
        order=asked.order,
        after=LINES.after(asked.after, asked.order),
        limit=asked.limit + 1,
    )
    return LINES.page(found, asked.limit, asked.order)


@system.get("/stats")
def stats(kept: Kept) -> DatabaseStats:
    """Return how much there is of everything, as it was within the last minute."""
    return kept.get_stats()


@system.get("/stats/statuses")
def count_statuses(db: Db, kept: Kept) -> list[StatusCount]:
    """Return how many analyses are in each status, as it was within the last minute."""
    return kept.get_answer("stats/statuses", {}, list[StatusCount], lambda: upkeep.count_analyses_by_status(db))


@system.get("/cache")
def cache_statistics(kept: Kept) -> CacheStatistics:
    """Return what the cache counted: hits, misses and failures of each tier, and whether its circuit is open."""
    return kept.statistics()


@system.post("/cleanup")
def cleanup(db: Db, days: Annotated[int, Query(ge=1, le=36_500)] = 30) -> CleanupStats:
    """Remove what is older than some days; return how many rows of each table."""
    return cleanup_old_data(db, days)


@system.get("/database-health")
def database_health(db: Db) -> DatabaseHealth:
    """Say whether the application can work, and if not, why."""
    return check_database_health(db)


def there(found: T | None) -> T:
    """Return what was found; 404 where nothing was."""
    if found is None:
        raise HTTPException(404, "not found")
    return found


def counted(affected: int) -> None:
    """Return where a row was deleted; 404 where there was none."""
    if not affected:
        raise HTTPException(404, "not found")


def create_app(settings: Settings | str | None = None, *, redis: str | None = None) -> FastAPI:
    """Return the application; its log's partitions are made ahead when it starts.

    ``redis`` is the URL of the second tier of its cache; None reads the environment (see ``redis_url``).
    """
    with_database = lifespan_of(Database, settings or AnalysisSettings, at_start=keep_logs)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            with_database(app),
            contextmanager_in_threadpool(AnalysisCache.opened(app.state.db, redis or redis_url())) as app.state.cache,
        ):
            yield

    made = FastAPI(title="Analysis", lifespan=lifespan)
    install_errors(made)
    for router in (health_router(), people, work, system):
        made.include_router(router)
    return made


app = create_app()
