"""The life of a server: whether it runs, its start under a keeper, its end."""

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
from typing import Any

from sqlkit.embedded import locks
from sqlkit.embedded.account import Account, account_for
from sqlkit.embedded.binaries import find_bindir, runnable_bindir, version_of
from sqlkit.embedded.home import PORT, Home, server_environment
from sqlkit.embedded.keeper import command_line, kill_orphans
from sqlkit.errors import EmbeddedError

__all__ = ["launch", "leave", "running_plan", "running_postmaster"]

START_SECONDS = 60.0
POLL_SECONDS = 0.005


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
    clear_remains(home, deadline)
    home.settle(programs, account, durable=durable, settings=settings)
    plan = plan_for(home, programs, account, durable=durable, restart=restart)
    for left in Path(plan["socket"]).iterdir():
        left.unlink()  # a socket's lock file names a process, too
    write_plan(home, plan)
    start = home.log.stat().st_size if home.log.exists() else 0
    run_keeper(home, plan, start)
    while not is_ready(home):
        if not locks.is_held(home.keeping):
            raise EmbeddedError(f"{home.folder}: PostgreSQL {plan['version']} did not start{home.log_tail(start)}")
        if time.monotonic() > deadline:
            raise EmbeddedError(f"{home.folder}: PostgreSQL {plan['version']} does not answer{home.log_tail(start)}")
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
    left = home.data / "postmaster.pid"
    if left.exists():
        kill_orphans(home.cluster_name())
        left.unlink()


def plan_for(home: Home, bindir: Path, account: Account, *, durable: bool, restart: bool) -> dict[str, Any]:
    """Return all that the keeper and those who join have to know."""
    socket, outside = home.socket_directory(account)
    quoted_socket = str(socket).replace('"', '""')
    own = {
        "cluster_name": home.cluster_name(),
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": f'"{quoted_socket}"',
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


def write_plan(home: Home, plan: Mapping[str, Any]) -> None:
    """Write how the server is started to where those who join find it, in one step."""
    half = home.plan.with_suffix(".new")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(plan, file, indent=2)
    half.replace(home.plan)


def run_keeper(home: Home, plan: Mapping[str, Any], start: int) -> None:
    """Start the keeper, which leaves this process at once, with its and the server's output in the log.

    It has the plan from us, not from the file: in a folder of somebody else's, that could say anything to root.
    ``start`` is the size of the log before.
    """
    log = home.open_log()
    try:
        subprocess.run(  # noqa: S603
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py")), str(home.folder)],
            check=True,
            input=json.dumps(plan).encode(),
            stdout=log,
            stderr=log,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmbeddedError(
            f"{home.folder}: the server's keeper did not start: {error}{home.log_tail(start)}"
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
