"""The account that a server runs under: PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlkit.errors import EmbeddedError

__all__ = ["Account", "account_for"]

UNPRIVILEGED = ("postgres", "nobody", "daemon")


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the operating system; ``drop`` says that this process is root and has to become it."""

    uid: int
    gid: int
    name: str
    drop: bool

    def popen_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments that make ``subprocess`` run a program under this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.drop else {}

    def own(self, path: Path) -> None:
        """Make a file or directory belong to this account."""
        if self.drop:
            os.chown(path, self.uid, self.gid)

    def may_enter(self, path: Path) -> bool:
        """Say whether this account may walk to ``path``, as far as the mode bits of its ancestors tell."""
        if not self.drop:
            return True
        return all(self.may_search(directory) for directory in (path, *path.parents))

    def may_search(self, directory: Path) -> bool:
        """Say whether this account has the search bit on one directory."""
        status = directory.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & 0o100)
        if status.st_gid == self.gid:
            return bool(status.st_mode & 0o010)
        return bool(status.st_mode & 0o001)


def account_for(data: Path) -> Account:
    """Return the account for a data directory: its owner, else as root an unprivileged user that exists.

    EmbeddedError when an ordinary user finds a data directory that is somebody else's.
    """
    here = os.geteuid()
    owner = data.stat().st_uid if data.exists() else None
    if here != 0:
        if owner is not None and owner != here:
            raise EmbeddedError(
                f"{data}: belongs to {name_of(owner)}, and this process runs as {name_of(here)}: "
                "run as that user, or name another folder"
            )
        return Account(here, os.getegid(), name_of(here), drop=False)
    if owner:
        return Account(owner, data.stat().st_gid, name_of(owner), drop=True)
    for name in UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, name, drop=True)
    raise EmbeddedError(
        f"{data}: PostgreSQL does not run as root, and there is none of the users {', '.join(UNPRIVILEGED)}: "
        "add one of them, or run as an ordinary user"
    )


def name_of(uid: int) -> str:
    """Return the name of a user, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
