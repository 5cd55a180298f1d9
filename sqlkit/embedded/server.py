"""A running PostgreSQL that belongs to a folder."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from sqlkit.embedded import locks
from sqlkit.embedded.account import Account, account_for
from sqlkit.embedded.binaries import find_bindir, runnable_bindir, version_of
from sqlkit.embedded.home import PORT, Home, server_environment
from sqlkit.embedded.keeper import command_line, kill_orphans
from sqlkit.errors import EmbeddedError

__all__ = ["Embedded"]

START_SECONDS = 60.0
POLL_SECONDS = 0.005


class Embedded:
    """A PostgreSQL server that belongs to a folder and to whoever uses it.

    ``start`` starts it or joins it; it runs until the last of its users has stopped it, has ended or was
    killed. ``folder`` is its home, ``dsn`` names its database ``postgres``, ``bindir`` holds the programs
    it runs from, ``version`` is a text such as ``18.6``, ``socket_directory`` and ``port`` are where it
    listens (no TCP), ``log`` is its log file. Its one role is the superuser ``postgres``, without a
    password: who may enter the directory of the socket (mode 0700) is the owner.

    An object that is dropped without ``stop`` keeps the server until its process ends.
    """

    def __init__(self, home: Home, plan: Mapping[str, Any], membership: int) -> None:
        self._home = home
        self._membership: int | None = membership
        self._owner = os.getpid()
        self.folder = home.folder
        self.log = home.log
        self.bindir = Path(plan["bindir"])
        self.version: str = plan["version"]
        self.socket_directory = Path(plan["socket"])
        self.port = PORT

    @classmethod
    def start(
        cls,
        folder: str | os.PathLike[str],
        *,
        bindir: str | os.PathLike[str] | None = None,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        restart: bool = True,
        timeout: float = START_SECONDS,
    ) -> Embedded:
        """Start the folder's server, or join it when it runs already; return when it answers.

        ``bindir`` names PostgreSQL's programs (default: see ``find_bindir``). ``durable=False`` trades
        safety in a crash of the machine for speed: for tests. ``settings`` are configuration parameters for
        a server that this call starts (a server that runs keeps its own). ``restart`` says whether a server
        that was killed is started again at once. EmbeddedError, with the end of the server's log, when it
        does not answer in ``timeout`` seconds.
        """
        home = Home.at(folder)
        deadline = time.monotonic() + timeout
        membership = locks.open_lock(home.users)
        try:
            if not locks.wait_shared(membership, deadline):
                raise EmbeddedError(
                    f"{home.folder}: its last server has not ended in {timeout:g} s{home.log_tail()}"
                )
            try:
                with locks.exclusive(home.lock, deadline):
                    plan = running_plan(home, deadline)
                    if plan is None:
                        plan = launch(
                            home,
                            bindir,
                            durable=durable,
                            settings=settings or {},
                            restart=restart,
                            deadline=deadline,
                        )
                    elif durable and not plan["durable"]:
                        raise EmbeddedError(
                            f"{home.folder}: its server runs with durable=False; stop it first"
                        )
            except TimeoutError:
                raise EmbeddedError(
                    f"{home.folder}: another process has been starting it for {timeout:g} s{home.log_tail()}"
                ) from None
            return cls(home, plan, membership)
        except BaseException as error:
            os.close(membership)
            if isinstance(error, OSError):
                raise EmbeddedError(f"{home.folder}: {error}") from error
            raise

    @property
    def dsn(self) -> str:
        """The DSN of the database ``postgres``, as a URL."""
        return self.dsn_for("postgres")

    def dsn_for(self, database: str) -> str:
        """Return the DSN of a database of this server, as a URL; the database need not exist yet."""
        host = quote(str(self.socket_directory), safe="/")
        return f"postgresql://postgres@/{quote(database, safe='')}?host={host}&port={self.port}"

    @property
    def pid(self) -> int | None:
        """The process id of the server (the postmaster); None while it does not run."""
        return running_postmaster(self._home)

    def stop(self) -> None:
        """Stop using the server. The last user stops it and waits for its end; a second call does nothing.

        In a forked child it only lets go of what it has of its parent's: the server is the parent's.
        """
        membership, self._membership = self._membership, None
        if membership is None:
            return
        try:
            if os.getpid() == self._owner:
                leave(self._home, membership)
        finally:
            os.close(membership)

    def __enter__(self) -> Embedded:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Embedded PostgreSQL {self.version} in {self.folder}>"


def running_plan(home: Home, deadline: float) -> dict[str, Any] | None:
    """Return how the server that runs was started; None when none runs. For holders of the lock only.

    While a keeper is there but its server is not, it starts it again or is about to end: that is waited for.
    """
    while locks.is_held(home.keeping):
        if is_ready(home):
            plan: dict[str, Any] = json.loads(home.plan.read_text(encoding="utf-8"))
            return plan
        if time.monotonic() > deadline:
            raise EmbeddedError(f"{home.folder}: its server does not answer{home.log_tail()}")
        time.sleep(POLL_SECONDS)
    return None


def postmaster_file(home: Home) -> list[str]:
    """Return the lines of ``postmaster.pid``: the first is the process id, the eighth the status."""
    try:
        return (home.data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def running_postmaster(home: Home) -> int | None:
    """Return the process id of the folder's postmaster: its pid file may name somebody else by now."""
    lines = postmaster_file(home)
    if not lines or not lines[0].strip().isdigit():
        return None
    pid = int(lines[0])
    return pid if f" cluster_name={home.cluster_name()} " in command_line(pid) else None


