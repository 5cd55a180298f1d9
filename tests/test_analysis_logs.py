"""Analysis' log: events, imported files, and their partitions by day; then backups of everything."""

from __future__ import annotations

import csv
import json
import re
import stat
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sqlkit import ArgumentError, Database
from sqlkit.apps.analysis.backups import BackupError, backup_database_data, restore_database_data
from sqlkit.apps.analysis.events import SYSTEM_LOGS, import_log_lines, keep_logs, log_system_event
from sqlkit.apps.analysis.keeping import setup_database
from sqlkit.apps.analysis.models import LogLevel, NewAnalysis, NewFile, NewTool, NewUser
from sqlkit.apps.analysis.queries import analyses, files, tools, users
from sqlkit.apps.analysis.system import backup, logs
from sqlkit.operations.logfiles import LogLine, read_log, samples
from sqlkit.operations.partitions import drop_partitions, list_partitions
from sqlkit.testing import TestServer, dropped_afterwards

LOGS = Path(__file__).parent.parent.parent / "shared" / "data" / "logs"
needs_logs = pytest.mark.skipif(not LOGS.is_dir(), reason="the log files are not ours to carry")
NOW = datetime.now(UTC)


@pytest.fixture
def db(analysis_dsn: str) -> Iterator[Database]:
    """Give a pool on a database of analysis' own."""
    with Database.connect(analysis_dsn, pool_max_size=5) as database:
        yield database


# Events.


@pytest.mark.parametrize(
    ("level", "kept"),
    [("INFO", "info"), ("notice", "info"), ("WARN", "warning"), ("Error", "error"), ("FATAL", "critical")],
)
def test_levels_are_ours(db: Database, level: str, kept: str) -> None:
    """An event keeps its service, message and details, and the level that is meant by whatever name."""
    line = log_system_event(db, "data_analyzer", level, "done", {"analysis_id": "123", "duration": 5.2})
    assert (line.service, line.level, line.message) == ("data_analyzer", kept, "done")
    assert line.details == {"analysis_id": "123", "duration": 5.2}


def test_a_level_that_nobody_knows(db: Database) -> None:
    """Another level is refused, and nothing is written."""
    with pytest.raises(ArgumentError, match="no such level"):
        log_system_event(db, "a", "loud", "m")
    assert logs.list_logs(db) == []


def test_a_missing_partition_is_made(db: Database) -> None:
    """An event whose day has no partition makes it, also inside a transaction and for a role without rights."""
    everything = NOW + timedelta(days=30)
    drop_partitions(db, SYSTEM_LOGS, before=everything)
    log_system_event(db, "a", "info", "first")
    drop_partitions(db, SYSTEM_LOGS, before=everything)
    with db.transaction() as conn:
        log_system_event(conn, "a", "info", "second")
        log_system_event(conn, "a", "info", "third")
    assert {line.message for line in logs.list_logs(db)} == {"second", "third"}
    drop_partitions(db, SYSTEM_LOGS, before=everything)
    app = db.bound(role="analysis_app")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        log_system_event(app, "a", "info", "fourth")
    log_system_event(app, "a", "info", "fifth", maker=db)
    assert [line.message for line in logs.list_logs(db)] == ["fifth"]
    assert len(list_partitions(db, SYSTEM_LOGS)) == 1


