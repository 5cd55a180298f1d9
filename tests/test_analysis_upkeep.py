"""Analysis: setting up and emptying, figures, health, cleaning, accounts, validation, retries, settings."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import bcrypt
import psycopg
import pytest

from sqlkit import ArgumentError, ConfigurationError, Database, PoolExhausted
from sqlkit.apps import MIGRATIONS
from sqlkit.apps.analysis import system
from sqlkit.apps.analysis.accounts import sign_in, sign_up
from sqlkit.apps.analysis.events import SYSTEM_LOGS, keep_logs, log_system_event
from sqlkit.apps.analysis.keeping import (
    check_database_health,
    cleanup_old_data,
    get_database_stats,
    reset_database,
    setup_database,
    with_retries,
)
from sqlkit.apps.analysis.models import NewAnalysis, NewEntry, NewFile, NewTool, NewUser, UserChanges, WorkStatus
from sqlkit.apps.analysis.queries import analyses, files, tools, users
from sqlkit.apps.analysis.settings import AnalysisSettings, redis_url
from sqlkit.apps.analysis.validation import validate_analysis_data, validate_user_data
from sqlkit.migrate import database_url, history, rollback
from sqlkit.operations.partitions import drop_partitions, list_partitions, make_partitions
from sqlkit.testing import TestServer

pytestmark = pytest.mark.usefixtures("cheap_passwords")

NOW = datetime.now(UTC)


@pytest.fixture
def db(analysis_dsn: str) -> Iterator[Database]:
    """Give a pool on a database of analysis' own."""
    with Database.connect(AnalysisSettings(url=analysis_dsn, pool_min_size=1, pool_max_size=5)) as database:
        yield database


def fill(db: Database) -> None:
    """Put rows into every table: a user with two analyses, a file, a tool; a line of the log, an entry of the cache."""
    user = users.create_user(db, user=NewUser(username="ada", email="ada@example.org", hashed_password="x"))
    for status in (WorkStatus.COMPLETED, WorkStatus.RUNNING):
        new = NewAnalysis(user_id=user.user_id, title="T", status=status)
        analysis = analyses.create_analysis(db, analysis=new)
        facts: dict[str, Any] = {"file_name": "a", "file_type": "csv", "storage_path": "/a"}
        files.create_file(db, file=NewFile(analysis_id=analysis.analysis_id, size_bytes=1, **facts))
    new_tool = NewTool(user_id=user.user_id, tool_type="chart", prompt="draw", status=WorkStatus.FAILED)
    tools.create_tool(db, tool=new_tool)
    log_system_event(db, "analyzer", "INFO", "done")
    system.cache.put_entry(db, entry=NewEntry(key="k", value=[1], seconds=60))


# Setting up and emptying.


def test_setup_can_be_called_again_and_at_once(dsn: str) -> None:
    """Setting up from several processes' worth of threads makes everything once; rows that are there stay."""
    settings = AnalysisSettings(url=dsn)
    applied: list[list[str]] = []
    threads = [threading.Thread(target=lambda: applied.append(setup_database(settings))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, applied)) == [0, 0, 0, 7]
    with Database.connect(settings.replace(pool_min_size=1, pool_max_size=2)) as db:
        fill(db)
        assert setup_database(settings) == []
        assert get_database_stats(db).users == 1
        assert len(list_partitions(db, SYSTEM_LOGS)) == 8


def test_reset_asks_for_the_databases_name(db: Database) -> None:
    """Who names another database than they are connected to empties nothing; who names it starts anew."""
    fill(db)
    name = system.backup.get_database_name(db)
    for wrong in ("", "microservices_db", name.upper()):
        with pytest.raises(ArgumentError, match="name it to empty it"):
            reset_database(db.settings, name=wrong)
    assert get_database_stats(db).users == 1
    assert len(reset_database(db.settings, name=name)) == 7
    assert set(get_database_stats(db).model_dump().values()) == {0}
    log_system_event(db, "analyzer", "INFO", "on we go")


