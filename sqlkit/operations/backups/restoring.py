"""Restoring a backup into a new database, and comparing what is there with what the backup says."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from sqlkit.errors import ArgumentError, BackupError, ConfigurationError
from sqlkit.operations.backups.catalogue import catalogue
from sqlkit.operations.backups.databases import (
    Place,
    connected,
    drop_schemas,
    make_extension,
    make_roles,
    opened_place,
    prepare,
)
from sqlkit.operations.backups.manifest import DUMP, Manifest, read_manifest
from sqlkit.operations.backups.processes import Stopped, command_conninfo, environment, started
from sqlkit.operations.backups.programs import Program, find_program
from sqlkit.operations.backups.progress import Progress, Told, Weighed
from sqlkit.operations.backups.scripts import (
    CREATE_PUBLIC,
    TRANSACTION_TIMEOUT,
    Feeding,
    Script,
    feed_script,
    is_script,
    read_script,
)
from sqlkit.operations.backups.shelf import verify_backup
from sqlkit.operations.backups.snapshot import cancelled_by, count_rows
from sqlkit.operations.backups.targets import dsn_of, settings_of
from sqlkit.operations.units import counted
from sqlkit.settings import Settings

__all__ = ["Restored", "rehearse_restore", "restore"]

#: What pg_restore says of a table whose rows it begins.
FILLING = re.compile(r'^pg_restore: processing data for table "(?P<table>.*)"$')
#: A setting of PostgreSQL 17 that pg_restore 17 and later makes whatever the server is; an older one refuses it.
HARMLESS = "Command was: SET transaction_timeout = 0;"
TIMEOUT_SINCE = 17
NAME_BYTES = 63  # of PostgreSQL as it is built everywhere (NAMEDATALEN less one)


@dataclass(frozen=True, slots=True)
class Restored:
    """A database that was restored and compared: its name, the rows of each table, what there is to say."""

    database: str
    tables: dict[str, int]
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        tables, rows = counted(len(self.tables), "table"), counted(sum(self.tables.values()), "row")
        return f"{self.database}: {tables}, {rows}, as in the backup"


def restore(
    target: Settings | str | None,
    source: str | os.PathLike[str],
    *,
    into: str | None = None,
    jobs: int = 2,
    extensions: Sequence[str] = (),
    progress: Told | None = None,
    stop: threading.Event | None = None,
    bindirs: tuple[Path, ...] = (),
) -> Restored:
    """Restore a backup, or a plain ``.sql`` or ``.sql.gz`` file of pg_dump's, into a new database.

    ``target`` is settings or a DSN of the server, None reads the environment; ``into`` names the database, else it is
    the target's own. One that stands already must be empty. The backup's checksums are compared first; what a dump of
    a schema leaves out is made: extensions, roles without a login, the database's settings. Afterwards each table's
    rows are counted and compared with what the backup says. The database has its name when all that is done; where
    anything fails, it is dropped. ``extensions`` are made for a plain file that wants them.

    ``progress`` is called after each step, ``stop`` ends it early with nothing left behind. Raises BackupError,
    ConfigurationError.
    """
    settings = settings_of(target)
    name = into or settings.name
    if name is None:
        raise ConfigurationError("restore: no database is named: give into")
    if (size := len(name.encode())) > NAME_BYTES:  # which the server would cut without a word
        raise ArgumentError(
            f"{name}: is a name of {size} bytes, and PostgreSQL takes {NAME_BYTES}: restore into another"
        )
    return _Restore(settings, Path(source), jobs, extensions, progress, stop, bindirs).run(name)


def rehearse_restore(
    target: Settings | str | None,
    source: str | os.PathLike[str],
    *,
    jobs: int = 2,
    extensions: Sequence[str] = (),
    progress: Told | None = None,
    stop: threading.Event | None = None,
    bindirs: tuple[Path, ...] = (),
) -> Restored:
    """Restore a backup into a database of its own, compare as ``restore`` does, and drop it again.

    Raises BackupError where the backup cannot be restored as it says.
    """
    settings = settings_of(target)
    name = f"sqlkit_rehearsal_{os.urandom(6).hex()}"
    work = _Restore(settings, Path(source), jobs, extensions, progress, stop, bindirs)
    return work.run(name, throw_away=True)


class _Restore:
    """One restore."""

    def __init__(
        self,
        settings: Settings,
        source: Path,
        jobs: int,
        extensions: Sequence[str],
        progress: Told | None,
        stop: threading.Event | None,
        bindirs: tuple[Path, ...],
    ) -> None:
        if jobs < 1:
            raise ArgumentError("restore: jobs is 1 or more")
        self.dsn, self.source, self.jobs, self.extensions = dsn_of(settings), source.absolute(), jobs, extensions
        self.told, self.stop, self.bindirs = progress, stop or threading.Event(), bindirs

    def run(self, name: str, *, throw_away: bool = False) -> Restored:
        """Restore into a database of a name."""
        try:
            self.source.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise BackupError(f"{self.source}: there is no such backup") from None
        except OSError as error:
            raise BackupError(f"{self.source}: cannot be read: {error.strerror}") from error
        if is_script(self.source):
            with opened_place(self.dsn, name, None, throw_away=throw_away) as place:
                tables = self.fill_from_script(place, read_script(self.source, self.stop, self.told))
        else:
            if not self.source.is_dir():
                raise BackupError(f"{self.source}: is neither the folder of a backup nor a .sql or .sql.gz file")
            manifest = read_manifest(self.source)
            with opened_place(self.dsn, name, manifest.locale, throw_away=throw_away) as place:
                verify_backup(self.source, progress=self.told)
                tables = self.fill_from_dump(place, manifest)
        return Restored(name, tables, tuple(place.remarks))

    # Backups.

    def fill_from_dump(self, place: Place, manifest: Manifest) -> dict[str, int]:
        """Restore a backup and compare; return the rows of each table."""
        with connected(place.dsn) as conn:
            server = conn.info.server_version
            dumped = int(manifest.pg_dump.split(".")[0]) if manifest.pg_dump[:1].isdigit() else 0
            if manifest.server_version // 10000 > server // 10000:
                raise BackupError(
                    f"{self.source}: is of PostgreSQL {manifest.server_version // 10000}, and this server is "
                    f"{server // 10000}: restore it into one that is no older"
                )
            program = find_program("pg_restore", max(server // 10000, dumped), self.bindirs)
            owners = catalogue.is_superuser(conn) and not catalogue.list_missing_roles(conn, names=manifest.owners)
            before = catalogue.list_schemas(conn)
            try:
                prepare(place, manifest)
                others = [name for name in manifest.owners if name != conn.info.user]
                if not owners and others:
                    place.remarks.append(f"everything belongs to {conn.info.user}, not to {', '.join(others)}")
                self.run_pg_restore(place, manifest, program, server, owners=owners)
                return self.compare(place, manifest)
            except BaseException:
                if not place.is_new:
                    drop_schemas(place.dsn, before)
                raise

    def run_pg_restore(self, place: Place, manifest: Manifest, program: Program, server: int, *, owners: bool) -> None:
        """Run pg_restore; BackupError where it reports anything that is not known to be harmless."""
        tolerant = program.major >= TIMEOUT_SINCE > server // 10000
        jobs = (
            1 if tolerant else self.jobs
        )  # the words of several would come in pieces, and these have to be understood
        options = ["--format=directory", f"--jobs={jobs}", "--verbose", "--no-password", "--no-tablespaces"]
        options += [] if owners else ["--no-owner"]
        options += [] if tolerant else ["--exit-on-error"]
        with connected(place.dsn) as conn, ExitStack() as stack:
            options.append(f"--dbname={command_conninfo(place.dsn, conn)}")
            if manifest.schema_name in catalogue.list_schemas(conn):
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sqlkit-restore-"))
                options.append(f"--use-list={self.without_schema(program, manifest.schema_name or '', Path(folder))}")
            command = [str(program.path), *options, str(self.source / DUMP)]
            done = Weighed("restore", {name: rows + 1 for name, rows in manifest.tables.items()}, jobs, self.told)
            with started(command, environment(place.dsn), told=done.hear(FILLING)) as child:
                status = child.wait(self.stop)
            forgiven = tolerant and child.forget(HARMLESS) and not child.lines
            if status != 0 and not (status == 1 and forgiven):
                raise child.failure(status)
            done.finish()

    def without_schema(self, program: Program, schema: str, folder: Path) -> Path:
        """Write pg_restore's list of what to restore, without the schema itself: an extension's came first."""
        listed = folder / "list"
        options = ["--list", f"--file={listed}"]
        with started([str(program.path), *options, str(self.source / DUMP)], environment(self.dsn)) as child:
            if (status := child.wait(self.stop)) != 0:
                raise child.failure(status)
        entry = re.compile(rf"^\d+; 2615 \d+ SCHEMA - {re.escape(schema)} ")
        lines = listed.read_text(encoding="utf-8").splitlines()
        listed.write_text("".join(f"{line}\n" for line in lines if not entry.match(line)), encoding="utf-8")
        return listed

    def compare(self, place: Place, manifest: Manifest) -> dict[str, int]:
        """Count the rows of all tables, and compare."""
        found = self.count(place, manifest.schema_name)
        wrong = [
            f"{name} has {found.get(name, 'no table')} of {_rows(manifest.tables.get(name))}"
            for name in sorted(manifest.tables.keys() | found.keys())
            if found.get(name) != manifest.tables.get(name)
        ]
        if wrong:
            raise BackupError(f"{self.source}: was restored, but is not what it says: {'; '.join(wrong)}")
        return found

    def count(self, place: Place, schema: str | None) -> dict[str, int]:
        """Count the rows of all tables of a schema, or of all, and let the planner know of them."""
        found = {}
        with connected(place.dsn) as conn, cancelled_by(self.stop, conn):
            tables = catalogue.list_stored_tables(conn, schemas=None if schema is None else [schema])
            for done, table in enumerate(tables, 1):
                if self.stop.is_set():
                    raise Stopped("restore: stopped")
                name = f"{table.schema_name}.{table.table_name}"
                found[name] = count_rows(conn, table.schema_name, table.table_name)
                if self.told is not None:
                    self.told(Progress("count", done, len(tables), name))
            conn.execute("analyze")
        return found

    # Plain files.

    def fill_from_script(self, place: Place, script: Script) -> dict[str, int]:
        """Give a plain file to psql, in one transaction, and compare the rows that it copies."""
        with connected(place.dsn) as conn:
            server = conn.info.server_version
            program = find_program("psql", server // 10000, self.bindirs)
            owners = catalogue.is_superuser(conn)
            make_roles(conn, sorted(script.roles | (script.owners if owners else set())), place.remarks)
            if not owners and script.owners - {conn.info.user}:
                place.remarks.append(
                    f"everything belongs to {conn.info.user}, not to {', '.join(sorted(script.owners))}"
                )
            for name in self.extensions:
                make_extension(conn, name, "extensions", needed=True, remarks=place.remarks)
            skip = {TRANSACTION_TIMEOUT} if server // 10000 < TIMEOUT_SINCE else set()
            skip |= {CREATE_PUBLIC} if "public" in catalogue.list_schemas(conn) else set()
            feeding = Feeding.by(program, skip=frozenset(skip), owners=owners)
            options = ["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=terse"]
            options.append("--file=-")  # with which its errors say that they are errors
            options.append(f"--dbname={command_conninfo(place.dsn, conn)}")
            with started([str(program.path), *options], environment(place.dsn), fed=True) as child:
                feed_script(script, child, feeding, self.stop, self.told)
                status = child.wait(self.stop)
            if status != 0:
                raise child.failure(status)
            for table, rows in script.copied.items():
                row = conn.execute(f"select count(*) from {table}".encode()).fetchone()  # noqa: S608 - as the file names it
                if row is None or row[0] < rows:
                    raise BackupError(
                        f"{self.source}: was restored, but {table} has not the {counted(rows, 'row')} that it copies"
                    )
        return self.count(place, None)


def _rows(count: int | None) -> str:
    return "no rows" if count is None else counted(count, "row")