def test_many_write_while_the_partition_is_missing(db: Database) -> None:
    """Of eight who write at once into a day without a partition each leaves its line."""
    drop_partitions(db, SYSTEM_LOGS, before=NOW + timedelta(days=30))
    threads = [threading.Thread(target=log_system_event, args=(db, "a", "info", str(n))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(line.message for line in logs.list_logs(db)) == list("01234567")


def test_partitions_are_made_a_week_ahead(db: Database) -> None:
    """keep_logs makes today's partition and seven more, in UTC, once."""
    report = keep_logs(db, now=datetime(2028, 2, 27, 23, 30, tzinfo=UTC))
    names = [partition.name for partition in report.made]
    assert names[:3] == ["system_logs_2028_02_27", "system_logs_2028_02_28", "system_logs_2028_02_29"]
    assert names[-1] == "system_logs_2028_03_05"
    assert keep_logs(db, now=datetime(2028, 2, 27, 0, 30, tzinfo=UTC)).made == ()


# Files.


def test_our_own_samples(db: Database) -> None:
    """The small samples come in with their own times, services, levels and messages, and say where they stood."""
    lines = list(samples())
    assert import_log_lines(db, iter(lines), batch=3) == len(lines)
    found = logs.list_logs(db, order="oldest", limit=1000)
    wanted = sorted((line.time, line.service, line.level, line.message, line.logger, line.number) for line in lines)
    kept = [
        (one.created_at, one.service, one.level, one.message, one.details["logger"], one.details["line"])
        for one in found
    ]
    assert sorted(kept, key=str) == sorted(wanted, key=str)


def test_an_import_is_whole(db: Database) -> None:
    """Where one line is refused nothing of the import is there."""
    lines = list(samples())
    lines.append(LogLine(1, NOW, "", "x", LogLevel.INFO, "a service without a name"))
    with pytest.raises(ValueError, match="service"):
        import_log_lines(db, lines, batch=5)
    assert logs.list_logs(db) == []


def day_of(row: dict[str, str]) -> date:
    """Return the day of a line, as its file writes it."""
    if "Date" in row:
        return date.fromisoformat(row["Date"])
    return datetime.strptime(row["Time"], "%a %b %d %H:%M:%S %Y").date()


def counts_in_files() -> dict[str, Counter[date]]:
    """Count the lines of each day of each file, without the importer."""
    counted = {}
    for path in sorted(LOGS.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            counted[path.stem] = Counter(map(day_of, csv.DictReader(file)))
    return counted


@pytest.fixture(scope="module")
def imported(server: TestServer, analysis_template: str) -> Iterator[Database]:
    """Give a database with the 8,000 lines of the four files."""
    with (
        dropped_afterwards(server, analysis_template, "logs") as name,
        Database.connect(server.dsn_for(name, "analysis"), pool_max_size=3) as database,
    ):
        for path in sorted(LOGS.glob("*.csv")):
            assert import_log_lines(database, read_log(path)) == 2000
        yield database


@needs_logs
def test_real_lines_land_on_their_days(imported: Database) -> None:
    """The 8,000 lines are in the partitions of their days: the counts of each service and day are the files'."""
    since, until = datetime(2005, 1, 1, tzinfo=UTC), datetime(2018, 1, 1, tzinfo=UTC)
    wanted = counts_in_files()
    assert sum(sum(days.values()) for days in wanted.values()) == 8000
    for service, days in wanted.items():
        found = logs.count_logs_by_day(imported, service=service, since=since, until=until)
        assert {row.day.date(): row.lines for row in found} == days
    with imported.connection() as conn:
        rows = conn.execute("select tableoid::regclass::text, count(*) from system_logs group by 1").fetchall()
    everything = sum(wanted.values(), Counter())
    assert dict(rows) == {f"system_logs_{day:%Y_%m_%d}": lines for day, lines in everything.items()}


@needs_logs
def test_a_day_of_real_lines_touches_one_partition(imported: Database) -> None:
    """A query over one day looks into one partition of all."""
    day = datetime(2005, 12, 4, tzinfo=UTC)
    assert len(list_partitions(imported, SYSTEM_LOGS)) > 20
    with imported.connection() as conn:
        plan = conn.execute(
            "explain (costs off) select message from system_logs where created_at >= %s and created_at < %s",
            [day, day + timedelta(days=1)],
        ).fetchall()
    assert set(re.findall(r"system_logs_\d{4}_\d\d_\d\d\b", str(plan))) == {"system_logs_2005_12_04"}
    levels = {row.level for row in logs.count_logs(imported, since=day, until=day + timedelta(days=1))}
    assert levels == {LogLevel.INFO, LogLevel.ERROR}


@needs_logs
def test_dropping_the_oldest_day_removes_exactly_its_rows(imported: Database) -> None:
    """With the oldest partition go its rows and no others."""
    oldest = list_partitions(imported, SYSTEM_LOGS)[0]
    assert oldest.upper is not None
    count = "select count(*), count(*) filter (where created_at < %s) from system_logs"
    with imported.connection() as conn:
        total, old = conn.execute(count, [oldest.upper]).fetchone() or (0, 0)
    assert old > 0
    assert drop_partitions(imported, SYSTEM_LOGS, before=oldest.upper).dropped == (oldest,)
    with imported.connection() as conn:
        assert conn.execute(count, [oldest.upper]).fetchone() == (total - old, 0)


# Backups.


def fill(db: Database) -> None:
    """Put rows into every table, with what JSON and clocks make hard."""
    user = users.create_user(db, user=NewUser(username="ada", email="ada@example.org", hashed_password="$argon2id$"))
    awkward: dict[str, Any] = {
        "text": 'a "quote" \\ and \n a line',
        "unicode": "\u00e9\u2028😀",
        "nested": [[], {}, None, True],
    }
    new = NewAnalysis(user_id=user.user_id, title="T", parameters=awkward)
    analysis = analyses.create_analysis(db, analysis=new)
    facts: dict[str, Any] = {"file_name": "a", "file_type": "csv", "storage_path": "/a", "size_bytes": 2**62}
    files.create_file(db, file=NewFile(analysis_id=analysis.analysis_id, **facts))
    tools.create_tool(db, tool=NewTool(user_id=user.user_id, tool_type="chart", prompt="draw"))
    import_log_lines(db, samples())
    with db.connection() as conn:
        conn.execute(
            "update data_analyses set result = %s::jsonb",
            [
                '{"pi": 3.14159265358979323846264338327950288, "cents": 1.10, "huge": 1e400, "digits": '
                + "7" * 5000
                + "}"
            ],
        )


def dump(db: Database) -> dict[str, list[str]]:
    """Return all rows as PostgreSQL spells them."""
    tables = ("users", "data_analyses", "analysis_files", "tool_generations", "system_logs")
    return {table: list(getattr(backup, f"dump_{table}")(db)) for table in tables}


@pytest.fixture
def empty(server: TestServer, analysis_template: str) -> Iterator[Database]:
    """Give a pool on another database of analysis', without rows."""
    with (
        dropped_afterwards(server, analysis_template, "empty") as name,
        Database.connect(server.dsn_for(name, "analysis"), pool_max_size=2) as database,
    ):
        yield database


def test_a_backup_brings_everything_back(db: Database, empty: Database, tmp_path: Path) -> None:
    """All rows go into one JSON file and back into an empty database, digit by digit; the next line has a new id."""
    fill(db)
    path = tmp_path / "backup.json"
    counts = backup_database_data(db, path)
    before = dump(db)
    assert counts == {table: len(rows) for table, rows in before.items()}
    assert all(counts.values())
    assert json.loads(path.read_text(encoding="utf-8"), parse_int=str)["tables"]["users"][0]["username"] == "ada"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert restore_database_data(empty, path) == counts
    assert dump(empty) == before
    ids = {json.loads(line)["log_id"] for line in before["system_logs"]}
    assert log_system_event(empty, "a", "info", "next").log_id > max(ids)
    assert [entry.name for entry in tmp_path.iterdir()] == ["backup.json"]


def test_a_backup_is_of_one_moment(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written while the backup runs is wholly in it or not at all: no file of an analysis that is not there."""
    fill(db)
    wanted = dump(db)
    original = backup.dump_users

    def meanwhile(conn: Any) -> Any:
        rows = list(original(conn))
        with Database.connect(db.settings, pool_max_size=1) as other:
            fill_more(other)
        return _Listed(rows)

    monkeypatch.setattr(backup, "dump_users", meanwhile)
    backup_database_data(db, tmp_path / "backup.json")
    monkeypatch.undo()
    tables = json.loads((tmp_path / "backup.json").read_text(encoding="utf-8"), parse_int=str)["tables"]
    assert {table: len(rows) for table, rows in tables.items()} == {table: len(rows) for table, rows in wanted.items()}
    assert len(dump(db)["users"]) == 2


class _Listed(list[str]):
    """Rows that were read already, as a stream is used."""

    def __enter__(self) -> _Listed:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()


def fill_more(db: Database) -> None:
    """Add another user with an analysis."""
    user = users.create_user(db, user=NewUser(username="bea", email="bea@example.org", hashed_password="x"))
    analyses.create_analysis(db, analysis=NewAnalysis(user_id=user.user_id, title="T"))


def test_a_backup_that_fails_leaves_the_old_one(db: Database, tmp_path: Path) -> None:
    """Where a backup cannot be finished the one of before stands as it was, and no half of a file."""
    path = tmp_path / "backup.json"
    path.write_text("the one of before")
    with db.connection() as conn:
        conn.execute("alter table tool_generations rename to elsewhere")
    with pytest.raises(psycopg.errors.UndefinedTable):
        backup_database_data(db, path)
    assert path.read_text() == "the one of before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["backup.json"]


def test_a_database_with_rows_takes_no_backup(db: Database, tmp_path: Path) -> None:
    """A backup is not mixed with rows that are there."""
    fill(db)
    backup_database_data(db, tmp_path / "backup.json")
    before = dump(db)
    with pytest.raises(BackupError, match="the database is not empty"):
        restore_database_data(db, tmp_path / "backup.json")
    assert dump(db) == before


def test_a_restore_is_whole(db: Database, empty: Database, tmp_path: Path) -> None:
    """Where a row of a backup is refused, nothing of it is there."""
    fill(db)
    path = tmp_path / "backup.json"
    backup_database_data(db, path)
    path.write_text(path.read_text(encoding="utf-8").replace('"size_bytes": 46', '"size_bytes": -46'), encoding="utf-8")
    with pytest.raises(psycopg.errors.CheckViolation):
        restore_database_data(empty, path, checked=False)
    assert not any(dump(empty).values())


def test_one_letter_that_changed(db: Database, empty: Database, tmp_path: Path) -> None:
    """A backup that still is JSON, but not as it was written, is refused, unless it was edited on purpose."""
    fill(db)
    path = tmp_path / "backup.json"
    counts = backup_database_data(db, path)
    path.write_bytes(path.read_bytes().replace(b"ada@example.org", b"adb@example.org"))
    with pytest.raises(BackupError, match="is damaged: it is not as it was written"):
        restore_database_data(empty, path)
    assert not backup.has_rows(empty)
    assert restore_database_data(empty, path, checked=False) == counts
    assert next(iter(users.list_users(empty))).email == "adb@example.org"


def test_a_backup_that_cannot_be_written(db: Database, tmp_path: Path) -> None:
    """A folder that is not there is named."""
    with pytest.raises(BackupError, match=r"backup\.json: cannot be written: No such file"):
        backup_database_data(db, tmp_path / "nothing" / "backup.json")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read"),
        ("{", "is no JSON"),
        ("[]", "is no backup of this application"),
        ('{"format": "another", "tables": {}}', "is no backup of this application"),
        ('{"format": "sqlkit analysis backup 1", "tables": {"users": []}}', "is no backup of this application"),
        (
            '{"format": "sqlkit analysis backup 1", "tables": {"users": [1], "data_analyses": [], '
            '"analysis_files": [], "tool_generations": [], "system_logs": []}}',
            "users: is no list of rows",
        ),
        (
            '{"format": "sqlkit analysis backup 1", "tables": {"users": [], "data_analyses": [], '
            '"analysis_files": [], "tool_generations": [], "system_logs": [{"created_at": 1}]}}',
            "system_logs: a line has no time",
        ),
    ],
)
def test_files_that_are_no_backup(empty: Database, tmp_path: Path, content: str | None, reason: str) -> None:
    """What is no backup is refused with a reason, before anything is written."""
    path = tmp_path / "backup.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BackupError, match=reason):
        restore_database_data(empty, path)
    assert not backup.has_rows(empty)


def test_two_tenants_side_by_side(dsn: str) -> None:
    """Two schemas of one database each have their users and their log, and no statement is changed."""
    for schema in ("north", "south"):
        with Database.connect(dsn, schema=schema, pool_max_size=2) as db:
            setup_database(db.settings)
            users.create_user(db, user=NewUser(username=schema, email="a@b", hashed_password="x"))
            log_system_event(db, schema, "info", "here")
    with Database.connect(dsn, pool_max_size=2) as db:
        for schema in ("north", "south"):
            tenant = db.bound(schema=schema)
            assert [user.username for user in users.list_users(tenant)] == [schema]
            assert [line.service for line in logs.list_logs(tenant)] == [schema]