def test_stats(db: Database) -> None:
    """Everything is counted; an analysis of eight days ago is not recent, nor is an inactive user active."""
    fill(db)
    user = users.list_users(db)[0]
    users.update_user(db, user_id=user.user_id, changes=UserChanges(is_active=False))
    with db.connection() as conn:
        conn.execute("update data_analyses set created_at = now() - interval '8 d' where status = 'running'")
    assert get_database_stats(db).model_dump() == {
        "users": 1,
        "active_users": 0,
        "data_analyses": 2,
        "recent_analyses": 1,
        "analysis_files": 2,
        "tool_generations": 1,
        "system_logs": 1,
        "cache_entries": 1,
    }
    assert get_database_stats(db, recent=timedelta(days=9)).recent_analyses == 2


# Health.


def test_a_healthy_database(db: Database) -> None:
    """A database that is set up is healthy, for no reason."""
    assert check_database_health(db) == {"status": "healthy", "reasons": []}


def test_a_database_without_todays_partition(db: Database) -> None:
    """Where the lines of today have no place, that is said; keep_logs mends it."""
    drop_partitions(db, SYSTEM_LOGS, before=NOW + timedelta(days=30))
    health = check_database_health(db)
    assert health["status"] == "unhealthy"
    assert health["reasons"] == ["system_logs has no partition for today: keep_logs makes it"]
    keep_logs(db)
    assert check_database_health(db)["status"] == "healthy"


def test_a_database_that_lags_behind(db: Database) -> None:
    """Migrations that are not applied are named."""
    rollback(db.settings.dsn(), MIGRATIONS / "analysis", schema="analysis", count=1)
    (reason,) = check_database_health(db)["reasons"]
    assert reason == "migrations are not applied: 0007.create-cache-tags"


def test_a_database_that_is_away(server: TestServer) -> None:
    """A database that does not answer is unhealthy with a reason, and nothing is raised."""
    name = server.create("away")
    with Database.connect(AnalysisSettings(url=server.dsn_for(name), pool_min_size=1, pool_max_size=1)) as db:
        server.drop(name)
        health = check_database_health(db, within=0.3)
    assert health["status"] == "unhealthy"
    assert health["reasons"]


# Cleaning.


def test_cleaning_removes_what_is_old_and_says_how_much(db: Database) -> None:
    """Lines, ended work and expired entries older than the days go, each counted; what runs or is newer stays."""
    fill(db)
    days = [NOW - timedelta(days=number) for number in (29, 30, 31, 400)]
    make_partitions(db, SYSTEM_LOGS, days)
    with db.connection() as conn:
        for day in days:
            conn.execute(
                "insert into system_logs (service, level, message, created_at) "
                "select 'a', 'info', 'm', %s - interval '1 min' * n from generate_series(1, 3) as n",
                [day.replace(hour=12)],
            )
        conn.execute("update data_analyses set updated_at = now() - interval '31 d'")
        conn.execute("update tool_generations set updated_at = now() - interval '31 d'")
        conn.execute("update cache_entries set expires_at = now()")
    edge = sum(
        (NOW - timedelta(days=30)).replace(hour=12) - timedelta(minutes=n) < NOW - timedelta(days=30) for n in (1, 2, 3)
    )
    assert cleanup_old_data(db, days=30, now=NOW) == {
        "system_logs": 6 + edge,
        "cache_entries": 1,
        "data_analyses": 1,
        "analysis_files": 1,
        "tool_generations": 1,
    }
    left = get_database_stats(db)
    assert (left.system_logs, left.data_analyses, left.analysis_files) == (1 + 6 - edge, 1, 1)
    assert set(cleanup_old_data(db, days=30, now=NOW).values()) == {0}
    oldest = list_partitions(db, SYSTEM_LOGS)[0].lower
    assert oldest is not None
    assert oldest >= NOW - timedelta(days=31)


