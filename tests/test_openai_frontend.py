"""What openai_frontend does beyond single statements: the schema, tokens, keys, bulk, partitions, settings."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import bcrypt
import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from sqlkit import Database, PoolExhausted
from sqlkit.apps import openai_frontend as frontend
from sqlkit.apps.openai_frontend.settings import OpenaiFrontendSettings
from sqlkit.migrate import history
from sqlkit.operations import list_partitions

TABLES = {"users", "refresh_tokens", "api_keys", "logs", "usage"}
PASSWORD = "correct horse battery staple"

pytestmark = pytest.mark.usefixtures("cheap_passwords")


@pytest.fixture
def db(frontend_dsn: str) -> Iterator[Database]:
    """Give a Database with openai_frontend's tables, for a test that commits."""
    with Database.connect(frontend_dsn, pool_max_size=16) as database:
        yield database


def user_of(db: Database) -> frontend.User:
    """Create a user without a password that anybody knows."""
    new = frontend.NewUser(username="ella", email="a@b", hashed_password="$argon2id$x")
    return frontend.users.create_user(db, user=new)


def rows(dsn: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run raw SQL on a connection of its own."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        cursor = conn.execute(statement, values)
        return list(cursor.fetchall()) if cursor.description else []


# The schema


def states(report: frontend.InitReport) -> dict[str, str]:
    """Return what became of each table."""
    return {table.table: table.state for table in report.tables}


def test_tables_are_created_then_stand(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    """The first call creates every table and says so of each; the second finds all of them."""
    caplog.set_level(logging.INFO, "sqlkit.apps.openai_frontend")
    assert states(frontend.prepare_database(dsn)) == dict.fromkeys(TABLES, "created")
    assert "table usage of usage: created" in caplog.messages
    report = frontend.prepare_database(dsn)
    assert states(report) == dict.fromkeys(TABLES, "stood")
    assert report.state("users") == "stood"
    assert "table usage of usage: stands already" in caplog.messages
    assert frontend.init_database(dsn) is True


def test_rows_that_are_there_stay(frontend_dsn: str, db: Database) -> None:
    """A second call writes to no row."""
    user_of(db)
    frontend.write_log(db, line=line_of("kept"))
    seen = "select xmin::text, ctid::text, tableoid::regclass::text from {} order by 1, 2"
    before = [rows(frontend_dsn, seen.format(table)) for table in ("users", "logs", "_yoyo_migration")]
    assert frontend.init_database(frontend_dsn)
    assert [rows(frontend_dsn, seen.format(table)) for table in ("users", "logs", "_yoyo_migration")] == before


def test_many_at_once(dsn: str) -> None:
    """Several callers at once all succeed, and each table is created by exactly one of them."""
    with ThreadPoolExecutor(6) as pool:
        reports = list(pool.map(frontend.prepare_database, [dsn] * 6))
    assert all(reports)
    for table in TABLES:
        assert sorted(report.state(table) for report in reports) == ["created"] + ["stood"] * 5


def test_processes_at_once(dsn: str) -> None:
    """Several processes at once all succeed."""
    script = (
        "import sys; from sqlkit.apps.openai_frontend import init_database; sys.exit(not init_database(sys.argv[1]))"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, dsn], stderr=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate(timeout=60)[1] for process in running] == [b""] * 3
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(history(dsn, schema="openai_frontend")) == 4


@pytest.fixture
def failing(tmp_path: Path) -> frontend.Chain:
    """Give a chain whose second migration fails."""
    (tmp_path / "0001.create-notes.sql").write_text(
        "create table notes (note_id int constraint notes_pkey primary key);"
    )
    (tmp_path / "0002.fail.sql").write_text("-- depends: 0001.create-notes\n\nalter table nowhere add note int;")
    return frontend.Chain("notes", tmp_path, ("notes",))


def test_a_module_that_fails(dsn: str, failing: frontend.Chain, caplog: pytest.LogCaptureFixture) -> None:
    """A module that fails is rolled back whole and reported with its place; the others go on, and the answer is no."""
    users, *others = frontend.CHAINS
    report = frontend.prepare_database(dsn, chains=[users, failing, *others])
    assert not report
    assert states(report) == {**dict.fromkeys(TABLES, "created"), "notes": "failed"}
    assert '0002.fail.sql:3:1: relation "nowhere" does not exist' in report.errors["notes"]
    assert any("module notes" in message for message in caplog.messages)
    with psycopg.connect(dsn) as conn:
        assert conn.execute("select to_regclass('openai_frontend.notes')").fetchone() == (None,)
    assert "0001.create-notes" not in {mark.migration_id for mark in history(dsn, schema="openai_frontend")}


def test_a_module_that_is_mended(dsn: str, failing: frontend.Chain) -> None:
    """Once its migration is mended, the module goes up with the next call."""
    assert not frontend.prepare_database(dsn, chains=[failing])
    (failing.folder / "0002.fail.sql").write_text("-- depends: 0001.create-notes\n\nalter table notes add note int;")
    assert states(frontend.prepare_database(dsn, chains=[failing])) == {"notes": "created"}


def test_what_a_failing_module_needs(dsn: str, tmp_path: Path) -> None:
    """Keys belong to users: without those they fail too, while logs and usage go on."""
    (tmp_path / "0001.nothing.sql").write_text("select nothing;")
    users = frontend.Chain("users", tmp_path, ("users", "refresh_tokens"))
    report = frontend.prepare_database(dsn, chains=[users, *frontend.CHAINS[1:]])
    assert set(report.errors) == {"users", "keys"}
    assert {table for table, state in states(report).items() if state == "created"} == {"logs", "usage"}


def test_tables_that_somebody_else_made(dsn: str) -> None:
    """A table that stands without our mark is left as it is, and its module is reported."""
    rows(dsn, "create schema openai_frontend")
    rows(dsn, "create table openai_frontend.logs (log_id int)")
    report = frontend.prepare_database(dsn)
    assert set(report.errors) == {"logs"}
    assert 'relation "logs" already exists' in report.errors["logs"]
    columns = "select attname from pg_attribute where attrelid = 'openai_frontend.logs'::regclass and attnum > 0"
    assert rows(dsn, columns) == [("log_id",)]


def test_no_connection(caplog: pytest.LogCaptureFixture) -> None:
    """Where no server answers the result is False for every module, told once, without the password."""
    assert frontend.init_database("postgresql://ella:s3cr3t@127.0.0.1:1/nowhere") is False
    report = frontend.prepare_database("postgresql://ella:s3cr3t@127.0.0.1:1/nowhere")
    assert set(report.errors) == {chain.name for chain in frontend.CHAINS}
    assert set(states(report).values()) == {"failed"}
    assert "no connection" in caplog.text
    assert "s3cr3t" not in caplog.text + str(report)


def test_a_role_without_rights(dsn: str) -> None:
    """A role that may create nothing gets False and leaves nothing behind."""
    rows(dsn, "create role frontend_nobody login")
    try:
        separator = "&" if "?" in dsn else "?"
        assert frontend.init_database(f"{dsn}{separator}options=-crole%3Dfrontend_nobody") is False
        assert rows(dsn, "select to_regnamespace('openai_frontend')::text") == [(None,)]
    finally:
        rows(dsn, "drop role frontend_nobody")


def test_configuration_from_a_file(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """config.yml says where the database is; its table prefix is the schema that everything is made and read in."""
    known = conninfo_to_dict(dsn)
    (tmp_path / "config.yml").write_text(
        "database:\n"
        f"  host: {known.get('host') or 'localhost'}\n  port: {known.get('port') or 5432}\n"
        f"  username: {known.get('user')}\n  password: {known.get('password') or 'password'}\n"
        f"  database: {known['dbname']}\n  table_prefix: app\n"
        "server:\n  port: 8000\n"
    )
    monkeypatch.chdir(tmp_path)
    assert frontend.init_database() is True
    with Database.connect(OpenaiFrontendSettings(pool_min_size=1)) as db:
        assert user_of(db).username == "ella"
    assert rows(dsn, "select username from app.users") == [("ella",)]


def test_settings_are_those_of_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten connections, twenty more at need, thirty seconds to wait, renewed every hour; the environment wins."""
    settings = OpenaiFrontendSettings(url="postgresql://ella@localhost/myapp")
    assert (settings.pool_min_size, settings.pool_max_size) == (10, 30)
    assert (settings.pool_timeout, settings.pool_max_lifetime, settings.connect_timeout) == (30, 3600, 10)
    assert (settings.schema, settings.application_name, settings.timezone) == (
        "openai_frontend",
        "openai_frontend",
        "UTC",
    )
    monkeypatch.setenv("POSTGRES_HOST", "db.example")
    monkeypatch.setenv("POSTGRES_DB", "other")
    monkeypatch.setenv("DATABASE_TABLE_PREFIX", "app")
    assert (OpenaiFrontendSettings().host, OpenaiFrontendSettings().name) == ("db.example", "other")
    assert OpenaiFrontendSettings().schema == "app"


def test_status_and_an_exhausted_pool(frontend_dsn: str) -> None:
    """The pool's figures are those of the document, and when it is exhausted the error says who holds it."""
    with Database.connect(frontend_dsn, pool_max_size=1, pool_timeout=0.1) as db:
        with db.connection() as conn, ThreadPoolExecutor(1) as pool:
            conn.execute("select 1")
            status = db.status()
            assert (status.size, status.checked_out, status.overflow, status.available, status.waiting) == (
                1,
                1,
                0,
                0,
                0,
            )
            with pytest.raises(PoolExhausted, match=r"held by .*test_status_and_an_exhausted_pool"):
                pool.submit(frontend.users.list_users, db).result()
        frontend.close_database(db)
        with pytest.raises(psycopg.OperationalError):
            frontend.users.list_users(db)


def test_commit_and_rollback(db: Database) -> None:
    """What a block wrote is committed when it ends well and rolled back when it does not."""
    with db.transaction() as conn:
        frontend.users.create_user(conn, user=frontend.NewUser(username="a", email="a@b", hashed_password="$x"))
    with contextlib.suppress(ZeroDivisionError), db.transaction() as conn:
        frontend.users.create_user(conn, user=frontend.NewUser(username="c", email="c@d", hashed_password="$x"))
        raise ZeroDivisionError
    assert [user.username for user in frontend.users.list_users(db)] == ["a"]


# Tokens


@pytest.fixture
def login(db: Database) -> frontend.IssuedToken:
    """Give the refresh token of a user who has just logged in."""
    frontend.register(db, username="ella", email="a@b", password=PASSWORD)
    return frontend.log_in(db, username="ella", password=PASSWORD)


def test_tokens_are_rotated(db: Database, login: frontend.IssuedToken) -> None:
    """Each token is good for one more, of the same family and for the same user."""
    token = login
    for _ in range(3):
        following = frontend.rotate_refresh_token(db, token.token, lifetime=timedelta(days=1))
        assert following.row.family == login.row.family
        assert following.token.get_secret_value() != token.token.get_secret_value()
        token = following
    assert frontend.refresh_tokens.list_tokens(db, user_id=login.row.user_id) == [token.row]


def test_a_token_that_was_used(db: Database, login: frontend.IssuedToken) -> None:
    """A token that is used a second time revokes its whole family, also the token that replaced it."""
    following = frontend.rotate_refresh_token(db, login.token)
    other = frontend.log_in(db, username="ella", password=PASSWORD)
    with pytest.raises(frontend.TokenReused, match="used before") as refused:
        frontend.rotate_refresh_token(db, login.token)
    assert refused.value.family == login.row.family
    with pytest.raises(frontend.TokenReused):
        frontend.rotate_refresh_token(db, following.token)
    assert frontend.rotate_refresh_token(db, other.token).row.family == other.row.family


def test_a_token_used_twice_at_once(db: Database, login: frontend.IssuedToken) -> None:
    """Of callers with one token at once exactly one gets the next token, and the family is revoked whole."""
    together = threading.Barrier(8)

    def attempt(_: int) -> frontend.IssuedToken | Exception:
        together.wait()
        try:
            return frontend.rotate_refresh_token(db, login.token)
        except frontend.TokenReused as refused:
            return refused

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(attempt, range(8)))
    assert sorted(type(result).__name__ for result in results) == ["IssuedToken"] + ["TokenReused"] * 7
    assert frontend.refresh_tokens.list_tokens(db, user_id=login.row.user_id) == []
    with db.connection() as conn:
        assert conn.execute("select count(*), count(revoked_at) from refresh_tokens").fetchone() == (2, 2)


def test_reuse_meets_a_rotation(db: Database, login: frontend.IssuedToken) -> None:
    """An old token used while the newest is rotated leaves no token of the family that is good."""
    for _ in range(5):
        newest = frontend.rotate_refresh_token(db, frontend.log_in(db, username="ella", password=PASSWORD).token)
        following = frontend.rotate_refresh_token(db, newest.token)
        together = threading.Barrier(2)

        def attempt(token: Any, together: threading.Barrier = together) -> None:
            together.wait()
            with contextlib.suppress(frontend.TokenReused):
                frontend.rotate_refresh_token(db, token)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(attempt, [newest.token, following.token]))
        with db.connection() as conn:
            good = conn.execute(
                "select count(*) from refresh_tokens where family = %s and revoked_at is null", [newest.row.family]
            ).fetchone()
        assert good == (0,)


