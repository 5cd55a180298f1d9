"""A ``logging.Handler`` that writes to ``logs``, in batches from a thread of its own."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
import weakref
from collections import deque
from datetime import UTC, datetime
from typing import Any

import psycopg
from pydantic import JsonValue

from sqlkit.apps.openai_frontend.models import LogLevel, NewLogLine
from sqlkit.apps.openai_frontend.recording import AT_A_TIME, copy_logs, write_log
from sqlkit.database import Database
from sqlkit.database.options import connect_keywords
from sqlkit.settings import Settings

__all__ = ["DatabaseLogHandler", "level_of"]

#: From which number of Python's logging on a line is of which level.
LEVELS = (
    (logging.CRITICAL, LogLevel.CRITICAL),
    (logging.ERROR, LogLevel.ERROR),
    (logging.WARNING, LogLevel.WARNING),
    (logging.INFO, LogLevel.INFO),
)
#: What every record has; whatever else is in it came by ``extra=``.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)  # seconds between two attempts while the server is away

_HANDLERS: weakref.WeakSet[DatabaseLogHandler] = weakref.WeakSet()


class DatabaseLogHandler(logging.Handler):
    """Writes log records to ``logs``: at once when ``size`` of them wait, and every ``seconds`` at the latest.

    ``database`` is a Database (its settings alone are used) or Settings: the thread has a connection of its own, which
    waits for nobody and which nobody waits for. While the server is away records are kept, up to ``capacity``; then
    whoever logs waits, ``patience`` seconds at most. Nothing is lost at exit: ``logging.shutdown``, which Python calls,
    writes what is left. What cannot be written within ``patience`` seconds then, or what the database refuses, goes to
    stderr.

    ``extra=`` and the place of the call stand in ``context``, the traceback too. What the thread itself logs is left to
    other handlers, or it would never end.
    """

    def __init__(
        self,
        database: Database | Settings,
        level: int | str = logging.NOTSET,
        *,
        size: int = 1000,
        seconds: float = 1.0,
        capacity: int = 100_000,
        patience: float = 10.0,
    ) -> None:
        super().__init__(level)
        self._settings = database.settings if isinstance(database, Database) else database
        self._size, self._seconds, self._capacity, self._patience = size, seconds, capacity, patience
        self._begin()
        _HANDLERS.add(self)

    def _begin(self) -> None:
        """Begin with nothing: at first, and in a forked child, whose parent writes what waits there."""
        self._lines: deque[NewLogLine] = deque()
        self._taken: list[NewLogLine] = []  # by the thread, and neither written nor given up yet
        self._changed = threading.Condition()
        self._closing = False
        self._hurried = 0
        self._thread: threading.Thread | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out what the thread itself logs; before the handler's lock, for ``flush`` holds it and waits for it."""
        return threading.current_thread() is not self._thread and super().filter(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record for the thread; wait only while ``capacity`` of them are kept, ``patience`` seconds at most."""
        try:
            line = self._line(record)
            with self._changed:
                fits = self._changed.wait_for(
                    lambda: len(self._lines) < self._capacity or self._closing, self._patience
                )
                if not fits or self._closing:
                    _tell([line], "the handler is closed" if self._closing else "too many wait already")
                    return
                self._lines.append(line)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="sqlkit-logs", daemon=True)
                    self._thread.start()
                elif len(self._lines) >= self._size:
                    self._changed.notify_all()
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Wait until what was logged so far is written, ``patience`` seconds at most."""
        if threading.current_thread() is self._thread:
            return
        with self._changed:
            if self._thread is None:
                return
            self._hurried += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._lines and not self._taken, self._patience)
            self._hurried -= 1

    def close(self) -> None:
        """Write what is left and end the thread; what cannot be written in time goes to stderr."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if (thread := self._thread) is not None and thread is not threading.current_thread():
            thread.join(self._patience + 5)
        with self._changed:
            left = [*self._taken, *self._lines]
            self._lines.clear()
        if left:
            _tell(left, "they could not be written in time")
        super().close()

    def _line(self, record: logging.LogRecord) -> NewLogLine:
        """Return a record as a row; what PostgreSQL would refuse in it is replaced, so that the line is kept."""
        context: dict[str, JsonValue] = {
            "place": f"{record.pathname}:{record.lineno}",
            "function": record.funcName,
            "process": record.process,
            "thread": record.threadName,
        }
        context |= {key: _storable(value) for key, value in vars(record).items() if key not in STANDARD}
        if record.exc_info and record.exc_info[0] is not None:
            context["exception"] = (self.formatter or logging.Formatter()).formatException(record.exc_info)
        elif record.exc_text:
            context["exception"] = record.exc_text
        return NewLogLine(
            level=level_of(record.levelno),
            logger=_text(record.name) or "root",
            message=_text(record.getMessage()),
            context={_text(key): _clean(value) for key, value in context.items()},
            created_at=datetime.fromtimestamp(record.created, UTC),
        )

    def _work(self) -> None:
        """Write batch after batch until the handler is closed and nothing is left. Runs in the thread."""
        conn: psycopg.Connection[Any] | None = None
        while batch := self._next_batch():
            conn = self._written(conn, batch)
            with self._changed:
                self._taken = []
                self._changed.notify_all()
        if conn is not None:
            conn.close()

    def _next_batch(self) -> list[NewLogLine]:
        """Wait for lines and take them; none when the handler is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._closing)
            if not self._closing and not self._hurried and len(self._lines) < self._size:
                enough = lambda: self._closing or self._hurried or len(self._lines) >= self._size  # noqa: E731
                self._changed.wait_for(enough, self._seconds)
            self._taken = [self._lines.popleft() for _ in range(min(len(self._lines), AT_A_TIME))]
            self._changed.notify_all()
            return self._taken

    def _written(self, conn: psycopg.Connection[Any] | None, batch: list[NewLogLine]) -> psycopg.Connection[Any] | None:
        """Write a batch, again and again while the server is away; return the connection for the next one."""
        attempt, deadline = 0, 0.0
        while True:
            try:
                if conn is None or conn.closed:
                    conn = psycopg.connect(self._settings.dsn(), **connect_keywords(self._settings))
                copy_logs(conn, batch)
                return conn
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if conn is not None:
                    conn.close()
                deadline = deadline or (time.monotonic() + self._patience if self._closing else 0.0)
                if deadline and time.monotonic() >= deadline:
                    _tell(batch, f"the database cannot be reached ({type(error).__name__})")
                    return None
            except Exception as error:
                self._one_by_one(conn, batch, error)
                return conn
            with self._changed:
                self._changed.wait_for(lambda: False, PAUSES[min(attempt, len(PAUSES) - 1)])
            attempt += 1

    def _one_by_one(self, conn: psycopg.Connection[Any] | None, batch: list[NewLogLine], error: Exception) -> None:
        """Write the lines of a batch that was refused singly, so that one of them costs none of the others."""
        for line in batch:
            try:
                if conn is None:
                    raise error
                write_log(conn, line=line)
            except Exception as refused:
                _tell([line], f"the database refuses it ({type(refused).__name__})")