#: Lets each old row that leaves have an older neighbour at the key's start, which no later batch should look at.
LATE = """
create function late() returns trigger language plpgsql as $$
begin
    if old.{text} <> 'late' then
        insert into {table} ({key}, user_id, {text}, {more} status, updated_at)
        values (overlay(old.{key}::text placing '00000000' from 1 for 8)::uuid, old.user_id, 'late', {values} 'failed',
            old.updated_at);
    end if;
    return null;
end $$;
create trigger late after delete on {table} for each row execute function late();
"""


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("data_analyses", {"key": "analysis_id", "text": "title", "more": "", "values": ""}),
        ("tool_generations", {"key": "tool_id", "text": "prompt", "more": "tool_type,", "values": "'chart',"}),
    ],
)
def test_a_batch_begins_where_the_one_before_ended(db: Database, table: str, names: dict[str, str]) -> None:
    """What lies before the last deleted row's key is not read again in one run; the next run begins anew."""
    fill(db)
    with db.connection() as conn:
        user = conn.execute("select user_id from users").fetchone()
        assert user
        conn.execute(f"delete from {table}".encode())
        columns, values = f"{names['key']}, user_id, {names['text']}, {names['more']}", names["values"]
        for number in range(1, 7):
            conn.execute(
                f"insert into {table} ({columns} status, updated_at) "
                f"values (%s, %s, 'T', {values} 'completed', now() - interval '40 d')".encode(),
                [f"{number}0000000-0000-4000-8000-00000000000{number}", user[0]],
            )
        conn.execute(LATE.format(table=table, **names).encode())
    assert cleanup_old_data(db, days=30, now=NOW, batch=2)[table] == 6  # type: ignore[literal-required]
    assert cleanup_old_data(db, days=30, now=NOW, batch=2)[table] == 6  # type: ignore[literal-required]
    assert cleanup_old_data(db, days=30, now=NOW, batch=2)[table] == 0  # type: ignore[literal-required]


def test_cleaning_nothing_and_everything(db: Database) -> None:
    """A negative number of days is refused; none at all takes everything that has ended by now."""
    fill(db)
    with pytest.raises(ArgumentError, match="days is 0 or more"):
        cleanup_old_data(db, days=-1)
    removed = cleanup_old_data(db, days=0, now=NOW + timedelta(minutes=5))
    assert (removed["system_logs"], removed["data_analyses"], removed["tool_generations"]) == (1, 1, 1)


# Accounts.


def test_signing_up_and_in(db: Database) -> None:
    """Who signed up gets in by name and by address with the right password only, and no hash is shown."""
    user = sign_up(db, "ada", "ada@example.org", "correct horse")
    for login in ("ada", "ada@example.org"):
        assert sign_in(db, login, "correct horse") == user
    for login, password in (("ada", "wrong"), ("eve", "correct horse"), ("", ""), ("ada", "")):
        assert sign_in(db, login, password) is None
    assert "argon2" not in repr(user)
    users.update_user(db, user_id=user.user_id, changes=UserChanges(is_active=False))
    assert sign_in(db, "ada", "correct horse") is None


def test_a_bcrypt_hash_is_replaced_at_the_next_login(db: Database) -> None:
    """An old hash lets its user in and is argon2id's afterwards, once; a wrong password changes nothing."""
    old = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()
    new = NewUser(username="ada", email="ada@example.org", hashed_password=old)
    users.create_user(db, user=new)
    assert sign_in(db, "ada", "wrong") is None
    assert kept_hash(db) == old
    assert sign_in(db, "ada", "correct horse") is not None
    replaced = kept_hash(db)
    assert replaced.startswith("$argon2id$")
    assert sign_in(db, "ada", "correct horse") is not None
    assert kept_hash(db) == replaced
    assert sign_in(db, "ada", "wrong") is None