def is_ready(home: Home) -> bool:
    """Say whether the server runs and accepts connections: its pid file says so, as for pg_ctl."""
    lines = postmaster_file(home)
    return len(lines) >= 8 and lines[7].strip() == "ready" and running_postmaster(home) is not None


def launch(
    home: Home,
    bindir: str | os.PathLike[str] | None,
    *,
    durable: bool,
    settings: Mapping[str, str],
    restart: bool,
    deadline: float,
) -> dict[str, Any]:
    """Start the folder's server under a keeper; return how, when it answers."""
    account = account_for(home.data)
    programs = runnable_bindir(chosen_bindir(home, bindir), account)
    home.settle(programs, account, durable=durable, settings=settings)
    clear_remains(home, deadline)
    plan = plan_for(home, programs, account, durable=durable, restart=restart)
    half = home.plan.with_suffix(".new")
    half.touch(mode=0o600)
    half.write_text(json.dumps(plan, indent=2), encoding="utf-8")
    half.replace(home.plan)
    start = home.log.stat().st_size if home.log.exists() else 0
    run_keeper(home)
    while not is_ready(home):
        if not locks.is_held(home.keeping):
            raise EmbeddedError(
                f"{home.folder}: PostgreSQL {plan['version']} did not start{home.log_tail(start)}"
            )
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"{home.folder}: PostgreSQL {plan['version']} does not answer{home.log_tail(start)}"
            )
        time.sleep(POLL_SECONDS)
    return plan


def chosen_bindir(home: Home, bindir: str | os.PathLike[str] | None) -> Path:
    """Find the programs: where none are named, those of the data directory's version if possible."""
    found = find_bindir(bindir)
    made_by = home.data / "PG_VERSION"
    if bindir is None and made_by.exists():
        major = int(made_by.read_text())
        if version_of(found).major != major:
            try:
                return find_bindir(major=major)
            except EmbeddedError:
                return found  # whose message names both versions
    return found


def clear_remains(home: Home, deadline: float) -> None:
    """Clear what servers left that did not end well: a server without a keeper, processes, a pid file.

    The pid file of a dead server prevents a start when its number has come to belong to another live process.
    """
    while pid := running_postmaster(home):
        # Its keeper was killed, so it is shutting down already on Linux. Elsewhere nobody would ever stop it.
        os.kill(pid, signal.SIGINT)
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"{home.folder}: a server without a keeper (process {pid}) does not end{home.log_tail()}"
            )
        time.sleep(0.05)
    if postmaster_file(home):
        kill_orphans(home.cluster_name())
        (home.data / "postmaster.pid").unlink(missing_ok=True)


def plan_for(home: Home, bindir: Path, account: Account, *, durable: bool, restart: bool) -> dict[str, Any]:
    """Return all that the keeper and those who join have to know."""
    socket, outside = home.socket_directory(account)
    own = {
        "cluster_name": home.cluster_name(),
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": f'"{socket}"',
        "unix_socket_permissions": "0700",
    }
    return {
        "bindir": str(bindir),
        "version": str(version_of(bindir)),
        "durable": durable,
        "restart": restart,
        "cluster": home.cluster_name(),
        "socket": str(socket),
        "socket_is_temporary": outside,
        "data": str(home.data),
        "users": str(home.users),
        "keeping": str(home.keeping),
        "through_descriptor": home.through_descriptor(account),
        "uid": account.uid if account.drop else None,
        "gid": account.gid if account.drop else None,
        "command": [
            str(bindir / "postgres"),
            *(word for pair in own.items() for word in ("-c", "=".join(pair))),
        ],
        "environment": server_environment(),
    }


def run_keeper(home: Home) -> None:
    """Start the keeper, which leaves this process at once, with its and the server's output in the log."""
    log = home.open_log()
    try:
        subprocess.run(  # noqa: S603
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py")), str(home.plan)],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmbeddedError(
            f"{home.folder}: the server's keeper did not start: {error}{home.log_tail()}"
        ) from error
    finally:
        os.close(log)


def leave(home: Home, membership: int) -> None:
    """Give up a membership; stop the server if it was the last one, or wait for whoever is doing so."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if locks.try_exclusive(membership):
            stop_server(home, deadline)
            return
        if locks.try_shared(membership):
            return  # others use it
        time.sleep(POLL_SECONDS)


def stop_server(home: Home, deadline: float) -> None:
    """Ask the server for a fast shutdown and wait for its end and its keeper's. For the last user only."""
    if pid := running_postmaster(home):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
    while locks.is_held(home.keeping):
        if time.monotonic() > deadline:
            raise EmbeddedError(f"{home.folder}: the server does not stop{home.log_tail()}")
        time.sleep(POLL_SECONDS)