@pytest.mark.parametrize("token", ["rt_unknown", ""])
def test_tokens_that_nobody_gave(db: Database, token: str) -> None:
    """An unknown token is refused, and no family is."""
    with pytest.raises(frontend.RefreshRefused, match="log in again") as refused:
        frontend.rotate_refresh_token(db, token)
    assert not isinstance(refused.value, frontend.TokenReused)


def test_an_expired_token(db: Database, login: frontend.IssuedToken) -> None:
    """A token that has expired is refused, and its family is not revoked for it."""
    with db.connection() as conn:
        conn.execute(
            "update refresh_tokens set issued_at = now() - interval '2 d', expires_at = now() - interval '1 d'"
        )
    with pytest.raises(frontend.RefreshRefused, match="expired") as refused:
        frontend.rotate_refresh_token(db, login.token)
    assert not isinstance(refused.value, frontend.TokenReused)


def test_log_out(db: Database, login: frontend.IssuedToken) -> None:
    """Who logs out revokes their family, once."""
    following = frontend.rotate_refresh_token(db, login.token)
    assert frontend.log_out(db, following.token)
    assert not frontend.log_out(db, following.token)
    assert not frontend.log_out(db, "rt_unknown")
    with pytest.raises(frontend.RefreshRefused):
        frontend.rotate_refresh_token(db, following.token)


