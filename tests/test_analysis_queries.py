"""Analysis' statements: every table created, read, changed in part, deleted, listed and counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors
from pydantic import BaseModel

from sqlkit.apps.analysis import models
from sqlkit.apps.analysis.models import (
    AfterEntry,
    AfterLog,
    AnalysisChanges,
    EntryChanges,
    LogChanges,
    LogLevel,
    NewAnalysis,
    NewEntry,
    NewFile,
    NewLog,
    NewTool,
    NewUser,
    PastLog,
    User,
    UserChanges,
    WorkStatus,
)
from sqlkit.apps.analysis.queries import analyses, files, tools, users
from sqlkit.apps.analysis.system import cache, logs, upkeep

Connection = psycopg.Connection[Any]


@pytest.fixture
def conn(analysis_conn: Connection) -> Connection:
    """Give a connection to analysis' database, rolled back afterwards."""
    return analysis_conn


def new_user(conn: Connection, name: str = "ada") -> User:
    """Create a user."""
    return users.create_user(
        conn, user=NewUser(username=name, email=f"{name}@example.org", hashed_password="$argon2id$")
    )


def new_analysis(conn: Connection, title: str = "T", **facts: Any) -> models.Analysis:
    """Create an analysis of a user of its own."""
    user_id = facts.pop("user_id", None) or new_user(conn, f"user-{uuid4().hex[:8]}").user_id
    return analyses.create_analysis(conn, analysis=NewAnalysis(user_id=user_id, title=title, **facts))


@dataclass
class Table:
    """The statements of one table, and what is written through them."""

    one: str
    many: str
    statements: Any
    new: Callable[[Connection, int], BaseModel]
    changes: tuple[BaseModel, dict[str, Any]]
    orders: dict[str, tuple[str, bool]]

    @property
    def key(self) -> str:
        """The name of the key."""
        return f"{self.one}_id"

    def call(self, verb: str, conn: Connection, **arguments: Any) -> Any:
        """Call a statement: ``create``, ``get``, ``update``, ``delete``, ``list``, ``count``, ``import``."""
        name = self.many if verb in ("list", "count", "import") else self.one
        return getattr(self.statements, f"{verb}_{name}")(conn, **arguments)

    def create(self, conn: Connection, number: int = 0) -> Any:
        """Create a row."""
        return self.call("create", conn, **{self.one: self.new(conn, number)})


def some_user(conn: Connection, number: int) -> NewUser:
    """Return a user to create."""
    return NewUser(username=f"user-{number}", email=f"{number}@example.org", hashed_password="$argon2id$")


def some_file(conn: Connection, number: int) -> NewFile:
    """Return a file to create."""
    analysis_id = new_analysis(conn).analysis_id
    facts: dict[str, Any] = {"file_name": f"{number}.csv", "file_type": "csv", "storage_path": f"/{number}"}
    return NewFile(analysis_id=analysis_id, size_bytes=number + 1, **facts)


def some_analysis(conn: Connection, number: int) -> NewAnalysis:
    """Return an analysis to create."""
    user_id = new_user(conn, f"owner-{uuid4().hex[:8]}").user_id
    return NewAnalysis(user_id=user_id, title=f"Title {number}", parameters={"number": number, "deep": [1.5, None]})


def some_tool(conn: Connection, number: int) -> NewTool:
    """Return a tool to create."""
    user_id = new_user(conn, f"owner-{uuid4().hex[:8]}").user_id
    return NewTool(user_id=user_id, tool_type="chart", prompt=f"draw {number}")


