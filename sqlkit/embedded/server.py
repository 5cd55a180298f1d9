"""A running PostgreSQL that belongs to a folder."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from sqlkit.embedded import locks
from sqlkit.embedded.home import PORT, Home
from sqlkit.embedded.launch import START_SECONDS, launch, leave, running_plan, running_postmaster
from sqlkit.errors import EmbeddedError

__all__ = ["Embedded"]


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
                raise EmbeddedError(f"{home.folder}: its last server has not ended in {timeout:g} s{home.log_tail()}")
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
                        raise EmbeddedError(f"{home.folder}: its server runs with durable=False; stop it first")
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