@pytest.mark.parametrize(("username", "password"), [("ella", "wrong"), ("nobody", PASSWORD), ("idle", PASSWORD)])
def test_logins_that_are_refused(db: Database, username: str, password: str) -> None:
    """A wrong password, an unknown name and an idle account are refused in the same words."""
    frontend.register(db, username="ella", email="a@b", password=PASSWORD)
    idle = frontend.register(db, username="idle", email="c@d", password=PASSWORD)
    frontend.users.update_user(db, user_id=idle.user_id, changes=frontend.UserChanges(is_active=False))
    with pytest.raises(frontend.LoginRefused, match=r"^openai_frontend: the username or the password is wrong$"):
        frontend.log_in(db, username=username, password=password)


def test_old_hashes_are_replaced(db: Database) -> None:
    """A bcrypt hash is verified still, and is argon2id's after the login."""
    old = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(rounds=4)).decode()
    frontend.users.create_user(db, user=frontend.NewUser(username="ella", email="a@b", hashed_password=old))
    frontend.log_in(db, username="ella", password=PASSWORD)
    credentials = frontend.users.get_credentials(db, username="ella")
    assert credentials is not None
    assert credentials.hashed_password.startswith("$argon2id$")


# API keys


def test_issue_and_verify(db: Database) -> None:
    """An issued key is verified by its text alone, which stands nowhere; revoked, it is good no more."""
    user = user_of(db)
    issued = frontend.issue_api_key(db, key=frontend.NewApiKey(user_id=user.user_id, name="build", scopes=["chat"]))
    text = issued.key.get_secret_value()
    assert text.startswith(issued.row.key_prefix)
    assert len(text) - len(issued.row.key_prefix) >= 43  # 256 bits that are not shown
    found = frontend.verify_api_key(db, text)
    assert found is not None
    assert (found.api_key_id, found.scopes) == (issued.row.api_key_id, ["chat"])
    assert frontend.verify_api_key(db, text + "x") is None
    with db.connection() as conn:
        stored = conn.execute("select api_keys::text from api_keys").fetchone()
    assert stored is not None
    assert text not in stored[0] + repr(issued)
    frontend.api_keys.revoke_api_key(db, api_key_id=issued.row.api_key_id)
    assert frontend.verify_api_key(db, text) is None


