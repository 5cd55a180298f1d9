"""Analysis over HTTP: ``uvicorn sqlkit.apps.analysis.http:app``.

The database is that of the settings (``DATABASE_URL``, ...). Who the caller is, is for whatever stands before this
application to say; ``/login`` tells whose password it is.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import psycopg
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr

from sqlkit.apps.analysis.accounts import sign_in, sign_up
from sqlkit.apps.analysis.events import keep_logs, log_system_event
from sqlkit.apps.analysis.keeping import (
    CleanupStats,
    DatabaseHealth,
    check_database_health,
    cleanup_old_data,
    get_database_stats,
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
    Email,
    LogFacts,
    LogLevel,
    NewAnalysis,
    NewFile,
    NewTool,
    PlainText,
    Size,
    SystemLog,
    Text,
    Tool,
    ToolChanges,
    User,
    Username,
    WorkStatus,
)
from sqlkit.apps.analysis.queries import analyses, files, tools, users
from sqlkit.apps.analysis.settings import AnalysisSettings
from sqlkit.apps.analysis.system import logs
from sqlkit.database import Database
from sqlkit.fastapi import connection_of, database_of, health_router, install_errors, lifespan_of
from sqlkit.pages import AfterLimit, Keyset, OffsetPage, Page, SkipLimit, offset_page
from sqlkit.settings import Settings

__all__ = ["app", "create_app"]

T = TypeVar("T")
Db = Annotated[Database, database_of()]
Connection = Annotated[psycopg.Connection[Any], connection_of()]

USERS = Keyset(AfterUser, username=("username", "user_id"), newest=("created_at", "user_id"))
ANALYSES = Keyset(
    AfterAnalysis,
    newest=("created_at", "analysis_id"),
    oldest=("created_at", "analysis_id"),
    title=("title", "analysis_id"),
)
TOOLS = Keyset(AfterTool, newest=("created_at", "tool_id"), oldest=("created_at", "tool_id"))
LINES = Keyset(AfterLog, newest=("created_at", "log_id"), oldest=("created_at", "log_id"))


class Input(BaseModel):
    """What a request brings."""

    model_config = ConfigDict(extra="forbid")


class SignUp(Input):
    """Who wants to sign in from now on."""

    username: Username
    email: Email
    password: SecretStr = Field(min_length=8)


class Login(Input):
    """A name or an address, and its password."""

    login: PlainText
    password: SecretStr


class FileOfAnalysis(Input):
    """A file of the analysis that the path names."""

    file_name: Text
    file_type: Text
    size_bytes: Size
    storage_path: Text


class UserFilter(AfterLimit):
    """Which users, and behind whom."""

    is_active: bool | None = None
    order: Literal["username", "newest"] = "username"


class AnalysisFilter(AfterLimit):
    """Which analyses, and behind which one."""

    user_id: UUID | None = None
    status: WorkStatus | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    order: Literal["newest", "oldest", "title"] = "newest"


class ToolFilter(AfterLimit):
    """Which tools, and behind which one."""

    user_id: UUID | None = None
    status: WorkStatus | None = None
    tool_type: PlainText | None = None
    order: Literal["newest", "oldest"] = "newest"


class LogFilter(AfterLimit):
    """Which lines, and behind which one; without a time those of the last day."""

    service: PlainText | None = None
    level: list[LogLevel] | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    order: Literal["newest", "oldest"] = "newest"


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
def get_user(user_id: UUID, db: Db) -> User:
    """Return one user."""
    return there(users.get_user(db, user_id=user_id))


@people.delete("/users/{user_id}", status_code=204)
def delete_user(user_id: UUID, db: Db) -> None:
    """Delete a user; 409 while they have analyses or tools."""
    counted(users.delete_user(db, user_id=user_id))


@work.post("/analyses", status_code=201)
def create_analysis(new: NewAnalysis, db: Db) -> Analysis:
    """Create an analysis."""
    return analyses.create_analysis(db, analysis=new)


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


@work.patch("/analyses/{analysis_id}")
def update_analysis(analysis_id: UUID, changes: AnalysisChanges, db: Db) -> Analysis:
    """Change what is given of an analysis."""
    return there(analyses.update_analysis(db, analysis_id=analysis_id, changes=changes))


@work.delete("/analyses/{analysis_id}", status_code=204)
def delete_analysis(analysis_id: UUID, db: Db) -> None:
    """Delete an analysis with its files."""
    counted(analyses.delete_analysis(db, analysis_id=analysis_id))


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


@work.patch("/tools/{tool_id}")
def update_tool(tool_id: UUID, changes: ToolChanges, db: Db) -> Tool:
    """Change what is given of a tool."""
    return there(tools.update_tool(db, tool_id=tool_id, changes=changes))


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
def stats(db: Db) -> DatabaseStats:
    """Return how much there is of everything."""
    return get_database_stats(db)


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


def create_app(settings: Settings | str | None = None) -> FastAPI:
    """Return the application; its log's partitions are made ahead when it starts."""
    lifespan = lifespan_of(Database, settings or AnalysisSettings, at_start=keep_logs)
    made = FastAPI(title="Analysis", lifespan=lifespan)
    install_errors(made)
    for router in (health_router(), people, work, system):
        made.include_router(router)
    return made


app = create_app()
