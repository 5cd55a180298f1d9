"""``sqlkit top`` on a terminal of its own: it shows, shows anew, and leaves nothing behind."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from sqlkit.cli.top import Frame
from sqlkit.operations import Overview, look
from sqlkit.testing import TestServer
from tests.views.busy_server import actors, chain_of_three, eventually, opened_shop

PROGRAM = "from sqlkit.cli import main; main()"
ENTER, LEAVE, HIDE, SHOW = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25l", "\x1b[?25h"
HOME = "\x1b[H"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
SECONDS = 30.0
OPEN = "select count(*) from pg_stat_activity where application_name = 'sqlkit top' and datname = current_database()"


@pytest.fixture(scope="module")
def shop(server: TestServer) -> Iterator[str]:
    """Give the DSN of a shop."""
    with opened_shop(server) as dsn:
        yield dsn


def _environment() -> dict[str, str]:
    """Return the environment without the size of another terminal, which pytest's workers may have from theirs."""
    return {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}


class Terminal:
    """A process on a terminal of its own, and what it has written there."""

    def __init__(self, dsn: str, *arguments: str, columns: int = 120) -> None:
        self._ours, self._its = pty.openpty()
        fcntl.ioctl(self._its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.before = termios.tcgetattr(self._its)
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "top", *arguments],
            stdin=self._its,
            stdout=self._its,
            stderr=self._its,
            env=_environment() | {"TERM": "xterm-256color", "DATABASE_URL": dsn},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.written = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    @property
    def after(self) -> Any:
        """How the terminal is set now."""
        return termios.tcgetattr(self._its)

    @property
    def shown(self) -> str:
        """What was written, without colours and moves; a frame begins on a line of its own."""
        return ESCAPES.sub("", self.written.replace(HOME, "\n"))

    def press(self, key: str) -> None:
        """Press a key."""
        os.write(self._ours, key.encode())

    def read(self, within: float = 0.05) -> None:
        """Take what was written."""
        while select.select([self._ours], [], [], within)[0]:
            self.written += self._decoder.decode(os.read(self._ours, 1 << 16))

    def until(self, seen: Callable[[], object]) -> None:
        """Read until something is to be seen."""
        deadline = time.monotonic() + SECONDS
        while not seen():
            assert time.monotonic() < deadline, self.shown[-3000:]
            self.read()

    def status(self) -> int:
        """Wait for the end; return the process's status."""
        self.until(lambda: self.process.poll() is not None)
        self.read()
        return self.process.wait()

    def close(self) -> None:
        """End the process if it runs, and the terminal."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)
        os.close(self._its)


@contextmanager
def terminal(dsn: str, *arguments: str, columns: int = 120) -> Iterator[Terminal]:
    """Run ``sqlkit top`` on a terminal."""
    made = Terminal(dsn, *arguments, columns=columns)
    try:
        yield made
    finally:
        made.close()


def is_left_as_it_was(one: Terminal) -> bool:
    """Whether the terminal shows what it showed before, with its cursor, and takes keys as before."""
    ends = [one.written.rindex(code) for code in (SHOW, LEAVE)]
    starts = [one.written.rindex(code) for code in (HIDE, ENTER)]
    return min(ends) > max(starts) and one.after == one.before


def open_sessions(dsn: str) -> int:
    """Count the sessions of ``sqlkit top``."""
    with psycopg.connect(dsn) as conn:
        row = conn.execute(OPEN).fetchone()
        assert row is not None
        return int(row[0])


@pytest.mark.parametrize(("key", "status"), [("q", 0), ("\x03", 130)])
def test_it_leaves_nothing_behind(shop: str, key: str, status: int) -> None:
    """After q or Ctrl-C the terminal is as it was, and no session is left on the server."""
    with terminal(shop) as top:
        top.until(lambda: "Sessions" in top.shown)
        assert open_sessions(shop) == 1
        assert top.after != top.before
        top.press(key)
        assert top.status() == status
        assert is_left_as_it_was(top)
        assert top.written.endswith(LEAVE)
    eventually(lambda: open_sessions(shop) == 0)


def test_it_is_ended_by_a_signal(shop: str) -> None:
    """SIGTERM ends it as a key does."""
    with terminal(shop) as top:
        top.until(lambda: "Sessions" in top.shown)
        top.process.send_signal(signal.SIGTERM)
        assert top.status() == 128 + signal.SIGTERM
        assert is_left_as_it_was(top)
    eventually(lambda: open_sessions(shop) == 0)


def test_it_shows_anew(shop: str) -> None:
    """What comes to be wrong is shown a moment later, and what is mended is gone."""
    with terminal(shop, "--every", "0.2") as top:
        top.until(lambda: "Sessions 0" in top.shown)
        with chain_of_three(shop) as (holder, _, _):
            top.until(lambda: f"2 sessions wait for process {holder.pid} (shop.orders.pay)" in top.shown)
            assert "a second: commits " in top.shown
        top.written = ""
        top.until(lambda: "Sessions 0" in top.shown)
        top.press("q")
        assert top.status() == 0


def test_space_looks_at_once(shop: str) -> None:
    """With an hour between two looks, space looks anew now."""
    with terminal(shop, "--every", "3600") as top:
        top.until(lambda: "Sessions 0" in top.shown)
        with actors(shop, "someone new") as (one,):
            one.do("select 1")
            top.press(" ")
            top.until(lambda: "someone new" in top.shown)
        top.press("q")
        assert top.status() == 0


def test_it_outlives_its_connection(shop: str) -> None:
    """Where its session is ended it says so or goes on with another one, and does not end."""
    with terminal(shop, "--every", "0.2") as top:
        top.until(lambda: "Sessions 0" in top.shown)
        with psycopg.connect(shop, autocommit=True) as conn:
            conn.execute(OPEN.replace("count(*)", "pg_terminate_backend(pid)"))
        top.read()
        top.written = ""
        top.until(lambda: "Sessions 0" in top.shown)
        top.press("q")
        assert top.status() == 0


def test_database_that_goes_away(server: TestServer) -> None:
    """Where the database is gone it says that nobody answers, still shows what it saw, and ends by a key."""
    database = server.create("leaving")
    with terminal(server.dsn_for(database), "--every", "0.2", "--within", "0.5") as top:
        top.until(lambda: "Sessions 0" in top.shown)
        server.drop(database)
        top.until(lambda: "no answer, asked again and again" in top.shown)
        top.press("q")
        assert top.status() == 0
        assert is_left_as_it_was(top)


def test_narrow_terminal(shop: str) -> None:
    """On a terminal of 60 columns no line is longer, in no frame."""
    with chain_of_three(shop), terminal(shop, "--every", "0.2", columns=60) as top:
        top.until(lambda: "shop.orders" in top.shown and top.shown.count("Sessions 3") > 2)
        top.press("q")
        assert top.status() == 0
    lines = top.shown.replace("\r", "\n").split("\n")
    assert max(len(line) for line in lines) <= 60


def test_without_a_terminal_it_shows_once(shop: str) -> None:
    """In a pipe it shows the state once, in plain text, and ends with 0."""
    with chain_of_three(shop) as (holder, _, _):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "top"],
            env=os.environ | {"DATABASE_URL": shop},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    assert "\x1b" not in done.stdout
    assert f"waits for {holder.pid}" in done.stdout
    assert "shop.orders.bill" in done.stdout
    assert done.stdout.count("Sessions 3") == 1


def test_once_on_a_terminal(shop: str) -> None:
    """--once shows it in the terminal itself, where it stays, and takes no keys."""
    with terminal(shop, "--once") as top:
        assert top.status() == 0
        assert ENTER not in top.written
        assert "Sessions 0" in top.shown
        assert top.after == top.before


def test_frame_fits_its_height(shop: str) -> None:
    """However many sessions there are, what is shown has no more lines than the screen."""
    from rich.console import Console

    with psycopg.connect(shop, autocommit=True) as conn, actors(shop, "someone") as (someone,):
        someone.do("select 1")
        seen = look(conn, ["sessions", "databases"])
    many = seen.model_copy(update={"sessions": seen.sessions * 200})
    console = Console(width=100, height=30, force_terminal=False)
    with console.capture() as capture:
        console.print(Frame("somewhere", many).drawn(100, 30))
    assert len(capture.get().splitlines()) <= 30
    assert "Sessions 200" in capture.get()


def test_frame_of_a_server_that_says_nothing() -> None:
    """Where even the server's state is refused the frame says so."""
    from rich.console import Console

    console = Console(width=100, force_terminal=False)
    with console.capture() as capture:
        console.print(Frame("somewhere", Overview()).drawn(100, None))
    assert "somewhere: the server says nothing of itself" in capture.get()
