"""``sqlkit demo openai_frontend``: tables in chains, log files and usage in partitions, keys, tokens that rotate."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlkit.apps import openai_frontend as frontend
from sqlkit.apps.openai_frontend.sample import sample_usage
from sqlkit.cli.asking import ask
from sqlkit.cli.demos.tables import bar, table_of
from sqlkit.cli.output import answers
from sqlkit.cli.target import Target
from sqlkit.database import Database
from sqlkit.errors import ConfigurationError, MigrationError
from sqlkit.operations import list_partitions
from sqlkit.operations.logfiles import SAMPLES

__all__ = ["show"]

PEOPLE = ("nadia", "oskar", "priya", "quentin", "rosa")
PASSWORD = "a password to show"  # noqa: S105  of people who do not exist
CALLS = 6_000
EVER = {"since": datetime(2000, 1, 1, tzinfo=UTC), "until": datetime(2100, 1, 1, tzinfo=UTC)}


def show(target: Target, logs: Path | None = None) -> None:
    """Make openai_frontend's tables, fill them with log files and invented usage, and ask about them."""
    paths = sorted(logs.glob("*.csv")) if logs is not None else list(SAMPLES.values())
    if not paths:
        raise ConfigurationError(f"--logs: {logs}: there is no .csv file")
    report = frontend.prepare_database(target.settings)
    for table in report.tables:
        answers.print(f"{table}", markup=False, highlight=False)
    if not report:
        raise MigrationError("; ".join(report.errors.values()))
    with Database.connect(target.settings, application_name="sqlkit demo") as db:
        users = _people(db)
        _import_logs(db, paths)
        _load_usage(db, users)
        _show_logs(db)
        _show_usage(db, users)
        _show_keys(db, users[0])
        _show_tokens(db, users[0])


def _people(db: Database) -> list[frontend.User]:
    """Return the invented users; make who is missing."""
    found = []
    with db.transaction() as conn:
        conn.execute("select pg_advisory_xact_lock(hashtext('sqlkit.demo.openai_frontend'))")
        for name in PEOPLE:
            user = frontend.users.get_user_by_username(conn, username=name)
            email = f"{name}@frontend.example"
            found.append(user or frontend.register(conn, username=name, email=email, password=PASSWORD))
    return found


def _import_logs(db: Database, paths: list[Path]) -> None:
    """Replace the lines of the programs whose files are known, each file in one transaction."""
    with db.transaction() as conn:
        conn.execute("delete from logs where logger = any(%s)", [list(SAMPLES)])
    for path in paths:
        start = time.perf_counter()
        with db.transaction() as conn:
            imported = frontend.import_log_file(conn, path)
        seconds = time.perf_counter() - start
        refused = f", {len(imported.refused)} could not be read" if imported.refused else ""
        answers.print(f"Imported: {imported.lines} lines of {path.name} in {seconds:.2f} s{refused}", highlight=False)


def _load_usage(db: Database, users: list[frontend.User]) -> None:
    """Replace the usage of the invented users by that of the last 90 days."""
    start = time.perf_counter()
    with db.transaction() as conn:
        ids = [user.user_id for user in users]
        conn.execute("delete from usage where user_id = any(%s)", [ids])
        count = frontend.copy_usage(conn, sample_usage(CALLS, ids, until=datetime.now(UTC)))
    answers.print(f"Copied: {count} calls of 90 days in {time.perf_counter() - start:.2f} s", highlight=False)


def _show_logs(db: Database) -> None:
    levels = ask(frontend.logs.count_logs_by_level, db, **EVER)
    most = max((row.lines for row in levels.rows), default=0)
    rows: list[tuple[Any, ...]] = [(row.level, row.lines, bar(row.lines, most)) for row in levels.rows]
    levels.show(answers, "Log lines by level", table_of(("Level", ">Lines", ""), rows))
    newest = ask(frontend.logs.list_logs, db, **EVER, at_least=frontend.LogLevel.ERROR, limit=4)
    rows = [(f"{row.created_at:%Y-%m-%d %H:%M:%S}", row.logger, row.message[:60]) for row in newest.rows]
    newest.show(answers, "The newest errors", table_of(("Time (UTC)", "Service", "Message"), rows))
    made = [partition.name for partition in list_partitions(db, frontend.LOGS)]
    answers.print(f"Partitions of logs: {', '.join(made)}", highlight=False, soft_wrap=True)


def _show_usage(db: Database, users: list[frontend.User]) -> None:
    names = {user.user_id: user.username for user in users}
    now = datetime.now(UTC)
    span = {"since": now - timedelta(days=91), "until": now}
    models = ask(frontend.usage.usage_per_model, db, **span)
    rows: list[tuple[Any, ...]] = [
        (row.model, row.calls, f"{row.total_tokens:,}", f"{row.cost:.2f}") for row in models.rows
    ]
    models.show(answers, "Usage of 90 days by model", table_of(("Model", ">Calls", ">Tokens", ">Cost"), rows))
    used = ask(frontend.usage.usage_per_user, db, **span, limit=len(PEOPLE))
    dearest = max((row.cost for row in used.rows), default=0)
    rows = [
        (names.get(row.user_id, row.user_id), row.calls, f"{row.cost:.2f}", bar(float(row.cost), float(dearest)))
        for row in used.rows
    ]
    used.show(answers, "Usage of 90 days by user", table_of(("User", ">Calls", ">Cost", ""), rows))
    week = ask(frontend.usage.usage_per_day, db, since=now - timedelta(days=8), until=now, user_id=users[0].user_id)
    rows = [(row.day, row.model, row.calls, f"{row.cost:.2f}") for row in week.rows]
    week.show(answers, f"The last days of {users[0].username}", table_of(("Day", "Model", ">Calls", ">Cost"), rows))


def _show_keys(db: Database, user: frontend.User) -> None:
    """Issue a key, verify it from 64 threads at once, and list what there is."""
    issued = frontend.issue_api_key(db, key=frontend.NewApiKey(user_id=user.user_id, name="demo", scopes=["chat"]))
    with ThreadPoolExecutor(64) as pool:
        good = sum(key is not None for key in pool.map(lambda _: frontend.verify_api_key(db, issued.key), range(256)))
    answers.print(f"\nA key, verified {good} times from 64 threads: its use is noted once", highlight=False)
    listed = ask(frontend.api_keys.list_api_keys, db, user_id=user.user_id, limit=3)
    rows = [
        (f"{row.key_prefix}…", row.name, " ".join(row.scopes), f"{row.last_used_at:%H:%M:%S}") for row in listed.rows
    ]
    listed.show(answers, f"Keys of {user.username}", table_of(("Key", "Name", "Scopes", "Last used (UTC)"), rows))
    frontend.api_keys.remove_api_key(db, api_key_id=issued.row.api_key_id)


def _show_tokens(db: Database, user: frontend.User) -> None:
    """Use a refresh token twice at once: one caller gets the next, and then the whole family is revoked."""
    login = frontend.log_in(db, username=user.username, password=PASSWORD)
    together = threading.Barrier(2)

    def attempt(_: int) -> str:
        together.wait()
        try:
            frontend.rotate_refresh_token(db, login.token)
        except frontend.TokenReused:
            return "was told that it was used before"
        return "got the next token"

    with ThreadPoolExecutor(2) as pool:
        said = sorted(pool.map(attempt, range(2)))
    left = len(frontend.refresh_tokens.list_tokens(db, user_id=user.user_id))
    answers.print(
        f"A refresh token used twice at once: one {said[0]}, the other {said[1]}; tokens of the family still good: "
        f"{left}",
        highlight=False,
        soft_wrap=True,
    )
