"""``sqlkit backup`` and ``sqlkit restore``."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from sqlkit.cli.output import answers, remarks, say
from sqlkit.cli.target import DsnOption, FolderOption, Target, opened_target
from sqlkit.operations import backups
from sqlkit.operations.backups.progress import Stage, Told
from sqlkit.operations.backups.snapshot import LOCK_SECONDS

__all__ = ["backup_command", "period", "restore_command"]

UNITS = {"h": "hours", "d": "days", "w": "weeks"}
STAGES: dict[Stage, str] = {
    "lock": "waiting for a lock",
    "dump": "dumping tables",
    "checksum": "reading back",
    "verify": "verifying",
    "restore": "restoring",
    "count": "counting rows",
}

JobsOption = Annotated[int, typer.Option("--jobs", metavar="N", min=1, help="Connections at once.")]
RehearseOption = Annotated[bool, typer.Option("--rehearse", help="Restore into a database that is dropped again.")]


def period(text: str) -> timedelta:
    """Read a length of time, such as 12h, 7d or 4w."""
    found = re.fullmatch(r"(\d{1,6})([hdw])", text.strip())
    if not found:
        raise typer.BadParameter("a number with h, d or w, such as 7d")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def backup_command(
    place: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that backups stand in; made if missing.")],
    dsn: DsnOption = None,
    folder: FolderOption = None,
    schema: Annotated[
        str | None, typer.Option("--schema", metavar="NAME", help="This schema alone, with what it needs; else all.")
    ] = None,
    keep: Annotated[
        timedelta | None,
        typer.Option(
            "--keep", metavar="TIME", parser=period, help="Then delete older ones (7d, 12h, 4w), never the last good."
        ),
    ] = None,
    rehearse: RehearseOption = False,
    jobs: JobsOption = 2,
    lock_timeout: Annotated[
        float,
        typer.Option("--lock-timeout", metavar="SECONDS", min=0.1, max=86_400, help="To wait for a table at most."),
    ] = LOCK_SECONDS,
) -> None:
    """Write a backup of a schema, or of the whole database, into a new folder below DIR.

    It is pg_dump's directory format with a manifest of checksums and row counts, all of one snapshot, while others
    read and write. The folder gets its name, of schema and time, when it is whole. For example:

    sqlkit backup /backups --schema soleil --keep 7d --rehearse

    The password goes by DATABASE_URL, PGPASSWORD or a passfile. pg_dump is one no older than the server.
    """
    with opened_target(dsn, folder, schema=schema) as target, _shown() as told, _leaving():
        done = backups.backup(
            target.settings,
            place,
            keep=keep,
            rehearse=rehearse,
            jobs=jobs,
            lock_timeout=lock_timeout,
            progress=told,
            bindirs=_bindirs(target),
        )
    answers.print(str(done), markup=False, soft_wrap=True)
    for path in done.removed:
        answers.print(
            f"{path}: removed, older than {_spelt(keep) if keep else 'this one'}", markup=False, soft_wrap=True
        )


def restore_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The folder of a backup, or a plain .sql or .sql.gz of pg_dump's.")
    ],
    into: Annotated[
        str | None,
        typer.Option("--into", metavar="NAME", help="The new database; else the one that is named by DSN or settings."),
    ] = None,
    dsn: DsnOption = None,
    folder: FolderOption = None,
    rehearse: RehearseOption = False,
    extension: Annotated[
        list[str] | None,
        typer.Option("--extension", metavar="NAME", help="Create this first, for a plain file. May be repeated."),
    ] = None,
    jobs: JobsOption = 2,
) -> None:
    """Restore a backup into a new database, and compare its rows with what the backup says.

    Checksums are compared first. Extensions and roles that are missing are made. The database has its name when all is
    there; where anything fails it is dropped, and a database that has anything in it is refused. For example:

    sqlkit restore /backups/soleil-20261121T183012.345Z --into soleil_again

    sqlkit restore backup_20240101_120000.sql.gz --into soleil_old --extension pg_trgm
    """
    with opened_target(dsn, folder) as target, _shown() as told, _leaving():
        call = backups.rehearse_restore if rehearse else partial(backups.restore, into=into)
        done = call(
            target.settings, file, jobs=jobs, extensions=extension or (), progress=told, bindirs=_bindirs(target)
        )
    for remark in done.remarks:
        say(remark)
    rehearsed = " (rehearsed, and dropped again)" if rehearse else ""
    answers.print(f"{done}{rehearsed}", markup=False, soft_wrap=True)


def _bindirs(target: Target) -> tuple[Path, ...]:
    return () if target.server is None else (target.server.bindir,)


def _spelt(keep: timedelta | None) -> str:
    """Write a length of time as --keep takes it, in words."""
    hours = 0 if keep is None else round(keep.total_seconds() / 3600)
    number, unit = (hours // 24, "day") if hours and hours % 24 == 0 else (hours, "hour")
    return f"{number} {unit}{'' if number == 1 else 's'}"


@contextmanager
def _leaving() -> Iterator[None]:
    """Let SIGTERM, by which services and time limits end a command, leave nothing behind, as Ctrl-C does.

    It comes as a KeyboardInterrupt, at which psycopg has the server end what it is at before a connection is closed.
    """
    ended = 0

    def leave(number: int, _: object) -> None:
        nonlocal ended
        ended = number
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except KeyboardInterrupt:
        if ended:
            raise SystemExit(128 + ended) from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _shown() -> Iterator[Told]:
    """Show progress: as bars where somebody watches, else as a line for each stage."""
    if not remarks.is_terminal:
        yield _Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=remarks, transient=True) as bars:
        tasks: dict[Stage, TaskID] = {}

        def tell(progress: backups.Progress) -> None:
            if progress.stage not in tasks or progress.done < bars.tasks[tasks[progress.stage]].completed:
                tasks[progress.stage] = bars.add_task(STAGES[progress.stage], total=progress.total)
            bars.update(tasks[progress.stage], completed=progress.done, total=progress.total)

        yield tell


class _Lines:
    """Progress for a log: what a stage is about when it begins, and a line each time that a quarter more is done."""

    def __init__(self) -> None:
        self._stage: Stage | None = None
        self._quarter = 0

    def __call__(self, progress: backups.Progress) -> None:
        quarter = 4 * progress.done // max(1, progress.total)
        if progress.stage == self._stage and quarter == self._quarter:
            return
        self._stage, self._quarter = progress.stage, quarter
        share = 100 * progress.done // max(1, progress.total)
        say(f"{STAGES[progress.stage]}: {share} %, {progress.what}")
