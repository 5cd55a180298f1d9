"""A program of PostgreSQL's as a child: its words listened to, its end certain, no secret on its command line."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sqlkit.errors import BackupError, ConfigurationError

__all__ = ["Child", "Stopped", "command_conninfo", "environment", "started"]

POLL_SECONDS = 0.05
LEAVE_SECONDS = 10.0
KEPT_LINES = 5

#: Runs a program that Linux ends with this process, also when that is killed (PR_SET_PDEATHSIG is 1, SIGTERM 15).
LAUNCH = """
import ctypes, os, sys
parent = int(sys.argv[1])
ctypes.CDLL(None).prctl(1, 15, 0, 0, 0)
if os.getppid() == parent:
    try:
        os.execv(sys.argv[2], sys.argv[2:])
    except OSError as error:
        sys.exit(f"{os.path.basename(sys.argv[2])}: error: cannot be run: {error.strerror}")
"""
#: What introduces a sentence of the program or of the server; what a row holds stands in other lines.
REASON = re.compile(
    r"^(?:(?:pg_dump|pg_restore|psql(?::\S+)?): (?:error|fatal): |(?:psql:\S*: )?(?:ERROR|FATAL|PANIC): +)"
    r"(?P<reason>.*)$"
)
#: The same, where two processes have spoken at once and the words of one stand between those of the other.
PIECE = re.compile(r"(?:^|[\s:])(?:error|fatal|ERROR|FATAL|PANIC): +(?P<reason>.+)$")
QUOTING = ("CONTEXT", "DETAIL", "HINT", "QUERY", "STATEMENT", "LINE", "Command was", "\t")
WORKER = "worker process died"  # of which the worker itself has said why
#: Which of their own statements the server refused.
KEPT = re.compile(r"^Command was: |^pg_dump: detail: Query was: |^pg_dump: error: query was: ")


class Stopped(BackupError):
    """Somebody asked for an end before there was one; nothing was left behind."""


def command_conninfo(dsn: str, conn: psycopg.Connection[Any], application: str | None = None) -> str:
    """Return a DSN for a command line, which every process may read: without the password.

    It names the server and the database that ``conn`` is connected to, for a DSN may have several, and the application
    where that is given. ConfigurationError for a secret that libpq takes from no other place.
    """
    parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    parts |= {"host": conn.info.host, "port": str(conn.info.port), "dbname": conn.info.dbname}
    parts |= {"hostaddr": conn.info.hostaddr} if parts.get("hostaddr") else {}
    parts.pop("password", None)
    for name in parts:
        if name in ("sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"):
            raise ConfigurationError(f"{name}: would stand on a command line: use a service file or a key without one")
    parts["application_name"] = application or parts.get("application_name", "sqlkit backup")
    return make_conninfo("", **parts)


def environment(dsn: str) -> dict[str, str]:
    """Return the environment for a program: with the password, and in English, for its words are read."""
    variables = dict(os.environ) | {"LC_ALL": "C", "LANG": "C", "PGAPPNAME": "sqlkit backup"}
    variables.pop("LANGUAGE", None)
    if password := conninfo_to_dict(dsn).get("password"):
        variables["PGPASSWORD"] = str(password)
    return variables


class Child:
    """A program that runs. ``told`` is called with each line that it says."""

    def __init__(self, process: subprocess.Popen[bytes], name: str, told: Callable[[str], None] | None) -> None:
        self.name = name
        self.lines: list[str] = []
        self._pieces: list[str] = []
        self._process = process
        self._told = told
        self._listener = threading.Thread(target=self._listen, name=f"sqlkit {name}", daemon=True)
        self._listener.start()

    @property
    def input(self) -> IO[bytes]:
        """Where it reads from."""
        assert self._process.stdin is not None  # noqa: S101 - of a child that was started with one
        return self._process.stdin

    @property
    def failed(self) -> bool:
        """Whether it has ended, and not well."""
        return self._process.poll() not in (None, 0)

    def _listen(self) -> None:
        assert self._process.stderr is not None  # noqa: S101
        for line in self._process.stderr:
            text = line.decode(errors="replace").rstrip()
            if REASON.match(text) or KEPT.match(text):
                self.lines.append(text)
            elif (piece := PIECE.search(text)) and not text.startswith(QUOTING):
                self._pieces.append(piece["reason"])
            if self._told is not None:
                self._told(text)

    def wait(self, stop: threading.Event | None = None) -> int:
        """Wait for its end and return its status; Stopped where ``stop`` is set before."""
        while (status := self.wait_for(POLL_SECONDS, stop)) is None:
            pass
        return status

    def wait_for(self, seconds: float, stop: threading.Event | None = None) -> int | None:
        """Wait for its end, but so many seconds at most; None where it runs yet. Otherwise as ``wait``."""
        until = time.monotonic() + seconds
        while True:
            try:
                status = self._process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                if stop is not None and stop.is_set():
                    raise Stopped(f"{self.name}: stopped") from None
                if time.monotonic() >= until:
                    return None
                continue
            self._listener.join(LEAVE_SECONDS)
            return status

    def has_said(self, words: re.Pattern[str]) -> bool:
        """Say whether it has said something, whole or in pieces."""
        return any(words.search(line) for line in (*self.lines, *self._pieces))

    def forget(self, command: str) -> bool:
        """Forget the complaints that were about a statement, as it is told behind them; say whether there were any."""
        kept: list[str] = []
        for line in self.lines:
            if line == command and kept:
                kept.pop()
            else:
                kept.append(line)
        forgotten = len(kept) < len(self.lines)
        self.lines = kept
        return forgotten

    def failure(self, status: int) -> BackupError:
        """Return the error that says why it ended so; of the server's words the sentence without a row's values."""
        reasons = [found["reason"] for line in self.lines if (found := REASON.match(line))]
        if all(WORKER in reason for reason in reasons):
            reasons = self._pieces + reasons
        if status < 0:
            reasons.append(f"it was ended by {signal.Signals(-status).name}")
        unique = list(dict.fromkeys(" ".join(reason.split()) for reason in reasons))
        listed = "; ".join(unique[:KEPT_LINES]) or f"it ended with status {status}"
        return BackupError(f"{self.name}: {listed}")

    def end(self) -> None:
        """End it and whatever it started: politely, so that the server is told, then not."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            deadline = time.monotonic() + LEAVE_SECONDS
            while self._process.poll() is None and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
        if self._process.poll() is None:  # else its number may be somebody else's by now; its own children go with it
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._listener.join(LEAVE_SECONDS)
        for pipe in (self._process.stdin, self._process.stderr):
            with contextlib.suppress(OSError):  # what was not read by the program
                if pipe is not None:
                    pipe.close()


@contextmanager
def started(
    command: Sequence[str | os.PathLike[str]],
    variables: dict[str, str],
    *,
    told: Callable[[str], None] | None = None,
    fed: bool = False,
    held: Sequence[int] = (),
) -> Iterator[Child]:
    """Start a program for the block; whatever happens, it has ended after it.

    It is in a process group of its own, so that Ctrl-C reaches this process alone, which ends it. ``fed``: it reads
    from ``Child.input``. ``held`` are open files that it keeps open.
    """
    name = os.path.basename(os.fspath(command[0]))
    launch = [sys.executable, "-I", "-S", "-c", LAUNCH, str(os.getpid())] if sys.platform == "linux" else []
    try:
        process = subprocess.Popen(  # noqa: S603
            [*launch, *command],
            env=variables,
            stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=held,
            start_new_session=True,
        )
    except OSError as error:
        raise BackupError(f"{name}: cannot be run: {error.strerror}") from error
    child = Child(process, name, told)
    try:
        yield child
    finally:
        child.end()
