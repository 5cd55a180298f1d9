"""The keeper: a small process of its own that runs an embedded PostgreSQL as long as somebody uses it.

Run as a script (``python -I -S keeper.py <folder>``, its plan on standard input) with nothing but the standard
library, so it starts in a few hundredths of a second and holds few megabytes. It leaves the terminal, starts the
server and waits for two things:

- the exclusive lock on the folder's ``users`` file. Every user holds that lock shared, and the kernel takes
  it from a process that dies, however it dies; so the keeper gets it when the last user is gone. It stops
  the server and ends; whoever comes meanwhile waits for the lock and starts a new one.
- the end of the server. A server that was killed is started again; one that was stopped is left.

Should the keeper itself be killed, Linux interrupts the server (PR_SET_PDEATHSIG), which then shuts down
cleanly.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

__all__ = ["Keeper", "command_line", "kill_orphans", "processes"]

PR_SET_PDEATHSIG = 1  # linux/prctl.h
RESTARTS = 5  # within RESTARTS_WITHIN seconds; a server that falls more often is left for somebody to look at
RESTARTS_WITHIN = 60.0
SHUTDOWN_SECONDS = 60.0  # a fast shutdown ends with a checkpoint; after that long, crash recovery will do it
ORPHAN_SECONDS = 5.0
HAS_PROC = Path("/proc/self/cmdline").exists()


def listed_by_ps(*options: str) -> str:
    """Return what ``ps`` prints, where there is no /proc (macOS)."""
    return subprocess.run(["ps", *options], capture_output=True, text=True, check=False).stdout  # noqa: S603, S607


def command_line(pid: int) -> str:
    """Return the command line of a process with spaces between its words; empty when there is none."""
    if not HAS_PROC:
        return listed_by_ps("-ww", "-o", "command=", "-p", str(pid)).strip()
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def processes() -> list[int]:
    """Return the ids of all processes that this one can see."""
    if not HAS_PROC:
        return [int(word) for word in listed_by_ps("-ax", "-o", "pid=").split()]
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def kill_orphans(cluster: str) -> None:
    """Kill what a killed postmaster left behind: a busy backend holds the shared memory that a start wants.

    PostgreSQL shows ``postgres: <cluster_name>: ...`` as the command line of its processes, so no other is
    touched. Returns when they are gone.
    """
    deadline = time.monotonic() + ORPHAN_SECONDS
    while time.monotonic() < deadline:
        orphans = [pid for pid in processes() if command_line(pid).startswith(f"postgres: {cluster}: ")]
        if not orphans:
            return
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


class Keeper:
    """Runs the server that ``plan`` (as in ``server.json``) describes, until its last user leaves."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.leaving = threading.Event()
        self.libc = ctypes.CDLL(None) if sys.platform == "linux" else None
        self.server = self.spawn()

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the server process, as the account of the plan, tied to the life of this process."""
        data, kept = self.plan["data"], []
        if self.plan["through_descriptor"]:
            # The account may not walk to the folder, but it may use a directory that root has opened for it.
            kept = [os.open(data, os.O_RDONLY | os.O_DIRECTORY)]
            data = f"/proc/self/fd/{kept[0]}"
        try:
            return subprocess.Popen(  # noqa: S603
                [*self.plan["command"], "-D", data],
                stdin=subprocess.DEVNULL,
                env=self.plan["environment"],
                pass_fds=kept,
                preexec_fn=self.die_with_keeper,
                user=self.plan["uid"],
                group=self.plan["gid"],
                extra_groups=None if self.plan["uid"] is None else [],
            )
        finally:
            for descriptor in kept:
                os.close(descriptor)

    def die_with_keeper(self) -> None:
        """Ask the kernel for a SIGINT (a fast, clean shutdown) when the keeper dies."""
        if self.libc is not None:
            self.libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)

    def run(self, users: int) -> None:
        """Keep the server up until it is stopped or nobody holds the lock on ``users`` any more."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self.leave)
        threading.Thread(target=self.leave_with_last_user, args=(users,), daemon=True).start()
        falls: list[float] = []
        while self.server.wait() < 0 and self.plan["restart"] and not self.leaving.is_set():
            now = time.monotonic()
            falls = [*(fall for fall in falls if now - fall < RESTARTS_WITHIN), now]
            if len(falls) > RESTARTS:
                sys.stderr.write(f"sqlkit: the server was killed {len(falls)} times in a minute and is left alone\n")
                break
            sys.stderr.write("sqlkit: the server was killed and is started again\n")
            kill_orphans(self.plan["cluster"])
            self.server = self.spawn()
            if self.leaving.is_set():
                self.leave()
        if self.plan["socket_is_temporary"]:
            with contextlib.suppress(OSError):
                os.rmdir(self.plan["socket"])

    def leave_with_last_user(self, users: int) -> None:
        """Wait until the last user is gone, then stop the server; by force when it takes too long."""
        fcntl.flock(users, fcntl.LOCK_EX)
        self.leave()
        time.sleep(SHUTDOWN_SECONDS)
        self.server.send_signal(signal.SIGQUIT)

    def leave(self, *_: object) -> None:
        """Ask the server for a fast shutdown; ``run`` returns after it."""
        self.leaving.set()
        self.server.send_signal(signal.SIGINT)


def main() -> None:
    """Leave the caller's terminal and keep the server that the plan on standard input describes."""
    plan = json.load(sys.stdin)
    keeping = os.open(plan["keeping"], os.O_RDWR)
    fcntl.flock(keeping, fcntl.LOCK_EX)  # shared with the child: when this process ends, the lock is known to be held
    if os.fork():
        os._exit(0)  # so the keeper belongs to init, and its users have no child to wait for
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    users = os.open(plan["users"], os.O_RDWR)
    Keeper(plan).run(users)


if __name__ == "__main__":
    main()