def test_many_verify_and_one_notes(db: Database) -> None:
    """Under 64 threads every verification succeeds, and last_used_at is written at most once a minute."""
    user = user_of(db)
    issued = frontend.issue_api_key(db, key=frontend.NewApiKey(user_id=user.user_id, name="build"))
    with db.connection() as conn:
        conn.execute("create table noted (at timestamptz not null)")
        conn.execute(
            "create function note() returns trigger language plpgsql as "
            "$$ begin insert into noted values (new.last_used_at); return null; end $$"
        )
        conn.execute("create trigger note after update on api_keys for each row execute function note()")
    together = threading.Barrier(64)

    def attempt(_: int) -> int:
        together.wait()
        return sum(frontend.verify_api_key(db, issued.key) is not None for _ in range(5))

    for round_ in (1, 2):
        with ThreadPoolExecutor(64) as pool:
            assert sum(pool.map(attempt, range(64))) == 320
        with db.connection() as conn:
            assert conn.execute("select count(*) from noted").fetchone() == (round_,)
            conn.execute("alter table api_keys disable trigger note")
            conn.execute("update api_keys set last_used_at = last_used_at - interval '61 s'")
            conn.execute("alter table api_keys enable trigger note")


# Logs and usage


def line_of(message: str, at: datetime | None = None) -> frontend.NewLogLine:
    """Return a line, of now where no other time is given."""
    level = frontend.LogLevel.INFO
    if at is None:
        return frontend.NewLogLine(level=level, logger="app", message=message)
    return frontend.NewLogLine(level=level, logger="app", message=message, created_at=at)


