"""Plain files of SQL, as pg_dump writes them, packed or not: looked through first, then given to psql line by line."""

from __future__ import annotations

import gzip
import os
import re
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from sqlkit.errors import BackupError
from sqlkit.operations.backups.processes import Child, Stopped
from sqlkit.operations.backups.programs import Program
from sqlkit.operations.backups.progress import Progress, Told

__all__ = ["CREATE_PUBLIC", "TRANSACTION_TIMEOUT", "Feeding", "Script", "feed_script", "is_script", "read_script"]

BEGINS = b"-- PostgreSQL database dump"
COMPLETE = b"-- PostgreSQL database dump complete"
COPY = re.compile(rb"^COPY (?P<table>\S+|\S*\"[^\"]*\"\S*) (?:\(.*\) )?FROM stdin;$", re.IGNORECASE)
#: What pg_dump writes to name a role, outside of rows.
OWNER = re.compile(rb"^ALTER .* OWNER TO (?P<roles>[^;()]+);$")
ROLE = re.compile(
    rb"^(?:GRANT .* TO|REVOKE .* FROM|CREATE POLICY .*? TO|CREATE SCHEMA .* AUTHORIZATION) "
    rb"(?P<roles>[^;()]+?)(?: WITH GRANT OPTION| USING .*| WITH CHECK .*)?;?$"
)
NO_ROLES = {"PUBLIC", "CURRENT_USER", "SESSION_USER", "CURRENT_ROLE"}
#: pg_dump's own since August 2025: psql takes no command of its own between them.
RESTRICT = (rb"\restrict ", rb"\unrestrict ")
RESTRICTING = {17: 6, 16: 10, 15: 14, 14: 19}  # the first minor version of each whose psql knows them; all of 18 do
TRANSACTION_TIMEOUT = b"SET transaction_timeout = 0;"  # of pg_dump 17 and later, refused by an older server
CREATE_PUBLIC = b"CREATE SCHEMA public;"  # of a dump of that schema alone; a new database has it
TELL_BYTES = 4 << 20


@dataclass
class Script:
    """What a plain file is about: how many rows it copies into each table, which roles it names, who owns things."""

    path: Path
    copied: dict[str, int] = field(default_factory=dict)
    roles: set[str] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)


def is_script(path: Path) -> bool:
    """Say whether a path is a plain file of SQL, by its name."""
    return path.is_file() and path.name.endswith((".sql", ".sql.gz"))


def read_script(path: Path, stop: threading.Event, told: Told | None = None) -> Script:
    """Read a file to its end and return what is in it.

    BackupError where it is damaged or ends too early, or has commands for psql: they could run programs, or connect
    to another database than the one that is meant.
    """
    script = Script(path)
    table: str | None = None
    refused = None  # told at the end, which shows first whether the file is whole
    begins = ends = False
    for number, line in enumerate(_lines(path, stop, "verify", told), 1):
        text = line.rstrip(b"\r\n")
        if table is not None:
            if text == rb"\.":
                table = None
            else:
                script.copied[table] += 1
        elif found := COPY.match(text):
            named = found["table"].decode(errors="replace")
            table, script.copied[named] = named, script.copied.get(named, 0)
        elif text.startswith(b"\\") and not text.startswith(RESTRICT):
            word = text.split()[0].decode(errors="replace")
            refused = refused or f"{path}:{number}: {word}: is a command of psql's, which no dump of one database has"
        elif said := OWNER.match(text):
            script.owners |= _roles(said["roles"].decode(errors="replace"))
        elif said := ROLE.match(text):
            script.roles |= _roles(said["roles"].decode(errors="replace"))
        else:
            begins, ends = begins or text == BEGINS, ends or text == COMPLETE
    if table is not None or (begins and not ends):
        raise BackupError(f"{path}: ends too early: it is a part of a dump")
    if refused is not None:
        raise BackupError(refused)
    return script


def _roles(listed: str) -> set[str]:
    names = {name.strip() for name in listed.split(",")}
    unquoted = {name[1:-1].replace('""', '"') if name.startswith('"') else name for name in names}
    return {name for name in unquoted if name and name.upper() not in NO_ROLES}


@dataclass(frozen=True, slots=True)
class Feeding:
    """What of a file psql is not given: some lines, and who owns what, where ``owners`` is false.

    ``restricted``: psql knows how to take no command of its own, so it is told to.
    """

    skip: frozenset[bytes]
    owners: bool
    restricted: bool

    @classmethod
    def by(cls, psql: Program, *, skip: frozenset[bytes], owners: bool) -> Feeding:
        """Return it for a psql."""
        minor = re.match(r"\d+\.(\d+)", psql.version)
        first = RESTRICTING.get(psql.major, 0 if psql.major >= 18 else sys.maxsize)
        return cls(skip, owners, restricted=bool(minor) and int(minor[1] if minor else 0) >= first)

    def leaves_out(self, line: bytes) -> bool:
        """Say whether a line that is none of rows is left out."""
        return line in self.skip or line.startswith(RESTRICT) or (not self.owners and OWNER.match(line) is not None)


def feed_script(script: Script, child: Child, feeding: Feeding, stop: threading.Event, told: Told | None) -> None:
    """Give a file to psql in one transaction: whatever ends this process early, the COMMIT was not said."""
    key = os.urandom(16).hex().encode()
    first, last = (b"\\restrict " + key + b"\n", b"\\unrestrict " + key + b"\n") if feeding.restricted else (b"", b"")
    copying = False
    with suppress(BrokenPipeError):  # it has ended, and says why
        child.input.write(b"begin;\n" + first)
        for line in _lines(script.path, stop, "restore", told):
            text = line.rstrip(b"\r\n")
            if copying:
                copying = text != rb"\."
            elif COPY.match(text):
                copying = True
            elif feeding.leaves_out(text):
                continue
            child.input.write(line)
        child.input.write(b"\n" + last + b"commit;\n")
        child.input.close()


def _lines(
    path: Path, stop: threading.Event, stage: Literal["verify", "restore"], told: Told | None
) -> Iterator[bytes]:
    """Read the lines of a file, unpacked where it is packed; BackupError where that cannot be done."""
    size, next_tell = path.stat().st_size, 0
    try:
        with path.open("rb") as raw, closing(_unpacked(raw, path)) as file:
            for line in file:
                if (at := raw.tell()) >= next_tell:
                    next_tell = at + TELL_BYTES
                    if told is not None:
                        told(Progress(stage, at, size, path.name))
                    if stop.is_set():
                        raise Stopped("restore: stopped")
                yield line
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise BackupError(f"{path}: is damaged, or ends too early: gzip cannot unpack it") from None
    except OSError as error:
        raise BackupError(f"{path}: cannot be read: {error.strerror or 'it is damaged'}") from error


def _unpacked(raw: IO[bytes], path: Path) -> IO[bytes]:
    return gzip.GzipFile(fileobj=raw) if path.name.endswith(".gz") else raw  # type: ignore[return-value]
