"""Taking a backup: one snapshot for pg_dump and for the counts, put in its place when it is whole."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from sqlkit.database.unreachable import unreachable
from sqlkit.errors import ArgumentError, BackupError
from sqlkit.operations.backups.catalogue import catalogue
from sqlkit.operations.backups.manifest import DUMP, Extension, Locale, Manifest, StoredFile, file_checksums
from sqlkit.operations.backups.processes import Child, Stopped, command_conninfo, environment, started
from sqlkit.operations.backups.programs import Program, find_program
from sqlkit.operations.backups.progress import Progress, Told, Weighed
from sqlkit.operations.backups.restoring import rehearse_restore
from sqlkit.operations.backups.shelf import Backup, Unfinished, keep_backups, unfinished
from sqlkit.operations.backups.snapshot import LOCK_SECONDS, Snapshot, Waiting, cancelled_by, count_rows, held_snapshot
from sqlkit.operations.backups.targets import dsn_of, settings_of
from sqlkit.settings import Settings

__all__ = ["backup"]

#: What pg_dump says when it has begun a table, in the order in which it says it.
DUMPING = re.compile(r'^pg_dump: dumping contents of table "(?P<table>.*)"$')
#: What pg_dump says when it or a worker of its could not have a table's lock in time.
REFUSED = re.compile("could not obtain lock on relation|query was: LOCK TABLE", re.IGNORECASE)
LOCK_MILLISECONDS = 5000  # for pg_dump to lock what the snapshot's connection has locked already
WATCH_SECONDS = 0.5  # after which it is looked at whether pg_dump waits: for a sequence or a view it has no bound
ATTEMPTS = 8
PAUSE_SECONDS = 0.5


def backup(
    target: Settings | str | None,
    folder: str | os.PathLike[str],
    *,
    schema: str | None = None,
    keep: timedelta | None = None,
    rehearse: bool = False,
    jobs: int = 2,
    lock_timeout: float = LOCK_SECONDS,
    progress: Told | None = None,
    stop: threading.Event | None = None,
    bindirs: tuple[Path, ...] = (),
) -> Backup:
    """Write a backup of a schema, or of the whole database where none is named, into a new folder below ``folder``.

    ``target`` is settings or a DSN, None reads the environment; ``schema`` is the settings' own where it is not given.
    It is pg_dump's directory format, by ``jobs`` connections at once, with a manifest of checksums and row counts that
    are of the same snapshot as the rows. The folder has its name, of the schema and the time, when all is on the disk.
    ``rehearse`` restores it into a database that is dropped again, and compares. Then, with ``keep``, complete backups
    that X

    ``progress`` is called after each step, ``stop`` ends it early with nothing left behind. Raises BackupError,
    ConfigurationError.
    """
    if jobs < 1:
        raise ArgumentError("backup: jobs is 1 or more")
    if not 0 < lock_timeout <= 86_400:
        raise ArgumentError("backup: lock_timeout is more than 0 and 86400 seconds at most")
    if keep is not None and keep < timedelta(0):
        raise ArgumentError("backup: keep is 0 or more")
    settings = settings_of(target)
    place = Path(folder).absolute()
    stopped = stop or threading.Event()
    work = _Work(settings, schema or settings.schema, jobs, lock_timeout, progress or _nobody, stopped, bindirs)
    with unfinished(place) as half:
        manifest = work.take(half)
        whole = half.put(_name(manifest))
    if rehearse:
        _rehearse(settings, whole, jobs, progress, stop, bindirs)
    return Backup(whole, manifest, keep_backups(place, keep) if keep is not None else ())


def _rehearse(
    settings: Settings,
    whole: Path,
    jobs: int,
    progress: Told | None,
    stop: threading.Event | None,
    bindirs: tuple[Path, ...],
) -> None:
    try:
        rehearse_restore(settings, whole, jobs=jobs, progress=progress, stop=stop, bindirs=bindirs)
    except Stopped:
        raise
    except BackupError as error:
        raise BackupError(f"{whole}: was taken, but could not be restored, so no older one leaves: {error}") from error


def _nobody(progress: Progress) -> None:
    """Hear of progress, for nobody."""


def _name(manifest: Manifest) -> str:
    """Return a backup's name: of its schema, or database, and of its time in UTC, which sorts."""
    moment: datetime = manifest.taken_at
    plain = re.sub(r"[^\w.-]", "_", manifest.schema_name or manifest.database).lstrip(".")
    return f"{plain or '_'}-{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03}Z"