def call_of(at: datetime, **facts: Any) -> frontend.NewUsage:
    """Return a call."""
    known: dict[str, Any] = {"user_id": 1, "endpoint": "/v1/chat/completions", "model": "small", "prompt_tokens": 1}
    known |= {"completion_tokens": 1, "cost": Decimal("0.001"), "status_code": 200, "latency_ms": 5, "created_at": at}
    return frontend.NewUsage(**known | facts)


LEAP_DAY = datetime(2004, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)


def test_a_row_of_another_month_makes_its_partition(db: Database) -> None:
    """A line or a call of a month without a partition is written all the same, one by one and in bulk."""
    assert frontend.write_log(db, line=line_of("old", LEAP_DAY)).created_at == LEAP_DAY
    assert frontend.record_usage(db, call=call_of(LEAP_DAY)).created_at == LEAP_DAY
    months = [datetime(2005, month, 1, tzinfo=UTC) for month in range(1, 13)]
    assert frontend.copy_logs(db, (line_of("old", month) for month in months)) == 12
    assert frontend.copy_usage(db, (call_of(month) for month in months)) == 12
    for table in (frontend.LOGS, frontend.USAGE):
        names = [partition.name for partition in list_partitions(db, table)]
        assert names[:2] == [f"{table.table}_2004_02", f"{table.table}_2005_01"]
        assert len(names) == 17


