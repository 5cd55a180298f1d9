"""The log handler of openai_frontend: nothing lost, nobody kept waiting, whatever is logged and whenever it ends."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from sqlkit import Database
from sqlkit.apps import openai_frontend as frontend
from sqlkit.apps.openai_frontend import DatabaseLogHandler, LogLevel
from sqlkit.apps.openai_frontend.logwriter import level_of
from sqlkit.apps.openai_frontend.settings import OpenaiFrontendSettings
from sqlkit.testing import TestServer


@pytest.fixture
def settings(frontend_dsn: str) -> OpenaiFrontendSettings:
    """Give the settings of a database with openai_frontend's tables."""
    return OpenaiFrontendSettings(url=frontend_dsn, pool_min_size=1)


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """Give a logger whose lines go to the handlers of the test alone."""
    found = logging.Logger("frontend.test", logging.DEBUG)
    yield found
    for handler in found.handlers:
        handler.close()


def written(dsn: str) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Return what stands in the table, in the order in which it was written."""
    with psycopg.connect(dsn) as conn:
        found = conn.execute("select level::text, logger, message, context from logs order by log_id")
        return found.fetchall()


def test_lines_are_written(settings: OpenaiFrontendSettings, logger: logging.Logger, frontend_dsn: str) -> None:
    """A flushed line is there, with level, logger, message, time, place, extras and traceback."""
    logger.addHandler(handler := DatabaseLogHandler(settings))
    logger.info("hello %s", "Ella", extra={"request": {"id": 7, "at": datetime(2026, 1, 1, tzinfo=UTC)}})
    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("it failed")
    handler.flush()
    (hello, failed) = written(frontend_dsn)
    assert hello[:3] == ("info", "frontend.test", "hello Ella")
    assert hello[3]["request"] == {"id": 7, "at": "datetime.datetime(2026, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)"}
    assert hello[3]["function"] == "test_lines_are_written"
    assert hello[3]["place"].startswith(__file__)
    assert failed[:3] == ("error", "frontend.test", "it failed")
    assert "ValueError: broken" in failed[3]["exception"]


@pytest.mark.parametrize(
    ("number", "level"),
    [
        (5, LogLevel.DEBUG),
        (10, LogLevel.DEBUG),
        (20, LogLevel.INFO),
        (25, LogLevel.INFO),
        (30, LogLevel.WARNING),
        (40, LogLevel.ERROR),
        (50, LogLevel.CRITICAL),
        (99, LogLevel.CRITICAL),
    ],
)
def test_levels(number: int, level: LogLevel) -> None:
    """A number between two levels is of the lower one."""
    assert level_of(number) is level


def test_batches(settings: OpenaiFrontendSettings, logger: logging.Logger, frontend_dsn: str) -> None:
    """Lines of many threads are written in their own order, in far fewer transactions than lines, without a flush."""
    logger.addHandler(DatabaseLogHandler(settings, size=200, seconds=0.1))

    def say(thread: int) -> None:
        for number in range(250):
            logger.info("%s %s", thread, number)

    threads = [threading.Thread(target=say, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deadline = time.monotonic() + 10
    while len(lines := written(frontend_dsn)) < 2000 and time.monotonic() < deadline:
        time.sleep(0.02)
    for number in range(8):
        mine = [int(message.split()[1]) for _, _, message, _ in lines if message.startswith(f"{number} ")]
        assert mine == list(range(250))
    with psycopg.connect(frontend_dsn) as conn:
        row = conn.execute("select count(distinct xmin::text) from logs").fetchone()
    assert row is not None
    assert row[0] <= 100


def test_whoever_logs_does_not_wait(
    settings: OpenaiFrontendSettings, logger: logging.Logger, frontend_dsn: str
) -> None:
    """While the table is locked, logging goes on; the lines are there when the lock is gone."""
    logger.addHandler(handler := DatabaseLogHandler(settings, size=10))
    with psycopg.connect(frontend_dsn) as conn:
        conn.execute("lock table logs in access exclusive mode")
        started = time.monotonic()
        for number in range(1000):
            logger.info("%s", number)
        assert time.monotonic() - started < 2
    handler.flush()
    assert len(written(frontend_dsn)) == 1000


AT_EXIT = """
import logging, sys, threading
from sqlkit import Database
from sqlkit.apps.openai_frontend import DatabaseLogHandler
from sqlkit.apps.openai_frontend.settings import OpenaiFrontendSettings

settings = OpenaiFrontendSettings(url=sys.argv[1], pool_min_size=1)
db = Database.connect(settings)
logging.getLogger().addHandler(DatabaseLogHandler(db, seconds=60, size=10**6))
logging.getLogger().setLevel(logging.INFO)

def say(thread):
    for number in range(1000):
        logging.info("%s %s", thread, number)