TABLES = {
    "users": Table(
        "user",
        "users",
        users,
        some_user,
        (UserChanges(email="new@example.org"), {"email": "new@example.org"}),
        {"username": ("username", False), "newest": ("created_at", True)},
    ),
    "analyses": Table(
        "analysis",
        "analyses",
        analyses,
        some_analysis,
        (
            AnalysisChanges(status=WorkStatus.COMPLETED, result={"mean": 1.5}),
            {"status": WorkStatus.COMPLETED, "result": {"mean": 1.5}},
        ),
        {"newest": ("created_at", True), "oldest": ("created_at", False), "title": ("title", False)},
    ),
    "files": Table(
        "file",
        "files",
        files,
        some_file,
        (models.FileChanges(file_type="json"), {"file_type": "json"}),
        {"name": ("file_name", False), "largest": ("size_bytes", True), "newest": ("created_at", True)},
    ),
    "tools": Table(
        "tool",
        "tools",
        tools,
        some_tool,
        (
            models.ToolChanges(status=WorkStatus.RUNNING, output=[1]),
            {"status": WorkStatus.RUNNING, "output": [1]},
        ),
        {"newest": ("created_at", True), "oldest": ("created_at", False)},
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_create_and_get(conn: Connection, name: str) -> None:
    """A row that was created is what was given, and is found by its id; another is not."""
    table = TABLES[name]
    new = table.new(conn, 1)
    created = table.call("create", conn, **{table.one: new})
    for field, value in new:
        assert getattr(created, field, value) == value
    assert created.created_at == created.updated_at
    assert isinstance(getattr(created, table.key), UUID)
    assert table.call("get", conn, **{table.key: getattr(created, table.key)}) == created
    assert table.call("get", conn, **{table.key: uuid4()}) is None


@pytest.mark.parametrize("name", TABLES)
def test_update_writes_what_is_given(conn: Connection, name: str) -> None:
    """A change writes its fields and updated_at, and leaves the others alone; of nothing it is None."""
    table = TABLES[name]
    created = table.create(conn)
    conn.execute("select pg_sleep(0.001)")
    changes, wanted = table.changes
    changed = table.call("update", conn, **{table.key: getattr(created, table.key)}, changes=changes)
    assert changed == created.model_copy(update=wanted | {"updated_at": changed.updated_at})
    assert table.call("update", conn, **{table.key: uuid4()}, changes=changes) is None


@pytest.mark.parametrize("name", TABLES)
def test_delete_once(conn: Connection, name: str) -> None:
    """A row is deleted once."""
    table = TABLES[name]
    key = {table.key: getattr(table.create(conn), table.key)}
    assert table.call("delete", conn, **key) == 1
    assert table.call("delete", conn, **key) == 0
    assert table.call("get", conn, **key) is None


@pytest.mark.parametrize("name", TABLES)
def test_pages_in_every_order(conn: Connection, name: str) -> None:
    """In each order pages by keyset and pages by skip show every row once, in that order."""
    table = TABLES[name]
    created = [table.create(conn, number) for number in (3, 1, 4, 1, 5, 9, 2) if name != "users" or number != 1]
    cursor = getattr(
        models, {"user": "AfterUser", "analysis": "AfterAnalysis"}.get(table.one, f"After{table.one.title()}")
    )
    for order, (column, backwards) in table.orders.items():
        wanted = sorted(created, key=lambda row: (getattr(row, column), getattr(row, table.key)), reverse=backwards)
        seen: list[Any] = []
        while True:
            after = cursor.model_validate(seen[-1], from_attributes=True) if seen else None
            page = table.call("list", conn, order=order, limit=3, after=after)
            seen += page
            if not page:
                break
        assert [getattr(row, table.key) for row in seen if row in created] == [
            getattr(row, table.key) for row in wanted
        ]
        skipped = [
            row for skip in range(0, len(seen), 2) for row in table.call("list", conn, order=order, skip=skip, limit=2)
        ]
        assert skipped == seen


@pytest.mark.parametrize("name", TABLES)
def test_import_and_count(conn: Connection, name: str) -> None:
    """Rows are copied in and counted; one that is refused takes the others along."""
    table = TABLES[name]
    new = [table.new(conn, number) for number in range(20)]
    before = table.call("count", conn)
    assert table.call("import", conn, **{table.many: new}) == 20
    assert table.call("count", conn) == before + 20
    refused = new[0].model_copy(update={"username": "fresh"} if name == "users" else {})
    if name == "users":
        with pytest.raises(errors.UniqueViolation), conn.transaction():
            table.call("import", conn, users=[some_user(conn, 99), refused])
    assert table.call("count", conn) == before + 20


def test_filters_of_users(conn: Connection) -> None:
    """Users are narrowed to those who are active, or not."""
    ada, bea = new_user(conn, "ada"), new_user(conn, "bea")
    changed = users.update_user(conn, user_id=bea.user_id, changes=UserChanges(is_active=False))
    assert [user.user_id for user in users.list_users(conn, is_active=True)] == [ada.user_id]
    assert users.list_users(conn, is_active=False) == [changed]
    assert (users.count_users(conn, is_active=True), users.count_users(conn)) == (1, 2)


def test_users_by_name_and_address(conn: Connection) -> None:
    """A user is found by name and by address, each given once."""
    ada = new_user(conn, "ada")
    assert users.get_user_by_username(conn, username="ada") == ada
    assert users.get_user_by_email(conn, email="ada@example.org") == ada
    assert users.get_user_by_email(conn, email="ada") is None
    for taken in ({"username": "ada", "email": "b@example.org"}, {"username": "b", "email": "ada@example.org"}):
        with pytest.raises(errors.UniqueViolation) as refused, conn.transaction():
            users.create_user(conn, user=NewUser(hashed_password="x", **taken))
        assert refused.value.diag.constraint_name in ("users_username_key", "users_email_key")


def test_a_user_with_work_stays(conn: Connection) -> None:
    """Who has analyses or tools is not deleted."""
    analysis = new_analysis(conn)
    with pytest.raises(errors.ForeignKeyViolation):
        users.delete_user(conn, user_id=analysis.user_id)


def test_filters_of_analyses(conn: Connection) -> None:
    """Analyses are narrowed by user, status, time and what their parameters hold."""
    user = new_user(conn).user_id
    first = new_analysis(conn, user_id=user, status=WorkStatus.COMPLETED, parameters={"kind": "mean", "n": 3})
    second = new_analysis(conn, user_id=user, parameters={"kind": "median"})
    new_analysis(conn)
    assert {one.analysis_id for one in analyses.list_analyses(conn, user_id=user)} == {
        first.analysis_id,
        second.analysis_id,
    }
    assert analyses.list_analyses(conn, user_id=user, status=WorkStatus.PENDING) == [second]
    assert analyses.list_analyses(conn, parameters={"kind": "mean"}) == [first]
    assert analyses.count_analyses(conn, user_id=user, parameters={"kind": "mean", "n": 4}) == 0
    now = datetime.now(UTC)
    assert analyses.list_analyses(conn, user_id=user, until=now - timedelta(hours=1)) == []
    assert analyses.count_analyses(conn, user_id=user, since=now - timedelta(hours=1)) == 2


def test_files_go_with_their_analysis(conn: Connection) -> None:
    """Files are narrowed by analysis and type, and go with their analysis."""
    analysis = new_analysis(conn).analysis_id
    facts: dict[str, Any] = {"analysis_id": analysis, "size_bytes": 5, "storage_path": "/p"}
    for name, kind in (("a", "csv"), ("b", "json")):
        files.create_file(conn, file=NewFile(file_name=name, file_type=kind, **facts))
    assert [file.file_name for file in files.list_files(conn, analysis_id=analysis, file_type="json")] == ["b"]
    assert files.count_files(conn, analysis_id=analysis) == 2
    analyses.delete_analysis(conn, analysis_id=analysis)
    assert files.count_files(conn, analysis_id=analysis) == 0


def test_filters_of_tools(conn: Connection) -> None:
    """Tools are narrowed by user, status and type."""
    tool = tools.create_tool(conn, tool=some_tool(conn, 1))
    tools.create_tool(conn, tool=some_tool(conn, 2))
    assert tools.list_tools(conn, user_id=tool.user_id, status=WorkStatus.PENDING, tool_type="chart") == [tool]
    assert tools.list_tools(conn, user_id=tool.user_id, tool_type="table") == []
    assert tools.count_tools(conn, tool_type="chart") == 2


@pytest.mark.parametrize("result", [{"mean": 1.5, "text": 'a "b"'}, [1, None, "two"], {}, [], None])
def test_results_of_any_shape(conn: Connection, result: Any) -> None:
    """A result is an object or a list, and None is that there is none."""
    analysis = new_analysis(conn, result=result)
    assert analysis.result == result
    found = conn.execute("select result is null from data_analyses where analysis_id = %s", [analysis.analysis_id])
    assert found.fetchone() == (result is None,)


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (
            "select from data_analyses where user_id = gen_random_uuid() and status = 'failed' order by created_at",
            "data_analyses_user_id_status_created_at_idx",
        ),
        (
            "select from analysis_files where analysis_id = gen_random_uuid() and file_type = 'csv'",
            "analysis_files_analysis_id_file_type_idx",
        ),
        (
            "select from tool_generations where user_id = gen_random_uuid() "
            "and status = 'failed' and tool_type = 'chart'",
            "tool_generations_user_id_status_tool_type_idx",
        ),
        (
            "select from system_logs where service = 'a' and level = 'error' and created_at >= now() - interval '1 h' "
            "and created_at < now()",
            "_service_level_created_at_idx",
        ),
    ],
)
def test_look_ups_use_their_indexes(conn: Connection, statement: str, index: str) -> None:
    """Each index of the document serves the look-up that it is for."""
    conn.execute("set local enable_seqscan = off")
    statement = statement.replace("gen_random_uuid()", "'00000000-0000-0000-0000-000000000000'")
    assert index in str(conn.execute(f"explain {statement}").fetchall())


