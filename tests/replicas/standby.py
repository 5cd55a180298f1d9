"""A primary and its hot standby for tests: started on sockets, killed, promoted, paused, frozen, started again."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sqlkit.embedded import Embedded
from sqlkit.embedded.account import account_for
from sqlkit.embedded.scratch import scratch_folder
from sqlkit.testing import FOLDER_PREFIX

SETTINGS = {"max_connections": "100", "wal_level": "replica", "max_wal_size": "256MB", "wal_receiver_timeout": "5s"}
STARTS_WITHIN = 20.0
#: Starts servers, which end with the thread that started them: it lives as long as the process that tests.
_STARTER = ThreadPoolExecutor(1)


def processes_of(postmaster: int) -> list[int]:
    """Return a postmaster and its children."""
    with suppress(FileNotFoundError, ProcessLookupError):
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return [postmaster, *map(int, children)]
    return [postmaster]


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits for its parent to notice does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Standby:
    """A hot standby of an embedded server, made from a base backup, with a replication slot.

    ``of`` is the socket directory of another server that it follows, ``at`` one to listen in.
    """

    def __init__(self, primary: Embedded, folder: Path, *, of: Path | None = None, at: Path | None = None) -> None:
        self.name = folder.name
        self.bindir = primary.bindir
        self.account = account_for(primary.folder / "data")
        self.data, self.sockets, self.log = folder / "data", at or folder / "socket", folder / "log"
        for made in (folder, self.sockets):
            made.mkdir(exist_ok=True)
            self.account.own(made)
        self.dsn = f"postgresql://postgres@/postgres?host={self.sockets}&port=5432"
        self._process: subprocess.Popen[bytes] | None = None
        source = ["-h", str(of or primary.socket_directory), "-p", "5432", "-U", "postgres"]
        self._run("pg_basebackup", *source, "-D", str(self.data), "-R", "-C", "-S", self.name, "-c", "fast")
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        with self.log.open("ab") as log:
            subprocess.run(
                [str(self.bindir / program), *arguments],
                check=True,
                stdout=log,
                stderr=log,
                **self.account.popen_arguments(),
            )

    def start(self) -> None:
        """Start it and wait until it answers."""
        own = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": str(self.sockets),
            "cluster_name": self.name,  # which a commit may wait for, by this name
            "hot_standby_feedback": "off",
            "max_standby_streaming_delay": "100ms",  # then reads that are in the way of the replay are cancelled
        }
        command = [str(self.bindir / "postgres"), "-D", str(self.data), *(f"-c{key}={own[key]}" for key in own)]
        self._process = _STARTER.submit(self._begin, command).result()
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline:
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.dsn).close()
                return
            time.sleep(0.02)
        pytest.fail(f"the standby does not answer: {self.log.read_text()[-2000:]}")

    def _begin(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, preexec_fn=_die_with_parent, **self.account.popen_arguments()
            )

    def stop(self, *, kindly: bool = True) -> None:
        """Stop it and wait for its end; unkindly, as a crash of the machine would."""
        if self._process is None:
            return
        self.thaw()
        pids = processes_of(self._process.pid)
        if kindly:
            self._process.send_signal(signal.SIGINT)
        else:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        while any(map(is_alive, pids)):
            time.sleep(0.002)

    @property
    def runs(self) -> bool:
        """Whether it was started and not stopped."""
        return self._process is not None

    def be_there(self) -> None:
        """Start it unless it runs, and have it replay."""
        if self._process is None:
            self.start()
        self.resume()

    def freeze(self) -> None:
        """Have it not answer any more, with its connections open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        for pid in processes_of(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def ask(self, question: Any) -> Any:
        """Return the one value of a query."""
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            row = conn.execute(question).fetchone()
            return row[0] if row else None

    def pause(self) -> None:
        """Have it replay no more; it still receives."""
        self.ask("select pg_wal_replay_pause()")
        while self.ask("select pg_get_wal_replay_pause_state()") != "paused":
            time.sleep(0.002)

    def resume(self) -> None:
        """Have it replay again."""
        self.ask("select pg_wal_replay_resume()")

    def follow(self, other: Standby) -> None:
        """Have it follow another server."""
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            conn.execute(f"alter system set primary_conninfo = 'host={other.sockets} port=5432 user=postgres'")
            conn.execute("alter system reset primary_slot_name")
            conn.execute("select pg_reload_conf()")

    def promote(self) -> None:
        """Make a primary of it, and wait until it is one."""
        self.ask("select pg_promote()")


def _die_with_parent() -> None:
    """End a server with the thread that started it; Linux only."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG


class Pair:
    """A primary and its standbys."""

    def __init__(self, primary: Embedded) -> None:
        self.primary = primary
        self.standbys: list[Standby] = []
        self.made = 0

    @property
    def dsn(self) -> str:
        """The primary's DSN."""
        return self.primary.dsn

    @property
    def standby(self) -> Standby:
        """The first standby."""
        return self.standbys[0]

    @property
    def either(self) -> str:
        """A DSN of both, for whichever takes writes."""
        hosts = f"{self.primary.socket_directory},{self.standby.sockets}"
        return f"postgresql://postgres@/postgres?host={hosts}&port={self.primary.port},5432"

    def add(self) -> Standby:
        """Make another standby."""
        standby = Standby(self.primary, self.primary.folder / f"standby_{self.made}")
        self.made += 1
        self.standbys.append(standby)
        return standby

    def rejoin(self) -> Standby:
        """Make a standby of the first standby, which was promoted, in the place of the primary, which was killed."""
        at, folder = self.primary.socket_directory, self.primary.folder / "rejoined"
        standby = Standby(self.primary, folder, of=self.standby.sockets, at=at)
        self.standbys.append(standby)
        return standby

    def run(self, *statements: Any) -> None:
        """Run statements on the primary."""
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            for statement in statements:
                conn.execute(statement)

    def catch_up(self, *standbys: Standby) -> None:
        """Wait until the standbys, all if none is named, have replayed what the primary has flushed."""
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            row = conn.execute("select pg_current_wal_flush_lsn()").fetchone()
        assert row is not None
        for standby in standbys or self.standbys:
            while not standby.ask(f"select pg_last_wal_replay_lsn() >= '{row[0]}'"):
                time.sleep(0.002)

    def commit_on_standby(self) -> None:
        """Have each commit wait until the standbys have it on disk."""
        self.run("alter system set synchronous_standby_names = '*'", "select pg_reload_conf()")
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            while conn.execute("show synchronous_standby_names").fetchone() != ("*",):
                time.sleep(0.01)
            while conn.execute("select count(*) from pg_stat_replication where sync_state = 'sync'").fetchone() == (0,):
                time.sleep(0.01)

    def kill_primary(self) -> None:
        """Kill every process of the primary, as a crash of the machine would."""
        postmaster = self.primary.pid
        assert postmaster is not None
        pids = processes_of(postmaster)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while any(map(is_alive, pids)):
            time.sleep(0.002)


@contextmanager
def primary_and_standby(bindir: Path | None) -> Iterator[Pair]:
    """Start a primary and a standby of it in a folder of their own, in memory where there is room; end both."""
    if not Path("/proc/self/task").exists():
        pytest.skip("finds the servers' processes in /proc")
    folder = scratch_folder(FOLDER_PREFIX)
    pair: Pair | None = None
    try:
        with Embedded.start(folder, bindir=bindir, durable=False, restart=False, settings=SETTINGS) as primary:
            pair = Pair(primary)
            try:
                pair.add()
                yield pair
            finally:
                for standby in pair.standbys:
                    standby.stop(kindly=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
