"""``sqlkit demo analysis``: analyses and tools, log files on their days, figures, a backup and its restore."""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlkit.apps.analysis.accounts import sign_in, sign_up
from sqlkit.apps.analysis.backups import backup_database_data
from sqlkit.apps.analysis.events import SYSTEM_LOGS, import_log_lines, log_system_event
from sqlkit.apps.analysis.keeping import check_database_health, get_database_stats, setup_database
from sqlkit.apps.analysis.models import LogLevel, NewEntry, User
from sqlkit.apps.analysis.queries import analyses, files, tools, users
from sqlkit.apps.analysis.sample import SAMPLE_DOMAIN, SAMPLE_NAMES, sample_analyses, sample_files, sample_tools
from sqlkit.apps.analysis.system import cache, logs, upkeep
from sqlkit.cli.asking import ask
from sqlkit.cli.demos.tables import bar, table_of
from sqlkit.cli.output import answers
from sqlkit.cli.target import Target
from sqlkit.database import Database
from sqlkit.errors import ConfigurationError
from sqlkit.operations import list_partitions
from sqlkit.operations.logfiles import SAMPLES, BadLine, read_log

__all__ = ["show"]

PASSWORD = "a password to show"  # noqa: S105  of people who do not exist
ANALYSES = 400
TOOLS = 120
EVER = {"since": datetime(2000, 1, 1, tzinfo=UTC), "until": datetime(2100, 1, 1, tzinfo=UTC)}


def show(target: Target, logs: Path | None = None) -> None:
    """Make analysis' tables, fill them with invented work and with log files, and ask about them."""
    paths = sorted(logs.glob("*.csv")) if logs is not None else list(SAMPLES.values())
    if not paths:
        raise ConfigurationError(f"--logs: {logs}: there is no .csv file")
    done = setup_database(target.settings)
    answers.print(f"Migrations: {len(done)} applied" if done else "Migrations: everything is applied")
    with Database.connect(target.settings, application_name="sqlkit demo") as db:
        people = _people(db)
        _load(db, people)
        _import_logs(db, paths)
        _show_work(db, people[0])
        _show_logs(db)
        _show_upkeep(db, people[0])


def _people(db: Database) -> list[User]:
    """Replace the work of the invented users; return them, and make who is missing."""
    found = []
    with db.transaction() as conn:
        # Two demos at once would each find nothing, and then meet in the same names.
        conn.execute("select pg_advisory_xact_lock(hashtext('sqlkit.demo.analysis'))")
        for name in SAMPLE_NAMES:
            user = users.get_user_by_username(conn, username=name)
            found.append(user or sign_up(conn, name, f"{name}@{SAMPLE_DOMAIN}", PASSWORD))
        ids = [user.user_id for user in found]
        conn.execute("delete from data_analyses where user_id = any(%s)", [ids])
        conn.execute("delete from tool_generations where user_id = any(%s)", [ids])
    return found


def _load(db: Database, people: list[User]) -> None:
    start = time.perf_counter()
    ids = [user.user_id for user in people]
    with db.transaction() as conn:
        analyses.import_analyses(conn, sample_analyses(ANALYSES, ids))
        made = [
            analysis.analysis_id
            for user in people
            for analysis in analyses.list_analyses(conn, user_id=user.user_id, limit=ANALYSES)
        ]
        count = files.import_files(conn, sample_files(made))
        tools.import_tools(conn, sample_tools(TOOLS, ids))
    seconds = time.perf_counter() - start
    answers.print(
        f"Copied: {len(made)} analyses with {int(count)} files, {TOOLS} tools, in {seconds:.2f} s", highlight=False
    )


def _import_logs(db: Database, paths: list[Path]) -> None:
    """Replace the lines of the programs whose files are known by those of the files."""
    with db.transaction() as conn:
        conn.execute("delete from system_logs where service = any(%s)", [list(SAMPLES)])
    for path in paths:
        start = time.perf_counter()
        refused: list[BadLine] = []
        count = import_log_lines(db, read_log(path, bad=refused.append))
        unread = f", {len(refused)} could not be read" if refused else ""
        seconds = time.perf_counter() - start
        answers.print(f"Imported: {count} lines of {path.name} in {seconds:.2f} s{unread}", highlight=False)


def _show_work(db: Database, user: User) -> None:
    statuses = ask(upkeep.count_analyses_by_status, db)
    most = max((row.analyses for row in statuses.rows), default=0)
    counted = [(row.status, row.analyses, bar(row.analyses, most)) for row in statuses.rows]
    statuses.show(answers, "Analyses by status", table_of(("Status", ">Analyses", ""), counted))
    found = ask(analyses.list_analyses, db, user_id=user.user_id, parameters={"method": "median"}, limit=4)
    rows: list[tuple[Any, ...]] = [
        (row.title, row.status, row.parameters["rows"], row.result or "") for row in found.rows
    ]
    columns = ("Title", "Status", ">Rows", "Result")
    found.show(answers, f"Medians of {user.username}, the newest first", table_of(columns, rows))
    biggest = ask(files.list_files, db, order="largest", limit=3)
    rows = [(row.file_name, row.file_type, f"{row.size_bytes:,}") for row in biggest.rows]
    biggest.show(answers, "The largest files", table_of(("File", "Type", ">Bytes"), rows))


def _spelt(result: Any) -> str:
    """Spell a result in one line."""
    return ", ".join(f"{name} {value}" for name, value in result.items()) if isinstance(result, dict) else ""


def _show_logs(db: Database) -> None:
    counted = ask(logs.count_logs, db, **EVER)
    most = max((row.lines for row in counted.rows), default=0)
    rows: list[tuple[Any, ...]] = [(row.service, row.level, row.lines, bar(row.lines, most)) for row in counted.rows]
    counted.show(answers, "Log lines by service and level", table_of(("Service", "Level", ">Lines", ""), rows))
    worst = ask(logs.list_logs, db, levels=[LogLevel.ERROR, LogLevel.CRITICAL], limit=4)
    rows = [(f"{row.created_at:%Y-%m-%d %H:%M:%S}", row.service, row.message[:60]) for row in worst.rows]
    worst.show(answers, "The newest errors", table_of(("Time (UTC)", "Service", "Message"), rows))
    days = [partition.name.removeprefix("system_logs_") for partition in list_partitions(db, SYSTEM_LOGS)]
    answers.print(
        f"Partitions of system_logs: {len(days)}, a day each, from {days[0]} to {days[-1]}",
        highlight=False,
        soft_wrap=True,
    )


def _show_upkeep(db: Database, user: User) -> None:
    signed_in = sign_in(db, user.email, PASSWORD) is not None
    log_system_event(db, "demo", "INFO", "a login", {"user_id": str(user.user_id), "right": signed_in})
    cache.put_entry(db, entry=NewEntry(key=f"user:{user.user_id}", value={"username": user.username}, seconds=1800))
    stats = get_database_stats(db, recent=timedelta(days=7))
    counted = ", ".join(f"{count} {name}" for name, count in stats)
    answers.print(f"\nStatistics: {counted}", highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "backup.json"
        start = time.perf_counter()
        rows = sum(backup_database_data(db, path).values())
        seconds = time.perf_counter() - start
        answers.print(
            f"Backup: {rows} rows of one moment as {path.stat().st_size / 1024:.0f} kB of JSON in {seconds:.2f} s",
            highlight=False,
        )
    health = check_database_health(db)
    answers.print(f"Health: {health['status']}{''.join(f'; {reason}' for reason in health['reasons'])}")