class _Work:
    """One backup that is being taken."""

    def __init__(
        self,
        settings: Settings,
        schema: str | None,
        jobs: int,
        lock_timeout: float,
        told: Callable[[Progress], None],
        stop: threading.Event,
        bindirs: tuple[Path, ...],
    ) -> None:
        self.dsn, self.where, self.lock_timeout = dsn_of(settings), settings.safe_dsn, lock_timeout
        self.schema, self.jobs, self.told, self.stop, self.bindirs = schema, jobs, told, stop, bindirs
        self.failure: BackupError | None = None  # of pg_dump, where something was dropped meanwhile

    def take(self, half: Unfinished) -> Manifest:
        """Dump and count one snapshot; return the manifest, which is written."""
        try:
            snapshot, program, counts = self.dumped(half)
        except psycopg.OperationalError as error:
            if error.diag.message_primary is None:  # it was never connected, or is no longer
                raise BackupError(unreachable(self.where, error)) from error
            raise BackupError(f"{self.where}: the server refuses: {error.diag.message_primary}") from error
        try:
            files = file_checksums(half.path, self.checked(half.path))
            manifest = self.manifest(snapshot, program, counts, files)
            manifest.write(half.path)
        except OSError as error:
            raise BackupError(f"{half.path.parent}: cannot be written: {error.strerror}") from error
        return manifest

    def dumped(self, half: Unfinished) -> tuple[Snapshot, Program, dict[str, int]]:
        """Dump and count a snapshot; begin anew where a change of a table's form was about to come between.

        Such a change waits for the snapshot's locks, and pg_dump's own would wait behind it: for ever, were it not told
        how long. The change goes on when the snapshot is given up.
        """
        for attempt in range(1, ATTEMPTS + 1):
            waiting = Waiting(self.lock_timeout, self.told, self.stop)
            with (
                held_snapshot(self.dsn, self.schema, waiting) as snapshot,
                cancelled_by(self.stop, snapshot.conn),
            ):
                program = find_program("pg_dump", snapshot.database.server_version // 10000, self.bindirs)
                counts = self.dump(half, snapshot, program, waiting)
            if counts is not None:
                return snapshot, program, counts
            _clear(half.path / DUMP)
            if self.stop.wait(PAUSE_SECONDS * attempt):
                raise Stopped("backup: stopped")
        if self.failure is not None:  # which may have another cause
            raise self.failure
        raise BackupError(f"{self.schema or 'backup'}: its tables are changed again and again: try at a quieter time")

    def dump(self, half: Unfinished, snapshot: Snapshot, program: Program, waiting: Waiting) -> dict[str, int] | None:
        """Run pg_dump on the snapshot and count its rows meanwhile; None where somebody came between."""
        sizes = {f"{one.schema_name}.{one.table_name}": (one.size or 0) + 8192 for one in snapshot.tables}
        done = Weighed("dump", sizes, self.jobs, self.told)
        with started(
            self.command(half.path / DUMP, snapshot, program),
            environment(self.dsn),
            told=done.hear(DUMPING),
            held=[half.held],
        ) as child:
            counts = self.count(snapshot, child)
            status = self.ended(snapshot, child, waiting)
        if status == 0:
            done.finish()
            return counts
        if status is None or child.has_said(REFUSED):
            return None
        self.failure = child.failure(status)
        if catalogue.has_lost(snapshot.conn):
            return None
        raise self.failure

    def ended(self, snapshot: Snapshot, child: Child, waiting: Waiting) -> int | None:
        """Return how pg_dump ended; None where it waits for somebody who waits for the snapshot.

        BackupError that names what and whom it waits for, where that takes longer than ``waiting`` says.
        """
        began: float | None = None
        while (status := child.wait_for(WATCH_SECONDS, self.stop)) is None:
            catalogue.forget_activity(snapshot.conn)
            waits = catalogue.list_waits(snapshot.conn, application=_application(snapshot))
            if any(one.in_circle for one in waits):
                break
            began = (began or time.monotonic()) if waits else None
            if began is not None:
                waiting.go_on(time.monotonic() - began, self.schema or snapshot.database.name, str(waits[0]))
        return status

    def command(self, place: Path, snapshot: Snapshot, program: Program) -> list[str]:
        """Return pg_dump's command line."""
        options = ["--format=directory", f"--jobs={self.jobs}", f"--file={place}", f"--snapshot={snapshot.name}"]
        options += [
            "--verbose",
            "--no-password",
            "--no-subscriptions",
            f"--dbname={command_conninfo(self.dsn, snapshot.conn, _application(snapshot))}",
        ]
        options.append(f"--lock-wait-timeout={LOCK_MILLISECONDS}")
        if self.schema is not None:
            options.append(f"--schema={_pattern(self.schema)}")
        return [str(program.path), *options]

    def count(self, snapshot: Snapshot, child: Child) -> dict[str, int]:
        """Count the rows of each table in the snapshot."""
        counts: dict[str, int] = {}
        for table in snapshot.tables:
            if self.stop.is_set():
                raise Stopped("backup: stopped")
            if child.failed:
                break  # and says why
            name = f"{table.schema_name}.{table.table_name}"
            counts[name] = count_rows(snapshot.conn, table.schema_name, table.table_name)
        return counts

    def checked(self, folder: Path) -> Callable[[int, str], None]:
        """Return what hears which file was read."""
        total, done = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()), 0

        def hear(size: int, name: str) -> None:
            nonlocal done
            if self.stop.is_set():
                raise Stopped("backup: stopped")
            done += size
            self.told(Progress("checksum", done, total, name))

        return hear

    def manifest(
        self, snapshot: Snapshot, program: Program, counts: dict[str, int], files: dict[str, StoredFile]
    ) -> Manifest:
        """Return what the backup says of itself."""
        found = snapshot.database
        return Manifest(
            database=found.name,
            schema_name=self.schema,
            taken_at=found.taken_at.astimezone(UTC),
            server_version=found.server_version,
            pg_dump=program.version,
            locale=Locale(
                encoding=found.encoding,
                collation=found.collation,
                character_type=found.character_type,
                provider=found.provider,
                locale=found.locale,
            ),
            settings=snapshot.settings,
            extensions=[Extension(**one._asdict()) for one in snapshot.extensions],
            roles=[one.name for one in snapshot.roles if one.is_granted],
            owners=[one.name for one in snapshot.roles if one.owns],
            tables=counts,
            files=files,
        )


def _application(snapshot: Snapshot) -> str:
    """Return the name by which the connections of one backup's pg_dump are known."""
    return f"sqlkit backup {snapshot.name}"


def _pattern(schema: str) -> str:
    """Return a name as pg_dump's patterns write it, in which nothing stands for something else."""
    return '"' + schema.replace('"', '""') + '"'


def _clear(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