def kept_hash(db: Database) -> str:
    """Return the hash of the one user."""
    found = users.get_credentials(db, login="ada")
    assert found is not None
    assert found.hashed_password not in repr(found)
    return found.hashed_password


# Validation.


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ({"username": " john ", "email": "john@example.com\n"}, {"username": "john", "email": "john@example.com"}),
        ({"username": "j", "email": "a@b"}, {"username": "j", "email": "a@b"}),
    ],
)
def test_good_users(data: dict[str, Any], wanted: dict[str, Any]) -> None:
    """What can be a user is valid, with its blanks taken away."""
    assert validate_user_data(data) == {"valid": True, "data": wanted, "errors": []}


@pytest.mark.parametrize(
    ("data", "errors"),
    [
        ({}, ["username: field required", "email: field required"]),
        (
            {"username": "secret name", "email": "secret"},
            ["username: string should match", "email: string should match"],
        ),
        ({"username": "j", "email": "a@b", "hashed_password": "secret"}, ["hashed_password: extra inputs"]),
        ({"username": 1, "email": None}, ["username: input should be", "email: input should be"]),
        ({"username": "a\0b", "email": "a@b"}, ["username: a NUL character"]),
    ],
)
def test_bad_users(data: dict[str, Any], errors: list[str]) -> None:
    """What cannot be a user says why, field by field, without its values."""
    found = validate_user_data(data)
    assert (found["valid"], found["data"]) == (False, {})
    assert len(found["errors"]) == len(errors)
    assert all(one.startswith(wanted) for one, wanted in zip(found["errors"], errors, strict=True)), found
    assert "secret" not in " ".join(found["errors"]).replace("hashed_password", "")


def test_analyses_are_validated(db: Database) -> None:
    """What is valid can be written as it is; what is not says why."""
    user = sign_up(db, "ada", "ada@example.org", "correct horse")
    found = validate_analysis_data({"user_id": str(user.user_id), "title": " Means ", "parameters": {"n": 1}})
    assert found["valid"]
    assert analyses.create_analysis(db, analysis=NewAnalysis(**found["data"])).title == "Means"
    bad = {"title": "  ", "status": "lost", "parameters": {"n": float("nan")}, "result": {"x": "a\0b"}}
    found = validate_analysis_data(bad)
    assert [one.partition(":")[0] for one in found["errors"]] == [
        "user_id",
        "title",
        "status",
        "parameters",
        "result.dict[str,union[...]]",
    ] or len(found["errors"]) >= 5
    assert not found["valid"]


# Connections that are lost.


def test_a_lost_connection_is_tried_again_and_nothing_is_done_twice(db: Database) -> None:
    """Work whose connection dies is done once more as a whole: each of its rows is there once."""
    attempts: list[int] = []

    def work(conn: psycopg.Connection[Any]) -> int:
        attempts.append(1)
        for number in range(2):
            new = NewUser(username=f"user-{number}", email=f"{number}@example.org", hashed_password="x")
            users.create_user(conn, user=new)
            if len(attempts) < 3 and number == 0:
                with psycopg.connect(db.settings.dsn(), autocommit=True) as other:
                    other.execute("select pg_terminate_backend(%s)", [conn.info.backend_pid])
        return len(attempts)

    assert with_retries(db, work) == 3
    assert users.count_users(db) == 2


def test_a_pool_that_is_empty_for_a_while(db: Database) -> None:
    """Work waits out a pool that has no connection, with growing pauses, and gives up after its attempts."""
    small = Database.connect(db.settings, pool_min_size=1, pool_max_size=1, pool_timeout=0.05)
    with small:
        release = threading.Event()
        taken = threading.Event()

        def hold() -> None:
            with small.connection() as conn:
                conn.execute("select 1")
                taken.set()
                release.wait(10)

        holder = threading.Thread(target=hold)
        holder.start()
        assert taken.wait(5)
        started = time.monotonic()
        with pytest.raises(PoolExhausted):
            with_retries(small, lambda conn: conn.execute("select 1"), attempts=2)
        assert time.monotonic() - started > 0.15
        threading.Timer(0.3, release.set).start()
        assert with_retries(small, lambda conn: conn.execute("select 1").fetchone()) == (1,)
        holder.join()