def level_of(number: int) -> LogLevel:
    """Return the level of a number of Python's logging: the greatest that it reaches."""
    return next((level for least, level in LEVELS if number >= least), LogLevel.DEBUG)


def _text(text: str) -> str:
    """Return a text as PostgreSQL takes it: no NUL, no half of a pair of surrogates."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def _storable(value: object) -> JsonValue:
    """Return a value as JSON that jsonb takes; what JSON does not know, by its ``repr``."""
    try:
        return _clean(json.loads(json.dumps(value, default=_shown, allow_nan=False)))
    except (TypeError, ValueError, RecursionError):
        return _text(_shown(value))


def _clean(value: Any) -> JsonValue:
    if isinstance(value, dict):
        return {_text(key): _clean(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_clean(one) for one in value]
    cleaned: JsonValue = _text(value) if isinstance(value, str) else value
    return cleaned


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _tell(lines: list[NewLogLine], reason: str) -> None:
    """Write lines to stderr that cannot go to the database; there may be none, in a program without a console."""
    if sys.stderr is None:
        return
    sys.stderr.write(f"{len(lines)} log lines are not in the database: {reason}\n")
    for line in lines:
        sys.stderr.write(f"{line.created_at.isoformat()} {line.level.upper()} {line.logger}: {line.message}\n")


def _begin_again() -> None:
    for handler in list(_HANDLERS):
        handler._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again)