def test_in_a_transaction(db: Database) -> None:
    """Inside a transaction a missing partition does not end it, and a rollback takes rows and partition back."""
    with contextlib.suppress(ZeroDivisionError), db.transaction() as conn:
        frontend.write_log(conn, line=line_of("first"))
        frontend.write_log(conn, line=line_of("old", LEAP_DAY))
        frontend.record_usage(conn, call=call_of(LEAP_DAY))
        raise ZeroDivisionError
    with db.connection() as conn:
        assert conn.execute("select count(*) from logs").fetchone() == (0,)
    assert len(list_partitions(db, frontend.LOGS)) == 4


def test_writers_of_a_missing_month_at_once(db: Database) -> None:
    """Many who meet the same missing partition at once all write, and it is made once."""
    together = threading.Barrier(12)

    def attempt(number: int) -> int:
        together.wait()
        return frontend.copy_usage(db, [call_of(LEAP_DAY, user_id=number)] * 10)

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(attempt, range(12))) == 120
    span: dict[str, Any] = {"since": LEAP_DAY - timedelta(days=1), "until": LEAP_DAY + timedelta(days=1)}
    assert frontend.usage.get_total_usage(db, **span).calls == 120


def test_ten_thousand_at_a_time(db: Database) -> None:
    """A copy takes 10,000 rows at a time: what failed in the third took the two before it not with it."""
    now = datetime.now(UTC)

    def calls() -> Iterator[frontend.NewUsage]:
        for number in range(25_000):
            bad = {"latency_ms": -1} if number == 24_000 else {}
            yield call_of(now).model_copy(update=bad)

    with pytest.raises(errors.CheckViolation) as refused:
        frontend.copy_usage(db, calls())
    assert refused.value.diag.constraint_name == "usage_latency_ms_check"
    day: dict[str, Any] = {"since": now - timedelta(hours=1), "until": now + timedelta(hours=1)}
    assert frontend.usage.get_total_usage(db, **day).calls == 20_000
    with pytest.raises(errors.CheckViolation), db.transaction() as conn:
        frontend.copy_usage(conn, calls())
    assert frontend.usage.get_total_usage(db, **day).calls == 20_000


def months_ago(count: int) -> datetime:
    """Return the first day of a month before this one."""
    this = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    months = this.year * 12 + this.month - 1 - count
    return this.replace(year=months // 12, month=months % 12 + 1)


def test_retention(db: Database) -> None:
    """Partitions past their retention go with exactly their rows; the others keep theirs, and those ahead are there."""
    ages = {count: months_ago(count) for count in (0, 3, 6, 7, 10)}
    frontend.copy_logs(db, [line_of(str(count), age) for count, age in ages.items()])
    reports = {report.table: report for report in frontend.keep_all_partitions(db)}
    assert len(reports["logs"].dropped) == 2
    assert reports["usage"].dropped == ()
    found = frontend.logs.list_logs(db, since=ages[10], until=datetime.now(UTC) + timedelta(days=1))
    assert {line.message for line in found} == {"0", "3", "6"}
    assert len([one for one in list_partitions(db, frontend.LOGS) if one.lower and one.lower > ages[0]]) == 3