threads = [threading.Thread(target=say, args=(number,)) for number in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
if sys.argv[2] == "raise":
    raise RuntimeError("the program ends by an error")
if sys.argv[2] == "exit":
    sys.exit(3)
"""


@pytest.mark.parametrize(("ending", "code"), [("return", 0), ("exit", 3), ("raise", 1)])
def test_nothing_is_lost_at_exit(frontend_dsn: str, ending: str, code: int) -> None:
    """However a program ends, what it logged before is written, though no batch was full and no time was over."""
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT, frontend_dsn, ending], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    assert "log lines" not in done.stderr
    assert len({message for _, _, message, _ in written(frontend_dsn)}) == 4000


def test_close_database(settings: OpenaiFrontendSettings, logger: logging.Logger, frontend_dsn: str) -> None:
    """Closing the database writes what its handlers have first; what comes later goes to stderr."""
    db = Database.connect(settings)
    logger.addHandler(handler := DatabaseLogHandler(db, seconds=60))
    logger.info("the last")
    frontend.close_database(db, handler)
    assert [message for _, _, message, _ in written(frontend_dsn)] == ["the last"]


def test_after_the_end(
    settings: OpenaiFrontendSettings, logger: logging.Logger, frontend_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line that comes after the handler was closed goes to stderr, and a second close does nothing."""
    logger.addHandler(handler := DatabaseLogHandler(settings))
    handler.close()
    handler.close()
    logger.warning("too late")
    assert "WARNING frontend.test: too late" in capsys.readouterr().err
    assert written(frontend_dsn) == []


class Unshowable:
    """Something whose repr fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


HOSTILE: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("a\0b", {}, "a\ufffdb", {}),
    ("\ud800", {}, "?", {}),
    ("x", {"data": "a\0b"}, "x", {"data": "a\ufffdb"}),
    ("x", {"data": {"k\0": ["\udfff"]}}, "x", {"data": {"k\ufffd": ["?"]}}),
    ("x", {"data": float("nan")}, "x", {"data": "nan"}),
    ("x", {"data": b"bytes"}, "x", {"data": "b'bytes'"}),
    ("x", {"data": Unshowable()}, "x", {"data": "<Unshowable>"}),
    ("x", {"data": r"\u0000"}, "x", {"data": r"\u0000"}),
    ("", {}, "", {}),
    ("'; drop table logs; --", {}, "'; drop table logs; --", {}),
]


@pytest.mark.parametrize(("message", "extra", "stored", "context"), HOSTILE)
def test_what_postgresql_does_not_take(
    settings: OpenaiFrontendSettings,
    logger: logging.Logger,
    frontend_dsn: str,
    message: str,
    extra: dict[str, Any],
    stored: str,
    context: dict[str, Any],
) -> None:
    """What cannot be stored as it is, is stored as near as it can be; the line is not lost."""
    logger.addHandler(handler := DatabaseLogHandler(settings))
    logger.info("%s", message, extra=extra)
    handler.flush()
    ((_, _, found, kept),) = written(frontend_dsn)
    assert found == stored
    assert {key: kept[key] for key in context} == context


def test_a_circle(settings: OpenaiFrontendSettings, logger: logging.Logger, frontend_dsn: str) -> None:
    """An extra that holds itself is stored by its repr."""
    circle: list[Any] = []
    circle.append(circle)
    logger.addHandler(handler := DatabaseLogHandler(settings))
    logger.info("x", extra={"data": circle})
    handler.flush()
    assert written(frontend_dsn)[0][3]["data"] == "[[...]]"


def test_one_that_is_refused_costs_no_other(
    settings: OpenaiFrontendSettings, logger: logging.Logger, frontend_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line that the database refuses goes to stderr; the others of its batch are written."""
    with psycopg.connect(frontend_dsn) as conn:
        conn.execute("alter table logs add constraint logs_message_check check (message <> 'refused')")
    logger.addHandler(handler := DatabaseLogHandler(settings))
    for message in ("one", "refused", "two"):
        logger.info(message)
    handler.flush()
    assert [message for _, _, message, _ in written(frontend_dsn)] == ["one", "two"]
    told = capsys.readouterr().err
    assert "the database refuses it (CheckViolation)" in told
    assert "INFO frontend.test: refused" in told


def test_a_line_of_another_month(settings: OpenaiFrontendSettings, logger: logging.Logger, frontend_dsn: str) -> None:
    """A record of a month without a partition makes it."""
    logger.addHandler(handler := DatabaseLogHandler(settings))
    record = logger.makeRecord("frontend.old", logging.INFO, __file__, 1, "old", (), None)
    record.created = datetime(2005, 12, 4, tzinfo=UTC).timestamp()
    logger.handle(record)
    handler.flush()
    span = {"since": datetime(2005, 12, 1, tzinfo=UTC), "until": datetime(2006, 1, 1, tzinfo=UTC)}
    with Database.connect(settings) as db:
        (line,) = frontend.logs.list_logs(db, since=span["since"], until=span["until"])
    assert line.created_at == span["since"] + timedelta(days=3)


def admit(server: TestServer, dsn: str, admitted: bool) -> None:
    """Let a database be connected to, or not, and end who is there."""
    name = conninfo_to_dict(dsn)["dbname"]
    with psycopg.connect(server.dsn, autocommit=True) as conn:
        conn.execute(f'alter database "{name}" allow_connections {admitted}')
        if not admitted:
            conn.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])