# The log.


def test_a_line_is_created_changed_and_deleted(conn: Connection) -> None:
    """A line is found by id and time, changed in part, and deleted; without a time it is of now."""
    before = datetime.now(UTC)
    line = logs.create_log(conn, log=NewLog(service="analyzer", message="done", details={"seconds": 5.2}))
    assert (line.level, line.details) == (LogLevel.INFO, {"seconds": 5.2})
    assert before - timedelta(minutes=1) < line.created_at
    key: dict[str, Any] = {"log_id": line.log_id, "created_at": line.created_at}
    assert logs.get_log(conn, **key) == line
    changed = logs.update_log(conn, **key, changes=LogChanges(level=LogLevel.ERROR))
    assert changed is not None
    assert (changed.level, changed.message) == (LogLevel.ERROR, "done")
    assert logs.delete_log(conn, **key) == 1
    assert logs.get_log(conn, **key) is None


def test_lines_are_narrowed_and_paged(conn: Connection) -> None:
    """Lines are narrowed by service, levels, time and details, and paged in both orders."""
    now = datetime.now(UTC)
    lines = [
        PastLog(
            service="api" if number % 2 else "worker",
            level=LogLevel.ERROR if number % 3 else LogLevel.INFO,
            message=str(number),
            details={"number": number},
            created_at=now + timedelta(seconds=number // 2),
        )
        for number in range(12)
    ]
    assert logs.import_logs(conn, lines) == 12
    for order in ("oldest", "newest"):
        seen: list[models.SystemLog] = []
        while page := logs.list_logs(
            conn,
            order=order,
            limit=5,
            since=now,
            after=AfterLog(created_at=seen[-1].created_at, log_id=seen[-1].log_id) if seen else None,
        ):
            seen += page
        keys = [(line.created_at, line.log_id) for line in seen]
        assert len(keys) == 12
        assert keys == sorted(keys, reverse=order == "newest")
    found = logs.list_logs(conn, service="api", levels=[LogLevel.ERROR, LogLevel.CRITICAL], since=now)
    assert {line.message for line in found} == {"1", "5", "7", "11"}
    assert [line.message for line in logs.list_logs(conn, details={"number": 7}, since=now)] == ["7"]
    assert logs.list_logs(conn, levels=[], since=now) == []
    counted = {
        (row.service, row.level): row.lines for row in logs.count_logs(conn, since=now, until=now + timedelta(1))
    }
    assert counted[("api", LogLevel.ERROR)] == 4


# The cache.


def test_an_entry_lives_until_it_expires(conn: Connection) -> None:
    """A value is kept, replaced and found until it has expired; then it is gone for everyone."""
    entry = cache.put_entry(conn, entry=NewEntry(key="user:1", value={"name": "Ada"}, seconds=60))
    assert cache.get_entry(conn, key="user:1") == entry
    replaced = cache.put_entry(conn, entry=NewEntry(key="user:1", value=[1, "two"], seconds=60))
    assert replaced.value == [1, "two"]
    assert replaced.created_at == entry.created_at
    conn.execute("update cache_entries set expires_at = now() where key = 'user:1'")
    assert cache.get_entry(conn, key="user:1") is None
    assert cache.update_entry(conn, key="user:1", changes=EntryChanges(value=[1])) is None
    assert cache.list_entries(conn) == []
    assert cache.delete_expired_entries(conn) == 1


def test_an_entry_is_changed_in_part(conn: Connection) -> None:
    """A new value leaves the time, a new time the value."""
    entry = cache.put_entry(conn, entry=NewEntry(key="k", value=[False], seconds=60))
    changed = cache.update_entry(conn, key="k", changes=EntryChanges(value=[0]))
    assert changed is not None
    assert (changed.value, changed.expires_at) == ([0], entry.expires_at)
    prolonged = cache.update_entry(conn, key="k", changes=EntryChanges(seconds=3600))
    assert prolonged is not None
    assert prolonged.expires_at > entry.expires_at
    assert prolonged.value == [0]


def test_entries_are_listed_and_forgotten(conn: Connection) -> None:
    """Entries are listed by what their keys begin with, by key or by what expires first, and forgotten together."""
    for number, key in enumerate(["user:3", "user:1", "api:%", "user:2"]):
        cache.put_entry(conn, entry=NewEntry(key=key, value=[number], seconds=60 - number))
    assert [entry.key for entry in cache.list_entries(conn, beginning="user:")] == ["user:1", "user:2", "user:3"]
    assert [entry.key for entry in cache.list_entries(conn, beginning="%")] == []
    first = cache.list_entries(conn, order="expiry", limit=1)[0]
    assert first.key == "user:2"
    after = AfterEntry(key=first.key, expires_at=first.expires_at)
    assert [entry.key for entry in cache.list_entries(conn, order="expiry", after=after)] == [
        "api:%",
        "user:1",
        "user:3",
    ]
    assert [entry.key for entry in cache.list_entries(conn, after=AfterEntry(key="user:1"))] == ["user:2", "user:3"]
    assert cache.delete_entries(conn, keys=["user:1", "user:2", "user:9"]) == 2
    assert cache.delete_entries(conn, keys=[]) == 0
    assert cache.delete_entry(conn, key="user:3") == 1


def test_analyses_by_status(conn: Connection) -> None:
    """Each status that has analyses is counted once."""
    for status in (WorkStatus.FAILED, WorkStatus.FAILED, WorkStatus.PENDING):
        new_analysis(conn, status=status)
    counted = {row.status: row.analyses for row in upkeep.count_analyses_by_status(conn)}
    assert counted == {WorkStatus.PENDING: 1, WorkStatus.FAILED: 2}