def test_other_errors_are_not_tried_again(db: Database) -> None:
    """What the database refuses is raised at once, and its transaction is undone as a whole."""
    attempts: list[int] = []

    def work(conn: psycopg.Connection[Any]) -> None:
        attempts.append(1)
        users.create_user(conn, user=NewUser(username="ada", email="ada@example.org", hashed_password="x"))
        analyses.create_analysis(conn, analysis=NewAnalysis(user_id=uuid4(), title="T"))

    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        with_retries(db, work)
    assert len(attempts) == 1
    assert users.count_users(db) == 0
    with pytest.raises(ArgumentError):
        with_retries(db, work, attempts=0)


# Settings.


def test_the_figures_of_the_document() -> None:
    """Twenty connections, thirty more at need, thirty seconds to wait, an hour of life, in UTC."""
    settings = AnalysisSettings(url="postgresql://user@localhost/microservices_db")
    assert (settings.pool_min_size, settings.pool_max_size) == (20, 50)
    assert (settings.pool_timeout, settings.pool_max_lifetime) == (30, 3600)
    assert (settings.application_name, settings.schema, settings.timezone) == ("analysis", "analysis", "UTC")


@pytest.mark.parametrize("by_url", [True, False])
def test_the_names_of_the_document(monkeypatch: pytest.MonkeyPatch, by_url: bool) -> None:
    """DATABASE_*, POOL_* and MAX_OVERFLOW are read as the document writes them."""
    given = {"POOL_SIZE": "2", "MAX_OVERFLOW": "3", "POOL_TIMEOUT": "4", "POOL_RECYCLE": "5"}
    if by_url:
        given["DATABASE_URL"] = "postgresql://user:password@localhost:5432/microservices_db"
    else:
        given |= {"DATABASE_HOST": "localhost", "DATABASE_PORT": "5432", "DATABASE_NAME": "microservices_db"}
        given |= {"DATABASE_USER": "user", "DATABASE_PASSWORD": "password"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = AnalysisSettings()
    assert settings.safe_dsn == "postgresql://user:***@localhost:5432/microservices_db"
    assert (settings.pool_min_size, settings.pool_max_size) == (2, 5)
    assert (settings.pool_timeout, settings.pool_max_lifetime) == (4, 5)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, None),
        ({"REDIS_PORT": "6380"}, None),
        ({"REDIS_URL": "redis://:secret@cache:6379/2", "REDIS_HOST": "x"}, "redis://:secret@cache:6379/2"),
        ({"REDIS_HOST": "cache"}, "redis://cache:6379/0"),
        ({"REDIS_HOST": "::1", "REDIS_PORT": "6380", "REDIS_DB": "3"}, "redis://[::1]:6380/3"),
    ],
)
def test_where_redis_is(given: dict[str, str], wanted: str | None) -> None:
    """REDIS_URL, or REDIS_HOST with port and number; nowhere where neither is set. No repr shows the password."""
    found = redis_url(given)
    assert found == wanted
    assert "secret" not in repr(found)


@pytest.mark.parametrize("given", [{"REDIS_PORT": "65536"}, {"REDIS_PORT": "x"}, {"REDIS_DB": "-1"}])
def test_where_redis_cannot_be(given: dict[str, str]) -> None:
    """A port or number that is none is an error that names its variable."""
    with pytest.raises(ConfigurationError, match=next(iter(given))):
        redis_url({"REDIS_HOST": "cache", **given})


def test_the_history_is_the_schemas_own(db: Database) -> None:
    """Migrations are those of the schema analysis, all seven."""
    assert len(history(database_url(db.settings.dsn()), schema="analysis")) == 7