def test_while_the_server_is_away(
    settings: OpenaiFrontendSettings, logger: logging.Logger, server: TestServer, frontend_dsn: str
) -> None:
    """What is logged while the database cannot be reached is written when it is back, in order."""
    logger.addHandler(handler := DatabaseLogHandler(settings, seconds=0.05))
    logger.info("before")
    handler.flush()
    admit(server, frontend_dsn, admitted=False)
    for number in range(100):
        logger.info("%s", number)
    time.sleep(0.3)
    admit(server, frontend_dsn, admitted=True)
    logger.info("after")
    handler.flush()
    assert [message for _, _, message, _ in written(frontend_dsn)] == ["before", *map(str, range(100)), "after"]


def test_the_end_while_the_server_is_away(
    settings: OpenaiFrontendSettings,
    logger: logging.Logger,
    server: TestServer,
    frontend_dsn: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What cannot be written within the patience of the end goes to stderr, line by line."""
    logger.addHandler(handler := DatabaseLogHandler(settings, patience=0.3))
    admit(server, frontend_dsn, admitted=False)
    try:
        logger.error("one")
        logger.error("two")
        handler.close()
    finally:
        admit(server, frontend_dsn, admitted=True)
    told = capsys.readouterr().err
    assert "2 log lines are not in the database: the database cannot be reached" in told
    assert "ERROR frontend.test: one" in told
    assert "ERROR frontend.test: two" in told


def test_too_many_wait(
    settings: OpenaiFrontendSettings,
    logger: logging.Logger,
    frontend_dsn: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Beyond its capacity the handler lets callers wait for its patience, then tells stderr; memory stays bounded."""
    logger.addHandler(handler := DatabaseLogHandler(settings, size=1, seconds=0.01, capacity=2, patience=0.2))
    with psycopg.connect(frontend_dsn) as conn:
        conn.execute("lock table logs in access exclusive mode")
        logger.info("being written")
        while handler._lines:
            time.sleep(0.001)
        for message in ("waits", "waits too", "beyond"):
            logger.info(message)
    assert "INFO frontend.test: beyond" in capsys.readouterr().err
    handler.close()
    assert [message for _, _, message, _ in written(frontend_dsn)] == ["being written", "waits", "waits too"]


def test_what_the_thread_logs_is_left_out(
    settings: OpenaiFrontendSettings, frontend_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing lines logs statements by name where that is asked for, and does not feed itself for ever."""
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler := DatabaseLogHandler(settings.replace(debug=True), seconds=0.01))
    root.setLevel(logging.DEBUG)
    try:
        logging.getLogger("frontend.test").info("hello")
        handler.flush()
        time.sleep(0.1)
        handler.flush()
    finally:
        root.setLevel(before)
        root.removeHandler(handler)
        handler.close()
    assert [message for _, name, message, _ in written(frontend_dsn) if name == "frontend.test"] == ["hello"]
    assert len(written(frontend_dsn)) < 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_forked_child(settings: OpenaiFrontendSettings, logger: logging.Logger, frontend_dsn: str) -> None:
    """A forked child writes its own lines on a connection of its own; the parent's are not written twice."""
    script = (
        "import logging, os, sys\n"
        "from sqlkit.apps.openai_frontend import DatabaseLogHandler\n"
        "from sqlkit.apps.openai_frontend.settings import OpenaiFrontendSettings\n"
        "handler = DatabaseLogHandler(OpenaiFrontendSettings(url=sys.argv[1], pool_min_size=1), seconds=60)\n"
        "logging.getLogger().addHandler(handler)\n"
        "logging.warning('first')\n"
        "handler.flush()\n"
        "logging.warning('parent, before')\n"
        "child = os.fork()\n"
        "logging.warning('child' if child == 0 else 'parent')\n"
        "if child == 0:\n"
        "    logging.shutdown()\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "logging.warning('parent, after')\n"
    )
    done = subprocess.run([sys.executable, "-c", script, frontend_dsn], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    messages = [message for _, _, message, _ in written(frontend_dsn)]
    assert sorted(messages) == sorted(["first", "parent, before", "child", "parent", "parent, after"])
