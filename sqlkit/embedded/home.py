"""The folder that an embedded PostgreSQL belongs to, and its data directory.

::

    folder/
        data/         PostgreSQL's own, mode 0700
        log           what the server said
        server.json   how the server was started: read by the keeper, and by those who join
        lock          held while somebody starts or joins
        users         held shared by every user, exclusively by whoever stops the server
        keeping       held by the keeper
        socket/       the unix socket, mode 0700, unless its path were too long
        .gitignore    all of it: a database is nothing to commit
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlkit.embedded import locks
from sqlkit.embedded.account import Account
from sqlkit.embedded.binaries import version_of
from sqlkit.errors import EmbeddedError

__all__ = ["PORT", "Home"]

PORT = 5432  # part of the socket's name; every folder has a directory of its own
LONGEST_SOCKET = 103  # bytes; sun_path holds 108 on Linux and 104 on macOS, with the closing zero
LOG_LIMIT = 10_000_000  # bytes; a longer log is put aside as log.1 before the next start
SETTINGS_FILE = "sqlkit.conf"

# What a server that nobody administers should have. Settings given by the caller win over these.
BASE_SETTINGS = {
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
}
# For tests only: a crash of the machine loses everything. A crash of the server alone still loses nothing, for a commit
# has been given to the operating system; with synchronous_commit off it would not.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}

WRITE_SETTINGS = f"""
umask 077
cat > {SETTINGS_FILE}
grep -qxF "$1" postgresql.conf || printf '\\n# Written by sqlkit at each start:\\n%s\\n' "$1" >> postgresql.conf
"""
KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Home:
    """The places in one folder."""

    folder: Path

    @classmethod
    def at(cls, folder: str | os.PathLike[str]) -> Home:
        """Make the folder, if it is not there, and the lock files; EmbeddedError when that is impossible."""
        path = Path(folder).expanduser().absolute()
        try:
            # Root's folder is entered by the server's account; what is in it keeps its own mode.
            path.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
            home = cls(path.resolve())
            for file in (home.lock, home.users, home.keeping):
                os.close(locks.open_lock(file))
            if not home.data.exists():
                home.keep_from_git()
        except OSError as error:
            raise EmbeddedError(f"{path}: cannot hold a database: {error.strerror or error}") from error
        return home

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.folder / "log"

    @property
    def plan(self) -> Path:
        """How the server was started."""
        return self.folder / "server.json"

    @property
    def lock(self) -> Path:
        """The lock of whoever starts or joins."""
        return self.folder / "lock"

    @property
    def users(self) -> Path:
        """The lock that users share."""
        return self.folder / "users"

    @property
    def keeping(self) -> Path:
        """The lock of the keeper."""
        return self.folder / "keeping"

    def keep_from_git(self) -> None:
        """Write the ``.gitignore`` of the folder, unless there is one."""
        with contextlib.suppress(FileExistsError), open(self.folder / ".gitignore", "x", encoding="utf-8") as file:
            file.write("*\n")

    def cluster_name(self) -> str:
        """Return the name that marks the processes of this data directory, and of no copy of it."""
        status = self.data.stat()
        return "sqlkit-" + hashlib.sha256(f"{status.st_dev}:{status.st_ino}".encode()).hexdigest()[:12]

    def log_tail(self, start: int = 0, lines: int = 12) -> str:
        """Return the end of the log, from ``start`` (a size) on, indented for a message."""
        try:
            with self.log.open("rb") as file:
                file.seek(start)
                said = file.read()[-20_000:].decode(errors="replace").strip().splitlines()[-lines:]
        except OSError:
            return ""
        return "".join(f"\n  {line}" for line in said)

    def open_log(self) -> int:
        """Open the log for appending, after putting a long one aside; return the descriptor."""
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_LIMIT:
                self.log.replace(self.log.with_name("log.1"))
        return os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)

    def socket_directory(self, account: Account) -> tuple[Path, bool]:
        """Make the 0700 directory of the socket; return it, and whether it is outside of the folder."""
        inside = self.folder / "socket"
        name = f".s.PGSQL.{PORT}"
        fits = len(os.fsencode(inside / name)) <= LONGEST_SOCKET and "," not in str(inside)  # a comma: several hosts
        if fits and account.may_enter(self.folder):
            return own_directory(inside, account), False
        tag = f"sqlkit-{account.uid}-{hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]}"
        for place in (tempfile.gettempdir(), "/tmp"):  # noqa: S108  the directory is checked
            outside = Path(place) / tag
            if len(os.fsencode(outside / name)) <= LONGEST_SOCKET and account.may_enter(Path(place)):
                return own_directory(outside, account), True
        raise EmbeddedError(f"{self.folder}: no directory is short enough for its socket: set TMPDIR to a short path")

    def settle(self, bindir: Path, account: Account, *, durable: bool, settings: Mapping[str, str]) -> None:
        """Make the data directory, unless it is there, check that it fits, and write its settings."""
        for half in self.folder.glob("data.*"):
            shutil.rmtree(half, ignore_errors=True)  # of a start that was killed in the middle
        if not self.data.exists():
            self.initialise(bindir, account, durable=durable)
        found = (self.data / "PG_VERSION").read_text().strip()
        version = version_of(bindir)
        if found != str(version.major):
            raise EmbeddedError(
                f"{self.data}: made by PostgreSQL {found}, and {bindir} is {version}: "
                f"give the programs of {found} (bindir=, SQLKIT_POSTGRES_BINDIR), dump and restore, "
                "or name another folder"
            )
        self.write_settings(account, BASE_SETTINGS | ({} if durable else NOT_DURABLE) | dict(settings))

    def write_settings(self, account: Account, settings: Mapping[str, str]) -> None:
        """Write the settings to a file of their own, which PostgreSQL's includes; ALTER SYSTEM wins over them.

        The account does it: what it has put into its directory could lead root elsewhere.
        """
        subprocess.run(  # noqa: S603
            ["/bin/sh", "-c", WRITE_SETTINGS, "sh", f"include_if_exists = '{SETTINGS_FILE}'"],
            check=True,
            cwd=self.data,  # entered before the account is taken on, which might not get there
            env=server_environment(),
            input="".join(f"{name} = {quoted(str(value))}\n" for name, value in settings.items()).encode(),
            **account.popen_arguments(),
        )

    def initialise(self, bindir: Path, account: Account, *, durable: bool) -> None:
        """Run initdb beside the data directory and rename the result: half of one is never taken for one."""
        half = Path(tempfile.mkdtemp(prefix="data.", dir=self.folder))
        account.own(half)
        try:
            for locale in ("C.UTF-8", "C"):
                start = self.log.stat().st_size if self.log.exists() else 0
                if self.run_initdb(bindir, account, half, locale, durable=durable):
                    break
                for left in half.iterdir():
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            else:
                raise EmbeddedError(f"{self.folder}: initdb failed{self.log_tail(start)}")
            half.rename(self.data)
        finally:
            shutil.rmtree(half, ignore_errors=True)

    def run_initdb(self, bindir: Path, account: Account, target: Path, locale: str, *, durable: bool) -> bool:
        """Run initdb for an empty directory, its output to the log; say whether it worked."""
        log = self.open_log()
        kept: tuple[int, ...] = ()
        place = str(target)
        try:
            if self.through_descriptor(account):
                kept = (os.open(target, os.O_RDONLY | os.O_DIRECTORY),)
                place = f"/proc/self/fd/{kept[0]}"
            initdb = subprocess.Popen(  # noqa: S603
                [
                    *(str(bindir / "initdb"), "-D", place, "-U", "postgres", "-A", "trust", "-E", "UTF8"),
                    f"--locale={locale}",
                    *(() if durable else ("--no-sync",)),
                ],
                cwd="/",
                env=server_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=kept,
                **account.popen_arguments(),
            )
            try:
                return initdb.wait() == 0
            except BaseException:
                initdb.wait()  # half a second: stopped in the middle, its server leaves shared memory behind
                raise
        finally:
            for descriptor in (log, *kept):
                os.close(descriptor)

    def through_descriptor(self, account: Account) -> bool:
        """Say whether the account cannot walk to the folder, and has to be given its directories open.

        Such is root's home (0700), where root's projects are. It is not for us to open it for everybody.
        """
        if account.may_enter(self.folder):
            return False
        if sys.platform != "linux":
            raise EmbeddedError(f"{self.folder}: {account.name}, who runs the server for root, may not enter it")
        return True


def own_directory(path: Path, account: Account) -> Path:
    """Make a directory of mode 0700 for an account, or take the one that is there when it is nobody else's."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    try:
        # Open, so that nobody can put a link in its place between the look and the change.
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise EmbeddedError(f"{path}: no socket can be put there: {error.strerror}") from error
    try:
        if os.fstat(descriptor).st_uid not in (account.uid, os.geteuid()):
            raise EmbeddedError(f"{path}: belongs to somebody else, so no socket can be put there")
        os.fchmod(descriptor, 0o700)
        if account.drop:
            os.fchown(descriptor, account.uid, account.gid)
    finally:
        os.close(descriptor)
    return path


def server_environment() -> dict[str, str]:
    """Return the environment for the server's programs: what finds programs and libraries; English, UTC.

    Nothing else: this one's may hold passwords, and variables of libpq and of locales that would change
    the server.
    """
    kept = {name: value for name, value in os.environ.items() if name in KEPT_VARIABLES}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


def quoted(value: str) -> str:
    """Return a value as a string of a PostgreSQL configuration file."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
